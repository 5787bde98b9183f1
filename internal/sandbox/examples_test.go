package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/sandbox"
)

func example(t *testing.T, name string) *plane {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "sandbox", name+".scene.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, string(text))
}

// TestExamples holds the shipped scenes to what they say of themselves.
func TestExamples(t *testing.T) {
	t.Parallel()
	t.Run("cross-account", func(t *testing.T) {
		t.Parallel()
		p := example(t, "cross-account")
		assume := func(k key, id *string) string {
			_, err := p.sts(k).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: roleARN("222222222222", "deploy"), RoleSessionName: aws.String("test"), ExternalId: id})
			return said(t, err)
		}
		ci, intern := key{"AKIACI00000000000000", "secret-of-ci", ""}, key{"AKIAINTERN0000000000", "secret-of-intern", ""}
		check(t, assume(ci, aws.String("belay-4711")), "")
		check(t, assume(ci, aws.String("another")), "AccessDenied: *")
		check(t, assume(ci, nil), "AccessDenied: *")
		check(t, assume(intern, aws.String("belay-4711")), "AccessDenied: *")
	})
	t.Run("guarded", func(t *testing.T) {
		t.Parallel()
		p := example(t, "guarded")
		regions := func(name, id, region string) string {
			_, err := ec2.NewFromConfig(p.config(key{id, "secret-of-" + name, ""}, region)).DescribeRegions(t.Context(), nil)
			return said(t, err)
		}
		const begin = "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::111111111111:user/"
		const call = " is not authorized to perform: ec2:DescribeRegions "
		check(t, regions("free", "AKIAFREE000000000000", "us-east-1"), "")
		check(t, regions("free", "AKIAFREE000000000000", "eu-west-1"), begin+"free"+call+"with an explicit deny in a service control policy: *")
		check(t, regions("bounded", "AKIABOUNDED000000000", "us-east-1"), begin+"bounded"+call+"because no permissions boundary allows*")
		check(t, regions("torn", "AKIATORN000000000000", "us-east-1"), begin+"torn"+call+"with an explicit deny in an identity-based policy: *")
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		p := example(t, "cluster")
		for subject, want := range map[string]string{"system:serviceaccount:belay:delegate": "", "system:serviceaccount:belay:other": "AccessDenied: *"} {
			token, err := p.Token(sandbox.TokenRequest{Issuer: "cluster", Subject: subject})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.withToken(roleARN("111111111111", "delegate"), token)
			check(t, said(t, err), want)
		}
		server := httptest.NewServer(p.Instance("i-0123456789abcdef0"))
		t.Cleanup(server.Close)
		c := p.config(key{}, "eu-central-1")
		c.Credentials = ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = imds.New(imds.Options{Endpoint: server.URL}) })
		who, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
		if err != nil || *who.Arn != "arn:aws:sts::111111111111:assumed-role/machine/i-0123456789abcdef0" {
			t.Errorf("%+v, %v", who, err)
		}
	})
}

// BenchmarkDescribeRegions asks the sandbox and moto, eight at a time. The request is signed once, so that it is they who
// are measured and not the SDK.
func BenchmarkDescribeRegions(b *testing.B) {
	s, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(s)
	b.Cleanup(server.Close)
	k, _ := s.Admin()
	for name, who := range map[string]both{"sandbox": {server.URL, key{k.ID, k.Secret, ""}}, "moto": {belaytest.SharedMoto(b).URL, key{"AKIAEXAMPLE000000000", "x", ""}}} {
		b.Run(name, func(b *testing.B) {
			r := signed(b, who.url, who.admin, "ec2", "us-east-1", regionsCall, time.Now())
			b.SetParallelism(4) // on two cores
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					again := r.Clone(b.Context())
					again.Body = io.NopCloser(strings.NewReader(regionsCall))
					res, err := client.Do(again)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					if res.StatusCode != http.StatusOK {
						b.Errorf("it answers %s", res.Status)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
