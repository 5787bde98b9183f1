package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
	"github.com/belay-dev/belay/iam/service"
)

// question is what the simulator is asked, and its answer.
type question struct {
	v       *visit
	Builder url.Values // the builder's part of the page, carried along
	Built   bool       // the identity policies are what the builder makes
	fields  []*formField

	Problems []problem
	Answer   *decision
	Link     string // to this question; "" when it would be too long
	LinkSize int
	Source   string // of what the engine knows about actions
	Keys     actionKeys
}

// policyFields are the fields that hold policies, the first of them the principal's own.
func policyFields() []string {
	return []string{"identity", "boundary", "session", "resource_policy", "scp", "rcp", "endpoint"}
}

func questionFields() []*formField {
	area := func(name, label, help string) *formField {
		return &formField{Name: name, Label: label, Help: help, Rows: 7, Mono: true}
	}
	folded := func(name, label, help string) *formField {
		f := area(name, label, help)
		f.Unseen = true // it stands in what is unfolded
		return f
	}
	return []*formField{
		{Name: "principal", Label: "Who", Hint: "arn:aws:iam::111122223333:role/deploy", Mono: true},
		{Name: "action", Label: "Action", Hint: "s3:PutObject", Mono: true},
		{Name: "resource", Label: "Resource", Hint: "arn:aws:s3:::artifacts/web/1.zip", Mono: true},
		{Name: "owner", Label: "Account that owns the resource", Hint: "that of its ARN, or the caller's", Mono: true},
		{Name: "context", Label: "Context keys, a line each", Hint: "aws:RequestedRegion=eu-central-1", Rows: 3, Mono: true, Help: "Those about the principal and the resource's account are filled in."},
		area("identity", "Identity policies", "Several documents may stand one after another."),
		folded("boundary", "Permissions boundary", "What it does not allow is denied, whatever else allows it."),
		folded("session", "Session policies", "Passed when the session was made; they can only take away."),
		folded("resource_policy", "Resource policy", "Of the bucket, the key, the function; the trust policy of a role."),
		folded("scp", "Service control policies", "Each document is a level of the organization, the root first."),
		folded("rcp", "Resource control policies", "Each document is a level of the resource's organization."),
		folded("endpoint", "VPC endpoint policy", "Of the endpoint that the call goes through."),
	}
}

// Field is a field by its name.
func (q *question) Field(name string) *formField {
	for _, f := range q.fields {
		if f.Name == name {
			return f
		}
	}
	return &formField{Name: name}
}

// Has reports whether one of the fields is filled in, or wrong.
func (q *question) Has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { f := q.Field(n); return f.Value != "" || f.Error != "" })
}

// Other are the fields of policies that are added where they bear.
func (q *question) Other() []*formField {
	var out []*formField
	for _, name := range policyFields()[1:] {
		out = append(out, q.Field(name))
	}
	return out
}

// exampleQuestion is what an empty simulator holds.
func exampleQuestion(v *visit) *question {
	q := &question{v: v, fields: questionFields()}
	q.Field("principal").Value = "arn:aws:iam::111122223333:role/deployer"
	q.Field("action").Value, q.Field("resource").Value = "s3:PutObject", "arn:aws:s3:::artifacts/web/1.zip"
	q.Field("identity").Value = `{
  "Version": "2012-10-17",
  "Statement": [
    { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::artifacts/*" }
  ]
}`
	return q
}

// questionOf reads a question from a form or an address.
func questionOf(v *visit, from url.Values) *question {
	q := &question{v: v, fields: questionFields()}
	for _, f := range q.fields {
		f.Value = strings.TrimSpace(strings.ReplaceAll(from.Get(f.Name), "\r\n", "\n"))
	}
	return q
}

// workbench is the builder with the simulator beside it. The question comes from a form or an address.
func workbench(v *visit, forBuilder, from url.Values) (reply, error) {
	b, err := buildOf(v, forBuilder)
	if err != nil {
		return reply{}, err
	}
	q := exampleQuestion(v)
	if from.Get("ask") != "" || from.Get("action") != "" {
		q = questionOf(v, from)
	}
	if from.Get("simulate") == "built" && len(b.documents) > 0 {
		q.carry(&b, from)
	}
	q.Builder = b.query
	q.Built = len(b.documents) > 0 && q.Field("identity").Value == joined(b.documents)
	q.look()
	status := http.StatusOK
	if from.Get("ask") != "" {
		q.ask()
		if len(q.Problems) > 0 {
			status = http.StatusBadRequest
		}
	}
	return reply{title: "Policy builder and simulator", here: "Permissions", body: workbenchView(b, q), status: status}, nil
}

// joined are documents one after another.
func joined(documents []json.RawMessage) string {
	return string(bytes.Join(rawTexts(documents), []byte("\n")))
}

func rawTexts(documents []json.RawMessage) [][]byte {
	out := make([][]byte, len(documents))
	for i, d := range documents {
		out[i] = d
	}
	return out
}

// carry fills in what the builder made, and, unless a question is asked, one that suits it.
func (q *question) carry(b *build, from url.Values) {
	q.Field("identity").Value = joined(b.documents)
	if from.Get("action") != "" {
		return
	}
	account := cmp.Or(b.value("account"), "111122223333")
	q.Field("principal").Value = "arn:aws:iam::" + account + ":role/belay-deploy"
	action, resource := suiting(b.documents, account, cmp.Or(b.value("region"), "us-east-1"))
	q.Field("action").Value, q.Field("resource").Value = action, resource
	q.Field("context").Value = ""
}

// suiting finds an action of documents, and a resource that it works on: one with a name before a star.
func suiting(documents []json.RawMessage, account, region string) (action, resource string) {
	reference, err := service.Load()
	if err != nil {
		return "", ""
	}
	best := -1
	for _, text := range documents {
		d, err := iam.Parse(text)
		if err != nil {
			continue
		}
		for _, s := range d.Statements {
			if s.Effect != iam.Allow || s.Action.Negated || s.Resource.Negated || len(s.Resource.Values) == 0 || len(s.Conditions) > 0 {
				continue
			}
			for _, pattern := range s.Action.Values {
				found := reference.Actions(pattern)
				if len(found) == 0 {
					continue
				}
				for _, on := range s.Resource.Values {
					on = exampleOf(on, account, region)
					score := 0
					switch {
					case on == "*":
					case found[0].Fits(on):
						score = 2
					default:
						score = 1
					}
					if score > best {
						best, action, resource = score, found[0].String(), on
					}
				}
			}
		}
	}
	return action, resource
}

// exampleOf is an ARN that a pattern matches, or a star.
func exampleOf(pattern, account, region string) string {
	parts := strings.SplitN(pattern, ":", 6)
	if len(parts) < 6 {
		return "*"
	}
	fill := func(text, with string) string { return strings.NewReplacer("*", with, "?", "x").Replace(text) }
	return strings.Join([]string{fill(parts[0], "arn"), fill(parts[1], "aws"), parts[2], fill(parts[3], region), fill(parts[4], account), fill(parts[5], "example")}, ":")
}

// simulateForm is the simulator, beside the builder. An address may hold a question.
func (s *Server) simulateForm(_ context.Context, v *visit) (reply, error) {
	return workbench(v, v.query, v.query)
}

// simulate asks the policy engine. No AWS account is asked, and nothing is kept.
func (s *Server) simulate(_ context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	forBuilder, err := url.ParseQuery(v.r.PostForm.Get("builder"))
	if err != nil {
		forBuilder = nil // it is from no page of ours
	}
	if v.r.PostForm.Get("do") == "save" {
		q := questionOf(v, v.r.PostForm)
		if sc, ok := q.scenario(); ok {
			return saved(sc)
		}
	}
	form := url.Values{"ask": {"1"}}
	for _, f := range questionFields() {
		form[f.Name] = v.r.PostForm[f.Name]
	}
	return workbench(v, forBuilder, form)
}

// saved is a scenario as a file that belay policy simulate takes. The answer of today is what it expects.
func saved(sc *scenario.Scenario) (reply, error) {
	if a := sc.Run(); a.Error == nil {
		sc.Expect = &scenario.Expectation{Decision: a.Decision, BlockedBy: &a.BlockedBy}
	}
	text, err := json.MarshalIndent(scenario.File{Format: scenario.Format, Scenarios: []scenario.Scenario{*sc}}, "", "  ")
	if err != nil {
		return reply{}, err
	}
	return reply{file: &file{"scenario.json", "application/json", append(text, '\n')}}, nil
}

// refuse notes a problem with a field.
func (q *question) refuse(name, format string, args ...any) {
	f := q.Field(name)
	text := fmt.Sprintf(format, args...)
	f.Focus = f.Focus || len(q.Problems) == 0
	f.Error = strings.TrimSpace(f.Error + " " + text)
	q.Problems = append(q.Problems, problem{name, f.Label, text})
}

// scenario makes a scenario of the question, or notes all that is wrong with it.
func (q *question) scenario() (*scenario.Scenario, bool) {
	who, action, resource := q.Field("principal").Value, q.Field("action").Value, q.Field("resource").Value
	for _, f := range []string{"principal", "action"} {
		if q.Field(f).Value == "" {
			q.refuse(f, "The %s is missing.", map[string]string{"principal": "caller", "action": "action"}[f])
		}
	}
	if action != "" && (!strings.Contains(action, ":") || strings.ContainsAny(action, "*? ")) {
		q.refuse("action", "It is one action, such as s3:PutObject.")
	}
	sc := &scenario.Scenario{ID: "question", Name: strings.TrimSpace(action + " " + resource), Request: scenario.Request{
		Principal: scenario.PrincipalOf(who), Action: action, Resource: scenario.Resource{ARN: cmp.Or(resource, "*"), Account: q.Field("owner").Value},
		Context: map[string]scenario.Value{},
	}}
	if who != "" && sc.Request.Principal.Type == "aws" {
		if _, err := iam.ParsePrincipal(who); err != nil {
			q.refuse("principal", "%s", sentence(err.Error()))
		}
	}
	if reference, err := service.Load(); err == nil {
		if a, known := reference.Action(action); known && a.Resourceless() {
			sc.Request.Resourceless, sc.Request.Resource.ARN = true, "*"
		}
	}
	sc.IdentityPolicies = q.policies("identity", "identity policy")
	optional := func(field, name string) *[]scenario.Policy {
		if all := q.policies(field, name); len(all) > 0 {
			return &all
		}
		return nil
	}
	sc.PermissionBoundary, sc.SessionPolicies = optional("boundary", "boundary"), optional("session", "session policy")
	sc.VPCEndpointPolicies = optional("endpoint", "endpoint policy")
	if all := q.policies("resource_policy", "resource policy"); len(all) == 1 {
		sc.ResourcePolicy = &all[0]
	} else if len(all) > 1 {
		q.refuse("resource_policy", "A resource has one policy, and here are %d.", len(all))
	}
	levels := func(field, name string) []scenario.Level {
		var out []scenario.Level
		for i, p := range q.policies(field, name) {
			level := "root"
			if i > 0 {
				level = fmt.Sprintf("level %d", i+1)
			}
			out = append(out, scenario.Level{Level: level, Policies: []scenario.Policy{p}})
		}
		return out
	}
	sc.ServiceControlPolicies, sc.ResourceControlPolicies = levels("scp", "service control policy"), levels("rcp", "resource control policy")
	for line := range strings.Lines(q.Field("context").Value) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			q.refuse("context", "%.60q is not key=value.", line)
			continue
		}
		value = strings.TrimSpace(value)
		if old, twice := sc.Request.Context[key]; twice { // a key of several values has a line for each
			values := old.List
			if !old.Multi {
				values = []string{old.Single}
			}
			sc.Request.Context[key] = scenario.Value{Multi: true, List: append(values, value)}
			continue
		}
		sc.Request.Context[key] = scenario.Value{Single: value}
	}
	if len(q.Problems) > 0 {
		return nil, false
	}
	sc.Request.Derive()
	if _, failure := sc.Question(); failure != nil {
		q.refuse("principal", "%s", sentence(failure.Message))
		return nil, false
	}
	return sc, true
}

// policies are the documents of a field, one after another, under the names by which the answer calls them.
func (q *question) policies(field, name string) []scenario.Policy {
	text := q.Field(field).Value
	if text == "" {
		return nil
	}
	if len(text) > longestPolicy {
		q.refuse(field, "It has %s bytes; IAM takes far less, and this page up to %s.", grouped(len(text)), grouped(longestPolicy))
		return nil
	}
	var out []scenario.Policy
	d := json.NewDecoder(strings.NewReader(text))
	for {
		start := d.InputOffset()
		var document json.RawMessage
		err := d.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			document = json.RawMessage(text[start:]) // the reader of policies says better what is wrong with it
		}
		_, problems := readPolicy(string(document))
		for _, p := range problems {
			q.refuse(field, "%s", sentence(p))
		}
		out = append(out, scenario.Policy{Name: name, Document: document})
		if err != nil {
			break
		}
	}
	if len(out) > 1 {
		for i := range out {
			out[i].Name = fmt.Sprintf("%s %d", name, i+1)
		}
	}
	return out
}

// actionKeys are the condition keys that requests for an action may carry.
type actionKeys struct {
	Action string
	Known  bool
	Own    []string // with their types
	Global []string
}

// look finds out what the reference says of the action.
func (q *question) look() {
	q.Keys.Action = q.Field("action").Value
	reference, err := service.Load()
	if err != nil {
		return
	}
	q.Source = reference.Source()
	a, known := reference.Action(q.Keys.Action)
	if q.Keys.Known = known; !known {
		return
	}
	told := func(k service.ConditionKey) string {
		text := "`" + k.Name + "` " + string(k.Type)
		if k.Multivalued {
			text += ", several values"
		}
		return text
	}
	for _, k := range reference.OwnConditionKeys(a) {
		q.Keys.Own = append(q.Keys.Own, told(k))
	}
	for _, k := range service.GlobalKeys() {
		if strings.HasPrefix(k.Name, "aws:") && !strings.Contains(k.Name, "$") {
			q.Keys.Global = append(q.Keys.Global, told(k))
		}
	}
}

// Typed reports whether the link spells out a policy.
func (q *question) Typed() bool {
	return slices.ContainsFunc(policyFields(), func(name string) bool { return q.Field(name).Value != "" && (name != "identity" || !q.Built) })
}

const longestLink = 4000 // characters of an address that browsers and proxies take for sure

// link makes the address of the question. The policies that the builder makes are not spelt out: the builder's part makes
// them again.
func (q *question) link() {
	pairs := []string{"ask", "1"}
	for _, f := range q.fields {
		if f.Name == "identity" && q.Built {
			pairs = append(pairs, "simulate", "built")
			continue
		}
		pairs = append(pairs, f.Name, f.Value)
	}
	to := withQuery(q.v.url("/ui/permissions/simulate"), q.Builder, pairs...)
	q.LinkSize = len(to)
	if len(to) <= longestLink {
		q.Link = to + "#decision"
	}
}
