package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

// Finding is what a refusal was judged by: the policies with the statements that decide, and the changes that would mend
// it, smallest first. A diagnosis says the same in sentences; this is for those who show it. It is kept of a connector's
// last test only.
type Finding struct {
	Action    string // that was refused
	Region    string // where
	Layer     iam.Layer
	Explicit  bool   // a statement denies; else none allows
	Said      string // AWS's own reason, such as "explicit deny in a permissions boundary"; "" when it gave none
	RequestID string
	Quotes    []Quote
	Changes   []Change
	Rest      []string // of the diagnosis's remedies, those that are none of the changes
}

// Quote is a policy that decides.
type Quote struct {
	Policy PolicyText
	Layer  iam.Layer
	// Deciding are the statements that decide, by their index from 0, first the first. It is empty when none allows.
	Deciding []int
	// Near are those that would have allowed it but for one element.
	Near []int
	Why  string // what the first of Near has and the request has not
}

// Change is one way to mend a refusal: of a policy, or of the connector itself.
type Change struct {
	What    string     // what is done, in a sentence
	Policy  PolicyText // as it is now; its Document is empty where a new one is made
	After   string     // the policy's new document, as JSON; "" when nothing is written
	Command string     // for the AWS CLI; "" where no single command does it
	Trust   string     // name of the role whose trust policy it is; "" for other policies
	Setting Setting    // of the connector, instead of a policy
	Value   string     // that the setting gets
}

// Setting is a part of a connector that a Change sets.
type Setting string

// The settings.
const (
	SettingNone       Setting = ""
	SettingRegion     Setting = "region"
	SettingRole       Setting = "crossAccountRoleArn"
	SettingExternalID Setting = "externalId"
)

// Bounds of a finding: it is stored, and a page shows all of it.
const (
	mostQuotes   = 4
	mostChanges  = 6
	mostDocument = 24 << 10 // bytes of one document; AWS's own are below 11,000 characters
)

// Apply gives the connector with the change made. It is not ok when the change is one of a policy.
func (c Change) Apply(to Connector) (_ Connector, ok bool) {
	switch c.Setting {
	case SettingRegion:
		to.Region = c.Value
		return to, true
	case SettingRole, SettingExternalID:
		if to.CrossAccount == nil {
			return to, false
		}
		role := *to.CrossAccount
		if c.Setting == SettingRole {
			role.RoleARN = c.Value
		} else {
			role.ExternalID = c.Value
		}
		to.CrossAccount = &role
		return to, true
	case SettingNone:
	}
	return to, false
}

// find is what a refusal that was understood is judged by; nil when the policies tell nothing.
func (p *Permissions) find(code string, f Failure, c Connector) *Finding {
	var found *Finding
	switch code {
	case PermissionMissing:
		found = p.findPermission(f, c)
	case RoleNotAssumable:
		found = p.findAssumeRole(f, c)
	}
	if found == nil || len(found.Quotes)+len(found.Changes) == 0 {
		return nil
	}
	if denial, ok := ParseDenial(f.Message); ok {
		found.Said = denial.reason()
	}
	found.RequestID = f.RequestID
	found.bound()
	return found
}

// bound leaves out what is too long to be kept.
func (f *Finding) bound() {
	f.Quotes = slices.DeleteFunc(f.Quotes, func(q Quote) bool { return len(q.Policy.Document) > mostDocument })
	f.Quotes = f.Quotes[:min(len(f.Quotes), mostQuotes)]
	f.Changes = slices.DeleteFunc(f.Changes, func(c Change) bool {
		return len(c.Policy.Document) > mostDocument || len(c.After) > mostDocument || len(c.Command) > 2*mostDocument
	})
	f.Changes = f.Changes[:min(len(f.Changes), mostChanges)]
}

// reason is AWS's own reason in few words.
func (d Denial) reason() string {
	switch {
	case d.Layer == "":
		return ""
	case d.Explicit:
		return "explicit deny in " + article(d.Layer)
	}
	return fmt.Sprintf("no %s allows it", d.Layer)
}

func (p *Permissions) findPermission(f Failure, c Connector) *Finding {
	a, region := askedOf(f), f.Region
	if region == "" {
		region = c.TestRegion()
	}
	j := p.Judge(region).May(a)
	if j.Answer != MayNotDo {
		return nil
	}
	found := &Finding{Action: a.Action, Region: region, Explicit: j.Explanation.Decision == iam.ExplicitlyDenied, Quotes: p.quotes(j.Explanation)}
	found.Layer = deciding(j.Explanation)
	found.Changes = append(p.elsewhere(a, region), p.changes(&j)...)
	return found
}

// deciding is the layer that a refusal is first told by.
func deciding(x iam.Explanation) iam.Layer {
	switch {
	case x.Decision == iam.ExplicitlyDenied && len(x.Statements) > 0:
		return x.Statements[0].Layer
	case len(x.Missing) > 0:
		return x.Missing[0]
	}
	return iam.LayerIdentity
}

// quotes are the policies with the statements that decided, or came nearest, and those that would have to allow it.
func (p *Permissions) quotes(x iam.Explanation) []Quote {
	var out []Quote
	quote := func(t PolicyText, layer iam.Layer) *Quote {
		for i := range out {
			if q := &out[i]; q.Layer == layer && q.Policy.Via == t.Via && q.Policy.Name == t.Name && q.Policy.ARN == t.ARN {
				return q
			}
		}
		out = append(out, Quote{Policy: t, Layer: layer})
		return &out[len(out)-1]
	}
	if x.Decision == iam.ExplicitlyDenied {
		for _, s := range x.Statements {
			if t, ok := p.text(s); ok {
				q := quote(t, s.Layer)
				q.Deciding = append(q.Deciding, s.Index)
			}
		}
		return out
	}
	for _, n := range x.Near {
		if t, ok := p.text(n.Reference); ok {
			q := quote(t, n.Layer)
			q.Near = append(q.Near, n.Index)
			if q.Why == "" {
				q.Why = n.Why
			}
		}
	}
	for _, layer := range x.Missing {
		if layer == iam.LayerBoundary && p.Boundary != nil {
			quote(*p.Boundary, layer)
		}
	}
	return out
}

// elsewhere are other Regions to test in, where a refusal hangs on the Region: by the policies that were read it is allowed
// there. They change nothing but the connector.
func (p *Permissions) elsewhere(a Asked, region string) []Change {
	here, _ := arn.PartitionOf(region)
	const most = 20 // each is a whole decision
	tried := 0
	for _, other := range p.regions() {
		if there, ok := arn.PartitionOf(other); !ok || there.ID != here.ID || other == region {
			continue
		}
		if tried++; tried > most {
			break
		}
		if p.Judge(other).May(a).Answer == MayDo {
			return []Change{{What: fmt.Sprintf("Test in %s instead.", other), Setting: SettingRegion, Value: other}}
		}
	}
	return nil
}

// regions are those that the policies name in conditions on aws:RequestedRegion, in the order in which they stand.
func (p *Permissions) regions() []string {
	policies, err := p.Policies()
	if err != nil {
		return nil
	}
	all := slices.Concat(policies.Identity, policies.Boundary)
	for _, level := range policies.SCP {
		all = append(all, level.Policies...)
	}
	var out []string
	for _, policy := range all {
		for _, s := range policy.Document.Statements {
			for _, c := range s.Conditions {
				if !strings.EqualFold(c.Key, "aws:RequestedRegion") {
					continue
				}
				for _, value := range c.Values {
					if arn.KnownRegion(value) {
						out = append(out, value)
					}
				}
			}
		}
	}
	return unique(out)
}

// changes are the fixes of one denial as changes of documents.
func (p *Permissions) changes(j *Judgement) []Change {
	all := &drafts{p: p}
	if j.Elsewhere != "" {
		return []Change{{What: j.Elsewhere}}
	}
	all.mend(j)
	var out []Change
	for _, d := range all.list {
		if fix, ok := d.fix(p); ok {
			out = append(out, d.change(p, fix))
		}
	}
	return out
}

// change is a fix with the document that it writes. It is called after fix, which changes the document.
func (d *draft) change(p *Permissions, fix Fix) Change {
	c := Change{What: sentenceOf(fix.What), Policy: d.of, Command: fix.Command}
	if d.grant {
		c.What = fmt.Sprintf("Allow %s in an inline policy of the identity.", someActions(actionsOf(d.allowed)))
		if d.of.Document != "" {
			c.What = fmt.Sprintf("Allow %s in %s.", someActions(actionsOf(d.allowed)), d.of.Title())
		}
	}
	if ofAWS(d.of.ARN) || len(d.doc.Statements) == 0 {
		return c // it goes, or cannot be changed
	}
	c.After = compact(d.doc)
	if d.grant {
		c.Policy.Name = p.grantName(d.of, c.After)
	}
	return c
}

// sentenceOf leaves a document that stands behind a sentence out.
func sentenceOf(what string) string {
	if head, _, found := strings.Cut(what, ": {"); found {
		return head + "."
	}
	return what
}

func (p *Permissions) findAssumeRole(f Failure, c Connector) *Finding {
	if c.CrossAccount == nil {
		return nil
	}
	role, region := c.CrossAccount.RoleARN, c.TestRegion()
	who, err := p.Caller()
	if err != nil {
		return nil
	}
	found := &Finding{Action: "sts:AssumeRole", Region: region, Layer: iam.LayerResource}
	mine := p.ownSide(Asked{Action: "sts:AssumeRole", Resource: role}, who, region)
	theirs, trust := p.trustSide(who, c, region, false)
	if mine.Answer == MayDo && theirs.Answer == MayDo {
		theirs, trust = p.trustSide(who, c, region, true)
	}
	if mine.Answer == MayNotDo {
		found.Layer, found.Explicit = deciding(mine.Explanation), mine.Explanation.Decision == iam.ExplicitlyDenied
		found.Quotes, found.Changes = p.quotes(mine.Explanation), p.changes(&mine)
	}
	absent, elsewhere := p.absent(role)
	switch {
	case elsewhere != "":
		found.Changes = append(found.Changes, Change{What: fmt.Sprintf("Use the role of that name that is there, %s.", elsewhere), Setting: SettingRole, Value: elsewhere})
	case absent:
		made := p.created(who, c)
		d := &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{p.letIn(who, c)}}
		found.Changes = append(found.Changes, Change{What: "Correct crossAccountRoleArn in the connector, if the role has another name."}, Change{
			What: "Create the role, and let the identity in.", Policy: PolicyText{Via: "trust"}, After: compact(d), Command: made.Command, Trust: lastName(role),
		})
	case mine.Answer == MayDo && theirs.Answer != MayNotDo && p.namedElsewhere(f):
		return nil // AWS names a layer that is on neither side, so neither is to be changed
	case theirs.Answer == MayNotDo:
		found.Explicit = found.Explicit || trust.Decision == iam.ExplicitlyDenied
		found.Quotes = append(found.Quotes, p.trustQuote(trust))
		if id := p.wantedExternalID(who, c, region); id != "" {
			found.Changes = append(found.Changes, Change{What: "Send the external id that the trust policy asks for.", Setting: SettingExternalID, Value: id})
		}
		found.Changes = append(found.Changes, p.trustChange(who, c, trust))
	case theirs.Answer == NotKnown && mine.Answer == MayDo:
		found.Changes = append(found.Changes, p.trustChange(who, c, trust))
	}
	return found
}

// namedElsewhere reports whether AWS names a layer that is neither the identity's own policies nor the role's trust policy.
func (*Permissions) namedElsewhere(f Failure) bool {
	denial, _ := ParseDenial(f.Message)
	return namedLayer(denial, "sts:AssumeRole").cause != ""
}

func lastName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// trustQuote is the trust policy that does not let the identity in.
func (p *Permissions) trustQuote(trust iam.Explanation) Quote {
	q := Quote{Policy: PolicyText{Name: lastName(p.Target.ARN), ARN: p.Target.ARN, Via: "trust", Document: p.Target.Document}, Layer: iam.LayerResource}
	if trust.Decision == iam.ExplicitlyDenied {
		for _, s := range trust.Statements {
			if s.Layer == iam.LayerResource {
				q.Deciding = append(q.Deciding, s.Index)
			}
		}
	}
	for _, n := range trust.Near {
		if n.Layer == iam.LayerResource {
			q.Near = append(q.Near, n.Index)
			if q.Why == "" {
				q.Why = n.Why
			}
		}
	}
	return q
}

// trustChange lets the identity in by the role's trust policy, as trusted and exempted do.
func (p *Permissions) trustChange(who iam.Principal, c Connector, trust iam.Explanation) Change {
	fix := p.trusted(who, c)
	if trust.Decision == iam.ExplicitlyDenied {
		fix = p.exempted(who, c, trust)
	}
	one := Change{What: fix.What, Policy: PolicyText{Via: "trust", Name: lastName(c.CrossAccount.RoleARN)}, Command: fix.Command, Trust: lastName(c.CrossAccount.RoleARN)}
	if p.Target != nil {
		one.Policy.Document = p.Target.Document
	}
	// The document is the last word of the command, so that both say the same.
	if _, quoted, ok := strings.Cut(fix.Command, " --policy-document '"); ok {
		text := strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), `'\''`, "'")
		if json.Valid([]byte(text)) {
			one.After = text
		}
	}
	return one
}
