package service

import (
	_ "embed" // the table
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed data/managed.gz
var managed string

// LoadManaged gives the AWS managed policies. The first call unpacks them, which takes some ten milliseconds and three
// megabytes; an error says that the program was built from a damaged table.
func LoadManaged() (*Managed, error) { return loadManaged() }

var loadManaged = sync.OnceValues(readManaged) //nolint:gochecknoglobals // read once a process

func readManaged() (*Managed, error) {
	text, err := gunzip(managed)
	if err != nil {
		return nil, err
	}
	return decodeManaged(text)
}

// Managed is the AWS managed policies in their latest versions.
type Managed struct {
	source   string
	policies []entry
}

// entry is a policy as parts of one text.
type entry struct{ name, path, version, document string }

// ManagedPolicy is an AWS managed policy.
type ManagedPolicy struct {
	Name    string // "ReadOnlyAccess"
	Path    string // "/", "/service-role/"
	Version string // "v42"
	// Document is the policy as AWS has it, without white space. It is the caller's own.
	Document json.RawMessage
}

// ARN is the policy's ARN in a partition; "" stands for "aws".
func (p ManagedPolicy) ARN(partition string) string {
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":iam::aws:policy" + p.Path + p.Name
}

// Source says what the policies were taken from: a package and its version.
func (m *Managed) Source() string { return m.source }

// Len is how many policies there are.
func (m *Managed) Len() int { return len(m.policies) }

// All gives every policy, sorted by name.
func (m *Managed) All() iter.Seq[ManagedPolicy] {
	return func(yield func(ManagedPolicy) bool) {
		for _, e := range m.policies {
			if !yield(e.policy()) {
				return
			}
		}
	}
}

// Policy finds a policy by its name, or by its ARN in whatever partition.
func (m *Managed) Policy(nameOrARN string) (ManagedPolicy, bool) {
	name, path, isARN := nameOrARN, "", false
	if rest, ok := strings.CutPrefix(nameOrARN, "arn:"); ok {
		partition, rest, _ := strings.Cut(rest, ":")
		path, isARN = strings.CutPrefix(rest, "iam::aws:policy/")
		if !isARN || partition == "" {
			return ManagedPolicy{}, false
		}
		last := strings.LastIndexByte(path, '/') + 1
		path, name = "/"+path[:last], path[last:]
	}
	i, found := slices.BinarySearchFunc(m.policies, name, func(e entry, name string) int { return compareFold(e.name, name) })
	if !found || isARN && compareFold(path, m.policies[i].path) != 0 {
		return ManagedPolicy{}, false
	}
	return m.policies[i].policy(), true
}

func (e entry) policy() ManagedPolicy {
	return ManagedPolicy{Name: e.name, Path: e.path, Version: e.version, Document: json.RawMessage(e.document)}
}

// decodeManaged reads the table of managed policies: lines of fields between tabs, then the documents in the same order,
// one after the other.
//
//	belay managed policies 1
//	source <package and version>
//	count <policies>
//	p <name> <path> <version> <length of the document in bytes>
func decodeManaged(text string) (*Managed, error) {
	d := decoder{rest: text}
	if d.line() != "belay managed policies 1" {
		return nil, errors.New("the embedded table of managed policies is of another form")
	}
	m := &Managed{source: d.fields(d.line(), "source", 1)[0]}
	m.policies = make([]entry, d.number(d.fields(d.line(), "count", 1)[0], 1<<20))
	lengths := make([]int, len(m.policies))
	for i := range m.policies {
		f := d.fields(d.line(), "p", 4)
		m.policies[i] = entry{name: f[0], path: f[1], version: f[2]}
		lengths[i] = d.number(f[3], len(text))
	}
	for i, n := range lengths {
		if d.err != nil || n > len(d.rest) {
			break
		}
		m.policies[i].document, d.rest = d.rest[:n], d.rest[n:]
	}
	if d.err != nil {
		return nil, d.err
	}
	if d.rest != "" || len(m.policies) == 0 || m.policies[len(m.policies)-1].document == "" {
		return nil, fmt.Errorf("the embedded table of managed policies holds other than the %s that it says", strconv.Itoa(len(m.policies))+" policies")
	}
	return m, nil
}
