package web_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// A file does as well: it is read as `belay apply` reads it, with all that is wrong at once, and fills the form.
func TestWizardYAML(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	const good = "connector:\n  name: from file\n  identifier: from_file\n  type: Aws\n  spec:\n    credential:\n      type: Irsa\n      region: eu-west-1\n    delegateSelectors: [eks]\n"
	for name, tt := range map[string]struct {
		text  string
		holds []string
	}{
		"nothing":         {"", []string{"Not saved", "no document"}},
		"several at once": {"connector:\n  nam: x\n  type: Aws\n  spec:\n    credential:\n      type: Magic\n      region: moon\n", []string{"Not saved", "Line 2:3", "nam", "Line 6", "Magic", "nam: x"}},
		"no connector":    {"project:\n  name: p\n  identifier: p\n  orgIdentifier: org1\n", []string{"must hold one document, with the key connector"}},
		"two":             {good + "---\n" + strings.ReplaceAll(good, "from_file", "other"), []string{"must hold one document"}},
		"another scope":   {strings.Replace(good, "  type: Aws", "  orgIdentifier: org1\n  type: Aws", 1), []string{"says that it lives in"}},
		"markup":          {"connector: <script>alert(1)</script></textarea>", []string{"Not saved", "&lt;script&gt;"}},
	} {
		got := b.post("/ui/new/connector/yaml", url.Values{"do": {"save"}, "yaml": {tt.text}})
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got.status)
		}
		if name != "markup" {
			inOrder(t, got.body, tt.holds...)
		} else {
			harmless(t, name, got)
		}
	}
	got := b.post("/ui/new/connector/yaml", url.Values{"do": {"use"}, "yaml": {strings.ReplaceAll(good, "\n", "\r\n")}})
	to := got.header.Get("Location")
	inOrder(t, b.get(to).body, "from file", "IRSA", "eu-west-1", "a delegate with eks", "Save and test")
	inOrder(t, b.get(strings.Replace(to, "/test?", "/access?", 1)).body, `value="eu-west-1"`)
	if got = b.post(to, url.Values{"do": {"save"}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := b.post("/ui/new/connector/yaml", url.Values{"do": {"save"}, "yaml": {good}}); got.status != http.StatusConflict {
		t.Errorf("a second one with that name: %d", got.status)
	}
	cluster := "connector:\n  name: c\n  identifier: c\n  type: K8sCluster\n  spec:\n    credential:\n      type: InheritFromDelegate\n"
	if got := b.post("/ui/new/connector/yaml", url.Values{"do": {"save"}, "yaml": {cluster}}); got.header.Get("Location") != "/ui/connectors/c/yaml" {
		t.Errorf("a cluster: %d %s", got.status, got.header.Get("Location"))
	}
	// It is changed as a file too, and only so.
	if got := b.get("/ui/connectors/c/edit"); !strings.HasPrefix(got.header.Get("Location"), "/ui/connectors/c/edit/yaml?") {
		t.Errorf("a cluster has a form: %d %s", got.status, got.header.Get("Location"))
	}
	inOrder(t, b.get("/ui/connectors/c/edit/yaml").body, "Kubernetes cluster", "type: K8sCluster", "Save connector")
	for text, status := range map[string]int{strings.Replace(cluster, "identifier: c", "identifier: d", 1): 400, good: 400, strings.Replace(cluster, "name: c", "name: changed", 1): 303} {
		if got := b.post("/ui/connectors/c/edit/yaml", url.Values{"do": {"save"}, "yaml": {text}}); got.status != status {
			t.Errorf("%d, want %d for %s", got.status, status, text)
		}
	}
	if c, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), scope.Scope{Account: p.Account}, "c"); err != nil || c.Name != "changed" || c.Type() != connector.TypeKubernetes {
		t.Errorf("%+v %v", c, err)
	}
}

// wizardInjects puts markup into every field of the wizard, of a new connector and of one that is changed.
func wizardInjects(t *testing.T, b *browser, evil string) {
	t.Helper()
	steps := []string{"name", "credentials", "access", "connectivity", "test"}
	for _, base := range []string{"/ui/new/connector", "/ui/connectors/c1/edit"} {
		for _, credential := range []string{evil, "ManualConfig", "OidcAuthentication", "Irsa", "InheritFromDelegate"} {
			form := url.Values{}
			for _, field := range []string{
				"name", "identifier", "description", "tags", "credential", "accessKey", "accessKeyRef", "secretKeyRef", "sessionTokenRef", "iamRoleArn", "oidcSessionTagKeys",
				"runsOn", "roleName", "clusterIssuer", "awsAccount", "namespace", "serviceAccount", "newSecret", "newSecretValue",
				"crossAccountRoleArn", "externalId", "dropExternalId", "assumeRoleSessionDuration", "region", "backoff", "fixedBackoff", "fixedBackoffUnit", "baseDelay", "baseDelayUnit",
				"maxBackoffTime", "maxBackoffTimeUnit", "retryCount", "principal", "mode", "delegateSelectors", "periodic", "revision",
			} {
				form.Set(field, evil)
			}
			form.Set("credential", credential)
			for _, step := range steps {
				for _, do := range []string{"preview", "next", "save", evil} {
					form.Set("do", do)
					harmless(t, base+"/"+step+", "+credential+", "+do, b.post(base+"/"+step+"?draft=aaaaaaaaaaaa&format="+url.QueryEscape(evil), form))
				}
				harmless(t, base+"/"+step, b.get(base+"/"+step+"?draft=aaaaaaaaaaaa"))
			}
		}
		harmless(t, base+"/yaml", b.get(base+"/yaml?draft=aaaaaaaaaaaa"))
		for _, text := range []string{evil, "connector: {name: " + strconv.Quote(evil) + "}", "connector:\n  " + strconv.Quote(evil) + ": 1\n"} {
			harmless(t, base+"/yaml", b.post(base+"/yaml", url.Values{"yaml": {text}, "do": {evil}}))
		}
	}
	// What is good but for its words goes through all steps.
	got := b.walk("/ui/new/connector",
		url.Values{"name": {"evil"}, "description": {evil}, "tags": {evil}}, url.Values{"credential": {"Irsa"}}, url.Values{}, url.Values{"delegateSelectors": {evil}}, url.Values{"do": {"save"}})
	harmless(t, "saved", b.get(got.header.Get("Location")))
}
