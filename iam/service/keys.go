package service

import (
	"slices"
	"strings"
)

// KeyType is the type of a condition key's values, which decides the operators that fit it.
type KeyType string

// The types of condition keys.
const (
	String  KeyType = "string"
	ARN     KeyType = "arn"
	Bool    KeyType = "bool"
	Numeric KeyType = "numeric"
	Date    KeyType = "date"
	IP      KeyType = "ip" // an address, compared with ranges
	Binary  KeyType = "binary"
)

// ConditionKey is a condition key.
type ConditionKey struct {
	// Name may hold a variable: aws:ResourceTag/${TagKey}, s3:ExistingObjectTag/<key>.
	Name string
	Type KeyType
	// Multivalued keys have several values in one request and need ForAllValues or ForAnyValue.
	Multivalued bool
}

// Matches says whether a key of a policy is this key, with any text for the variable.
func (k ConditionKey) Matches(name string) bool {
	fixed := strings.IndexAny(k.Name, "$<")
	if tag, ok := strings.CutSuffix(k.Name, "/tag-key"); ok || strings.HasSuffix(k.Name, "/") {
		// AWS names a few keys of tags in this way: secretsmanager:ResourceTag/tag-key, sagemaker:ResourceTag/.
		tag = strings.TrimSuffix(tag, "/") + "/"
		return len(name) > len(tag) && compareFold(tag, name[:len(tag)]) == 0 || compareFold(k.Name, name) == 0
	}
	if fixed < 0 {
		return compareFold(k.Name, name) == 0
	}
	if len(name) <= fixed || compareFold(k.Name[:fixed], name[:fixed]) != 0 {
		return false // the usual case, without reading the form
	}
	// A tag's key may hold slashes and colons.
	form := steps(strings.ToLower(k.Name[fixed:]), func(string) class { return anything })
	return overlap(form, strings.ToLower(name[fixed:]), false)
}

// ConditionKey finds a key by its name in a policy, "aws:RequestTag/team": among the global ones, those of the service
// whose prefix it has, and those that services name for others. Keys of OIDC providers that are in no list, such as
// "oidc.eks.eu-central-1.amazonaws.com/id/0A1B:sub", are known by their claim.
func (r *Reference) ConditionKey(name string) (ConditionKey, bool) {
	if k, ok := find(global(), name); ok {
		return k, true
	}
	prefix, _, _ := strings.Cut(name, ":")
	if s, ok := r.Service(prefix); ok {
		if k, ok := find(s.ConditionKeys, name); ok {
			return k, true
		}
	}
	for _, s := range r.services {
		if k, ok := find(s.ConditionKeys, name); ok {
			return k, true
		}
	}
	return provided(name)
}

// provided is a key of an OIDC provider: its address without the scheme, and one of the claims that AWS hands on.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func provided(name string) (ConditionKey, bool) {
	colon := strings.LastIndexByte(name, ':')
	if colon < 0 || !strings.Contains(name[:colon], ".") {
		return ConditionKey{}, false
	}
	switch claim := strings.ToLower(name[colon+1:]); claim {
	case "aud", "email", "oaud", "sub":
		return ConditionKey{Name: name, Type: String}, true
	case "amr":
		return ConditionKey{Name: name, Type: String, Multivalued: true}, true
	}
	return ConditionKey{}, false
}

func find(keys []ConditionKey, name string) (ConditionKey, bool) {
	i := slices.IndexFunc(keys, func(k ConditionKey) bool { return k.Matches(name) })
	if i < 0 {
		return ConditionKey{}, false
	}
	return keys[i], true
}

// OwnConditionKeys are the keys that set an action apart, sorted by name: those that it carries whatever the resource,
// and those of the resource types that it works on.
func (r *Reference) OwnConditionKeys(a Action) []ConditionKey {
	names := slices.Clone(a.ConditionKeys)
	for _, u := range a.Resources {
		names = append(append(names, u.ConditionKeys...), u.Type.ConditionKeys...)
	}
	slices.SortFunc(names, compareFold)
	s, _ := r.Service(a.Service)
	var all []ConditionKey
	for _, name := range slices.Compact(names) {
		i, found := slices.BinarySearchFunc(s.ConditionKeys, name, func(k ConditionKey, name string) int { return compareFold(k.Name, name) })
		if found {
			all = append(all, s.ConditionKeys[i])
		}
	}
	return all
}

// ConditionKeys are all keys that a request for an action may carry, sorted by name: its own and the global ones. The
// three global keys about tags are among them only if they are its own, which says that the action has to do with tags.
func (r *Reference) ConditionKeys(a Action) []ConditionKey {
	all := r.OwnConditionKeys(a)
	for _, k := range global() {
		if !k.aboutTags() && !slices.ContainsFunc(all, func(other ConditionKey) bool { return compareFold(other.Name, k.Name) == 0 }) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b ConditionKey) int { return compareFold(a.Name, b.Name) })
	return all
}

// Carries says whether a request for an action may carry a key, and which it is: "aws:RequestTag/team" is
// aws:RequestTag/${TagKey}. Beside ConditionKeys it knows the keys of any OIDC provider, for the action that a token of
// one is shown to.
func (r *Reference) Carries(a Action, key string) (ConditionKey, bool) {
	if k, ok := find(r.ConditionKeys(a), key); ok {
		return k, true
	}
	if a.Service == "sts" && a.Name == "AssumeRoleWithWebIdentity" {
		return provided(key)
	}
	return ConditionKey{}, false
}

func (k ConditionKey) aboutTags() bool {
	return k.Name == "aws:RequestTag/${TagKey}" || k.Name == "aws:ResourceTag/${TagKey}" || k.Name == "aws:TagKeys"
}

// GlobalKeys are the condition keys of all services, and those of some that reach into others, sorted by name. A request
// does not hold each of them: aws:username is there for users only, aws:SourceVpce only behind an endpoint.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func GlobalKeys() []ConditionKey { return global() }

// global is written by hand: the reference that the table is made from has no global keys.
func global() []ConditionKey {
	return []ConditionKey{
		{Name: "aws:AssumedRoot", Type: Bool},
		{Name: "aws:CalledVia", Type: String, Multivalued: true},
		{Name: "aws:CalledViaAWSMCP", Type: String},
		{Name: "aws:CalledViaFirst", Type: String},
		{Name: "aws:CalledViaLast", Type: String},
		{Name: "aws:ChatbotSourceArn", Type: ARN},
		{Name: "aws:CurrentTime", Type: Date},
		{Name: "aws:Ec2InstanceSourcePrivateIPv4", Type: IP},
		{Name: "aws:Ec2InstanceSourceVpc", Type: String},
		{Name: "aws:EpochTime", Type: Date}, // numeric operators work, too
		{Name: "aws:FederatedProvider", Type: String},
		{Name: "aws:IsMcpServiceAction", Type: Bool},
		{Name: "aws:MultiFactorAuthAge", Type: Numeric},
		{Name: "aws:MultiFactorAuthPresent", Type: Bool},
		{Name: "aws:PrincipalAccount", Type: String},
		{Name: "aws:PrincipalArn", Type: ARN},
		{Name: "aws:PrincipalIsAWSService", Type: Bool},
		{Name: "aws:PrincipalOrgID", Type: String},
		{Name: "aws:PrincipalOrgPaths", Type: String, Multivalued: true},
		{Name: "aws:PrincipalServiceName", Type: String},
		{Name: "aws:PrincipalServiceNamesList", Type: String, Multivalued: true},
		{Name: "aws:PrincipalTag/${TagKey}", Type: String},
		{Name: "aws:PrincipalType", Type: String},
		{Name: "aws:referer", Type: String},
		{Name: "aws:RequestedRegion", Type: String},
		{Name: "aws:RequestTag/${TagKey}", Type: String},
		{Name: "aws:ResourceAccount", Type: String},
		{Name: "aws:ResourceOrgID", Type: String},
		{Name: "aws:ResourceOrgPaths", Type: String, Multivalued: true},
		{Name: "aws:ResourceTag/${TagKey}", Type: String},
		{Name: "aws:SecureTransport", Type: Bool},
		{Name: "aws:SignInSessionArn", Type: ARN},
		{Name: "aws:SourceAccount", Type: String},
		{Name: "aws:SourceArn", Type: ARN},
		{Name: "aws:SourceIdentity", Type: String},
		{Name: "aws:SourceIp", Type: IP},
		{Name: "aws:SourceOrgID", Type: String},
		{Name: "aws:SourceOrgPaths", Type: String, Multivalued: true},
		{Name: "aws:SourceVpc", Type: String},
		{Name: "aws:SourceVpcArn", Type: ARN},
		{Name: "aws:SourceVpce", Type: String},
		{Name: "aws:TagKeys", Type: String, Multivalued: true},
		{Name: "aws:TokenIssueTime", Type: Date},
		{Name: "aws:UserAgent", Type: String},
		{Name: "aws:userid", Type: String},
		{Name: "aws:username", Type: String},
		{Name: "aws:ViaAWSMCPService", Type: Bool},
		{Name: "aws:ViaAWSService", Type: Bool},
		{Name: "aws:VpceAccount", Type: String},
		{Name: "aws:VpceOrgID", Type: String},
		{Name: "aws:VpceOrgPaths", Type: String, Multivalued: true},
		{Name: "aws:VpcSourceIp", Type: IP},

		// of one service, in the requests of sessions that it gave the credentials for
		{Name: "codebuild:BuildArn", Type: ARN},
		{Name: "codebuild:ProjectArn", Type: ARN},
		{Name: "ec2:RoleDelivery", Type: Numeric},
		{Name: "ec2:SourceInstanceArn", Type: ARN},
		{Name: "glue:CredentialIssuingService", Type: String},
		{Name: "glue:RoleAssumedBy", Type: String},
		{Name: "identitystore:UserId", Type: String},
		{Name: "lambda:SourceFunctionArn", Type: ARN},
		{Name: "ssm:SourceInstanceArn", Type: ARN},
	}
}
