package manifest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// workload looks at the pods that an object makes.
func (l *linter) workload(o kobject, pod node) {
	l.accounts(o, pod)
	l.host(o, pod)
	if labels := o.get("spec", "selector", "matchLabels"); labels.mapping() {
		if key := unmatched(labels, o.template().get("metadata", "labels")); key != "" {
			l.add(o, labels, "selector-mismatch", "Give both the same labels", "the selector wants the label %s, which the pod template has not, or with another value", key)
		}
	}
	for _, v := range pod.get("volumes").items() {
		l.refer(o, "Secret", v.get("secret", "secretName"), v.get("secret", "optional"), node{})
		l.refer(o, "ConfigMap", v.get("configMap", "name"), v.get("configMap", "optional"), node{})
		for _, p := range v.get("projected", "sources").items() {
			l.refer(o, "Secret", p.get("secret", "name"), p.get("secret", "optional"), node{})
			l.refer(o, "ConfigMap", p.get("configMap", "name"), p.get("configMap", "optional"), node{})
		}
	}
	for _, s := range pod.get("imagePullSecrets").items() {
		l.refer(o, "Secret", s.get("name"), node{}, node{})
	}
	seccomp := pod.get("securityContext", "seccompProfile", "type").text()
	for _, field := range []string{"initContainers", "containers"} {
		for _, c := range pod.get(field).items() {
			l.container(o, pod, c, field == "containers")
			if t := c.get("securityContext", "seccompProfile", "type").text(); t != "" {
				seccomp = t
			}
		}
	}
	if seccomp != "RuntimeDefault" && seccomp != "Localhost" {
		l.add(o, pod, "seccomp", "Set securityContext.seccompProfile.type: RuntimeDefault on the pod", "the pod has no seccomp profile")
	}
}

func (l *linter) accounts(o kobject, pod node) {
	at := pod.get("serviceAccountName")
	if at.text() == "" {
		at = pod.get("serviceAccount")
	}
	switch name := at.text(); {
	case name == "":
		l.add(o, pod, "no-service-account", "Set serviceAccountName to an account of its own, with the annotation eks.amazonaws.com/role-arn where a role is wanted",
			"the pod names no service account, so it has the namespace's default one, and IRSA does not reach it")
	case name != "default" && !l.there("ServiceAccount", o.namespace, name):
		l.add(o, at, "service-account-missing", "Correct the name, or add the ServiceAccount",
			"there is no ServiceAccount %q in namespace %q%s", name, o.namespace, l.elsewhere("ServiceAccount", o.namespace, name))
	}
}

func (l *linter) host(o kobject, pod node) {
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if pod.get(field).text() == "true" {
			l.add(o, pod.get(field), "privileged", "Leave it out", "%s lets the pod into the node", field)
		}
	}
	for _, v := range pod.get("volumes").items() {
		if p := v.get("hostPath"); p.mapping() {
			l.add(o, p, "privileged", "Use emptyDir, or a volume of the cluster", "volume %q is a folder of the node", v.get("name").text())
		}
	}
}

// refer looks for what a pod reads: a Secret or a ConfigMap, and a key of it.
func (l *linter) refer(o kobject, kind string, at, optional, key node) {
	name := at.text()
	if name == "" {
		return
	}
	target, found := l.find(kind, o.namespace, name)
	if kind == "Secret" && found {
		if l.used == nil {
			l.used = map[string]bool{}
		}
		l.used[o.namespace+"/"+name] = true
	}
	switch {
	case optional.text() == "true":
	case !found && !l.expected[kind+"/"+name]:
		rule := "secret-missing"
		if kind == "ConfigMap" {
			rule = "configmap-missing"
		}
		l.add(o, at, rule, "Define it, correct the name, or say that it is there: --expect "+kind+"/"+name,
			"there is no %s %q in namespace %q%s", kind, name, o.namespace, l.elsewhere(kind, o.namespace, name))
	case found && key.text() != "" && !target.has(key.text()):
		l.add(o, key, "secret-key-missing", "Correct the key, or add it", "%s %q has no key %q", kind, name, key.text())
	}
}

// has reports whether a Secret or a ConfigMap has a key.
func (o kobject) has(key string) bool {
	for _, field := range []string{"data", "stringData", "binaryData"} {
		for _, e := range o.get(field).entries() {
			if e.key == key {
				return true
			}
		}
	}
	return false
}

func (l *linter) container(o kobject, pod, c node, lasting bool) {
	name := c.get("name").text()
	l.confinement(o, pod, c)
	l.environment(o, c)
	image := c.get("image")
	repository, tag := SplitImage(image.text())
	if image.text() != "" && (tag == "" || tag == "latest") {
		l.add(o, image, "image-latest", "Name a version, or a digest", "container %q takes whatever %s is that day", name, repository)
	}
	resources := c.get("resources")
	var lacks []string
	for _, path := range [][]string{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
		// a limit stands for a request that is not there
		if resources.get(path...).text() == "" && (path[0] != "requests" || resources.get("limits", path[1]).text() == "") {
			lacks = append(lacks, strings.Join(path, "."))
		}
	}
	if len(lacks) > 0 {
		l.add(o, c, "no-resources", "Set resources; Belay's delegate idles at 25 MiB", "container %q has no %s", name, strings.Join(lacks, ", "))
	}
	ports := c.get("ports").items()
	probes := 0
	for _, field := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		probe := c.get(field)
		if !probe.mapping() {
			continue
		}
		probes++
		for _, how := range []string{"httpGet", "tcpSocket"} {
			if p := probe.get(how, "port"); p.text() != "" && !declares(ports, p.text()) {
				l.add(o, p, "probe-port", "Declare the port under ports", "%s asks port %s, which container %q does not declare", field, p.text(), name)
			}
		}
	}
	if lasting && probes == 0 && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.kind) {
		l.add(o, c, "no-probe", "Ask GET /api/health on port 3460 in startupProbe and livenessProbe", "container %q has no probe", name)
	}
}

func declares(ports []node, asked string) bool {
	return slices.ContainsFunc(ports, func(p node) bool {
		return p.get("name").text() == asked || p.get("containerPort").text() == asked
	})
}

// confinement is what Pod Security calls restricted.
func (l *linter) confinement(o kobject, pod, c node) {
	name, own, shared := c.get("name").text(), c.get("securityContext"), pod.get("securityContext")
	at := c
	if own.mapping() {
		at = own
	}
	either := func(field string) node {
		if n := own.get(field); n.text() != "" {
			return n
		}
		return shared.get(field)
	}
	if p := own.get("privileged"); p.text() == "true" {
		l.add(o, p, "privileged", "Leave it out", "container %q is privileged: it is the node's root", name)
	}
	uid := either("runAsUser")
	switch {
	case uid.text() == "0":
		l.add(o, uid, "runs-as-root", "Set runAsNonRoot: true and runAsUser: 1001; INIT_SCRIPT then installs into "+toolsFolder, "container %q runs as root", name)
	case either("runAsNonRoot").text() != "true":
		l.add(o, at, "runs-as-root", "Set runAsNonRoot: true", "container %q may run as root", name)
	}
	if own.get("allowPrivilegeEscalation").text() != "false" {
		l.add(o, at, "privilege-escalation", "Set allowPrivilegeEscalation: false", "programs of container %q may gain rights", name)
	}
	drops, adds := own.get("capabilities", "drop").texts(), own.get("capabilities", "add").texts()
	adds = slices.DeleteFunc(adds, func(c string) bool { return c == "NET_BIND_SERVICE" })
	if !slices.Contains(drops, "ALL") || len(adds) > 0 {
		l.add(o, at, "capabilities", `Set capabilities.drop: ["ALL"]`, "container %q keeps Linux capabilities", name)
	}
}

// secretVariables are those whose value is a secret.
func secretVariables() []string {
	return []string{TokenKey, "ACCOUNT_SECRET", "UPGRADER_TOKEN", "PROXY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "BELAY_API_KEY", "BELAY_MASTER_KEY"}
}

func (l *linter) environment(o kobject, c node) {
	for _, from := range c.get("envFrom").items() {
		l.refer(o, "Secret", from.get("secretRef", "name"), from.get("secretRef", "optional"), node{})
		l.refer(o, "ConfigMap", from.get("configMapRef", "name"), from.get("configMapRef", "optional"), node{})
	}
	root := c.get("securityContext", "runAsUser").text() == "0"
	for _, v := range c.get("env").items() {
		name, value := v.get("name").text(), v.get("value")
		for kind, field := range map[string]string{"Secret": "secretKeyRef", "ConfigMap": "configMapKeyRef"} {
			ref := v.get("valueFrom", field)
			l.refer(o, kind, ref.get("name"), ref.get("optional"), ref.get("key"))
		}
		if l.placeholder(o, value, name, value.text()) {
			continue
		}
		if value.text() != "" && slices.Contains(secretVariables(), name) {
			l.add(o, value, "secret-in-env", "Read it from a Secret with valueFrom.secretKeyRef", "%s is written into the pod, where everybody who may see pods reads it", name)
		}
		if name == "INIT_SCRIPT" {
			l.initScript(o, value, root)
		}
	}
}

var (
	rootOnly  = regexp.MustCompile(`(^|[\s;&|])(apt|apt-get|yum|dnf|microdnf|apk|rpm)\s+(-\S+\s+)*(install|update|add|upgrade)`)
	rootPaths = regexp.MustCompile(`(^|[\s;&|])(mv|cp|install|ln|tee)\s[^\n]*\s/(usr|opt|bin|sbin)(/\S*)?`)
	oneArch   = regexp.MustCompile(`(?i)(curl|wget)\s[^\n]*(amd64|x86_64|arm64|aarch64)`)
	arches    = regexp.MustCompile(`uname\s+-m|dpkg\s+--print-architecture|TARGETARCH`)
)

// initScript looks for what makes such scripts fail, which keeps the delegate from starting.
func (l *linter) initScript(o kobject, at node, root bool) {
	text := at.text()
	add := func(line int, remedy, format string, args ...any) {
		place := at
		if at.Node != nil && at.Style == yaml.LiteralStyle {
			place = at.shifted(line + 1)
		}
		l.add(o, place, "init-script", remedy, format, args...)
	}
	knows := arches.MatchString(text)
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
		case strings.HasPrefix(trimmed, "//"):
			add(i, "Begin a comment with #", "line %s of INIT_SCRIPT begins with //, which bash runs as a program", strconv.Itoa(i+1))
		case rootOnly.MatchString(trimmed) && !root:
			add(i, "Build an image with the package, or unpack the program into "+toolsFolder+"/bin", "INIT_SCRIPT installs packages, for which it would have to be root")
		case rootPaths.MatchString(trimmed) && !root && !strings.Contains(trimmed, toolsFolder):
			add(i, "Install into "+toolsFolder+"/bin, which is on PATH", "INIT_SCRIPT writes where only root may")
		case oneArch.MatchString(trimmed) && !knows:
			add(i, "Choose by uname -m", "INIT_SCRIPT fetches a program for one processor architecture, whatever the node has")
		}
	}
}
