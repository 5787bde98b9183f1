package awsops_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
	"github.com/belay-dev/belay/internal/secret"
)

// twoAccounts are a user in one account and a role in another, whose trust policy has the given statements.
const twoAccounts = `
accounts:
  - id: "111111111111"
    users:
      - name: ci
        inline:
          own:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "arn:aws:iam::222222222222:role/deploy"}]
        keys: [{id: AKIACI00000000000000, secret: secret-of-ci}]
  - id: "222222222222"
    users:
      - name: owner
        attach: [AdministratorAccess]
        keys: [{id: AKIAOWNER00000000000, secret: secret-of-owner}]
    roles:
      - name: deploy
        inline:
          own:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: [%s], Resource: "*"}]
        trust:
          Version: "2012-10-17"
          Statement: [%s]
`

// rehearse runs a sandbox and gives its address and the requests that it was sent.
func rehearse(t *testing.T, reads, trust string) (address string, asked func() []string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s, err := sandbox.New(sandbox.Config{Base: "http://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seed(fmt.Appendf(nil, twoAccounts, reads, trust)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent := formOf(t, r); sent.Get("Action") == "AssumeRole" {
			mu.Lock()
			all = append(all, sent.Get("ExternalId")+" "+sent.Get("DurationSeconds"))
			mu.Unlock()
		}
		s.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// formOf reads the form that a request sends, and leaves its body as it was.
func formOf(t *testing.T, r *http.Request) url.Values {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sent, err := url.ParseQuery(string(body))
	if err != nil {
		t.Error(err)
	}
	return sent
}

func proving(externalID string) (connector.Connector, connector.Check) {
	cross := &connector.CrossAccount{RoleARN: "arn:aws:iam::222222222222:role/deploy", ExternalID: externalID}
	one := check(connector.StaticKeys{AccessKey: "AKIACI00000000000000", SecretKey: secret.NewValue("secret-of-ci")})
	one.Access.CrossAccount, one.ProveExternalID = cross, true
	return connector.Connector{CrossAccount: cross}, one
}

// The role is asked the wrong way right after it let the connector in; what the warning prints mends it.
func TestProveExternalID(t *testing.T) {
	t.Parallel()
	const (
		reads = `"ec2:DescribeRegions", "iam:GetRole"`
		asks  = `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole", Condition: {StringEquals: {"sts:ExternalId": belay-4711}}}`
		open  = `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}`
		any   = `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole", Condition: {StringLike: {"sts:ExternalId": "*"}}}`
		ifAny = `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole", Condition: {StringEqualsIfExists: {"sts:ExternalId": belay-4711}}}`
		other = `{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}`
	)
	for name, tt := range map[string]struct {
		reads, trust string
		without      connector.AttemptAnswer
		wrong        connector.AttemptAnswer
		says         string
	}{
		"the role asks for its external id": {reads, asks, connector.Refused, connector.Refused, ""},
		"the role asks for none":            {reads, other + "," + open, connector.LetIn, connector.LetIn, "without an external id, and with a wrong one. The external id protects nothing"},
		"the role takes any":                {reads, any, connector.Refused, connector.LetIn, "lets this connector's identity in with a wrong one."},
		"the role asks if one is sent":      {reads, ifAny, connector.LetIn, connector.Refused, "Change statement 1 of its trust policy"},
		"one statement asks, another not":   {reads, asks + "," + open, connector.LetIn, connector.LetIn, "Change statement 2 of its trust policy"},
		"the trust policy cannot be read":   {`"ec2:DescribeRegions"`, open, connector.LetIn, connector.LetIn, `Add to the statement of its trust policy that lets the identity in: "Condition": {"StringEquals":{"sts:ExternalId":"belay-4711"}}.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, asked := rehearse(t, tt.reads, tt.trust)
			s := sessions(variables{"AWS_ENDPOINT_URL": address})
			c, one := proving("belay-4711")
			evidence := travelled(t, s.Validate(t.Context(), one))
			if evidence.Failure != nil || evidence.Proof == nil {
				t.Fatalf("%+v", evidence)
			}
			if p := evidence.Proof; p.Without.Answer != tt.without || p.Wrong.Answer != tt.wrong {
				t.Errorf("without %s, wrong %s", p.Without.Answer, p.Wrong.Answer)
			}
			if sent := asked(); len(sent) != 3 || sent[1] != " 900" || !strings.HasPrefix(sent[2], "belay-proof-") {
				t.Errorf("it was asked %q", sent)
			}
			warnings := connector.ProofWarnings(c, evidence.Proof, "eks-1")
			if tt.says == "" {
				if len(warnings) > 0 {
					t.Errorf("%q", warnings)
				}
				return
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.says) {
				t.Fatalf("%q is missing in %q", tt.says, warnings)
			}
			// The session that is kept is the one with the right external id.
			one.ProveExternalID = false
			if again := s.Validate(t.Context(), one); again.Failure != nil || len(asked()) != 3 {
				t.Errorf("%+v after %q", again.Failure, asked())
			}
			_, after, found := strings.Cut(warnings[0], "--policy-document '")
			if !found {
				return // the trust policy was not read
			}
			mend(t, address, strings.TrimSuffix(after, "'"))
			one.ProveExternalID, one.Fresh = true, true
			if p := s.Validate(t.Context(), one).Proof; p == nil || p.Without.Answer != connector.Refused || p.Wrong.Answer != connector.Refused {
				t.Errorf("after the change: %+v", p)
			}
		})
	}
}

// mend does as the owner of the role what a warning printed.
func mend(t *testing.T, address, document string) {
	t.Helper()
	client := iam.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: &address, Credentials: credentials.NewStaticCredentialsProvider("AKIAOWNER00000000000", "secret-of-owner", ""),
	})
	if _, err := client.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("deploy"), PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
}

// travelled is evidence as the manager gets it from a delegate.
func travelled(t *testing.T, e connector.Evidence) connector.Evidence {
	t.Helper()
	raw, err := awstask.EncodeEvidence(e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := awstask.DecodeEvidence(raw)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestNothingIsProvenWithoutAnExternalID(t *testing.T) {
	t.Parallel()
	address, asked := rehearse(t, `"ec2:DescribeRegions"`, `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}`)
	s := sessions(variables{"AWS_ENDPOINT_URL": address})
	_, one := proving("")
	if e := s.Validate(t.Context(), one); e.Failure != nil || e.Proof != nil || len(asked()) != 1 {
		t.Errorf("%+v after %q", e, asked())
	}
	one.Access.CrossAccount = nil
	if e := s.Validate(t.Context(), one); e.Proof != nil {
		t.Errorf("%+v", e.Proof)
	}
	// A test that fails proves nothing.
	_, one = proving("belay-4711")
	one.Access.Revision++
	one.Access.CrossAccount.RoleARN = "arn:aws:iam::222222222222:role/nobody"
	if e := s.Validate(t.Context(), one); e.Failure == nil || e.Proof != nil {
		t.Errorf("%+v", e)
	}
}

// An answer that is neither yes nor no is told as such.
func TestAnUnclearProof(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	s, err := sandbox.New(sandbox.Config{Base: "http://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seed(fmt.Appendf(nil, twoAccounts, `"ec2:DescribeRegions"`, `{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}`)); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent := formOf(t, r); sent.Get("Action") == "AssumeRole" && sent.Get("ExternalId") != "belay-4711" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`)
			return
		}
		s.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	c, one := proving("belay-4711")
	e := sessions(variables{"AWS_ENDPOINT_URL": server.URL}).Validate(t.Context(), one)
	if e.Proof == nil || e.Proof.Without.Answer != connector.Unclear || e.Proof.Wrong.Answer != connector.Unclear {
		t.Fatalf("%+v, %+v", e.Proof, e.Failure)
	}
	want := "It could not be proven that the role asks for the external id (without an external id: Throttling Rate exceeded; with a wrong one: Throttling Rate exceeded). Test again."
	if got := connector.ProofWarnings(c, e.Proof, ""); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}
