package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/secret"
)

// take puts the answers of a form into the draft. An answer that a step asks for and the form lacks is an empty one; what
// other steps ask for is taken when it is there, so that a form with all of it is understood too.
func (w *wizard) take() error {
	form := w.v.r.PostForm
	if w.draft.Values == nil {
		w.draft.Values = map[string]string{}
	}
	for _, s := range wizardSteps() {
		for _, name := range slices.Concat(s.Fields, s.Hints) {
			if s.ID != w.Step && !form.Has(name) {
				continue
			}
			text := strings.TrimSpace(strings.Join(form[name], " "))
			w.draft.Values[name] = strings.ToValidUTF8(text[:min(len(text), longestField)], "")
		}
	}
	return w.remember()
}

// remember keeps the file as it is now, and as it was before the answers of this step.
func (w *wizard) remember() error {
	c, _ := w.draft.wire(w.v.at)
	now, err := w.file(c)
	if err != nil {
		return err
	}
	if now != w.draft.Now {
		if w.draft.Last != w.Step || w.draft.Before == "" {
			w.draft.Before, w.draft.Last = cmp.Or(w.draft.Now, w.empty()), w.Step
		}
		w.draft.Now = now
	}
	return nil
}

// setText stands in a file for an external id that is set and not shown. AWS would not take it, so a file that holds it cannot be
// applied by mistake.
const setText = "(set)"

func externalOf(c nextgen.Connector) string {
	if x := c.Spec.Credential.CrossAccountAccess; x != nil {
		return x.ExternalID
	}
	return ""
}

// file is a connector as the page shows it: an external id that was not typed here is not in it.
func (w *wizard) file(c nextgen.Connector) (string, error) {
	if externalOf(c) == externalOf(w.draft.Base) && w.Value("externalId") == "" {
		c = withExternal(c, setText)
	}
	return fileOf(c)
}

// withExternal is a connector with another text in place of its external id; one that has none stays as it is.
func withExternal(c nextgen.Connector, text string) nextgen.Connector {
	if externalOf(c) == "" {
		return c
	}
	x := *c.Spec.Credential.CrossAccountAccess
	x.ExternalID = text
	c.Spec.Credential.CrossAccountAccess = &x
	return c
}

// empty is the file of a connector of which nothing is said yet.
func (w *wizard) empty() string {
	d := draft{Values: map[string]string{"credential": nextgen.CredentialOIDC}}
	c, _ := d.wire(w.v.at)
	text, _ := fileOf(c) // what was just made can be written
	return text
}

func (s *Server) keep(w *wizard, preview bool) error {
	if preview && w.v.r.PostForm.Get("turn") != w.Turn() {
		return nil // the page is of an earlier turn
	}
	if !preview {
		w.draft.Turn++
	}
	if !s.drafts.put(w.v.cookie, w.of(), w.Draft, w.draft, preview) {
		return fault.New(fault.Invalid, "the answers are longer than %s bytes together; shorten them", grouped(maxDraft))
	}
	return nil
}

// wizardAnswer takes the answers of a step, and does what its button says.
func (s *Server) wizardAnswer(ctx context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	w, err := s.open(ctx, v, v.r.PathValue("step"))
	if err != nil {
		return reply{}, err
	}
	do := v.r.PostForm.Get("do")
	if w.Lost && do != "preview" {
		return reply{to: w.to(w.Step)}, nil // which says so
	}
	if w.Step == stepYAML {
		return s.yamlAnswer(ctx, w, do)
	}
	if do == "retest" {
		return s.retest(ctx, w)
	}
	if w.Kept() {
		return reply{to: w.to(stepYAML)}, nil
	}
	if err := w.take(); err != nil {
		return reply{}, err
	}
	if do == "external" {
		w.draft.Values["externalId"] = trust.NewExternalID()
		if err := w.remember(); err != nil {
			return reply{}, err
		}
	}
	if err := s.keep(w, do == "preview"); err != nil {
		return reply{}, err
	}
	switch do {
	case "preview":
		return s.wizardReply(ctx, w, http.StatusOK)
	case "check", "external":
		return reply{to: w.Action()}, nil
	case "back":
		return reply{to: w.to(cmp.Or(w.Back(), stepName))}, nil
	case "yaml":
		return reply{to: w.to(stepYAML)}, nil
	case "save", "overwrite":
		return s.save(ctx, w, do == "overwrite")
	}
	return s.next(ctx, w)
}

// next goes to the next step, when this one lacks nothing.
func (s *Server) next(ctx context.Context, w *wizard) (reply, error) {
	i := stepIndex(w.Step)
	if i == len(wizardSteps())-1 {
		return s.save(ctx, w, false)
	}
	problems, err := s.problems(ctx, w)
	if err != nil {
		return reply{}, err
	}
	if w.Step == stepCredentials {
		made, err := s.storeSecret(ctx, w, problems)
		if err != nil {
			return reply{}, err
		}
		problems = made
	}
	problems = slices.DeleteFunc(problems, func(p fault.Problem) bool {
		of := stepOfField(draftField(p.Path))
		return of != "" && of != w.Step
	})
	if len(problems) > 0 {
		return s.refusedStep(ctx, w, problems, http.StatusBadRequest)
	}
	w.draft.Reached = max(w.draft.Reached, i+1)
	if err := s.keep(w, false); err != nil {
		return reply{}, err
	}
	return reply{to: w.to(wizardSteps()[i+1].ID)}, nil
}

// problems are all that is wrong with the draft, those of the steps that were not answered yet too.
func (s *Server) problems(ctx context.Context, w *wizard) (fault.Problems, error) {
	wire, problems := w.draft.wire(w.v.at)
	c, more := wire.Domain(w.v.who.Account)
	problems = append(problems, more...)
	problems = append(problems, wrongRoles(c)...)
	for _, p := range c.Check() {
		if !slices.ContainsFunc(problems, func(had fault.Problem) bool { return had.Path == p.Path }) {
			problems = append(problems, p)
		}
	}
	if w.Stored != nil || len(problems) > 0 && slices.ContainsFunc(problems, func(p fault.Problem) bool { return draftField(p.Path) == "identifier" }) || c.ID == "" {
		return problems, nil
	}
	other, err := s.Connectors.Connector(ctx, w.v.who, c.Scope, c.ID)
	switch {
	case err == nil:
		problems.Add("connector.identifier", "is taken by connector "+other.Name+"; choose another")
	case fault.KindOf(err) != fault.NotFound:
		return nil, err
	}
	return problems, nil
}

// wrongRoles finds roles that cannot be. The APIs save them with a warning, for clients that fill in what comes later; who
// types one here means it as it stands.
func wrongRoles(c connector.Connector) fault.Problems {
	var problems fault.Problems
	check := func(field, text string) {
		if p := arn.CheckRole(text); p != "" && text != "" {
			problems.Add(field, p)
		}
	}
	if o, ok := c.Credential.(connector.OIDC); ok {
		check("iamRoleArn", o.RoleARN)
	}
	if c.CrossAccount != nil {
		check("crossAccountRoleArn", c.CrossAccount.RoleARN)
	}
	return problems
}

// storeSecret makes the secret that was typed in place, when nothing else is wrong with the step. Its value goes nowhere
// but into the service.
func (s *Server) storeSecret(ctx context.Context, w *wizard, problems fault.Problems) (fault.Problems, error) {
	name, value := strings.TrimSpace(w.v.r.PostForm.Get("newSecret")), strings.TrimSpace(w.v.r.PostForm.Get("newSecretValue"))
	if name == "" && value == "" || !w.Is("credential", nextgen.CredentialManual) {
		return problems, nil
	}
	problems = slices.DeleteFunc(problems, func(p fault.Problem) bool { return draftField(p.Path) == "secretKeyRef" })
	if name == "" {
		problems.Add("newSecret", "is required: what the new secret is called")
	}
	if value == "" {
		problems.Add("newSecretValue", "is required: it is not kept between two tries, so type it again")
	}
	if slices.ContainsFunc(problems, func(p fault.Problem) bool { of := stepOfField(draftField(p.Path)); return of == "" || of == w.Step }) {
		return problems, nil
	}
	made, err := s.Secrets.Create(ctx, w.v.who, secret.Secret{Scope: w.v.at, Name: name, Manager: secret.BuiltInManager, Kind: secret.Inline}, secret.NewValue(value))
	if wrong, ok := errors.AsType[fault.Problems](err); ok {
		for _, p := range wrong {
			field := "newSecret"
			if strings.HasSuffix(p.Path, "value") {
				field = "newSecretValue"
			}
			problems.Add(field, p.Message)
		}
		return problems, nil
	}
	if fault.KindOf(err) == fault.Conflict {
		problems.Add("newSecret", "is taken by another secret; choose another name, or choose that secret")
		return problems, nil
	}
	if err != nil {
		return nil, err
	}
	w.draft.Values["secretKeyRef"] = refTo(made.ID, made.Scope, w.v.at)
	return problems, w.remember()
}

// refusedStep shows the step again with what is wrong beside each field, and what is wrong elsewhere with a link to its step.
func (s *Server) refusedStep(ctx context.Context, w *wizard, problems fault.Problems, status int) (reply, error) {
	for _, p := range problems {
		field, text := draftField(p.Path), sentence(p.Message)
		of := cmp.Or(stepOfField(field), stepCredentials)
		switch {
		case field == "":
			w.Summary = append(w.Summary, lack{Text: sentence(p.Path + ": " + p.Message)})
		case of == w.Step:
			w.Errors[field] = strings.TrimSpace(w.Errors[field] + " " + text)
			w.Summary = append(w.Summary, lack{Field: field, Text: text})
		default:
			w.Summary = append(w.Summary, lack{Field: field, Text: text, To: w.to(of) + "#" + field})
		}
	}
	return s.wizardReply(ctx, w, status)
}

// save saves the connector and tests it.
func (s *Server) save(ctx context.Context, w *wizard, overwrite bool) (reply, error) {
	problems, err := s.problems(ctx, w)
	if err != nil {
		return reply{}, err
	}
	if w.Step == stepCredentials {
		if problems, err = s.storeSecret(ctx, w, problems); err != nil {
			return reply{}, err
		}
	}
	if len(problems) > 0 {
		return s.refusedStep(ctx, w, problems, http.StatusBadRequest)
	}
	wire, _ := w.draft.wire(w.v.at)
	return s.saved(ctx, w, wire, overwrite)
}

// saved saves what a draft says, and sends the browser to what came of it.
func (s *Server) saved(ctx context.Context, w *wizard, wire nextgen.Connector, overwrite bool) (reply, error) {
	c, problems := wire.Domain(w.v.who.Account)
	if err := problems.Err(); err != nil {
		return reply{}, err
	}
	var made connector.Stored
	var err error
	if w.Stored == nil {
		made, err = s.Connectors.Create(ctx, w.v.who, c)
	} else {
		c.Revision = w.draft.Revision
		if overwrite {
			c.Revision = w.Stored.Revision // what the caller has just been shown
			if shown := w.v.r.PostForm.Get("revision"); shown != revisionText(w.Stored.Revision) {
				c.Revision = w.draft.Revision
			}
		}
		made, err = s.Connectors.Update(ctx, w.v.who, c)
		if fault.KindOf(err) == fault.Conflict {
			return s.conflict(ctx, w, wire)
		}
	}
	if wrong, ok := errors.AsType[fault.Problems](err); ok {
		return s.refusedStep(ctx, w, wrong, http.StatusBadRequest)
	}
	if fault.KindOf(err) == fault.Conflict {
		w.Summary = append(w.Summary, lack{Text: sentence(fault.Sentence(err))})
		return s.wizardReply(ctx, w, http.StatusConflict)
	}
	if err != nil {
		return reply{}, err
	}
	s.drafts.drop(w.v.cookie, w.of(), w.Draft)
	if !made.Tested() {
		return reply{to: connectorURL(w.v, "/yaml", made.Scope, made.ID)}, nil
	}
	// It is saved. When the test cannot be done, the page says that it was not tested.
	if _, err := s.Connectors.Test(ctx, w.v.who, made.Scope, made.ID, connector.Options{Trigger: connector.OnSave}); err != nil && fault.KindOf(err) == "" {
		return reply{}, err
	}
	return reply{to: connectorURL(w.v, "/edit/"+stepTest, made.Scope, made.ID)}, nil
}

// retest tests what is stored once more, from the last step.
func (s *Server) retest(ctx context.Context, w *wizard) (reply, error) {
	if w.Stored == nil {
		return s.next(ctx, w)
	}
	if _, err := s.Connectors.Test(ctx, w.v.who, w.Stored.Scope, w.Stored.ID, connector.Options{Trigger: connector.OnDemand, Fresh: true}); err != nil {
		return reply{}, err
	}
	return reply{to: w.to(stepTest)}, nil
}

// conflict shows both: what the caller would save, and what somebody else saved meanwhile.
func (s *Server) conflict(ctx context.Context, w *wizard, mine nextgen.Connector) (reply, error) {
	stored, err := s.Connectors.Connector(ctx, w.v.who, w.Stored.Scope, w.Stored.ID)
	if err != nil {
		return reply{}, err
	}
	w.Stored = &stored
	saved := nextgen.FromConnector(stored.Connector)
	external := setText
	if externalOf(saved) != externalOf(w.draft.Base) {
		external = "(set to another)"
	}
	saved = withExternal(saved, external)
	ours, err := w.file(mine)
	if err != nil {
		return reply{}, err
	}
	theirs, err := fileOf(saved)
	if err != nil {
		return reply{}, err
	}
	k := &conflict{At: since(w.v.now, stored.UpdatedAt), Mine: newLines(theirs, ours), Theirs: newLines(ours, theirs), Revision: revisionText(stored.Revision)}
	if w.v.may(audit.AuditRead, stored.Scope) {
		list, err := s.Trail.Entries(ctx, w.v.who, audit.Filter{
			Scope: stored.Scope, Action: string(audit.ConnectorUpdate), Target: "connector/" + stored.ID, Outcome: audit.Allowed, Limit: 2,
		})
		if err != nil {
			return reply{}, err
		}
		// The newest is this attempt, which was allowed and then came too late.
		if len(list) > 1 {
			k.By = list[1].CallerName
		}
	}
	w.Conflict = k
	return s.wizardReply(ctx, w, http.StatusConflict)
}

func revisionText(n int64) string { return strconv.FormatInt(n, 10) }
