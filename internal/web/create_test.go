package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

// The form makes a connector of every way, and tests it.
func TestNewConnector(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	here := false
	for name, tt := range map[string]struct {
		form url.Values
		want connector.Connector
	}{
		"role of the delegate": {
			url.Values{"name": {"by role"}, "credential": {"InheritFromDelegate"}, "delegateSelectors": {"eks, prod"}, "region": {"eu-central-1"}},
			connector.Connector{ID: "by_role", Name: "by role", Credential: connector.InheritFromDelegate{}, Selectors: []string{"eks", "prod"}, Region: "eu-central-1"},
		},
		"irsa into another account": {
			url.Values{"name": {"irsa"}, "identifier": {"my_irsa"}, "credential": {"Irsa"}, "crossAccountRoleArn": {"arn:aws:iam::444455556666:role/deploy"}, "externalId": {"x-1"}},
			connector.Connector{
				ID: "my_irsa", Name: "irsa", Credential: connector.IRSA{}, CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/deploy", ExternalID: "x-1"},
			},
		},
		"oidc from the manager": {
			url.Values{"name": {"oidc"}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/belay"}, "mode": {"manager"}},
			connector.Connector{ID: "oidc", Name: "oidc", Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/belay"}, ExecuteOnDelegate: &here},
		},
		"access key": {
			// what belongs to another way is not taken along
			url.Values{"name": {"key"}, "credential": {"ManualConfig"}, "accessKey": {"AKIAIOSFODNN7EXAMPLE"}, "secretKeyRef": {"account.prod"}, "iamRoleArn": {"left from before"}},
			connector.Connector{ID: "key", Name: "key", Credential: connector.ManualConfig{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKeyRef: "account.prod"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.post("/ui/new/connector?org=org1&project=prj1", tt.form)
			if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/ui/connectors/"+tt.want.ID+"?at=org1%2Fprj1") {
				t.Fatalf("%d %s %s", got.status, got.header.Get("Location"), got.body)
			}
			at := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
			made, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), at, tt.want.ID)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Scope, tt.want.Revision, tt.want.CreatedAt, tt.want.UpdatedAt = at, made.Revision, made.CreatedAt, made.UpdatedAt
			if diff := cmp.Diff(tt.want, made.Connector); diff != "" {
				t.Error(diff)
			}
			if made.LastTest == nil || made.LastTest.Trigger != connector.OnSave {
				t.Errorf("it was not tested: %+v", made.LastTest)
			}
			inOrder(t, b.get(got.header.Get("Location")).body, tt.want.Name, "Connected", "It holds")
		})
	}
}

// All that is wrong is said at once, each beside its field, and nothing that was typed is lost.
func TestNewConnectorRefused(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "taken"})
	b := p.signIn(t, p.Editor)
	for name, tt := range map[string]struct {
		form   url.Values
		status int
		holds  []string
	}{
		"nothing is filled in": {url.Values{"credential": {"ManualConfig"}}, 400, []string{"Not saved", `href="#name"`, `id="name"`, `aria-invalid="true"`, `id="name-e"`, `id="secretKeyRef-e"`}},
		"a role that is none": {
			url.Values{"name": {"n"}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::44445555666:role/x"}},
			400,
			[]string{"Not saved", `value="arn:aws:iam::44445555666:role/x"`, `id="iamRoleArn-e"`},
		},
		"the identifier is taken": {url.Values{"name": {"taken"}, "credential": {"Irsa"}}, 409, []string{"Not saved", "taken", `value="Irsa" checked`}},
		"no way is chosen":        {url.Values{"name": {"n"}}, 400, []string{"Not saved", "ManualConfig, InheritFromDelegate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.post("/ui/new/connector", tt.form)
			if got.status != tt.status {
				t.Errorf("%d, want %d", got.status, tt.status)
			}
			inOrder(t, got.body, tt.holds...)
			for _, problem := range faults(got.body) {
				t.Error(problem)
			}
		})
	}
}

// A preview shows the file and saves nothing.
func TestNewConnectorPreview(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	got := b.post("/ui/new/connector", url.Values{
		"do": {"preview"}, "name": {"prod aws"}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::4444"}, "crossAccountRoleArn": {"arn:aws:iam::444455556666:role/deploy"},
	})
	inOrder(t, got.body, "connector:", "name: prod aws", "identifier: prod_aws", "type: OidcAuthentication", "What it needs", "OpenID Connect provider", "Policy for the connection", "sts:AssumeRole")
	if strings.Contains(got.body, "Not saved") {
		t.Error("a preview complains")
	}
	if _, total, err := p.Connectors.Connectors(t.Context(), audit.System(p.Account, "test"), connector.Filter{Scope: scope.Scope{Account: p.Account}}); err != nil || total != 0 {
		t.Errorf("%d connectors: %v", total, err)
	}
}
