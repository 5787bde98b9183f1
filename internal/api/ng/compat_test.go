package ng_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/nextgen"
)

const cluster = `{"connector":{"name":"eks","identifier":"eks","tags":{"team":"core"},"type":"K8sCluster","_":null,
 "spec":{"zz":1e2,"credential":{"type":"ManualConfig","spec":{"masterUrl":"https://k","auth":{"type":"ServiceAccount","spec":{"serviceAccountTokenRef":"account.ak","big":12345678901234567890}}}},"delegateSelectors":["eks"],"connectorType":""}}}`

func TestConnectorsOfClustersAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/connectors"+account, irsa)
	c.Golden("cluster-created", c.Must(http.MethodPost, "/ng/api/connectors"+account, cluster))
	got := c.Must(http.MethodGet, "/ng/api/connectors/eks"+account, "").Body
	_, spec, _ := strings.Cut(cluster, `"spec":`)
	if spec = strings.TrimSuffix(spec, "}}"); !strings.Contains(got, spec) {
		t.Errorf("the spec did not come back byte for byte:\n%s\n%s", spec, got)
	}
	c.Golden("cluster-not-tested", c.Do(w.Admin, http.MethodPost, "/ng/api/connectors/testConnection/eks"+account, ""))
	if a := c.Do(w.Admin, http.MethodDelete, "/ng/api/v2/secrets/ak"+account, ""); failure(t, a).Code != nextgen.InUseCode {
		t.Errorf("a secret of a cluster is in use: %s", a.Body)
	}
	c.Golden("cluster-catalogue", c.Must(http.MethodGet, "/ng/api/connectors/catalogue"+account, ""))
	c.Golden("cluster-stats", c.Must(http.MethodGet, "/ng/api/connectors/stats"+account, ""))
	for query, want := range map[string]string{"&type=K8sCluster": "eks", "&type=Aws": "c1", "": "c1,eks", "&type=Local": "", "&category=CLOUD_PROVIDER": "c1,eks"} {
		list := data[nextgen.Page[nextgen.ConnectorResponse]](t, c.Must(http.MethodGet, "/ng/api/connectors"+account+query, ""))
		var ids []string
		for _, one := range list.Content {
			ids = append(ids, one.Connector.Identifier)
		}
		if strings.Join(ids, ",") != want || list.TotalItems != len(ids) {
			t.Errorf("%q: %v of %d", query, ids, list.TotalItems)
		}
	}
	for name, body := range map[string]string{
		"a credential that clients crash on":      strings.Replace(cluster, `"ManualConfig"`, `"Odd"`, 1),
		"an authentication that they crash on":    strings.Replace(cluster, `"ServiceAccount"`, `"Odd"`, 1),
		"a reference that cannot lead anywhere":   strings.Replace(cluster, `account.ak`, `team.ak`, 1),
		"a spec that is none":                     `{"connector":{"name":"eks","identifier":"e2","type":"K8sCluster","spec":[]}}`,
		"a cluster without a spec":                `{"connector":{"name":"eks","identifier":"e2","type":"K8sCluster"}}`,
		"a type that clients crash on, and Aws's": strings.Replace(cluster, "K8sCluster", "Gcp", 1),
	} {
		if a := c.Do(w.Admin, http.MethodPut, "/ng/api/connectors"+account, body); a.Status != http.StatusBadRequest || len(failure(t, a).Errors) == 0 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

func TestProjectsByModule(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for id, modules := range map[string]string{"cd": `["CD"]`, "both": `["CD","CI"]`, "none": `[]`} {
		c.Must(http.MethodPost, "/ng/api/projects"+account+"&orgIdentifier=org1", `{"project":{"identifier":"`+id+`","name":"`+id+`","modules":`+modules+`}}`)
	}
	for query, want := range map[string]string{
		"":                               "both,cd,none,prj1",
		"&moduleType=CI":                 "both",
		"&moduleType=CD":                 "both,cd",
		"&moduleType=C":                  "",
		"&hasModule=true&moduleType=CD":  "both,cd",
		"&hasModule=false&moduleType=CD": "none,prj1",
		"&hasModule=true":                "both,cd,none,prj1",
	} {
		var ids []string
		for _, one := range data[nextgen.Page[nextgen.ProjectResponse]](t, c.Must(http.MethodGet, "/ng/api/projects"+account+"&orgIdentifier=org1"+query, "")).Content {
			ids = append(ids, one.Project.Identifier)
		}
		if got := strings.Join(ids, ","); got != want {
			t.Errorf("%q: %s", query, got)
		}
	}
}

func TestSecretsByTagAndDescription(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, secretText)
	c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, `{"secret":{"type":"SecretText","name":"b","identifier":"b","description":"Of the Database","tags":{"foo":"bar","env":"a\"b","solo":""},"spec":{"value":"v"}}}`)
	for body, want := range map[string]string{
		`{"tags":{"foo":"bar"}}`:                 "ak,b",
		`{"tags":{"foo":"BAR"}}`:                 "",
		`{"tags":{"foo":"ba"}}`:                  "",
		`{"tags":{"oo":"bar"}}`:                  "",
		`{"tags":{"env":"a\"b","foo":"bar"}}`:    "b",
		`{"tags":{"solo":""}}`:                   "b",
		`{"tags":{"env":"other","foo":"bar"}}`:   "",
		`{"description":"database"}`:             "b",
		`{"description":"t","tags":{"solo":""}}`: "b",
		`{"description":"_"}`:                    "",
	} {
		if got := secretIDs(data[nextgen.Page[nextgen.SecretResponse]](t, c.Must(http.MethodPost, "/ng/api/v2/secrets/list"+account, body))); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestSecretsOfCustomManagersAreKept(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const custom = `{"secret":{"type":"SecretText","name":"cu","identifier":"cu","spec":{"type":"","secretManagerIdentifier":"account.mine","valueType":"CustomSecretManagerValues","additionalMetadata":{"values":{"engine":"kv","version":2,"on":true,"list":[{"name":"key","value":"k"}]}}}}}`
	c.Golden("secret-custom", c.Must(http.MethodPost, "/ng/api/v2/secrets"+account, custom))
	c.Golden("secret-custom-read", c.Must(http.MethodGet, "/ng/api/v2/secrets/cu"+account, ""))
	w.Clock.Move(time.Minute)
	c.Must(http.MethodPut, "/ng/api/v2/secrets/cu"+account, strings.Replace(custom, `"version":2`, `"version":3`, 1))
	if got := c.Must(http.MethodGet, "/ng/api/v2/secrets/cu"+account, "").Body; !strings.Contains(got, `"version":3`) {
		t.Error(got)
	}
}

func TestDelegatesOfAToken(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	made := resource[nextgen.DelegateToken](t, c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=delegate_groups", ""))
	other := resource[nextgen.DelegateToken](t, c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=other", ""))
	w.Delegate(t, delegate.Delegate{Name: "eks-1", TokenID: made.UUID, HostName: "h1", Type: "KUBERNETES", Tags: []string{"eks"}, Version: delegate.Current()})
	w.Delegate(t, delegate.Delegate{Name: "eks-1", TokenID: made.UUID, HostName: "h2", Type: "KUBERNETES", Tags: []string{"eks"}, Version: delegate.Current()})
	w.Delegate(t, delegate.Delegate{Name: "vm", TokenID: other.UUID, HostName: "h3", Version: delegate.Current()})
	type listing struct {
		Groups []struct {
			Name string `json:"groupName"`
		} `json:"delegateGroupDetails"`
	}
	for query, want := range map[string][]string{
		"&delegateTokenName=delegate_groups": {"eks-1"}, "&delegateTokenName=other": {"vm"}, "": {"eks-1", "vm"},
	} {
		var names []string
		for _, g := range resource[listing](t, c.Must(http.MethodGet, "/ng/api/delegate-token-ng/delegate-groups"+account+query, "")).Groups {
			names = append(names, g.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
	a := c.Do(w.Admin, http.MethodGet, "/ng/api/delegate-token-ng/delegate-groups"+account+"&delegateTokenName=none", "")
	if got := failure(t, a); a.Status != http.StatusNotFound || got.Code != nextgen.NotFoundCode {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestThePageOfCompatibilityIsTrue(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Compatibility("../../../docs/compatibility.md", "/ng/api/", server(w).Group().Routes)
}
