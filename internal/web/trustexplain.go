package web

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/fault"
)

// trustQuestion is an attempt to assume a role, and what becomes of it.
type trustQuestion struct {
	v        *visit
	fields   []*formField
	From     string // the connector that filled it in
	FromNote string
	Problems []problem
	Answer   *trustAnswer
}

type trustAnswer struct {
	Mark     mark
	Title    string
	Reasons  []trustReason
	Notes    []string
	Findings []trustFinding
}

// trustReason is why a statement does not let the caller in: with the statement, and where one letter is wrong, that letter.
type trustReason struct {
	Text    string
	Quote   *quote
	Letters []letters
}

type trustFinding struct{ Where, Text string }

// letters are a value that is wanted and the one that is sent, cut where they differ.
type letters struct {
	Key          string
	Wanted, Sent [3]string // what is the same, what differs, what is the same
}

func trustQuestionFields() []*formField {
	return []*formField{
		{Name: "trust", Label: "Trust policy", Rows: 12, Mono: true, Help: "Of the role that is to be assumed."},
		{Name: "caller", Label: "Who asks", Hint: "arn:aws:iam::111122223333:role/delegate", Mono: true, Help: "ARN of a user, role or session, a service such as ecs-tasks.amazonaws.com, or the ARN of the identity provider whose token is shown."},
		{Name: "role", Label: "Role", Hint: "arn:aws:iam::444455556666:role/deploy", Mono: true, Help: "Empty means one of the caller's account."},
		{Name: "externalId", Label: "External id that is sent", Mono: true, Help: "Exactly as it stands in the connector, blanks included."},
		{Name: "claims", Label: "Claims of the token, a line each", Hint: "sub=system:serviceaccount:ci:delegate", Rows: 4, Mono: true},
		{Name: "tags", Label: "Session tags, a line each", Hint: "team=payments", Rows: 2, Mono: true},
		{Name: "sourceIdentity", Label: "Source identity", Mono: true},
		{Name: "keys", Label: "Other context keys, a line each", Hint: "aws:SourceIp=203.0.113.7", Rows: 2, Mono: true},
		{Name: "policies", Label: "The caller's own policies", Rows: 6, Mono: true, Help: "Left out: not known. The answer then may depend on them."},
	}
}

// Field is a field by its name.
func (q *trustQuestion) Field(name string) *formField {
	for _, f := range q.fields {
		if f.Name == name {
			return f
		}
	}
	return &formField{Name: name}
}

// Has reports whether one of the fields is filled in, or wrong.
func (q *trustQuestion) Has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { f := q.Field(n); return f.Value != "" || f.Error != "" })
}

func (q *trustQuestion) refuse(name, text string) {
	f := q.Field(name)
	f.Focus = f.Focus || len(q.Problems) == 0
	f.Error = strings.TrimSpace(f.Error + " " + text)
	q.Problems = append(q.Problems, problem{name, f.Label, text})
}

// trustQuestion shows the form, filled in from a connector, or with the policy that the generator made.
func (s *Server) trustQuestion(ctx context.Context, v *visit) (reply, error) {
	q := &trustQuestion{v: v, fields: trustQuestionFields()}
	if v.query.Get("for") != "" {
		p, err := s.trustOf(ctx, v)
		if err != nil {
			return reply{}, err
		}
		if p.policy != nil {
			q.Field("trust").Value = string(p.policy.Document.Indent())
		}
	}
	if path := strings.TrimSpace(v.query.Get("connector")); path != "" {
		q.From = cut(path, longestField)
		if err := s.fillFrom(ctx, q); err != nil {
			return reply{}, err
		}
	}
	return reply{title: "Why a trust policy lets in or not", here: "Permissions", body: trustExplainView(q)}, nil
}

// fillFrom fills in what a connector's attempt looks like. Its external id is not shown.
func (s *Server) fillFrom(ctx context.Context, q *trustQuestion) error {
	at, id, err := connectorAt(q.v.who.Account, q.From)
	if err != nil {
		q.FromNote = sentence(fault.Sentence(err))
		return nil
	}
	t, err := s.Issuer.TrustPolicy(ctx, q.v.who, at, id)
	if err == nil {
		q.Field("caller").Value, q.Field("role").Value = t.Provider, t.Role
		q.Field("claims").Value = "aud=" + t.Audience + "\nsub=" + t.Subject
		q.FromNote = "Role and token are those of the connector. Paste the trust policy that the role has in AWS."
		return nil
	}
	c, missing := s.Connectors.Connector(ctx, q.v.who, at, id)
	switch {
	case shown(missing):
		q.FromNote = sentence(fault.Sentence(missing))
	case missing != nil:
		return missing
	case c.CrossAccount != nil:
		q.Field("role").Value = c.CrossAccount.RoleARN
		q.FromNote = "The role is that of the connector. Its external id is not set."
		if c.CrossAccount.ExternalID != "" {
			q.FromNote = "The role is that of the connector. Its external id is set, and not shown: type what you believe it is."
		}
	case shown(err):
		q.FromNote = sentence(fault.Sentence(err))
	default:
		return err
	}
	return nil
}

// explainTrust says whether a trust policy lets a caller in. Nothing is kept, and AWS is not asked.
func (s *Server) explainTrust(_ context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	q := &trustQuestion{v: v, fields: trustQuestionFields()}
	for _, f := range q.fields {
		f.Value = strings.ReplaceAll(v.r.PostForm.Get(f.Name), "\r\n", "\n")
		if f.Name != "externalId" { // of which each blank counts
			f.Value = strings.TrimSpace(f.Value)
		}
	}
	q.ask()
	status := http.StatusOK
	if len(q.Problems) > 0 {
		status = http.StatusBadRequest
	}
	return reply{title: "Why a trust policy lets in or not", here: "Permissions", body: trustExplainView(q), status: status}, nil
}

// pairs reads lines of key=value.
func (q *trustQuestion) pairs(name string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(q.Field(name).Value) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) == "" {
			q.refuse(name, fmt.Sprintf("%.60q is not key=value.", line))
			continue
		}
		out[strings.TrimSpace(key)] = value // of which each blank counts
	}
	return out
}

func (q *trustQuestion) ask() {
	ask := trust.Question{
		Role: q.Field("role").Value, ExternalID: q.Field("externalId").Value, Claims: q.pairs("claims"), Tags: q.pairs("tags"),
		SourceIdentity: q.Field("sourceIdentity").Value, Keys: q.pairs("keys"),
	}
	text := q.Field("trust").Value
	document, problems := readPolicy(text)
	for _, p := range problems {
		q.refuse("trust", sentence(p))
	}
	ask.Trust = document
	var err error
	if q.Field("caller").Value == "" {
		q.refuse("caller", "Who asks is missing.")
	} else if ask.Caller, err = trust.ParseCaller(q.Field("caller").Value); err != nil {
		q.refuse("caller", sentence(err.Error()))
	}
	if own := q.Field("policies").Value; own != "" {
		d, problems := readPolicy(own)
		for _, p := range problems {
			q.refuse("policies", sentence(p))
		}
		ask.Policies = []iam.Policy{{Name: "the caller's policy", Document: d}}
	}
	if len(q.Problems) > 0 {
		return
	}
	answer, err := trust.Explain(ask)
	if err != nil {
		q.refuse("role", sentence(err.Error()))
		return
	}
	q.Answer = answerOf(ask, answer, text)
}

// answerOf is an answer as it is shown.
func answerOf(q trust.Question, answer trust.Answer, text string) *trustAnswer {
	out := &trustAnswer{Notes: answer.Notes}
	what := listed(answer.Actions)
	switch answer.Outcome {
	case trust.Succeeds:
		out.Mark, out.Title = mark{"ok", "Let in"}, what+" succeeds."
	case trust.Fails:
		out.Mark, out.Title = mark{"fail", "Refused"}, what+" fails."
	case trust.Depends:
		out.Mark, out.Title = mark{"warn", "Depends"}, what+" depends on the caller's own policies."
	}
	for _, r := range answer.Reasons {
		one := trustReason{Text: r.Text}
		if i := r.Statement - 1; i >= 0 && i < len(q.Trust.Statements) && answer.Outcome == trust.Fails {
			s := q.Trust.Statements[i]
			one.Quote = trustQuote(text, s, r)
			one.Letters = lettersOf(q, s)
		}
		out.Reasons = append(out.Reasons, one)
	}
	for _, f := range answer.Findings {
		where := fmt.Sprintf("Statement %d", f.Statement)
		if f.SID != "" {
			where += " (" + f.SID + ")"
		}
		out.Findings = append(out.Findings, trustFinding{where, f.Text})
	}
	return out
}

// The words by which package trust tells the elements of a statement apart.
var (
	aboutPrincipal = regexp.MustCompile(`(^|[ ;])(is for|is not for|lets|names nobody)\b`)
	aboutAction    = regexp.MustCompile(`(^|[ ;])(allows|leaves out) sts:`)
)

// trustQuote quotes a statement with the elements marked that a reason speaks of.
func trustQuote(text string, s iam.Statement, r trust.Reason) *quote {
	body, ok := pretty(text[s.Pos.Offset:s.End.Offset])
	if !ok {
		return nil
	}
	q := &quote{Title: "trust policy", Note: fmt.Sprintf("statement %d", r.Statement), Lines: linesOf(body)}
	members := []string{"Resource", "NotResource"}
	if !strings.Contains(r.Text, "has a Resource") {
		members = nil
	}
	if aboutPrincipal.MatchString(r.Text) {
		members = append(members, "Principal", "NotPrincipal")
	}
	if aboutAction.MatchString(r.Text) {
		members = append(members, "Action", "NotAction")
	}
	var keys []string
	for _, c := range s.Conditions {
		if strings.Contains(r.Text, c.Key) {
			keys = append(keys, c.Key)
		}
	}
	marking := false
	for i := range q.Lines {
		line := q.Lines[i].Text
		name, _, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), `"`), `":`)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case indent == 2 && found:
			marking = slices.Contains(members, name)
		case indent == 6 && found: // a key below Condition and its operator
			marking = slices.Contains(keys, name) || marking && slices.Contains(members, name)
		case indent < 6 && len(keys) > 0 && indent > 2:
			marking = false
		}
		if marking && line != "}" {
			q.Lines[i].Class = "bad"
		}
	}
	return q
}

// lettersOf finds the conditions of a statement that miss by a few letters.
func lettersOf(q trust.Question, s iam.Statement) []letters {
	var out []letters
	for _, c := range s.Conditions {
		if strings.Contains(c.Operator, "Not") {
			continue
		}
		sent, ok := sentFor(q, c.Key)
		if !ok || slices.Contains(c.Values, sent) {
			continue
		}
		for _, want := range c.Values {
			if trust.Difference(want, sent) != "" {
				one := letters{Key: c.Key}
				one.Wanted, one.Sent = apart(want, sent)
				out = append(out, one)
				break
			}
		}
	}
	return out
}

// sentFor is the value that an attempt sends for a condition key.
func sentFor(q trust.Question, key string) (string, bool) {
	if strings.EqualFold(key, "sts:ExternalId") {
		return q.ExternalID, q.ExternalID != ""
	}
	if strings.EqualFold(key, "sts:SourceIdentity") {
		return q.SourceIdentity, q.SourceIdentity != ""
	}
	if tag, ok := strings.CutPrefix(key, "aws:RequestTag/"); ok {
		v, ok := q.Tags[tag]
		return v, ok
	}
	if v, ok := q.Keys[key]; ok {
		return v, true
	}
	v, ok := q.Claims[key[strings.LastIndexByte(key, ':')+1:]]
	return v, ok
}

// apart cuts two values where they differ: what is the same in front, what differs, what is the same behind.
func apart(want, sent string) (w, s [3]string) {
	a, b := []rune(want), []rune(sent)
	front := 0
	for front < len(a) && front < len(b) && a[front] == b[front] {
		front++
	}
	behind := 0
	for behind < len(a)-front && behind < len(b)-front && a[len(a)-1-behind] == b[len(b)-1-behind] {
		behind++
	}
	cutAt := func(r []rune) [3]string {
		return [3]string{string(r[:front]), visible(string(r[front : len(r)-behind])), string(r[len(r)-behind:])}
	}
	return cutAt(a), cutAt(b)
}

// visible shows white space.
func visible(text string) string {
	return strings.NewReplacer(" ", "␣", "\t", "⇥", "\n", "⏎", "\r", "⏎", "\u00a0", "⍽", "\u200b", "[zero width]").Replace(text)
}
