package oidc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam/trust"
	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Trust is what AWS needs so that a connector gets the session of its role.
type Trust struct {
	Role     string // its ARN
	Provider string // the ARN of the OpenID Connect provider in the role's account
	Issuer   string
	Audience string
	Subject  string
	Policy   []byte   // the role's trust policy, JSON
	Notes    []string // what else is worth knowing
}

// TrustPolicy is the trust policy of a connector's role: this issuer, this audience, this subject, nobody else.
func (s *Service) TrustPolicy(ctx context.Context, who audit.Caller, at scope.Scope, id string) (Trust, error) {
	c, err := s.connector(ctx, who, at, id)
	if err != nil {
		return Trust{}, err
	}
	issuer, err := s.issuer(ctx, at.Account)
	if err != nil {
		return Trust{}, err
	}
	return trustOf(c, issuer)
}

// TrustFor is the trust policy of the role of a connector that may not be saved yet.
func (s *Service) TrustFor(ctx context.Context, who audit.Caller, c connector.Connector) (Trust, error) {
	if err := s.Audit.Allow(ctx, who, audit.OIDCRead, c.Scope, "oidc"); err != nil {
		return Trust{}, err
	}
	issuer, err := s.issuer(ctx, c.Scope.Account)
	if err != nil {
		return Trust{}, err
	}
	return trustOf(c, issuer)
}

func trustOf(c connector.Connector, issuer Issuer) (Trust, error) {
	use, _ := UseOf(c, ConnectorValidation, "", time.Time{})
	credential, _ := c.Credential.(connector.OIDC)
	if p := arn.CheckRole(credential.RoleARN); p != "" {
		return Trust{}, fault.New(fault.Invalid, "the account of the provider follows from iamRoleArn, and there %s", p)
	}
	role, err := arn.Parse(credential.RoleARN)
	if err != nil {
		return Trust{}, err
	}
	t := Trust{Role: credential.RoleARN, Issuer: issuer.URL, Audience: issuer.Audience, Subject: Subject(c.Scope, issuer.Enhanced)}
	host := t.Issuer
	if _, after, found := strings.Cut(host, "://"); found {
		host = after
	}
	t.Provider = arn.ARN{Partition: role.Partition, Service: "iam", Account: role.Account, Resource: "oidc-provider/" + host}.String()
	_, refused := use.tags()
	made, err := trust.For(trust.Ask{For: trust.OIDC, Provider: t.Provider, Audience: t.Audience, Subject: t.Subject, Tags: len(use.TagKeys) > 0})
	if err != nil {
		return Trust{}, fault.Because(fault.Invalid, err, "no trust policy can be made: %s", err)
	}
	t.Policy = append(made.Document.Indent(), '\n')
	t.Notes = notes(c, issuer, refused)
	return t, nil
}

func notes(c connector.Connector, issuer Issuer, refused []string) []string {
	var notes []string
	if p := CheckIssuer(issuer.URL); p != "" {
		notes = append(notes, fmt.Sprintf("AWS cannot use the issuer %s: it %s. Give the manager a --public-url that AWS can reach, or host the documents elsewhere with `belay oidc export`.", issuer.URL, p))
	}
	if !issuer.Enhanced {
		notes = append(notes, fmt.Sprintf("The subject is the whole account: every OIDC connector of the account gets in. The flag %s narrows it to a scope.", flagEnhanced))
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		notes = append(notes, fmt.Sprintf("AWS does not take the values of these session tags, so they are left out: %s. A value has at most 256 letters, digits, blanks and _ . : / = + - @.", strings.Join(refused, ", ")))
	}
	if credential, ok := c.Credential.(connector.OIDC); ok && len(credential.SessionTagKeys) > 0 && c.CrossAccount != nil {
		notes = append(notes, "Session tags go on to the role of crossAccountRoleArn: its trust policy must allow sts:TagSession too.")
	}
	return notes
}
