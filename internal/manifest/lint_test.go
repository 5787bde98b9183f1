package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
)

// The files are the samples that people copy; every fault that is known of them is found, each on its line.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sample", "old-binding"} {
		text, err := os.ReadFile(filepath.Join("testdata", "lint", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		findings, err := manifest.Lint(name+".yaml", bytes.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range findings {
			lines = append(lines, f.String())
		}
		golden(t, "lint-"+name+".txt", []byte(strings.Join(lines, "\n")+"\n"))
	}
}

const (
	confined = `securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}`
	sound    = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: d}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      serviceAccountName: d
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - {name: delegate, image: "belay/delegate:1", ports: [{name: http, containerPort: 3460}], livenessProbe: {httpGet: {path: /api/health, port: http}}, ` + confined + `}
`
	jobs = `spec:
  schedule: "0 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          serviceAccountName: d
          restartPolicy: Never
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers: [{name: c, image: "c:1", ` + confined + `}]
`
)

// rules are what Lint finds in a text.
func rules(t *testing.T, text string, expected ...string) []string {
	t.Helper()
	findings, err := manifest.Lint("f", strings.NewReader(text), expected)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, f := range findings {
		if f.Line < 1 || f.Text == "" || f.Remedy == "" || strings.HasSuffix(f.Remedy, ".") {
			t.Errorf("unfinished: %+v", f)
		}
		got = append(got, f.Rule)
	}
	slices.Sort(got)
	return slices.Compact(got)
}

// Each case is sound but for what it says. Those with one fault are kept in a file, from which make e2e-k8s shows them to a
// real API server.
func TestRules(t *testing.T) {
	t.Parallel()
	found, one := map[string]bool{}, map[string]string{}
	for name, tt := range map[string]struct {
		old, now string   // what is replaced; nothing replaced means now stands behind
		want     []string // rules
		expect   []string
	}{
		"sound":                           {},
		"not YAML":                        {"kind: Deployment", "kind: [", []string{"yaml"}, nil},
		"not an object":                   {"", "---\nhello: world\n", []string{"yaml"}, nil},
		"no name":                         {"", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", []string{"yaml"}, nil},
		"twice":                           {"", "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: d}\n", []string{"duplicate"}, nil},
		"removed":                         {"apps/v1\nkind", "apps/v1beta2\nkind", []string{"api-removed"}, nil},
		"another namespace is made":       {"", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: made}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: absent}\n", []string{"namespace-missing"}, nil},
		"that namespace is there":         {"", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: made}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: absent}\n", nil, []string{"Namespace/absent"}},
		"a Secret's broken data":          {"", "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: x/y\ndata: {a: 'not base64'}\n", []string{"secret-base64"}, nil},
		"a Secret's text":                 {"", "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: x/y\nstringData: {a: 'not base64'}\n", nil, nil},
		"a Secret nobody reads":           {"", "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", []string{"secret-unused"}, nil},
		"a placeholder":                   {"ports:", "env: [{name: ACCOUNT_ID, value: YOUR_ACCOUNT_ID}], ports:", []string{"placeholder"}, nil},
		"a Secret that is not there":      {"ports:", "envFrom: [{secretRef: {name: s}}], ports:", []string{"secret-missing"}, nil},
		"a Secret that may be absent":     {"ports:", "envFrom: [{secretRef: {name: s, optional: true}}], ports:", nil, nil},
		"a Secret that is expected":       {"ports:", "envFrom: [{secretRef: {name: s}}], ports:", nil, []string{"Secret/s"}},
		"expected by the file":            {"kind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {app: d}}\n", "kind: Deployment\nmetadata: {name: d, annotations: {belay.dev/expects: 'Secret/s, Secret/t'}}\nspec:\n  selector: {matchLabels: {app: d}}\n", nil, nil},
		"a key that the Secret has not":   {"ports:", "env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: b}}}], ports:", []string{"secret-key-missing"}, nil},
		"a ConfigMap that is not there":   {"      containers:", "      volumes: [{name: v, configMap: {name: c}}]\n      containers:", []string{"configmap-missing"}, nil},
		"a volume's Secret":               {"      containers:", "      volumes: [{name: v, projected: {sources: [{secret: {name: s}}]}}]\n      containers:", []string{"secret-missing"}, nil},
		"a pull secret":                   {"      containers:", "      imagePullSecrets: [{name: s}]\n      containers:", []string{"secret-missing"}, nil},
		"a secret in the environment":     {"ports:", "env: [{name: DELEGATE_TOKEN, value: abc}], ports:", []string{"secret-in-env"}, nil},
		"an old autoscaler":               {"", "---\napiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: d}\nspec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}\n", []string{"api-old"}, nil},
		"an autoscaler of nothing":        {"", "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: d}\nspec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: e}}\n", []string{"target-missing"}, nil},
		"an autoscaler that is stuck":     {"", "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: d}\nspec: {maxReplicas: 1, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}\n", []string{"target-fixed"}, nil},
		"an upgrader of nothing":          {"", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  config.yaml: |\n    mode: Delegate\n    workloadName: e\n", []string{"upgrader-target"}, nil},
		"an upgrader of no container":     {"", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  config.yaml: |\n    mode: Delegate\n    workloadName: d\n    containerName: main\n", []string{"upgrader-target"}, nil},
		"an upgrader of another kind":     {"", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  config.yaml: |\n    mode: Delegate\n    workloadKind: StatefulSet\n    workloadName: d\n", []string{"upgrader-target"}, nil},
		"an upgrader that fits":           {"", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  config.yaml: |\n    mode: Delegate\n    workloadName: d\n    containerName: delegate\n", nil, nil},
		"bound to nobody":                 {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nsubjects: [{kind: ServiceAccount, name: e}]\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n", []string{"subject-missing"}, nil},
		"bound to nothing":                {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nsubjects: [{kind: ServiceAccount, name: d}]\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n", []string{"role-missing"}, nil},
		"bound without the group":         {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nsubjects: [{kind: ServiceAccount, name: d}]\nroleRef: {apiGroup: '', kind: ClusterRole, name: view}\n", []string{"role-group"}, nil},
		"bound to cluster-admin":          {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nsubjects: [{kind: ServiceAccount, name: d, namespace: default}]\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n", []string{"cluster-admin"}, nil},
		"a role that is cluster-admin":    {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n", []string{"cluster-admin"}, nil},
		"a role for all verbs":            {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{apiGroups: [''], resources: [configmaps], verbs: ['*']}]\n", []string{"role-wide"}, nil},
		"a role for all Deployments":      {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{apiGroups: [apps], resources: [deployments], verbs: [get, patch]}]\n", []string{"role-wide"}, nil},
		"a role for one Deployment":       {"", "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{apiGroups: [apps], resources: [deployments], resourceNames: [d], verbs: [get, patch]}]\n", nil, nil},
		"an account that is not there":    {"serviceAccountName: d", "serviceAccountName: e", []string{"service-account-missing"}, nil},
		"no account":                      {"      serviceAccountName: d\n", "", []string{"no-service-account"}, nil},
		"privileged":                      {"securityContext: {allowPrivilegeEscalation: false", "securityContext: {privileged: true", []string{"privilege-escalation", "privileged"}, nil},
		"the node's network":              {"      containers:", "      hostNetwork: true\n      containers:", []string{"privileged"}, nil},
		"the node's files":                {"      containers:", "      volumes: [{name: v, hostPath: {path: /}}]\n      containers:", []string{"privileged"}, nil},
		"root":                            {"securityContext: {allow", "securityContext: {runAsUser: 0, allow", []string{"runs-as-root"}, nil},
		"perhaps root":                    {"runAsNonRoot: true", "runAsGroup: 1", []string{"runs-as-root"}, nil},
		"may gain rights":                 {"allowPrivilegeEscalation: false, ", "", []string{"privilege-escalation"}, nil},
		"keeps capabilities":              {"drop: [ALL]", "drop: [NET_RAW]", []string{"capabilities"}, nil},
		"adds a capability":               {"drop: [ALL]", "drop: [ALL], add: [SYS_ADMIN]", []string{"capabilities"}, nil},
		"no seccomp":                      {"type: RuntimeDefault", "type: Unconfined", []string{"seccomp"}, nil},
		"no limit":                        {", limits: {memory: 256Mi}", "", []string{"no-resources"}, nil},
		"no probe":                        {"livenessProbe: {httpGet: {path: /api/health, port: http}}, ", "", []string{"no-probe"}, nil},
		"a probe of another port":         {"port: http}", "port: 8080}", []string{"probe-port"}, nil},
		"a selector of others":            {"labels: {app: d}", "labels: {app: e}", []string{"selector-mismatch"}, nil},
		"a Service of others":             {"", "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: e}, ports: [{port: 80}]}\n", []string{"selector-mismatch"}, nil},
		"a budget of others":              {"", "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: s}\nspec: {selector: {matchLabels: {app: e}}}\n", []string{"selector-mismatch"}, nil},
		"the latest image":                {"belay/delegate:1", "registry:5000/belay/delegate", []string{"image-latest"}, nil},
		"a long CronJob":                  {"", "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: " + strings.Repeat("n", 53) + "}\n" + jobs, []string{"name-too-long"}, nil},
		"a script with a foreign comment": {"ports:", `env: [{name: INIT_SCRIPT, value: "// hello"}], ports:`, []string{"init-script"}, nil},
		"a script that must be root":      {"ports:", `env: [{name: INIT_SCRIPT, value: "apt-get install -y npm"}], ports:`, []string{"init-script"}, nil},
		"a script for one processor":      {"ports:", `env: [{name: INIT_SCRIPT, value: "curl -LO https://example.com/tool_amd64"}], ports:`, []string{"init-script"}, nil},
		"a script that looks":             {"ports:", `env: [{name: INIT_SCRIPT, value: "[ $(uname -m) = x86_64 ] && curl -LO https://example.com/tool_amd64"}], ports:`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := sound + tt.now
			if tt.old != "" {
				if text = strings.Replace(sound, tt.old, tt.now, 1); text == sound {
					t.Fatalf("there is no %q", tt.old)
				}
			}
			if name == "a key that the Secret has not" {
				text += "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: x}\n"
			}
			want := tt.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, rules(t, text, tt.expect...)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			for _, rule := range want {
				found[rule] = true
			}
			if len(want) == 1 {
				one[want[0]+": "+name] = text
			}
		})
	}
	for _, r := range manifest.Rules() {
		if !found[r.ID] {
			t.Errorf("no case finds %s", r.ID)
		}
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(one)) {
		fmt.Fprintf(&all, "-- %s --\n%s\n", name, strings.TrimSpace(one[name]))
	}
	golden(t, "lint-rules.txtar", []byte(all.String()))
}

func TestTheLineOfAFinding(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		line int
	}{
		"in a second document":   {"apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\napiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: c, namespace: n}\n", 5},
		"in a list":              {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n  type: a/b\n  data:\n    a: '?'\n", 9},
		"of a syntax error":      {"apiVersion: v1\nkind: [\n", 2},
		"in a file inside":       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  config.yaml: |\n    mode: Delegate\n    workloadName: none\n", 7},
		"of an empty file":       {"# nothing\n", 1},
		"through an alias":       {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: a/b\nx: &x '?'\ndata: {a: *x}\n", 5},
		"of a script's own line": {strings.Replace(sound, "      - {name: delegate", "      - name: other\n        env:\n        - name: INIT_SCRIPT\n          value: |\n            #!/bin/bash\n            // hello\n      - {name: delegate", 1), 22},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings, err := manifest.Lint("f", strings.NewReader(tt.text), nil)
			if err != nil || len(findings) == 0 {
				t.Fatalf("%v %v", findings, err)
			}
			if !slices.ContainsFunc(findings, func(f manifest.Finding) bool { return f.Line == tt.line }) {
				t.Errorf("got %v", findings)
			}
		})
	}
}

func TestAFileThatIsTooLarge(t *testing.T) {
	t.Parallel()
	_, err := manifest.Lint("f", bytes.NewReader(make([]byte, manifest.MaxFile+1)), nil)
	if !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	many := strings.Repeat("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\n", 2001)
	if _, err := manifest.Lint("f", strings.NewReader(many), nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("many objects: %v", err)
	}
}

func FuzzLint(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [&x {kind: List, apiVersion: v1, items: [*x]}]\n"))
	for _, name := range []string{"sample", "old-binding"} {
		text, err := os.ReadFile(filepath.Join("testdata", "lint", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		findings, err := manifest.Lint("f", bytes.NewReader(text), nil)
		if err != nil && !errors.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		for _, one := range findings {
			if one.Line < 1 || one.Line > bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r"))+4 {
				t.Fatalf("line %d of %q: %v", one.Line, text, one)
			}
		}
	})
}

// The page lists every rule, in the order in which the program does.
func TestRulesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, r := range manifest.Rules() {
		server := "no"
		if r.Server {
			server = "yes"
		}
		i := strings.Index(string(page)[at:], "| `"+r.ID+"` | "+r.Title+" | "+server+" |\n")
		if i < 0 {
			t.Errorf("install.md lacks %s, or has it elsewhere", r.ID)
			continue
		}
		at += i
	}
}
