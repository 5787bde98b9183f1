//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const lintFolder = root + "/internal/manifest/testdata/lint"

func sample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(lintFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// finding is one of `belay delegate manifest lint`.
type finding struct {
	Object string `json:"object"`
	Rule   string `json:"rule"`
}

func lint(t *testing.T, path string) []finding {
	t.Helper()
	const different = 3
	out, _ := runBelay(t, different, nil, "delegate", "manifest", "lint", "-o", "json", path)
	var all []finding
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func count(text, what string) int { return strings.Count(text, what) }

// The sample manifest that is copied most, on a server: what it refuses, what it takes without a word, and that lint finds
// both.
func TestE2ESampleManifest(t *testing.T) {
	t.Parallel()
	text := sample(t, "sample.yaml")
	const base64 = "illegal base64 data at input byte 4"
	missing := `namespaces "harness-delegate-ng" not found`
	apply := []string{"apply", "--validate=strict", "-f", "-"}

	a := kubectl(t, text, append(apply, "--dry-run=server")...)
	if count(a.out, "created (server dry run)") != 2 || count(a.err, "(NotFound)") != 8 || count(a.err, missing) != 7 || count(a.err, "(BadRequest)") != 1 || a.code == 0 {
		t.Errorf("dry run on an empty cluster: code %d\n%s%s", a.code, a.out, a.err)
	}
	a = kubectl(t, text, apply...)
	if count(a.out, " created\n") != 3 || count(a.err, missing) != 7 || count(a.err, `(BadRequest): error when creating "STDIN": Secret in version "v1" cannot be handled as a Secret: `+base64) != 1 {
		t.Errorf("on an empty cluster: code %d\n%s%s", a.code, a.out, a.err)
	}
	does(t, "", "create", "namespace", "harness-delegate-ng")
	a = kubectl(t, text, apply...)
	if count(a.out, " created\n") != 7 || count(a.out, " unchanged\n") != 3 || count(a.err, "Error from server") != 1 || count(a.err, base64) != 1 {
		t.Errorf("with the namespace: code %d\n%s%s", a.code, a.out, a.err)
	}
	a = kubectl(t, text, apply...)
	if !strings.Contains(a.out, "rolebinding.rbac.authorization.k8s.io/newdel-upgrader-cronjob configured") {
		t.Errorf("a second apply does not change the binding without an API group:\n%s%s", a.out, a.err)
	}
	if a = kubectl(t, text, append(apply, "--server-side", "--force-conflicts")...); count(a.err, "error decoding from json: "+base64) != 1 {
		t.Errorf("server-side: %s", a.err)
	}
	if o := into1(t, "get", "horizontalpodautoscalers.v2.autoscaling", "eks-test-new-hpa", "--namespace", "harness-delegate-ng"); o.APIVersion != "autoscaling/v2" {
		t.Errorf("the autoscaler is served as %s", o.APIVersion)
	}

	// The server took these; they point nowhere, or give too much.
	found := lint(t, filepath.Join(lintFolder, "sample.yaml"))
	for _, want := range []finding{
		{"HorizontalPodAutoscaler/eks-test-new-hpa", "target-missing"},
		{"HorizontalPodAutoscaler/eks-test-new-hpa", "target-fixed"},
		{"ConfigMap/newdel-upgrader-config", "upgrader-target"},
		{"Deployment/eks-test-new", "secret-missing"},
		{"Deployment/eks-test-new", "no-service-account"},
		{"Deployment/eks-test-new", "probe-port"},
		{"ClusterRoleBinding/harness-delegate-cluster-admin", "subject-missing"},
		{"ClusterRoleBinding/harness-delegate-cluster-admin", "cluster-admin"},
		{"Secret/eks-test-new-proxy", "secret-unused"},
		{"RoleBinding/newdel-upgrader-cronjob", "role-group"},
		{"Role/upgrader-cronjob", "role-wide"},
		{"Deployment/eks-test-new", "placeholder"},
	} {
		kind, name, _ := strings.Cut(want.Object, "/")
		args := []string{"get", kind, name}
		if kind != "ClusterRoleBinding" {
			args = append(args, "--namespace", map[bool]string{true: "harness-delegate", false: "harness-delegate-ng"}[kind == "Secret"])
		}
		does(t, "", args...)
		if !slices.Contains(found, want) {
			t.Errorf("lint does not find %s of %s", want.Rule, want.Object)
		}
	}
	for _, want := range []finding{{"Deployment/eks-test-new", "namespace-missing"}, {"Secret/newdel-upgrader-token", "secret-base64"}} {
		if !slices.Contains(found, want) {
			t.Errorf("lint does not find %s of %s, which the server refused", want.Rule, want.Object)
		}
	}
}

// What Pod Security says of the sample is what lint says.
func TestE2ESampleUnderRestricted(t *testing.T) {
	t.Parallel()
	namespace := namespaceOf(t)
	restrictedNamespace(t, namespace)
	text := strings.ReplaceAll(sample(t, "sample.yaml"), "harness-delegate-ng", namespace)
	a := kubectl(t, text, "apply", "-f", "-")
	found := lint(t, filepath.Join(lintFolder, "sample.yaml"))
	for object, wants := range map[string]map[string]string{
		"Deployment/eks-test-new": {
			`must set securityContext.capabilities.drop=["ALL"]`: "capabilities", "runAsUser=0": "runs-as-root", "seccompProfile": "seccomp",
		},
		"CronJob/newdel-upgrader-job": {
			"allowPrivilegeEscalation != false": "privilege-escalation", `must set securityContext.capabilities.drop=["ALL"]`: "capabilities",
			"runAsNonRoot != true": "runs-as-root", "seccompProfile": "seccomp",
		},
	} {
		container := `container "delegate"`
		if strings.HasPrefix(object, "CronJob") {
			container = `container "upgrader"`
		}
		said := ""
		for line := range strings.Lines(a.err) {
			if strings.HasPrefix(line, "Warning: would violate PodSecurity") && strings.Contains(line, container) {
				said = line
			}
		}
		for want, rule := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("the server does not say %q of %s: %s", want, object, said)
			}
			if !slices.Contains(found, finding{object, rule}) {
				t.Errorf("lint does not say %s of %s", rule, object)
			}
		}
	}
	o := into1(t, "get", "deployment", "eks-test-new", "--namespace", namespace)
	labels, spec := template(t, o)
	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "probe", "namespace": namespace, "labels": labels}, "spec": spec})
	if err != nil {
		t.Fatal(err)
	}
	does(t, "", "create", "serviceaccount", "default", "--namespace", namespace)
	if a := kubectl(t, string(body), "create", "--dry-run=server", "-f", "-"); a.code == 0 || !strings.Contains(a.err, `violates PodSecurity "restricted:latest"`) {
		t.Errorf("the server takes its pod: %s%s", a.out, a.err)
	}
}

// API versions that Kubernetes removed.
func TestE2ERemovedVersions(t *testing.T) {
	t.Parallel()
	a := kubectl(t, sample(t, "old-binding.yaml"), "apply", "--dry-run=server", "-f", "-")
	for _, want := range []string{
		`no matches for kind "HorizontalPodAutoscaler" in version "autoscaling/v2beta2"`, `no matches for kind "CronJob" in version "batch/v1beta1"`,
		`no matches for kind "ClusterRoleBinding" in version "rbac.authorization.k8s.io/v1beta1"`,
	} {
		if !strings.Contains(a.err, want) {
			t.Errorf("it does not say %q:\n%s", want, a.err)
		}
	}
}

// What lint says of each of its rules, that an API server finds it too or not, is so. The cases are those of its own test,
// each with one fault.
func TestE2ELintRules(t *testing.T) {
	t.Parallel()
	var rules []struct {
		ID     string `json:"id"`
		Server bool   `json:"server"`
	}
	out, _ := runBelay(t, 0, nil, "delegate", "manifest", "lint", "--rules", "-o", "json")
	if err := json.Unmarshal([]byte(out), &rules); err != nil {
		t.Fatal(err)
	}
	refusals := map[string]string{
		"api-removed": "no matches for kind", "name-too-long": "must be no more than 52 characters", "namespace-missing": `namespaces "absent" not found`,
		"secret-base64": "illegal base64 data", "selector-mismatch": "`selector` does not match template `labels`", "yaml": "error",
	}
	// Kubernetes looks at the selector of a workload, and not at those that others have for its pods.
	accepted := []string{"selector-mismatch: a Service of others", "selector-mismatch: a budget of others"}
	cases := casesOf(t)
	for _, r := range rules {
		if r.Server != (refusals[r.ID] != "") {
			t.Errorf("lint says of %s that the server finds it: %v", r.ID, r.Server)
		}
		if !slices.ContainsFunc(cases, func(c [2]string) bool { return strings.HasPrefix(c[0], r.ID+": ") }) {
			t.Errorf("no case of %s", r.ID)
		}
	}
	for _, c := range cases {
		t.Run(c[0], func(t *testing.T) {
			t.Parallel()
			namespace := namespaceOf(t)
			does(t, "", "create", "namespace", namespace)
			rule, _, _ := strings.Cut(c[0], ": ")
			want := refusals[rule]
			if slices.Contains(accepted, c[0]) {
				want = ""
			}
			a := kubectl(t, c[1], "--kubeconfig", cluster.configIn(t, namespace), "apply", "--server-side", "--validate=strict", "-f", "-")
			if (a.code == 0) != (want == "") || !strings.Contains(a.err, want) {
				t.Errorf("code %d, want %q\n%s\n%s", a.code, want, a.err, c[1])
			}
		})
	}
}

// casesOf are the title and the text of each case, in the form of txtar.
func casesOf(t *testing.T) [][2]string {
	t.Helper()
	text, err := os.ReadFile(root + "/internal/manifest/testdata/golden/lint-rules.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for line := range strings.Lines(string(text)) {
		if title, found := strings.CutPrefix(line, "-- "); found {
			all = append(all, [2]string{strings.TrimSuffix(title, " --\n")})
			continue
		}
		all[len(all)-1][1] += line
	}
	return all
}
