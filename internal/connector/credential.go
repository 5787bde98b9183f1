package connector

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/scope"
)

// Credential is how a connector gets its first credentials. Four ways are for AWS; Kubernetes stands
// for a connector of another type, which is kept only.
//
//sumtype:decl
type Credential interface{ isCredential() }

// ManualConfig is an access key: its id in plain or by reference, its secret by reference, and a session token by
// reference where the key is temporary.
type ManualConfig struct {
	AccessKey       string    // the id in plain, or empty
	AccessKeyRef    scope.Ref // the id as a secret, or empty; exactly one of the two is set
	SecretKeyRef    scope.Ref
	SessionTokenRef scope.Ref // empty: the key is a long-lived one
}

// InheritFromDelegate is whatever the delegate finds around it: instance profile, ECS task role, Pod Identity,
// environment.
type InheritFromDelegate struct{}

// IRSA is the role of the delegate's Kubernetes service account.
type IRSA struct{}

// OIDC is a role that trusts Belay's own issuer.
type OIDC struct {
	RoleARN string
	// SessionTagKeys are the claims that become session tags, in the order given.
	SessionTagKeys []string
}

// Kubernetes is the connector of a cluster (type K8sCluster) as clients write it. Belay keeps it and gives it back; it
// neither tests nor uses it.
type Kubernetes struct {
	Spec []byte // JSON of connector.spec as it came
}

func (ManualConfig) isCredential()        {}
func (InheritFromDelegate) isCredential() {}
func (IRSA) isCredential()                {}
func (OIDC) isCredential()                {}
func (Kubernetes) isCredential()          {}

// SecretRefs are the references to secrets that the connector holds, without the empty ones.
func (c Connector) SecretRefs() []scope.Ref {
	var refs []scope.Ref
	switch credential := c.Credential.(type) {
	case ManualConfig:
		for _, ref := range []scope.Ref{credential.AccessKeyRef, credential.SecretKeyRef, credential.SessionTokenRef} {
			if ref != "" {
				refs = append(refs, ref)
			}
		}
	case Kubernetes:
		refs = refsIn(credential.Spec)
	case InheritFromDelegate, IRSA, OIDC:
	}
	return refs
}

// Tested reports whether Belay can test and use the connector, or only keeps it.
func (c Connector) Tested() bool {
	_, kept := c.Credential.(Kubernetes)
	return !kept
}

// refsIn are the references to secrets in JSON whose fields Belay does not know one by one: the texts under keys that end
// in Ref.
func refsIn(spec []byte) []scope.Ref {
	var value any
	if json.Unmarshal(spec, &value) != nil {
		return nil
	}
	var refs []scope.Ref
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				if ref, ok := inner.(string); ok && ref != "" && strings.HasSuffix(key, "Ref") {
					refs = append(refs, scope.Ref(ref))
					continue
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(value)
	slices.Sort(refs) // the order of a map is none
	return slices.Compact(refs)
}
