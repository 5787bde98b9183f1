package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// rule says which permission a call needs.
type rule struct {
	operation string
	route     string // of a REST call: method and path
	action    string
	resource  string            // * or a template of what stands behind the account in an ARN
	passes    map[string]string // fields that hold a role, and the service that it is passed to
}

// rules are the calls of a service that are passed on.
//
// Sources: the service authorization reference, and the URIs of AWS's published service models.
func rules(service string) []rule {
	switch service {
	case "ecs":
		return ecsRules()
	case "ecr":
		return ecrRules()
	case "lambda":
		return lambdaRules()
	case "eks":
		return eksRules()
	case "cloudformation":
		return cloudFormationRules()
	}
	return nil
}

// same are calls whose permission has their name, all on one resource.
func same(service, resource string, operations ...string) []rule {
	var out []rule
	for _, o := range operations {
		out = append(out, rule{operation: o, action: service + ":" + o, resource: resource})
	}
	return out
}

func joinRules(all ...[]rule) []rule {
	var out []rule
	for _, one := range all {
		out = append(out, one...)
	}
	return out
}

func ecsRules() []rule {
	tasks := map[string]string{"taskRoleArn": "ecs-tasks.amazonaws.com", "executionRoleArn": "ecs-tasks.amazonaws.com"}
	return joinRules(
		same("ecs", "*", "ListClusters", "ListServices", "ListTaskDefinitions", "ListTaskDefinitionFamilies", "DescribeTaskDefinition", "DeregisterTaskDefinition"),
		same("ecs", "cluster/{clusterName|default}", "CreateCluster"),
		same("ecs", "cluster/{cluster|default}", "DeleteCluster", "UpdateCluster"),
		same("ecs", "cluster/{clusters|default}", "DescribeClusters"),
		same("ecs", "service/{cluster|default}/{serviceName}", "CreateService"),
		same("ecs", "service/{cluster|default}/{service}", "UpdateService", "DeleteService"),
		same("ecs", "service/{cluster|default}/{services}", "DescribeServices"),
		same("ecs", "task-definition/{taskDefinition}", "RunTask"),
		same("ecs", "task/{cluster|default}/{task}", "StopTask"),
		same("ecs", "task/{cluster|default}/{tasks}", "DescribeTasks"),
		[]rule{{operation: "RegisterTaskDefinition", action: "ecs:RegisterTaskDefinition", resource: "task-definition/{family}:*", passes: tasks}},
	)
}

func ecrRules() []rule {
	return joinRules(
		same("ecr", "*", "GetAuthorizationToken"),
		same("ecr", "repository/{repositoryNames|*}", "DescribeRepositories"),
		same("ecr", "repository/{repositoryName}",
			"CreateRepository", "DeleteRepository", "ListImages", "DescribeImages", "BatchGetImage", "BatchCheckLayerAvailability", "BatchDeleteImage", "PutImage",
			"GetDownloadUrlForLayer", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "GetRepositoryPolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy",
			"GetLifecyclePolicy", "PutLifecyclePolicy", "PutImageTagMutability", "PutImageScanningConfiguration"),
	)
}

func lambdaRules() []rule {
	const f = "/2015-03-31/functions"
	const function = "function:{FunctionName}"
	role := map[string]string{"Role": "lambda.amazonaws.com"}
	return []rule{
		{"ListFunctions", "GET " + f, "lambda:ListFunctions", "*", nil},
		{"CreateFunction", "POST " + f, "lambda:CreateFunction", function, role},
		{"GetFunction", "GET " + f + "/{FunctionName}", "lambda:GetFunction", function, nil},
		{"DeleteFunction", "DELETE " + f + "/{FunctionName}", "lambda:DeleteFunction", function, nil},
		{"GetFunctionConfiguration", "GET " + f + "/{FunctionName}/configuration", "lambda:GetFunctionConfiguration", function, nil},
		{"UpdateFunctionConfiguration", "PUT " + f + "/{FunctionName}/configuration", "lambda:UpdateFunctionConfiguration", function, role},
		{"UpdateFunctionCode", "PUT " + f + "/{FunctionName}/code", "lambda:UpdateFunctionCode", function, nil},
		{"PublishVersion", "POST " + f + "/{FunctionName}/versions", "lambda:PublishVersion", function, nil},
		{"ListVersionsByFunction", "GET " + f + "/{FunctionName}/versions", "lambda:ListVersionsByFunction", function, nil},
		{"CreateAlias", "POST " + f + "/{FunctionName}/aliases", "lambda:CreateAlias", function, nil},
		{"ListAliases", "GET " + f + "/{FunctionName}/aliases", "lambda:ListAliases", function, nil},
		{"GetAlias", "GET " + f + "/{FunctionName}/aliases/{Name}", "lambda:GetAlias", function, nil},
		{"UpdateAlias", "PUT " + f + "/{FunctionName}/aliases/{Name}", "lambda:UpdateAlias", function, nil},
		{"DeleteAlias", "DELETE " + f + "/{FunctionName}/aliases/{Name}", "lambda:DeleteAlias", function, nil},
		{"Invoke", "POST " + f + "/{FunctionName}/invocations", "lambda:InvokeFunction", function, nil},
		{"AddPermission", "POST " + f + "/{FunctionName}/policy", "lambda:AddPermission", function, nil},
		{"GetPolicy", "GET " + f + "/{FunctionName}/policy", "lambda:GetPolicy", function, nil},
		{"RemovePermission", "DELETE " + f + "/{FunctionName}/policy/{StatementId}", "lambda:RemovePermission", function, nil},
		{"GetAccountSettings", "GET /2016-08-19/account-settings", "lambda:GetAccountSettings", "*", nil},
		{"ListLayers", "GET /2018-10-31/layers", "lambda:ListLayers", "*", nil},
	}
}

func eksRules() []rule {
	return []rule{
		{"ListClusters", "GET /clusters", "eks:ListClusters", "*", nil},
		{"CreateCluster", "POST /clusters", "eks:CreateCluster", "*", map[string]string{"roleArn": "eks.amazonaws.com"}},
		{"DescribeCluster", "GET /clusters/{name}", "eks:DescribeCluster", "cluster/{name}", nil},
		{"DeleteCluster", "DELETE /clusters/{name}", "eks:DeleteCluster", "cluster/{name}", nil},
		{"ListNodegroups", "GET /clusters/{name}/node-groups", "eks:ListNodegroups", "cluster/{name}", nil},
		{"CreateNodegroup", "POST /clusters/{name}/node-groups", "eks:CreateNodegroup", "cluster/{name}", map[string]string{"nodeRole": "ec2.amazonaws.com"}},
		{"DescribeNodegroup", "GET /clusters/{name}/node-groups/{nodegroup}", "eks:DescribeNodegroup", "nodegroup/{name}/{nodegroup}/*", nil},
		{"DeleteNodegroup", "DELETE /clusters/{name}/node-groups/{nodegroup}", "eks:DeleteNodegroup", "nodegroup/{name}/{nodegroup}/*", nil},
	}
}

func cloudFormationRules() []rule {
	role := map[string]string{"RoleARN": "cloudformation.amazonaws.com"}
	all := joinRules(
		same("cloudformation", "*", "ListStacks", "ValidateTemplate"),
		same("cloudformation", "stack/{StackName|*}/*",
			"CreateStack", "UpdateStack", "DeleteStack", "DescribeStacks", "DescribeStackEvents", "DescribeStackResource", "DescribeStackResources", "ListStackResources",
			"GetTemplate", "GetTemplateSummary", "CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "ListChangeSets", "ContinueUpdateRollback", "CancelUpdateStack"),
	)
	for i := range all {
		all[i].passes = role
	}
	return all
}

// s3Bucket and s3Object are the permissions of S3's calls by method and sub-resource; "" is the call without one.
//
//nolint:gochecknoglobals // tables
var (
	s3Bucket = map[string]string{
		"PUT ": "s3:CreateBucket", "DELETE ": "s3:DeleteBucket", "GET ": "s3:ListBucket", "HEAD ": "s3:ListBucket", "GET list-type": "s3:ListBucket",
		"GET location": "s3:GetBucketLocation", "GET versioning": "s3:GetBucketVersioning", "PUT versioning": "s3:PutBucketVersioning",
		"GET policy": "s3:GetBucketPolicy", "PUT policy": "s3:PutBucketPolicy", "DELETE policy": "s3:DeleteBucketPolicy",
		"GET tagging": "s3:GetBucketTagging", "PUT tagging": "s3:PutBucketTagging", "DELETE tagging": "s3:PutBucketTagging", "GET acl": "s3:GetBucketAcl", "PUT acl": "s3:PutBucketAcl",
		"GET versions": "s3:ListBucketVersions", "GET uploads": "s3:ListBucketMultipartUploads", "GET encryption": "s3:GetEncryptionConfiguration", "PUT encryption": "s3:PutEncryptionConfiguration",
		"GET publicAccessBlock": "s3:GetBucketPublicAccessBlock", "PUT publicAccessBlock": "s3:PutBucketPublicAccessBlock", "GET lifecycle": "s3:GetLifecycleConfiguration", "PUT lifecycle": "s3:PutLifecycleConfiguration",
	}
	s3Object = map[string]string{
		"GET ": "s3:GetObject", "HEAD ": "s3:GetObject", "PUT ": "s3:PutObject", "DELETE ": "s3:DeleteObject",
		"GET versionId": "s3:GetObjectVersion", "HEAD versionId": "s3:GetObjectVersion", "DELETE versionId": "s3:DeleteObjectVersion",
		"GET tagging": "s3:GetObjectTagging", "PUT tagging": "s3:PutObjectTagging", "DELETE tagging": "s3:DeleteObjectTagging", "GET acl": "s3:GetObjectAcl", "PUT acl": "s3:PutObjectAcl",
		"GET attributes": "s3:GetObjectAttributes", "POST uploads": "s3:PutObject", "PUT uploadId": "s3:PutObject", "POST uploadId": "s3:PutObject", "DELETE uploadId": "s3:AbortMultipartUpload", "GET uploadId": "s3:ListMultipartUploadParts",
	}
	// s3Parameters change what a call gives, not which one it is.
	s3Parameters = []string{
		"prefix", "delimiter", "marker", "max-keys", "continuation-token", "fetch-owner", "start-after", "encoding-type", "partNumber", "x-id", "key-marker", "version-id-marker", "upload-id-marker",
		"max-uploads", "max-parts", "part-number-marker", "bucket-region", "max-buckets", "expected-bucket-owner",
	}
)

// s3Permissions are what a call of S3 needs. Buckets stand in the path.
func s3Permissions(r *http.Request) ([]permission, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	sub := ""
	for name := range r.URL.Query() {
		switch {
		case strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, "response-") || slices.Contains(s3Parameters, name):
		case sub == "" || sub == "versionId":
			sub = name
		case name == "versionId":
		default:
			return nil, fail(http.StatusNotImplemented, "NotImplemented", "The sandbox does not know a call of S3 with both %s and %s.", clip(sub), clip(name))
		}
	}
	how := r.Method + " " + sub
	unknown := fail(http.StatusNotImplemented, "NotImplemented", "The sandbox does not pass on %s of S3.", clip(how))
	arn := "arn:aws:s3:::" + bucket
	switch {
	case bucket == "" && how == "GET ":
		return []permission{{action: "s3:ListAllMyBuckets", resource: "*"}}, nil
	case bucket == "":
		return nil, unknown
	case key == "" && s3Bucket[how] != "":
		p := permission{action: s3Bucket[how], resource: arn}
		if prefix := r.URL.Query().Get("prefix"); prefix != "" && sub != "uploads" {
			p.context = map[string][]string{"s3:prefix": {prefix}}
		}
		return []permission{p}, nil
	case key == "" || s3Object[how] == "":
		return nil, unknown
	}
	out := []permission{{action: s3Object[how], resource: arn + "/" + key}}
	if from := r.Header.Get("X-Amz-Copy-Source"); from != "" {
		source, _, _ := strings.Cut(from, "?")
		if plain, err := url.PathUnescape(source); err == nil {
			source = plain
		}
		out = append(out, permission{action: "s3:GetObject", resource: "arn:aws:s3:::" + strings.TrimPrefix(source, "/")})
	}
	return out, nil
}
