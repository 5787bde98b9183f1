package ng

import (
	"reflect"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/api/openapi"
	"github.com/belay-dev/belay/internal/nextgen"
)

// Group is this API for the OpenAPI document.
func (s *Server) Group() openapi.Group {
	return openapi.Group{
		Tag: "nextgen", About: "The NextGen API: what existing Terraform code and SDK programs call. Every path also answers with /gateway before it.",
		Routes: served(s.router().Routes()), Notes: notes(), Wrap: wrap, Failure: reflect.TypeFor[nextgen.ErrorBody](), Type: "application/json",
	}
}

// served leaves out what only tells a client that it is set up wrongly.
func served(routes []api.Route) []api.Route {
	return slices.DeleteFunc(slices.Clone(routes), func(r api.Route) bool { return strings.HasPrefix(r.Path, "/{prefix}/") })
}

// wrap puts the envelope around an answer.
func wrap(answer reflect.Type) reflect.Type {
	field := func(name, json string, t reflect.Type) reflect.StructField {
		return reflect.StructField{Name: name, Type: t, Tag: reflect.StructTag(`json:"` + json + `"`)}
	}
	anything := reflect.TypeFor[any]()
	if answer == reflect.TypeFor[rest]() {
		return reflect.StructOf([]reflect.StructField{
			field("MetaData", "metaData", reflect.TypeFor[map[string]any]()), field("Resource", "resource", anything),
			field("ResponseMessages", "responseMessages", reflect.TypeFor[[]nextgen.Message]()),
		})
	}
	return reflect.StructOf([]reflect.StructField{
		field("Status", "status", reflect.TypeFor[string]()), field("Data", "data", answer), field("MetaData", "metaData", anything),
		field("CorrelationID", "correlationId", reflect.TypeFor[string]()),
	})
}

// notes is a line for each route. Examples work one after the other on a new account.
func notes() []openapi.Note {
	page := []openapi.Parameter{{Name: "pageIndex", Meaning: "the page, from 0"}, {Name: "pageSize", Meaning: "how many are on a page"}}
	search := append([]openapi.Parameter{{Name: "searchTerm", Meaning: "a part of name, identifier or tags"}}, page...)
	at := func(id string) map[string]string { return map[string]string{"id": id} }
	environment := []openapi.Parameter{{Name: "environmentIdentifier", Meaning: "the environment that it lies in"}}
	listed := []openapi.Parameter{
		{Name: "searchTerm", Meaning: "a part of name, identifier or tags"},
		{Name: "page", Meaning: "the page, from 0"},
		{Name: "size", Meaning: "how many are on a page"},
		{Name: "sort", Meaning: "name, identifier, createdAt or lastModifiedAt, then ,ASC or ,DESC"},
	}
	token := []openapi.Parameter{{Name: "tokenName", Meaning: "the name of the token, unless it is in the path"}}
	return []openapi.Note{
		{Route: "POST /ng/api/organizations", Summary: "Create an organization", Example: &openapi.Example{Body: `{"organization":{"identifier":"shop","name":"Shop"}}`}},
		{Route: "GET /ng/api/organizations/{id}", Summary: "Read an organization", Example: &openapi.Example{Path: at("shop")}},
		{Route: "PUT /ng/api/organizations/{id}", Summary: "Change an organization", Example: &openapi.Example{Path: at("shop"), Body: `{"organization":{"identifier":"shop","name":"The shop"}}`}},
		{Route: "GET /ng/api/organizations", Summary: "List organizations", Query: append([]openapi.Parameter{{Name: "identifiers", Meaning: "only these"}}, search...), Example: &openapi.Example{Query: map[string]string{"searchTerm": "shop"}}},
		{Route: "POST /ng/api/projects", Summary: "Create a project", Example: &openapi.Example{Query: map[string]string{"orgIdentifier": "shop"}, Body: `{"project":{"orgIdentifier":"shop","identifier":"cart","name":"Cart"}}`}},
		{Route: "GET /ng/api/projects/{id}", Summary: "Read a project", Example: &openapi.Example{Path: at("cart"), Query: map[string]string{"orgIdentifier": "shop"}}},
		{Route: "PUT /ng/api/projects/{id}", Summary: "Change a project", Example: &openapi.Example{Path: at("cart"), Query: map[string]string{"orgIdentifier": "shop"}, Body: `{"project":{"orgIdentifier":"shop","identifier":"cart","name":"The cart"}}`}},
		{Route: "GET /ng/api/projects", Summary: "List projects", Query: append([]openapi.Parameter{{Name: "orgIdentifiers", Meaning: "only of these organizations"}, {Name: "identifiers", Meaning: "only these"}, {Name: "moduleType", Meaning: "only with this module"}, {Name: "hasModule", Meaning: "false: without it instead"}}, search...), Example: &openapi.Example{}},
		{Route: "GET /ng/api/projects/list", Summary: "List projects, as older clients ask", Query: search, Example: &openapi.Example{}},

		{Route: "POST /ng/api/v2/secrets", Summary: "Create a secret; its value never comes back", Example: &openapi.Example{Body: `{"secret":{"type":"SecretText","name":"aws key","identifier":"aws_key","spec":{"secretManagerIdentifier":"harnessSecretManager","valueType":"Inline","value":"a value"}}}`}},
		{Route: "POST /ng/api/v2/secrets/yaml", Summary: "Create a secret from YAML, as belay apply takes it", Takes: "application/yaml", Example: &openapi.Example{Body: "secret:\n  name: aws token\n  identifier: aws_token\n  type: SecretText\n  spec: {secretManagerIdentifier: harnessSecretManager, valueType: Inline, value: a value}\n"}},
		{Route: "PUT /ng/api/v2/secrets/yaml", Summary: "Change the secret that the YAML names", Takes: "application/yaml", Example: &openapi.Example{Body: "secret:\n  name: aws token two\n  identifier: aws_token\n  type: SecretText\n  spec: {secretManagerIdentifier: harnessSecretManager, valueType: Inline}\n"}},
		{Route: "PUT /ng/api/v2/secrets/{id}/yaml", Summary: "Change a secret by its YAML", Takes: "application/yaml", Example: &openapi.Example{Path: at("aws_token"), Body: "secret:\n  name: aws token\n  type: SecretText\n  spec: {secretManagerIdentifier: harnessSecretManager, valueType: Inline}\n"}},
		{Route: "GET /ng/api/v2/secrets/validateUniqueIdentifier/{id}", Summary: "Is the identifier of a secret free", Example: &openapi.Example{Path: at("other_key")}},
		{Route: "GET /ng/api/v2/secrets/{id}", Summary: "Read a secret, without its value", Example: &openapi.Example{Path: at("aws_key")}},
		{Route: "PUT /ng/api/v2/secrets/{id}", Summary: "Change a secret", Example: &openapi.Example{Path: at("aws_key"), Body: `{"secret":{"type":"SecretText","name":"aws key","identifier":"aws_key","spec":{"secretManagerIdentifier":"harnessSecretManager","valueType":"Inline","value":"another value"}}}`}},
		{Route: "GET /ng/api/v2/secrets", Summary: "List secrets", Query: append([]openapi.Parameter{{Name: "identifiers", Meaning: "only these"}, {Name: "type", Meaning: "only of this type"}, {Name: "includeSecretsFromEverySubScope", Meaning: "true: also those inside the scope"}}, search...), Example: &openapi.Example{}},
		{Route: "POST /ng/api/v2/secrets/list", Summary: "List secrets by a filter", Query: search, Example: &openapi.Example{Body: `{"filterType":"Secret","secretTypes":["SecretText"]}`}},

		{Route: "POST /ng/api/connectors", Summary: "Create a connector; nothing is called", Example: &openapi.Example{Body: `{"connector":{"name":"prod aws","identifier":"prod_aws","type":"Aws","spec":{"credential":{"type":"ManualConfig","spec":{"accessKey":"AKIAEXAMPLE","secretKeyRef":"account.aws_key"},"region":"eu-central-1"},"delegateSelectors":[],"executeOnDelegate":true,"ignoreTestConnection":false}}}`}},
		{Route: "GET /ng/api/connectors/validateUniqueIdentifier", Summary: "Is the identifier of a connector free", Query: []openapi.Parameter{{Name: "identifier", Meaning: "the identifier"}}, Example: &openapi.Example{Query: map[string]string{"identifier": "other"}}},
		{Route: "GET /ng/api/connectors/catalogue", Summary: "The kinds of connectors", Example: &openapi.Example{}},
		{Route: "GET /ng/api/connectors/stats", Summary: "Connectors by kind and status", Example: &openapi.Example{}},
		{Route: "GET /ng/api/connectors/fieldValues", Summary: "The values that connectors of a kind have in fields", Query: []openapi.Parameter{{Name: "connectorType", Meaning: "Aws"}}, Example: &openapi.Example{Query: map[string]string{"connectorType": "Aws"}}},
		{Route: "GET /ng/api/connectors/{id}", Summary: "Read a connector with its status", Example: &openapi.Example{Path: at("prod_aws")}},
		{Route: "PUT /ng/api/connectors", Summary: "Change a connector", Example: &openapi.Example{Body: `{"connector":{"name":"prod aws","identifier":"prod_aws","type":"Aws","spec":{"credential":{"type":"InheritFromDelegate","region":"eu-central-1"},"delegateSelectors":["prod"],"executeOnDelegate":true,"ignoreTestConnection":false}}}`}},
		{Route: "GET /ng/api/connectors", Summary: "List connectors", Query: append([]openapi.Parameter{{Name: "type", Meaning: "only of this kind"}, {Name: "category", Meaning: "only of this category"}, {Name: "includeAllConnectorsAvailableAtScope", Meaning: "true: also those of the scopes around"}}, search...), Example: &openapi.Example{Query: map[string]string{"searchTerm": "prod"}}},
		{Route: "POST /ng/api/connectors/listV2", Summary: "List connectors by a filter", Query: append([]openapi.Parameter{{Name: "includeAllConnectorsAvailableAtScope", Meaning: "true: also those of the scopes around"}}, search...), Example: &openapi.Example{Body: `{"filterType":"Connector","types":["Aws"]}`}},
		{Route: "POST /ng/api/connectors/listbyfqn", Summary: "Read connectors by their full names", Example: &openapi.Example{Body: `["ACCOUNT/prod_aws"]`}},
		{Route: "POST /ng/api/connectors/testConnection/{id}", Summary: "Test a connection; one that fails is an answer", Example: &openapi.Example{Path: at("prod_aws")}},

		{Route: "POST /ng/api/delegate-token-ng", Summary: "Create a delegate token", Query: append([]openapi.Parameter{{Name: "revokeAfter", Meaning: "when it ends, in milliseconds since 1970"}}, token...), Example: &openapi.Example{Query: map[string]string{"tokenName": "eks"}}},
		{Route: "GET /ng/api/delegate-token-ng", Summary: "List delegate tokens", Query: append([]openapi.Parameter{{Name: "name", Meaning: "only of this name, with its value for administrators"}, {Name: "status", Meaning: "ACTIVE or REVOKED"}}, token...), Example: &openapi.Example{}},
		{Route: "PUT /ng/api/delegate-token-ng", Summary: "Revoke a delegate token: its delegates are cut off at once", Query: token, Example: &openapi.Example{Query: map[string]string{"tokenName": "eks"}}},
		{Route: "DELETE /ng/api/delegate-token-ng", Summary: "Delete a revoked delegate token", Query: token, Example: &openapi.Example{Query: map[string]string{"tokenName": "eks"}}},
		{Route: "POST /ng/api/delegate-token-ng/{name}", Summary: "Create a delegate token, named in the path", Example: &openapi.Example{Path: map[string]string{"name": "ecs"}}},
		{Route: "GET /ng/api/delegate-token-ng/{name}", Summary: "List delegate tokens of a name", Example: &openapi.Example{Path: map[string]string{"name": "ecs"}}},
		{Route: "PUT /ng/api/delegate-token-ng/{name}", Summary: "Revoke a delegate token, named in the path", Example: &openapi.Example{Path: map[string]string{"name": "ecs"}}},
		{Route: "DELETE /ng/api/delegate-token-ng/{name}", Summary: "Delete a revoked delegate token, named in the path", Example: &openapi.Example{Path: map[string]string{"name": "ecs"}}},
		{Route: "POST /ng/api/delegate-setup/listDelegates", Summary: "List delegates", Example: &openapi.Example{Body: `{"filterType":"Delegate"}`}},
		{Route: "GET /ng/api/delegate-setup/latest-supported-version", Summary: "The newest version of the delegate", Example: &openapi.Example{}},
		{Route: "POST /ng/api/delegate-setup/generate-helm-values", Summary: "Values for the delegate's chart", Example: &openapi.Example{Body: `{"name":"eks-prod","tags":["eks"]}`}},
		{Route: "POST /ng/api/download-delegates/kubernetes", Summary: "Objects of Kubernetes that install a delegate", Example: &openapi.Example{Body: `{"name":"eks-prod","tags":["eks"],"clusterPermissionType":"CLUSTER_VIEWER"}`}},
		{Route: "POST /ng/api/download-delegates/docker", Summary: "A Compose file that installs a delegate", Example: &openapi.Example{Body: `{"name":"docker-1"}`}},

		{Route: "GET /ng/api/delegate-token-ng/delegate-groups", Summary: "List the delegates of a token", Query: []openapi.Parameter{{Name: "delegateTokenName", Meaning: "the name of the token; all tokens without it"}}, Example: &openapi.Example{}},

		{Route: "GET /ng/api/delegate-group-tags/{id}", Summary: "The tags that the delegates of a name are given, beside those that they say themselves"},
		{Route: "POST /ng/api/delegate-group-tags/{id}", Summary: "Give the delegates of a name more tags: they count as selectors from then on, also when the delegates are started anew"},
		{Route: "PUT /ng/api/delegate-group-tags/{id}", Summary: "Give the delegates of a name these tags, in place of those given before"},
		{Route: "DELETE /ng/api/delegate-group-tags/{id}", Summary: "Take the tags away that the delegates of a name were given"},
		{Route: "POST /ng/api/delegate-group-tags/delegate-groups", Summary: "List the groups of delegates that have every one of some tags", Example: &openapi.Example{Body: `{"tags":["eks"]}`}},

		{Route: "POST /ng/api/servicesV2", Summary: "Create a service; its YAML is kept byte for byte", Example: &openapi.Example{Body: `{"identifier":"cart","name":"cart","yaml":"service:\n  name: cart\n  identifier: cart\n"}`}},
		{Route: "PUT /ng/api/servicesV2", Summary: "Change a service", Example: &openapi.Example{Body: `{"identifier":"cart","name":"the cart"}`}},
		{Route: "GET /ng/api/servicesV2/{id}", Summary: "Read a service", Example: &openapi.Example{Path: at("cart")}},
		{Route: "GET /ng/api/servicesV2", Summary: "List services", Query: append([]openapi.Parameter{{Name: "serviceIdentifiers", Meaning: "only these"}}, listed...), Example: &openapi.Example{Query: map[string]string{"searchTerm": "cart"}}},
		{Route: "DELETE /ng/api/servicesV2/{id}", Summary: "Delete a service", Example: &openapi.Example{Path: at("cart")}},
		{Route: "POST /ng/api/environmentsV2", Summary: "Create an environment", Example: &openapi.Example{Body: `{"identifier":"dev","name":"dev","type":"PreProduction"}`}},
		{Route: "PUT /ng/api/environmentsV2", Summary: "Change an environment", Example: &openapi.Example{Body: `{"identifier":"dev","name":"dev","type":"Production"}`}},
		{Route: "GET /ng/api/environmentsV2/{id}", Summary: "Read an environment", Example: &openapi.Example{Path: at("dev")}},
		{Route: "GET /ng/api/environmentsV2", Summary: "List environments", Query: append([]openapi.Parameter{{Name: "envIdentifiers", Meaning: "only these"}}, listed...), Example: &openapi.Example{}},
		{Route: "POST /ng/api/infrastructures", Summary: "Create an infrastructure definition; what its fields do not say is taken from its YAML", Example: &openapi.Example{Body: `{"identifier":"ecs","name":"ecs","environmentRef":"dev","type":"ECS","yaml":"infrastructureDefinition:\n  deploymentType: ECS\n  type: ECS\n  spec: {connectorRef: prod_aws, region: eu-central-1, cluster: c1}\n"}`}},
		{Route: "PUT /ng/api/infrastructures", Summary: "Change an infrastructure definition", Example: &openapi.Example{Body: `{"identifier":"ecs","name":"the cluster","environmentRef":"dev","type":"ECS"}`}},
		{Route: "GET /ng/api/infrastructures/{id}", Summary: "Read an infrastructure definition", Query: environment, Example: &openapi.Example{Path: at("ecs"), Query: map[string]string{"environmentIdentifier": "dev"}}},
		{Route: "GET /ng/api/infrastructures", Summary: "List infrastructure definitions, of one environment or of all", Query: slices.Concat(environment, []openapi.Parameter{{Name: "infraIdentifiers", Meaning: "only these"}, {Name: "deploymentType", Meaning: "only of this deployment type"}}, listed), Example: &openapi.Example{Query: map[string]string{"environmentIdentifier": "dev"}}},
		{Route: "DELETE /ng/api/infrastructures/{id}", Summary: "Delete an infrastructure definition", Query: environment, Example: &openapi.Example{Path: at("ecs"), Query: map[string]string{"environmentIdentifier": "dev"}}},
		{Route: "DELETE /ng/api/environmentsV2/{id}", Summary: "Delete an environment with the infrastructure definitions in it", Example: &openapi.Example{Path: at("dev")}},

		{Route: "GET /ng/api/oidc/account/{account}/.well-known/openid-configuration", Summary: "Discovery of the account's OpenID Connect issuer"},
		{Route: "GET /ng/api/oidc/account/{account}/.wellknown/jwks", Summary: "The issuer's public keys"},
		{Route: "GET /ng/api/oidc/account/{account}/.well-known/jwks", Summary: "The issuer's public keys, under the other name"},

		{Route: "DELETE /ng/api/connectors/{id}", Summary: "Delete a connector and its history", Example: &openapi.Example{Path: at("prod_aws")}},
		{Route: "DELETE /ng/api/v2/secrets/{id}", Summary: "Delete a secret", Query: []openapi.Parameter{{Name: "forceDelete", Meaning: "true: also when connectors refer to it"}}, Example: &openapi.Example{Path: at("aws_key")}},
		{Route: "DELETE /ng/api/projects/{id}", Summary: "Delete a project with all that is in it", Example: &openapi.Example{Path: at("cart"), Query: map[string]string{"orgIdentifier": "shop"}}},
		{Route: "DELETE /ng/api/organizations/{id}", Summary: "Delete an organization with all that is in it", Example: &openapi.Example{Path: at("shop")}},
	}
}
