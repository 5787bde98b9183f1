package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// walk answers one step after the other, and gives what the last one answers. Each answer leads to the next step's address.
func (b *browser) walk(path string, answers ...url.Values) answer {
	b.t.Helper()
	var got answer
	for i, form := range answers {
		got = b.post(path, form)
		if i == len(answers)-1 {
			break
		}
		path = got.header.Get("Location")
		if got.status != http.StatusSeeOther || path == "" {
			b.t.Fatalf("step %d: %d %s", i+1, got.status, got.body)
		}
		page := b.get(path)
		if page.status != http.StatusOK {
			b.t.Fatalf("%s: %d", path, page.status)
		}
		for _, problem := range faults(page.body) {
			b.t.Errorf("%s: %s", path, problem)
		}
	}
	return got
}

// theForm is what a browser would send of the form with the id wiz, without its buttons.
func theForm(t *testing.T, page string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	attr := func(n *html.Node, name string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val, true
			}
		}
		return "", false
	}
	var walk func(n *html.Node, inside bool)
	walk = func(n *html.Node, inside bool) {
		if n.Type == html.ElementNode {
			id, _ := attr(n, "id")
			inside = inside || n.Data == "form" && id == "wiz"
			name, named := attr(n, "name")
			if inside && named {
				value, _ := attr(n, "value")
				kind, _ := attr(n, "type")
				_, checked := attr(n, "checked")
				switch {
				case n.Data == "textarea":
					if n.FirstChild != nil {
						form.Add(name, n.FirstChild.Data)
					}
				case n.Data == "select":
					form.Add(name, selected(n))
				case n.Data == "input" && (kind != "radio" && kind != "checkbox" || checked):
					form.Add(name, value)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, inside)
		}
	}
	walk(root, false)
	return form
}

func selected(n *html.Node) string {
	value, first := "", true
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode {
			continue
		}
		var own string
		chosen := first
		for _, a := range c.Attr {
			if a.Key == "value" {
				own = a.Val
			}
			chosen = chosen || a.Key == "selected"
		}
		if chosen {
			value = own
		}
		first = false
	}
	return value
}

// The wizard makes a connector of every way, and tests it.
func TestWizard(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	here := false
	for name, tt := range map[string]struct {
		answers []url.Values
		want    connector.Connector
	}{
		"role of the delegate": {
			[]url.Values{{"name": {"by role"}}, {"credential": {"InheritFromDelegate"}}, {"region": {"eu-central-1"}}, {"delegateSelectors": {"eks, prod"}}},
			connector.Connector{ID: "by_role", Name: "by role", Credential: connector.InheritFromDelegate{}, Selectors: []string{"eks", "prod"}, Region: "eu-central-1"},
		},
		"irsa into another account": {
			[]url.Values{
				{"name": {"irsa"}, "identifier": {"my_irsa"}, "description": {"For payments."}, "tags": {"team: payments\nprod"}},
				{"credential": {"Irsa"}, "namespace": {"belay"}},
				{"crossAccountRoleArn": {"arn:aws:iam::444455556666:role/deploy"}, "externalId": {"x-1"}, "assumeRoleSessionDuration": {"3600"}, "principal": {"111122223333"}},
				{"mode": {"delegate"}, "periodic": {"off"}},
			},
			connector.Connector{
				ID: "my_irsa", Name: "irsa", Description: "For payments.", Tags: map[string]string{"team": "payments", "prod": ""}, Credential: connector.IRSA{}, IgnoreTestConnection: true,
				CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/deploy", ExternalID: "x-1", SessionDuration: time.Hour},
			},
		},
		"oidc from the manager": {
			[]url.Values{
				{"name": {"oidc"}},
				{"credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/belay"}, "oidcSessionTagKeys": {"project_id", "context"}},
				{"backoff": {"FixedDelayBackoffStrategy"}, "fixedBackoff": {"2"}, "fixedBackoffUnit": {"s"}, "retryCount": {"5"}, "baseDelay": {"left from before"}},
				{"mode": {"manager"}},
			},
			connector.Connector{
				ID: "oidc", Name: "oidc", Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/belay", SessionTagKeys: []string{"project_id", "context"}},
				Backoff: backoff.Fixed{Wait: 2 * time.Second, Count: 5}, ExecuteOnDelegate: &here,
			},
		},
		"access key": {
			// what belongs to another way is not taken along
			[]url.Values{
				{"name": {"key"}},
				{"credential": {"ManualConfig"}, "accessKey": {"AKIAIOSFODNN7EXAMPLE"}, "secretKeyRef": {"account.prod"}, "iamRoleArn": {"left from before"}},
				{"backoff": {"FullJitterBackoffStrategy"}, "baseDelay": {"100"}, "maxBackoffTime": {"1"}, "maxBackoffTimeUnit": {"s"}},
				{},
			},
			connector.Connector{
				ID: "key", Name: "key", Credential: connector.ManualConfig{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKeyRef: "account.prod"},
				Backoff: backoff.FullJitter{Base: 100 * time.Millisecond, Max: time.Second, Count: 3},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.walk("/ui/new/connector?org=org1&project=prj1", append(tt.answers, url.Values{"do": {"save"}})...)
			to := got.header.Get("Location")
			if got.status != http.StatusSeeOther || !strings.HasPrefix(to, "/ui/connectors/"+tt.want.ID+"/edit/test?at=org1%2Fprj1") {
				t.Fatalf("%d %s %s", got.status, to, got.body)
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
			inOrder(t, b.get(to).body, "Change "+tt.want.Name, "It holds", "What AWS says", "444455556666", "What is saved", "Test again")
		})
	}
}

// A step says all that it lacks at once, each beside its field, and nothing that was typed is lost.
func TestWizardRefuses(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "taken"})
	b := p.signIn(t, p.Editor)
	name, key := url.Values{"name": {"n"}}, url.Values{"credential": {"Irsa"}}
	for what, tt := range map[string]struct {
		answers []url.Values
		holds   []string
	}{
		"no name":                 {[]url.Values{{"description": {"kept"}}}, []string{"This step lacks something", `href="#name"`, `id="name"`, `aria-invalid="true"`, `autofocus`, `id="name-e"`, `value="kept"`}},
		"the identifier is taken": {[]url.Values{{"name": {"taken"}}}, []string{`value="taken"`, `id="identifier-e"`, "Is taken by connector taken"}},
		"no identifier":           {[]url.Values{{"name": {"日本"}}}, []string{`id="identifier-e"`}},
		"no way":                  {[]url.Values{name, {}}, []string{`href="#credential"`, "ManualConfig, InheritFromDelegate"}},
		"no key":                  {[]url.Values{name, {"credential": {"ManualConfig"}}}, []string{`href="#accessKey"`, `href="#secretKeyRef"`, `id="accessKey-e"`, `id="secretKeyRef-e"`}},
		"a role that is none": {
			[]url.Values{name, {"credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::44445555666:role/x"}}},
			[]string{`value="arn:aws:iam::44445555666:role/x"`, `id="iamRoleArn-e"`, "has 11 digits, AWS uses 12"},
		},
		"an external id without a role": {[]url.Values{name, key, {"externalId": {"ext-42"}}}, []string{`id="crossAccountRoleArn-e"`, `value="ext-42"`}},
		"no Region and no number": {
			[]url.Values{name, key, {"region": {"moon"}, "backoff": {"EqualJitterBackoffStrategy"}, "baseDelay": {"soon"}, "retryCount": {"101"}}},
			[]string{`href="#baseDelay"`, `href="#maxBackoffTime"`, `value="moon"`, `id="region-e"`, `value="soon"`, `id="baseDelay-e"`, "Is required", `id="retryCount-e"`},
		},
		"a tag twice": {[]url.Values{name, key, {}, {"delegateSelectors": {"eks,eks"}}}, []string{`value="eks,eks"`, `id="delegateSelectors-e"`, "twice"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got := b.walk("/ui/new/connector", tt.answers...)
			if got.status != http.StatusBadRequest {
				t.Errorf("%d, want 400: %s", got.status, got.header.Get("Location"))
			}
			for _, want := range tt.holds {
				if !strings.Contains(html.UnescapeString(got.body), want) {
					t.Errorf("%q is not there", want)
				}
			}
			for _, problem := range faults(got.body) {
				t.Error(problem)
			}
		})
	}
	// What another step lacks is said at the end, with a way to it.
	got := b.post("/ui/new/connector/name", url.Values{"do": {"save"}, "name": {"n"}, "credential": {"ManualConfig"}})
	inOrder(t, got.body, "Access key id", "Secret access key")
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "/ui/new/connector/credentials?draft=") || !strings.Contains(got.body, "#secretKeyRef") {
		t.Errorf("%d: no link to the step that lacks something", got.status)
	}
}

// Every step is an address that can be gone back to, in the session that it belongs to and in no other. No answer is in it.
func TestWizardAddresses(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	var seen []string
	path := "/ui/new/connector"
	for _, form := range []url.Values{
		{"name": {"payments"}},
		{"credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/belay"}},
		{"crossAccountRoleArn": {"arn:aws:iam::777788889999:role/deploy"}, "externalId": {"ext-42"}},
		{"delegateSelectors": {"frankfurt"}},
	} {
		got := b.post(path, form)
		path = got.header.Get("Location")
		seen = append(seen, path)
		for _, answer := range []string{"payments", "444455556666", "777788889999", "ext-42", "frankfurt"} {
			if strings.Contains(path, answer) {
				t.Errorf("the address %s holds the answer %q", path, answer)
			}
		}
	}
	for path, want := range map[string]string{
		seen[0]: `value="arn:aws:iam::444455556666:role/belay"`, seen[1]: `value="ext-42"`, seen[2]: `value="frankfurt"`, seen[3]: "What will be saved",
		strings.Replace(seen[0], "credentials", "name", 1): `value="payments"`,
	} {
		if got := b.get(path); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d, and %q is not there", path, got.status, want)
		}
	}
	// Back keeps what was typed, and asks for nothing.
	got := b.post(seen[0], url.Values{"do": {"back"}, "credential": {"ManualConfig"}})
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/ui/new/connector/name?") || !strings.Contains(b.get(seen[0]).body, `value="ManualConfig" checked`) {
		t.Errorf("back: %d %s", got.status, got.header.Get("Location"))
	}
	for _, who := range []string{p.Editor, p.Admin} {
		other := p.signIn(t, who)
		got := other.get(seen[2])
		if got.header.Get("Location") != "/ui/new/connector?gone=1" {
			t.Errorf("another session: %d %s", got.status, got.header.Get("Location"))
		}
		inOrder(t, other.get("/ui/new/connector?gone=1").body, "Begin again", "What is it called?")
		// A form that builds on answers which are not there goes no further without them.
		if got := other.post(seen[2], url.Values{"delegateSelectors": {"frankfurt"}}); got.header.Get("Location") != seen[2] {
			t.Errorf("another session answers a later step: %d %s", got.status, got.header.Get("Location"))
		}
	}
	p.Clock.Move(9 * time.Hour)
	b = p.signIn(t, p.Editor)
	if got := b.get("/ui/new/connector/nowhere"); got.status != http.StatusNotFound {
		t.Errorf("a step that there is not: %d", got.status)
	}
}

// While one types, the file follows and what the answers of the step changed is marked; nothing is saved, nothing complains.
func TestWizardPreview(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	path := b.post("/ui/new/connector", url.Values{"name": {"prod aws"}}).header.Get("Location")
	turn := theForm(t, b.get(path).body).Get("turn")
	got := b.post(path, url.Values{"do": {"preview"}, "turn": {turn}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::4444"}, "newSecretValue": {"never"}})
	inOrder(t, got.body, "It follows from the role's ARN", ">connector</span>:", ">name</span>:", "> prod aws<", "> prod_aws<", "> OidcAuthentication<", `<mark class="l new">        <span class="k">iamRoleArn</span>:<span class="s"> arn:aws:iam::4444`)
	if strings.Contains(got.body, "lacks something") || strings.Contains(got.body, `<mark class="l new">  <span class="k">name`) || got.status != http.StatusOK {
		t.Error("a preview complains, or marks what another step answered")
	}
	got = b.post(path, url.Values{"do": {"preview"}, "turn": {turn}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/deploy"}})
	inOrder(t, got.body, "create-open-id-connect-provider --url https://belay.example.com/ng/api/oidc/account/"+p.Account, "Trust policy of the role", "arn:aws:iam::444455556666:oidc-provider/belay.example.com", "ec2:DescribeRegions")
	for format, want := range map[string]string{"terraform": `resource "aws_iam_role" "deploy"`, "cloudformation": "AWSTemplateFormatVersion", "cli": "aws iam update-assume-role-policy", "nonsense": `"Statement"`} {
		if got := b.get(path + "&format=" + format); !strings.Contains(html.UnescapeString(got.body), want) {
			t.Errorf("%s: %q is not there", format, want)
		}
	}
	// A preview that a button has overtaken brings no older answer back.
	b.post(path, url.Values{"credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/newer"}})
	b.post(path, url.Values{"do": {"preview"}, "turn": {turn}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/older"}})
	if page := b.get(path).body; !strings.Contains(page, "role/newer") || strings.Contains(page, "role/older") {
		t.Error("a late preview undoes an answer")
	}
	if _, total, err := p.Connectors.Connectors(t.Context(), audit.System(p.Account, "test"), connector.Filter{Scope: scope.Scope{Account: p.Account}}); err != nil || total != 0 {
		t.Errorf("%d connectors: %v", total, err)
	}
}

// The policies that the other ways need are there to copy, as far as is known what they are for.
func TestWizardPolicies(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	path := b.post("/ui/new/connector", url.Values{"name": {"n"}}).header.Get("Location")
	irsa := url.Values{
		"do": {"preview"}, "credential": {"Irsa"}, "clusterIssuer": {"https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"}, "awsAccount": {"111122223333"},
		"namespace": {"belay"}, "serviceAccount": {"delegate"},
	}
	inOrder(t, b.post(path, irsa).body, "oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC", "system:serviceaccount:belay:delegate", "Permissions of the role")
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "credential": {"Irsa"}}).body, "Trust policy of the role", "Namespace: which service account is meant")
	for runs, want := range map[string]string{"ec2": "ec2.amazonaws.com", "ecs-tasks": "ecs-tasks.amazonaws.com", "pod-identity": "pods.eks.amazonaws.com"} {
		inOrder(t, b.post(path, url.Values{"do": {"preview"}, "credential": {"InheritFromDelegate"}, "runsOn": {runs}}).body, "Trust policy of the role", want)
	}
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "credential": {"ManualConfig"}}).body, "Permissions of the user")
	path = b.post(path, url.Values{"credential": {"InheritFromDelegate"}}).header.Get("Location")
	const role = "arn:aws:iam::444455556666:role/deploy"
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "crossAccountRoleArn": {role}}).body, "Say who assumes it", "Permissions of deploy", "What lets the credentials assume it", "sts:AssumeRole", role)
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "crossAccountRoleArn": {role}, "externalId": {"ext-42"}, "principal": {"111122223333"}}).body, "Trust policy of deploy", "arn:aws:iam::111122223333:root", "sts:ExternalId", "ext-42")
	if got := b.post(path, url.Values{"do": {"external"}, "crossAccountRoleArn": {role}}); got.status != http.StatusSeeOther || !strings.Contains(b.get(got.header.Get("Location")).body, `value="belay-`) {
		t.Errorf("no external id was made: %d", got.status)
	}
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "backoff": {"EqualJitterBackoffStrategy"}, "baseDelay": {"1"}, "baseDelayUnit": {"s"}, "maxBackoffTime": {"3"}, "maxBackoffTimeUnit": {"s"}, "retryCount": {"8"}}).body,
		"8 retries, after at most 1 s, 2 s, 3 s, 3 s, 3 s, 3 s, ….")
}

// What can be checked is checked, and what cannot is said to be unknown.
func TestWizardPrerequisites(t *testing.T) {
	t.Parallel()
	who := func(p *pages) audit.Caller { return audit.System(p.Account, "test") }
	oidc := url.Values{"do": {"preview"}, "credential": {"OidcAuthentication"}, "iamRoleArn": {"arn:aws:iam::444455556666:role/belay"}}
	key := url.Values{"do": {"preview"}, "credential": {"ManualConfig"}, "accessKey": {"AKIAIOSFODNN7EXAMPLE"}, "secretKeyRef": {"account.prod"}}
	flag := func(name string) func(*testing.T, *pages) {
		return func(t *testing.T, p *pages) {
			t.Helper()
			if err := p.Orgs.SetFlag(t.Context(), who(p), name, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	delegated := func(d delegate.Delegate) func(*testing.T, *pages) {
		return func(t *testing.T, p *pages) {
			t.Helper()
			p.Delegate(t, d)
		}
	}
	for name, tt := range map[string]struct {
		set   func(*testing.T, *pages)
		form  url.Values
		holds []string
	}{
		"OIDC, all as it should be": {delegated(delegate.Delegate{Name: "eks-1", Version: delegate.Current()}), oidc, []string{
			"2 of 4 met", `aria-label="Met"`, "OIDC is on for this account", `aria-label="Not known"`, "AWS can fetch the issuer", `aria-label="Met"`, "1 delegate matches now: eks-1", `aria-label="Not known"`, "The role trusts this connector",
		}},
		"OIDC is off":                   {flag("CDS_AWS_OIDC_AUTHENTICATION"), oidc, []string{`aria-label="Missing"`, "OIDC is on", "An administrator can turn on CDS_AWS_OIDC_AUTHENTICATION"}},
		"an issuer that AWS cannot use": {func(_ *testing.T, p *pages) { p.Issuer.URL = func() string { return "http://127.0.0.1:7990" } }, oidc, []string{`aria-label="Missing"`, "AWS can fetch the issuer", "must begin with https://", "--public-url"}},
		"a delegate that is too old":    {delegated(delegate.Delegate{Name: "old", Version: delegate.Version{Year: 24, Month: 2, Build: 1}}), oidc, []string{`aria-label="Missing"`, "Delegate 24.03.82603 or later", "older than 24.03.82603"}},
		"no delegate":                   {nil, url.Values{"do": {"preview"}, "credential": {"InheritFromDelegate"}}, []string{`aria-label="Missing"`, "A delegate can take the work", "No delegate is registered"}},
		"the secret is not there":       {nil, key, []string{`aria-label="Missing"`, "The secret access key is stored", "There is no secret", "account.prod"}},
		"a temporary key without token": {nil, url.Values{"do": {"preview"}, "credential": {"ManualConfig"}, "accessKey": {"ASIAIOSFODNN7EXAMPLE"}}, []string{"A temporary key has its session token", `aria-label="Attention"`, "A long-lived key leaves AWS"}},
		"session tokens are off":        {flag("CDS_AWS_SESSION_TOKEN_SUPPORT"), url.Values{"do": {"preview"}, "credential": {"ManualConfig"}, "sessionTokenRef": {"account.t"}}, []string{`aria-label="Missing"`, "Session tokens are on", "CDS_AWS_SESSION_TOKEN_SUPPORT"}},
		"a secret in an external manager": {func(t *testing.T, p *pages) {
			t.Helper()
			s := secret.Secret{Scope: scope.Scope{Account: p.Account}, ID: "prod", Name: "prod", Manager: "vault", Kind: secret.Reference, Path: "a/b"}
			if _, err := p.Secrets.Create(t.Context(), who(p), s, secret.Value{}); err != nil {
				t.Fatal(err)
			}
		}, key, []string{`aria-label="Missing"`, "secret manager vault, which Belay cannot read"}},
		"the secret is there": {func(t *testing.T, p *pages) {
			t.Helper()
			s := secret.Secret{Scope: scope.Scope{Account: p.Account}, ID: "prod", Name: "prod", Manager: secret.BuiltInManager, Kind: secret.Inline}
			if _, err := p.Secrets.Create(t.Context(), who(p), s, secret.NewValue("x")); err != nil {
				t.Fatal(err)
			}
		}, key, []string{`<option value="account.prod">`, `aria-label="Met"`, "The secret access key is stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t)
			if tt.set != nil {
				tt.set(t, p)
			}
			b := p.signIn(t, p.Editor)
			path := b.post("/ui/new/connector", url.Values{"name": {"n"}}).header.Get("Location")
			inOrder(t, b.post(path, tt.form).body, tt.holds...)
		})
	}
	// Who has a role in a project only is told nothing of the account's secrets, and asking leaves no trace of a refusal.
	p := serve(t)
	b := p.signIn(t, p.Project)
	path := b.post("/ui/new/connector", url.Values{"name": {"n"}}).header.Get("Location")
	before := p.trail(t)
	inOrder(t, b.post(path, key).body, `aria-label="Not known"`, "Your role does not show the secrets of account")
	if p.trail(t) != before {
		t.Error("the page asked for what the role may not see")
	}
}

// A step shows who would be asked, as the tags are typed.
func TestWizardDelegates(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Editor)
	path := b.walk("/ui/new/connector", url.Values{"name": {"n"}}, url.Values{"credential": {"Irsa"}}, url.Values{}).header.Get("Location")
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "delegateSelectors": {"eks, prod"}}).body, "only a delegate can use it", "1 delegate matches now", "eks-prod-1", "ecs-shared (task-7f3c): lacks eks and prod", "silent for 22 min")
	inOrder(t, b.post(path, url.Values{"do": {"preview"}, "delegateSelectors": {"frankfurt"}}).body, "No delegate has the tag frankfurt.")
	last := b.walk(path, url.Values{"delegateSelectors": {"frankfurt"}}).header.Get("Location")
	inOrder(t, b.get(last).body, "No delegate has the tag frankfurt. The connector can be saved all the same", "What will be saved", "Save and test")
}

// The secret access key is stored in place: its value goes into the service, and into no page, address, log or answer.
func TestWizardStoresSecret(t *testing.T) {
	t.Parallel()
	const value = "wJalrXUtnFEMI-never-in-a-page"
	p := serve(t)
	b := p.signIn(t, p.Editor)
	at := "?org=org1&project=prj1"
	path := b.post("/ui/new/connector"+at, url.Values{"name": {"key"}}).header.Get("Location")
	form := func(more ...string) url.Values {
		f := url.Values{"credential": {"ManualConfig"}, "accessKey": {"AKIAIOSFODNN7EXAMPLE"}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	for name, tt := range map[string]struct {
		form  url.Values
		holds []string
	}{
		"no value":       {form("newSecret", "prod key"), []string{`value="prod key"`, `id="newSecretValue-e"`}},
		"no name":        {form("newSecretValue", value), []string{`id="newSecret-e"`}},
		"no good name":   {form("newSecret", "日本", "newSecretValue", value), []string{`id="newSecret-e"`}},
		"something else": {form("newSecret", "prod key", "newSecretValue", value, "accessKey", ""), []string{`id="accessKey-e"`}},
		"a preview":      {form("newSecret", "prod key", "newSecretValue", value, "do", "preview"), nil},
	} {
		got := b.post(path, tt.form)
		inOrder(t, got.body, tt.holds...)
		if strings.Contains(got.body, value) {
			t.Errorf("%s: the value is in the page", name)
		}
		if _, n, err := p.Secrets.Secrets(t.Context(), audit.System(p.Account, "test"), secret.Filter{Scope: scope.Scope{Account: p.Account}, SubScopes: true}); n != 0 || err != nil {
			t.Errorf("%s: %d secrets were made: %v", name, n, err)
		}
	}
	got := b.post(path, form("newSecret", "prod key", "newSecretValue", value))
	next := got.header.Get("Location")
	if got.status != http.StatusSeeOther || !strings.Contains(next, "/access?") {
		t.Fatalf("%d %s %s", got.status, next, got.body)
	}
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	stored, err := p.Secrets.Resolve(t.Context(), project, "prod_key")
	if err != nil || stored.Reveal() != value {
		t.Errorf("stored: %v", err)
	}
	page := b.get(path).body
	inOrder(t, page, `value="prod_key"`, `aria-label="Met"`, "The secret access key is stored")
	if strings.Contains(page+b.get(next).body+p.Log.String()+next, value) {
		t.Error("the value is in a page, an address or the log")
	}
	again := b.post(path, form("newSecret", "prod key", "newSecretValue", value, "secretKeyRef", "prod_key"))
	inOrder(t, again.body, `id="newSecret-e"`, "taken by another secret")
	got = b.walk(next, url.Values{}, url.Values{}, url.Values{"do": {"save"}})
	if got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	made, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), project, "key")
	if want := (connector.ManualConfig{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKeyRef: "prod_key"}); err != nil || made.Credential != connector.Credential(want) {
		t.Errorf("%v %v", made.Credential, err)
	}
}

// Saving the form of a connector without an answer changed changes nothing of it, also of what the form does not ask for.
func TestChangeNothing(t *testing.T) {
	t.Parallel()
	here, there := false, true
	for name, c := range map[string]connector.Connector{
		"role of the delegate": {Credential: connector.InheritFromDelegate{}, Selectors: []string{"a b", "c"}, ExecuteOnDelegate: &there},
		"against the rules":    {Credential: connector.IRSA{}, Tags: map[string]string{"a": "1, 2", "b": "x: y", "c": ""}, Proxy: true, ProxyURL: "http://p:1", IgnoreTestConnection: true},
		"oidc": {
			Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/r", SessionTagKeys: []string{"context", "account_id"}}, ExecuteOnDelegate: &here,
			CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/d", ExternalID: "never-in-a-form", SessionDuration: 17 * time.Minute},
		},
		"access key":   {Credential: connector.ManualConfig{AccessKeyRef: "account.id", SecretKeyRef: "account.s", SessionTokenRef: "account.t"}, Region: "us-gov-west-1", Backoff: backoff.FullJitter{Base: 1500 * time.Millisecond, Max: 3 * time.Second, Count: 0}},
		"fixed delay":  {Credential: connector.ManualConfig{AccessKey: "AKIAX", SecretKeyRef: "account.s"}, Backoff: backoff.Fixed{Wait: 0, Count: 9}, Description: "It's <b>&amp;</b>"},
		"equal jitter": {Credential: connector.IRSA{}, Backoff: backoff.EqualJitter{Base: time.Second, Max: time.Minute, Count: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t)
			c.ID, c.Name = "c1", "prod"
			was := p.add(t, c)
			b := p.signIn(t, p.Editor)
			path := "/ui/connectors/c1/edit/name"
			for range 4 {
				page := b.get(path)
				form := theForm(t, page.body)
				if len(form) < 3 {
					t.Fatalf("%s has no form: %v", path, form)
				}
				if strings.Contains(form.Encode(), "never-in-a-form") {
					t.Error("the external id is in the form")
				}
				got := b.post(path, form)
				if got.status != http.StatusSeeOther {
					t.Fatalf("%s: %d %s", path, got.status, got.body)
				}
				path = got.header.Get("Location")
			}
			inOrder(t, b.get(path).body, "What is saved", "Test now")
			if got := b.post(path, url.Values{"do": {"save"}}); got.status != http.StatusSeeOther {
				t.Fatalf("%d %s", got.status, got.body)
			}
			now, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), was.Scope, "c1")
			if err != nil {
				t.Fatal(err)
			}
			if now.Revision != was.Revision+1 {
				t.Errorf("it was not saved: revision %d", now.Revision)
			}
			was.Revision, was.UpdatedAt = now.Revision, now.UpdatedAt
			if diff := cmp.Diff(was, now.Connector); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A change is made in the same steps, tested, and shown.
func TestChange(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{
		ID: "c1", Name: "prod", Credential: connector.IRSA{}, Region: "eu-west-1", CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/d", ExternalID: "ext-42"},
	})
	p.test(t, c, p.breaks)
	b := p.signIn(t, p.Editor)
	inOrder(t, b.get("/ui/connectors/c1").body, "/ui/connectors/c1/edit", "Change…")
	inOrder(t, b.get("/ui/connectors/c1/edit/test").body, "Where it breaks", "Diagnosis", "ec2:DescribeRegions", "Remedy", "What is saved", "Test again")
	page := b.get("/ui/connectors/c1/edit/access")
	inOrder(t, page.body, "Change prod", `value="arn:aws:iam::444455556666:role/d"`, "set; type another", `value="eu-west-1"`)
	p.Clock.Move(time.Second)
	form := theForm(t, page.body)
	form.Set("region", "eu-central-1")
	got := b.post("/ui/connectors/c1/edit/access", form)
	path := got.header.Get("Location")
	review := strings.Replace(path, "/connectivity?", "/test?", 1)
	inOrder(t, b.get(review).body, "What the test goes along", "What will be changed", "External id", "set", "eu-central-1", "Change and test", `<mark class="l new">      <span class="k">region</span>:<span class="s"> eu-central-1`)
	if got = b.post(review, url.Values{"do": {"save"}}); got.header.Get("Location") != "/ui/connectors/c1/edit/test" {
		t.Fatalf("%d %s %s", got.status, got.header.Get("Location"), got.body)
	}
	inOrder(t, b.get("/ui/connectors/c1/edit/test").body, "It holds", "What AWS says", "eu-central-1")
	who := audit.System(p.Account, "test")
	now, err := p.Connectors.Connector(t.Context(), who, c.Scope, "c1")
	if err != nil || now.Region != "eu-central-1" || now.CrossAccount.ExternalID != "ext-42" || now.LastTest.Trigger != connector.OnSave {
		t.Errorf("%+v %v", now, err)
	}
	// The external id is in no page of a change, and stays as it is in a file that does not show it.
	for _, step := range []string{"name", "credentials", "access", "connectivity", "test", "yaml"} {
		if page := b.get("/ui/connectors/c1/edit/" + step).body; strings.Contains(page, "ext-42") || !strings.Contains(page, "(set)") {
			t.Errorf("%s: the external id is shown", step)
		}
	}
	form = theForm(t, b.get("/ui/connectors/c1/edit/yaml").body)
	form.Set("do", "save")
	if got = b.post("/ui/connectors/c1/edit/yaml", form); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if now, err = p.Connectors.Connector(t.Context(), who, c.Scope, "c1"); err != nil || now.CrossAccount.ExternalID != "ext-42" || now.Revision != 3 {
		t.Errorf("%+v %v", now.CrossAccount, err)
	}
	// Change and test does all of it from any step; a box takes the external id away.
	p.Clock.Move(time.Second)
	form = theForm(t, b.get("/ui/connectors/c1/edit/access").body)
	form.Set("dropExternalId", "yes")
	form.Set("do", "save")
	if got = b.post("/ui/connectors/c1/edit/access", form); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if now, err = p.Connectors.Connector(t.Context(), who, c.Scope, "c1"); err != nil || now.CrossAccount.ExternalID != "" {
		t.Errorf("the external id is still there: %v", err)
	}
	before := now.LastTest.ID
	p.Clock.Move(time.Second)
	if got = b.post("/ui/connectors/c1/edit/test", url.Values{"do": {"retest"}}); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if now, err = p.Connectors.Connector(t.Context(), who, c.Scope, "c1"); err != nil || now.LastTest.ID == before || now.Revision != 4 {
		t.Errorf("it was not tested again: %v, revision %d", err, now.Revision)
	}
}

// Who saves what was changed meanwhile is told so, sees both, and decides.
func TestChangeConflict(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := p.add(t, connector.Connector{ID: "c1", Name: "prod", Credential: connector.IRSA{}, Region: "eu-west-1"})
	admin, editor := p.signIn(t, p.Admin), p.signIn(t, p.Editor)
	mine := func(b *browser) (string, answer) {
		b.t.Helper()
		path := b.post("/ui/connectors/c1/edit/access", url.Values{"region": {"eu-north-1"}}).header.Get("Location")
		path = strings.Replace(path, "/connectivity?", "/test?", 1)
		c.Region, c.Revision = "us-west-2", 0
		if c.Description += "."; true {
			list, err := p.Identity.Authenticate(t.Context(), p.Editor)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Connectors.Update(t.Context(), list, c); err != nil {
				t.Fatal(err)
			}
		}
		p.Clock.Move(20 * time.Second)
		return path, b.post(path, url.Values{"do": {"save"}})
	}
	path, got := mine(admin)
	if got.status != http.StatusConflict {
		t.Fatalf("%d %s", got.status, got.body)
	}
	inOrder(t, got.body, "Not saved:", "editor changed it", "20 s ago", "Compare", "Yours", `<mark class="l new">      <span class="k">region</span>:<span class="s"> eu-north-1`, "Saved", `<mark class="l new">      <span class="k">region</span>:<span class="s"> us-west-2`)
	for _, problem := range faults(got.body) {
		t.Error(problem)
	}
	revision := theForm(t, got.body).Get("revision")
	if again := admin.post(path, url.Values{"do": {"save"}}); again.status != http.StatusConflict {
		t.Errorf("saved all the same: %d", again.status)
	}
	// Over it goes only over what was shown.
	if stale := admin.post(path, url.Values{"do": {"overwrite"}, "revision": {"1"}}); stale.status != http.StatusConflict {
		t.Errorf("over what was not shown: %d", stale.status)
	}
	if over := admin.post(path, url.Values{"do": {"overwrite"}, "revision": {revision}}); over.status != http.StatusSeeOther {
		t.Errorf("over what was shown: %d %s", over.status, over.body)
	}
	now, err := p.Connectors.Connector(t.Context(), audit.System(p.Account, "test"), c.Scope, "c1")
	if err != nil || now.Region != "eu-north-1" {
		t.Errorf("%s %v", now.Region, err)
	}
	// Who may not read the log is not told who it was.
	_, got = mine(editor)
	inOrder(t, got.body, "Not saved:", "it was changed", "20 s ago")
	if strings.Contains(got.body, "editor changed it") {
		t.Error("an editor is told who changed it")
	}
}

// Who may not change connectors has no way to, and is refused when sending one all the same.
func TestWizardRoles(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.add(t, connector.Connector{ID: "c1"})
	inside := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	p.add(t, connector.Connector{ID: "c2", Scope: inside})
	viewer, project := p.signIn(t, p.Viewer), p.signIn(t, p.Project)
	if strings.Contains(viewer.get("/ui/connectors/c1").body, "Change…") {
		t.Error("a viewer is offered to change a connector")
	}
	paths := []string{"/ui/connectors/c1/edit", "/ui/connectors/c1/edit/test", "/ui/connectors/c1/edit/yaml"}
	for _, path := range append(slices.Clone(paths), "/ui/new/connector", "/ui/new/connector/yaml") {
		for _, do := range []string{"next", "save", "preview", "retest", "overwrite"} {
			if got := viewer.post(path, url.Values{"do": {do}, "name": {"x"}}); got.status != http.StatusForbidden {
				t.Errorf("a viewer posts %s to %s: %d", do, path, got.status)
			}
		}
		if got := viewer.get(path); got.status != http.StatusForbidden {
			t.Errorf("a viewer gets %s: %d", path, got.status)
		}
	}
	for _, path := range paths {
		if got := project.get(path); got.status != http.StatusForbidden {
			t.Errorf("an editor of a project gets %s: %d", path, got.status)
		}
	}
	if got := project.get("/ui/connectors/c2/edit/name?at=org1/prj1"); got.status != http.StatusOK {
		t.Errorf("an editor of a project changes its connector: %d", got.status)
	}
	if got := project.post("/ui/new/connector", url.Values{"name": {"mine"}}); got.status != http.StatusSeeOther {
		t.Errorf("an editor of a project makes one: %d", got.status)
	}
	if got := p.signIn(t, p.Stranger).get("/ui/connectors/c1/edit"); got.status != http.StatusNotFound {
		t.Errorf("a stranger: %d", got.status)
	}
}

// Answers that are too long are refused, and no draft grows without bound.
func TestWizardBounds(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Editor)
	long := strings.Repeat("x", 200_000)
	if got := b.post("/ui/new/connector", url.Values{"name": {long}, "description": {long}}); got.status != http.StatusBadRequest || len(got.body) > 100_000 {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	if got := b.post("/ui/new/connector/yaml", url.Values{"yaml": {long}}); got.status != http.StatusBadRequest || len(got.body) > 100_000 {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	if got := b.post("/ui/new/connector?draft=../../etc", url.Values{"name": {"n"}}); got.status != http.StatusSeeOther || strings.Contains(got.header.Get("Location"), "etc") {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
}
