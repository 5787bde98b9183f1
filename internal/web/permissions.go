package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/lint"
	"github.com/belay-dev/belay/iam/scenario"
)

func permissionTabs(v *visit, here string) []tab {
	tabs := []tab{
		{"Catalogue", 0, v.url("/ui/permissions"), false},
		{"Builder", 0, v.url("/ui/permissions/builder"), false},
		{"Simulator", 0, v.url("/ui/permissions/simulate"), false},
		{"Lint", 0, v.url("/ui/permissions/lint"), false},
	}
	for i := range tabs {
		tabs[i].Here = tabs[i].Name == here
	}
	return tabs
}

// capabilityGroup is capabilities that the same kind of role holds.
type capabilityGroup struct {
	Title, Text string
	List        []capabilityCard
}

type capabilityCard struct {
	ID, Title, Use, To string
	Policies           []string
	Notes              []string
}

// capabilities shows the catalogue.
func (s *Server) capabilities(_ context.Context, v *visit) (reply, error) {
	groups := []capabilityGroup{
		{Title: "A connector's role or user", Text: "what the identity behind a connector needs"},
		{Title: "A Lambda function's execution role", Text: "what the function itself needs"},
		{Title: "An EKS worker node's role", Text: "what the node needs"},
		{Title: "A Fargate pod execution role", Text: "what starts the pod needs"},
	}
	holders := []catalogue.Holder{catalogue.Connector, catalogue.Function, catalogue.Node, catalogue.Pod}
	for _, c := range catalogue.Capabilities() {
		i := slices.Index(holders, c.Holder)
		if i < 0 {
			continue
		}
		card := capabilityCard{ID: c.ID, Title: c.Title, Use: c.Use, Notes: c.Notes, To: v.url("/ui/permissions/builder", "capability", c.ID)}
		for _, p := range c.Policies {
			card.Policies = append(card.Policies, p.Title)
		}
		groups[i].List = append(groups[i].List, card)
	}
	return reply{title: "Permissions", here: "Permissions", body: catalogueView(v, groups)}, nil
}

// buildPage is the policy builder: all of it stands in the address.
type buildPage struct {
	v                                                *visit
	Choices                                          []choice
	Chosen                                           []string
	Buckets, Clusters, Repositories, Functions, Role string
	Account, Region, Format                          string
	Problems                                         []string
	Made                                             []madeDocument
	Notes                                            []string
}

// madeDocument is a text of the result.
type madeDocument struct {
	Title string
	Lines []codeLine
}

// Has reports whether a capability is chosen.
func (p buildPage) Has(id string) bool { return slices.Contains(p.Chosen, id) }

func formats() [][2]string {
	return [][2]string{{"json", "JSON"}, {"terraform", "Terraform"}, {"cloudformation", "CloudFormation"}, {"cli", "AWS CLI"}}
}

const longestField = 4000

func (s *Server) builder(_ context.Context, v *visit) (reply, error) {
	text := func(name string) string {
		t := strings.TrimSpace(v.query.Get(name))
		return t[:min(len(t), longestField)]
	}
	p := buildPage{
		v: v, Chosen: v.query["capability"], Buckets: text("buckets"), Clusters: text("clusters"), Repositories: text("repositories"),
		Functions: text("functions"), Role: text("roles"), Account: text("account"), Region: text("region"), Format: cmp.Or(text("format"), "json"),
	}
	for _, c := range catalogue.Capabilities() {
		p.Choices = append(p.Choices, choice{c.ID, c.Title, c.Use})
	}
	if len(p.Chosen) > 0 {
		p.make()
	}
	return reply{title: "Policy builder", here: "Permissions", body: builderView(p)}, nil
}

// names are the words of a field: several are parted by commas, blanks or lines.
func names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

func (p *buildPage) make() {
	result, err := catalogue.For(p.Chosen, catalogue.Narrowing{
		Buckets: names(p.Buckets), Clusters: names(p.Clusters), Repositories: names(p.Repositories), Functions: names(p.Functions),
		Roles: names(p.Role), Account: p.Account, Region: p.Region,
	}, catalogue.Placement{Expand: p.Format == "cloudformation"})
	if input, ok := errors.AsType[*catalogue.InputError](err); ok {
		p.Problems = input.Problems
		return
	}
	if err != nil {
		p.Problems = []string{err.Error()}
		return
	}
	p.Notes = result.Notes
	var text []byte
	switch p.Format {
	case "terraform":
		text = render.Terraform(result, "")
	case "cloudformation":
		text, err = render.CloudFormation(result, "")
	case "cli":
		text = render.Shell(result, "")
	default:
		p.Format = "json"
		for _, d := range result.Documents {
			p.Made = append(p.Made, madeDocument{fmt.Sprintf("%s, %s characters as IAM counts", d.Name, grouped(d.Size)), linesOf(string(d.Document.Indent()))})
		}
		for _, a := range result.Attachments {
			p.Made = append(p.Made, madeDocument{"To attach: " + a.Name, linesOf(a.ARN)})
		}
		for _, r := range result.Resources {
			p.Made = append(p.Made, madeDocument{"On the side of " + r.On, linesOf(string(r.Document.Indent()))})
		}
		return
	}
	if err != nil {
		p.Problems = []string{err.Error()}
		return
	}
	for _, f := range formats() {
		if f[0] == p.Format {
			p.Made = []madeDocument{{f[1], linesOf(string(text))}}
		}
	}
}

// lintPage is a policy and what is wrong with it.
type lintPage struct {
	v        *visit
	Policy   string
	Kind     string
	Problems []string
	Lines    []codeLine
	Findings []lintRow
	Done     bool
}

type lintRow struct {
	Mark      mark
	Rule      string
	Line      int
	Message   string
	Fix, Path string
}

// Where is the rule, and the line.
func (r lintRow) Where() string {
	if r.Line == 0 {
		return r.Rule
	}
	return fmt.Sprintf("%s, line %d", r.Rule, r.Line)
}

// Words say the outcome.
func (p lintPage) Words() string {
	switch {
	case len(p.Problems) > 0:
		return "This is no policy document"
	case len(p.Findings) == 0:
		return "Nothing is wrong with it"
	}
	return count(len(p.Findings), "finding", "findings")
}

func (s *Server) lintForm(_ context.Context, v *visit) (reply, error) {
	return reply{title: "Lint", here: "Permissions", body: lintView(lintPage{v: v})}, nil
}

const longestPolicy = 64 << 10

// lintPolicy looks for what is wrong with a policy. The policy is not kept.
func (s *Server) lintPolicy(_ context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	p := lintPage{v: v, Policy: v.r.PostForm.Get("policy"), Kind: v.r.PostForm.Get("kind"), Done: true}
	p.lint()
	status := 200
	if len(p.Problems) > 0 {
		status = 400
	}
	return reply{title: "Lint", here: "Permissions", body: lintView(p), status: status}, nil
}

func (p *lintPage) lint() {
	if !slices.Contains(lint.Kinds(), lint.Kind(p.Kind)) {
		p.Kind = ""
	}
	p.Policy = strings.ReplaceAll(p.Policy, "\r\n", "\n")
	document, problems := parsed(p.Policy)
	if p.Problems = problems; len(problems) > 0 {
		return
	}
	findings, err := lint.Document(document, lint.Subject{Kind: lint.Kind(p.Kind)})
	if err != nil {
		p.Problems = []string{err.Error()}
		return
	}
	p.Lines = linesOf(p.Policy)
	for _, f := range findings {
		row := lintRow{Rule: f.Rule, Line: f.Pos.Line, Message: sentence(f.Message), Fix: sentence(f.Fix), Path: f.Path}
		class := "warn"
		switch f.Severity {
		case lint.Error:
			row.Mark, class = mark{"fail", "Error"}, "bad"
		case lint.Warning:
			row.Mark = mark{"warn", "Warning"}
		case lint.Note:
			row.Mark = mark{"idle", "Note"}
		}
		p.Findings = append(p.Findings, row)
		if i := f.Pos.Line - 1; i >= 0 && i < len(p.Lines) && p.Lines[i].Class != "bad" {
			p.Lines[i].Class = class
		}
	}
}

// parsed reads a policy, or says all that is wrong with it.
func parsed(text string) (*iam.Document, []string) {
	if strings.TrimSpace(text) == "" {
		return nil, []string{"There is no policy. Paste one."}
	}
	if len(text) > longestPolicy {
		return nil, []string{fmt.Sprintf("The policy has %s bytes; IAM takes far less, and this page up to %s.", grouped(len(text)), grouped(longestPolicy))}
	}
	document, err := iam.Parse([]byte(text))
	if wrong, ok := errors.AsType[*iam.ParseError](err); ok {
		var out []string
		for _, problem := range wrong.Problems {
			out = append(out, problem.String())
		}
		return nil, out
	}
	if err != nil {
		return nil, []string{err.Error()}
	}
	return document, nil
}

// simulation is a question to the policy engine and its answer.
type simulation struct {
	v                                       *visit
	Principal, Action, Resource             string
	Identity, Boundary, SCP, ResourcePolicy string
	Context                                 string
	Problems                                []string
	Answer                                  *scenario.Answer
	Mark                                    mark
	Layers                                  []hop
	Done                                    bool
}

func (s *Server) simulateForm(_ context.Context, v *visit) (reply, error) {
	q := simulation{
		v: v, Principal: "arn:aws:iam::111122223333:role/deployer", Action: "s3:PutObject", Resource: "arn:aws:s3:::artifacts/web/1.zip",
		Identity: `{
  "Version": "2012-10-17",
  "Statement": [
    { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::artifacts/*" }
  ]
}`,
	}
	return reply{title: "Simulator", here: "Permissions", body: simulateView(q)}, nil
}

// simulate asks the policy engine. No AWS account is asked, and nothing is kept.
func (s *Server) simulate(_ context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(v.r.PostForm.Get(name), "\r\n", "\n"))
	}
	q := simulation{
		v: v, Principal: text("principal"), Action: text("action"), Resource: text("resource"), Identity: text("identity"),
		Boundary: text("boundary"), SCP: text("scp"), ResourcePolicy: text("resource_policy"), Context: text("context"), Done: true,
	}
	q.ask()
	status := 200
	if len(q.Problems) > 0 {
		status = 400
	}
	return reply{title: "Simulator", here: "Permissions", body: simulateView(q), status: status}, nil
}

func (q *simulation) ask() {
	sc := scenario.Scenario{ID: "question", Request: scenario.Request{
		Principal: scenario.Principal{Type: "aws", ARN: q.Principal}, Action: q.Action, Resource: scenario.Resource{ARN: q.Resource},
		Context: map[string]scenario.Value{},
	}}
	for field, value := range map[string]string{"principal": q.Principal, "action": q.Action, "resource": q.Resource} {
		if value == "" {
			q.Problems = append(q.Problems, "The "+field+" is missing.")
		}
	}
	slices.Sort(q.Problems)
	policy := func(name, text string) *scenario.Policy {
		if text == "" {
			return nil
		}
		if _, problems := parsed(text); len(problems) > 0 {
			for _, p := range problems {
				q.Problems = append(q.Problems, name+": "+p)
			}
			return nil
		}
		return &scenario.Policy{Name: name, Document: json.RawMessage(text)}
	}
	if p := policy("identity policy", q.Identity); p != nil {
		sc.IdentityPolicies = []scenario.Policy{*p}
	}
	if p := policy("permissions boundary", q.Boundary); p != nil {
		sc.PermissionBoundary = &[]scenario.Policy{*p}
	}
	if p := policy("service control policy", q.SCP); p != nil {
		sc.ServiceControlPolicies = []scenario.Level{{Level: "organization", Policies: []scenario.Policy{*p}}}
	}
	sc.ResourcePolicy = policy("resource policy", q.ResourcePolicy)
	for line := range strings.Lines(q.Context) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) == "" {
			q.Problems = append(q.Problems, fmt.Sprintf("Context: %.60q is not key=value.", line))
			continue
		}
		sc.Request.Context[strings.TrimSpace(key)] = scenario.Value{Single: strings.TrimSpace(value)}
	}
	if len(q.Problems) > 0 {
		return
	}
	a := sc.Run()
	if a.Error != nil {
		q.Problems = []string{sentence(a.Error.Message)}
		return
	}
	q.Answer = &a
	switch a.Decision {
	case iam.Allowed:
		q.Mark = mark{"ok", "Allowed"}
	case iam.ExplicitlyDenied:
		q.Mark = mark{"fail", "Denied by a statement"}
	case iam.ImplicitlyDenied:
		q.Mark = mark{"fail", "Denied, since nothing allows it"}
	}
	for _, st := range a.Statements {
		h := hop{"ok", string(st.Layer), st.Policy, fmt.Sprintf("statement %d", st.Index+1)}
		if st.SID != "" {
			h.Note = st.SID
		}
		if st.Effect == iam.Deny {
			h.State = "fail"
		}
		q.Layers = append(q.Layers, h)
	}
	for _, layer := range a.BlockedBy {
		if !slices.ContainsFunc(q.Layers, func(h hop) bool { return h.Name == string(layer) && h.State == "fail" }) {
			q.Layers = append(q.Layers, hop{"fail", string(layer), "stops it", ""})
		}
	}
}

// Says is the outcome for those who do not see it.
func (p buildPage) Says() string {
	if len(p.Problems) > 0 {
		return "No policy was made"
	}
	return count(len(p.Made), "text made", "texts made")
}
