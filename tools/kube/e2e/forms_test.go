//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/belay-dev/belay/tools/kube/forms"
)

// object is what the tests look at of one.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
		ResourceVersion string            `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
	Spec json.RawMessage   `json:"spec"`
}

func (o object) title() string { return o.Kind + "/" + o.Metadata.Name }

// pod is what the tests look at of a pod's specification.
type pod struct {
	Containers []struct {
		Image string `json:"image"`
		Env   []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
			From  struct {
				Secret struct {
					Name string `json:"name"`
					Key  string `json:"key"`
				} `json:"secretKeyRef"`
			} `json:"valueFrom"`
		} `json:"env"`
	} `json:"containers"`
}

// mode is a way to apply a file.
type mode string

const (
	serverSide mode = "server-side" // as the head of each file says
	clientSide mode = "client-side" // as everybody did before
)

func (m mode) args() []string {
	args := []string{"apply", "--validate=strict", "-f", "-"}
	if m == serverSide {
		args = append(args, "--server-side")
	}
	return args
}

// file writes a file into the test's folder.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// written is what `belay delegate manifest` writes into a namespace.
func written(t *testing.T, kind, namespace string, args ...string) string {
	t.Helper()
	text, err := forms.Manifest{Kind: kind, Args: args}.Write(t.Context(), belay, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A file of each kind, with everything that changes its objects, is applied in both ways.
func TestE2EManifestsApply(t *testing.T) {
	t.Parallel()
	all, err := forms.Manifests(t.TempDir(), "kubernetes", "statefulset")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range all {
		for _, m := range []mode{serverSide, clientSide} {
			t.Run(strings.Join([]string{tt.Kind, tt.Name, string(m)}, ", "), func(t *testing.T) {
				t.Parallel()
				namespace := namespaceOf(t)
				holds(t, m, written(t, tt.Kind, namespace, tt.Args...), namespace)
			})
		}
	}
}

// namespaceOf is a namespace for one test: nothing deletes them, since that is a controller's work.
func namespaceOf(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, r := range strings.ToLower(t.Name()) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.TrimPrefix(b.String(), "teste2e")
	return strings.Trim(name[max(0, len(name)-63):], "-") // the end tells them apart, and 63 is the most that Kubernetes takes
}

// holds applies a text, a second time, too, and looks at what the server has then.
func holds(t *testing.T, m mode, text, namespace string) {
	t.Helper()
	declared := objects(t, text)
	does(t, text, m.args()...)
	before := stored(t, text)
	if len(before) != len(declared) {
		t.Fatalf("%d objects are declared and %d stored", len(declared), len(before))
	}
	again := does(t, text, m.args()...)
	said := strings.Split(strings.TrimSpace(again), "\n")
	for i, o := range stored(t, text) {
		if o.Metadata.ResourceVersion != before[i].Metadata.ResourceVersion {
			t.Errorf("%s was changed by a second apply of the same file", o.title())
		}
		if m == clientSide && !strings.HasSuffix(said[i], " unchanged") && !sentAnyway(declared[i]) {
			t.Errorf("applied again: %s", said[i])
		}
	}
	prerequisites(t, before, namespace)
	for _, o := range before {
		runs(t, o, namespace)
		reaches(t, o, namespace)
	}
	labels := into1(t, "get", "namespace", namespace).Metadata.Labels
	if labels["pod-security.kubernetes.io/enforce"] != "restricted" || labels["pod-security.kubernetes.io/warn"] != "restricted" {
		t.Errorf("the namespace does not enforce Pod Security restricted: %v", labels)
	}
}

// sentAnyway reports whether a client-side apply sends something for an object that is as it should be, and calls it
// configured: what the server gives back under another name (stringData), fills in (claims), or replaces as a whole.
func sentAnyway(o object) bool {
	switch o.Kind {
	case "Secret", "PodDisruptionBudget":
		return true
	case "StatefulSet":
		return bytes.Contains(o.Spec, []byte(`"volumeClaimTemplates"`))
	}
	return false
}

// objects are those of a file.
func objects(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	for part := range strings.SplitSeq("\n"+text, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(part), &o); err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
	return all
}

// stored are the same objects as the server has them.
func stored(t *testing.T, text string) []object {
	t.Helper()
	var list struct {
		Items []object `json:"items"`
	}
	into(t, &list, text, "get", "-f", "-", "-o", "json")
	return list.Items
}

// into1 is one object that kubectl prints.
func into1(t *testing.T, args ...string) object {
	t.Helper()
	var o object
	into(t, &o, "", append(args, "-o", "json")...)
	return o
}

// prerequisites makes what a file says that it expects.
func prerequisites(t *testing.T, all []object, namespace string) {
	t.Helper()
	for _, o := range all {
		for one := range strings.SplitSeq(o.Metadata.Annotations["belay.dev/expects"], ",") {
			kind, name, _ := strings.Cut(one, "/")
			switch kind {
			case "":
			case "ServiceAccount":
				does(t, "", "create", "serviceaccount", name, "--namespace", namespace)
			case "Secret":
				does(t, "", "create", "secret", "generic", name, "--namespace", namespace,
					"--from-literal=DELEGATE_TOKEN="+forms.Token, "--from-literal=PROXY_USER=u", "--from-literal=PROXY_PASSWORD=p")
			default:
				t.Errorf("%s expects %s", o.title(), one)
			}
		}
	}
}

// template is the pod template of a workload.
func template(t *testing.T, o object) (labels map[string]string, spec json.RawMessage) {
	t.Helper()
	type podTemplate struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec"`
	}
	var outer struct {
		Template podTemplate `json:"template"`
		Job      struct {
			Spec struct {
				Template podTemplate `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
	}
	switch o.Kind {
	case "Deployment", "StatefulSet", "CronJob":
		if err := json.Unmarshal(o.Spec, &outer); err != nil {
			t.Fatal(err)
		}
		if o.Kind == "CronJob" {
			return outer.Job.Spec.Template.Metadata.Labels, outer.Job.Spec.Template.Spec
		}
		return outer.Template.Metadata.Labels, outer.Template.Spec
	}
	return nil, nil
}

// runs asks the server for the pod that a workload would make: Pod Security is enforced on pods, and its service account
// must be there. Each Secret that the pod refers to must be there, with the key.
func runs(t *testing.T, o object, namespace string) {
	t.Helper()
	labels, spec := template(t, o)
	if spec == nil {
		return
	}
	spec = withClaims(t, o, spec)
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": "probe-", "namespace": namespace, "labels": labels}, "spec": spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := kubectl(t, string(text), "create", "--dry-run=server", "--validate=strict", "-f", "-"); a.code != 0 || a.err != "" {
		t.Errorf("a pod of %s: %s", o.title(), a.err)
	}
	var p pod
	if err := json.Unmarshal(spec, &p); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Containers {
		for _, v := range c.Env {
			if ref := v.From.Secret; ref.Name != "" {
				if _, there := into1(t, "get", "secret", ref.Name, "--namespace", namespace).Data[ref.Key]; !there {
					t.Errorf("%s reads %s of Secret %s, which has %v", o.title(), ref.Key, ref.Name, ref)
				}
			}
		}
	}
}

// withClaims adds the volumes that a StatefulSet's controller adds to its pods.
func withClaims(t *testing.T, o object, spec json.RawMessage) json.RawMessage {
	t.Helper()
	var outer struct {
		Claims []object `json:"volumeClaimTemplates"`
	}
	inner := map[string]any{}
	if err := errors.Join(json.Unmarshal(o.Spec, &outer), json.Unmarshal(spec, &inner)); err != nil {
		t.Fatal(err)
	}
	volumes, _ := inner["volumes"].([]any)
	for _, c := range outer.Claims {
		name := c.Metadata.Name
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name + "-" + o.Metadata.Name + "-0"}})
	}
	inner["volumes"] = volumes
	out, err := json.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reaches asks the server for the scale of an autoscaler's target, as its controller would.
func reaches(t *testing.T, o object, namespace string) {
	t.Helper()
	if o.Kind != "HorizontalPodAutoscaler" {
		return
	}
	var spec struct {
		Target struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Name       string `json:"name"`
		} `json:"scaleTargetRef"`
	}
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	does(t, "", "get", "--raw", fmt.Sprintf("/apis/%s/namespaces/%s/%ss/%s/scale", spec.Target.APIVersion, namespace, strings.ToLower(spec.Target.Kind), spec.Target.Name))
}

// The head of a file says what to do first and how to install it. Those lines are run by a shell as they stand.
func TestE2EHeadOfTheFile(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	for _, kind := range []string{"kubernetes", "statefulset"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			namespace := namespaceOf(t)
			text := written(t, kind, namespace, "--name", "eks-prod", "--proxy", "http://proxy.internal:3128", "--proxy-secret", "way-out")
			script := commands(t, text, file(t, text))
			m.shell(t, strings.ReplaceAll(strings.ReplaceAll(script, "token show TOKEN", "token show "+m.tokenName), "=…", "=x"))
			all := stored(t, text)
			for _, o := range all {
				runs(t, o, namespace)
			}
			got := into1(t, "get", "secret", "eks-prod-token", "--namespace", namespace).Data["DELEGATE_TOKEN"]
			if got != m.token64() {
				t.Errorf("the Secret holds %q in base64", got)
			}
		})
	}
}

// commands are those of a file's head, with the file's name.
func commands(t *testing.T, text, path string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(text) {
		line, comment := strings.CutPrefix(strings.TrimRight(line, "\n"), "# ")
		if !comment {
			continue
		}
		for _, before := range []string{"First:    ", "          ", "Install:  "} {
			if command, found := strings.CutPrefix(line, before); found {
				all = append(all, strings.ReplaceAll(command, "FILE", path))
				break
			}
		}
	}
	if len(all) < 3 {
		t.Fatalf("the head says:\n%s", strings.Join(all, "\n"))
	}
	return strings.Join(all, "\n")
}

// serviceMonitors is the kind of the Prometheus operator, as far as an API server needs it to keep one.
const serviceMonitors = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, listKind: ServiceMonitorList, plural: servicemonitors, singular: servicemonitor}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`

// The charts are rendered by Helm's engine, with values that the program writes and with all their switches.
func TestE2EChartsApply(t *testing.T) {
	t.Parallel()
	does(t, serviceMonitors, "apply", "-f", "-")
	does(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd/servicemonitors.monitoring.coreos.com")
	delegates, err := forms.Delegates(t.Context(), belay, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range append(forms.Charts(), delegates...) {
		for _, m := range []mode{serverSide, clientSide} {
			t.Run(strings.Join([]string{tt.Name, tt.Title, string(m)}, ", "), func(t *testing.T) {
				t.Parallel()
				namespace := namespaceOf(t)
				text, err := tt.Render(root, "prod", namespace)
				if err != nil {
					t.Fatal(err)
				}
				restrictedNamespace(t, namespace)
				for _, one := range tt.Expect {
					kind, name, _ := strings.Cut(one, "/")
					if kind == "ServiceAccount" {
						does(t, "", "create", "serviceaccount", name, "--namespace", namespace)
						continue
					}
					does(t, "", "create", "secret", "generic", name, "--namespace", namespace, "--from-literal=DELEGATE_TOKEN="+forms.Token,
						"--from-literal=PROXY_USER=u", "--from-literal=PROXY_PASSWORD=p", "--from-literal=url=postgres://db/belay", "--from-literal=key=k")
				}
				holds(t, m, text, namespace)
			})
		}
	}
}

// restrictedNamespace makes a namespace that enforces Pod Security restricted.
func restrictedNamespace(t *testing.T, name string) {
	t.Helper()
	does(t, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+name+"\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n    pod-security.kubernetes.io/warn: restricted\n", "create", "-f", "-")
}
