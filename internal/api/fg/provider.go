package fg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// The ways in which an AWS cloud provider gets credentials.
const (
	byDelegateRole = "EC2_IAM"
	byIRSA         = "IRSA"
	byKeys         = "MANUAL"
)

type delegateInput struct {
	DelegateSelector *string
	UsageScope       *usageScopeInput // means nothing here
}

type keysInput struct {
	AccessKey         *string
	AccessKeySecretID *string
	SecretKeySecretID *string
}

type crossInput struct {
	AssumeCrossAccountRole *bool
	CrossAccountRoleArn    *string
	ExternalID             *string
}

// awsInput is an AWS cloud provider as it is sent; on an update, what is not sent stays.
type awsInput struct {
	Name                      *string
	CredentialsType           *string
	Ec2IamCredentials         *delegateInput
	IrsaCredentials           *delegateInput
	ManualCredentials         *keysInput
	CrossAccountAttributes    *crossInput
	AwsCrossAccountAttributes *crossInput // as the SDK calls it when it creates
	DefaultRegion             *string
}

type createProviderInput struct {
	ClientMutationID  *string
	CloudProviderType string
	AwsCloudProvider  *awsInput
}

type updateProviderInput struct {
	ClientMutationID  *string
	CloudProviderID   string
	CloudProviderType *string
	AwsCloudProvider  *awsInput
}

type providerPayload struct {
	ClientMutationID *string
	CloudProvider    *anyProvider
}

// way is how a connector gets credentials, in FirstGen's words; empty when it has none for it.
func way(c connector.Credential) string {
	switch c.(type) {
	case connector.ManualConfig:
		return byKeys
	case connector.InheritFromDelegate:
		return byDelegateRole
	case connector.IRSA:
		return byIRSA
	case connector.OIDC, connector.Kubernetes, nil:
	}
	return ""
}

// into puts what was sent into a connector.
func (in *awsInput) into(c *connector.Connector) error {
	if in.CredentialsType != nil && *in.CredentialsType != way(c.Credential) {
		c.Selectors, c.ExecuteOnDelegate = nil, new(true)
		switch *in.CredentialsType {
		case byKeys:
			c.Credential, c.ExecuteOnDelegate = connector.ManualConfig{}, nil
		case byDelegateRole:
			c.Credential = connector.InheritFromDelegate{}
		case byIRSA:
			c.Credential = connector.IRSA{}
		}
	}
	for _, one := range []struct {
		field string
		way   string
		sent  bool
	}{
		{"manualCredentials", byKeys, in.ManualCredentials != nil},
		{"ec2IamCredentials", byDelegateRole, in.Ec2IamCredentials != nil},
		{"irsaCredentials", byIRSA, in.IrsaCredentials != nil},
	} {
		if one.sent && one.way != way(c.Credential) {
			return fmt.Errorf("%s belongs to the credentialsType %s", one.field, one.way)
		}
	}
	if keys := in.ManualCredentials; keys != nil {
		manual, _ := c.Credential.(connector.ManualConfig)
		if sent(keys.AccessKey) {
			manual.AccessKey, manual.AccessKeyRef = *keys.AccessKey, ""
		}
		if sent(keys.AccessKeySecretID) {
			manual.AccessKeyRef = secretRef(*keys.AccessKeySecretID)
			if !sent(keys.AccessKey) {
				manual.AccessKey = ""
			}
		}
		if sent(keys.SecretKeySecretID) {
			manual.SecretKeyRef = secretRef(*keys.SecretKeySecretID)
		}
		c.Credential = manual
	}
	for _, role := range []*delegateInput{in.Ec2IamCredentials, in.IrsaCredentials} {
		if role != nil && sent(role.DelegateSelector) {
			c.Selectors = []string{*role.DelegateSelector}
		}
	}
	for _, cross := range []*crossInput{in.CrossAccountAttributes, in.AwsCrossAccountAttributes} {
		cross.into(c)
	}
	if in.DefaultRegion != nil {
		c.Region = *in.DefaultRegion
	}
	return nil
}

func (in *crossInput) into(c *connector.Connector) {
	if in == nil {
		return
	}
	if in.AssumeCrossAccountRole != nil && !*in.AssumeCrossAccountRole {
		c.CrossAccount = nil
		return
	}
	var role connector.CrossAccount
	if c.CrossAccount != nil {
		role = *c.CrossAccount
	}
	if in.CrossAccountRoleArn != nil {
		role.RoleARN = *in.CrossAccountRoleArn
	}
	if in.ExternalID != nil {
		role.ExternalID = *in.ExternalID
	}
	c.CrossAccount = &role
}

func sent(text *string) bool { return text != nil && *text != "" }

func secretRef(id string) scope.Ref { return scope.Ref("account." + id) }

func onlyAWS(kind string) error {
	if kind != firstgen.TypeAWS {
		return fmt.Errorf("cloud providers of type %s are not supported: Belay has those of type %s", kind, firstgen.TypeAWS)
	}
	return nil
}

// CreateCloudProvider adds an AWS cloud provider.
func (r *root) CreateCloudProvider(ctx context.Context, in struct{ Input createProviderInput }) (*providerPayload, error) {
	if err := onlyAWS(in.Input.CloudProviderType); err != nil {
		return nil, err
	}
	aws := in.Input.AwsCloudProvider
	if aws == nil || !sent(aws.Name) || !sent(aws.CredentialsType) {
		return nil, errors.New("awsCloudProvider with its name and credentialsType is required")
	}
	if p := scope.CheckName(*aws.Name); p != "" {
		return nil, errors.New("awsCloudProvider.name " + p)
	}
	c := connector.Connector{Scope: r.account(), ID: scope.IdentifierFromName(*aws.Name), Name: *aws.Name}
	if err := aws.into(&c); err != nil {
		return nil, err
	}
	if err := r.nameIsFree(ctx, c); err != nil {
		return nil, err
	}
	stored, err := r.server.Connectors.Create(ctx, r.call.Who, c)
	if err != nil {
		return nil, said(err)
	}
	out, err := r.keep(ctx, stored)
	return &providerPayload{in.Input.ClientMutationID, out}, err
}

// UpdateCloudProvider changes an AWS cloud provider; what was not sent stays as it is.
func (r *root) UpdateCloudProvider(ctx context.Context, in struct{ Input updateProviderInput }) (*providerPayload, error) {
	if kind := in.Input.CloudProviderType; kind != nil {
		if err := onlyAWS(*kind); err != nil {
			return nil, err
		}
	}
	list, err := r.server.providers(ctx, r.call.Who, r.call.At.Account)
	if err != nil {
		return nil, said(err)
	}
	i := slices.IndexFunc(list, func(p provider) bool { return p.ID == in.Input.CloudProviderID })
	if i < 0 {
		return nil, fmt.Errorf("no cloud provider exists with the id %.100s", in.Input.CloudProviderID)
	}
	c := list[i].Connector
	if aws := in.Input.AwsCloudProvider; aws != nil {
		if err := aws.into(&c); err != nil {
			return nil, err
		}
		if sent(aws.Name) && *aws.Name != c.Name {
			c.Name = *aws.Name
			if err := r.nameIsFree(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	stored, err := r.server.Connectors.Update(ctx, r.call.Who, c)
	if err != nil {
		return nil, said(err)
	}
	out, err := r.keep(ctx, stored)
	return &providerPayload{in.Input.ClientMutationID, out}, err
}

// nameIsFree refuses a name that another cloud provider has: its path in the tree is made of it.
func (r *root) nameIsFree(ctx context.Context, c connector.Connector) error {
	list, err := r.server.providers(ctx, r.call.Who, r.call.At.Account)
	if err != nil {
		return said(err)
	}
	if slices.ContainsFunc(list, func(p provider) bool { return p.Name == c.Name && p.ID != c.ID }) {
		return fmt.Errorf("a cloud provider with the name %q exists already; choose another name", c.Name)
	}
	return nil
}

// keep writes the YAML of a cloud provider that came without one.
func (r *root) keep(ctx context.Context, stored connector.Stored) (*anyProvider, error) {
	text, err := r.server.written(ctx, r.call, stored.Connector)
	if err != nil {
		return nil, said(err)
	}
	kept := firstgen.Text{ID: stored.ID, Text: text, Revision: stored.Revision}
	if err := r.server.Texts.SaveFirstGen(ctx, firstgen.Provider, r.call.At.Account, kept); err != nil {
		return nil, said(err)
	}
	return viewOf(provider{stored, kept}), nil
}

// written is a connector as the YAML of a cloud provider.
func (s *Server) written(ctx context.Context, c api.Call, of connector.Connector) (string, error) {
	secrets, _, err := s.Secrets.Secrets(ctx, c.Who, secret.Filter{Scope: scope.Scope{Account: c.At.Account}})
	if err != nil {
		return "", err
	}
	text, err := firstgen.FromConnector(of, func(id string) string {
		if i := slices.IndexFunc(secrets, func(sec secret.Secret) bool { return sec.ID == id }); i >= 0 {
			return secrets[i].Name
		}
		return id
	})
	return strings.TrimPrefix(string(text), "---\n"), err
}
