package v1

import (
	"reflect"

	"github.com/belay-dev/belay/internal/api/openapi"
)

// Group is this API for the OpenAPI document.
func (s *Server) Group() openapi.Group {
	return openapi.Group{
		Tag: "belay", About: "Belay's own API: what the NextGen API has no word for. Failures are problems of RFC 9457, long lists come in pages with a cursor.",
		Routes: s.router().Routes(), Notes: notes(), Failure: reflect.TypeFor[Problem](), Type: "application/problem+json",
	}
}

// notes is a line for each route. Examples work one after the other on an account that has the connector aws.
func notes() []openapi.Note {
	aws := map[string]string{"id": "aws"}
	limit := openapi.Parameter{Name: "limit", Meaning: "how many at most"}
	return []openapi.Note{
		{Route: "GET /belay/v1/whoami", Summary: "Whose key this is and what it may do", Example: &openapi.Example{}},
		{Route: "GET /belay/v1/version", Summary: "The versions of manager and delegate", Example: &openapi.Example{}},
		{Route: "GET /docs/errors/{page}", Summary: "The page of an error code, as Markdown", Example: &openapi.Example{Path: map[string]string{"page": "BLY-2104"}}},

		{Route: "POST /belay/v1/connectors/{id}/test", Summary: "Test a connection; one that fails is an answer", Example: &openapi.Example{Path: aws, Body: `{"identityOnly":true}`}},
		{Route: "GET /belay/v1/connectors/{id}/tests", Summary: "The tests of a connector, newest first", Query: []openapi.Parameter{limit}, Example: &openapi.Example{Path: aws, Query: map[string]string{"limit": "5"}}},
		{Route: "POST /belay/v1/connectors/{id}/preflight", Summary: "Ask whether the connector's identity has what capabilities need", Example: &openapi.Example{Path: aws, Body: `{"capabilities":["s3-read"],"narrowing":{"buckets":["artifacts"]}}`}},
		{Route: "GET /belay/v1/connectors/{id}/preflights", Summary: "The preflights of a connector, newest first", Query: []openapi.Parameter{limit}, Example: &openapi.Example{Path: aws}},
		{Route: "POST /belay/v1/connectors/{id}/oidc-token", Summary: "Mint a token of an OIDC connector", Example: &openapi.Example{Path: map[string]string{"id": "oidc"}, Body: `{"context":"PIPELINE_EXECUTION"}`}},
		{Route: "GET /belay/v1/connectors/{id}/trust-policy", Summary: "The trust policy that an OIDC connector's role needs", Example: &openapi.Example{Path: map[string]string{"id": "oidc"}}},

		{Route: "GET /belay/v1/oidc", Summary: "The account's OpenID Connect issuer and its keys", Example: &openapi.Example{}},
		{Route: "PUT /belay/v1/oidc", Summary: "Say where the issuer's documents are hosted", Example: &openapi.Example{Body: `{"issuer":"https://oidc.example.com/belay"}`}},
		{Route: "POST /belay/v1/oidc/rotate", Summary: "Bring the next signing key forward", Example: &openapi.Example{Body: `{"algorithm":"RS256"}`}},

		{Route: "POST /belay/v1/api-keys", Summary: "Create an API key; its token is shown once", Example: &openapi.Example{Body: `{"name":"pipeline","role":"editor"}`}},
		{Route: "GET /belay/v1/api-keys", Summary: "List API keys", Example: &openapi.Example{}},
		{Route: "DELETE /belay/v1/api-keys/{id}", Summary: "Revoke an API key"},
		{Route: "GET /belay/v1/audit", Summary: "Who did what, newest first", Query: []openapi.Parameter{
			{Name: "caller", Meaning: "only by this key"},
			{Name: "action", Meaning: "only this action, such as connector.test"},
			{Name: "target", Meaning: "only to this, such as connector/aws"},
			{Name: "outcome", Meaning: "allowed or denied"},
			{Name: "since", Meaning: "from this time on, RFC 3339"},
			{Name: "until", Meaning: "before this time, RFC 3339"},
			{Name: "cursor", Meaning: "the next of the page before"},
			limit,
		}, Example: &openapi.Example{Query: map[string]string{"action": "api-key.create"}}},
		{Route: "GET /belay/v1/flags", Summary: "Feature flags", Example: &openapi.Example{}},
		{Route: "PUT /belay/v1/flags/{name}", Summary: "Set a feature flag", Example: &openapi.Example{Path: map[string]string{"name": "CDS_AWS_OIDC_AUTHENTICATION"}, Body: `{"on":true}`}},

		{Route: "GET /belay/v1/delegates", Summary: "Delegates with their load", Example: &openapi.Example{}},
		{Route: "GET /belay/v1/delegates/choice", Summary: "Who would take work with these tags, and why the others would not", Query: []openapi.Parameter{{Name: "selector", Meaning: "a tag; again, or with commas, for more"}}, Example: &openapi.Example{Query: map[string]string{"selector": "eks"}}},
		{Route: "POST /belay/v1/delegates/manifest", Summary: "Write what installs a delegate", Example: &openapi.Example{Body: `{"kind":"kubernetes","name":"eks-prod","manager":"https://belay.example.com","tags":["eks"],"upgrader":true}`}},
		{Route: "POST /belay/v1/delegates/{name}/ping", Summary: "Send a task to a delegate and back", Example: &openapi.Example{Path: map[string]string{"name": "d1"}}},
		{Route: "GET /belay/v1/delegate-tokens/{name}/value", Summary: "The value of a delegate token"},
		{Route: "GET /belay/v1/tasks/{id}", Summary: "A task and who may do it"},

		{Route: "POST /belay/v1/simulations", Summary: "Decide requests by IAM policies: a scenario file", Example: &openapi.Example{Body: `{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a","request":{"principal":{"type":"aws","arn":"arn:aws:iam::111111111111:user/dev"},"action":"s3:GetObject","resource":{"arn":"arn:aws:s3:::bucket/key"}},"identityPolicies":[{"name":"p","document":{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}}}]}]}`}},
		{Route: "POST /belay/v1/policies/diff", Summary: "What one policy allows and another does not", Example: &openapi.Example{Body: `{"old":{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}},"new":{"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}}`}},
		{Route: "POST /belay/v1/policies/lint", Summary: "What is wrong, or unwise, with a policy document", Example: &openapi.Example{Body: `{"document":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket"}},"kind":"identity"}`}},
		{Route: "GET /belay/v1/capabilities", Summary: "What policies can be made for", Example: &openapi.Example{}},
		{Route: "POST /belay/v1/policies", Summary: "Make the policies for capabilities, narrowed to resources, as documents and for Terraform, CloudFormation and the AWS CLI", Example: &openapi.Example{Body: `{"capabilities":["s3-objects"],"narrowing":{"buckets":["artifacts"]},"placement":{"to":"role"}}`}},
		{Route: "POST /belay/v1/policies/trust", Summary: "Make the trust policy of a role", Example: &openapi.Example{Body: `{"for":"cross-account","principals":["123456789012"],"newExternalId":true}`}},
		{Route: "POST /belay/v1/policies/trust/explain", Summary: "Whether a trust policy lets a caller in, and why not", Example: &openapi.Example{Body: `{"trust":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}},"principal":"ecs-tasks.amazonaws.com"}`}},
	}
}
