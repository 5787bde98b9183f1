package sandbox

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

// policyKind is where a policy document stands; that decides what may be in it.
type policyKind int

const (
	identityPolicy policyKind = iota
	trustPolicy
	controlPolicy // of an organization
)

// maxDocument is the most that a document may have in the service's model.
const maxDocument = 131072

// readPolicy reads a document as strictly as AWS does when it stores one. All that is wrong is said, in AWS's words
// where one of its sentences fits.
func readPolicy(kind policyKind, text string) (document, error) {
	if len(text) > maxDocument {
		return document{}, invalid("1 validation error detected: Value at 'policyDocument' failed to satisfy constraint: Member must have length less than or equal to %d", maxDocument)
	}
	d, err := iam.Parse([]byte(text))
	if err != nil {
		var parse *iam.ParseError
		if !errors.As(err, &parse) {
			return document{}, malformed("Syntax errors in policy.")
		}
		all := make([]string, len(parse.Problems))
		for i, p := range parse.Problems {
			all[i] = p.String()
		}
		return document{}, malformed("Syntax errors in policy. (%s)", strings.Join(all, "; "))
	}
	if problems := policyProblems(kind, d); len(problems) > 0 {
		return document{}, malformed("%s", strings.Join(problems, " "))
	}
	return document{text, d}, nil
}

// policyProblems are what a document has that may not be there, or lacks.
func policyProblems(kind policyKind, d *iam.Document) []string {
	var out []string
	add := func(text string) {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		add("Policy document must be version 2012-10-17 or greater.")
	}
	if len(d.Statements) == 0 {
		add("Syntax errors in policy.")
	}
	if d.ID != "" && kind == identityPolicy {
		add("Syntax errors in policy. (Id is not allowed here)")
	}
	ids := map[string]bool{}
	sid := regexp.MustCompile(`^[A-Za-z0-9]*$`)
	for _, s := range d.Statements {
		if !sid.MatchString(s.SID) {
			add("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*.")
		}
		if s.SID != "" && ids[s.SID] {
			add("Statement IDs (SID) in a single policy must be unique.")
		}
		ids[s.SID] = true
		actionProblems(s.Action.Values, add)
		statementProblems(kind, s, add)
	}
	return out
}

func actionProblems(actions []string, add func(string)) {
	if len(actions) == 0 {
		add("Policy statement must contain actions.")
	}
	for _, a := range actions {
		vendor, _, ok := strings.Cut(a, ":")
		switch {
		case a == "*":
		case !ok:
			add("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		case strings.Count(a, ":") > 1:
			add("Actions/Condition can contain only one colon.")
		case strings.ContainsFunc(vendor, func(r rune) bool { return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) || vendor == "":
			add("Vendor " + clip(vendor) + " is not valid")
		}
	}
}

func statementProblems(kind policyKind, s iam.Statement, add func(string)) {
	switch {
	case kind == trustPolicy && s.Principal == nil:
		add("Missing required field Principal")
	case kind == identityPolicy && s.Principal != nil:
		add("Policy document should not specify a principal.")
	case kind == controlPolicy && s.Principal != nil && !s.Principal.Any && !slices.Equal(s.Principal.AWS, []string{"*"}):
		add("Syntax errors in policy. (the principal of a control policy is \"*\")")
	}
	if kind == trustPolicy {
		if s.Resource.Values != nil {
			add("Has prohibited field Resource")
		}
		for _, a := range s.Action.Values {
			if vendor, _, _ := strings.Cut(strings.ToLower(a), ":"); vendor != "sts" && vendor != "*" {
				add("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		}
		return
	}
	if len(s.Resource.Values) == 0 {
		add("Policy statement must contain resources.")
	}
	for _, r := range s.Resource.Values {
		if r != "*" && !strings.HasPrefix(r, "arn:") && !strings.HasPrefix(r, "arn*") {
			add(`Resource ` + clip(r) + ` must be in ARN format or "*".`)
		}
	}
}

// checkPrincipals refuses principals that this sandbox knows not to exist. Those of accounts that it does not have
// cannot be checked, and are let through.
func (st *state) checkPrincipals(d document) error {
	for _, s := range d.parsed.Statements {
		if s.Principal == nil {
			continue
		}
		for _, one := range s.Principal.AWS {
			if !st.principalExists(one) {
				return malformed(`Invalid principal in policy: "AWS":"%s"`, clip(one))
			}
		}
		for _, one := range s.Principal.Service {
			if !strings.HasSuffix(one, ".amazonaws.com") && !strings.HasSuffix(one, ".amazonaws.com.cn") && one != "*" {
				return malformed(`Invalid principal in policy: "SERVICE":"%s"`, clip(one))
			}
		}
		for _, one := range s.Principal.Federated {
			if parsed, err := arn.Parse(one); err == nil {
				url, isProvider := strings.CutPrefix(parsed.Resource, "oidc-provider/")
				if a := st.Accounts[parsed.Account]; isProvider && a != nil && a.Providers[url] == nil {
					return malformed(`Invalid principal in policy: "FEDERATED":"%s"`, clip(one))
				}
			}
		}
	}
	return nil
}

func (st *state) principalExists(text string) bool {
	if text == "*" || len(text) == 12 && strings.Trim(text, "0123456789") == "" {
		return true
	}
	p, err := arn.Parse(text)
	if err != nil {
		return strings.HasPrefix(text, "AROA") || strings.HasPrefix(text, "AIDA") // a principal that was deleted
	}
	a := st.Accounts[p.Account]
	kind, name, _ := strings.Cut(p.Resource, "/")
	last := strings.ToLower(name[strings.LastIndexByte(name, '/')+1:])
	switch {
	case p.Service != "iam" && p.Service != "sts" || strings.ContainsAny(text, "*?"):
		return false
	case p.Resource == "root" || a == nil:
		return true
	case a.Partition != p.Partition:
		return false
	case p.Service == "iam" && kind == "user":
		return a.Users[last] != nil && a.userARN(a.Users[last]) == text
	case p.Service == "iam" && kind == "role":
		return a.Roles[last] != nil && a.roleARN(a.Roles[last]) == text
	case p.Service == "sts" && kind == "assumed-role":
		role, _, _ := strings.Cut(name, "/")
		return a.Roles[strings.ToLower(role)] != nil
	case p.Service == "sts" && kind == "federated-user":
		return true
	}
	return false
}

// size is the length that IAM counts: without white space.
func (d document) size() int {
	n := 0
	for _, r := range d.text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
