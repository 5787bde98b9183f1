package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

func paths(p fault.Problems) []string {
	out := []string{}
	for _, one := range p {
		out = append(out, one.Path)
	}
	return out
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const spec = "connector.spec."
	for name, tt := range map[string]struct {
		connector connector.Connector
		want      []string
	}{
		"a key with its secret is right":    {keys(), []string{}},
		"IRSA needs nothing":                {with(func(c *connector.Connector) { c.Credential = connector.IRSA{} }), []string{}},
		"the delegate's role needs nothing": {with(func(c *connector.Connector) { c.Credential = connector.InheritFromDelegate{} }), []string{}},
		"a placeholder for a role may be saved": {with(func(c *connector.Connector) {
			c.Credential = connector.OIDC{RoleARN: "test"}
			c.CrossAccount = &connector.CrossAccount{RoleARN: "test"}
		}), []string{}},
		"a name of another script may be given":  {with(func(c *connector.Connector) { c.Name = "Продакшен 生产" }), []string{}},
		"a GovCloud test region is right":        {with(func(c *connector.Connector) { c.Region = "us-gov-east-1" }), []string{}},
		"a Region newer than the table is right": {with(func(c *connector.Connector) { c.Region = "eu-north-7" }), []string{}},
		"every problem is reported at once": {
			connector.Connector{
				ID: "1bad id", Name: " ", Region: "us-east", Selectors: []string{"a", "", "a"},
				Credential:   connector.ManualConfig{AccessKey: "A", AccessKeyRef: "account.x", SessionTokenRef: "team.y"},
				CrossAccount: &connector.CrossAccount{ExternalID: "x y", SessionDuration: time.Minute},
				Backoff:      backoff.FullJitter{Base: time.Second, Max: time.Millisecond, Count: -1},
			},
			[]string{
				"connector.name", "connector.identifier",
				spec + "credential.spec.accessKeyRef", spec + "credential.spec.secretKeyRef", spec + "credential.spec.sessionTokenRef",
				spec + "credential.crossAccountAccess.crossAccountRoleArn", spec + "credential.crossAccountAccess.externalId", spec + "credential.crossAccountAccess.assumeRoleSessionDuration",
				spec + "credential.region", spec + "delegateSelectors[1]", spec + "delegateSelectors[2]",
				spec + "awsSdkClientBackOffStrategyOverride.spec.maxBackoffTime", spec + "awsSdkClientBackOffStrategyOverride.spec.retryCount",
			},
		},
		"no credential at all":    {with(func(c *connector.Connector) { c.Credential = nil }), []string{spec + "credential.type"}},
		"an access key is needed": {with(func(c *connector.Connector) { c.Credential = connector.ManualConfig{SecretKeyRef: "s"} }), []string{spec + "credential.spec.accessKey"}},
		"an organization's secret from the account": {with(func(c *connector.Connector) {
			c.Credential = connector.ManualConfig{AccessKey: "A", SecretKeyRef: "org.s"}
		}), []string{spec + "credential.spec.secretKeyRef"}},
		"a project needs its organization": {with(func(c *connector.Connector) { c.Scope.Project = "p" }), []string{"connector.orgIdentifier"}},
		"a reserved word is no identifier": {with(func(c *connector.Connector) { c.ID = "account" }), []string{"connector.identifier"}},
		"an identifier of 129 characters":  {with(func(c *connector.Connector) { c.ID = strings.Repeat("a", 129) }), []string{"connector.identifier"}},
		"an unknown session tag, and one that is there twice": {with(func(c *connector.Connector) {
			c.Credential = connector.OIDC{RoleARN: "r", SessionTagKeys: []string{"context", "colour", "context"}}
		}), []string{spec + "credential.spec.oidcSessionTagKeys[1]", spec + "credential.spec.oidcSessionTagKeys[2]"}},
		"an OIDC role is needed": {with(func(c *connector.Connector) { c.Credential = connector.OIDC{} }), []string{spec + "credential.spec.iamRoleArn"}},
		"a NUL in every text that is free": {with(func(c *connector.Connector) {
			c.Description, c.Tags, c.Selectors, c.ProxyURL = "a\x00", map[string]string{"k": "\x00"}, []string{"a", "b\x00"}, "\x00"
			c.Credential, c.CrossAccount = connector.OIDC{RoleARN: "r\x00"}, &connector.CrossAccount{RoleARN: "r\x00"}
		}), []string{
			"connector.description", "connector.tags", spec + "credential.crossAccountAccess.crossAccountRoleArn", spec + "credential.spec.iamRoleArn",
			spec + "delegateSelectors[1]", spec + "proxyUrl",
		}},
		"an endless proxy": {with(func(c *connector.Connector) { c.ProxyURL = strings.Repeat("p", 5000) }), []string{spec + "proxyUrl"}},
		"a negative delay": {with(func(c *connector.Connector) { c.Backoff = backoff.Fixed{Wait: -1} }), []string{spec + "awsSdkClientBackOffStrategyOverride.spec.fixedBackoff"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, paths(tt.connector.Check())); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	off := false
	for name, tt := range map[string]struct {
		connector connector.Connector
		want      string // part of one warning; empty: no warning
	}{
		"a plain key":              {keys(), ""},
		"a placeholder for a role": {with(func(c *connector.Connector) { c.CrossAccount = &connector.CrossAccount{RoleARN: "test"} }), "is not an ARN"},
		"eleven digits": {with(func(c *connector.Connector) {
			c.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::12345678901:role/x"}
		}), "has 11 digits, AWS uses 12"},
		"a role across partitions": {with(func(c *connector.Connector) {
			c.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws-us-gov:iam::123456789012:role/x"}
		}), "cannot reach each other"},
		"IRSA without selectors":    {with(func(c *connector.Connector) { c.Credential = connector.IRSA{} }), "no delegateSelectors"},
		"IRSA through the platform": {with(func(c *connector.Connector) { c.Credential = connector.IRSA{}; c.ExecuteOnDelegate = &off }), "used all the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := strings.Join(tt.connector.Warnings(), "\n")
			if tt.want == "" && all != "" || !strings.Contains(all, tt.want) {
				t.Fatalf("got %q, want %q", all, tt.want)
			}
		})
	}
}

func TestOnDelegate(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, tt := range map[string]struct {
		credential connector.Credential
		said       *bool
		want       bool
	}{
		"a key, nothing said":         {connector.ManualConfig{}, nil, true},
		"a key on a delegate":         {connector.ManualConfig{}, &yes, true},
		"a key through the platform":  {connector.ManualConfig{}, &no, false},
		"OIDC through the platform":   {connector.OIDC{}, &no, false},
		"the delegate's role, always": {connector.InheritFromDelegate{}, &no, true},
		"IRSA, always":                {connector.IRSA{}, &no, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connector.Connector{Credential: tt.credential, ExecuteOnDelegate: tt.said}
			if got := c.OnDelegate(); got != tt.want {
				t.Fatalf("got %v", got)
			}
		})
	}
}
