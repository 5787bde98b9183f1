package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// connectorSpec is what a connector says beside the columns that listings filter by. It keeps the difference between what
// was left out and what was sent empty, because clients compare what they read with what they wrote.
type connectorSpec struct {
	Credential        credentialSpec `json:"credential"`
	CrossAccount      *crossAccount  `json:"crossAccount,omitempty"`
	Region            string         `json:"region,omitempty"`
	Backoff           *backoffSpec   `json:"backoff,omitempty"`
	Selectors         []string       `json:"selectors"` // null, or a list that may be empty
	ExecuteOnDelegate *bool          `json:"executeOnDelegate,omitempty"`
	Proxy             bool           `json:"proxy,omitempty"`
	ProxyURL          string         `json:"proxyUrl,omitempty"`
}

// The types of credentials.
const (
	manual  = "manual"
	inherit = "inherit"
	irsa    = "irsa"
	issued  = "oidc"
	cluster = "kubernetes"
)

type credentialSpec struct {
	Type            string   `json:"type"`
	AccessKey       string   `json:"accessKey,omitempty"`
	AccessKeyRef    string   `json:"accessKeyRef,omitempty"`
	SecretKeyRef    string   `json:"secretKeyRef,omitempty"`
	SessionTokenRef string   `json:"sessionTokenRef,omitempty"`
	RoleARN         string   `json:"roleArn,omitempty"`
	SessionTagKeys  []string `json:"sessionTagKeys"`
	// Kept is the spec of a cluster's connector as it came.
	Kept json.RawMessage `json:"kept,omitempty"`
}

type crossAccount struct {
	RoleARN         string        `json:"roleArn"`
	ExternalID      string        `json:"externalId,omitempty"`
	SessionDuration time.Duration `json:"sessionDuration,omitempty"` // ns
}

// The types of backoff strategies.
const (
	fixedDelay   = "fixed"
	equalJitter  = "equal-jitter"
	fullJitter   = "full-jitter"
	defaultDelay = "default"
)

// backoffSpec has its times in nanoseconds. Wait is for fixed, Base and Max are for the jitters.
type backoffSpec struct {
	Type  string        `json:"type"`
	Wait  time.Duration `json:"wait,omitempty"`
	Base  time.Duration `json:"base,omitempty"`
	Max   time.Duration `json:"max,omitempty"`
	Count int           `json:"count,omitempty"`
}

func specOf(c connector.Connector) (connectorSpec, error) {
	spec := connectorSpec{
		Region: c.Region, Selectors: c.Selectors, ExecuteOnDelegate: c.ExecuteOnDelegate, Proxy: c.Proxy, ProxyURL: c.ProxyURL,
	}
	switch credential := c.Credential.(type) {
	case connector.ManualConfig:
		spec.Credential = credentialSpec{
			Type: manual, AccessKey: credential.AccessKey, AccessKeyRef: string(credential.AccessKeyRef),
			SecretKeyRef: string(credential.SecretKeyRef), SessionTokenRef: string(credential.SessionTokenRef),
		}
	case connector.InheritFromDelegate:
		spec.Credential.Type = inherit
	case connector.IRSA:
		spec.Credential.Type = irsa
	case connector.OIDC:
		spec.Credential = credentialSpec{Type: issued, RoleARN: credential.RoleARN, SessionTagKeys: credential.SessionTagKeys}
	case connector.Kubernetes:
		spec.Credential = credentialSpec{Type: cluster, Kept: credential.Spec}
	case nil:
		return connectorSpec{}, fault.New(fault.Invalid, "a connector without credential cannot be kept")
	}
	if x := c.CrossAccount; x != nil {
		spec.CrossAccount = &crossAccount{x.RoleARN, x.ExternalID, x.SessionDuration}
	}
	switch b := c.Backoff.(type) {
	case backoff.Fixed:
		spec.Backoff = &backoffSpec{Type: fixedDelay, Wait: b.Wait, Count: b.Count}
	case backoff.EqualJitter:
		spec.Backoff = &backoffSpec{Type: equalJitter, Base: b.Base, Max: b.Max, Count: b.Count}
	case backoff.FullJitter:
		spec.Backoff = &backoffSpec{Type: fullJitter, Base: b.Base, Max: b.Max, Count: b.Count}
	case backoff.Default:
		spec.Backoff = &backoffSpec{Type: defaultDelay}
	case nil: // stays nil: it was not sent
	}
	return spec, nil
}

// into puts what the spec says into a connector.
func (spec connectorSpec) into(c *connector.Connector) error {
	switch k := spec.Credential; k.Type {
	case manual:
		c.Credential = connector.ManualConfig{
			AccessKey: k.AccessKey, AccessKeyRef: scope.Ref(k.AccessKeyRef), SecretKeyRef: scope.Ref(k.SecretKeyRef), SessionTokenRef: scope.Ref(k.SessionTokenRef),
		}
	case inherit:
		c.Credential = connector.InheritFromDelegate{}
	case irsa:
		c.Credential = connector.IRSA{}
	case issued:
		c.Credential = connector.OIDC{RoleARN: k.RoleARN, SessionTagKeys: k.SessionTagKeys}
	case cluster:
		c.Credential = connector.Kubernetes{Spec: k.Kept}
	default:
		return fmt.Errorf("connector %s has a credential of the unknown type %q", c.Key(), k.Type)
	}
	if x := spec.CrossAccount; x != nil {
		c.CrossAccount = &connector.CrossAccount{RoleARN: x.RoleARN, ExternalID: x.ExternalID, SessionDuration: x.SessionDuration}
	}
	if b := spec.Backoff; b != nil {
		switch b.Type {
		case fixedDelay:
			c.Backoff = backoff.Fixed{Wait: b.Wait, Count: b.Count}
		case equalJitter:
			c.Backoff = backoff.EqualJitter{Base: b.Base, Max: b.Max, Count: b.Count}
		case fullJitter:
			c.Backoff = backoff.FullJitter{Base: b.Base, Max: b.Max, Count: b.Count}
		case defaultDelay:
			c.Backoff = backoff.Default{}
		default:
			return fmt.Errorf("connector %s has a backoff of the unknown type %q", c.Key(), b.Type)
		}
	}
	c.Region, c.Selectors, c.ExecuteOnDelegate, c.Proxy, c.ProxyURL = spec.Region, spec.Selectors, spec.ExecuteOnDelegate, spec.Proxy, spec.ProxyURL
	return nil
}

// inheriting reports whether a connector uses credentials of its delegate.
func inheriting(c connector.Connector) bool {
	switch c.Credential.(type) {
	case connector.InheritFromDelegate, connector.IRSA:
		return true
	case connector.ManualConfig, connector.OIDC, connector.Kubernetes:
	}
	return false
}
