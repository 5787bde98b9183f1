{{- define "belay-manager.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "belay-manager.selector" -}}
app.kubernetes.io/name: belay-manager
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "belay-manager.labels" -}}
{{ include "belay-manager.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "belay-manager.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "belay-manager.name" .) -}}
{{- end -}}

{{- define "belay-manager.scheme" -}}
{{- if .Values.tls.existingSecret -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}
