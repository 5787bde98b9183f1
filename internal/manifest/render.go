package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Render writes a form. It fails with what Check finds.
func Render(s Spec) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	s = s.withDefaults()
	switch s.Form {
	case Kubernetes, StatefulSet:
		return documents(s.head(), s.objects())
	case Helm:
		return documents(s.head(), []commented{{body: s.values()}})
	case Docker:
		return documents(s.head(), []commented{{body: s.compose()}})
	case ECS:
		return documents(s.head(), []commented{{body: s.taskDefinition()}})
	case Shell:
		return s.shell(), nil
	}
	return nil, fmt.Errorf("there is no form %q", s.Form) // Check has refused it
}

// commented is a document and what is said above it, one line each.
type commented struct {
	comment []string
	body    any
}

// documents writes YAML documents below a head of comments.
func documents(head []string, all []commented) ([]byte, error) {
	var b bytes.Buffer
	comment := func(lines []string) {
		for _, line := range lines {
			b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
	comment(head)
	for i, one := range all {
		if len(all) > 1 || i > 0 {
			b.WriteString("---\n")
		}
		comment(one.comment)
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(one.body); err != nil {
			return nil, fmt.Errorf("write YAML: %w", err)
		}
		if err := e.Close(); err != nil {
			return nil, fmt.Errorf("write YAML: %w", err)
		}
	}
	return b.Bytes(), nil
}

// head is what stands above a file: what it is, what to do first, how to install it.
func (s Spec) head() []string {
	lines := []string{fmt.Sprintf("Delegate %s, written by belay delegate manifest --kind %s. %s", s.Name, s.Form, purposes()[s.Form]), ""}
	lines = append(lines, s.first()...)
	switch s.Form {
	case Kubernetes, StatefulSet:
		lines = append(lines, "Install:  kubectl apply --server-side -f FILE")
	case Helm:
		lines = append(lines, fmt.Sprintf("Install:  helm upgrade --install %s deploy/helm/belay-delegate --namespace %s --create-namespace -f FILE", s.Name, s.Namespace))
	case Docker:
		lines = append(lines, "Install:  docker compose -f FILE up -d")
	case ECS:
		lines = append(lines, "Install:  aws ecs register-task-definition --cli-input-yaml file://FILE",
			"then a service of one task with it, in private subnets with a way out. Both roles trust ecs-tasks.amazonaws.com.")
	case Shell:
	}
	return append(lines, s.mended()...)
}

func purposes() map[Form]string {
	return map[Form]string{
		Kubernetes: "Objects of Kubernetes 1.25 or later.", StatefulSet: "Objects of Kubernetes 1.25 or later.", Helm: "Values of the chart belay-delegate.",
		Docker: "A Compose file.", ECS: "A task definition for Fargate.", Shell: "A script for a machine of your own.",
	}
}

// first is what must be there before the file works.
func (s Spec) first() []string {
	var lines []string
	value := fmt.Sprintf(`"$(belay delegate token show %s)"`, "TOKEN")
	switch {
	case !s.Token.IsZero():
		lines = append(lines, "It holds the delegate token: keep it as you keep a password, out of version control.", "")
	case s.Form == Kubernetes || s.Form == StatefulSet || s.Form == Helm:
		ns := " --namespace " + s.Namespace
		lines = append(lines, "First:    kubectl create namespace "+s.Namespace,
			fmt.Sprintf("          kubectl create secret generic %s%s --from-literal=%s=%s", s.TokenSecret, ns, TokenKey, value))
	case s.Form == Docker:
		lines = append(lines, "First:    export DELEGATE_TOKEN="+value)
	case s.Form == ECS:
		lines = append(lines, "First:    the secret below must hold the delegate token as plain text, and the execution role may read it.")
	case s.Form == Shell:
		lines = append(lines, "First:    export DELEGATE_TOKEN="+value)
	}
	if x := s.Proxy; x != nil && x.Secret != "" && (s.Form == Kubernetes || s.Form == StatefulSet || s.Form == Helm) {
		lines = append(lines, fmt.Sprintf("          kubectl create secret generic %s --namespace %s --from-literal=PROXY_USER=… --from-literal=PROXY_PASSWORD=…", x.Secret, s.Namespace))
	}
	return lines
}

// mended says what the widely copied sample manifests have wrong and this file has not.
func (s Spec) mended() []string {
	if s.Form != Kubernetes && s.Form != StatefulSet {
		return nil
	}
	lines := []string{
		"", "Mended against the sample manifests that are copied most:",
		"- one namespace for all objects, made here; the samples spread over two of which one is never made",
		"- the token is read from a Secret that exists, under the name that the pod asks for, as text and not as broken base64",
		"- the pod names its service account, without which no IAM role reaches it",
		"- Pod Security \"restricted\": user 1001, no capabilities, no privilege escalation, seccomp, read-only root",
		"- memory for a delegate of this kind, which idles at 25 MiB, where the samples reserve 2 GiB",
		"- probes on the port that the container declares",
	}
	if s.ClusterRole == "" {
		lines = append(lines, "- no ClusterRoleBinding to cluster-admin: work in AWS needs no right in the cluster")
	}
	if s.Proxy != nil {
		lines = append(lines, "- the proxy's Secret is in the pod's namespace, and the pod reads it")
	}
	if s.Autoscale != nil {
		lines = append(lines, "- the autoscaler speaks autoscaling/v2, names this workload and may really add replicas")
	}
	if s.Upgrader {
		lines = append(lines, "- the upgrader names this workload, may read and patch only it, and runs at a minute of its own")
	}
	return lines
}

// pair is one variable of the delegate's environment.
type pair struct{ name, value string }

// environment is what the delegate is told, without its secrets, in the order of docs/delegate.md.
func (s Spec) environment() []pair {
	kinds := map[Form]string{Kubernetes: "KUBERNETES", StatefulSet: "KUBERNETES", Helm: "HELM_DELEGATE", Docker: "DOCKER", ECS: "DOCKER", Shell: "DOCKER"}
	all := []pair{
		{"ACCOUNT_ID", s.Account},
		{"MANAGER_HOST_AND_PORT", strings.TrimRight(s.Manager, "/")},
		{"DELEGATE_NAME", s.Name},
		{"DELEGATE_TYPE", kinds[s.Form]},
	}
	add := func(name, value string) {
		if value != "" {
			all = append(all, pair{name, value})
		}
	}
	add("DELEGATE_TAGS", strings.Join(s.Tags, ","))
	add("DELEGATE_DESCRIPTION", s.Description)
	if s.plainHTTP() {
		add("BELAY_INSECURE_HTTP", "true")
	}
	if s.Form == ECS {
		add("BELAY_DRAIN_SECONDS", strconv.Itoa(ecsStop-10))
	}
	add("INIT_SCRIPT", s.initScript())
	if x := s.Proxy; x != nil {
		add("PROXY_HOST", x.Host)
		add("PROXY_PORT", strconv.Itoa(x.Port))
		add("PROXY_SCHEME", cmp.Or(x.Scheme, "http"))
		add("NO_PROXY", x.NoProxy)
	}
	return all
}

// labels are on every object.
func (s Spec) labels(part string) map[string]string {
	all := maps.Clone(s.selects(part))
	all["app.kubernetes.io/managed-by"] = "belay"
	return all
}

// selects are the labels that tell the pods of one part apart.
func (s Spec) selects(part string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": part, "app.kubernetes.io/instance": s.Name}
}

const delegatePart, upgraderPart = "belay-delegate", "belay-upgrader"

func (s Spec) meta(name, part string) meta {
	return meta{Name: name, Namespace: s.Namespace, Labels: s.labels(part)}
}

// objects are those of the forms kubernetes and statefulset.
func (s Spec) objects() []commented {
	var all []commented
	add := func(o object, comment ...string) { all = append(all, commented{comment, o}) }

	restricted := map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
		"app.kubernetes.io/managed-by": "belay",
	}
	add(object{APIVersion: "v1", Kind: "Namespace", Metadata: meta{Name: s.Namespace, Labels: restricted}})
	expects := []string{}
	if s.ServiceAccount == "" {
		account := object{APIVersion: "v1", Kind: "ServiceAccount", Metadata: s.meta(s.Name, delegatePart), Automount: new(false)}
		var comment []string
		if s.RoleARN != "" {
			account.Metadata.Annotations = map[string]string{roleAnnotation: s.RoleARN}
			comment = []string{
				"IRSA: EKS gives the pod AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE. The role's trust policy names this account:",
				fmt.Sprintf("system:serviceaccount:%s:%s", s.Namespace, s.Name),
			}
		}
		add(account, comment...)
	} else {
		expects = append(expects, "ServiceAccount/"+s.ServiceAccount)
	}
	if !s.Token.IsZero() {
		add(object{
			APIVersion: "v1", Kind: "Secret", Metadata: s.meta(s.TokenSecret, delegatePart), Type: "Opaque",
			StringData: map[string]string{TokenKey: s.Token.Reveal()}, //nolint:forbidigo // what the file is for; whoever asks for it may see the token
		}, "stringData takes the token as it is; data would want base64 of it.")
	} else {
		expects = append(expects, "Secret/"+s.TokenSecret)
	}
	if name := s.proxySecret(); name != "" && s.Proxy.User != "" {
		add(object{
			APIVersion: "v1", Kind: "Secret", Metadata: s.meta(name, delegatePart), Type: "Opaque",
			StringData: map[string]string{"PROXY_USER": s.Proxy.User, "PROXY_PASSWORD": s.Proxy.Password.Reveal()}, //nolint:forbidigo // what the file is for
		})
	} else if name != "" {
		expects = append(expects, "Secret/"+name)
	}
	if s.ClusterRole != "" {
		where := "in every namespace"
		if s.InNamespace {
			where = "in this namespace"
		}
		add(s.roleBinding(), fmt.Sprintf("Asked for: the ClusterRole %s, %s. Connections to AWS need none.", s.ClusterRole, where))
	}
	if s.Form == StatefulSet {
		add(object{APIVersion: "v1", Kind: "Service", Metadata: s.meta(s.Name, delegatePart), Spec: service{
			ClusterIP: "None", Selector: s.selects(delegatePart), Ports: []servicePort{{"http", healthPort, "http"}},
		}}, "A StatefulSet wants a headless Service that governs its host names. Nothing needs to call it.")
	}
	add(s.workload(expects))
	add(object{APIVersion: "policy/v1", Kind: "PodDisruptionBudget", Metadata: s.meta(s.Name, delegatePart), Spec: disruption{
		MaxUnavailable: 1, Selector: selector{s.selects(delegatePart)},
	}}, "One at a time, and never so that a node with the only replica cannot be drained.")
	if s.Autoscale != nil {
		add(s.scaler())
	}
	if s.Upgrader {
		all = append(all, s.upgrader()...)
	}
	return all
}

const (
	// roleAnnotation is what EKS looks for on a service account.
	roleAnnotation = "eks.amazonaws.com/role-arn"
	// ExpectsAnnotation names, with commas between them, the objects that a file refers to and does not hold, as Kind/name.
	// Lint takes them as there.
	ExpectsAnnotation = "belay.dev/expects"
)

// proxySecret is the name of the Secret with the proxy's user and password, or "" where it wants none.
func (s Spec) proxySecret() string {
	switch {
	case s.Proxy == nil:
		return ""
	case s.Proxy.User != "":
		return s.Name + "-proxy"
	}
	return s.Proxy.Secret
}

// roleBinding gives the service account the ClusterRole that was asked for.
func (s Spec) roleBinding() object {
	o := object{
		APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding",
		Metadata: meta{Name: s.Namespace + "-" + s.Name, Labels: s.labels(delegatePart)},
		Subjects: []subject{{"ServiceAccount", s.serviceAccount(), s.Namespace}},
		RoleRef:  &roleRef{"rbac.authorization.k8s.io", "ClusterRole", s.ClusterRole},
	}
	if s.InNamespace {
		o.Kind, o.Metadata = "RoleBinding", s.meta(s.Name, delegatePart)
	}
	return o
}

// kind is the kind of the workload.
func (s Spec) kind() string {
	if s.Form == StatefulSet {
		return "StatefulSet"
	}
	return "Deployment"
}

func (s Spec) workload(expects []string) object {
	m := s.meta(s.Name, delegatePart)
	if len(expects) > 0 {
		m.Annotations = map[string]string{ExpectsAnnotation: strings.Join(expects, ",")}
	}
	const grace = 600 // of which the delegate uses 580
	w := workload{
		MinReadySeconds: 30, Selector: selector{s.selects(delegatePart)},
		Template: template{
			Metadata: meta{Labels: s.labels(delegatePart), Annotations: map[string]string{
				"prometheus.io/scrape": "true", "prometheus.io/port": strconv.Itoa(healthPort), "prometheus.io/path": "/api/metrics",
			}},
			Spec: pod{
				ServiceAccountName: s.serviceAccount(), Automount: s.ClusterRole != "", Grace: grace, Security: securePod(),
				Containers: []container{s.container()},
				Volumes: []volume{
					{Name: "tools", EmptyDir: &emptyDir{mebibytes(4 * s.memory())}},
					{Name: "home", EmptyDir: &emptyDir{"256Mi"}},
					{Name: "tmp", EmptyDir: &emptyDir{"1Gi"}},
				},
			},
		},
	}
	if s.Autoscale == nil {
		w.Replicas = new(s.Replicas)
	}
	if s.Form == StatefulSet {
		w.ServiceName, w.PodManagement = s.Name, "Parallel"
	} else {
		w.Strategy = &strategy{"RollingUpdate", rolling{MaxSurge: 1, MaxUnavailable: 0}}
	}
	return object{APIVersion: "apps/v1", Kind: s.kind(), Metadata: m, Spec: w}
}

func securePod() podSecurity {
	return podSecurity{RunAsNonRoot: true, RunAsUser: user, RunAsGroup: user, FSGroup: user, Seccomp: seccomp{"RuntimeDefault"}}
}

func confined() confinement {
	return confinement{ReadOnlyRootFilesystem: true, Capabilities: capabilities{[]string{"ALL"}}}
}

func (s Spec) container() container {
	var env []variable
	for _, p := range s.environment() {
		env = append(env, variable{Name: p.name, Value: &p.value})
		if p.name == "DELEGATE_TYPE" {
			env = append(env, variable{Name: "DELEGATE_NAMESPACE", From: &source{Field: &fieldRef{"metadata.namespace"}}})
		}
	}
	fromSecret := func(name, secret string) {
		env = append(env, variable{Name: name, From: &source{Secret: &keyRef{secret, name}}})
	}
	fromSecret(TokenKey, s.TokenSecret)
	if name := s.proxySecret(); name != "" {
		fromSecret("PROXY_USER", name)
		fromSecret("PROXY_PASSWORD", name)
	}
	health := func(period, timeout, failures int) *probe {
		return &probe{httpGet{healthPath, "http"}, period, timeout, failures}
	}
	return container{
		Name: "delegate", Image: s.Image, PullPolicy: "IfNotPresent", Args: []string{"delegate", "run"}, Env: env,
		Ports:        []port{{"http", healthPort}},
		StartupProbe: health(2, 5, 30), Liveness: health(20, 5, 3), Readiness: health(10, 5, 3),
		Resources: resources{
			Requests: map[string]string{"cpu": "50m", "memory": "64Mi"},
			Limits:   map[string]string{"memory": mebibytes(s.memory())},
		},
		Security: confined(),
		Mounts:   []mount{{Name: "tools", MountPath: toolsFolder}, {Name: "home", MountPath: "/home/belay"}, {Name: "tmp", MountPath: "/tmp"}},
	}
}

func (s Spec) scaler() object {
	const settle = 600 // seconds; a delegate that is taken away must finish its tasks
	return object{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler", Metadata: s.meta(s.Name, delegatePart), Spec: scaler{
		Target: scaleTarget{"apps/v1", s.kind(), s.Name}, Min: s.Replicas, Max: s.Autoscale.Max,
		Metrics:  []metric{{"Resource", resourceMetric{"cpu", metricTarget{"Utilization", cmp.Or(s.Autoscale.CPU, 80)}}}},
		Behavior: behavior{scaleDown{settle}},
	}}
}

// upgrader is the CronJob and what it needs.
func (s Spec) upgrader() []commented {
	name := s.Name + "-upgrader"
	m := func() meta { return s.meta(name, upgraderPart) }
	env := []variable{{Name: "UPGRADER_TOKEN", From: &source{Secret: &keyRef{s.TokenSecret, TokenKey}}}}
	if s.plainHTTP() {
		env = append(env, variable{Name: "BELAY_INSECURE_HTTP", Value: new("true")})
	}
	if proxy := s.proxySecret(); proxy != "" {
		env = append(env, variable{Name: "PROXY_USER", From: &source{Secret: &keyRef{proxy, "PROXY_USER"}}},
			variable{Name: "PROXY_PASSWORD", From: &source{Secret: &keyRef{proxy, "PROXY_PASSWORD"}}})
	}
	return []commented{
		{body: object{APIVersion: "v1", Kind: "ServiceAccount", Metadata: m(), Automount: new(false)}},
		{[]string{fmt.Sprintf("The upgrader may read and patch this one %s, and nothing else.", s.kind())}, object{
			APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role", Metadata: m(),
			Rules: []rule{{[]string{"apps"}, []string{strings.ToLower(s.kind()) + "s"}, []string{s.Name}, []string{"get", "patch"}}},
		}},
		{body: object{
			APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding", Metadata: m(),
			Subjects: []subject{{"ServiceAccount", name, s.Namespace}},
			RoleRef:  &roleRef{"rbac.authorization.k8s.io", "Role", name},
		}},
		{body: object{APIVersion: "v1", Kind: "ConfigMap", Metadata: m(), Data: map[string]string{"config.yaml": s.upgraderConfig()}}},
		{body: object{APIVersion: "batch/v1", Kind: "CronJob", Metadata: m(), Spec: cronJob{
			Schedule: fmt.Sprintf("%d * * * *", s.minute()), Concurrency: "Forbid", StartingDeadline: 600, SuccessfulHistory: 1, FailedHistory: 3,
			JobTemplate: jobTemplate{job{BackoffLimit: 2, ActiveDeadline: 300, Template: template{
				Metadata: meta{Labels: s.labels(upgraderPart)},
				Spec: pod{
					ServiceAccountName: name, Automount: true, RestartPolicy: "Never", Security: securePod(),
					Containers: []container{{
						Name: "upgrader", Image: s.Image, PullPolicy: "IfNotPresent",
						Args: []string{"upgrader", "--settings", "/etc/config/config.yaml"}, Env: env,
						Resources: resources{Requests: map[string]string{"cpu": "20m", "memory": "32Mi"}, Limits: map[string]string{"memory": "128Mi"}},
						Security:  confined(), Mounts: []mount{{Name: "config", MountPath: "/etc/config", ReadOnly: true}},
					}},
					Volumes: []volume{{Name: "config", ConfigMap: &configVolume{name}}},
				},
			}}},
		}}},
	}
}

// upgraderConfig is what `belay upgrader` reads, in the words of the upgraders that were there before it.
func (s Spec) upgraderConfig() string {
	lines := []string{"mode: Delegate", "dryRun: false", "workloadName: " + quoteYAML(s.Name), "namespace: " + quoteYAML(s.Namespace), "containerName: delegate"}
	if s.Form == StatefulSet {
		lines = append(lines, "workloadKind: StatefulSet") // a Deployment is what it looks for by itself, as others do
	}
	if x := s.Proxy; x != nil {
		lines = append(lines, "proxyHost: "+quoteYAML(x.Host), "proxyPort: "+quoteYAML(strconv.Itoa(x.Port)), "proxyScheme: "+cmp.Or(x.Scheme, "http"))
		if x.NoProxy != "" {
			lines = append(lines, "noProxy: "+quoteYAML(x.NoProxy))
		}
	}
	lines = append(lines, "delegateConfig:", "  accountId: "+quoteYAML(s.Account), "  managerHost: "+quoteYAML(strings.TrimRight(s.Manager, "/")))
	return strings.Join(lines, "\n") + "\n"
}

// quoteYAML is a text as a scalar of YAML that stays a text.
func quoteYAML(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimRight(string(out), "\n")
}

// sortedTools are the presets that were asked for, each once, in the order in which they are installed.
func (s Spec) sortedTools() []string {
	var all []string
	for _, name := range Tools() {
		if slices.Contains(s.Tools, name) {
			all = append(all, name)
		}
	}
	return all
}
