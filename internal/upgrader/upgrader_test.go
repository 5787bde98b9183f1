package upgrader_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/upgrader"
)

// decided is a manager that has made up its mind.
type decided struct {
	check protocol.UpgradeCheck
	err   error
}

func (d decided) UpgradeCheck(context.Context, string) (protocol.UpgradeCheck, error) {
	return d.check, d.err
}

const settings = `mode: Delegate
dryRun: false
workloadName: eks-prod
namespace: delegates
containerName: delegate
delegateConfig:
  accountId: acct
  managerHost: https://belay.example.com
`

func cluster(t *testing.T, k *belaytest.Kube) *upgrader.Cluster {
	t.Helper()
	env := map[string]string{"KUBERNETES_SERVICE_HOST": k.Host, "KUBERNETES_SERVICE_PORT": k.Port}
	c, err := upgrader.InCluster(func(name string) string { return env[name] }, k.Folder)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOneLook(t *testing.T) {
	t.Parallel()
	newer := protocol.UpgradeCheck{TargetVersion: "26.11.90000", ShouldUpgrade: true, Reason: "older"}
	const get, patch = "GET /apis/apps/v1/namespaces/delegates/deployments/eks-prod?", "PATCH /apis/apps/v1/namespaces/delegates/deployments/eks-prod?"
	for name, tt := range map[string]struct {
		image   string
		check   protocol.UpgradeCheck
		change  func(*belaytest.Kube)
		replace [2]string // in the settings
		want    string    // the image afterwards; empty: as before
		calls   []string
		reason  string
		kind    fault.Kind
	}{
		"an older one is replaced":  {image: "belay/delegate:26.10.80000", check: newer, want: "belay/delegate:26.11.90000", calls: []string{get, patch + "fieldManager=belay-upgrader"}},
		"a registry stays":          {image: "reg:5000/a/delegate:26.10.80000", check: newer, want: "reg:5000/a/delegate:26.11.90000", calls: []string{get, patch + "fieldManager=belay-upgrader"}},
		"a mirror takes its place":  {image: "docker.io/belay/delegate:26.10.80000", check: newer, replace: [2]string{"mode:", "registryMirror: mirror.internal/x\nmode:"}, want: "mirror.internal/x/belay/delegate:26.11.90000", calls: []string{get, patch + "fieldManager=belay-upgrader"}},
		"a dry run keeps nothing":   {image: "belay/delegate:26.10.80000", check: newer, replace: [2]string{"dryRun: false", "dryRun: true"}, calls: []string{get, patch + "dryRun=All&fieldManager=belay-upgrader"}},
		"the right one stays":       {image: "belay/delegate:26.11.90000", check: protocol.UpgradeCheck{TargetVersion: "26.11.90000", Reason: "it is the manager's version"}, calls: []string{get}, reason: "manager's version"},
		"somebody's own stays":      {image: "mine/delegate:with-tools", check: newer, calls: []string{get}, reason: "somebody's own"},
		"a digest stays":            {image: "belay/delegate@sha256:" + strings.Repeat("0", 64), check: newer, calls: []string{get}, reason: "somebody's own"},
		"an odd answer is no image": {image: "belay/delegate:26.10.80000", check: protocol.UpgradeCheck{TargetVersion: "1 --privileged", ShouldUpgrade: true}, calls: []string{get}, kind: "-"},
		"no right to patch":         {image: "belay/delegate:26.10.80000", check: newer, change: (*belaytest.Kube).ReadOnly, calls: []string{get}, kind: fault.Denied},
		"changed meanwhile":         {image: "belay/delegate:26.10.80000", check: newer, change: (*belaytest.Kube).Meanwhile, calls: []string{get}, kind: fault.Conflict},
		"a StatefulSet": {
			image: "belay/delegate:26.10.80000", check: newer, change: (*belaytest.Kube).StatefulSet, replace: [2]string{"mode:", "workloadKind: StatefulSet\nmode:"}, want: "belay/delegate:26.11.90000",
			calls: []string{strings.Replace(get, "deployments", "statefulsets", 1), strings.Replace(patch, "deployments", "statefulsets", 1) + "fieldManager=belay-upgrader"},
		},
		"another kind":      {image: "belay/delegate:26.10.80000", check: newer, change: (*belaytest.Kube).StatefulSet, kind: fault.NotFound},
		"another workload":  {image: "belay/delegate:26.10.80000", check: newer, replace: [2]string{"eks-prod", "newdel"}, kind: fault.NotFound},
		"another container": {image: "belay/delegate:26.10.80000", check: newer, replace: [2]string{"containerName: delegate", "containerName: main"}, calls: []string{get}, kind: fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := belaytest.NewKube(t, "delegates", "eks-prod", "delegate", tt.image)
			if tt.change != nil {
				tt.change(k)
			}
			s, err := upgrader.Read(strings.NewReader(strings.Replace(settings, tt.replace[0], tt.replace[1], 1)))
			if err != nil {
				t.Fatal(err)
			}
			u := upgrader.Upgrader{Settings: s, Manager: decided{check: tt.check}, Cluster: cluster(t, k), Log: slog.New(slog.DiscardHandler)}
			out, err := u.Run(t.Context())
			if (err != nil) != (tt.kind != "") || tt.kind != "" && tt.kind != "-" && fault.KindOf(err) != tt.kind {
				t.Fatalf("%+v %v", out, err)
			}
			want := tt.want
			if want == "" {
				want = tt.image
			}
			if got := k.Image("delegate"); got != want || k.Image("sidecar") != "registry.example.com/sidecar:1" || out.Patched != (tt.want != "") {
				t.Errorf("the image is %s; %+v", got, out)
			}
			if diff := cmp.Diff(append([]string{}, tt.calls...), k.Calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if !strings.Contains(out.Reason, tt.reason) {
				t.Errorf("the reason is %q", out.Reason)
			}
		})
	}
}

func TestAManagerThatDoesNotAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	k := belaytest.NewKube(t, "delegates", "eks-prod", "delegate", "belay/delegate:26.10.80000")
	s, err := upgrader.Read(strings.NewReader(settings))
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("away")
	u := upgrader.Upgrader{Settings: s, Manager: decided{err: away}, Cluster: cluster(t, k), Log: slog.New(slog.DiscardHandler)}
	if _, err := u.Run(t.Context()); !errors.Is(err, away) || len(k.Calls()) != 1 {
		t.Errorf("%v %v", err, k.Calls())
	}
}

func TestAnotherAuthorityOrTokenIsNotTrusted(t *testing.T) {
	t.Parallel()
	s, err := upgrader.Read(strings.NewReader(settings))
	if err != nil {
		t.Fatal(err)
	}
	k := belaytest.NewKube(t, "delegates", "eks-prod", "delegate", "belay/delegate:26.10.80000")
	u := upgrader.Upgrader{Settings: s, Manager: decided{}, Cluster: cluster(t, k), Log: slog.New(slog.DiscardHandler)}
	if err := os.WriteFile(filepath.Join(k.Folder, "token"), []byte("expired"), 0o600); err != nil { // it is read anew for each call
		t.Fatal(err)
	}
	if _, err := u.Run(t.Context()); fault.KindOf(err) != fault.Denied {
		t.Errorf("another token: %v", err)
	}
	for file, text := range map[string]string{"no certificate": "nothing", "no file": ""} {
		folder := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(folder, "ca.crt"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := upgrader.InCluster(func(string) string { return "x" }, folder); err == nil {
			t.Errorf("%s: no error", file)
		}
	}
	if _, err := upgrader.InCluster(func(string) string { return "" }, k.Folder); err == nil || !strings.Contains(err.Error(), "KUBERNETES_SERVICE_HOST") {
		t.Errorf("outside a pod: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"another mode":        {strings.Replace(settings, "Delegate", "Upgrader", 1), "mode: is"},
		"nothing":             {"", "mode: is"},
		"a kind of no pods":   {settings + "workloadKind: Service\n", "workloadKind: is"},
		"a path as namespace": {strings.Replace(settings, "delegates", "../x", 1), "namespace: is"},
		"no account":          {strings.Replace(settings, "acct", "", 1), "delegateConfig.accountId: is required"},
		"a mirror with a tag": {settings + "registryMirror: 'a b'\n", "registryMirror: is"},
		"not YAML":            {"mode: [", "cannot be read"},
		"a list":              {"- a\n", "cannot be read"},
		"too much":            {settings + "#" + strings.Repeat(" ", 64<<10), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := upgrader.Read(strings.NewReader(tt.text))
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	s, err := upgrader.Read(strings.NewReader(settings + "proxyHost: p\nproxyPort: \"3128\"\nunheardOf: 1\n"))
	if err != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "unheardOf") {
		t.Errorf("%+v %v", s, err)
	}
	lookup := s.Lookup(func(name string) string {
		return map[string]string{"UPGRADER_TOKEN": "t", "ACCOUNT_ID": "other", "INIT_SCRIPT": "rm"}[name]
	})
	for name, want := range map[string]string{"DELEGATE_TOKEN": "t", "ACCOUNT_ID": "acct", "PROXY_PORT": "3128", "INIT_SCRIPT": "", "MANAGER_HOST_AND_PORT": "https://belay.example.com"} {
		if got := lookup(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}
