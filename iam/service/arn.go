package service

import (
	"slices"
	"strings"
)

// Matches says whether an ARN is of this type: whether it has one of the type's forms. It is read literally, a star in it
// is a star. In the part after the account a variable of a form stands for at least one letter other than slash and
// colon, unless AWS lets its values hold them, as an S3 key does: so an object's ARN is not taken for a bucket's. The ARN
// of a log group may end in ":*", as AWS writes it.
func (t *ResourceType) Matches(arn string) bool {
	for _, form := range t.ARNs {
		if fits(form, arn, false) {
			return true
		}
	}
	return false
}

// Overlaps says whether a Resource of a policy, with * for any letters and ? for one, can name a resource of this type:
// whether there is an ARN that both stand for. As in identity policies, parts that the pattern lacks stand for anything.
func (t *ResourceType) Overlaps(pattern string) bool {
	for _, form := range t.ARNs {
		if fits(form, pattern, true) {
			return true
		}
	}
	return false
}

// fixed is how many letters the longest form that matches an ARN has outside its variables.
func (t *ResourceType) fixed(arn string) int {
	most := 0
	for _, form := range t.ARNs {
		if !fits(form, arn, false) {
			continue
		}
		n := 0
		for rest := form; rest != ""; {
			_, size, is := variable(rest)
			if !is {
				n++
			}
			rest = rest[size:]
		}
		most = max(most, n)
	}
	return most
}

// fits compares a form with an ARN or a pattern, part by part: no star reaches over one of the first five colons.
func fits(form, text string, wild bool) bool {
	var parts [6]string
	for i := range parts {
		var part string
		part, form, _ = cutPart(form, i)
		have, rest, more := cutPart(text, i)
		if parts[2] != "logs" || i < 5 || !logGroup(part, have, wild) {
			values := func(name string) class { return holds(parts[2], name) }
			if i < 5 {
				values = func(string) class { return inside }
			}
			if !overlap(steps(part, values), have, wild) {
				return false
			}
		}
		parts[i] = part
		if !more && i < 5 {
			// What is missing stands for anything, and no form is empty.
			return wild
		}
		text = rest
	}
	return true
}

// cutPart cuts the next part of an ARN: up to a colon, or all that is left for the last of six.
func cutPart(text string, i int) (part, rest string, more bool) {
	if i == 5 {
		return text, "", false
	}
	return strings.Cut(text, ":")
}

// logGroup says whether text is that of a log group with the star that AWS puts behind it.
func logGroup(form, text string, wild bool) bool {
	text, star := strings.CutSuffix(text, ":*")
	return star && overlap(steps(form, func(name string) class { return holds("logs", name) }), text, wild)
}

// step is one position of a form: a letter, or what a variable may hold there.
type step struct {
	letter byte // of a literal
	class  class
	repeat bool // none or more of them, instead of one
}

// class is what a variable may hold.
type class byte

const (
	literal class = iota // not a variable
	inside               // anything but slash and colon
	slashes              // anything but a colon
	anything
)

func (s step) takes(c byte) bool {
	switch s.class {
	case inside:
		return c != '/' && c != ':'
	case slashes:
		return c != ':'
	case anything:
		return true
	default:
		return s.letter == c
	}
}

// steps reads a part of a form. A variable is one of its letters and then more of them; a star is any letters.
func steps(form string, values func(name string) class) []step {
	all := make([]step, 0, len(form))
	for form != "" {
		name, size, is := variable(form)
		switch {
		case is:
			c := values(name)
			all = append(all, step{class: c}, step{class: c, repeat: true})
		case form[0] == '*':
			all = append(all, step{class: anything, repeat: true})
		default:
			all = append(all, step{letter: form[0]})
		}
		form = form[size:]
	}
	return all
}

// variable reads what a text begins with: a variable as ${Name}, {Name} or <Name>, or else one letter.
func variable(text string) (name string, size int, is bool) {
	var open int
	closing := byte('}')
	switch {
	case strings.HasPrefix(text, "${"):
		open = 2
	case text[0] == '{':
		open = 1
	case text[0] == '<':
		open, closing = 1, '>'
	default:
		return "", 1, false
	}
	end := strings.IndexByte(text, closing)
	if end < 0 {
		return "", 1, false
	}
	return text[open:end], end + 1, true
}

// holds says what the values of a variable may hold, by the naming rules of the services.
func holds(service, name string) class {
	switch service + ":" + name {
	case "s3:ObjectName", "s3-outposts:ObjectName", // a key is any text
		"cloudwatch:AlarmName", "iot:TopicName", "iot:TopicFilter", "apigateway:UrlEncodedResourceARN":
		return anything
	case "logs:LogGroupName", "logs:LogStreamName", // /aws/lambda/name, 2026/11/26/[$LATEST]0a1b
		"secretsmanager:SecretId",
		"ssm:ParameterNameWithoutLeadingSlash", "ssm:ResourceId", // of a service setting
		"ecr:RepositoryName", "ecr-public:RepositoryName",
		"kms:Alias", // alias/aws/s3
		"iam:OidcProviderName", "iam:RoleName",
		"events:EventBusName", "events:EventSourceName", // aws.partner/example.com/name
		"autoscaling:GroupFriendlyName", "autoscaling:LaunchConfigurationName":
		return slashes
	}
	if strings.HasSuffix(name, "Path") || strings.HasSuffix(name, "Uri") {
		return anything
	}
	return inside
}

// overlap says whether there is a text that the steps lead through and the pattern stands for. Without wild the pattern
// is itself that text. The time is the product of the lengths at most.
func overlap(form []step, pattern string, wild bool) bool {
	// What begins with letters on both sides is settled without the table.
	for len(form) > 0 && pattern != "" && form[0].class == literal && (!wild || pattern[0] != '*' && pattern[0] != '?') {
		if form[0].letter != pattern[0] {
			return false
		}
		form, pattern = form[1:], pattern[1:]
	}
	// below[j] says whether the steps after this one and the pattern from j on have a text in common; row is for this
	// step and those after it.
	below, row := make([]bool, len(pattern)+1), make([]bool, len(pattern)+1)
	below[len(pattern)] = true
	for j := len(pattern) - 1; j >= 0; j-- {
		below[j] = wild && pattern[j] == '*' && below[j+1]
	}
	for _, s := range slices.Backward(form) {
		row[len(pattern)] = s.repeat && below[len(pattern)]
		for j := len(pattern) - 1; j >= 0; j-- {
			star, one := wild && pattern[j] == '*', wild && pattern[j] == '?'
			taken := one || s.takes(pattern[j])
			switch {
			case star: // it goes on beyond this step, or ends before it
				row[j] = below[j] || row[j+1]
			case s.repeat:
				row[j] = below[j] || taken && row[j+1]
			default:
				row[j] = taken && below[j+1]
			}
		}
		below, row = row, below
	}
	return below[0]
}
