package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
)

const instancesScene = `
accounts:
  - id: "111111111111"
    roles:
      - {name: web, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}, attach: [AmazonEC2ReadOnlyAccess]}
      - {name: tasks, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: "sts:AssumeRole"}]}}
    profiles: [{name: web, role: web}, {name: tasks, role: tasks}]
instances:
  - {id: i-00000001, account: "111111111111", region: eu-west-1, profile: web}
  - {id: i-00000002, account: "111111111111", region: eu-west-1, profile: tasks}
  - {id: i-00000003, account: "111111111111", region: eu-west-1}
  - {id: i-00000004, account: "111111111111", region: eu-west-1, profile: web, off: true}
  - {id: i-00000005, account: "111111111111", region: eu-west-1, profile: web, distance: 2}
  - {id: i-00000006, account: "111111111111", region: eu-west-1, profile: web, distance: 2, hopLimit: 2}
`

// TestMetadataForTheSDK has the SDK's own client fetch a role.
func TestMetadataForTheSDK(t *testing.T) {
	t.Parallel()
	p := start(t, instancesScene)
	for name, tt := range map[string]struct{ id, want string }{
		"its role":             {"", ""},
		"by its id":            {"i-00000001", ""},
		"with hops enough":     {"i-00000006", ""},
		"a role for ECS tasks": {"i-00000002", "AssumeRoleUnauthorizedAccess"},
		"no role":              {"i-00000003", "404"},
		"off":                  {"i-00000004", "40"},
		"there is no such":     {"i-00000009", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := p.url
			if tt.id != "" {
				server := httptest.NewServer(p.Instance(tt.id))
				t.Cleanup(server.Close)
				at = server.URL
			}
			client := imds.New(imds.Options{Endpoint: at, Retryer: aws.NopRetryer{}})
			provider := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client })
			c := p.config(key{}, "eu-west-1")
			c.Credentials = provider
			_, err := ec2.NewFromConfig(c).DescribeRegions(t.Context(), nil)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	document, err := imds.New(imds.Options{Endpoint: p.url}).GetInstanceIdentityDocument(t.Context(), nil)
	if err != nil || document.AccountID != "111111111111" || document.Region != "eu-west-1" || document.InstanceID != "i-00000001" {
		t.Errorf("%+v, %v", document, err)
	}
}

func TestMetadataByHand(t *testing.T) {
	t.Parallel()
	p := start(t, instancesScene)
	ask := func(ctx context.Context, method, path string, headers ...string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, method, p.url+path, http.NoBody)
		if err != nil {
			return "", err
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		return res.Status[:3] + " " + string(body), err
	}
	answer := func(method, path string, headers ...string) string {
		t.Helper()
		text, err := ask(t.Context(), method, path, headers...)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const ttl, with = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
	_, token, _ := strings.Cut(answer("PUT", "/latest/api/token", ttl, "60"), " ")
	got := map[string]string{
		"no life":             answer("PUT", "/latest/api/token"),
		"too long a life":     answer("PUT", "/latest/api/token", ttl, "21601"),
		"forwarded":           answer("PUT", "/latest/api/token", ttl, "60", "X-Forwarded-For", "10.0.0.1"),
		"version 1":           answer("GET", "/latest/meta-data/instance-id"),
		"a token that is not": answer("GET", "/latest/meta-data/instance-id", with, "x"),
		"another's token":     answer("GET", "/metadata/i-00000002/latest/meta-data/instance-id", with, token),
		"with a token":        answer("GET", "/latest/meta-data/instance-id", with, token),
		"the role's name":     answer("GET", "/latest/meta-data/iam/security-credentials/", with, token),
		"another role":        answer("GET", "/latest/meta-data/iam/security-credentials/other", with, token),
		"the Region":          answer("GET", "/latest/meta-data/placement/region", with, token),
		"an item of ours":     answer("GET", "/latest/meta-data/colour", with, token),
		"a method of ours":    answer("POST", "/latest/meta-data/instance-id", with, token),
	}
	want := map[string]string{
		"no life": "400 ", "too long a life": "400 ", "forwarded": "403 ", "version 1": "401 ", "a token that is not": "401 ", "another's token": "401 ",
		"with a token": "200 i-00000001", "the role's name": "200 web", "another role": "404 ", "the Region": "200 eu-west-1", "an item of ours": "404 ", "a method of ours": "405 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A container of an instance with a hop limit of 1 never gets the answer that carries the token.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if text, err := ask(ctx, "PUT", "/metadata/i-00000005/latest/api/token", ttl, "60"); err == nil {
		t.Errorf("it answers %s", text)
	}
}
