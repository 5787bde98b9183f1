package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// need is something that a connection needs, and whether it is there. What cannot be known from here is said to be unknown.
type need struct {
	Mark        mark
	Title, Text string
}

func met(title, text string) need     { return need{mark{"ok", "Met"}, title, text} }
func missing(title, text string) need { return need{mark{"fail", "Missing"}, title, text} }
func beware(title, text string) need  { return need{mark{"warn", "Attention"}, title, text} }
func unknown(title, text string) need { return need{mark{"unknown", "Not known"}, title, text} }

// metOf says how many are met: "3 of 4 met".
func metOf(needs []need) string {
	n := 0
	for _, one := range needs {
		if one.Mark.Class == "ok" {
			n++
		}
	}
	if n == len(needs) {
		return "All met"
	}
	return fmt.Sprintf("%d of %d met", n, len(needs))
}

// block is a text to copy, in one of several formats. Formats are addresses of the same page.
type block struct {
	ID, Title string
	Formats   []tab
	Lines     []codeLine
	Notes     []string
	Problem   string // why there is none
}

// chosen are the delegates that would be asked, and why the others would not.
type chosen struct {
	Mark    mark
	Words   string
	Names   []string
	Reasons []string
}

// needsOf finds what the credentials of a draft need.
func (s *Server) needsOf(ctx context.Context, v *visit, c connector.Connector) ([]need, error) {
	var needs []need
	if c.Credential != nil {
		off, err := s.Connectors.Gate(ctx, c)
		if err != nil {
			return nil, err
		}
		switch credential := c.Credential.(type) {
		case connector.OIDC:
			const title = "OIDC is on for this account"
			if off == nil {
				needs = append(needs, met(title, "Flag `CDS_AWS_OIDC_AUTHENTICATION`"))
			} else {
				needs = append(needs, missing(title, off.Message))
			}
			more, err := s.issuerNeeds(ctx, v, c)
			if err != nil {
				return nil, err
			}
			needs = append(needs, more...)
		case connector.ManualConfig:
			more, err := s.keyNeeds(ctx, v, credential, off)
			if err != nil {
				return nil, err
			}
			needs = append(needs, more...)
		case connector.InheritFromDelegate, connector.IRSA, connector.Kubernetes:
		}
	}
	one, err := s.delegateNeed(ctx, v, c)
	if err != nil {
		return nil, err
	}
	needs = append(needs, one)
	switch c.Credential.(type) {
	case connector.OIDC:
		needs = append(needs, unknown("The role trusts this connector", "The test finds out. Put the trust policy below on the role first."))
	case connector.IRSA:
		needs = append(needs,
			unknown("Its pod has `AWS_ROLE_ARN` and a token", "EKS injects both when the pod starts, once its service account has the annotation `eks.amazonaws.com/role-arn`. The test finds out."),
			unknown("The role trusts the cluster", "The test finds out. Put the trust policy below on the role first."),
		)
	case connector.InheritFromDelegate:
		needs = append(needs, unknown("AWS gives it a role", "An instance profile, a task role, Pod Identity, or its environment. In a container on EC2 the metadata hop limit is 2 or more. The test finds out."))
	case connector.ManualConfig, connector.Kubernetes, nil:
	}
	return needs, nil
}

func (s *Server) issuerNeeds(ctx context.Context, v *visit, c connector.Connector) ([]need, error) {
	const title = "AWS can fetch the issuer's documents"
	// The issuer is told with a role's trust policy; any role does.
	ask := c
	ask.CrossAccount, ask.Credential = nil, connector.OIDC{RoleARN: "arn:aws:iam::123456789012:role/any"}
	t, err := s.Issuer.TrustFor(ctx, v.who, ask)
	if err != nil {
		return nil, err
	}
	if p := oidc.CheckIssuer(t.Issuer); p != "" {
		return []need{missing(title, fmt.Sprintf("The issuer `%s` %s. Start the manager with `--public-url https://…`, or host the documents elsewhere with `belay oidc export`.", t.Issuer, p))}, nil
	}
	return []need{unknown(title, fmt.Sprintf("The address `%s` has the right form. `belay oidc check` fetches what AWS would fetch.", t.Issuer))}, nil
}

func (s *Server) keyNeeds(ctx context.Context, v *visit, k connector.ManualConfig, off *connector.NotRun) ([]need, error) {
	var needs []need
	for _, one := range []struct {
		title string
		ref   scope.Ref
		must  bool
	}{{"The secret access key is stored", k.SecretKeyRef, true}, {"The access key id is stored", k.AccessKeyRef, false}, {"The session token is stored", k.SessionTokenRef, false}} {
		if one.ref == "" {
			if one.must {
				needs = append(needs, unknown(one.title, "Choose a secret, or store a new one here."))
			}
			continue
		}
		n, err := s.secretNeed(ctx, v, one.title, one.ref)
		if err != nil {
			return nil, err
		}
		needs = append(needs, n)
	}
	if k.SessionTokenRef != "" {
		if off != nil {
			needs = append(needs, missing("Session tokens are on for this account", off.Message))
		} else {
			needs = append(needs, met("Session tokens are on for this account", "Flag `CDS_AWS_SESSION_TOKEN_SUPPORT`"))
		}
	} else if strings.HasPrefix(k.AccessKey, "ASIA") {
		needs = append(needs, missing("A temporary key has its session token", "An id that begins with ASIA is one of temporary credentials: AWS takes it with its session token only."))
	}
	return append(needs, beware("A long-lived key leaves AWS", "Somebody has to rotate it. OIDC, IRSA and a delegate's role store no key.")), nil
}

func (s *Server) secretNeed(ctx context.Context, v *visit, title string, ref scope.Ref) (need, error) {
	at, id, err := ref.In(v.at)
	if err != nil {
		return missing(title, sentence(fault.Sentence(err))), nil
	}
	if v.who.RoleAt(at) == "" { // asking would be refused, and kept as an attempt
		return unknown(title, fmt.Sprintf("Your role does not show the secrets of %s.", at)), nil
	}
	one, err := s.Secrets.Secret(ctx, v.who, at, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return missing(title, fmt.Sprintf("There is no secret `%s`. Store it below, or with `belay secret set %s`.", ref, id)), nil
	case err != nil:
		return need{}, err
	case one.Kind != secret.Inline:
		return missing(title, fmt.Sprintf("`%s` is kept by the secret manager %s, which Belay cannot read. Store the value inline.", ref, one.Manager)), nil
	}
	return met(title, fmt.Sprintf("`%s`, changed %s", ref, since(v.now, one.UpdatedAt).Words)), nil
}

// choose asks who would get the work of a connector.
func (s *Server) choose(ctx context.Context, v *visit, c connector.Connector) (chosen, error) {
	got, err := s.asked(ctx, v, c)
	return chosenOf(got), err
}

// mostChosen is how many delegates a page names one by one.
const mostChosen = 12

func chosenOf(c delegate.Choice) chosen {
	out := chosen{Reasons: c.Reasons()}
	for _, d := range c.Eligible() {
		if !slices.Contains(out.Names, d.Name) {
			out.Names = append(out.Names, d.Name)
		}
	}
	slices.Sort(out.Names)
	if more := len(out.Names) - mostChosen; more > 0 {
		out.Names = append(out.Names[:mostChosen], fmt.Sprintf("and %s more", grouped(more)))
	}
	n := len(c.Eligible())
	switch {
	case n > 0:
		out.Mark, out.Words = mark{"ok", "Met"}, count(n, "delegate matches now", "delegates match now")
	case c.Waiting():
		out.Mark, out.Words = mark{"warn", "Attention"}, c.Sentence()
	default:
		out.Mark, out.Words = mark{"fail", "Missing"}, c.Sentence()
	}
	return out
}

// mostNames is how many delegates are named in a sentence.
const mostNames = 4

func namesOf(all []string) string {
	if len(all) > mostNames {
		return strings.Join(all[:mostNames], ", ") + fmt.Sprintf(" and %d more", len(all)-mostNames)
	}
	return strings.Join(all, ", ")
}

func (s *Server) delegateNeed(ctx context.Context, v *visit, c connector.Connector) (need, error) {
	title := "A delegate can take the work"
	if _, ok := c.Credential.(connector.OIDC); ok {
		title = "Delegate " + delegate.OIDCSince().String() + " or later, or none"
	}
	if !c.OnDelegate() {
		return met(title, "This manager calls AWS; no delegate is needed."), nil
	}
	got, err := s.choose(ctx, v, c)
	if err != nil {
		return need{}, err
	}
	text := got.Words
	if len(got.Names) > 0 {
		text += ": " + namesOf(got.Names)
	}
	return need{got.Mark, title, text}, nil
}

// formatsOf are the formats of a block, as addresses.
func (w *wizard) formatsOf() []tab {
	return formatTabs(w.Format, func(format string) string { return w.to(w.Step, "format", format) })
}

// trustBlock writes a trust policy in the format that is chosen.
func (w *wizard) trustBlock(title string, ask trust.Ask, role string, notes []string) block {
	b := block{ID: "trust", Title: title, Notes: notes, Formats: w.formatsOf()}
	p, err := trust.For(ask)
	if input, ok := errors.AsType[*trust.InputError](err); ok {
		for _, p := range input.Problems {
			b.Problem = strings.TrimSpace(b.Problem + " " + sentence(p))
		}
		b.Formats = nil
		return b
	} else if err != nil {
		b.Problem, b.Formats = err.Error(), nil
		return b
	}
	b.Notes = append(b.Notes, p.Notes...)
	b.Lines = w.trustLines(p, role)
	return b
}

func (w *wizard) trustLines(p trust.Policy, role string) []codeLine {
	return linesOf(string(trustText(p, w.Format, role)))
}

// permissionBlock writes what every connection needs.
func (w *wizard) permissionBlock(title string, to catalogue.Entity, target string) (block, error) {
	result, err := catalogue.For([]string{catalogue.Connection}, catalogue.Narrowing{}, catalogue.Placement{To: to, Inline: true, Name: "belay-connection", Expand: true})
	if err != nil {
		return block{}, err
	}
	return w.policyBlock("permissions", title, result, target)
}

func (w *wizard) policyBlock(id, title string, result catalogue.Result, target string) (block, error) {
	b := block{ID: id, Title: title, Formats: w.formatsOf()}
	if w.Format != "json" {
		text, err := written(result, w.Format, target)
		if err != nil {
			return block{}, err
		}
		b.Lines = linesOf(string(text))
		return b, nil
	}
	for _, d := range result.Documents { // as AWS takes them
		b.Lines = append(b.Lines, linesOf(string(d.Document.Indent()))...)
	}
	return b, nil
}

// credentialBlocks are the policies that the chosen credentials need.
func (w *wizard) credentialBlocks(ctx context.Context, s *Server, c connector.Connector) error {
	to, target := catalogue.Role, w.Value("roleName")
	switch credential := c.Credential.(type) {
	case connector.OIDC:
		target = ""
		b, provider := block{ID: "trust", Title: "Trust policy of the role"}, block{ID: "provider", Title: "Identity provider, once an account"}
		if p := arn.CheckRole(credential.RoleARN); p != "" {
			b.Problem = "It follows from the role's ARN. Type it first."
			w.Blocks = append(w.Blocks, b)
			break
		}
		t, err := s.Issuer.TrustFor(ctx, w.v.who, c)
		if fault.KindOf(err) == fault.Invalid {
			b.Problem = sentence(fault.Sentence(err))
			w.Blocks = append(w.Blocks, b)
			break
		} else if err != nil {
			return err
		}
		document, err := iam.Parse(t.Policy)
		if err != nil {
			return err
		}
		target = lastOf(credential.RoleARN)
		b.Formats, b.Notes = w.formatsOf(), t.Notes
		b.Lines = w.trustLines(trust.Policy{Partition: "aws", Document: document}, target)
		provider.Lines = linesOf("aws iam create-open-id-connect-provider --url " + t.Issuer + " --client-id-list " + t.Audience)
		w.Blocks = append(w.Blocks, provider, b)
	case connector.IRSA:
		w.Blocks = append(w.Blocks, w.trustBlock("Trust policy of the role", trust.Ask{
			For: trust.IRSA, Issuer: w.Value("clusterIssuer"), Account: w.Value("awsAccount"),
			Namespace: w.Value("namespace"), ServiceAccount: w.Value("serviceAccount"),
		}, target, nil))
	case connector.InheritFromDelegate:
		w.Blocks = append(w.Blocks, w.trustBlock("Trust policy of the role", trust.Ask{For: trust.Kind(cmp.Or(w.Value("runsOn"), string(trust.EC2)))}, target, nil))
	case connector.ManualConfig:
		to, target = catalogue.User, ""
	case connector.Kubernetes, nil:
		return nil
	}
	title := "Permissions of the role"
	if to == catalogue.User {
		title = "Permissions of the user"
	}
	b, err := w.permissionBlock(title, to, target)
	w.Blocks = append(w.Blocks, b)
	return err
}

// accessBlocks are the policies of both sides of a role that is assumed.
func (w *wizard) accessBlocks(c connector.Connector) error {
	x := c.CrossAccount
	if x == nil || arn.CheckRole(x.RoleARN) != "" {
		return nil
	}
	principal := w.Value("principal")
	if o, ok := c.Credential.(connector.OIDC); ok && principal == "" {
		principal = o.RoleARN
	}
	ask := trust.Ask{For: trust.CrossAccount, ExternalID: x.ExternalID}
	var notes []string
	if w.Hidden() {
		ask.ExternalID = "EXTERNAL-ID"
		notes = append(notes, "`EXTERNAL-ID` stands for the external id, which is set and not shown.")
	}
	role := lastOf(x.RoleARN)
	if principal != "" {
		ask.Principals = []string{principal}
		w.Blocks = append(w.Blocks, w.trustBlock("Trust policy of "+role, ask, role, notes))
	} else {
		w.Blocks = append(w.Blocks, block{ID: "trust", Title: "Trust policy of " + role, Problem: "Say who assumes it: the account or the ARN of the credentials."})
	}
	b, err := w.permissionBlock("Permissions of "+role, catalogue.Role, role)
	if err != nil {
		return err
	}
	w.Blocks = append(w.Blocks, b)
	to := catalogue.Role
	if _, ok := c.Credential.(connector.ManualConfig); ok {
		to = catalogue.User
	}
	b, err = w.assumeBlock(x.RoleARN, to)
	w.Blocks = append(w.Blocks, b)
	return err
}

// assumeBlock writes the policy that lets the credentials assume a role, and no more.
func (w *wizard) assumeBlock(role string, to catalogue.Entity) (block, error) {
	const id = "cross-account-role"
	capability, _ := catalogue.Find(id)
	statements, err := catalogue.Needs(capability, catalogue.Narrowing{Roles: []string{role}})
	if err != nil {
		return block{}, err
	}
	return w.policyBlock("assume", "What lets the credentials assume it", catalogue.Result{
		Capabilities: []string{id}, Placement: catalogue.Placement{To: to, Inline: true, Name: "belay-assume-role"},
		Documents: []catalogue.Document{{Name: "belay-assume-role", Document: &iam.Document{Version: "2012-10-17", Statements: statements}}},
	}, "")
}

// waits says how long a connector waits between tries: "100 ms, 200 ms, 400 ms".
func waits(c connector.Connector) string {
	retry := c.Retry()
	var all []string
	const most = 6
	n := retry.Retries()
	for i := range min(n, most) {
		all = append(all, inUnits(retry.Delay(i, false, func() float64 { return 1 })))
	}
	if n > most {
		all = append(all, "…")
	}
	if len(all) == 0 {
		return "A request is not repeated."
	}
	return count(n, "retry", "retries") + ", after at most " + strings.Join(all, ", ") + "."
}

func inUnits(d time.Duration) string {
	if d >= time.Second {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
