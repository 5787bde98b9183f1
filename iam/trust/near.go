package trust

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/belay-dev/belay/iam"
)

// How far a principal is from the caller: another role of the account is nearer than another kind of caller.
const (
	nearPrincipal = 2
	farPrincipal  = 10
)

// principal says why a Principal does not name the caller.
func (s *side) principal(p *iam.Principals) (string, int) {
	if p.Negated {
		return fmt.Sprintf("lets in everybody but those it names, and %s is one of them", s.caller), nearPrincipal
	}
	switch s.caller.Kind() {
	case iam.KindService:
		if len(p.Service) > 0 {
			return s.service(p.Service), nearPrincipal
		}
	case iam.KindFederated:
		if len(p.Federated) > 0 {
			return s.federated(p.Federated), nearPrincipal
		}
	case iam.KindRoot, iam.KindUser, iam.KindRole, iam.KindSession, iam.KindFederatedUser:
		if len(p.AWS) > 0 {
			return s.entity(p.AWS)
		}
	case iam.KindAnonymous:
	}
	names := slices.Concat(p.AWS, p.Service, p.Federated, p.CanonicalUser)
	if len(names) == 0 {
		return "names nobody", farPrincipal
	}
	return fmt.Sprintf("is for %s, not for %s", listed(names), s.caller), farPrincipal
}

// uses say what comes as which service.
var uses = map[string]string{ //nolint:gochecknoglobals // a lookup table
	"ec2.amazonaws.com":       "EC2 instances",
	"ec2.amazonaws.com.cn":    "EC2 instances in China",
	"ecs-tasks.amazonaws.com": "ECS tasks, for the task role and the task execution role",
	"ecs.amazonaws.com":       "the ECS scheduler, for its legacy service role",
	"lambda.amazonaws.com":    "Lambda functions",
	"eks.amazonaws.com":       "EKS clusters",
	pods:                      "pods with EKS Pod Identity",
}

func (s *side) service(names []string) string {
	told := func(name string) string {
		if use := uses[name]; use != "" {
			return name + " (" + use + ")"
		}
		return name
	}
	var all []string
	for _, n := range names {
		all = append(all, told(n))
	}
	return fmt.Sprintf("lets %s in, and the caller comes as %s", listed(all), told(s.caller.String()))
}

func (s *side) federated(names []string) string {
	caller := s.caller.String()
	text := fmt.Sprintf("is for tokens of %s, not of %s", listed(names), caller)
	for _, n := range names {
		a, b := strings.SplitN(n, ":", 6), strings.SplitN(caller, ":", 6)
		switch {
		case len(a) == 6 && len(b) == 6 && a[5] == b[5] && a[4] != b[4]:
			return text + fmt.Sprintf(": the provider is the same but for the account, %s instead of %s", a[4], b[4])
		case strings.TrimSuffix(n, "/") == strings.TrimSuffix(caller, "/"):
			return text + ": they differ in a slash at the end"
		case Difference(n, caller) != "":
			return text + ": " + Difference(n, caller)
		}
	}
	return text
}

// entity says why none of the names under AWS is the caller, and how far they are.
func (s *side) entity(names []string) (string, int) {
	weight := nearPrincipal + 1
	var why []string
	for _, name := range names {
		text, near := s.named(name)
		if near {
			weight = nearPrincipal
		}
		why = append(why, text)
	}
	const most = 3
	if len(why) > most {
		why = append(why[:most], fmt.Sprintf("%d more", len(why)-most))
	}
	return fmt.Sprintf("is not for %s but for %s", s.caller, strings.Join(why, ", and ")), weight
}

// named tells a name from the caller; near means that it is of the same account.
func (s *side) named(name string) (string, bool) {
	account := s.caller.Account()
	p, err := iam.ParsePrincipal(name)
	if accountForm.MatchString(name) {
		p, err = iam.ParsePrincipal("arn:" + s.part + ":iam::" + name + ":root")
	}
	if err != nil {
		if uniqueID(name) {
			return name + ", the unique id of a user or role: AWS puts it there when the one that was named is deleted, and one of the same name that is made later does not get in", true
		}
		return name + ", which is no account and no ARN of a role or user", false
	}
	kind := map[iam.PrincipalKind]string{iam.KindUser: "user", iam.KindRole: "role", iam.KindSession: "session", iam.KindRoot: "account"}
	switch {
	case p.Account() != account:
		return fmt.Sprintf("%s of account %s, while the caller is of account %s", name, p.Account(), account), false
	case partition(p) != partition(s.caller):
		return fmt.Sprintf("%s of partition %s, while the caller is of %s", name, partition(p), partition(s.caller)), false
	case p.Kind() == iam.KindSession && s.caller.Kind() == iam.KindSession:
		return name + ", another session: name the role instead, for session names change", true
	case p.Kind() == iam.KindSession:
		return name + ", one session of a role: name the role itself", true
	case p.Kind() != s.caller.Kind() && (p.Kind() != iam.KindRole || s.caller.Kind() != iam.KindSession):
		return fmt.Sprintf("%s, a %s, while the caller is a %s", name, kind[p.Kind()], kind[s.caller.Kind()]), true
	}
	other, mine := lastWord(name), roleName(s.caller)
	if strings.EqualFold(other, mine) && other != mine {
		return name + ", whose name differs in letter case", true
	}
	if other == mine {
		return name + ", which has another path", true
	}
	return fmt.Sprintf("another %s, %s", kind[p.Kind()], name), true
}

func partition(p iam.Principal) string {
	if segments := strings.SplitN(p.String(), ":", 3); len(segments) == 3 {
		return segments[1]
	}
	return ""
}

func lastWord(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// roleName is the name of a user, or of the role behind a session.
func roleName(p iam.Principal) string {
	if p.Kind() == iam.KindSession {
		if words := strings.Split(p.String(), "/"); len(words) > 1 {
			return words[1]
		}
	}
	return lastWord(p.String())
}

// uniqueID tells the ids that IAM gives users and roles.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
func uniqueID(name string) bool {
	return len(name) >= 16 && len(name) <= 128 && (strings.HasPrefix(name, "AROA") || strings.HasPrefix(name, "AIDA")) &&
		!strings.ContainsFunc(name, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// sent is the value that the request has for a key, as far as the question says it.
func (s *side) sent(key string) (string, bool) {
	host := providerHost(s.caller.String())
	claim, isClaim := cutPrefixFold(key, host+":")
	tag, isTag := cutPrefixFold(key, "aws:RequestTag/")
	from := s.Keys
	name := key
	switch {
	case strings.EqualFold(key, "sts:ExternalId"):
		return s.ExternalID, s.ExternalID != ""
	case strings.EqualFold(key, "sts:SourceIdentity"):
		return s.SourceIdentity, s.SourceIdentity != ""
	case isClaim && s.web():
		from, name = s.Claims, claim
	case isTag:
		from, name = s.Tags, tag
	}
	for k, v := range from {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// condition says what a condition wants and what the request has.
func (s *side) condition(c iam.Condition) string {
	wants := fmt.Sprintf("wants %s of %s to be %s", c.Name(), c.Key, listed(quoted(c.Values)))
	value, present := s.sent(c.Key)
	what := "the request has no such key"
	_, ours := cutPrefixFold(c.Key, providerHost(s.caller.String())+":")
	switch suffix := c.Key[strings.LastIndexByte(c.Key, ':')+1:]; {
	case present:
		what = fmt.Sprintf("it is %q", clipped(value))
		if d := nearest(c, value); d != "" {
			what += ": " + d
		}
		if strings.HasPrefix(c.Operator, "StringEquals") && slices.ContainsFunc(c.Values, func(v string) bool { return strings.ContainsAny(v, "*?") }) {
			what += "; in StringEquals a star is a star: a pattern needs StringLike"
		}
	case strings.EqualFold(c.Key, "sts:ExternalId"):
		what = "no external id is sent"
	case s.web() && !ours && slices.Contains([]string{"aud", "sub", "amr"}, suffix):
		what = fmt.Sprintf("the keys of this provider's tokens begin with %s:", providerHost(s.caller.String()))
	case s.web() && ours:
		what = "the token has no such claim, as far as it was told"
	}
	return wants + ", and " + what
}

// nearest compares what is sent with the first of the condition's values that is near it.
func nearest(c iam.Condition, sent string) string {
	if strings.Contains(c.Operator, "Not") {
		return ""
	}
	for _, v := range c.Values {
		if d := Difference(v, sent); d != "" {
			return d
		}
	}
	return ""
}

func quoted(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("%q", clipped(v))
	}
	return out
}

// Difference says, letter by letter, in what a value that is sent differs from the one that is wanted, when they are near
// one another: blanks, quotation marks, letter case, a letter more, less or other. It is "" when they are the same, or too
// far apart for that to help.
func Difference(want, sent string) string {
	switch {
	case want == sent || want == "" || sent == "":
		return ""
	case strings.TrimSpace(sent) == want:
		return "what is sent has white space " + around(sent)
	case strings.TrimSpace(want) == sent:
		return "what is wanted has white space " + around(want)
	case strings.Trim(sent, "\"'") == want:
		return "what is sent stands in quotation marks, which count as letters"
	case strings.Trim(want, "\"'") == sent:
		return "what is wanted stands in quotation marks, which count as letters"
	}
	a, b := []rune(want), []rune(sent)
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	switch {
	case n == len(a) && n == len(b):
		return "one of them holds bytes that are no UTF-8"
	case strings.EqualFold(want, sent):
		return fmt.Sprintf("they differ in letter case, first at letter %d: %q is wanted, %q is sent", n+1, a[n], b[n])
	}
	tail := 0
	for tail < len(a)-n && tail < len(b)-n && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	lost, more := string(a[n:len(a)-tail]), string(b[n:len(b)-tail])
	const few = 4
	longest := max(utf8.RuneCountInString(lost), utf8.RuneCountInString(more))
	switch {
	case n+tail < longest, longest > few && n+tail < 2*longest:
		return "" // they have less in common than what sets them apart
	case lost == "":
		return fmt.Sprintf("what is sent has %s more%s", ascii(more), place(n, len(b)-len([]rune(more))))
	case more == "":
		return fmt.Sprintf("what is sent lacks %s%s", ascii(lost), place(n, len(a)-len([]rune(lost))))
	}
	return fmt.Sprintf("they differ at letter %d: %s is wanted, %s is sent", n+1, ascii(lost), ascii(more))
}

// ascii quotes so that letters that only look alike are told apart.
func ascii(s string) string { return fmt.Sprintf("%+q", s) }

// place says where, by the length of what is the same.
func place(n, same int) string {
	switch n {
	case 0:
		return " at its beginning"
	case same:
		return " at its end"
	}
	return fmt.Sprintf(" after letter %d", n)
}

func around(s string) string {
	before, behind := strings.TrimLeft(s, " \t\r\n") != s, strings.TrimRight(s, " \t\r\n") != s
	switch {
	case before && behind:
		return "at both ends"
	case before:
		return "at its beginning"
	}
	return "at its end"
}
