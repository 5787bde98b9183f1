{{- /* The name of a CronJob has 52 characters at most, and the upgrader's is this one and nine more. */ -}}
{{- define "belay-delegate.name" -}}
{{- .Values.name | default .Release.Name | trunc 43 | trimSuffix "-" -}}
{{- end -}}

{{- define "belay-delegate.selector" -}}
app.kubernetes.io/name: belay-delegate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "belay-delegate.labels" -}}
{{ include "belay-delegate.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "belay-delegate.upgraderLabels" -}}
app.kubernetes.io/name: belay-upgrader
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "belay-delegate.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "belay-delegate.name" .) -}}
{{- end -}}

{{- define "belay-delegate.secret" -}}
{{- .Values.existingSecret | default (printf "%s-token" (include "belay-delegate.name" .)) -}}
{{- end -}}

{{- define "belay-delegate.proxySecret" -}}
{{- if .Values.proxy.existingSecret -}}
{{- .Values.proxy.existingSecret -}}
{{- else if .Values.proxy.user -}}
{{- printf "%s-proxy" (include "belay-delegate.name" .) -}}
{{- end -}}
{{- end -}}

{{- define "belay-delegate.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if hasPrefix "sha256:" $tag -}}
{{- printf "%s@%s" .Values.image.repository $tag -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}
