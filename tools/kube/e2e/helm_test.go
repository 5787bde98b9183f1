//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belay-dev/belay/tools/kube/forms"
)

// release is one of Helm's.
type release struct{ name, namespace string }

// helm runs a command about the release.
func (r release) helm(t *testing.T, command string, args ...string) string {
	t.Helper()
	var m *manager
	return m.shell(t, fmt.Sprintf("helm %s %s --namespace %s %s", command, r.name, r.namespace, strings.Join(args, " ")))
}

// objects are what the server has of what the release holds, by title.
func (r release) objects(t *testing.T) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, o := range stored(t, r.helm(t, "get manifest")) {
		all[o.title()] = o
	}
	return all
}

// The life of a release of the delegate's chart: installed as the head of our values says, again without a change, with
// everything, rolled back, uninstalled.
func TestE2EHelm(t *testing.T) {
	t.Parallel()
	m := startManager(t)
	r := release{"eks-prod", namespaceOf(t)}
	restrictedNamespace(t, r.namespace)
	written := func(args ...string) string {
		t.Helper()
		return written(t, "helm", r.namespace, append([]string{"--name", r.name, "--account", m.account}, args...)...)
	}
	text := written()
	var lines []string
	for line := range strings.Lines(commands(t, text, file(t, text))) {
		if !strings.Contains(line, "create namespace") { // it is there, and restricted
			lines = append(lines, line)
		}
	}
	m.shell(t, strings.ReplaceAll(strings.Join(lines, ""), "token show TOKEN", "token show "+m.tokenName))
	first := r.objects(t)
	for _, o := range first {
		runs(t, o, r.namespace)
	}
	if _, there := first["Deployment/eks-prod"]; !there {
		t.Fatalf("no Deployment: %v", first)
	}

	install := func(text string) {
		t.Helper()
		m.shell(t, fmt.Sprintf("helm upgrade --install %s deploy/helm/belay-delegate --namespace %s -f %s", r.name, r.namespace, file(t, text)))
	}
	install(text)
	for title, o := range r.objects(t) {
		if before := first[title]; before.Metadata.ResourceVersion != o.Metadata.ResourceVersion {
			t.Errorf("%s was changed by a second install of the same values", title)
		}
	}

	everything := written("--image", old, "--upgrader", "--replicas", "2", "--autoscale-max", "4", "--cluster-role", "view", "--proxy", "http://p:1", "--proxy-user", "u")
	install(everything)
	all := r.objects(t)
	for _, title := range []string{"Deployment/eks-prod", "CronJob/eks-prod-upgrader", "Role/eks-prod-upgrader", "HorizontalPodAutoscaler/eks-prod", "Secret/eks-prod-proxy"} {
		if _, there := all[title]; !there {
			t.Errorf("an upgrade of the release did not make %s", title)
		}
	}
	for _, o := range all {
		runs(t, o, r.namespace)
		reaches(t, o, r.namespace)
	}

	settings, folder := m.settings(t, r.namespace, "eks-prod-upgrader"), account{r.namespace, "eks-prod-upgrader"}.folder(t)
	if out, _ := runBelay(t, 0, m.environment(), "upgrader", "--settings", settings, "--service-account-folder", folder); !strings.HasPrefix(out, old+" is now ") {
		t.Errorf("the upgrader says: %s", out)
	}
	install(everything)
	if got := imageOf(t, r.objects(t)["Deployment/eks-prod"]); got != old {
		t.Errorf("installed again with the same values, the image is %s", got)
	}

	r.helm(t, "rollback", "1")
	back := r.objects(t)
	if len(back) != len(first) {
		t.Errorf("rolled back, it has %d objects, and had %d", len(back), len(first))
	}
	if got, want := imageOf(t, back["Deployment/eks-prod"]), imageOf(t, first["Deployment/eks-prod"]); got != want {
		t.Errorf("rolled back, the image is %s, and was %s", got, want)
	}
	r.helm(t, "uninstall")
	if out := does(t, "", "get", "deployments,serviceaccounts,cronjobs,roles,networkpolicies,poddisruptionbudgets", "--namespace", r.namespace, "--ignore-not-found"); out != "" {
		t.Errorf("uninstalled, there still is:\n%s", out)
	}
}

// The manager's chart as docs/install.md installs it.
func TestE2EHelmManager(t *testing.T) {
	t.Parallel()
	r := release{"belay", namespaceOf(t)}
	restrictedNamespace(t, r.namespace)
	r.helm(t, "upgrade --install", "deploy/helm/belay-manager", "--create-namespace", "--set publicUrl=https://belay.example.com", "--set tls.existingSecret=belay-tls")
	first := r.objects(t)
	if _, there := first["StatefulSet/belay"]; !there {
		t.Fatalf("no StatefulSet: %v", first)
	}
	for _, o := range first {
		runs(t, o, r.namespace)
	}
	// A claim's size cannot be changed in place; everything else can.
	r.helm(t, "upgrade --install", "deploy/helm/belay-manager", "--set publicUrl=https://belay.example.com", "--set tls.existingSecret=belay-tls",
		"--set serviceMonitor.enabled=false", "--set resources.limits.memory=1Gi", "--set serviceAccount.annotations.a="+forms.Account)
	if got := into1(t, "get", "serviceaccount", "belay", "--namespace", r.namespace).Metadata.Annotations["a"]; got != forms.Account {
		t.Errorf("an upgrade of the release did not change the service account: %q", got)
	}
	for title, o := range r.objects(t) {
		if before := first[title]; (before.Metadata.ResourceVersion == o.Metadata.ResourceVersion) != (o.Kind != "StatefulSet" && o.Kind != "ServiceAccount") {
			t.Errorf("%s: version %s, and then %s", title, before.Metadata.ResourceVersion, o.Metadata.ResourceVersion)
		}
	}
	r.helm(t, "uninstall")
}
