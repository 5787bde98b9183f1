package connector

import "github.com/belay-dev/belay/internal/scope"

// Credential is how a connector gets its first credentials. The four ways are the types of this file.
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

func (ManualConfig) isCredential()        {}
func (InheritFromDelegate) isCredential() {}
func (IRSA) isCredential()                {}
func (OIDC) isCredential()                {}

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
	case InheritFromDelegate, IRSA, OIDC:
	}
	return refs
}
