package service

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxText bounds what a table unpacks to. The larger one is near 3 MB.
const maxText = 64 << 20

// gunzip unpacks an embedded file. Its last four bytes say how long the text is, so that it is written once.
func gunzip(packed string) (string, error) {
	if len(packed) < 18 {
		return "", errors.New("an embedded table is cut short")
	}
	size := binary.LittleEndian.Uint32([]byte(packed[len(packed)-4:]))
	if size > maxText {
		return "", fmt.Errorf("an embedded table says that it has %d bytes", size)
	}
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return "", fmt.Errorf("unpack an embedded table: %w", err)
	}
	var text strings.Builder
	text.Grow(int(size))
	if _, err := io.Copy(&text, io.LimitReader(r, maxText)); err != nil {
		return "", fmt.Errorf("unpack an embedded table: %w", err)
	}
	return text.String(), nil
}

// decode reads the table of services: lines, in each a letter and fields between tabs. Lists of numbers count the keys
// and types of the same service from 0, between commas.
//
//	belay services 1
//	source <package and version>
//	counts <services> <actions> <resource types> <condition keys>
//	s <prefix> <name> <"rcp" or "-">
//	k <condition key> <type, with a star for several values>
//	t <resource type> <ARNs, between ", "> <keys>
//	a <action> <access level> <keys> <uses, between ";": a type, "!" if required, ":" and keys> <dependent actions>
//
// The keys and types of a service come before its actions. Strings are parts of the text and equal lists are one, which
// is why the whole takes a few megabytes.
func decode(text string) (*Reference, error) {
	d := decoder{rest: text}
	if d.line() != "belay services 1" {
		return nil, errors.New("the embedded table of services is of another form")
	}
	source := d.fields(d.line(), "source", 1)[0]
	counts := d.fields(d.line(), "counts", 4)
	var n [4]int
	for i := range n {
		n[i] = d.number(counts[i], 1<<20)
	}
	if d.err != nil {
		return nil, d.err
	}
	r := &Reference{source: source, services: make([]Service, 0, n[0]), actions: n[1]}
	d.actions, d.types, d.keys = make([]Action, 0, n[1]), make([]ResourceType, 0, n[2]), make([]ConditionKey, 0, n[3])
	for d.rest != "" && d.err == nil {
		r.services = append(r.services, d.service())
	}
	switch {
	case d.err != nil:
		return nil, d.err
	case [4]int{len(r.services), len(d.actions), len(d.types), len(d.keys)} != n:
		return nil, errors.New("the embedded table of services holds another number of things than it says")
	}
	return r, nil
}

// decoder reads lines. Its first error stays, and what is read after it means nothing.
type decoder struct {
	rest string
	err  error
	// found are the fields of the line that is read: a slice for each line would be half of the work
	found [6]string

	// all of the reference; services hold parts of them
	actions []Action
	types   []ResourceType
	keys    []ConditionKey

	// lists of the service that is read, by their text
	names map[string][]string
	uses  map[string][]ResourceUse
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("an embedded table: "+format, args...)
	}
}

func (d *decoder) line() string {
	line, rest, _ := strings.Cut(d.rest, "\n")
	d.rest = rest
	return line
}

// fields are those of a line after its first, which must be tag, until the next call. There are n of them, at most 6,
// also after an error.
func (d *decoder) fields(line, tag string, n int) []string {
	first, rest, more := strings.Cut(line, "\t")
	good := first == tag
	for i := range n {
		good = good && more
		d.found[i], rest, more = strings.Cut(rest, "\t")
	}
	if !good || more {
		d.fail("%q is no line of %s and %d fields", line, tag, n)
	}
	return d.found[:n]
}

// number reads a number that is not negative and at most most; 0 after an error.
func (d *decoder) number(text string, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		d.fail("%q is no number up to %d", text, most)
		return 0
	}
	return n
}

// service reads a service and its parts.
func (d *decoder) service() Service {
	f := d.fields(d.line(), "s", 3)
	s := Service{Prefix: f[0], Name: f[1], RCP: f[2] == "rcp"}
	actions, types, keys := len(d.actions), len(d.types), len(d.keys)
	d.names, d.uses = map[string][]string{"": nil}, map[string][]ResourceUse{"": nil}
	for d.err == nil && d.rest != "" && d.rest[0] != 's' {
		line := d.line()
		switch line[:min(1, len(line))] {
		case "k":
			f := d.fields(line, "k", 2)
			kind, many := strings.CutSuffix(f[1], "*")
			d.keys = append(d.keys, ConditionKey{Name: f[0], Type: KeyType(kind), Multivalued: many})
		case "t":
			if len(d.types) == cap(d.types) {
				d.fail("it holds more resource types than it says") // growing would move those that actions point to
				break
			}
			f := d.fields(line, "t", 3)
			d.types = append(d.types, ResourceType{Name: f[0], ARNs: strings.Split(f[1], ", "), ConditionKeys: d.keyNames(d.keys[keys:], f[2])})
		case "a":
			f := d.fields(line, "a", 5)
			a := Action{Service: s.Prefix, Name: f[0], Access: Access(f[1]), ConditionKeys: d.keyNames(d.keys[keys:], f[2])}
			a.Resources = d.resources(d.types[types:], d.keys[keys:], f[3])
			if f[4] != "" {
				a.DependentActions = strings.Split(f[4], ",")
			}
			d.actions = append(d.actions, a)
		default:
			d.fail("%q begins with no letter that is known", line)
		}
	}
	// Full slices, so that nobody can append into the next service.
	s.Actions = d.actions[actions:len(d.actions):len(d.actions)]
	s.ResourceTypes = d.types[types:len(d.types):len(d.types)]
	s.ConditionKeys = d.keys[keys:len(d.keys):len(d.keys)]
	return s
}

// keyNames are the names of keys by their numbers.
func (d *decoder) keyNames(keys []ConditionKey, text string) []string {
	if all, known := d.names[text]; known {
		return all
	}
	all := make([]string, 0, strings.Count(text, ",")+1)
	for number := range strings.SplitSeq(text, ",") {
		if i := d.number(number, len(keys)-1); d.err == nil {
			all = append(all, keys[i].Name)
		}
	}
	d.names[text] = all
	return all
}

// resources are uses of types.
func (d *decoder) resources(types []ResourceType, keys []ConditionKey, text string) []ResourceUse {
	if all, known := d.uses[text]; known {
		return all
	}
	all := make([]ResourceUse, 0, strings.Count(text, ";")+1)
	for use := range strings.SplitSeq(text, ";") {
		number, names, _ := strings.Cut(use, ":")
		number, required := strings.CutSuffix(number, "!")
		if i := d.number(number, len(types)-1); d.err == nil {
			all = append(all, ResourceUse{Type: &types[i], Required: required, ConditionKeys: d.keyNames(keys, names)})
		}
	}
	d.uses[text] = all
	return all
}
