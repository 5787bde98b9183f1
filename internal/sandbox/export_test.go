package sandbox

import (
	"net/http"
	"time"
)

// ParseSignature reads the proof of a request, and gives back what it found of it.
func ParseSignature(r *http.Request) (keyID string, at time.Time, err error) {
	s, err := parseSignature(r)
	return s.KeyID, s.At, err
}

// CanonicalQuery is what is signed of a query.
func CanonicalQuery(raw string) string { return canonicalQuery(raw) }

// ParseForm reads a form and its lists.
func ParseForm(raw, list string) (items []string, structs int, err error) {
	p, err := parseParams(raw)
	return p.list(list), len(p.structs(list)), err
}

// AccountOfKey is the account that a key id holds.
func AccountOfKey(id string) (string, bool) { return accountOfKey(id) }

// NewKeyID makes a key id.
func NewKeyID(account string) string { return accessKeyID("AKIA", account) }

// Needs is a permission that a call which is passed on needs.
type Needs struct{ Operation, Action, Resource string }

// Table is everything that the tables of --forward can ask for, with the values of fields put in.
func Table(fields map[string]any) []Needs {
	var out []Needs
	for _, service := range []string{"ecs", "ecr", "lambda", "eks", "cloudformation"} {
		for _, r := range rules(service) {
			for _, p := range r.permissions("aws", "eu-west-1", "111111111111", fields) {
				out = append(out, Needs{r.operation, p.action, p.resource})
			}
		}
	}
	for how, action := range s3Bucket {
		out = append(out, Needs{how, action, "arn:aws:s3:::bucket"})
	}
	for how, action := range s3Object {
		out = append(out, Needs{how, action, "arn:aws:s3:::bucket/key"})
	}
	return out
}

// S3Needs are the permissions of a call of S3.
func S3Needs(r *http.Request) ([]Needs, error) {
	all, err := s3Permissions(r)
	var out []Needs
	for _, p := range all {
		out = append(out, Needs{"", p.action, p.resource})
	}
	return out, err
}

// RESTNeeds are the permissions of a REST call, or none when the tables lack it.
func RESTNeeds(service, method, path string, body map[string]any) []Needs {
	r, ok := routed(service, method, path, body)
	if !ok {
		return nil
	}
	var out []Needs
	for _, p := range r.permissions("aws", "eu-west-1", "111111111111", body) {
		out = append(out, Needs{r.operation, p.action, p.resource})
	}
	return out
}

// CallNeeds are the permissions of a call by its name.
func CallNeeds(service, operation string, fields map[string]any) []Needs {
	var out []Needs
	for _, r := range rules(service) {
		if r.operation == operation {
			for _, p := range r.permissions("aws", "eu-west-1", "111111111111", fields) {
				out = append(out, Needs{r.operation, p.action, p.resource})
			}
		}
	}
	return out
}
