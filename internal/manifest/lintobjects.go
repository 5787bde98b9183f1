package manifest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// removed are API versions that Kubernetes serves no more, with the one that took their place. Source:
// https://kubernetes.io/docs/reference/using-api/deprecation-guide/
func removed() map[string]string {
	return map[string]string{
		"extensions/v1beta1": "apps/v1, networking.k8s.io/v1", "apps/v1beta1": "apps/v1", "apps/v1beta2": "apps/v1",
		"autoscaling/v2beta1": "autoscaling/v2", "autoscaling/v2beta2": "autoscaling/v2", "batch/v1beta1": "batch/v1", "batch/v2alpha1": "batch/v1",
		"policy/v1beta1":                    "policy/v1",
		"rbac.authorization.k8s.io/v1beta1": "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1alpha1": "rbac.authorization.k8s.io/v1",
		"networking.k8s.io/v1beta1": "networking.k8s.io/v1", "apiextensions.k8s.io/v1beta1": "apiextensions.k8s.io/v1",
		"admissionregistration.k8s.io/v1beta1": "admissionregistration.k8s.io/v1", "coordination.k8s.io/v1beta1": "coordination.k8s.io/v1",
		"storage.k8s.io/v1beta1": "storage.k8s.io/v1", "scheduling.k8s.io/v1beta1": "scheduling.k8s.io/v1",
		"certificates.k8s.io/v1beta1": "certificates.k8s.io/v1", "discovery.k8s.io/v1beta1": "discovery.k8s.io/v1", "events.k8s.io/v1beta1": "events.k8s.io/v1",
	}
}

func (l *linter) version(o kobject) {
	at := o.get("apiVersion")
	if now, gone := removed()[o.api]; gone {
		l.add(o, at, "api-removed", "Use "+now, "%s is served no more", o.api)
	}
	if o.kind == "HorizontalPodAutoscaler" && o.api == "autoscaling/v1" {
		l.add(o, at, "api-old", "Use autoscaling/v2, as which the server keeps it", "autoscaling/v1 knows CPU only")
	}
}

// placeholder is what samples hold in the place of what belongs there.
var placeholder = regexp.MustCompile(`^(YOUR|PUT_YOUR|REPLACE|CHANGE)_?[A-Z_]*[A-Z]$|^<[A-Za-z][A-Za-z _-]*>$|^_{1,2}[a-zA-Z]+_{1,2}$|(?i:^change-?me$)`)

func (l *linter) placeholder(o kobject, at node, what, value string) bool {
	found := placeholder.MatchString(strings.TrimSpace(value))
	if found {
		l.add(o, at, "placeholder", "Put the value there", "%s still is %q", what, value)
	}
	return found
}

func (l *linter) secret(o kobject) {
	for _, e := range o.get("data").entries() {
		text := e.value.text()
		if l.placeholder(o, e.value, "data."+e.key, text) && validBase64(text) {
			continue
		}
		if !validBase64(text) {
			l.add(o, e.value, "secret-base64", "Move it to stringData, which takes text as it is", "data.%s is not base64", e.key)
		}
	}
	for _, e := range o.get("stringData").entries() {
		l.placeholder(o, e.value, "stringData."+e.key, e.value.text())
	}
}

func validBase64(text string) bool {
	_, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "").Replace(text))
	return err == nil
}

// unused finds Secrets of the file that nothing in it reads. Those with a type of their own are for others.
func (l *linter) unused() {
	for _, o := range l.objects {
		kind := o.get("type").text()
		if o.kind != "Secret" || l.used[o.namespace+"/"+o.name] || kind != "" && kind != "Opaque" {
			continue
		}
		where := ""
		for _, other := range l.objects {
			if other.pod().mapping() && other.namespace != o.namespace {
				where = fmt.Sprintf(", and a pod of namespace %q cannot", other.namespace)
				break
			}
		}
		l.add(o, o.get("metadata", "name"), "secret-unused", "Refer to it from the pod, in the pod's namespace, or leave it out", "nothing in namespace %q reads it%s", o.namespace, where)
	}
}

func (l *linter) binding(o kobject) {
	ref := o.get("roleRef")
	kind, name := ref.get("kind").text(), ref.get("name").text()
	const group = "rbac.authorization.k8s.io"
	if ref.mapping() && ref.get("apiGroup").text() != group {
		at := ref.get("apiGroup")
		if at.Node == nil {
			at = ref
		}
		l.add(o, at, "role-group", "Write apiGroup: "+group, "roleRef.apiGroup is %q, which the server replaces", ref.get("apiGroup").text())
	}
	switch {
	case kind == "ClusterRole" && name == "cluster-admin":
		l.add(o, ref.get("name"), "cluster-admin", "Leave the binding out: work in AWS needs no right in the cluster. For deployments into the cluster bind a Role that names what they touch",
			"it gives every right in the cluster")
	case kind == "Role" && !l.there("Role", o.namespace, name):
		l.add(o, ref.get("name"), "role-missing", "Correct the name, or add the Role", "there is no Role %q in namespace %q%s", name, o.namespace, l.elsewhere("Role", o.namespace, name))
	case kind == "ClusterRole" && !l.there(kind, "", name) && !slices.Contains([]string{"admin", "edit", "view"}, name) && !strings.HasPrefix(name, "system:"):
		l.add(o, ref.get("name"), "role-missing", "Correct the name, or add the ClusterRole", "there is no ClusterRole %q", name)
	}
	for _, s := range o.get("subjects").items() {
		if s.get("kind").text() != "ServiceAccount" {
			continue
		}
		subject, namespace := s.get("name").text(), s.get("namespace").text()
		if namespace == "" {
			namespace = o.namespace
		}
		if subject != "default" && !l.there("ServiceAccount", namespace, subject) {
			l.add(o, s.get("name"), "subject-missing", "Add the ServiceAccount, or bind the one that the pod uses",
				"there is no ServiceAccount %q in namespace %q%s", subject, namespace, l.elsewhere("ServiceAccount", namespace, subject))
		}
	}
}

func (l *linter) role(o kobject) {
	for _, r := range o.get("rules").items() {
		groups, resources, verbs := r.get("apiGroups").texts(), r.get("resources").texts(), r.get("verbs").texts()
		all := slices.Contains(verbs, "*") && slices.Contains(resources, "*")
		writes := slices.ContainsFunc(verbs, func(v string) bool {
			return slices.Contains([]string{"*", "create", "update", "patch", "delete", "deletecollection"}, v)
		})
		workloads := slices.ContainsFunc(resources, func(r string) bool {
			return slices.Contains([]string{"*", "deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "pods", "replicasets"}, r)
		})
		switch {
		case all && slices.Contains(groups, "*"):
			l.add(o, r, "cluster-admin", "Name API groups, resources and verbs", "the rule allows everything")
		case slices.Contains(verbs, "*") || slices.Contains(resources, "*"):
			l.add(o, r, "role-wide", "Name resources and verbs", "the rule has a * for resources or verbs")
		case writes && workloads && len(r.get("resourceNames").items()) == 0:
			l.add(o, r.get("verbs"), "role-wide", "Add resourceNames; an upgrader needs get and patch on its one workload",
				"it may %s every one of %s in the namespace, and with them take the rights of any pod there", strings.Join(writing(verbs), ", "), strings.Join(resources, ", "))
		}
		if slices.Contains(groups, "extensions") {
			l.add(o, r.get("apiGroups"), "api-removed", "Leave it out; apps has the workloads", "the API group extensions has no workloads any more")
		}
	}
}

func writing(verbs []string) []string {
	return slices.DeleteFunc(slices.Clone(verbs), func(v string) bool { return slices.Contains([]string{"get", "list", "watch"}, v) })
}

func (l *linter) autoscaler(o kobject) {
	ref := o.get("spec", "scaleTargetRef")
	kind, name := ref.get("kind").text(), ref.get("name").text()
	if kind != "" && !l.there(kind, o.namespace, name) {
		l.add(o, ref.get("name"), "target-missing", "Name the workload", "there is no %s %q in namespace %q%s", kind, name, o.namespace, l.elsewhere(kind, o.namespace, name))
	}
	least, most := o.get("spec", "minReplicas").text(), o.get("spec", "maxReplicas")
	if least == "" {
		least = "1"
	}
	if most.text() != "" && least == most.text() {
		l.add(o, most, "target-fixed", "Raise maxReplicas, or leave the autoscaler out", "minReplicas and maxReplicas both are %s", least)
	}
}

// upgraderSettings looks into the settings of an upgrader, which are a file inside a ConfigMap.
func (l *linter) upgraderSettings(o kobject) {
	for _, e := range o.get("data").entries() {
		if e.key != "config.yaml" && e.key != "config.yml" {
			continue
		}
		n, ok := parseInner(e.value.text())
		if !ok || n.get("mode").text() != "Delegate" || n.get("workloadName").text() == "" {
			continue
		}
		workload, namespace, container := n.get("workloadName").text(), n.get("namespace").text(), n.get("containerName").text()
		if namespace == "" {
			namespace = o.namespace
		}
		at := func(n node) node { return e.value.shifted(n.line()) }
		for _, one := range n.get("delegateConfig").entries() {
			l.placeholder(o, at(one.value), one.key, one.value.text())
		}
		kind := cmp.Or(n.get("workloadKind").text(), "Deployment")
		target, found := l.find(kind, namespace, workload)
		switch {
		case !found && !l.expected[kind+"/"+workload]:
			remedy := "Set workloadName to the name of the delegate's " + kind
			if _, other := l.find("StatefulSet", namespace, workload); other {
				remedy = "Set workloadKind: StatefulSet"
			}
			l.add(o, at(n.get("workloadName")), "upgrader-target", remedy,
				"the upgrader's workloadName is %q, and there is no such %s in namespace %q%s", workload, kind, namespace, l.elsewhere(kind, namespace, workload))
		case found && container != "" && !slices.ContainsFunc(target.pod().get("containers").items(), func(c node) bool { return c.get("name").text() == container }):
			l.add(o, at(n.get("containerName")), "upgrader-target", "Set containerName to the name of the delegate's container",
				"the upgrader's containerName is %q, and %s %q has no such container", container, kind, workload)
		}
	}
}

// parseInner reads a file that is a text in another.
func parseInner(text string) (n node, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			n, ok = node{}, false // the library gives up with a panic on a few odd inputs
		}
	}()
	var root yaml.Node
	if yaml.Unmarshal([]byte(text), &root) != nil || len(root.Content) == 0 {
		return node{}, false
	}
	n = node{root.Content[0]}.target()
	return n, n.mapping()
}

// selects looks whether a Service or a budget selects pods of the file, in a file that has any.
func (l *linter) selects(o kobject, selector node) {
	any := false
	for _, w := range l.objects {
		labels := w.template().get("metadata", "labels")
		if w.kind == "Pod" {
			labels = w.get("metadata", "labels")
		}
		if !w.pod().mapping() || w.namespace != o.namespace {
			continue
		}
		any = true
		if unmatched(selector, labels) == "" {
			return
		}
	}
	if any {
		l.add(o, selector, "selector-mismatch", "Use the labels of the pod template", "no pod of this file has these labels")
	}
}

// unmatched is the first label that a selector wants and the pods lack.
func unmatched(selector, labels node) string {
	for _, e := range selector.entries() {
		if labels.get(e.key).text() != e.value.text() {
			return e.key
		}
	}
	return ""
}
