package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/fault"
)

// MaxFile is the most that Lint reads of one file, in bytes.
const MaxFile = 4 << 20

const (
	maxFindings = 500
	maxObjects  = 2000 // of one file, since each is compared with the others
)

// Finding is one fault of a file.
type Finding struct {
	File   string
	Line   int    // from 1
	Object string // Kind/name that has it, or empty
	Rule   string // its id, one of Rules
	Text   string // what is wrong
	Remedy string // what mends it
}

// String is the finding as compilers write theirs.
func (f Finding) String() string {
	object := ""
	if f.Object != "" {
		object = f.Object + ": "
	}
	return fmt.Sprintf("%s:%d: %s: %s%s. %s", f.File, f.Line, f.Rule, object, f.Text, f.Remedy)
}

// Rule is one thing that Lint looks for.
type Rule struct {
	ID     string
	Title  string
	Server bool // an API server refuses it too; it takes the others without a word
}

// Rules are all that Lint looks for, in the order of the documents.
func Rules() []Rule {
	return []Rule{
		{"yaml", "the file is not YAML, or not objects of Kubernetes", true},
		{"duplicate", "an object is there twice, and the second wins", false},
		{"api-removed", "an apiVersion or API group that Kubernetes removed", true},
		{"api-old", "an apiVersion that is on its way out", false},
		{"namespace-missing", "a namespace that the file does not make, beside one that it makes", true},
		{"secret-base64", "data of a Secret that is not base64", true},
		{"placeholder", "a value that was meant to be replaced", false},
		{"secret-missing", "a Secret that nobody defines in the namespace of the pod", false},
		{"secret-key-missing", "a key that the Secret or ConfigMap does not have", false},
		{"secret-unused", "a Secret that nothing reads", false},
		{"secret-in-env", "a secret as plain value of a variable", false},
		{"configmap-missing", "a ConfigMap that nobody defines in the namespace of the pod", false},
		{"target-missing", "an autoscaler whose target is not there", false},
		{"target-fixed", "an autoscaler that can never add a replica", false},
		{"upgrader-target", "an upgrader whose workload or container is not there", false},
		{"subject-missing", "a binding to a service account that is not there", false},
		{"role-missing", "a binding to a role that is not there", false},
		{"role-group", "a roleRef without its API group, which a second apply sees as a change", false},
		{"role-wide", "a role that grants more than the work needs", false},
		{"cluster-admin", "the rights of cluster-admin", false},
		{"service-account-missing", "a pod with a service account that is not there", false},
		{"no-service-account", "a pod without a service account, which no IAM role reaches", false},
		{"privileged", "privileged container, host namespace or host path", false},
		{"runs-as-root", "a container that may run as root", false},
		{"privilege-escalation", "a container whose programs may gain rights", false},
		{"capabilities", "a container that keeps Linux capabilities", false},
		{"seccomp", "a pod without a seccomp profile", false},
		{"no-resources", "a container without requests or a limit of memory", false},
		{"no-probe", "a container that nobody asks whether it lives", false},
		{"probe-port", "a probe of a port that the container does not declare", false},
		{"selector-mismatch", "a selector that does not select its pods", true},
		{"image-latest", "an image without a version", false},
		{"name-too-long", "the name of a CronJob that leaves no room for its jobs'", true},
		{"init-script", "an INIT_SCRIPT that cannot work", false},
	}
}

// Lint reads a file of Kubernetes objects and names its faults in the order of their lines. expected are objects that are
// there although the file does not hold them, as Kind/name; the annotation ExpectsAnnotation says the same in the file.
// It fails, with Invalid, when the file cannot be read, is larger than MaxFile or holds too many objects.
func Lint(file string, r io.Reader, expected []string) ([]Finding, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "%s cannot be read", file)
	}
	if len(text) > MaxFile {
		return nil, fault.New(fault.Invalid, "%s is larger than %d MiB", file, MaxFile>>20)
	}
	l := &linter{file: file, expected: map[string]bool{}}
	for _, one := range expected {
		l.expect(one)
	}
	l.read(text)
	if len(l.objects) > maxObjects {
		return nil, fault.New(fault.Invalid, "%s holds more than %d objects; split it", file, maxObjects)
	}
	l.index()
	for _, o := range l.objects {
		l.object(o)
	}
	l.unused()
	slices.SortStableFunc(l.findings, func(a, b Finding) int { return a.Line - b.Line })
	if len(l.findings) > maxFindings {
		l.findings = l.findings[:maxFindings]
	}
	return l.findings, nil
}

// linter is one run.
type linter struct {
	file     string
	expected map[string]bool // Kind/name
	objects  []kobject
	findings []Finding
	used     map[string]bool // namespace/name of Secrets that something reads
}

// kobject is one object of the file.
type kobject struct {
	node
	api, kind, name, namespace string
}

func (o kobject) title() string {
	if o.name == "" {
		return o.kind
	}
	return o.kind + "/" + o.name
}

func (l *linter) expect(list string) {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one != "" {
			l.expected[one] = true
		}
	}
}

// add records a finding at a node; o may be the zero object.
func (l *linter) add(o kobject, at node, rule, remedy, format string, args ...any) {
	f := Finding{File: l.file, Line: max(at.line(), o.line(), 1), Rule: rule, Text: fmt.Sprintf(format, args...), Remedy: remedy}
	if at.line() > 0 {
		f.Line = at.line()
	}
	if o.kind != "" {
		f.Object = o.title()
	}
	if len(l.findings) <= maxFindings {
		l.findings = append(l.findings, f)
	}
}

// read takes the documents apart. What is wrong with one ends the reading, since its end is not known.
func (l *linter) read(text []byte) {
	defer func() {
		// The library gives up with a panic on a few odd inputs. They are the input's fault, not the program's.
		if r := recover(); r != nil {
			l.add(kobject{}, node{}, "yaml", "Write it as YAML", "the file is not YAML that can be read")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.add(kobject{}, node{&yaml.Node{Line: lineOf(err)}}, "yaml", "Mind indentation and quotes", "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
			return
		}
		if len(n.Content) == 0 {
			continue
		}
		if l.document(node{n.Content[0]}.target()); len(l.objects) > maxObjects {
			return
		}
	}
	if len(l.objects) == 0 && len(l.findings) == 0 {
		l.add(kobject{}, node{}, "yaml", "Name a file with objects of Kubernetes", "the file holds no object")
	}
}

// lineOf reads the line out of the library's message.
func lineOf(err error) int {
	line := 1
	if _, rest, ok := strings.Cut(err.Error(), "line "); ok {
		if n, scanErr := fmt.Sscanf(rest, "%d", &line); n != 1 || scanErr != nil {
			return 1
		}
	}
	return line
}

// document takes one, and what is inside a List.
func (l *linter) document(n node) {
	if n.null() {
		return
	}
	o := kobject{
		node: n, api: n.get("apiVersion").text(), kind: n.get("kind").text(),
		name: n.get("metadata", "name").text(), namespace: n.get("metadata", "namespace").text(),
	}
	switch {
	case o.api == "" || o.kind == "":
		l.add(kobject{}, n, "yaml", "An object begins with both", "apiVersion or kind is missing")
		return
	case o.kind == "List":
		for _, item := range n.get("items").items() {
			if item.get("kind").text() != "List" {
				l.document(item)
			}
		}
		return
	case o.name == "" && n.get("metadata", "generateName").text() == "":
		l.add(o, n, "yaml", "Give it metadata.name", "it has no name")
	}
	if o.namespace == "" && !clusterWide(o.kind) {
		o.namespace = "default"
	}
	l.expect(n.get("metadata", "annotations", ExpectsAnnotation).text())
	l.objects = append(l.objects, o)
}

// clusterWide reports whether objects of a kind lie in no namespace.
func clusterWide(kind string) bool {
	switch kind {
	case "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume", "StorageClass", "PriorityClass",
		"IngressClass", "Node", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "PodSecurityPolicy":
		return true
	}
	return false
}

// find is the object of a kind in a namespace.
func (l *linter) find(kind, namespace, name string) (kobject, bool) {
	for _, o := range l.objects {
		if o.kind == kind && o.name == name && (o.namespace == namespace || clusterWide(kind)) {
			return o, true
		}
	}
	return kobject{}, false
}

// there reports whether an object is in the file or expected outside it.
func (l *linter) there(kind, namespace, name string) bool {
	_, ok := l.find(kind, namespace, name)
	return ok || l.expected[kind+"/"+name]
}

// elsewhere says where objects of that kind are instead: the same name in another namespace, or the only ones there are.
func (l *linter) elsewhere(kind, namespace, name string) string {
	var others []string
	for _, o := range l.objects {
		switch {
		case o.kind != kind:
		case o.name == name:
			return fmt.Sprintf("; one of that name is in namespace %q", o.namespace)
		case o.namespace == namespace:
			others = append(others, fmt.Sprintf("%q", o.name))
		}
	}
	if len(others) == 0 || len(others) > 3 {
		return ""
	}
	return "; there is " + strings.Join(others, ", ")
}

// index finds what concerns several objects: twins, and namespaces that nobody makes.
func (l *linter) index() {
	seen := map[string]kobject{}
	makes, firstUse, order := map[string]bool{}, map[string]kobject{}, []string{}
	for _, o := range l.objects {
		group, _, _ := strings.Cut(o.api, "/")
		key := strings.Join([]string{group, o.kind, o.namespace, o.name}, "|")
		if before, twice := seen[key]; twice && o.name != "" {
			l.add(o, o.node, "duplicate", "Leave out one of them", "it is described a second time; the first is at line %d", before.line())
		}
		seen[key] = o
		if o.kind == "Namespace" {
			makes[o.name] = true
		}
		if _, used := firstUse[o.namespace]; !used && o.namespace != "" {
			firstUse[o.namespace] = o
			order = append(order, o.namespace)
		}
	}
	if len(makes) == 0 && len(order) < 2 {
		return // one namespace that was there before: the usual way to apply a file
	}
	for _, namespace := range order {
		if makes[namespace] || l.expected["Namespace/"+namespace] || slices.Contains([]string{"default", "kube-system", "kube-public"}, namespace) {
			continue
		}
		o := firstUse[namespace]
		count := 0
		for _, other := range l.objects {
			if other.namespace == namespace {
				count++
			}
		}
		l.add(o, o.get("metadata", "namespace"), "namespace-missing", "Use one namespace for all objects, or add a Namespace object",
			"namespace %q is not made by this file, and %d of its objects lie in it", namespace, count)
	}
}

// object looks at one.
func (l *linter) object(o kobject) {
	l.version(o)
	switch o.kind {
	case "Secret":
		l.secret(o)
	case "RoleBinding", "ClusterRoleBinding":
		l.binding(o)
	case "Role", "ClusterRole":
		l.role(o)
	case "HorizontalPodAutoscaler":
		l.autoscaler(o)
	case "ConfigMap":
		l.upgraderSettings(o)
	case "Service":
		if s := o.get("spec", "selector"); s.mapping() {
			l.selects(o, s)
		}
	case "PodDisruptionBudget":
		if s := o.get("spec", "selector", "matchLabels"); s.mapping() {
			l.selects(o, s)
		}
	case "CronJob":
		if len(o.name) > maxName {
			l.add(o, o.get("metadata", "name"), "name-too-long", "Shorten it: the jobs' names are made of it", "the name has %d characters, and %d are the most", len(o.name), maxName)
		}
	}
	if p := o.pod(); p.mapping() {
		l.workload(o, p)
	}
}

// template is the pod template of a workload.
func (o kobject) template() node {
	switch o.kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		return o.get("spec", "template")
	case "CronJob":
		return o.get("spec", "jobTemplate", "spec", "template")
	}
	return node{}
}

// pod is the specification of the pods that an object makes.
func (o kobject) pod() node {
	if o.kind == "Pod" {
		return o.get("spec")
	}
	return o.template().get("spec")
}

// node is a part of a document. The zero node is what is not there; every question may be asked of it.
type node struct{ *yaml.Node }

func (n node) line() int {
	if n.Node == nil {
		return 0
	}
	return n.Line
}

// target is what an alias stands for.
func (n node) target() node {
	if n.Node != nil && n.Kind == yaml.AliasNode {
		return node{n.Alias}
	}
	return n
}

func (n node) mapping() bool { return n.Node != nil && n.Kind == yaml.MappingNode }

func (n node) null() bool { return n.Node == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text is a scalar as it was written.
func (n node) text() string {
	if n.Node == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// get follows keys.
func (n node) get(keys ...string) node {
	for _, key := range keys {
		next := node{}
		if n.mapping() {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					next = node{n.Content[i+1]}.target()
					break
				}
			}
		}
		n = next
	}
	return n
}

// items are those of a list.
func (n node) items() []node {
	if n.Node == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]node, len(n.Content))
	for i, one := range n.Content {
		all[i] = node{one}.target()
	}
	return all
}

// texts are those of a list of scalars.
func (n node) texts() []string {
	var all []string
	for _, one := range n.items() {
		all = append(all, one.text())
	}
	return all
}

// shifted is the place some lines further down.
func (n node) shifted(by int) node {
	if n.Node == nil {
		return n
	}
	return node{&yaml.Node{Kind: yaml.ScalarNode, Line: n.Line + by}}
}

// entry is a key with its value.
type entry struct {
	key   string
	at    node // the key
	value node
}

func (n node) entries() []entry {
	if !n.mapping() {
		return nil
	}
	var all []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		all = append(all, entry{n.Content[i].Value, node{n.Content[i]}, node{n.Content[i+1]}.target()})
	}
	return all
}
