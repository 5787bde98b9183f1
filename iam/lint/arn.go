package lint

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/belay-dev/belay/iam/service"
)

// segments are how many parts of an ARN colons separate.
const segments = 6

// partitions are all partitions of AWS.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var partitions = [...]string{ //nolint:gochecknoglobals // a table
	"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc",
}

// variables are the names of the policy variables in a text. ${*}, ${?} and ${$} are characters and no variables.
func variables(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, rest, found := strings.Cut(text, "${")
			inside, after, closed := strings.Cut(rest, "}")
			if !found || !closed {
				return
			}
			name, _, _ := strings.Cut(inside, ",")
			if name = strings.TrimSpace(name); name != "*" && name != "?" && name != "$" && !yield(name) {
				return
			}
			text = after
		}
	}
}

// plainARN is a resource with a star for what is not known: its variables, and text that is filled in later.
func plainARN(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		inside, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			b.WriteString(text)
			break
		}
		b.WriteString(before)
		switch inside {
		case "$":
			b.WriteByte('$')
		default: // a star for "*" and "?", too: their own characters are in no ARN
			b.WriteByte('*')
		}
		text = after
	}
	return strings.ReplaceAll(b.String(), Unknown, "*")
}

// owned is an ARN with a star for an account that is left empty while the Region is not, as it is in the ARNs of what AWS
// itself owns: arn:aws:ssm:eu-central-1::document/AWS-RunShellScript.
func owned(arn string) string {
	parts := strings.SplitN(arn, ":", segments)
	if len(parts) == segments && parts[3] != "" && parts[4] == "" {
		parts[4] = "*"
	}
	return strings.Join(parts, ":")
}

// unknownHead tells resources of which so much is not known that their type is not, either.
func unknownHead(resource string) bool {
	if known(resource) {
		return false
	}
	parts := strings.SplitN(resource, ":", segments)
	return len(parts) < segments || !known(parts[2]) || parts[5] == Unknown
}

// resource looks at the form of one resource and reports whether something is wrong with it.
func (l *linter) resource(i int) bool {
	text := l.statement.Resource.Values[i]
	if unbounded(text) {
		return false
	}
	where := value(&l.statement.Resource, "Resource", i)
	parts := strings.SplitN(plainARN(text), ":", segments)
	switch {
	case strings.TrimSpace(text) != text || strings.ContainsAny(text, "\t\r\n"):
		l.report("BLP-303", where, fmt.Sprintf("%s begins or ends with white space, which is part of it: it matches no resource.", show(text)), fmt.Sprintf("Write %q.", strings.TrimSpace(text)))
		return true
	case len(parts) < segments && strings.Contains(text, "*") && (parts[0] == "arn" || strings.HasPrefix(text, "*")):
		return l.short(where, text, parts)
	case len(parts) < segments || parts[0] != "arn" && !wild(parts[0]):
		l.report("BLP-303", where, fmt.Sprintf("%s is no ARN: an ARN has six parts between colons, arn:partition:service:region:account:resource, and AWS refuses anything else but \"*\".", show(text)), arnFix(text, parts))
		return true
	case parts[5] == "":
		l.report("BLP-303", where, fmt.Sprintf("%s ends before the resource, so it matches nothing.", show(text)), "Name the resource behind the last colon, or say \"*\" there.")
		return true
	}
	return l.parts(where, text, parts)
}

// short looks at an ARN that ends early with a star, which AWS fills up in identity policies: arn:aws:s3* is all of S3.
func (l *linter) short(where at, text string, parts []string) bool {
	if strings.HasSuffix(text, "*") {
		return false
	}
	l.report("BLP-303", where, fmt.Sprintf("%s has %d of the six parts of an ARN; what it matches is hard to tell.", show(text), len(parts)), "Write all six parts: arn:partition:service:region:account:resource.")
	return true
}

func arnFix(text string, parts []string) string {
	switch {
	case strings.HasPrefix(text, "arn:aws:s3:") && len(parts) > 3:
		return fmt.Sprintf("Write %q.", "arn:aws:s3:::"+parts[len(parts)-1])
	case !strings.ContainsAny(text, ":/") && !wild(text):
		return fmt.Sprintf("Write the whole ARN, such as \"arn:aws:s3:::%s\" for a bucket.", text)
	}
	return "Write the whole ARN; an empty part keeps its colon, as in arn:aws:s3:::bucket."
}

func (l *linter) parts(where at, text string, parts []string) bool {
	bad := false
	if p := parts[1]; !wild(p) && !slices.Contains(partitions[:], p) {
		bad = true
		l.report("BLP-304", where, fmt.Sprintf("There is no partition %s in %s; the ARN matches nothing.", show(p), show(text)), "Say aws, or aws-cn in China and aws-us-gov in GovCloud.")
	}
	if a := parts[4]; a != "" && !wild(a) && !isAccount(a) && !slices.Contains(sharedOwners[:], a) {
		bad = true
		l.report("BLP-305", where, fmt.Sprintf("The account %s in %s is not of twelve digits; the ARN matches nothing.", show(a), show(text)), "Write the account's twelve digits, with leading zeros and without hyphens.")
	}
	s, ok := l.serviceOfARN(parts[2])
	if bad || !ok {
		return bad
	}
	return l.form(where, text, parts, s)
}

// sharedOwners stand in the place of an account where AWS owns a resource that it shares.
var sharedOwners = [...]string{ //nolint:gochecknoglobals // a table
	"aws", "cloudfront", "amazon", "aws-managed", "aws-marketplace", "managed", "system", "public",
}

// form compares an ARN with the forms that AWS's reference has for its service.
func (l *linter) form(where at, text string, parts []string, services []service.Service) bool {
	overlaps := func(parts []string) bool { return ofForm(services, strings.Join(parts, ":")) }
	arn := strings.Join(parts, ":")
	if ofForm(services, arn) || ofForm(services, owned(arn)) || parts[2] == "apigateway" { // whose resources are paths of requests
		return false
	}
	bare := slices.Clone(parts)
	for _, global := range []struct {
		segments []int
		name     string
	}{{[]int{3}, "Region"}, {[]int{4}, "account"}, {[]int{3, 4}, "Region and account"}} {
		copy(bare, parts)
		for _, i := range global.segments {
			bare[i] = ""
		}
		if !slices.Equal(bare, parts) && overlaps(bare) {
			l.report("BLP-306", where, fmt.Sprintf("ARNs of this type have no %s, and %s has one, so it matches nothing.", global.name, show(text)), fmt.Sprintf("Write %q.", strings.Join(bare, ":")))
			return true
		}
	}
	copy(bare, parts)
	for _, i := range []int{3, 4} {
		if bare[i] == "" {
			bare[i] = "*"
		}
	}
	if overlaps(bare) {
		l.report("BLP-307", where, fmt.Sprintf("ARNs of this type name a Region and an account, and %s leaves one empty; an empty part matches an empty part only.", show(text)), fmt.Sprintf("Write %q, or name them.", strings.Join(bare, ":")))
		return true
	}
	if slices.ContainsFunc(services, func(s service.Service) bool {
		return slices.ContainsFunc(s.ResourceTypes, func(t service.ResourceType) bool {
			return slices.ContainsFunc(t.ARNs, func(form string) bool { return sameWord(form, arn) })
		})
	}) {
		return false // services put more into their ARNs than the reference says
	}
	l.report("BLP-307", where, fmt.Sprintf("%s has the form of no resource of %s in %s.", show(text), services[0].Name, l.reference.Source()), formFix(services, parts[5]))
	return true
}

// formFix names the form whose first word is spelled nearly as that of a resource, or some that there are.
func formFix(services []service.Service, resource string) string {
	var forms []string
	const shortest = 4 // fewer letters are a coincidence
	near, least, word := "", 3, firstWord(resource)
	for _, s := range services {
		for _, t := range s.ResourceTypes {
			for _, form := range t.ARNs {
				forms = append(forms, form)
				parts := strings.SplitN(form, ":", segments)
				if d := distance(firstWord(parts[len(parts)-1]), word, least); d < least && len(word) >= shortest {
					near, least = form, d
				}
			}
		}
	}
	if near != "" {
		return fmt.Sprintf("Did you mean %s?", near)
	}
	return fmt.Sprintf("Compare it with the forms that there are: %s.", list(forms))
}

// firstWord is what a resource begins with: function of function:name.
func firstWord(resource string) string {
	if i := strings.IndexAny(resource, "/:$*"); i >= 0 {
		return resource[:i]
	}
	return resource
}

// ofForm says whether an ARN has the form of a resource type of one of the services.
func ofForm(services []service.Service, arn string) bool {
	return slices.ContainsFunc(services, func(s service.Service) bool {
		return slices.ContainsFunc(s.ResourceTypes, func(t service.ResourceType) bool { return t.Overlaps(arn) })
	})
}

// sameWord says whether an ARN is of the service of a form and begins its last part with the same word: function:, role/.
func sameWord(form, arn string) bool {
	have, want := strings.SplitN(arn, ":", segments), strings.SplitN(form, ":", segments)
	if len(have) < segments || len(want) < segments || have[2] != want[2] {
		return false
	}
	i := strings.IndexAny(want[5], "/:$")
	return i > 0 && want[5][i] != '$' && strings.HasPrefix(have[5], want[5][:i+1])
}

// serviceOfARN are the services that have resources with this service in their ARNs, which is not always their prefix.
func (l *linter) serviceOfARN(name string) ([]service.Service, bool) {
	all := owners()[name]
	// The service of that prefix first: messages name it.
	if i := slices.IndexFunc(all, func(s service.Service) bool { return s.Prefix == name }); i > 0 {
		all = slices.Concat(all[i:i+1], all[:i], all[i+1:])
	}
	return all, len(all) > 0
}

// owners are the services by what stands for them in ARNs.
var owners = sync.OnceValue(func() map[string][]service.Service { //nolint:gochecknoglobals // made once a process
	all := map[string][]service.Service{}
	reference, err := service.Load()
	if err != nil {
		return all // Document has reported it
	}
	for _, s := range reference.Services() {
		had := map[string]bool{}
		for _, t := range s.ResourceTypes {
			for _, form := range t.ARNs {
				if parts := strings.SplitN(form, ":", segments); len(parts) == segments && !had[parts[2]] {
					had[parts[2]] = true
					all[parts[2]] = append(all[parts[2]], s)
				}
			}
		}
	}
	return all
})

func isAccount(s string) bool {
	return len(s) == 12 && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
