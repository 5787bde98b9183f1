// Package firstgen is what older clients write: the YAML of a cloud provider (config-as-code), and its translation to and
// from a connector.
//
// The server (internal/api/fg) and the reader of files (internal/document) share it. A cloud provider lives at account
// scope; its name makes the connector's identifier, and a secret is referred to by name.
package firstgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Folder is where cloud providers lie in the tree.
const Folder = "Setup/Cloud Providers"

// TypeAWS is the type of an AWS cloud provider, the only one that Belay has.
const TypeAWS = "AWS"

// Path is the path of a cloud provider by its name.
func Path(name string) string { return Folder + "/" + name + ".yaml" }

// NameOf is the name in a path, or "" when it is not one of a cloud provider.
func NameOf(path string) string {
	name, found := strings.CutPrefix(path, Folder+"/")
	name, yaml := strings.CutSuffix(name, ".yaml")
	if !found || !yaml || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// CloudProvider is the YAML of an AWS cloud provider.
type CloudProvider struct {
	Version         string        `yaml:"harnessApiVersion"`
	Type            string        `yaml:"type"`
	AccessKey       string        `yaml:"accessKey,omitempty"`
	AccessKeySecret string        `yaml:"accessKeySecretId,omitempty"`
	SecretKey       string        `yaml:"secretKey,omitempty"`
	AssumeRole      bool          `yaml:"assumeCrossAccountRole,omitempty"`
	CrossAccount    *CrossAccount `yaml:"crossAccountAttributes,omitempty"`
	IRSA            bool          `yaml:"useIRSA,omitempty"`
	EC2             bool          `yaml:"useEc2IamCredentials,omitempty"`
	Tag             string        `yaml:"tag,omitempty"`
	// Restrictions have no meaning for Belay, whose scopes and roles are others.
	Restrictions any `yaml:"usageRestrictions,omitempty"`
}

// CrossAccount is the role to assume in another account.
type CrossAccount struct {
	RoleARN    string `yaml:"crossAccountRoleArn,omitempty"`
	ExternalID string `yaml:"externalId,omitempty"`
}

// Parse reads the YAML of a cloud provider. Keys that it does not know are passed over, or problems when strict is set.
// What the domain can say of the connector is left to it.
func Parse(text []byte, strict bool) (CloudProvider, fault.Problems) {
	var p CloudProvider
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(strict)
	if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
		return p, fault.Problems{{Path: "yamlContent", Message: "is empty"}}
	} else if err != nil {
		return p, fault.Problems{{Path: "yamlContent", Message: "cannot be read: " + strings.ReplaceAll(err.Error(), "\n", " ")}}
	}
	var problems fault.Problems
	if p.Type != TypeAWS {
		problems.Add("type", fmt.Sprintf("%.60q is not supported: Belay has cloud providers of type %s", p.Type, TypeAWS))
	}
	keys := p.AccessKey != "" || p.AccessKeySecret != "" || p.SecretKey != ""
	modes := 0
	for _, set := range []bool{keys, p.IRSA, p.EC2} {
		if set {
			modes++
		}
	}
	if modes != 1 {
		problems.Add("accessKey", "one way to get credentials belongs there: accessKey with secretKey, useIRSA, or useEc2IamCredentials")
	}
	if keys && p.AccessKey != "" && p.AccessKeySecret != "" {
		problems.Add("accessKeySecretId", "cannot be set beside accessKey; keep one of the two")
	}
	if keys && p.SecretKey == "" {
		problems.Add("secretKey", "is required: secretName: and the name of the secret")
	}
	if p.AssumeRole && (p.CrossAccount == nil || p.CrossAccount.RoleARN == "") {
		problems.Add("crossAccountAttributes.crossAccountRoleArn", "is required with assumeCrossAccountRole")
	}
	return p, problems
}

const secretPrefix = "secretName:"

// SecretName is the name in a reference to a secret.
func SecretName(ref string) string { return strings.TrimPrefix(ref, secretPrefix) }

// SecretID is the identifier of a secret by its name: the name itself where it can be one, else what it makes.
func SecretID(name string) string {
	if scope.CheckSecretIdentifier(name) == "" {
		return name
	}
	return scope.IdentifierFromName(name)
}

// Connector translates a cloud provider. find gives the identifier of a secret by its name.
func (p CloudProvider) Connector(account, name string, find func(name string) string) connector.Connector {
	c := connector.Connector{Scope: scope.Scope{Account: account}, ID: scope.IdentifierFromName(name), Name: name}
	ref := func(text string) scope.Ref {
		if text == "" {
			return ""
		}
		return scope.Ref("account." + find(SecretName(text)))
	}
	switch {
	case p.IRSA:
		c.Credential, c.ExecuteOnDelegate = connector.IRSA{}, new(true)
	case p.EC2:
		c.Credential, c.ExecuteOnDelegate = connector.InheritFromDelegate{}, new(true)
	default:
		c.Credential = connector.ManualConfig{AccessKey: p.AccessKey, AccessKeyRef: ref(p.AccessKeySecret), SecretKeyRef: ref(p.SecretKey)}
	}
	if p.AssumeRole && p.CrossAccount != nil {
		c.CrossAccount = &connector.CrossAccount{RoleARN: p.CrossAccount.RoleARN, ExternalID: p.CrossAccount.ExternalID}
	}
	if p.Tag != "" {
		c.Selectors = []string{p.Tag}
	}
	return c
}

// FromConnector is a connector as a cloud provider, for one that was changed by other means since its YAML came. What
// FirstGen has no word for is lost: session tokens, OIDC, Regions, backoff, all selectors but the first. find gives the
// name of a secret by its identifier.
func FromConnector(c connector.Connector, find func(id string) string) ([]byte, error) {
	p := CloudProvider{Version: "1.0", Type: TypeAWS}
	name := func(ref scope.Ref) string {
		if ref == "" {
			return ""
		}
		return secretPrefix + find(strings.TrimPrefix(string(ref), "account."))
	}
	switch credential := c.Credential.(type) {
	case connector.ManualConfig:
		p.AccessKey, p.AccessKeySecret, p.SecretKey = credential.AccessKey, name(credential.AccessKeyRef), name(credential.SecretKeyRef)
	case connector.IRSA:
		p.IRSA = true
	case connector.InheritFromDelegate:
		p.EC2 = true
	case connector.OIDC, connector.Kubernetes, nil:
	}
	if x := c.CrossAccount; x != nil {
		p.AssumeRole, p.CrossAccount = true, &CrossAccount{RoleARN: x.RoleARN, ExternalID: x.ExternalID}
	}
	if len(c.Selectors) > 0 {
		p.Tag = c.Selectors[0]
	}
	return yaml.Marshal(p) //nolint:gosec // the id of an access key, which is no secret
}
