package fg

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/graph-gophers/graphql-go"

	"github.com/belay-dev/belay/internal/api"
)

// language is the part of the older schema that clients use for secrets and cloud providers. Types of secrets and clouds
// that Belay does not have are named, so that questions about them are answered rather than refused.
const language = `
schema { query: Query mutation: Mutation }
scalar Long
enum SecretType { ENCRYPTED_TEXT ENCRYPTED_FILE WINRM_CREDENTIAL SSH_CREDENTIAL }
enum AppFilter { ALL }
enum EnvFilter { PRODUCTION_ENVIRONMENTS NON_PRODUCTION_ENVIRONMENTS }
type Query {
  secret(secretId: String!, secretType: SecretType!): Secret
  secretByName(name: String!, secretType: SecretType!): Secret
  secretManager(secretManagerId: String!): SecretManager
  secretManagerByName(name: String!): SecretManager
  cloudProvider(cloudProviderId: String!): CloudProvider
  cloudProviderByName(name: String!): CloudProvider
  cloudProviders(limit: Int!, offset: Int): CloudProviderConnection
}
type Mutation {
  createSecret(input: CreateSecretInput!): SecretPayload
  updateSecret(input: UpdateSecretInput!): SecretPayload
  deleteSecret(input: DeleteSecretInput!): DeletePayload
  createCloudProvider(input: CreateCloudProviderInput!): CloudProviderPayload
  updateCloudProvider(input: UpdateCloudProviderInput!): CloudProviderPayload
  deleteCloudProvider(input: DeleteCloudProviderInput!): DeletePayload
}
interface Secret { id: String name: String secretType: SecretType usageScope: UsageScope }
type EncryptedText implements Secret {
  id: String name: String secretType: SecretType usageScope: UsageScope
  secretManagerId: String inheritScopesFromSM: Boolean scopedToAccount: Boolean
}
type UsageScope { appEnvScopes: [AppEnvScope] }
type AppEnvScope { application: AppScopeFilter environment: EnvScopeFilter }
type AppScopeFilter { filterType: AppFilter appId: String }
type EnvScopeFilter { filterType: EnvFilter envId: String }
type SecretManager { id: String name: String }
type SecretPayload { clientMutationId: String secret: Secret }
type CloudProviderPayload { clientMutationId: String cloudProvider: CloudProvider }
type DeletePayload { clientMutationId: String }
input CreateSecretInput { clientMutationId: String secretType: SecretType! encryptedText: EncryptedTextInput }
input UpdateSecretInput { clientMutationId: String secretId: String! secretType: SecretType! encryptedText: EncryptedTextInput }
input DeleteSecretInput { clientMutationId: String secretId: String! secretType: SecretType! }
input EncryptedTextInput {
  name: String value: String secretReference: String secretManagerId: String
  scopedToAccount: Boolean inheritScopesFromSM: Boolean usageScope: UsageScopeInput
}
input UsageScopeInput { appEnvScopes: [AppEnvScopeInput!] }
input AppEnvScopeInput { application: AppScopeFilterInput environment: EnvScopeFilterInput }
input AppScopeFilterInput { filterType: AppFilter appId: String }
input EnvScopeFilterInput { filterType: EnvFilter envId: String }
enum CloudProviderType { AWS AZURE GCP KUBERNETES_CLUSTER PCF PHYSICAL_DATA_CENTER SPOT_INST }
enum AwsCredentialsType { EC2_IAM IRSA MANUAL }
input CreateCloudProviderInput { clientMutationId: String cloudProviderType: CloudProviderType! awsCloudProvider: AwsCloudProviderInput }
input UpdateCloudProviderInput {
  clientMutationId: String cloudProviderId: String! cloudProviderType: CloudProviderType awsCloudProvider: AwsCloudProviderInput
}
input AwsCloudProviderInput {
  name: String credentialsType: AwsCredentialsType defaultRegion: String
  ec2IamCredentials: DelegateCredentialsInput irsaCredentials: DelegateCredentialsInput manualCredentials: AwsManualCredentialsInput
  crossAccountAttributes: AwsCrossAccountAttributesInput awsCrossAccountAttributes: AwsCrossAccountAttributesInput
}
input DelegateCredentialsInput { delegateSelector: String usageScope: UsageScopeInput }
input AwsManualCredentialsInput { accessKey: String accessKeySecretId: String secretKeySecretId: String }
input AwsCrossAccountAttributesInput { assumeCrossAccountRole: Boolean crossAccountRoleArn: String externalId: String }
input DeleteCloudProviderInput { clientMutationId: String cloudProviderId: String! }
interface CloudProvider {
  id: String name: String description: String createdAt: Long createdBy: User type: String isContinuousEfficiencyEnabled: Boolean
}
type AwsCloudProvider implements CloudProvider {
  id: String name: String description: String createdAt: Long createdBy: User type: String isContinuousEfficiencyEnabled: Boolean
  ceHealthStatus: CEHealthStatus
}
type CEHealthStatus {
  isHealthy: Boolean isCEConnector: Boolean messages: [String] clusterHealthStatusList: [CEClusterHealth]
}
type CEClusterHealth { clusterId: String clusterName: String errors: [String] messages: [String] lastEventTimestamp: Long }
type User { id: String name: String }
type CloudProviderConnection { nodes: [CloudProvider] pageInfo: PageInfo }
type PageInfo { limit: Int offset: Int total: Int hasMore: Boolean }
`

func newSchema() *graphql.Schema {
	const deepest, longest = 12, 64 << 10
	return graphql.MustParseSchema(language, &root{}, graphql.MaxDepth(deepest), graphql.MaxQueryLength(longest),
		graphql.MaxParallelism(1), graphql.UseFieldResolvers(), graphql.RestrictIntrospection(func(context.Context) bool { return false }))
}

// question is a call of GraphQL.
type question struct {
	Query     string         `json:"query"`
	Operation string         `json:"operationName"`
	Variables map[string]any `json:"variables"`
}

// graphql answers a question. Each has a root of its own, which knows who asks.
func (s *Server) graphql(ctx context.Context, c api.Call, in question) (graph, error) {
	schema, err := s.schema.Clone(&root{server: s, call: c})
	if err != nil {
		return graph{}, fmt.Errorf("bind the schema: %w", err)
	}
	response := schema.Exec(ctx, in.Query, in.Operation, in.Variables)
	for _, e := range response.Errors {
		if e.ResolverError != nil {
			s.Log.DebugContext(ctx, "graphql call failed", slog.Any("error", e.ResolverError))
		}
	}
	return graph{response}, nil
}
