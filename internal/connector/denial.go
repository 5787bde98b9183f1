package connector

import "strings"

// Denial is what AWS says of a refused call in its own grammar (see the IAM user
// guide's page "Troubleshoot access denied error messages"). Fields that AWS left out are empty.
type Denial struct {
	Principal string // who was refused
	Action    string // svc:Action
	Resource  string // ARN, * or "role NAME"
	Explicit  bool   // a statement denies, rather than none allowing
	Layer     string // identity-based policy, permissions boundary, service control policy, …
	PolicyARN string // of the denying policy
	Encoded   string // encoded authorization failure message
	DetailID  string // authorization id, for GetRequestAuthorizationDetails
}

// ParseDenial reads AWS's sentence about a refused call. It reports false when the text has no such sentence. AWS names
// one kind of policy even when several deny, so the layer is never the whole truth.
func ParseDenial(message string) (Denial, bool) {
	const most = 16 << 10
	if len(message) > most {
		message = message[:most]
	}
	text := strings.Join(strings.Fields(message), " ") // AWS and proxies break lines anywhere
	_, rest, ok := cutFold(text, "is not authorized to perform: ")
	if !ok {
		return Denial{}, false
	}
	var d Denial
	if _, before, found := cutLastFold(text[:len(text)-len(rest)], "User: "); found {
		d.Principal, _, _ = strings.Cut(before, " ")
	}
	d.Action = word(rest)
	rest = strings.TrimPrefix(rest, d.Action)
	d.Action = strings.Trim(d.Action, ".,\"'")
	if d.Action == "" {
		return Denial{}, false
	}
	if _, after, found := cutFold(rest, "Encoded authorization failure message: "); found {
		d.Encoded = strings.TrimRight(word(after), ".")
	}
	if _, after, found := cutFold(rest, "authorization id: "); found {
		d.DetailID = strings.TrimRight(word(after), ".")
	}
	because, denied := "", ""
	if head, after, found := cutFold(rest, " because no "); found {
		because, rest = after, head
	} else if head, after, found := cutFold(rest, " with an explicit deny"); found {
		d.Explicit, denied, rest = true, after, head
	}
	if _, after, found := cutFold(rest, "on resource: "); found {
		d.Resource = resource(after)
	}
	if layer, _, found := cutFold(because, " allows the "); found {
		d.Layer = strings.TrimSpace(layer)
	}
	if layer, found := strings.CutPrefix(denied, " in "); found {
		d.Layer, d.PolicyARN = explicitLayer(layer)
	}
	return d, true
}

// explicitLayer reads "a service control policy: arn:aws:…" and "an identity-based policy. Encoded …".
func explicitLayer(text string) (layer, policyARN string) {
	for _, article := range []string{"an ", "a ", "the "} {
		if after, ok := strings.CutPrefix(text, article); ok {
			text = after
			break
		}
	}
	if head, _, found := strings.Cut(text, ". "); found {
		text = head
	}
	text = strings.TrimRight(text, ". ")
	if head, after, found := strings.Cut(text, ": "); found {
		text, policyARN = head, word(after)
	}
	if text == "sessions policy" { // so AWS writes it in the explicit form
		text = "session policy"
	}
	return text, policyARN
}

// resource reads what follows "on resource: ": a bare ARN, one in quotes, *, or "role NAME".
func resource(text string) string {
	if after, quoted := strings.CutPrefix(text, `"`); quoted {
		inside, _, _ := strings.Cut(after, `"`)
		return inside
	}
	w := word(text)
	if w == "role" || w == "user" || w == "group" {
		w += " " + word(strings.TrimPrefix(text, w+" "))
	}
	return strings.TrimRight(w, ".")
}

func word(text string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return w
}

func cutFold(text, sep string) (before, after string, found bool) {
	i := indexFold(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

func cutLastFold(text, sep string) (before, after string, found bool) {
	before, after, found = "", text, false
	for {
		head, tail, more := cutFold(after, sep)
		if !more {
			return before, after, found
		}
		before, after, found = before+head, tail, true
	}
}

// indexFold finds sep, which is ASCII, without regard to the case of ASCII letters. It compares bytes, so that lengths
// never differ between what is found and what is cut.
func indexFold(text, sep string) int {
	for i := 0; i+len(sep) <= len(text); i++ {
		if equalFoldASCII(text[i:i+len(sep)], sep) {
			return i
		}
	}
	return -1
}

func equalFoldASCII(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
