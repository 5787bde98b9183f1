package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// plain is the text of a page.
func plain(page string) string { return html.UnescapeString(tags.ReplaceAllString(page, "")) }

func TestTrust(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	for name, tt := range map[string]struct {
		query string
		want  []string
	}{
		"ec2":                {"for=ec2", []string{`"Service": "ec2.amazonaws.com"`, `"Action": "sts:AssumeRole"`, "instance profile"}},
		"ec2 in China":       {"for=ec2&partition=aws-cn", []string{"ec2.amazonaws.com.cn"}},
		"ecs tasks":          {"for=ecs-tasks&sourceAccount=444455556666", []string{"ecs-tasks.amazonaws.com", `"aws:SourceAccount": "444455556666"`}},
		"the ecs scheduler":  {"for=ecs", []string{"ecs.amazonaws.com"}},
		"lambda":             {"for=lambda&tags=1", []string{"lambda.amazonaws.com", "sts:TagSession"}},
		"pod identity":       {"for=pod-identity&namespace=ci&serviceAccount=delegate", []string{"pods.eks.amazonaws.com", "sts:TagSession", "kubernetes-service-account"}},
		"irsa":               {"for=irsa&issuer=https://oidc.eks.eu-central-1.amazonaws.com/id/AB&account=444455556666&namespace=ci&serviceAccount=delegate", []string{"arn:aws:iam::444455556666:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/AB", ":aud", "sts.amazonaws.com", ":sub", "system:serviceaccount:ci:delegate"}},
		"another account":    {"for=cross-account&principals=111122223333,arn:aws:iam::111122223333:role/delegate&externalId=belay-1", []string{"arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:role/delegate", `"sts:ExternalId": "belay-1"`}},
		"another issuer":     {"for=oidc&provider=arn:aws:iam::444455556666:oidc-provider/ci.example.com&subject=repo:team/app:*", []string{"oidc-provider/ci.example.com", "StringLike", "repo:team/app:*"}},
		"belay, the account": {"account=444455556666", []string{"arn:aws:iam::444455556666:oidc-provider/belay.example.com/ng/api/oidc/account/" + p.Account, "StringLike", "account/" + p.Account + ":*", "Subject of the tokens"}},
		"belay, a project":   {"account=444455556666&org=org1&project=prj1", []string{"account/" + p.Account + ":org/org1:project/prj1"}},
		"belay, one scope":   {"account=444455556666&org=org1&only=1&audience=me", []string{`:aud": "me"`, "account/" + p.Account + ":org/org1:project/"}},
		"terraform":          {"for=lambda&format=terraform&role=checkout", []string{`resource "aws_iam_role"`, "checkout"}},
		"cloudformation":     {"for=lambda&format=cloudformation&role=checkout", []string{"AWS::IAM::Role", "checkout"}},
		"aws cli":            {"for=lambda&format=cli&role=checkout", []string{"checkout", "aws iam create-role"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.get("/ui/permissions/trust?make=1&" + tt.query)
			inOrder(t, html.EscapeString(plain(got.body)), tt.want...)
			for _, problem := range faults(got.body) {
				t.Error(problem)
			}
			file := b.get("/ui/permissions/trust/file?make=1&" + tt.query)
			if !strings.HasPrefix(file.header.Get("Content-Disposition"), `attachment; filename="trust-policy.`) || file.status != http.StatusOK {
				t.Fatalf("no file: %d", file.status)
			}
			if !strings.Contains(file.body, strings.Trim(tt.want[0], `"`)) && !strings.Contains(file.body, tt.want[0]) {
				t.Errorf("the file is %s", file.body)
			}
		})
	}
}

// All that is wrong is said at once, beside its field; what another kind needs does not count.
func TestTrustRefused(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.get("/ui/permissions/trust?make=1&for=irsa&issuer=http://x&account=12&serviceAccount=A_B&role=a/b&externalId=left-from-before")
	for _, field := range []string{"issuer", "account", "namespace", "serviceAccount", "role"} {
		if !strings.Contains(got.body, `id="`+field+`-e"`) || !strings.Contains(got.body, `href="#`+field+`"`) {
			t.Errorf("%s is not said to be wrong", field)
		}
	}
	if strings.Contains(got.body, "left-from-before") || strings.Count(got.body, "autofocus") != 1 {
		t.Error("a field of another kind counts, or not one field has the focus")
	}
	if got := b.get("/ui/permissions/trust/file?for=irsa"); got.status != http.StatusBadRequest || got.header.Get("Content-Disposition") != "" {
		t.Errorf("a file of nothing: %d", got.status)
	}
	inOrder(t, b.get("/ui/permissions/trust").body, "Belay&#39;s OIDC tokens"[:5], "Not enough is known yet")
}

// An external id is made once, and then stands in the address with what was filled in.
func TestNewExternalID(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.get("/ui/permissions/trust?for=cross-account&principals=111122223333&new=1")
	to, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status != http.StatusSeeOther {
		t.Fatal(got.status, err)
	}
	id := to.Query().Get("externalId")
	if !strings.HasPrefix(id, "belay-") || to.Query().Get("new") != "" || to.Query().Get("principals") != "111122223333" {
		t.Errorf("it leads to %s", to)
	}
	inOrder(t, b.get(to.String()).body, `value="`+id+`"`, "sts:ExternalId", id)
}

// A connector's trust policy is made for whoever may see the connector, and for nobody else.
func TestTrustOfAConnector(t *testing.T) {
	t.Parallel()
	p := serve(t)
	project := scope.Scope{Account: p.Account, Org: "org1", Project: "prj1"}
	p.add(t, connector.Connector{ID: "checkout", Scope: project, Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/checkout"}})
	p.add(t, connector.Connector{ID: "wide", Credential: connector.OIDC{RoleARN: "arn:aws:iam::444455556666:role/wide"}})
	p.add(t, connector.Connector{ID: "keys", Scope: project, Credential: connector.IRSA{}, CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::444455556666:role/x", ExternalID: "never-shown-4711"}})
	want := []string{"oidc-provider/belay.example.com/ng/api/oidc/account/" + p.Account, "account/" + p.Account + ":org/org1:project/prj1"}
	for _, key := range []string{p.Viewer, p.Project} {
		b := p.signIn(t, key)
		page := b.get("/ui/permissions/trust?connector=org1/prj1/checkout").body
		inOrder(t, page, append([]string{`<option value="org1/prj1/checkout">`}, want...)...)
		if strings.Contains(page, `<option value="org1/prj1/keys">`) {
			t.Error("a connector without tokens is offered")
		}
		// The attempt of the connector is filled in, and it gets in.
		explain := b.get("/ui/permissions/trust/explain?for=belay&make=1&connector=org1/prj1/checkout").body
		form := url.Values{"trust": {textIn(t, explain, "trust")}, "claims": {textIn(t, explain, "claims")}}
		for _, name := range []string{"caller", "role"} {
			found := regexp.MustCompile(`id="` + name + `" name="` + name + `" value="([^"]+)"`).FindStringSubmatch(explain)
			if found == nil {
				t.Fatalf("%s is not filled in", name)
			}
			form.Set(name, html.UnescapeString(found[1]))
		}
		inOrder(t, b.post("/ui/permissions/trust/explain", form).body, "Let in", "sts:AssumeRoleWithWebIdentity succeeds")
	}
	inside := p.signIn(t, p.Project)
	for _, path := range []string{"/ui/permissions/trust?connector=wide", "/ui/permissions/trust?account=444455556666", "/ui/permissions/trust/explain?connector=wide", "/ui/permissions/evidence?connector=wide"} {
		page := inside.get(path).body
		if strings.Contains(page, "role/wide") || strings.Contains(page, "oidc-provider/belay.example.com") {
			t.Errorf("%s: an editor of a project sees what the account has", path)
		}
	}
	inOrder(t, inside.get("/ui/permissions/trust?make=1&connector=wide").body, `id="connector-e"`, "No trust policy was made")
	for _, path := range []string{"/ui/permissions/trust/explain?connector=org1/prj1/keys", "/ui/permissions/trust?connector=org1/prj1/keys", "/ui/permissions/evidence?connector=org1/prj1/keys"} {
		if strings.Contains(inside.get(path).body, "never-shown-4711") {
			t.Errorf("%s shows the external id", path)
		}
	}
	inOrder(t, inside.get("/ui/permissions/trust/explain?connector=org1/prj1/keys").body, "Its external id is set, and not shown", "arn:aws:iam::444455556666:role/x")
}

// The answer names the element, and the letter, that is in the way.
func TestTrustExplained(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	const document = `{"Version":"2012-10-17","Statement":[{"Sid":"Delegate","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/delegate"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":"belay-4711"}}}]}`
	const token = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::444455556666:oidc-provider/ci.example.com"},"Action":"sts:AssumeRoleWithWebIdentity",` +
		`"Condition":{"StringEquals":{"ci.example.com:aud":"sts.amazonaws.com","ci.example.com:sub":"team-a"}}}}`
	const role = "arn:aws:iam::444455556666:role/deploy"
	for name, tt := range map[string]struct {
		form url.Values
		want []string
	}{
		"it depends on the caller": {
			url.Values{"trust": {document}, "caller": {"arn:aws:iam::111122223333:role/delegate"}, "role": {role}, "externalId": {"belay-4711"}},
			[]string{"Depends.", "sts:AssumeRole"},
		},
		"the caller's policies are given": {
			url.Values{"trust": {document}, "caller": {"arn:aws:iam::111122223333:role/delegate"}, "role": {role}, "externalId": {"belay-4711"}, "policies": {allow("sts:AssumeRole", role)}},
			[]string{"Let in.", "sts:AssumeRole succeeds"},
		},
		"another letter": {
			url.Values{"trust": {document}, "caller": {"arn:aws:iam::111122223333:role/delegate"}, "role": {role}, "externalId": {"belay-4712"}},
			[]string{"Refused.", "sts:AssumeRole fails", "letter 10", "<dt>Wanted", "belay-471<mark>1</mark>", "Sent", "belay-471<mark>2</mark>", `<mark class="l">`, "sts:ExternalId"},
		},
		"a blank at the end": {
			url.Values{"trust": {document}, "caller": {"arn:aws:iam::111122223333:role/delegate"}, "role": {role}, "externalId": {"belay-4711 "}},
			[]string{"Refused.", "white space at its end", "belay-4711<mark>␣</mark>"},
		},
		"another role": {
			url.Values{"trust": {document}, "caller": {"arn:aws:iam::111122223333:role/other"}, "role": {role}, "externalId": {"belay-4711"}},
			[]string{"Refused.", "is not for arn:aws:iam::111122223333:role/other", `<mark class="l">`, "Principal", "role/delegate"},
		},
		"another subject": {
			url.Values{"trust": {token}, "caller": {"arn:aws:iam::444455556666:oidc-provider/ci.example.com"}, "role": {role}, "claims": {"aud=sts.amazonaws.com\nsub=team-b"}},
			[]string{"Refused.", "sts:AssumeRoleWithWebIdentity fails", "team-<mark>a</mark>", "team-<mark>b</mark>", `<mark class="l">`, "ci.example.com:sub"},
		},
		"another action": {
			url.Values{"trust": {strings.ReplaceAll(token, "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole")}, "caller": {"arn:aws:iam::444455556666:oidc-provider/ci.example.com"}, "role": {role}, "claims": {"aud=sts.amazonaws.com\nsub=team-a"}},
			[]string{"Refused.", "allows sts:AssumeRole, not sts:AssumeRoleWithWebIdentity", `<mark class="l">`, "Action"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.post("/ui/permissions/trust/explain", tt.form)
			if got.status != http.StatusOK {
				t.Fatalf("%d", got.status)
			}
			_, answer, _ := strings.Cut(got.body, `id="answer"`)
			inOrder(t, strings.NewReplacer(`<span class="k">`, "", `<span class="s">`, "", "</span>", "").Replace(answer), tt.want...)
			for _, problem := range faults(got.body) {
				t.Error(problem)
			}
		})
	}
	got := b.post("/ui/permissions/trust/explain", url.Values{"trust": {"{"}, "claims": {"x"}, "policies": {"["}})
	if got.status != http.StatusBadRequest || strings.Count(got.body, "autofocus") != 1 {
		t.Errorf("%d", got.status)
	}
	for _, field := range []string{"trust", "caller", "claims", "policies"} {
		if !strings.Contains(got.body, `id="`+field+`-e"`) {
			t.Errorf("%s is not said to be wrong", field)
		}
	}
}

// The policy of what was found missing, by the last test and the last preflight.
func TestEvidence(t *testing.T) {
	t.Parallel()
	p := serve(t)
	p.populate(t)
	b := p.signIn(t, p.Editor)
	inOrder(t, b.get("/ui/permissions/evidence").body, "Failing now", "payments prod")
	inOrder(t, b.get("/ui/permissions/evidence?connector=org1/prj1/payments_prod").body, "payments prod", "BLY-2104 explained", "There was no preflight", "What mends it", "Exempt this identity", "aws iam create-policy-version")
	inOrder(t, b.get("/ui/permissions/evidence?connector=search_dev").body, "Nothing to mend is known")
	p.surveyed = hardlyAllowed()
	if got := b.post("/ui/connectors/orders_eu_1/preflight", url.Values{"capability": {"s3-read-write"}}); got.status != http.StatusSeeOther {
		t.Fatal(got.status)
	}
	page := b.get("/ui/permissions/evidence?connector=orders_eu_1").body
	inOrder(t, page, "Last preflight", "S3: read and write", "denied", "Policy", "s3:Get", "AWS CLI", "aws iam put-user-policy", "All that these uses need, in the builder")
	if !strings.Contains(page, "/ui/permissions/builder?capability=s3-read-write") {
		t.Error("the builder does not get what was asked about")
	}
	inOrder(t, b.get("/ui/permissions/evidence?connector=nope").body, `aria-invalid="true"`, `id="connector-e"`)
}
