package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/service"
)

// build is the policy builder: all of it stands in the address.
type build struct {
	v         *visit
	First     []capabilityChoice
	More      []capabilityChoice
	Chosen    []string
	Fields    []narrowField
	Format    string
	Expand    bool // AWS-managed policies are written out
	Problems  []string
	Made      []madeDocument
	Notes     []string
	Size      string
	query     url.Values        // the builder's own part of an address
	documents []json.RawMessage // of the policies and of the AWS-managed ones beside them, for the simulator
}

// capabilityChoice is a capability as it is chosen. Narrows are the fields that change what it makes, parted by blanks.
type capabilityChoice struct {
	ID, Title, Size, Narrows string
	Chosen                   bool
}

// narrowField is a field that names resources.
type narrowField struct {
	formField

	Class string // hides it while no chosen capability uses it
}

// madeDocument is a text of the result. Stays are lines that must not be narrowed.
type madeDocument struct {
	Title string
	Lines []codeLine
	Stays []stay
}

// stay is a line whose resource must stay a star, and the actions for which it must.
type stay struct {
	Line    int
	Actions []string
}

// firstCapabilities are shown; the others are folded, unless they are chosen.
func firstCapabilities() []string {
	return []string{catalogue.Connection, "s3-read-write", "ecr-pull", "ecr-push", "ecs", "lambda", "cloudformation-eks-limited", "eks"}
}

const longestField = 4000

// formats are those of policies, as addresses name them. The first is meant where an address names none.
func formats() []pair {
	return []pair{{"json", "JSON"}, {"terraform", "Terraform"}, {"cloudformation", "CloudFormation"}, {"cli", "AWS CLI"}}
}

// formatOf is the format that an address names.
func formatOf(q url.Values) string {
	if f := q.Get("format"); slices.ContainsFunc(formats(), func(p pair) bool { return p.Value == f }) {
		return f
	}
	return formats()[0].Value
}

// formatTabs are the formats to choose from; to makes the address of one.
func formatTabs(here string, to func(format string) string) []tab {
	var out []tab
	for i, f := range formats() {
		name := f.Value
		if i == 0 {
			name = ""
		}
		out = append(out, tab{Name: f.Words, To: to(name), Here: f.Value == here})
	}
	return out
}

// narrowNames are the fields of the builder with the example and the help of each.
func narrowNames() []formField {
	return []formField{
		{Name: "buckets", Label: "Buckets", Hint: "payments-artifacts, logs-*", Help: "Comma separated. Empty means every bucket."},
		{Name: "clusters", Label: "Clusters", Hint: "prod", Help: "ECS and EKS, by name."},
		{Name: "repositories", Label: "Repositories", Hint: "team/app*", Help: "Wildcards are kept."},
		{Name: "functions", Label: "Functions", Hint: "checkout-*", Help: "Lambda, with versions and aliases."},
		{Name: "roles", Label: "Roles", Hint: "app-task-role", Help: "That may be passed or assumed, with their path."},
		{Name: "account", Label: "Account", Hint: "444455556666", Help: "12 digits. Empty means any."},
		{Name: "region", Label: "Region", Hint: "eu-central-1", Help: "Empty means any."},
		{Name: "user", Label: "Who uses the resource", Hint: "arn:aws:iam::111122223333:role/deploy", Help: "For the policy on the resource's side."},
	}
}

// use is what a capability is in numbers, and which fields change what it makes.
type use struct {
	actions int
	fields  []string
}

// uses are those of all capabilities: asked of the catalogue by making each with and without a name.
var uses = sync.OnceValues(func() (map[string]use, error) { //nolint:gochecknoglobals // read-only, made once
	reference, err := service.Load()
	if err != nil {
		return nil, err
	}
	one := []string{"a-name"}
	all := catalogue.Narrowing{Buckets: one, Clusters: one, Repositories: one, Functions: one, Roles: one}
	located, placed := all, all
	located.Account, placed.Region = "111122223333", "eu-central-1"
	out := map[string]use{}
	for _, c := range catalogue.Capabilities() {
		made := func(n catalogue.Narrowing) string {
			var statements []iam.Statement
			if err == nil {
				statements, err = catalogue.Needs(c, n)
			}
			text, _ := (&iam.Document{Statements: statements}).MarshalJSON() // has no error
			if len(c.Resource) == 0 || err != nil {
				return string(text)
			}
			var r catalogue.Result
			if r, err = catalogue.For([]string{c.ID}, n, catalogue.Placement{}); err != nil {
				return ""
			}
			for _, one := range r.Resources {
				side, _ := one.Document.MarshalJSON() // has no error
				text = append(text, side...)
			}
			return string(text)
		}
		var u use
		plain, named := made(catalogue.Narrowing{}), made(all)
		for _, f := range []struct {
			name        string
			with, other string
		}{
			{"buckets", made(catalogue.Narrowing{Buckets: one}), plain},
			{"clusters", made(catalogue.Narrowing{Clusters: one}), plain},
			{"repositories", made(catalogue.Narrowing{Repositories: one}), plain},
			{"functions", made(catalogue.Narrowing{Functions: one}), plain},
			{"roles", made(catalogue.Narrowing{Roles: one}), plain},
			{"account", made(located), named},
			{"region", made(placed), named},
			{"user", made(catalogue.Narrowing{Principal: "arn:aws:iam::111122223333:role/a"}), plain},
		} {
			if f.with != f.other {
				u.fields = append(u.fields, f.name)
			}
		}
		if slices.ContainsFunc(c.Policies, func(p catalogue.Policy) bool { return p.Kind == catalogue.AWSManaged }) {
			u.fields = append(u.fields, "managed")
		}
		statements, failed := catalogue.Needs(c, catalogue.Narrowing{})
		if err = cmp.Or(err, failed); err != nil {
			return nil, fmt.Errorf("capability %s: %w", c.ID, err)
		}
		u.actions = len(actionsOf(reference, statements))
		out[c.ID] = u
	}
	return out, nil
})

// actionsOf are the actions that statements allow, by their patterns, each once, in the order in which they come.
func actionsOf(reference *service.Reference, statements []iam.Statement) []string {
	seen := map[string]bool{}
	var out []string
	add := func(name string) {
		if !seen[strings.ToLower(name)] {
			seen[strings.ToLower(name)] = true
			out = append(out, name)
		}
	}
	for _, s := range statements {
		if s.Effect != iam.Allow || s.Action.Negated {
			continue
		}
		for _, pattern := range s.Action.Values {
			found := reference.Actions(pattern)
			for _, a := range found {
				add(a.String())
			}
			if len(found) == 0 && !strings.ContainsAny(pattern, "*?") {
				add(pattern) // newer than the reference
			}
		}
	}
	return out
}

// buildOf reads the builder's part of an address.
func buildOf(v *visit, q url.Values) (build, error) {
	known, err := uses()
	if err != nil {
		return build{}, err
	}
	b := build{v: v, Format: formatOf(q), query: url.Values{}}
	used := map[string]bool{}
	for _, c := range catalogue.Capabilities() {
		one := capabilityChoice{
			ID: c.ID, Title: c.Title, Size: count(known[c.ID].actions, "action", "actions"), Narrows: strings.Join(known[c.ID].fields, " "),
			Chosen: slices.Contains(q["capability"], c.ID),
		}
		if one.Chosen {
			for _, f := range known[c.ID].fields {
				used[f] = true
			}
		}
		if c.ID == catalogue.Connection {
			one.Size += ", always needed"
		}
		if one.Chosen || slices.Contains(firstCapabilities(), c.ID) {
			b.First = append(b.First, one)
		} else {
			b.More = append(b.More, one)
		}
	}
	b.Chosen = slices.Clone(q["capability"])
	b.Chosen = b.Chosen[:min(len(b.Chosen), 2*len(known))]
	for _, id := range b.Chosen {
		b.query.Add("capability", id)
	}
	for _, f := range narrowNames() {
		text := strings.TrimSpace(q.Get(f.Name))
		f.Value, f.Mono = cut(text, longestField), true
		if f.Value != "" {
			b.query.Set(f.Name, f.Value)
		}
		b.Fields = append(b.Fields, narrowField{formField: f, Class: "n-" + f.Name})
		if !used[f.Name] {
			b.Fields[len(b.Fields)-1].Value = "" // it is not seen, and means nothing
		}
	}
	if b.Expand = q.Get("expand") != "" && used["managed"]; b.Expand {
		b.query.Set("expand", "1")
	}
	if len(b.Chosen) > 0 {
		b.make()
	}
	return b, nil
}

// value is what stands in a field that counts.
func (b *build) value(name string) string {
	for _, f := range b.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// names are the words of a field: several are parted by commas, blanks or lines.
func names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

func (b *build) narrowing() catalogue.Narrowing {
	return catalogue.Narrowing{
		Buckets: names(b.value("buckets")), Clusters: names(b.value("clusters")), Repositories: names(b.value("repositories")),
		Functions: names(b.value("functions")), Roles: names(b.value("roles")), Account: b.value("account"), Region: b.value("region"), Principal: b.value("user"),
	}
}

// result is what the catalogue makes of the choice.
func (b *build) result() (catalogue.Result, error) {
	return catalogue.For(b.Chosen, b.narrowing(), catalogue.Placement{Expand: b.Expand || b.Format == "cloudformation"})
}

func (b *build) make() {
	result, err := b.result()
	if input, ok := errors.AsType[*catalogue.InputError](err); ok {
		b.refuse(input.Problems)
		return
	}
	if err != nil {
		b.Problems = []string{sentence(err.Error())}
		return
	}
	b.Notes = result.Notes
	b.Size = sizeOf(result)
	if err := b.keep(result); err != nil {
		b.Problems = []string{sentence(err.Error())}
		return
	}
	if b.Format != "json" {
		text, err := written(result, b.Format, "")
		if err != nil {
			b.Problems = []string{sentence(err.Error())}
			return
		}
		b.Made = []madeDocument{{Lines: linesOf(string(text))}}
		return
	}
	for _, d := range result.Documents {
		text := string(d.Document.Indent())
		made := madeDocument{Lines: linesOf(text), Stays: stays(text)}
		if len(result.Documents) > 1 {
			made.Title = d.Name + ", " + grouped(d.Size) + " characters"
		}
		for _, s := range made.Stays {
			made.Lines[s.Line-1].Class = "warn"
		}
		b.Made = append(b.Made, made)
	}
	for _, a := range result.Attachments {
		b.Made = append(b.Made, madeDocument{Title: "To attach: " + a.Name, Lines: linesOf(a.ARN)})
	}
	for _, r := range result.Resources {
		b.Made = append(b.Made, madeDocument{Title: "On the side of " + r.On, Lines: linesOf(string(r.Document.Indent()))})
	}
}

// written is a result in a format. target is the role or user that the policies are for; "" leaves it open.
func written(r catalogue.Result, format, target string) ([]byte, error) {
	switch format {
	case "terraform":
		return render.Terraform(r, target), nil
	case "cloudformation":
		return render.CloudFormation(r, target)
	case "cli":
		return render.Shell(r, target), nil
	}
	return render.JSON(r)
}

// keep remembers the documents of a result for the simulator, those of AWS-managed policies too.
func (b *build) keep(r catalogue.Result) error {
	for _, d := range r.Documents {
		b.documents = append(b.documents, d.Document.Indent())
	}
	if len(r.Attachments) == 0 {
		return nil
	}
	managed, err := service.LoadManaged()
	if err != nil {
		return err
	}
	for _, a := range r.Attachments {
		if p, ok := managed.Policy(a.ARN); ok {
			text, _ := pretty(string(p.Document))
			b.documents = append(b.documents, json.RawMessage(text))
		}
	}
	return nil
}

// sizeOf says how much of the quota the documents take: 1 document, 1,024 of 6,144 characters.
func sizeOf(r catalogue.Result) string {
	if len(r.Documents) == 0 {
		return count(len(r.Attachments), "AWS-managed policy", "AWS-managed policies")
	}
	var sizes []string
	for _, d := range r.Documents {
		sizes = append(sizes, grouped(d.Size))
	}
	text := count(len(sizes), "document", "documents") + ", " + listed(sizes) + " of " + grouped(catalogue.MaxManaged) + " characters"
	if n := len(r.Attachments); n > 0 {
		text += ", " + count(n, "AWS-managed policy", "AWS-managed policies")
	}
	return text
}

// listed joins words as people do: a, b and c.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// refuse puts problems beside the fields that they begin with.
func (b *build) refuse(problems []string) {
	of := map[string]string{"bucket": "buckets", "cluster": "clusters", "repository": "repositories", "function": "functions", "role": "roles", "principal": "user"}
	for _, p := range problems {
		words := strings.Fields(p)
		name := words[0]
		if len(words) > 1 && strings.Trim(name, "0123456789") == "" {
			name = words[1] // 101 bucket names: …
		}
		name = cmp.Or(of[name], name)
		for i := range b.Fields {
			if f := &b.Fields[i]; f.Name == name {
				f.Focus = len(b.Problems) == 0
				f.Error = strings.TrimSpace(f.Error + " " + sentence(p))
			}
		}
		b.Problems = append(b.Problems, sentence(p))
	}
}

// stays finds the lines of a document whose Resource is a star and must stay one.
func stays(text string) []stay {
	document, err := iam.Parse([]byte(text))
	if err != nil {
		return nil
	}
	reference, err := service.Load()
	if err != nil {
		return nil
	}
	var out []stay
	for _, s := range document.Statements {
		if s.Effect != iam.Allow || s.Action.Negated || s.Resource.Negated || !slices.Equal(s.Resource.Values, []string{"*"}) {
			continue
		}
		one := stay{Line: s.Resource.Pos[0].Line}
		for _, name := range s.Action.Values {
			if a, ok := reference.Action(name); ok && a.Resourceless() {
				one.Actions = append(one.Actions, name)
			}
		}
		if len(one.Actions) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// Why says why a line must stay.
func (s stay) Why() string {
	const most = 3
	var all []string
	for _, a := range s.Actions[:min(most, len(s.Actions))] {
		all = append(all, "`"+a+"`")
	}
	if n := len(s.Actions) - most; n > 0 {
		all = append(all, grouped(n)+" more")
	}
	if len(s.Actions) == 1 {
		return all[0] + " does not support resources; narrowing it would deny every call."
	}
	return listed(all) + " do not support resources; narrowing them would deny every call."
}

// Says is the outcome for those who do not see it.
func (b build) Says() string {
	switch {
	case len(b.Problems) > 0:
		return "No policy was made"
	case len(b.Made) == 0:
		return "Nothing is chosen"
	}
	return b.Size
}

// Count says how many are chosen.
func (b build) Count() string {
	n := 0
	for _, c := range slices.Concat(b.First, b.More) {
		if c.Chosen {
			n++
		}
	}
	return fmt.Sprintf("%d of %d chosen", n, len(b.First)+len(b.More))
}

// To is the address of a page with the builder as it is now, and with other parameters in pairs.
func (b build) To(path string, pairs ...string) string {
	return withQuery(b.v.url(path), b.query, pairs...)
}

// FormatTabs are the formats of the result.
func (b build) FormatTabs() []tab {
	return formatTabs(b.Format, func(format string) string { return b.To("/ui/permissions/builder", "format", format) })
}

// builder is the builder, with the simulator beside it.
func (s *Server) builder(_ context.Context, v *visit) (reply, error) {
	return workbench(v, v.query, v.query)
}

// builtFile is the result as a file to keep.
func (s *Server) builtFile(_ context.Context, v *visit) (reply, error) {
	b, err := buildOf(v, v.query)
	if err != nil {
		return reply{}, err
	}
	var text []byte
	result, err := b.result()
	if err == nil {
		text, err = written(result, b.Format, "")
	}
	if err != nil {
		b.Problems = append(b.Problems, sentence(err.Error()))
		body := workbenchView(b, exampleQuestion(v))
		return reply{title: "Policy builder", here: "Permissions", body: body, status: http.StatusBadRequest}, nil
	}
	if b.Format == "json" && len(result.Documents) == 1 && len(result.Attachments)+len(result.Resources) == 0 {
		text = append(result.Documents[0].Document.Indent(), '\n') // as AWS takes it
	}
	return reply{file: &file{"belay-policy" + endingOf(b.Format), "text/plain", text}}, nil
}

func endingOf(format string) string {
	switch format {
	case "terraform":
		return ".tf"
	case "cloudformation":
		return ".yaml"
	case "cli":
		return ".sh"
	}
	return ".json"
}

func formatName(format string) string {
	for _, f := range formats() {
		if f.Value == format {
			return f.Words
		}
	}
	return "JSON"
}
