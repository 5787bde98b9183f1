package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// wizard is a connector that is being made or changed, step by step, as its page shows it.
//
//	step's address ── GET ──► the step with the answers of the draft
//	      ▲                        │ POST
//	      │ 303                    ▼
//	 next step ◄── nothing wrong ── what the step asks for ── something wrong ──► the step again, with all that is wrong
//
// An answer is in the session's draft before the browser is sent on. htmx posts each change with do=preview, which keeps the
// answers too, and complains of nothing.
type wizard struct {
	v      *visit
	Stored *connector.Stored // what is changed; nil: a new one is made
	Draft  string            // its id
	Step   string
	Format string // of the policies
	draft  draft

	Errors   map[string]string // by field
	Summary  []lack
	Gone     bool // the draft that the address names is not there any more
	Lost     bool // so that answers of earlier steps, which the form that was sent builds on, are not there either
	File     []codeLine
	Text     string // of the YAML step
	Needs    []need
	Blocks   []block
	Chosen   *chosen
	Secrets  []string
	Warnings []string
	Conflict *conflict
	Facts    []answered
	Outcome  *outcome
	Health   *healthBody // what the connector's own page shows, while the draft says nothing else
	Changed  bool        // the draft says other than what is stored
	conn     connector.Connector
}

// lack is a problem of a draft. To is the step that asks for the field, "" when that is the one of the page.
type lack struct{ Field, Text, To string }

// answered is an answer as the last step repeats it.
type answered struct{ Label, Text, Step, To string }

// conflict is a change that somebody else made meanwhile.
type conflict struct {
	By       string // "" when the caller may not know
	At       ago
	Mine     []codeLine
	Theirs   []codeLine
	Revision string
}

// outcome is the last test of what is changed.
type outcome struct {
	Test *connector.Test // nil: there was none
	Mark mark
	Old  bool // it was of an earlier state of the connector
}

// Value is the answer to a field.
func (w wizard) Value(name string) string { return w.draft.Values[name] }

// Is reports whether an answer is the value.
func (w wizard) Is(name, value string) bool { return w.draft.Values[name] == value }

// HasTagKey reports whether a claim was chosen as session tag.
func (w wizard) HasTagKey(key string) bool {
	return slices.Contains(strings.Fields(w.Value("oidcSessionTagKeys")), key)
}

// Turn is the turn that the page belongs to, see draft.
func (w wizard) Turn() string { return strconv.Itoa(w.draft.Turn) }

// Title is what the page is called.
func (w wizard) Title() string {
	if w.Stored != nil {
		return "Change " + w.Stored.Name
	}
	return "New AWS connector"
}

// base is the address of the first step.
func (w wizard) base() string {
	if w.Stored != nil {
		return "/ui/connectors/" + url.PathEscape(w.Stored.ID) + "/edit"
	}
	return "/ui/new/connector"
}

// of names what the draft is of, among the session's drafts.
func (w wizard) of() string {
	if w.Stored != nil {
		return w.Stored.Key()
	}
	return "new " + w.v.at.Path("")
}

// to is the address of a step of this draft.
func (w wizard) to(step string, more ...string) string {
	pairs := append([]string{"draft", w.Draft}, more...)
	if w.Stored != nil {
		pairs = append(pairs, "at", homeOf(w.Stored.Scope))
	}
	return w.v.url(w.base()+"/"+step, pairs...)
}

// Action is where the step's form goes.
func (w wizard) Action() string {
	format := w.Format
	if format == "json" {
		format = ""
	}
	return w.to(w.Step, "format", format)
}

// Cancel is where one goes who does not go on.
func (w wizard) Cancel() string {
	if w.Stored != nil {
		return connectorURL(w.v, "", w.Stored.Scope, w.Stored.ID)
	}
	return w.v.url("/ui/connectors")
}

// Kept reports whether the connector is of a cluster, which has no form.
func (w wizard) Kept() bool { return w.draft.Base.Type == nextgen.TypeKubernetes }

// External says whether an external id is set that the page does not show.
func (w wizard) External() bool {
	x := w.draft.Base.Spec.Credential.CrossAccountAccess
	return x != nil && x.ExternalID != ""
}

// stepKnot is a step as the line draws it.
type stepKnot struct {
	Number             int
	State, Title, Text string
	To                 string // "" where one cannot go yet
	Here               bool
}

// Knots are the steps.
func (w wizard) Knots() []stepKnot {
	steps := wizardSteps()
	here := stepIndex(w.Step)
	knots := make([]stepKnot, 0, len(steps))
	for i, s := range steps {
		k := stepKnot{Number: i + 1, State: "idle", Title: s.Title, Here: i == here}
		reached := i <= w.draft.Reached || w.Stored != nil
		if reached && !k.Here {
			k.To = w.to(s.ID)
		}
		if i < w.draft.Reached || w.Stored != nil && i < len(steps)-1 {
			k.State, k.Text = "ok", w.said(s.ID)
		}
		if i == len(steps)-1 && w.Outcome != nil && !w.Changed && !w.Outcome.Old && w.Outcome.Test != nil {
			k.State, k.Text = w.Outcome.Mark.Class, w.Outcome.Mark.Word
			if k.State == "warn" {
				k.State = "ok"
			}
		}
		if k.Here && k.State == "idle" {
			k.Text = fmt.Sprintf("Step %d of %d", k.Number, len(steps))
		}
		knots = append(knots, k)
	}
	return knots
}

// said is a step's answer in a few words.
func (w wizard) said(step string) string {
	c := w.conn
	switch step {
	case stepName:
		return c.Name
	case stepCredentials:
		return credentialOf(c)
	case stepAccess:
		if c.CrossAccount != nil {
			return lastOf(c.CrossAccount.RoleARN) + ", " + c.TestRegion()
		}
		return c.TestRegion()
	case stepConnectivity:
		switch {
		case !c.OnDelegate():
			return "This manager"
		case len(c.Selectors) == 0:
			return "Any delegate"
		}
		return namesOf(c.Selectors)
	}
	return ""
}

// NextTitle is what the button leads to.
func (w wizard) NextTitle() string {
	return map[string]string{
		stepName: "Continue to credentials", stepCredentials: "Continue to role and Region", stepAccess: "Continue to connectivity", stepConnectivity: "Continue to save and test",
	}[w.Step]
}

// Back is the step before, "" at the first.
func (w wizard) Back() string {
	if i := stepIndex(w.Step); i > 0 {
		return wizardSteps()[i-1].ID
	}
	return ""
}

// described are the attributes that tie a field to its help, or to what is wrong with it. The first wrong one has the focus.
func (w wizard) described(name string) templ.Attributes {
	first := slices.IndexFunc(w.Summary, func(p lack) bool { return p.Field != "" && p.To == "" })
	return tied(name, w.Errors[name] != "", first >= 0 && w.Summary[first].Field == name)
}

// way is one way to get credentials, as its card shows it.
type way struct{ Value, Title, Mark, Warn, Text, Needs string }

func ways() []way {
	return []way{
		{nextgen.CredentialOIDC, "OIDC", "No stored keys", "", "Belay signs a short token, AWS trades it for a one-hour session.", "Needs an identity provider in the account"},
		{nextgen.CredentialIRSA, "IRSA", "", "", "The service account of a delegate in EKS carries the role.", "Needs a delegate in EKS"},
		{nextgen.CredentialInherit, "Delegate's role", "", "", "EC2 instance profile, ECS task role or EKS Pod Identity.", "Needs a delegate in AWS"},
		{nextgen.CredentialManual, "Access key", "", "Long-lived", "Key id and secret of an IAM user, optional session token.", "Needs a secret and somebody who rotates it"},
	}
}

// sessionLengths are the lengths that the form offers, in seconds. 0 is the SDK's own.
func sessionLengths() []pair {
	return []pair{{"", "15 minutes, as the SDK asks"}, {"1800", "30 minutes"}, {"3600", "1 hour"}, {"7200", "2 hours"}, {"14400", "4 hours"}, {"28800", "8 hours"}, {"43200", "12 hours"}}
}

// Lengths are those offered, and the one that is set when it is another.
func (w wizard) Lengths() []pair {
	all := sessionLengths()
	if set := w.Value("assumeRoleSessionDuration"); !slices.ContainsFunc(all, func(l pair) bool { return l.Value == set }) {
		all = append(all, pair{set, set + " seconds"})
	}
	return all
}

func regionNames() []string { return arn.Regions() }

// open finds the draft that an address means, or begins one.
func (s *Server) open(ctx context.Context, v *visit, step string) (*wizard, error) {
	w := &wizard{v: v, Step: cmp.Or(step, stepName), Format: formatOf(v.query), Errors: map[string]string{}}
	if w.Step != stepYAML && stepIndex(w.Step) < 0 {
		return nil, fault.New(fault.NotFound, "there is no such step; the address may be misspelt")
	}
	if id := v.r.PathValue("id"); id != "" {
		at, err := v.home()
		if err != nil {
			return nil, err
		}
		stored, err := s.Connectors.Connector(ctx, v.who, at, id)
		if err != nil {
			return nil, err
		}
		if err := denied(v.may(audit.ConnectorUpdate, at), "change this connector", at); err != nil {
			return nil, err
		}
		v.at = at
		w.Stored = &stored
	} else if err := denied(v.may(audit.ConnectorCreate, v.at), "make connectors", v.at); err != nil {
		return nil, err
	}
	id := v.query.Get("draft")
	w.Draft = id
	if !wellFormedDraft(id) {
		w.Draft = newDraftID()
	}
	var known bool
	if w.draft, known = s.drafts.get(v.cookie, w.of(), w.Draft); known {
		return w, nil
	}
	if err := w.begin(); err != nil || id == "" {
		return w, err
	}
	if turn := v.r.PostForm.Get("turn"); v.r.Method == http.MethodPost {
		w.Lost = w.Stored == nil && stepIndex(w.Step) > 0 || turn != "" && turn != w.Turn()
	} else {
		w.Gone = w.Step != stepName // which may not have been answered yet
	}
	return w, nil
}

// begin fills a draft that has no answers yet.
func (w *wizard) begin() error {
	w.draft = draft{Values: map[string]string{"credential": nextgen.CredentialOIDC, "mode": "delegate"}}
	if w.Stored == nil {
		return nil
	}
	w.draft.Base, w.draft.Revision = nextgen.FromConnector(w.Stored.Connector), w.Stored.Revision
	w.draft.Values, w.draft.Reached = valuesOf(w.draft.Base), stepIndex(stepTest)
	text, err := w.file(w.draft.Base)
	w.draft.Before, w.draft.Now = text, text
	return err
}

// wizardStep shows a step of a new connector, or of a change.
func (s *Server) wizardStep(ctx context.Context, v *visit) (reply, error) {
	w, err := s.open(ctx, v, v.r.PathValue("step"))
	if err != nil {
		return reply{}, err
	}
	if i := stepIndex(w.Step); w.Stored == nil && i > w.draft.Reached { // the steps before were not answered, or the draft is gone
		gone := ""
		if w.Gone {
			gone = "1"
		}
		return reply{to: v.url("/ui/new/connector", "gone", gone)}, nil
	}
	w.Gone = w.Gone || v.query.Get("gone") != ""
	if w.Kept() && w.Step != stepYAML {
		return reply{to: w.to(stepYAML)}, nil
	}
	if v.r.PathValue("step") == "" && v.query.Get("draft") == "" && !w.Gone {
		return reply{to: w.to(w.Step)}, nil // an address at which the answers are found when one goes back
	}
	return s.wizardReply(ctx, w, http.StatusOK)
}

// wizardReply makes what stands beside the questions, and the page.
func (s *Server) wizardReply(ctx context.Context, w *wizard, status int) (reply, error) {
	if err := s.fill(ctx, w); err != nil {
		return reply{}, err
	}
	return reply{title: w.Title(), here: "Connectors", body: wizardView(*w), status: status}, nil
}

func (s *Server) fill(ctx context.Context, w *wizard) error {
	c, _ := w.draft.wire(w.v.at)
	w.conn, _ = c.Domain(w.v.who.Account)
	text, err := w.file(c)
	if err != nil {
		return err
	}
	w.File = newLines(w.draft.Before, text)
	if w.Stored != nil {
		now, err := fileOf(c)
		if err != nil {
			return err
		}
		was, err := fileOf(nextgen.FromConnector(w.Stored.Connector))
		if err != nil {
			return err
		}
		w.Changed = was != now
		w.Outcome = outcomeOf(*w.Stored)
	}
	if w.Step == stepYAML {
		if w.Text == "" {
			w.Text = text
		}
		return nil
	}
	switch w.Step {
	case stepCredentials:
		if w.Needs, err = s.needsOf(ctx, w.v, w.conn); err != nil {
			return err
		}
		if w.Secrets, err = s.secretRefs(ctx, w.v); err != nil {
			return err
		}
		return w.credentialBlocks(ctx, s, w.conn)
	case stepAccess:
		return w.accessBlocks(w.conn)
	case stepConnectivity:
		if w.conn.OnDelegate() {
			got, err := s.choose(ctx, w.v, w.conn)
			if err != nil {
				return err
			}
			w.Chosen = &got
		}
	case stepTest:
		w.review()
		if w.conn.OnDelegate() && !w.Tested() {
			got, err := s.choose(ctx, w.v, w.conn)
			if err != nil {
				return err
			}
			if got.Mark.Class != "ok" {
				w.Warnings = append(w.Warnings, got.Words+" The connector can be saved all the same, and is tested when one is there.")
			}
		}
		if w.Stored != nil && !w.Changed && !w.Outcome.Old {
			b, err := s.health(ctx, w.v, *w.Stored)
			if err != nil {
				return err
			}
			w.Health = &b
			if w.Tested() { // the test has them, too
				w.Warnings = slices.DeleteFunc(w.Warnings, func(one string) bool { return slices.Contains(w.Outcome.Test.Warnings, one) })
			}
		}
	}
	return nil
}

// review repeats the answers.
func (w *wizard) review() {
	c := w.conn
	w.Warnings = c.Warnings()
	add := func(step, label, text string) {
		if text != "" {
			w.Facts = append(w.Facts, answered{label, text, step, w.to(step)})
		}
	}
	add(stepName, "Name", c.Name+" ("+c.ID+"), in "+inWords(c.Scope))
	add(stepCredentials, "Credentials", credentialOf(c))
	switch credential := c.Credential.(type) {
	case connector.OIDC:
		add(stepCredentials, "Role to assume", credential.RoleARN)
	case connector.ManualConfig:
		add(stepCredentials, "Access key id", cmp.Or(credential.AccessKey, string(credential.AccessKeyRef)))
		add(stepCredentials, "Secret access key", "in the secret "+string(credential.SecretKeyRef))
		if credential.SessionTokenRef != "" {
			add(stepCredentials, "Session token", "in the secret "+string(credential.SessionTokenRef))
		}
	case connector.InheritFromDelegate, connector.IRSA, connector.Kubernetes, nil:
	}
	if x := c.CrossAccount; x != nil {
		add(stepAccess, "Role in another account", x.RoleARN)
		external := "not set"
		if x.ExternalID != "" {
			external = "set"
		}
		add(stepAccess, "External id", external)
	}
	add(stepAccess, "Test Region", c.TestRegion())
	if c.Backoff != nil {
		add(stepAccess, "Backoff", waits(c))
	}
	through := "a delegate with " + strings.Join(c.Selectors, ", ")
	switch {
	case !c.OnDelegate():
		through = "this manager"
	case len(c.Selectors) == 0:
		through = "any delegate"
	}
	add(stepConnectivity, "Through", through)
	if c.IgnoreTestConnection {
		add(stepConnectivity, "Tests", "only when somebody asks")
	}
}

// Waits says how long the connector waits between tries.
func (w wizard) Waits() string { return waits(w.conn) }

// MetWords say how many prerequisites are met.
func (w wizard) MetWords() string { return metOf(w.Needs) }

// Says is the outcome for those who do not see it.
func (w wizard) Says() string {
	if w.Outcome == nil || w.Outcome.Test == nil || w.Stored == nil {
		return ""
	}
	return w.Stored.Name + ": " + w.Outcome.Mark.Word
}

func outcomeOf(c connector.Stored) *outcome {
	o := &outcome{Test: c.LastTest, Mark: markOf(c.Status)}
	o.Old = o.Test != nil && o.Test.Revision != c.Revision
	return o
}

// secretRefs are the secrets that the connector can refer to, as it would: those of its scope and of the wider ones.
func (s *Server) secretRefs(ctx context.Context, v *visit) ([]string, error) {
	scopes := []scope.Scope{v.at}
	if v.at.Project != "" {
		scopes = append(scopes, scope.Scope{Account: v.at.Account, Org: v.at.Org})
	}
	if v.at.Org != "" {
		scopes = append(scopes, scope.Scope{Account: v.at.Account})
	}
	var refs []string
	for _, at := range scopes {
		if v.who.RoleAt(at) == "" {
			continue
		}
		list, _, err := s.Secrets.Secrets(ctx, v.who, secret.Filter{Scope: at, Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			refs = append(refs, refTo(one.ID, at, v.at))
		}
	}
	return refs, nil
}

// refTo is the reference from a scope to a secret.
func refTo(id string, at, from scope.Scope) string {
	switch {
	case at.Level() == scope.Account:
		return "account." + id
	case at != from:
		return "org." + id
	}
	return id
}
