package v1_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

func (w world) oidcConnector(t *testing.T, at scope.Scope, id string, credential connector.Credential) {
	t.Helper()
	c := connector.Connector{Scope: at, ID: id, Name: id, Credential: credential}
	if _, err := w.Connectors.Create(t.Context(), audit.System(w.Account, "test"), c); err != nil {
		t.Fatal(err)
	}
}

func TestOIDCIssuer(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("oidc-first", w.Must(http.MethodGet, "/belay/v1/oidc", ""))
	if err := w.Issuer.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Golden("oidc-rotated", w.Must(http.MethodPost, "/belay/v1/oidc/rotate", ""))
	w.Golden("oidc-set", w.Must(http.MethodPut, "/belay/v1/oidc", `{"issuer":"https://cdn.example.com/belay","audience":"aud"}`))
	w.Golden("oidc-revoked", w.Must(http.MethodPost, "/belay/v1/oidc/rotate", `{"revoke":true,"algorithm":"ES256"}`))
	w.Must(http.MethodPut, "/belay/v1/oidc", `{}`)

	project := scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}
	w.oidcConnector(t, project, "aws", connector.OIDC{RoleARN: "arn:aws:iam::123456789012:role/belay", SessionTagKeys: []string{"project_id"}})
	const at = "?orgIdentifier=org1&projectIdentifier=prj1"
	w.Golden("oidc-trust", w.Must(http.MethodGet, "/belay/v1/connectors/aws/trust-policy"+at, ""))
	w.Golden("oidc-token", w.Must(http.MethodPost, "/belay/v1/connectors/aws/oidc-token"+at, `{"context":"PIPELINE_EXECUTION"}`))
	w.Golden("oidc-audit", w.Must(http.MethodGet, "/belay/v1/audit?action=oidc.token"+strings.Replace(at, "?", "&", 1), ""))
}

func TestOIDCRefusals(t *testing.T) {
	t.Parallel()
	w := serve(t)
	account := scope.Scope{Account: w.Account}
	w.oidcConnector(t, account, "aws", connector.OIDC{RoleARN: "arn:aws:iam::123456789012:role/belay"})
	w.oidcConnector(t, account, "irsa", connector.IRSA{})
	for name, tt := range map[string]struct {
		key, method, path, body string
		status                  int
		fields                  []string
	}{
		"no key":                           {"", "GET", "/belay/v1/oidc", "", 401, nil},
		"an editor rotates nothing":        {w.Editor, "POST", "/belay/v1/oidc/rotate", "", 403, nil},
		"an editor sets nothing":           {w.Editor, "PUT", "/belay/v1/oidc", "{}", 403, nil},
		"an editor gets no token":          {w.Editor, "POST", "/belay/v1/connectors/aws/oidc-token", "", 403, nil},
		"a project's key sees no issuer":   {w.Project, "GET", "/belay/v1/oidc", "", 403, nil},
		"an algorithm that is none":        {w.Admin, "POST", "/belay/v1/oidc/rotate", `{"algorithm":"HS256"}`, 400, []string{"algorithm"}},
		"a context that is none":           {w.Admin, "POST", "/belay/v1/connectors/aws/oidc-token", `{"context":"X"}`, 400, []string{"context"}},
		"an issuer that AWS cannot use":    {w.Admin, "PUT", "/belay/v1/oidc", `{"issuer":"http://x","audience":" "}`, 400, []string{"issuer", "audience"}},
		"a connector that is not there":    {w.Admin, "GET", "/belay/v1/connectors/none/trust-policy", "", 404, nil},
		"a connector of another kind":      {w.Admin, "GET", "/belay/v1/connectors/irsa/trust-policy", "", 400, nil},
		"a token of another kind":          {w.Admin, "POST", "/belay/v1/connectors/irsa/oidc-token", "", 400, nil},
		"a stranger's account":             {w.Stranger, "GET", "/belay/v1/connectors/aws/trust-policy", "", 404, nil},
		"nothing to set":                   {w.Admin, "PUT", "/belay/v1/oidc", "", 400, nil},
		"a method that there is not":       {w.Admin, "DELETE", "/belay/v1/oidc", "", 405, nil},
		"a rotation that is no rotation":   {w.Admin, "POST", "/belay/v1/oidc/rotate", `{"revoke":"yes"}`, 400, []string{"revoke"}},
		"a viewer may read the policy":     {w.Viewer, "GET", "/belay/v1/connectors/aws/trust-policy", "", 200, nil},
		"a viewer may look at the issuer":  {w.Viewer, "GET", "/belay/v1/oidc", "", 200, nil},
		"an editor may read the policy":    {w.Editor, "GET", "/belay/v1/connectors/aws/trust-policy", "", 200, nil},
		"an administrator rotates at will": {w.Admin, "POST", "/belay/v1/oidc/rotate", "", 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.Do(tt.key, tt.method, tt.path, tt.body)
			if tt.status == http.StatusOK {
				if a.Status != tt.status {
					t.Errorf("%d %s", a.Status, a.Body)
				}
				return
			}
			p := problem(t, a)
			var fields []string
			for _, one := range p.Problems {
				fields = append(fields, one.Path)
			}
			if diff := cmp.Diff(tt.fields, fields); p.Status != tt.status || diff != "" {
				t.Errorf("%+v\n%s", p, diff)
			}
		})
	}
}
