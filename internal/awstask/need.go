package awstask

import (
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
)

// NeedOf is what work with a connector asks of a delegate: who may do it follows from its selectors and its credentials.
// kind is the type of the task. A connector that the manager uses itself, see Connector.OnDelegate, asks nobody.
func NeedOf(c connector.Connector, kind string) delegate.Need {
	n := delegate.Need{Scope: c.Scope, Selectors: c.Selectors, Kind: kind}
	switch credential := c.Credential.(type) {
	case connector.ManualConfig:
		if credential.SessionTokenRef != "" {
			n.MinVersion, n.MinReason = delegate.SessionTokenSince(), "a session token"
		}
	case connector.OIDC:
		n.MinVersion, n.MinReason = delegate.OIDCSince(), "OIDC"
	case connector.InheritFromDelegate, connector.IRSA, connector.Kubernetes:
	}
	return n
}
