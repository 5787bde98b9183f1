package connector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

// Fix is a change of policies that mends a denial.
type Fix struct {
	What    string // for people: what is changed, and how
	Command string // the same for the AWS CLI; "" where no single command does it
}

// grantPolicy is the name of the inline policy by which the fixes grant.
const grantPolicy = "belay-connector"

// Grant allows actions in the identity's own policies: a new inline policy, or the one that an earlier grant made, with the
// new statements added.
func (p *Permissions) Grant(asked []Asked) Fix {
	d := &iam.Document{Version: "2012-10-17"}
	name := grantPolicy
	for _, t := range p.Identity {
		if t.Via == "inline" && t.Name == grantPolicy {
			if old, err := iam.Parse([]byte(t.Document)); err == nil {
				d = old
			}
		}
	}
	d.Statements = append(d.Statements, Statements(asked)...)
	text := compact(d)
	return Fix{What: "Allow it in a policy of the identity: " + text, Command: p.putInline(name, text)}
}

// Statements are the fewest statements that allow what is asked: one for each set of resources.
func Statements(asked []Asked) []iam.Statement {
	type condition struct{ action, context string }
	resources := map[condition][]string{}
	var order []condition
	for _, a := range asked {
		c := condition{a.Action, a.Context}
		if resources[c] == nil {
			order = append(order, c)
		}
		if !slices.Contains(resources[c], a.Resource) {
			resources[c] = append(resources[c], a.Resource)
		}
	}
	var out []iam.Statement
	var contexts []string // of each statement
	for _, c := range order {
		on := slices.Clone(resources[c])
		slices.Sort(on)
		i := -1
		for k := range out {
			if contexts[k] == c.context && slices.Equal(out[k].Resource.Values, on) {
				i = k
			}
		}
		if i < 0 {
			i = len(out)
			contexts = append(contexts, c.context)
			one := iam.Statement{Effect: iam.Allow, Resource: iam.Patterns{Values: on}}
			for _, k := range (Asked{Context: c.context}).Keys() {
				one.Conditions = append(one.Conditions, iam.Condition{Operator: "StringEquals", Key: k[0], Values: []string{k[1]}})
			}
			out = append(out, one)
		}
		out[i].Action.Values = append(out[i].Action.Values, c.action)
	}
	return out
}

// putInline is the command that writes an inline policy of the identity.
func (p *Permissions) putInline(name, document string) string {
	kind, holder := p.holder()
	if kind == "" {
		return ""
	}
	return fmt.Sprintf("aws iam put-%s-policy --%s-name %s --policy-name %s --policy-document %s", kind, kind, holder, shellQuote(name), shellQuote(document))
}

// holder is the user or role behind the identity.
func (p *Permissions) holder() (kind, name string) {
	a, err := arn.Parse(p.Principal)
	if err != nil {
		return "", ""
	}
	words := strings.Split(a.Resource, "/")
	switch {
	case a.Service == "iam" && words[0] == "user":
		return "user", words[len(words)-1]
	case a.Service == "sts" && words[0] == "assumed-role" && len(words) > 1:
		return "role", words[1]
	}
	return "", ""
}

// mend gives the changes that make an explained denial an Allow, in the order of the layers.
func (p *Permissions) mend(a Asked, x iam.Explanation) []Fix {
	var fixes []Fix
	if x.Decision == iam.ExplicitlyDenied {
		for _, s := range x.Statements {
			if t, ok := p.text(s); ok {
				fixes = append(fixes, p.withoutDeny(a, t, s))
			}
		}
	}
	for _, layer := range x.Missing {
		switch layer {
		case iam.LayerIdentity:
			fixes = append(fixes, p.Grant([]Asked{a}))
		case iam.LayerBoundary:
			if p.Boundary != nil {
				fixes = append(fixes, p.widened(a, *p.Boundary, "the permissions boundary"))
			}
		case iam.LayerSCP:
			for _, l := range p.SCP {
				if slices.Contains(x.Levels, l.Name) && len(l.Policies) > 0 {
					fixes = append(fixes, p.widened(a, l.Policies[0], "the service control policy at "+l.Name+","))
				}
			}
		case iam.LayerResource, iam.LayerSession, iam.LayerRCP, iam.LayerEndpoint, iam.LayerPublicBuckets:
		}
	}
	return fixes
}

// Mend says how a denial is mended: by a grant in the identity's own policies, or, beside or instead of that, by changes of
// what blocks it.
func (p *Permissions) Mend(j Judgement) (grant bool, blocked []Fix) {
	x := j.Explanation
	if x.Decision == "" { // AWS said so, and nothing is known of why
		return true, nil
	}
	grant = slices.Contains(x.Missing, iam.LayerIdentity)
	x.Missing = slices.DeleteFunc(slices.Clone(x.Missing), func(l iam.Layer) bool { return l == iam.LayerIdentity })
	return grant, p.mend(j.Asked, x)
}

// text finds the document that a statement is of.
func (p *Permissions) text(s iam.Reference) (PolicyText, bool) {
	lists := [][]PolicyText{p.Identity}
	switch s.Layer {
	case iam.LayerBoundary:
		if p.Boundary == nil {
			return PolicyText{}, false
		}
		lists = [][]PolicyText{{*p.Boundary}}
	case iam.LayerSCP:
		lists = nil
		for _, l := range p.SCP {
			if l.Name == s.Level {
				lists = append(lists, l.Policies)
			}
		}
	case iam.LayerIdentity, iam.LayerResource, iam.LayerSession, iam.LayerRCP, iam.LayerEndpoint, iam.LayerPublicBuckets:
	}
	for _, list := range lists {
		for _, t := range list {
			if t.Title() == s.Policy {
				return t, true
			}
		}
	}
	return PolicyText{}, false
}

// withoutDeny narrows a statement that denies: the action is taken out of its list, or, where a pattern or NotAction holds
// it, the identity is exempted.
func (p *Permissions) withoutDeny(a Asked, t PolicyText, s iam.Reference) Fix {
	d, err := iam.Parse([]byte(t.Document))
	if err != nil || s.Index >= len(d.Statements) {
		return Fix{What: fmt.Sprintf("Change %s so that it does not deny %s.", s, a.Action)}
	}
	one := &d.Statements[s.Index]
	what := fmt.Sprintf("Exempt this identity from %s.", s)
	exact := func(pattern string) bool { return strings.EqualFold(pattern, a.Action) }
	others := slices.DeleteFunc(slices.Clone(one.Action.Values), exact)
	switch {
	case !one.Action.Negated && len(others) < len(one.Action.Values) && !slices.ContainsFunc(others, func(pattern string) bool { return iam.MatchAction(pattern, a.Action) }):
		what = fmt.Sprintf("Take %s out of %s.", a.Action, s)
		one.Action.Values = others
		if len(others) == 0 {
			what = fmt.Sprintf("Remove %s: it denies nothing else.", s)
			d.Statements = slices.Delete(d.Statements, s.Index, s.Index+1)
		}
	default:
		who := p.Principal
		if p.Role != "" {
			who = p.Role
		}
		one.Conditions = append(one.Conditions, iam.Condition{Operator: "ArnNotEquals", Key: "aws:PrincipalArn", Values: []string{who}})
	}
	if len(d.Statements) == 0 {
		return Fix{What: what, Command: p.removed(t)}
	}
	return Fix{What: what, Command: p.replaced(t, compact(d))}
}

// widened adds an Allow to a document that limits.
func (p *Permissions) widened(a Asked, t PolicyText, what string) Fix {
	d, err := iam.Parse([]byte(t.Document))
	if err != nil {
		return Fix{What: fmt.Sprintf("Allow %s in %s %s.", a.Action, what, t.Title())}
	}
	d.Statements = append(d.Statements, Statements([]Asked{a})...)
	return Fix{What: fmt.Sprintf("Allow %s in %s %s too.", a.Action, what, t.Title()), Command: p.replaced(t, compact(d))}
}

// replaced is the command that gives a policy another document.
func (p *Permissions) replaced(t PolicyText, document string) string {
	switch {
	case t.Via == "inline":
		return p.putInline(t.Name, document)
	case t.Via == "organization":
		return fmt.Sprintf("aws organizations update-policy --policy-id %s --content %s", t.ARN[strings.LastIndexByte(t.ARN, '/')+1:], shellQuote(document))
	case t.ARN == "" && strings.HasPrefix(t.Via, "group "):
		return fmt.Sprintf("aws iam put-group-policy --group-name %s --policy-name %s --policy-document %s",
			shellQuote(strings.TrimPrefix(t.Via, "group ")), shellQuote(t.Name), shellQuote(document))
	case strings.Contains(t.ARN, "::aws:policy/"): // nobody can change AWS's own
		return ""
	}
	return fmt.Sprintf("aws iam create-policy-version --policy-arn %s --set-as-default --policy-document %s", t.ARN, shellQuote(document))
}

// removed is the command that takes a policy away which has no statement left: AWS stores none without.
func (p *Permissions) removed(t PolicyText) string {
	kind, holder := p.holder()
	group, inGroup := strings.CutPrefix(t.Via, "group ")
	if inGroup {
		kind, holder = "group", group
	}
	switch {
	case kind == "" || t.Via == "boundary" || t.Via == "organization":
		return ""
	case t.ARN == "":
		return fmt.Sprintf("aws iam delete-%s-policy --%s-name %s --policy-name %s", kind, kind, shellQuote(holder), shellQuote(t.Name))
	}
	return fmt.Sprintf("aws iam detach-%s-policy --%s-name %s --policy-arn %s", kind, kind, shellQuote(holder), t.ARN)
}

func compact(d *iam.Document) string {
	text, err := d.MarshalJSON()
	if err != nil {
		return ""
	}
	return string(text)
}

// shellQuote makes one word of a text for a POSIX shell.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+=,"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
