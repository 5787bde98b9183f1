//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/belay-dev/belay/tools/kube/forms"
)

const old = "belay/delegate:26.10.80000"

var managerHost = regexp.MustCompile(`managerHost: .*`)

// account is a service account of the cluster, as a pod has it.
type account struct{ namespace, name string }

func (a account) user() string { return "system:serviceaccount:" + a.namespace + ":" + a.name }

// folder is what Kubernetes mounts into a pod: a token of the service account, made by the server, and its authority.
func (a account) folder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	authority, err := os.ReadFile(cluster.authority())
	if err != nil {
		t.Fatal(err)
	}
	token := does(t, "", "create", "token", a.name, "--namespace", a.namespace, "--duration", "1h")
	for name, text := range map[string][]byte{"ca.crt": authority, "token": []byte(strings.TrimSpace(token))} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// environment is that of the upgrader's container: what Kubernetes sets, and the token that the CronJob takes from a Secret.
func (m *manager) environment() []string {
	return []string{"KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=" + strconv.Itoa(cluster.port), "UPGRADER_TOKEN=" + m.token}
}

// settings is the config.yaml that a file has put into the cluster, with a manager that this machine reaches.
func (m *manager) settings(t *testing.T, namespace, name string) string {
	t.Helper()
	text := into1(t, "get", "configmap", name, "--namespace", namespace).Data["config.yaml"]
	changed := managerHost.ReplaceAllString(text, "managerHost: "+m.url)
	if changed == text {
		t.Fatalf("the settings name no manager:\n%s", text)
	}
	return file(t, changed)
}

// file is one that installs a delegate with an old image and its upgrader.
func (m *manager) file(t *testing.T, kind, namespace string) string {
	t.Helper()
	return written(t, kind, namespace, "--account", m.account, "--name", "eks-prod", "--image", old, "--token-file", file(t, m.token), "--upgrader")
}

// outcome is what `belay upgrader -o json` prints.
type outcome struct {
	Image   string `json:"image"`
	Target  string `json:"target"`
	Patched bool   `json:"patched"`
	Reason  string `json:"reason"`
}

// The program, a real manager and a real API server: the rights are those that the file gives, the token one that the
// server made, the settings those of the ConfigMap.
func TestE2EUpgrader(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	newest := objectImage(t, written(t, "kubernetes", "any"))
	for workload, kind := range map[string]string{"deployment": "kubernetes", "statefulset": "statefulset"} {
		t.Run(workload, func(t *testing.T) {
			t.Parallel()
			namespace := namespaceOf(t)
			text := m.file(t, kind, namespace)
			does(t, text, serverSide.args()...)
			settings := m.settings(t, namespace, "eks-prod-upgrader")
			folder := account{namespace, "eks-prod-upgrader"}.folder(t)
			workload := []string{workload, "eks-prod", "--namespace", namespace}
			now := func() (string, string) {
				o := into1(t, append([]string{"get"}, workload...)...)
				return imageOf(t, o), o.Metadata.ResourceVersion
			}
			look := func(args ...string) outcome {
				var o outcome
				out, _ := runBelay(t, 0, m.environment(), append([]string{"upgrader", "-o", "json", "--settings", settings, "--service-account-folder", folder}, args...)...)
				if err := json.Unmarshal([]byte(out), &o); err != nil {
					t.Fatal(err)
				}
				return o
			}
			_, version := now()
			if got := look("--dry-run"); got.Image != old || got.Target != newest || got.Patched {
				t.Errorf("dry run: %+v", got)
			}
			if image, v := now(); image != old || v != version {
				t.Errorf("a dry run made it %s, version %s of %s", image, v, version)
			}
			if got := look(); got.Image != old || got.Target != newest || !got.Patched {
				t.Errorf("the first run: %+v", got)
			}
			image, version := now()
			if image != newest {
				t.Errorf("after the first run it is %s", image)
			}
			if got := look(); got.Image != newest || got.Target != "" || got.Patched {
				t.Errorf("the second run: %+v", got)
			}
			if image, v := now(); image != newest || v != version {
				t.Errorf("the second run made it %s, version %s of %s", image, v, version)
			}
			ownsTheImage(t, workload)
			// The file, applied again as it was, is refused until somebody says that it is meant.
			a := kubectl(t, text, serverSide.args()...)
			if a.code == 0 || !strings.Contains(a.err, "belay-upgrader") || !strings.Contains(a.err, ".image") {
				t.Errorf("the old file, applied again: code %d %s", a.code, a.err)
			}
			does(t, text, append(serverSide.args(), "--force-conflicts")...)
			if image, _ := now(); image != old {
				t.Errorf("forced, it is %s", image)
			}
		})
	}
}

// ownsTheImage looks for who the server says set the image.
func ownsTheImage(t *testing.T, workload []string) {
	t.Helper()
	var o struct {
		Metadata struct {
			Managed []struct {
				Manager string          `json:"manager"`
				Fields  json.RawMessage `json:"fieldsV1"`
			} `json:"managedFields"`
		} `json:"metadata"`
	}
	into(t, &o, "", append(append([]string{"get"}, workload...), "-o", "json", "--show-managed-fields")...)
	for _, one := range o.Metadata.Managed {
		if owns := strings.Contains(string(one.Fields), `"f:image"`); owns != (one.Manager == "belay-upgrader") {
			t.Errorf("%s owns the image: %v", one.Manager, owns)
		}
	}
}

func objectImage(t *testing.T, text string) string {
	t.Helper()
	for _, o := range objects(t, text) {
		if o.Kind == "Deployment" {
			return imageOf(t, o)
		}
	}
	t.Fatal("no Deployment")
	return ""
}

func imageOf(t *testing.T, o object) string {
	t.Helper()
	_, spec := template(t, o)
	var p pod
	if err := json.Unmarshal(spec, &p); err != nil || len(p.Containers) != 1 {
		t.Fatalf("%v %s", err, spec)
	}
	return p.Containers[0].Image
}

// What the server refuses is told with what to do, and changes nothing.
func TestE2EUpgraderIsRefused(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	namespace := namespaceOf(t)
	text := m.file(t, "kubernetes", namespace)
	does(t, text, serverSide.args()...)
	settings := m.settings(t, namespace, "eks-prod-upgrader")
	own := account{namespace, "eks-prod-upgrader"}.folder(t)
	may := func(name string, rights ...string) string {
		t.Helper()
		does(t, "", "create", "serviceaccount", name, "--namespace", namespace)
		does(t, "", append([]string{"create", "role", name, "--namespace", namespace, "--resource=deployments.apps"}, rights...)...)
		does(t, "", "create", "rolebinding", name, "--namespace", namespace, "--role="+name, "--serviceaccount="+namespace+":"+name)
		return account{namespace, name}.folder(t)
	}
	reader, wide := may("reader", "--verb=get", "--resource-name=eks-prod"), may("wide", "--verb=get,patch")
	changed := func(old, now string) string {
		read, err := os.ReadFile(settings)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(read), old, now, 1)
		if text == string(read) {
			t.Fatalf("no %q in\n%s", old, read)
		}
		return file(t, text)
	}
	broken := account{namespace, "eks-prod-upgrader"}.folder(t)
	if err := os.WriteFile(filepath.Join(broken, "token"), []byte("expired"), 0o600); err != nil {
		t.Fatal(err)
	}
	const failed, denied = 1, 4
	for name, tt := range map[string]struct {
		settings, folder string
		code             int
		want             []string
	}{
		"an account without rights": {settings, account{namespace, "eks-prod"}.folder(t), denied, []string{
			`the API server answered 403: deployments.apps "eks-prod" is forbidden`, `User "system:serviceaccount:` + namespace + `:eks-prod" cannot get resource "deployments"`, "Give the upgrader's service account get and patch on this workload",
		}},
		"an account that may only look": {settings, reader, denied, []string{
			`the API server answered 403: deployments.apps "eks-prod" is forbidden`, "cannot patch resource", "Give the upgrader's service account get and patch on this workload",
		}},
		"another workload": {changed("workloadName: eks-prod", "workloadName: newdel"), own, denied, []string{"the API server answered 403", `"newdel"`}},
		"another namespace": {changed("namespace: "+namespace, "namespace: default"), own, denied, []string{
			"the API server answered 403", `in the namespace "default"`,
		}},
		"another container": {changed("containerName: delegate", "containerName: main"), own, failed, []string{`has no container "main"; it has delegate`}},
		"another workload, of all that it might": {changed("workloadName: eks-prod", "workloadName: newdel"), wide, failed, []string{
			`the API server answered 404: deployments.apps "newdel" not found. Set workloadKind, workloadName and namespace`,
		}},
		"a token that is none": {settings, broken, denied, []string{"the API server answered 401", "The service account's token is not accepted"}},
	} {
		_, said := runBelay(t, tt.code, m.environment(), "upgrader", "--settings", tt.settings, "--service-account-folder", tt.folder)
		for _, want := range tt.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it lacks %q:\n%s", name, want, said)
			}
		}
	}
	_, said := runBelay(t, failed, append(m.environment(), "UPGRADER_TOKEN="+forms.Token), "upgrader", "--settings", settings, "--service-account-folder", own)
	if !strings.Contains(said, "the manager answered 401") {
		t.Errorf("another's token: %s", said)
	}
	if got := imageOf(t, into1(t, "get", "deployment", "eks-prod", "--namespace", namespace)); got != old {
		t.Errorf("it is %s", got)
	}
}
