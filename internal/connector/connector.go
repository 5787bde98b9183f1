// Package connector is the heart of Belay: what an AWS connector is, what makes one valid, and what a test of its
// connection found.
//
// A connector says how to get credentials (an access key, the delegate's own role, IRSA or OIDC; then, if wanted, a role
// in another account), where from (a delegate with all of some tags, or the manager itself), and how patient to be with
// AWS. It holds references to secrets, never secrets.
//
// The life of a test: Service.Test submits a check, a runner (a delegate or the manager) answers with Evidence, Diagnose
// turns evidence into a Diagnosis (cause, evidence, remedy), and the Test is stored with the connector's status.
package connector

import (
	"time"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/scope"
)

// Connector is an AWS connector as its owner wrote it, and when. Fields keep what was sent, defaults are applied when it
// is used, so that clients read back what they wrote.
type Connector struct {
	Scope       scope.Scope
	ID          string // unique in its scope, immutable
	Name        string
	Description string
	Tags        map[string]string

	Credential   Credential
	CrossAccount *CrossAccount    // nil: the credential is used as it is
	Region       string           // where the connection is tested; empty means arn.DefaultRegion
	Backoff      backoff.Strategy // nil means backoff.Default

	Selectors []string // tags that a delegate must have, all of them
	// ExecuteOnDelegate says who calls AWS: a delegate, or the manager itself when false. nil means it was not said, which
	// is a delegate. The delegate's role and IRSA are always used on a delegate.
	ExecuteOnDelegate *bool
	// IgnoreTestConnection turns the periodic test off.
	IgnoreTestConnection bool
	// Proxy and ProxyURL belong to Secure Connect, which Belay keeps but does not use.
	Proxy    bool
	ProxyURL string

	Revision  int64 // counts the changes, from 1; of a change to make, what it was made from, or 0 for whatever there is
	CreatedAt time.Time
	UpdatedAt time.Time
}

// CrossAccount is the role that is assumed with the credential.
type CrossAccount struct {
	RoleARN    string
	ExternalID string // empty: none is sent
	// SessionDuration is how long the role's session lasts; 0 leaves it to the SDK, which asks for 15 minutes.
	SessionDuration time.Duration
}

// Key names a connector in one text: account/org/project/id.
func (c Connector) Key() string { return c.Scope.Path(c.ID) }

// TestRegion is where the connection is tested.
func (c Connector) TestRegion() string {
	if c.Region == "" {
		return arn.DefaultRegion
	}
	return c.Region
}

// OnDelegate reports whether a delegate calls AWS for this connector, rather than the manager itself.
func (c Connector) OnDelegate() bool {
	switch c.Credential.(type) {
	case InheritFromDelegate, IRSA:
		return true // they are the delegate's own credentials
	case ManualConfig, OIDC, Kubernetes:
	}
	return c.ExecuteOnDelegate == nil || *c.ExecuteOnDelegate
}

// Retry is the strategy in force.
func (c Connector) Retry() backoff.Strategy {
	if c.Backoff == nil {
		return backoff.Default{}
	}
	return c.Backoff
}
