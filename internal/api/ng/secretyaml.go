package ng

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
)

// The same secrets as YAML, in the form that `belay apply` takes. People write it, so a key that is not known is told
// rather than lost, with its line. A body of JSON is what the other calls take, junk included: it may be meant for the
// secret whose identifier is yaml.

func (s *Server) createSecretYAML(ctx context.Context, c api.Call, text []byte) (nextgen.SecretResponse, error) {
	in, err := secretIn(c, text)
	if err != nil {
		return nextgen.SecretResponse{}, err
	}
	return s.createSecret(ctx, c, in)
}

func (s *Server) updateSecretYAML(ctx context.Context, c api.Call, text []byte) (nextgen.SecretResponse, error) {
	in, err := secretIn(c, text)
	if err != nil {
		return nextgen.SecretResponse{}, err
	}
	id := c.Path("id")
	if id == "" {
		id = in.Secret.Identifier
	}
	if id == "" {
		id = "yaml" // the path names it after all, as any other
	}
	return s.saveSecret(ctx, c, id, in)
}

// secretIn reads the one secret that a document describes.
func secretIn(c api.Call, text []byte) (nextgen.SecretEnvelope, error) {
	if json.Valid(text) {
		var in nextgen.SecretEnvelope
		err := api.Decode(text, &in)
		return in, err
	}
	outside := c.At
	outside.Account = ""
	entities, wrong := document.Reader{Scope: outside, Values: true}.Read("the body", bytes.NewReader(text))
	var problems fault.Problems
	for _, p := range wrong {
		message := p.Message
		switch { // it may quote what it found, which may be the value
		case p.Path == "":
			message = "the body is not YAML of a secret"
		case strings.HasPrefix(p.Path, "secret.spec.value") && p.Path != "secret.spec.valueType":
			message = "is not text"
		}
		if p.Line > 0 {
			message += fmt.Sprintf(" (line %d)", p.Line)
		}
		problems.Add(p.Path, message)
	}
	if err := problems.Err(); err != nil {
		return nextgen.SecretEnvelope{}, err
	}
	if len(entities) != 1 || entities[0].Kind != document.Secret {
		return nextgen.SecretEnvelope{}, fault.Problems{{Path: "secret", Message: "is required: the body holds one document, with the key secret"}}
	}
	var in nextgen.SecretEnvelope
	if err := json.Unmarshal(entities[0].Body, &in.Secret); err != nil {
		return in, fault.New(fault.Invalid, "a field of the secret has another type than expected") // the cause could quote a value
	}
	return in, nil
}
