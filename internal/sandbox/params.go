package sandbox

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// params are the parameters of a query operation.
type params url.Values

// parseParams reads a form. Of equal names the first counts.
func parseParams(raw string) (params, error) {
	values, err := url.ParseQuery(raw)
	return params(values), err
}

// has tells an empty parameter from none.
func (p params) has(name string) bool { return len(p[name]) > 0 }

func (p params) text(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// mostMembers bounds the lists of a request; no list of the operations that are served takes as many.
const mostMembers = 1000

// list reads name.member.1, name.member.2 and so on, up to the first that is missing; names reads name.1, as EC2 has it.
func (p params) list(name string) []string { return p.counted(name + ".member.") }

func (p params) names(name string) []string { return p.counted(name + ".") }

func (p params) counted(prefix string) []string {
	var out []string
	for i := 1; i <= mostMembers; i++ {
		v, ok := p[prefix+strconv.Itoa(i)]
		if !ok {
			break
		}
		out = append(out, v[0])
	}
	return out
}

// structs reads a list of structures: for each the parameters below it.
func (p params) structs(name string) []params {
	var out []params
	for i := 1; i <= mostMembers; i++ {
		one := p.below(name + ".member." + strconv.Itoa(i))
		if len(one) == 0 {
			break
		}
		out = append(out, one)
	}
	return out
}

// below are the parameters below a name.
func (p params) below(name string) params {
	out := params{}
	for k, v := range p {
		if rest, ok := strings.CutPrefix(k, name+"."); ok {
			out[rest] = v
		}
	}
	return out
}

func (p params) tags() tags {
	out := tags{}
	for _, one := range p.structs("Tags") {
		out[one.text("Key")] = one.text("Value")
	}
	return out
}

// checks collects what is wrong with a request's parameters.
type checks struct{ problems []string }

// member records that a parameter breaks a constraint of the service's model.
func (c *checks) member(value, name, constraint string) {
	if value != "null" {
		value = "'" + clip(value) + "'"
	}
	// AWS writes names with a small first letter.
	c.problems = append(c.problems, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", value, strings.ToLower(name[:1])+name[1:], constraint))
}

// text checks the length and the form of a parameter, and whether it is there.
func (c *checks) text(p params, name string, least, most int, form *regexp.Regexp) string {
	v := p.text(name)
	if !p.has(name) {
		if least > 0 {
			c.member("null", name, "not be null")
		}
		return ""
	}
	switch n := utf8.RuneCountInString(v); {
	case n < least:
		c.member(v, name, "have length greater than or equal to "+strconv.Itoa(least))
	case n > most:
		c.member(v, name, "have length less than or equal to "+strconv.Itoa(most))
	}
	if form != nil && !form.MatchString(v) {
		c.member(v, name, "satisfy regular expression pattern: "+strings.Trim(form.String(), "^$"))
	}
	return v
}

// optional is text that may be missing.
func (c *checks) optional(p params, name string, least, most int, form *regexp.Regexp) string {
	if !p.has(name) {
		return ""
	}
	return c.text(p, name, least, most, form)
}

// number checks a number; missing, it is otherwise.
func (c *checks) number(p params, name string, least, most, otherwise int) int {
	if !p.has(name) {
		return otherwise
	}
	v := p.text(name)
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		c.member(v, name, "be a number")
	case n < least:
		c.member(v, name, "have value greater than or equal to "+strconv.Itoa(least))
	case n > most:
		c.member(v, name, "have value less than or equal to "+strconv.Itoa(most))
	}
	return n
}

// oneOf checks a word; missing, it is otherwise.
func (c *checks) oneOf(p params, name, otherwise string, words ...string) string {
	v := p.text(name)
	if !p.has(name) && otherwise != "" {
		return otherwise
	}
	if !slices.Contains(words, v) {
		c.member(v, name, "satisfy enum value set: ["+strings.Join(words, ", ")+"]")
	}
	return v
}

// err is all that is wrong as one failure, or nil.
func (c *checks) err() *failure {
	switch n := len(c.problems); n {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", c.problems[0])
	default:
		return invalid("%d validation errors detected: %s", n, strings.Join(c.problems, "; "))
	}
}
