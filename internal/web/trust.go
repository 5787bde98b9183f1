package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
)

// ours is the kind of trust policy for the issuer of this Belay; the other kinds are those of package trust.
const ours = "belay"

// trustKind is who is to assume a role, as it is chosen, with the fields that it uses.
type trustKind struct {
	ID, Title, Text string
	Fields          []string
	Here            bool
	To              string
}

func trustKinds() []trustKind {
	return []trustKind{
		{ID: ours, Title: "Belay's OIDC tokens", Text: "Of one connector, or of a scope", Fields: []string{"connector", "account", "audience"}},
		{ID: string(trust.IRSA), Title: "A service account in EKS (IRSA)", Text: "By the cluster's identity provider", Fields: []string{"provider", "issuer", "account", "namespace", "serviceAccount", "audience"}},
		{ID: string(trust.PodIdentity), Title: "EKS Pod Identity", Text: "By an association in the cluster", Fields: []string{"namespace", "serviceAccount"}},
		{ID: string(trust.CrossAccount), Title: "A delegate's role, or another account", Text: "With an external id", Fields: []string{"principals", "externalId"}},
		{ID: string(trust.EC2), Title: "EC2 instances", Text: "By an instance profile"},
		{ID: string(trust.ECSTasks), Title: "ECS tasks", Text: "Task role and task execution role", Fields: []string{"sourceAccount"}},
		{ID: string(trust.ECSService), Title: "The ECS scheduler", Text: "The legacy service role only"},
		{ID: string(trust.Lambda), Title: "Lambda functions", Text: "The execution role"},
		{ID: string(trust.OIDC), Title: "Another OIDC issuer", Text: "A code host, a CI system", Fields: []string{"provider", "issuer", "account", "subject", "audience"}},
	}
}

func trustFields() []formField {
	return []formField{
		{Name: "connector", Label: "Connector", Hint: "org1/prj1/checkout_prod", Help: "Empty means every OIDC connector that the subject covers."},
		{Name: "provider", Label: "Identity provider", Hint: "arn:aws:iam::444455556666:oidc-provider/…", Help: "Its ARN in the role's account; or give issuer and account."},
		{Name: "issuer", Label: "Issuer", Hint: "https://oidc.eks.eu-central-1.amazonaws.com/id/…", Help: "Its address, with the account below."},
		{Name: "account", Label: "AWS account of the role", Hint: "444455556666", Help: "12 digits."},
		{Name: "namespace", Label: "Namespace", Hint: "ci"},
		{Name: "serviceAccount", Label: "Service account", Hint: "belay-delegate"},
		{Name: "principals", Label: "Who is let in", Hint: "arn:aws:iam::111122223333:role/delegate", Help: "ARNs of roles or users, or account ids; several with commas."},
		{Name: "externalId", Label: "External id", Help: "What the caller must send. The connector has it as externalId."},
		{Name: "sourceAccount", Label: "Only tasks of account", Hint: "444455556666"},
		{Name: "subject", Label: "Subject", Hint: "repo:team/app:ref:refs/heads/main", Help: "Whose tokens are meant; * and ? are wildcards."},
		{Name: "audience", Label: "Audience", Hint: trust.DefaultAudience, Help: "Empty means the usual one."},
		{Name: "role", Label: "Name of the role", Hint: "left open", Help: "For Terraform, CloudFormation and the AWS CLI."},
	}
}

// trustPage makes a trust policy: all of it stands in the address.
type trustPage struct {
	v              *visit
	Kinds          []trustKind
	Kind           string
	Fields         []formField
	Tags, Identity bool
	Only           bool // of Belay's tokens: those of exactly this scope
	Partition      string
	Format         string
	Asked          bool // not only typed so far
	Problems       []problem
	Lines          []codeLine
	Notes          []string
	Subject        string // of Belay's own tokens
	Connectors     []string

	policy *trust.Policy
	query  url.Values
}

var roleNameForm = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

// Field is a field by its name.
func (p *trustPage) Field(name string) *formField {
	for i := range p.Fields {
		if p.Fields[i].Name == name {
			return &p.Fields[i]
		}
	}
	return &formField{}
}

// trustOf reads the page from its address, and makes the policy once it is asked for.
func (s *Server) trustOf(ctx context.Context, v *visit) (trustPage, error) {
	p := trustPage{
		v: v, Kinds: trustKinds(), Kind: cmp.Or(v.query.Get("for"), ours), Format: formatOf(v.query), Partition: v.query.Get("partition"), query: url.Values{},
		Tags: v.query.Get("tags") != "", Identity: v.query.Get("sourceIdentity") != "", Only: v.query.Get("only") != "",
		Asked: v.query.Get("make") != "",
	}
	if !slices.ContainsFunc(p.Kinds, func(k trustKind) bool { return k.ID == p.Kind }) {
		p.Kind = ours
	}
	var used []string
	for i := range p.Kinds {
		k := &p.Kinds[i]
		k.To = v.url("/ui/permissions/trust", "for", k.ID)
		if k.Here = k.ID == p.Kind; k.Here {
			used = append(slices.Clone(k.Fields), "role")
		}
	}
	given := false
	for _, f := range trustFields() {
		if !slices.Contains(used, f.Name) {
			continue
		}
		f.Value, f.Mono = cut(strings.TrimSpace(v.query.Get(f.Name)), longestField), true
		given = given || f.Value != ""
		if f.Value != "" {
			p.query.Set(f.Name, f.Value)
		}
		p.Fields = append(p.Fields, f)
	}
	for name, on := range map[string]bool{"tags": p.Tags, "sourceIdentity": p.Identity, "only": p.Only} {
		if on {
			p.query.Set(name, "1")
		}
	}
	p.query.Set("for", p.Kind)
	if p.Partition != "" {
		p.query.Set("partition", p.Partition)
	}
	if p.Kind == ours {
		var err error
		if p.Connectors, err = s.issuedConnectors(ctx, v); err != nil {
			return p, err
		}
	}
	// A policy of a service needs nothing to be filled in; the others wait for it.
	if given || len(used) <= 2 && p.Kind != ours || p.Asked {
		return p, s.makeTrust(ctx, &p)
	}
	return p, nil
}

// issuedConnectors are the connectors that use Belay's own tokens, of the scope that the page shows, as they are named in the
// field: ORG/PROJECT/ID.
func (s *Server) issuedConnectors(ctx context.Context, v *visit) ([]string, error) {
	const most = 200 // the field takes any other as well
	inherits := false
	list, _, err := s.Connectors.Connectors(ctx, v.who, connector.Filter{
		Scope: v.at, SubScopes: true, Types: []string{connector.TypeAWS}, Inheriting: &inherits, Limit: most,
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range list {
		if _, ok := c.Credential.(connector.OIDC); ok {
			out = append(out, pathOf(c.Scope, c.ID))
		}
	}
	return out, nil
}

// pathOf names a connector in a field: ORG/PROJECT/ID, ORG/ID, or ID.
func pathOf(at scope.Scope, id string) string {
	return strings.TrimPrefix(homeOf(at)+"/"+id, "/")
}

// connectorAt reads what pathOf writes.
func connectorAt(account, path string) (scope.Scope, string, error) {
	at := scope.Scope{Account: account}
	words := strings.Split(path, "/")
	switch len(words) {
	case 1:
	case 2:
		at.Org = words[0]
	case 3:
		at.Org, at.Project = words[0], words[1]
	default:
		return at, "", fault.New(fault.Invalid, "a connector is named as ID, ORG/ID or ORG/PROJECT/ID")
	}
	return at, words[len(words)-1], at.Valid()
}

// refuse notes a problem, beside its field where it has one here.
func (p *trustPage) refuse(name, text string) {
	f := p.Field(name)
	if f.Name != "" {
		if p.Asked {
			f.Focus = f.Focus || len(p.Problems) == 0
			f.Error = strings.TrimSpace(f.Error + " " + text)
		}
	}
	p.Problems = append(p.Problems, problem{f.Name, f.Label, text})
}

func (s *Server) makeTrust(ctx context.Context, p *trustPage) error {
	value := func(name string) string { return p.Field(name).Value }
	if role := value("role"); role != "" && !roleNameForm.MatchString(role) {
		p.refuse("role", "The name of a role is up to 64 letters, digits and +=,.@_-, without its path.")
	}
	ask := trust.Ask{
		For: trust.Kind(p.Kind), Partition: p.Partition, Principals: names(value("principals")), ExternalID: value("externalId"), Provider: value("provider"),
		Issuer: value("issuer"), Account: value("account"), Namespace: value("namespace"), ServiceAccount: value("serviceAccount"), Audience: value("audience"),
		Subject: value("subject"), SourceAccount: value("sourceAccount"), Tags: p.Tags, SourceIdentity: p.Identity,
	}
	if ask.Provider != "" {
		ask.Issuer, ask.Account = "", "" // the ARN says both
	}
	if p.Kind == ours {
		done, err := s.ownTrust(ctx, p, &ask)
		if err != nil || done {
			return err
		}
	}
	made, err := trust.For(ask)
	if input, ok := errors.AsType[*trust.InputError](err); ok {
		for _, problem := range input.Problems {
			text := problem
			if word, rest, ok := strings.Cut(problem, ": "); ok && !strings.Contains(word, " ") && p.Field(p.fieldOf(problem)).Name != "" {
				text = rest // the field's label says it
			}
			p.refuse(p.fieldOf(problem), sentence(text))
		}
		return nil
	}
	if err != nil {
		return err
	}
	p.show(made)
	return nil
}

// fieldOf is the field that a problem of package trust begins with: by its name, or by its value in quotation marks.
func (p *trustPage) fieldOf(problem string) string {
	for _, f := range p.Fields {
		if f.Value != "" && strings.HasPrefix(problem, strconv.Quote(f.Value)+" ") {
			return f.Name
		}
	}
	word, _, _ := strings.Cut(problem, " ")
	word = strings.TrimSuffix(word, ":")
	if word == "principal" {
		return "principals"
	}
	return word
}

// ownTrust completes what is asked for with Belay's own issuer. done means that nothing is left to be made.
func (s *Server) ownTrust(ctx context.Context, p *trustPage, ask *trust.Ask) (done bool, err error) {
	ask.For = trust.OIDC
	if path := p.Field("connector").Value; path != "" {
		t, err := s.connectorTrust(ctx, p.v, path)
		if shown(err) {
			p.refuse("connector", sentence(fault.Sentence(err)))
			return true, nil
		}
		if err != nil {
			return true, err
		}
		document, err := iam.Parse(t.Policy)
		if err != nil {
			return true, err
		}
		p.Subject = t.Subject
		if len(p.Problems) == 0 {
			p.show(trust.Policy{Partition: partitionOf(t.Role), Document: document, Notes: t.Notes})
		}
		return true, nil
	}
	if !p.v.may(audit.OIDCRead, p.v.account()) {
		p.refuse("connector", "Name a connector: your role does not see the issuer of the whole account.")
		return true, nil
	}
	view, err := s.Issuer.View(ctx, p.v.who)
	if err != nil {
		return true, err
	}
	i := view.Issuer
	ask.Issuer, ask.Audience = i.URL, cmp.Or(ask.Audience, i.Audience)
	ask.Subject = oidc.Subject(p.v.at, i.Enhanced)
	switch {
	case ask.Account == "":
		p.refuse("account", "Which AWS account has the role? 12 digits.")
	case i.Enhanced && p.v.at.Level() != scope.Project && !p.Only:
		ask.Subject = subjectsInside(p.v.at)
	case !i.Enhanced && p.v.at.Level() != scope.Account:
		p.Notes = append(p.Notes, "The subject of tokens is the whole account: connectors of other scopes get in too. The flag `PL_OIDC_ENHANCED_SUBJECT_FIELD` narrows it to a scope.")
	}
	p.Subject = ask.Subject
	if problem := oidc.CheckIssuer(i.URL); problem != "" {
		p.Notes = append(p.Notes, "AWS cannot use the issuer "+i.URL+": it "+problem+". Give the manager a --public-url that AWS can reach, or host the documents elsewhere.")
	}
	return len(p.Problems) > 0, nil
}

// subjectsInside is a pattern of the subjects of a scope's tokens and of those inside it.
func subjectsInside(at scope.Scope) string {
	if at.Level() == scope.Account {
		return "account/" + at.Account + ":*"
	}
	return "account/" + at.Account + ":org/" + at.Org + ":project/*"
}

// connectorTrust is what AWS needs for a connector. Naming it is enough; what the caller may not see is refused by the service.
func (s *Server) connectorTrust(ctx context.Context, v *visit, path string) (oidc.Trust, error) {
	at, id, err := connectorAt(v.who.Account, path)
	if err != nil {
		return oidc.Trust{}, err
	}
	return s.Issuer.TrustPolicy(ctx, v.who, at, id)
}

// shown reports whether an error says what a person can mend in the form.
func shown(err error) bool {
	return slices.Contains([]fault.Kind{fault.NotFound, fault.Invalid, fault.Denied}, fault.KindOf(err))
}

func partitionOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 {
		return parts[1]
	}
	return "aws"
}

func (p *trustPage) show(made trust.Policy) {
	if len(p.Problems) > 0 {
		return
	}
	p.policy = &made
	p.Lines = linesOf(string(p.text()))
	p.Notes = append(p.Notes, made.Notes...)
}

// text is the policy in the format that is chosen.
func (p *trustPage) text() []byte { return trustText(*p.policy, p.Format, p.Field("role").Value) }

// trustText is a trust policy in a format. role is the name of the role; "" leaves it open.
func trustText(p trust.Policy, format, role string) []byte {
	switch format {
	case "terraform":
		return render.TrustTerraform(p, role)
	case "cloudformation":
		return render.TrustCloudFormation(p, role)
	case "cli":
		return render.TrustShell(p, role)
	}
	return render.TrustJSON(p)
}

// Says is the outcome for those who do not see it.
func (p *trustPage) Says() string {
	switch {
	case len(p.Problems) > 0:
		return "No trust policy was made"
	case p.policy == nil:
		return "Something is still to be filled in"
	}
	return "The trust policy is made"
}

// To is the address of a page with what is filled in, and with other parameters in pairs.
func (p *trustPage) To(path string, pairs ...string) string {
	return withQuery(p.v.url(path), p.query, pairs...)
}

// FormatTabs are the formats of the policy.
func (p *trustPage) FormatTabs() []tab {
	return formatTabs(p.Format, func(format string) string { return p.To("/ui/permissions/trust", "format", format, "make", "1") })
}

// trust is the generator of trust policies.
func (s *Server) trust(ctx context.Context, v *visit) (reply, error) {
	if v.query.Get("new") != "" { // an external id is made once, and then stands in the address
		q := v.r.URL.Query()
		q.Del("new")
		q.Set("externalId", trust.NewExternalID())
		return reply{to: "/ui/permissions/trust?" + q.Encode()}, nil
	}
	p, err := s.trustOf(ctx, v)
	if err != nil {
		return reply{}, err
	}
	return reply{title: "Trust policies", here: "Permissions", body: trustView(&p)}, nil
}

// trustFile is the policy as a file to keep.
func (s *Server) trustFile(ctx context.Context, v *visit) (reply, error) {
	p, err := s.trustOf(ctx, v)
	if err != nil {
		return reply{}, err
	}
	if p.policy == nil {
		if len(p.Problems) == 0 {
			p.refuse("", "Something is still to be filled in.")
		}
		return reply{title: "Trust policies", here: "Permissions", body: trustView(&p), status: http.StatusBadRequest}, nil
	}
	return reply{file: &file{"trust-policy" + endingOf(p.Format), "text/plain", p.text()}}, nil
}
