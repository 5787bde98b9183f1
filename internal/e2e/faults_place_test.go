package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/connector"
)

// instanceScene has an EC2 instance with a role. TRUSTED, HOPS and PROFILE stand for what a fault changes.
const instanceScene = `
accounts:
- id: "111111111111"
  roles:
  - name: node
    inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
    trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: TRUSTED}, Action: "sts:AssumeRole"}]}
  profiles: [{name: node, role: node}]
instances: [{id: i-0123456789abcdef0, account: "111111111111", region: us-east-1, hopLimit: HOPS, distance: 2, profile: PROFILE}]
`

func instanceWith(pairs ...string) string {
	return strings.NewReplacer(append(pairs, "TRUSTED", "ec2.amazonaws.com", "HOPS", "2", "PROFILE", "node")...).Replace(instanceScene)
}

// onInstance puts the delegate into a container on the instance.
func onInstance(w *world) {
	metadata := httptest.NewServer(w.Instance("i-0123456789abcdef0"))
	w.t.Cleanup(metadata.Close)
	delete(w.env, "AWS_EC2_METADATA_DISABLED")
	w.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.URL
	w.connector.Credential = connector.InheritFromDelegate{}
}

// inTask puts the delegate into an ECS task of the role task. Its agent gives credentials when the role's trust policy lets
// ecs-tasks in, as that of ECS does; for the session itself it uses that the role trusts the administrator, too.
func inTask(w *world) {
	const role = "arn:aws:iam::" + home + ":role/task"
	agent := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		got, err := w.iam(home).GetRole(r.Context(), &awsiam.GetRoleInput{RoleName: aws.String("task")})
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		text, err := url.PathUnescape(*got.Role.AssumeRolePolicyDocument)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		trust, err := iam.Parse([]byte(text))
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		set, err := iam.Compile(iam.Policies{Resource: &iam.Policy{Name: "trust", Document: trust}}, iam.Settings{})
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		if set.Decide(&iam.Request{Principal: iam.ServicePrincipal("ecs-tasks.amazonaws.com"), Action: "sts:AssumeRole", Resource: role, ResourceAccount: home}) != iam.Allowed {
			answer.WriteHeader(http.StatusBadRequest)
			_, _ = answer.Write([]byte(`{"code":"InvalidIdInRequest","message":"CredentialsV2Request: Credentials not found"}`))
			return
		}
		out, err := sts.NewFromConfig(w.admin(home)).AssumeRole(r.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("task")})
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(answer).Encode(map[string]string{
			"RoleArn": role, "AccessKeyId": *out.Credentials.AccessKeyId, "SecretAccessKey": *out.Credentials.SecretAccessKey, "Token": *out.Credentials.SessionToken,
			"Expiration": out.Credentials.Expiration.Format(time.RFC3339),
		})
	}))
	w.t.Cleanup(agent.Close)
	w.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.URL + "/v2/credentials/5c3a"
	w.connector.Credential = connector.InheritFromDelegate{}
}

// taskScene has the role of a task, which trusts a service.
func taskScene(service string) string {
	return sceneOf(home, `  roles: [{name: task, inline: {regions: `+statement("Allow", anyRegions, "*")+`}, trust: {Version: "2012-10-17", Statement: [`+
		`{Effect: Allow, Principal: {AWS: "arn:aws:iam::111111111111:user/admin"}, Action: "sts:AssumeRole"}, {Effect: Allow, Principal: {Service: `+service+`}, Action: "sts:AssumeRole"}]}}]`+"\n")
}

// placeFaults are those of the place where a delegate runs.
func placeFaults() map[string]fault {
	good := user("inline: {regions: " + statement("Allow", anyRegions, "*") + "}")
	inherits := func(w *world) { w.connector.Credential = connector.InheritFromDelegate{} }
	key := func(w *world) { w.env["AWS_ACCESS_KEY_ID"], w.env["AWS_SECRET_ACCESS_KEY"] = belayKey, belaySecret }
	return map[string]fault{
		"the delegate has no credentials": {
			scene: good, set: inherits, code: connector.NoCredentials,
			names: []string{"delegate eks-1 has no AWS credentials of its own"},
			shown: "Source environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: not set",
			apply: told("elsewhere set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", key),
		},
		"half a key in the delegate's environment": {
			scene: good,
			set: func(w *world) {
				inherits(w)
				w.env["AWS_ACCESS_KEY_ID"] = belayKey
			},
			code: connector.NoCredentials, shown: "AWS_SECRET_ACCESS_KEY is not set, though AWS_ACCESS_KEY_ID is",
			apply: told("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", key),
		},
		"a forgotten key in the delegate's environment hides the instance's role": {
			scene: instanceWith(),
			set: func(w *world) {
				onInstance(w)
				w.env["AWS_ACCESS_KEY_ID"], w.env["AWS_SECRET_ACCESS_KEY"] = "AKIAFORGOTTEN0000000", "secret"
			},
			code: connector.AccessKeyUnknown, names: []string{"delegate eks-1 got from its environment"}, shown: "Source environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: gave credentials",
			apply: told("take it out of the environment", func(w *world) {
				delete(w.env, "AWS_ACCESS_KEY_ID")
				delete(w.env, "AWS_SECRET_ACCESS_KEY")
			}),
		},
		"the IRSA variables are absent": {
			scene: clusterWith(), set: func(w *world) { w.connector.Credential = connector.IRSA{} }, code: connector.IRSAVariablesAbsent,
			names: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set on delegate eks-1"},
			apply: told("restart the pods: EKS sets the variables when a pod starts", inPod),
		},
		"one of the IRSA variables is absent": {
			scene: clusterWith(),
			set: func(w *world) {
				inPod(w)
				delete(w.env, "AWS_ROLE_ARN")
			},
			code: connector.IRSAVariablesAbsent, names: []string{"AWS_ROLE_ARN is not set on delegate eks-1"},
			apply: told("Annotate the delegate's service account with the role", inPod),
		},
		"IRSA on a delegate outside of EKS": {
			scene: good,
			set: func(w *world) {
				key(w)
				w.connector.Credential = connector.IRSA{}
			},
			code: connector.IRSAVariablesAbsent, names: []string{"are not set on delegate eks-1"},
			apply: told("If the delegate is not on EKS, use the credential type InheritFromDelegate", inherits),
		},
		"the token file is not there": {
			scene: clusterWith(),
			set: func(w *world) {
				inPod(w)
				w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = filepath.Join(w.t.TempDir(), "none")
			},
			code: connector.TokenFileUnreadable, names: []string{"delegate eks-1 cannot be read"}, shown: "no such file",
			apply: told("Look at the path in AWS_WEB_IDENTITY_TOKEN_FILE", inPod),
		},
		"the token file is empty": {
			scene: clusterWith(),
			set: func(w *world) {
				inPod(w)
				if err := os.WriteFile(w.env["AWS_WEB_IDENTITY_TOKEN_FILE"], nil, 0o600); err != nil {
					w.t.Fatal(err)
				}
			},
			code: connector.TokenFileUnreadable, shown: "is empty",
			apply: told("Restart the pod: EKS writes the file when the pod starts", inPod),
		},
		"the hop limit of the instance is one": {
			scene: instanceWith("HOPS", "1"), set: onInstance, code: connector.MetadataHopLimit,
			names: []string{"hop limit is 1", "delegate eks-1"},
			apply: func(w *world, d *connector.Diagnosis) { // the delegate cannot ask which instance it is on: whoever reads this knows
				with := *d
				with.Remedy = slices.Clone(d.Remedy)
				for i, one := range with.Remedy {
					with.Remedy[i] = strings.Replace(one, "--instance-id ID", "--instance-id i-0123456789abcdef0", 1)
				}
				commands(w, &with)
			},
		},
		"the instance has no role": {
			scene: instanceWith("PROFILE", `""`), set: onInstance, code: connector.NoCredentials,
			names: []string{"instance metadata v2: HTTP 404: the instance has no role"},
			apply: told("On EC2 attach an instance profile", func(w *world) { w.seed(instanceWith()) }),
		},
		"the role of the instance trusts ecs-tasks": {
			scene: instanceWith("TRUSTED", "ecs-tasks.amazonaws.com"), set: onInstance, code: connector.NoCredentials,
			names: []string{"has a profile, but EC2 may not assume its role"},
			apply: told(`{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}`, func(w *world) { w.trustOf("node", "ec2.amazonaws.com") }),
		},
		"the role of the task trusts ec2 where ecs-tasks is needed": {
			scene: taskScene("ec2.amazonaws.com"), set: inTask, code: connector.NoCredentials,
			names: []string{"container endpoint", "Credentials not found"},
			apply: told(`{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}`, func(w *world) { w.trustOf("task", "ecs-tasks.amazonaws.com") }),
		},
		"the role of the instance lacks DescribeRegions": {
			scene: strings.Replace(instanceWith(), `"ec2:DescribeRegions"`, `["iam:Get*", "iam:List*"]`, 1), set: onInstance, code: connector.PermissionMissing,
			names: []string{"No policy of the identity allows ec2:DescribeRegions"},
		},
	}
}

// trustOf gives a role another trust policy: a service, beside the administrator.
func (w *world) trustOf(role, service string) {
	w.t.Helper()
	w.done(w.iam(home).UpdateAssumeRolePolicy(w.t.Context(), &awsiam.UpdateAssumeRolePolicyInput{
		RoleName: &role, PolicyDocument: aws.String(fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect": "Allow", "Principal": {"Service": %q}, "Action": "sts:AssumeRole"},{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/admin"},"Action":"sts:AssumeRole"}]}`, service)),
	}))
}
