package catalogue

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/belay-dev/belay/iam"
)

// Connection is the id of the capability that every connection needs. For adds it.
const Connection = "connection"

// Holder is whose role a capability's policies belong to.
type Holder string

// The holders.
const (
	Connector Holder = "connector" // the role or user that a connector has credentials for
	Function  Holder = "function"  // the execution role of a Lambda function
	Node      Holder = "node"      // the role of an EKS worker node
	Pod       Holder = "pod"       // the pod execution role of a Fargate profile
)

// Kind is where a policy lives.
type Kind string

// The kinds.
const (
	AWSManaged      Kind = "aws-managed"      // kept by AWS under an ARN, and changed by it
	CustomerManaged Kind = "customer-managed" // to be made in the account
	Trust           Kind = "trust"            // says who may assume the role
	ResourceBased   Kind = "resource"         // attached to a bucket or function
)

// Capability is something that a connection is used for, with all that it needs.
type Capability struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Use    string `json:"use"` // what it is for, a sentence
	Holder Holder `json:"holder"`

	Policies []Policy `json:"policies"`           // attached to the holder
	Trust    []Policy `json:"trust,omitempty"`    // of the holder's role; each is one choice
	Resource []Policy `json:"resource,omitempty"` // attached to the resource

	Notes []string `json:"notes,omitempty"` // what to know before using it, sentences
}

// Policy is one policy of the catalogue.
type Policy struct {
	ID    string `json:"id"` // of an AWS-managed policy its name
	Kind  Kind   `json:"kind"`
	Title string `json:"title"`
	ARN   string `json:"arn,omitempty"` // of an AWS-managed policy, in the partition aws

	// Document is nil where the pages name an AWS-managed policy without printing it. What they print of one may be an
	// older version than the one that AWS attaches today.
	Document *iam.Document `json:"document,omitempty"`
	// Placeholders are texts in Document that stand for the user's, each with the kind of thing that it stands for.
	Placeholders map[string]string `json:"placeholders,omitempty"`

	// Mended says what is different from the page and why.
	Mended     []string      `json:"mended,omitempty"`
	AsWritten  *iam.Document `json:"asWritten,omitempty"`  // what the page prints, where Document differs in more than what stands around it
	WrittenARN string        `json:"writtenArn,omitempty"` // the ARN of the page where ARN differs

	// Ours is true where no page prints the document: it was written for this catalogue from what the page says in words.
	Ours     bool       `json:"ours,omitempty"`
	Printed  []Citation `json:"printed,omitempty"`  // where pages print it
	Mentions []Citation `json:"mentions,omitempty"` // where pages ask for it in words or by name
}

// Citation is a place in a source.
type Citation struct {
	Source  string `json:"source"` // the id of a Source
	Section string `json:"section"`
	Lines   string `json:"lines,omitempty"` // first and last, from 1: 51-64
}

// Source is a page that the catalogue was made from.
type Source struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Publisher string `json:"publisher"`
}

// Capabilities are all that there is, related ones beside each other.
func Capabilities() []Capability { return slices.Clone(load().capabilities) }

// Find is the capability of that id.
func Find(id string) (Capability, bool) {
	all := load().capabilities
	i := slices.IndexFunc(all, func(c Capability) bool { return c.ID == id })
	if i < 0 {
		return Capability{}, false
	}
	return all[i], true
}

// Policies are all policies of the catalogue, each once.
func Policies() []Policy { return slices.Clone(load().policies) }

// Sources are the pages that the catalogue was made from.
func Sources() []Source { return slices.Clone(load().sources) }

//go:embed data
var data embed.FS

// catalogue is the data, read and linked.
type catalogue struct {
	sources      []Source
	policies     []Policy
	capabilities []Capability
}

// load reads the data on first use. That it is well formed is what the tests see to; a program that carries data that
// cannot be read is broken in a way that no caller could handle.
var load = sync.OnceValue(func() catalogue { //nolint:gochecknoglobals // embedded data, read once
	c, err := read()
	if err != nil {
		panic("the embedded catalogue is broken: " + err.Error())
	}
	return c
})

// index is the file that says what the documents are for.
type index struct {
	Sources  []Source `json:"sources"`
	Policies []struct {
		Policy

		DocumentFile  string `json:"documentFile"`
		AsWrittenFile string `json:"asWrittenFile"`
	} `json:"policies"`
	Capabilities []struct {
		Capability

		Policies []string `json:"policies"`
		Trust    []string `json:"trust"`
		Resource []string `json:"resource"`
	} `json:"capabilities"`
}

func read() (c catalogue, err error) {
	text, err := data.ReadFile("data/index.json")
	if err != nil {
		return c, err
	}
	var in index
	if err := json.Unmarshal(text, &in); err != nil { //nolint:musttag // the documents stand in files of their own
		return c, err
	}
	c.sources = in.Sources
	for _, entry := range in.Policies {
		p := entry.Policy
		var errDoc, errWritten error
		p.Document, errDoc = document(entry.DocumentFile)
		p.AsWritten, errWritten = document(entry.AsWrittenFile)
		if err := errors.Join(errDoc, errWritten); err != nil {
			return c, err
		}
		c.policies = append(c.policies, p)
	}
	for _, entry := range in.Capabilities {
		one := entry.Capability
		var errs [3]error
		one.Policies, errs[0] = c.named(entry.Policies)
		one.Trust, errs[1] = c.named(entry.Trust)
		one.Resource, errs[2] = c.named(entry.Resource)
		if err := errors.Join(errs[:]...); err != nil {
			return c, fmt.Errorf("%s: %w", one.ID, err)
		}
		c.capabilities = append(c.capabilities, one)
	}
	return c, nil
}

func document(file string) (*iam.Document, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // most policies lack one or the other
	}
	text, err := data.ReadFile("data/" + file)
	if err != nil {
		return nil, err
	}
	d, err := iam.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

func (c *catalogue) named(ids []string) ([]Policy, error) {
	var all []Policy
	for _, id := range ids {
		i := slices.IndexFunc(c.policies, func(p Policy) bool { return p.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("there is no policy %q", id)
		}
		all = append(all, c.policies[i])
	}
	return all, nil
}
