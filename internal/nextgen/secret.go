package nextgen

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// TypeSecretText is the type of a text secret, the only one that Belay has.
const TypeSecretText = "SecretText"

// SecretEnvelope is a secret as it is sent.
type SecretEnvelope struct {
	Secret Secret `json:"secret"`
}

// Secret is a text secret.
type Secret struct {
	Type              string            `json:"type"`
	Name              string            `json:"name"`
	Identifier        string            `json:"identifier"`
	OrgIdentifier     string            `json:"orgIdentifier,omitempty"`
	ProjectIdentifier string            `json:"projectIdentifier,omitempty"`
	Tags              map[string]string `json:"tags,omitzero"`
	Description       string            `json:"description,omitempty"`
	Spec              SecretSpec        `json:"spec"`
}

// SecretSpec is where the value is.
type SecretSpec struct {
	SecretManagerIdentifier string `json:"secretManagerIdentifier"`
	ValueType               string `json:"valueType"`
	// Value is the secret itself on its way in when ValueType is Inline; no answer has it. For Reference it is the path.
	Value    *Hidden         `json:"value,omitempty"`
	Metadata *SecretMetadata `json:"additionalMetadata,omitempty"`
}

// SecretMetadata is what a secret manager wants to know beside the value.
type SecretMetadata struct {
	Values map[string]json.RawMessage `json:"values,omitzero"`
}

// Hidden is text that is sent as it is, and never printed or logged.
type Hidden string

// Format masks the text under every verb.
func (Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Mask) }

// LogValue is the mask.
func (Hidden) LogValue() slog.Value { return slog.StringValue(secret.Mask) }

// Domain translates a secret and takes its value apart. The value is zero for a Reference, and when none was sent.
func (b Secret) Domain(account string) (secret.Secret, secret.Value, fault.Problems) {
	var problems fault.Problems
	s := secret.Secret{
		Scope: scope.Scope{Account: account, Org: b.OrgIdentifier, Project: b.ProjectIdentifier},
		ID:    b.Identifier, Name: b.Name, Description: b.Description, Tags: b.Tags,
		Manager: b.Spec.SecretManagerIdentifier, Kind: secret.Kind(b.Spec.ValueType),
	}
	switch b.Type {
	case TypeSecretText:
	case "":
		problems.Add("secret.type", "is required; use "+TypeSecretText)
	default:
		problems.Add("secret.type", fmt.Sprintf("%.60q is not supported: Belay keeps secrets of type %s", b.Type, TypeSecretText))
	}
	if s.Manager == "" {
		s.Manager = secret.BuiltInManager
	}
	if s.Kind == "" {
		s.Kind = secret.Inline
	}
	if m := b.Spec.Metadata; m != nil {
		s.Metadata = m.Values
	}
	var sent string
	if b.Spec.Value != nil {
		sent = string(*b.Spec.Value)
	}
	if s.Kind == secret.Reference || s.Kind == secret.Custom {
		s.Path = sent
		return s, secret.Value{}, problems
	}
	return s, secret.NewValue(sent), problems
}

// FromSecret is a secret without its value.
func FromSecret(s secret.Secret) Secret {
	b := Secret{
		Type: TypeSecretText, Name: s.Name, Identifier: s.ID, OrgIdentifier: s.Scope.Org, ProjectIdentifier: s.Scope.Project,
		Tags: s.Tags, Description: s.Description,
		Spec: SecretSpec{SecretManagerIdentifier: s.Manager, ValueType: string(s.Kind)},
	}
	if s.Kind == secret.Reference || s.Path != "" {
		b.Spec.Value = new(Hidden(s.Path))
	}
	if s.Metadata != nil {
		b.Spec.Metadata = &SecretMetadata{Values: s.Metadata}
	}
	return b
}

// SecretResponse is a secret with what is known of it.
type SecretResponse struct {
	Secret     Secret `json:"secret"`
	CreatedAt  int64  `json:"createdAt"`
	UpdatedAt  int64  `json:"updatedAt"`
	Draft      bool   `json:"draft"`              // always false
	Governance any    `json:"governanceMetadata"` // always null
}

// FromStoredSecret is a secret with its times.
func FromStoredSecret(s secret.Secret) SecretResponse {
	return SecretResponse{Secret: FromSecret(s), CreatedAt: millis(s.CreatedAt), UpdatedAt: millis(s.UpdatedAt)}
}
