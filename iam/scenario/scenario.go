// Package scenario reads and runs files of IAM questions in the format belay.iam-scenario/v1: "may this principal do this
// to this resource, given these policies and this context?", each with the answer that is expected, if one is.
//
// A file is read strictly: an unknown field anywhere in the envelope is an error, so that a typing error never drops a
// policy. What is wrong inside a policy document makes its scenario an error; the others are decided all the same.
package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// Format is the only value of a file's format field, ResultFormat that of a result.
const (
	Format       = "belay.iam-scenario/v1"
	ResultFormat = "belay.iam-result/v1"
)

// File is a scenario file.
type File struct {
	Format    string     `json:"format"`
	Source    string     `json:"source,omitempty"`
	Scenarios []Scenario `json:"scenarios"`
}

// Scenario is one question.
type Scenario struct {
	ID                      string       `json:"id"`
	Name                    string       `json:"name,omitempty"`
	Features                []string     `json:"features,omitempty"`
	Mode                    string       `json:"mode,omitempty"` // strict (also when empty) or discover
	Request                 Request      `json:"request"`
	IdentityPolicies        []Policy     `json:"identityPolicies,omitempty"`
	ResourcePolicy          *Policy      `json:"resourcePolicy,omitempty"`
	PermissionBoundary      *[]Policy    `json:"permissionBoundary,omitempty"` // absent and empty differ
	SessionPolicies         *[]Policy    `json:"sessionPolicies,omitempty"`
	ServiceControlPolicies  []Level      `json:"serviceControlPolicies,omitempty"`
	ResourceControlPolicies []Level      `json:"resourceControlPolicies,omitempty"`
	VPCEndpointPolicies     *[]Policy    `json:"vpcEndpointPolicies,omitempty"`
	Settings                Settings     `json:"settings,omitzero"`
	ContextKnowledge        []Knowledge  `json:"contextKnowledge,omitempty"`
	NeedsServiceData        bool         `json:"needsServiceData,omitempty"`
	Expect                  *Expectation `json:"expect,omitempty"`
}

// Policy is a document under a name. The document stays text until the scenario runs.
type Policy struct {
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
}

// Level is a level of an organization.
type Level struct {
	Level    string   `json:"level"`
	Policies []Policy `json:"policies"`
}

// Request is what is asked for.
type Request struct {
	Principal    Principal        `json:"principal"`
	Action       string           `json:"action"`
	Resource     Resource         `json:"resource"`
	Resourceless bool             `json:"resourceless,omitempty"`
	Context      map[string]Value `json:"context,omitempty"`
}

// Principal is the caller: type aws with arn and, for a session, roleArn; service with service; federated with id;
// anonymous.
type Principal struct {
	Type    string `json:"type"`
	ARN     string `json:"arn,omitempty"`
	RoleARN string `json:"roleArn,omitempty"`
	Service string `json:"service,omitempty"`
	ID      string `json:"id,omitempty"`
}

// Resource is what is acted on, and the account that owns it.
type Resource struct {
	ARN     string `json:"arn"`
	Account string `json:"account,omitempty"`
}

// Value is a context value: a string, or an array of strings for a key of several values.
type Value struct {
	Single string
	List   []string
	Multi  bool
}

// UnmarshalJSON reads a string or an array of strings.
func (v *Value) UnmarshalJSON(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '[' {
		v.Multi = true
		return json.Unmarshal(text, &v.List)
	}
	if len(text) == 0 || text[0] != '"' {
		return errors.New("a context value is a string or an array of strings")
	}
	return json.Unmarshal(text, &v.Single)
}

// MarshalJSON writes it in the same form.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Multi {
		return json.Marshal(append([]string{}, v.List...)) // an empty list is none, not null
	}
	return json.Marshal(v.Single)
}

// Settings are the resource's settings that bear on a decision.
type Settings struct {
	BucketABAC            bool `json:"s3.bucketAbac,omitempty"`
	RestrictPublicBuckets bool `json:"s3.restrictPublicBuckets,omitempty"`
}

// Knowledge says what is certain of a key in mode discover.
type Knowledge struct {
	Key           string `json:"key"`
	PresenceKnown bool   `json:"presenceKnown,omitempty"`
	ValueKnown    bool   `json:"valueKnown,omitempty"`
}

// Expectation is the answer that is expected. BlockedBy is compared when it is there, in any order.
type Expectation struct {
	Decision  iam.Decision `json:"decision"`
	BlockedBy *[]iam.Layer `json:"blockedBy,omitempty"`
}

// Parse reads a file and reports all that is wrong with it at once.
func Parse(text []byte) (*File, error) {
	var f File
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("this is no scenario file: %w", located(text, d, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("this is no scenario file: something stands behind its end")
	}
	return &f, f.Validate()
}

// located adds the line to an error of encoding/json.
func located(text []byte, d *json.Decoder, err error) error {
	offset := d.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	}
	line := 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
	return fmt.Errorf("near line %d: %s", line, strings.TrimPrefix(err.Error(), "json: "))
}

// Validate reports all that is wrong with the envelope of a file that was made in code; Parse does so by itself.
func (f *File) Validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if f.Format != Format {
		report("format is %q, want %q", f.Format, Format)
	}
	if f.Scenarios == nil {
		report("scenarios is missing")
	}
	ids := map[string]bool{}
	for i := range f.Scenarios {
		s := &f.Scenarios[i]
		name := s.ID
		switch {
		case s.ID == "":
			name = fmt.Sprintf("scenarios[%d]", i)
			report("%s: id is missing", name)
		case ids[s.ID]:
			report("%s: the id is there twice", name)
		}
		ids[s.ID] = true
		s.validate(func(format string, args ...any) { report("%s: "+format, append([]any{name}, args...)...) })
	}
	return errors.Join(problems...)
}

func (s *Scenario) validate(report func(format string, args ...any)) {
	if s.Mode != "" && s.Mode != "strict" && s.Mode != "discover" {
		report("mode is strict or discover, not %q", s.Mode)
	}
	if s.ContextKnowledge != nil && s.Mode != "discover" {
		report("contextKnowledge goes with mode discover only")
	}
	if _, err := s.Request.Principal.domain(); err != nil {
		report("request.principal: %v", err)
	}
	if service, name, ok := strings.Cut(s.Request.Action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(s.Request.Action, "*? \t") {
		report("request.action is one action, such as s3:GetObject, not %q", s.Request.Action)
	}
	if s.Request.Resource.ARN == "" {
		report(`request.resource.arn is missing; for an action without a resource it is "*"`)
	}
	if e := s.Expect; e != nil {
		if !slices.Contains([]iam.Decision{iam.Allowed, iam.ImplicitlyDenied, iam.ExplicitlyDenied}, e.Decision) {
			report("expect.decision is Allowed, ImplicitlyDenied or ExplicitlyDenied, not %q", e.Decision)
		}
		if e.BlockedBy != nil {
			for _, l := range *e.BlockedBy {
				if !slices.Contains(layers, l) {
					report("expect.blockedBy has no layer %q", l)
				}
			}
		}
	}
}

// layers are those that can block.
var layers = []iam.Layer{ //nolint:gochecknoglobals // a table
	iam.LayerSCP, iam.LayerRCP, iam.LayerBoundary, iam.LayerEndpoint, iam.LayerIdentity, iam.LayerResource, iam.LayerPublicBuckets,
}

func (p Principal) domain() (iam.Principal, error) {
	switch p.Type {
	case "aws":
		one, err := iam.ParsePrincipal(p.ARN)
		if err == nil && p.RoleARN != "" {
			return one.WithRole(p.RoleARN)
		}
		return one, err
	case "service":
		if p.Service == "" {
			return iam.Principal{}, errors.New("service is missing")
		}
		return iam.ServicePrincipal(p.Service), nil
	case "federated":
		if p.ID == "" {
			return iam.Principal{}, errors.New("id is missing")
		}
		return iam.FederatedPrincipal(p.ID), nil
	case "anonymous":
		return iam.Anonymous(), nil
	}
	return iam.Principal{}, fmt.Errorf("type is aws, service, federated or anonymous, not %q", p.Type)
}
