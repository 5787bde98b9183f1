package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// The versions of the policy language.
const (
	current = "2012-10-17"
	old     = "2008-10-17"
)

// structure looks at the document as a whole.
func (l *linter) structure() {
	l.index = -1
	l.version()
	l.size()
	if len(l.document.Statements) == 0 {
		l.report("BLP-112", at{path: "Statement"}, "The policy has no statement, so it says nothing; AWS refuses it in most places.", "Add a statement, or delete the policy.")
	}
	first := map[string]int{}
	for i := range l.document.Statements {
		l.index, l.statement = i, &l.document.Statements[i]
		l.sid(first)
		l.elements()
	}
	l.index, l.statement = -1, nil
}

func (l *linter) version() {
	where := at{l.document.VersionPos, "Version"}
	variable, found := firstVariable(l.document)
	fix := fmt.Sprintf("Say \"Version\": %q.", current)
	switch v := l.document.Version; {
	case !known(v) || v == current:
	case v != "" && v != old:
		l.report("BLP-103", where, fmt.Sprintf("Version %s is none of the policy language; AWS refuses the document. Version is not a date of your own.", show(v)), fix)
	case found:
		said := "Version is missing, which means " + old
		if v != "" {
			said = "Version is " + old
		}
		l.report("BLP-102", where, fmt.Sprintf("%s, and that version knows no policy variables: %s is taken as those very characters.", said, variable), fix)
	case v == "":
		l.report("BLP-101", where, "Version is missing. AWS then takes "+old+", in which policy variables such as ${aws:username} are plain text.", fix)
	default:
		l.report("BLP-113", where, "Version "+old+" knows no policy variables; the first one that is added will not work.", fix)
	}
}

// firstVariable is the first policy variable of a document.
func firstVariable(d *iam.Document) (string, bool) {
	for i := range d.Statements {
		s := &d.Statements[i]
		values := slices.Clone(s.Resource.Values)
		for _, c := range s.Conditions {
			values = append(values, c.Values...)
		}
		for _, v := range values {
			for name := range variables(v) {
				return "${" + name + "}", true
			}
		}
	}
	return "", false
}

// Quotas of characters. White space does not count in those of IAM.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html and
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const (
	managedQuota = 6144
	userQuota    = 2048
	groupQuota   = 5120
	roleQuota    = 10240
	trustQuota   = 2048
	trustMost    = 4096 // on request
	scpQuota     = 5120
)

// size compares the length of the document with the quotas of its kind. The quota of a resource policy depends on the
// service, which the document does not tell.
func (l *linter) size() {
	text, _ := l.document.MarshalJSON() // has no error
	n := len([]rune(string(text)))
	split := "Split it into several policies, or shorten it: patterns instead of lists, no Sid."
	switch l.kind {
	case Identity, Boundary:
		switch {
		case n > roleQuota:
			l.report("BLP-109", here(), fmt.Sprintf("The policy has %d characters without white space. A managed policy may have %d, the inline policies of a role %d together, "+
				"of a group %d, of a user %d.", n, managedQuota, roleQuota, groupQuota, userQuota), split)
		case n > managedQuota:
			l.reportAs("BLP-109", Warning, here(), fmt.Sprintf("The policy has %d characters without white space. A managed policy may have %d; it fits only as an inline policy of a role, "+
				"which may have %d together.", n, managedQuota, roleQuota), split)
		}
	case Trust:
		switch {
		case n > trustMost:
			l.report("BLP-109", here(), fmt.Sprintf("The trust policy has %d characters without white space; AWS allows %d, and up to %d on request.", n, trustQuota, trustMost), split)
		case n > trustQuota:
			l.reportAs("BLP-109", Warning, here(), fmt.Sprintf("The trust policy has %d characters without white space; AWS allows %d unless the account's quota was raised.", n, trustQuota), split)
		}
	case SCP, RCP:
		if n > scpQuota {
			l.report("BLP-109", here(), fmt.Sprintf("The policy has %d characters without white space; AWS Organizations allows %d.", n, scpQuota), split)
		}
	case Resource, Endpoint, Guessed:
	}
}

func (l *linter) sid(first map[string]int) {
	sid := l.statement.SID
	if sid == "" || !known(sid) {
		return
	}
	where := at{path: "Sid"}
	if before, twice := first[sid]; twice {
		l.report("BLP-104", where, fmt.Sprintf("Sid %s is that of statement %d, too. AWS refuses a document whose Sids are not unique.", show(sid), before), "Give each statement a Sid of its own, or none.")
	} else {
		first[sid] = l.index
	}
	if l.kind != Identity && l.kind != Boundary && l.kind != SCP {
		return // services that keep resource policies allow more
	}
	if i := strings.IndexFunc(sid, notOf("")); i >= 0 {
		good := strings.Map(func(r rune) rune {
			if alphanumeric(r) {
				return r
			}
			return -1
		}, sid)
		l.report("BLP-105", where, fmt.Sprintf("Sid %s holds %q. IAM allows letters and digits only, and refuses the document.", show(sid), []rune(sid[i:])[0]), fmt.Sprintf("Call it %q.", good))
	}
}

// elements looks for elements that the kind of policy needs, or does not have.
func (l *linter) elements() {
	s := l.statement
	switch l.kind {
	case Identity, Boundary, SCP:
		if s.Principal != nil {
			l.report("BLP-106", at{s.Principal.Pos, principalName(s)}, fmt.Sprintf("%s says who may act, but this is %s, which speaks of whom it is attached to. AWS refuses it.", principalName(s), article(l.kind)),
				"Remove it; if others shall be let in, put the statement into the policy of the resource, or into the trust policy of the role.")
		}
	case Trust, Resource, Endpoint, RCP:
		if s.Principal == nil {
			l.report("BLP-107", here(), fmt.Sprintf("Principal is missing. In %s each statement says whom it speaks of.", article(l.kind)), "Add Principal with accounts, roles or services.")
		}
	case Guessed:
	}
	switch {
	case l.kind == Trust && s.Resource.Values != nil:
		l.report("BLP-111", value(&s.Resource, "Resource", -1), "A trust policy is part of its role and names no Resource. AWS refuses it.", "Remove Resource.")
	case l.kind != Trust && l.kind != Resource && s.Resource.Values == nil:
		l.report("BLP-110", here(), fmt.Sprintf("Resource is missing. In %s each statement names resources; AWS refuses it.", article(l.kind)), "Add Resource with ARNs, or \"*\".")
	}
	l.empty(value(&s.Action, "Action", -1), s.Action.Values != nil && len(s.Action.Values) == 0)
	l.empty(value(&s.Resource, "Resource", -1), s.Resource.Values != nil && len(s.Resource.Values) == 0)
	for i := range s.Conditions {
		l.empty(condition(&s.Conditions[i]), len(s.Conditions[i].Values) == 0)
	}
	if p := s.Principal; p != nil && !p.Any && len(p.AWS)+len(p.Service)+len(p.Federated)+len(p.CanonicalUser) == 0 {
		l.empty(at{p.Pos, principalName(s)}, true)
	}
}

func (l *linter) empty(where at, is bool) {
	if is {
		l.report("BLP-108", where, fmt.Sprintf("%s is an empty list: AWS refuses it, or the statement matches nothing.", where.path), "Name at least one value, or remove the statement.")
	}
}

func principalName(s *iam.Statement) string {
	if s.Principal.Negated {
		return "NotPrincipal"
	}
	return "Principal"
}

func article(k Kind) string {
	switch k {
	case Identity:
		return "an identity policy"
	case Boundary:
		return "a permissions boundary or session policy"
	case Trust:
		return "a trust policy"
	case Resource:
		return "a resource policy"
	case Endpoint:
		return "a VPC endpoint policy"
	case SCP:
		return "a service control policy"
	case RCP:
		return "a resource control policy"
	case Guessed:
	}
	return "a policy"
}
