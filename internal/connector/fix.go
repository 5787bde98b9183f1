package connector

import (
	"crypto/sha256"
	"encoding/hex"
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

// statements are the fewest statements that allow what is asked: one for each set of resources.
func statements(asked []Asked) []iam.Statement {
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
			for _, k := range keysOf(c.context) {
				operator := "StringEquals"
				if strings.ContainsAny(k[1], "*?") {
					operator = "StringLike"
				}
				one.Conditions = append(one.Conditions, iam.Condition{Operator: operator, Key: k[0], Values: []string{k[1]}})
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
	return fmt.Sprintf("aws iam put-%s-policy --%s-name %s --policy-name %s --policy-document %s", kind, kind, shellQuote(holder), shellQuote(name), shellQuote(document))
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

// draft is a policy document that is being changed, by all fixes that concern it: their commands would undo each other.
type draft struct {
	of      PolicyText
	where   string // how What names it, when it is widened
	grant   bool   // it is the policy by which the fixes grant
	doc     *iam.Document
	denies  []iam.Reference  // statements that deny, in the order in which they were met
	actions map[int][]string // by the index of such a statement: what it is to deny no longer
	allowed []Asked          // what is to be allowed beside
}

// drafts are the documents that are being changed, in the order in which they were met.
type drafts struct {
	p    *Permissions
	list []*draft
}

// at is the draft of a document. It is nil when the document is no policy.
func (all *drafts) at(t PolicyText) *draft {
	for _, d := range all.list {
		if d.of.Via == t.Via && d.of.Name == t.Name && d.of.ARN == t.ARN {
			return d
		}
	}
	doc := &iam.Document{Version: "2012-10-17"}
	if t.Document != "" {
		var err error
		if doc, err = iam.Parse([]byte(t.Document)); err != nil {
			return nil
		}
	}
	d := &draft{of: t, doc: doc, actions: map[int][]string{}}
	all.list = append(all.list, d)
	return d
}

// granting is the draft of the policy by which the fixes grant: a new inline policy, or the one that an earlier grant made.
func (all *drafts) granting() *draft {
	t := PolicyText{Name: grantPolicy, Via: inline}
	for _, known := range all.p.Identity {
		if known.Via == inline && known.Name == grantPolicy {
			t = known
		}
	}
	d := all.at(t)
	if d != nil {
		d.grant = true
	}
	return d
}

// Mend says how denials are mended: by a grant in the identity's own policies, nil when that would help none, and by changes
// of what else stands in the way. Each document is changed by one fix, and the fixes hold together.
func (p *Permissions) Mend(list []*Judgement) (grant *Fix, blocked []Fix) {
	all := &drafts{p: p}
	elsewhere := map[string][]string{}
	var order []string
	for _, j := range list {
		if j.Elsewhere != "" {
			if elsewhere[j.Elsewhere] == nil {
				order = append(order, j.Elsewhere)
			}
			if !slices.Contains(elsewhere[j.Elsewhere], j.Action) {
				elsewhere[j.Elsewhere] = append(elsewhere[j.Elsewhere], j.Action)
			}
			continue
		}
		all.mend(j)
	}
	for _, d := range all.list {
		switch fix, ok := d.fix(p); {
		case !ok:
		case d.grant:
			grant = &fix
		default:
			blocked = append(blocked, fix)
		}
	}
	for _, what := range order {
		blocked = append(blocked, Fix{What: what + " It is about " + someActions(elsewhere[what]) + "."})
	}
	return grant, blocked
}

// mend is Mend for one denial, as one list in which the grant comes first.
func (p *Permissions) mend(j *Judgement) []Fix {
	grant, fixes := p.Mend([]*Judgement{j})
	if grant != nil {
		fixes = slices.Insert(fixes, 0, *grant)
	}
	return fixes
}

func (all *drafts) mend(j *Judgement) {
	x, p := j.Explanation, all.p
	allow := func(d *draft, where string) {
		if d != nil {
			d.where, d.allowed = where, append(d.allowed, j.Asked)
		}
	}
	if x.Decision == iam.ExplicitlyDenied {
		for _, s := range x.Statements {
			if t, ok := p.text(s); ok {
				all.at(t).undeny(j.Action, s)
			}
		}
	}
	missing := x.Missing
	if x.Decision == "" { // AWS said so, and no policy could be asked
		missing = []iam.Layer{iam.LayerIdentity}
	}
	for _, layer := range missing {
		switch layer {
		case iam.LayerIdentity:
			allow(all.granting(), "")
		case iam.LayerBoundary:
			if p.Boundary != nil {
				allow(all.at(*p.Boundary), "the permissions boundary")
			}
		case iam.LayerSCP:
			for _, l := range p.SCP {
				if slices.Contains(x.Levels, l.Name) && len(l.Policies) > 0 {
					allow(all.at(l.Policies[0]), "the service control policy at "+l.Name+",")
				}
			}
		case iam.LayerResource, iam.LayerSession, iam.LayerRCP, iam.LayerEndpoint, iam.LayerPublicBuckets:
		}
	}
}

// undeny notes that a statement is to deny an action no longer.
func (d *draft) undeny(action string, s iam.Reference) {
	if d == nil || s.Index >= len(d.doc.Statements) {
		return
	}
	if d.actions[s.Index] == nil {
		d.denies = append(d.denies, s)
	}
	d.actions[s.Index] = append(d.actions[s.Index], action)
}

// fix is the change as a whole. It is not ok when there is none.
func (d *draft) fix(p *Permissions) (Fix, bool) {
	if len(d.denies) == 0 && len(d.allowed) == 0 {
		return Fix{}, false
	}
	if ofAWS(d.of.ARN) && d.of.Via != "organization" {
		return d.instead(p), true
	}
	var said []string
	var empty []int
	for _, s := range d.denies {
		what, none := p.narrowed(&d.doc.Statements[s.Index], s, unique(d.actions[s.Index]))
		said = append(said, what)
		if none {
			empty = append(empty, s.Index)
		}
	}
	slices.Sort(empty)
	for _, i := range slices.Backward(empty) {
		d.doc.Statements = slices.Delete(d.doc.Statements, i, i+1)
	}
	d.doc.Statements = append(d.doc.Statements, statements(d.allowed)...)
	if len(d.doc.Statements) == 0 { // AWS stores no policy without a statement
		return Fix{What: strings.Join(said, " "), Command: p.removed(d.of)}, true
	}
	if d.grant {
		return p.granted(d.of, d.doc, said), true
	}
	if len(d.allowed) > 0 {
		said = append(said, fmt.Sprintf("Allow %s in %s %s too.", someActions(actionsOf(d.allowed)), d.where, d.of.Title()))
	}
	return Fix{What: strings.Join(said, " "), Command: p.replaced(d.of, compact(d.doc))}, true
}

// instead is the fix where a policy is AWS's own: it can only be left out, or another taken in its place.
func (d *draft) instead(p *Permissions) Fix {
	all := actionsOf(d.allowed)
	for _, s := range d.denies {
		all = unique(append(all, d.actions[s.Index]...))
	}
	if d.of.Via == "boundary" {
		return Fix{What: fmt.Sprintf("Set another permissions boundary, one that allows %s: nobody can change %s, which is AWS's own.", someActions(all), d.of.ARN)}
	}
	return Fix{
		What:    fmt.Sprintf("Detach %s: nobody can change a policy of AWS's own. Attach one of yours where its other statements are wanted.", d.of.Title()),
		Command: p.removed(d.of),
	}
}

// Most characters of an inline policy, all of one holder together: IAM's quotas.
const mostInlineUser, mostInlineRole = 2048, 10_240

// granted is the fix that writes the policy by which the fixes grant.
func (p *Permissions) granted(t PolicyText, d *iam.Document, said []string) Fix {
	text := compact(d)
	kind, _ := p.holder()
	most := mostInlineRole
	if kind == "user" {
		most = mostInlineUser
	}
	if len(text) > most {
		return Fix{What: strings.Join(append(said, fmt.Sprintf("Allow it in policies of the identity. With %d characters it is more than an inline policy may have (%d): "+
			"`belay policy for` writes what the capabilities need as policies to attach.", len(text), most)), " ")}
	}
	name := p.grantName(t, text)
	return Fix{What: strings.Join(append(said, "Allow it in a policy of the identity: "+text), " "), Command: p.putInline(name, text)}
}

// grantName is the name under which a grant is written.
func (p *Permissions) grantName(t PolicyText, text string) string {
	if t.Document != "" || p.Unknown(PartIdentity) == "" {
		return t.Name
	}
	// One of that name may be there and not have been read: it is not to be lost.
	sum := sha256.Sum256([]byte(text))
	return t.Name + "-" + hex.EncodeToString(sum[:4])
}

func actionsOf(asked []Asked) []string {
	all := make([]string, len(asked))
	for i, a := range asked {
		all[i] = a.Action
	}
	return unique(all)
}

// unique leaves the first of equal words.
func unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(word string) bool {
		before := seen[word]
		seen[word] = true
		return before
	})
}

// someActions names a few of many.
func someActions(list []string) string {
	const few = 5
	if len(list) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:few], ", "), len(list)-few)
	}
	return strings.Join(list, ", ")
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

// narrowed makes a statement that denies deny less: the actions are taken out of its list, or, where a pattern or NotAction
// holds one, the identity is exempted. It says what was done, and whether the statement denies nothing any more.
func (p *Permissions) narrowed(one *iam.Statement, s iam.Reference, actions []string) (what string, none bool) {
	others := slices.DeleteFunc(slices.Clone(one.Action.Values), func(pattern string) bool {
		return slices.ContainsFunc(actions, func(a string) bool { return strings.EqualFold(pattern, a) })
	})
	byPattern := one.Action.Negated || slices.ContainsFunc(actions, func(a string) bool {
		return slices.ContainsFunc(others, func(pattern string) bool { return iam.MatchAction(pattern, a) })
	})
	switch {
	case byPattern:
		p.exempt(one)
		return fmt.Sprintf("Exempt this identity from %s.", s), false
	case len(others) == 0:
		return fmt.Sprintf("Remove %s: it denies nothing else.", s), true
	}
	one.Action.Values = others
	return fmt.Sprintf("Take %s out of %s.", someActions(actions), s), false
}

// exempt leaves the identity out of a statement that denies.
func (p *Permissions) exempt(one *iam.Statement) {
	who := []string{p.Principal}
	kind, name := p.holder()
	switch a, err := arn.Parse(p.Principal); {
	case p.Role != "":
		who = []string{p.Role}
	case err == nil && kind == "role": // its path was not read
		role := fmt.Sprintf("arn:%s:iam::%s:role/", a.Partition, a.Account)
		who = []string{role + name, role + "*/" + name}
	}
	const key = "aws:PrincipalArn"
	for i := range one.Conditions {
		c := &one.Conditions[i]
		if strings.EqualFold(c.Key, key) && c.Quantifier == iam.Single && (c.Operator == "ArnNotEquals" || c.Operator == "ArnNotLike" || c.Operator == "StringNotLike") {
			c.Values = append(slices.Clone(c.Values), who...)
			return
		}
	}
	one.Conditions = append(one.Conditions, iam.Condition{Operator: "ArnNotEquals", Key: key, Values: who})
}

// replaced is the command that gives a policy another document.
func (p *Permissions) replaced(t PolicyText, document string) string {
	switch {
	case t.Via == inline:
		return p.putInline(t.Name, document)
	case t.Via == "organization":
		return fmt.Sprintf("aws organizations update-policy --policy-id %s --content %s", shellQuote(t.ARN[strings.LastIndexByte(t.ARN, '/')+1:]), shellQuote(document))
	case t.ARN == "" && strings.HasPrefix(t.Via, "group "):
		return fmt.Sprintf("aws iam put-group-policy --group-name %s --policy-name %s --policy-document %s",
			shellQuote(strings.TrimPrefix(t.Via, "group ")), shellQuote(t.Name), shellQuote(document))
	case ofAWS(t.ARN):
		return ""
	}
	return fmt.Sprintf("aws iam create-policy-version --policy-arn %s --set-as-default --policy-document %s", shellQuote(t.ARN), shellQuote(document))
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
	return fmt.Sprintf("aws iam detach-%s-policy --%s-name %s --policy-arn %s", kind, kind, shellQuote(holder), shellQuote(t.ARN))
}

// ofAWS reports whether AWS manages the policy: nobody else can change it.
func ofAWS(policyARN string) bool { return strings.Contains(policyARN, "::aws:policy/") }

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
