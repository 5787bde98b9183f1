package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/sandbox"
)

const keysScene = `
accounts:
  - id: "111111111111"
    users:
      - {name: ann, attach: [AdministratorAccess], keys: [{id: AKIAANN000000000000, secret: secret-of-ann}]}
      - {name: off, attach: [AdministratorAccess], keys: [{id: AKIAOFF000000000000, secret: secret-of-off, inactive: true}]}
    rootKeys: [{id: AKIAROOT000000000000, secret: secret-of-root}]
  - id: "222222222222"
    partition: aws-us-gov
    users: [{name: gov, attach: [AdministratorAccess], keys: [{id: AKIAGOV000000000000, secret: secret-of-gov}]}]
  - id: "333333333333"
    partition: aws-cn
    users: [{name: chn, attach: [AdministratorAccess], keys: [{id: AKIACHN000000000000, secret: secret-of-chn}]}]
  - id: "444444444444"
    regions: [af-south-1]
    users: [{name: far, attach: [AdministratorAccess], keys: [{id: AKIAFAR000000000000, secret: secret-of-far}]}]
`

// summary is status, code and message of an answer in any of the envelopes, or the status alone.
func summary(status int, body string) string {
	code := regexp.MustCompile(`<Code>(.*?)</Code>|"__type":"(.*?)"`).FindStringSubmatch(body)
	message := regexp.MustCompile(`<Message>(.*?)</Message>|"[Mm]essage":"(.*?)"`).FindStringSubmatch(body)
	if code == nil || message == nil {
		return strconv.Itoa(status)
	}
	text := strings.NewReplacer("&#39;", "'", `\u0026`, "&").Replace(message[1] + message[2])
	return fmt.Sprintf("%d %s: %s", status, code[1]+code[2], text)
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	ann := keyOf("ann")
	const (
		unknown   = "403 InvalidClientTokenId: The security token included in the request is invalid."
		failed    = "401 AuthFailure: AWS was not able to validate the provided access credentials"
		wrong     = "403 SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
		wrongJSON = "400 InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	)
	p := startWith(t, sandbox.Config{Now: func() time.Time { return began }}, keysScene)
	for name, tt := range map[string]struct {
		key     key
		service string
		region  string
		late    time.Duration
		breakIt func(*request)
		want    string
	}{
		"right":                                   {ann, "sts", "us-east-1", 0, nil, "200"},
		"right at EC2":                            {ann, "ec2", "eu-west-1", 0, nil, "200"},
		"four minutes behind":                     {ann, "sts", "us-east-1", -4 * time.Minute, nil, "200"},
		"an unknown key":                          {key{"AKIANOBODY0000000000", "x", ""}, "sts", "us-east-1", 0, nil, unknown},
		"an unknown key at EC2":                   {key{"AKIANOBODY0000000000", "x", ""}, "ec2", "us-east-1", 0, nil, failed},
		"an unknown key at Organizations":         {key{"AKIANOBODY0000000000", "x", ""}, "organizations", "us-east-1", 0, nil, "400 UnrecognizedClientException: The security token included in the request is invalid."},
		"a disabled key":                          {keyOf("off"), "sts", "us-east-1", 0, nil, unknown},
		"a disabled key at EC2":                   {keyOf("off"), "ec2", "us-east-1", 0, nil, failed},
		"a wrong secret":                          {key{ann.id, "secret", ""}, "sts", "us-east-1", 0, nil, wrong},
		"a wrong secret at EC2":                   {key{ann.id, "secret", ""}, "ec2", "us-east-1", 0, nil, failed},
		"a wrong secret at Organizations":         {key{ann.id, "secret", ""}, "organizations", "us-east-1", 0, nil, wrongJSON},
		"a session token that is none":            {key{ann.id, ann.secret, "nonsense"}, "sts", "us-east-1", 0, nil, unknown},
		"20 minutes behind":                       {ann, "sts", "us-east-1", -20 * time.Minute, nil, "403 SignatureDoesNotMatch: Signature expired: 20261123T114000Z is now earlier than 20261123T115500Z (20261123T120000Z - 5 min.)"},
		"20 minutes ahead":                        {ann, "iam", "us-east-1", 20 * time.Minute, nil, "403 SignatureDoesNotMatch: Signature not yet current: 20261123T122000Z is still later than 20261123T120500Z (20261123T120000Z + 5 min.)"},
		"20 minutes behind at EC2":                {ann, "ec2", "us-east-1", -20 * time.Minute, nil, failed},
		"20 minutes behind at Organizations":      {ann, "organizations", "us-east-1", -20 * time.Minute, nil, "400 InvalidSignatureException: Signature expired: 20261123T114000Z is now earlier than 20261123T115500Z (20261123T120000Z - 5 min.)"},
		"a GovCloud key in a standard Region":     {keyOf("gov"), "sts", "us-east-1", 0, nil, unknown},
		"a GovCloud key in its own":               {keyOf("gov"), "sts", "us-gov-west-1", 0, nil, "200"},
		"a standard key in GovCloud":              {ann, "sts", "us-gov-west-1", 0, nil, unknown},
		"a standard key in GovCloud's EC2":        {ann, "ec2", "us-gov-west-1", 0, nil, failed},
		"a Chinese key in a standard Region":      {keyOf("chn"), "ec2", "us-east-1", 0, nil, failed},
		"a Chinese key in its own":                {keyOf("chn"), "ec2", "cn-north-1", 0, nil, "200"},
		"a Region that is not opted in to":        {ann, "sts", "af-south-1", 0, nil, unknown},
		"EC2 of a Region that is not opted in to": {ann, "ec2", "af-south-1", 0, nil, failed},
		"a Region that is opted in to":            {keyOf("far"), "ec2", "af-south-1", 0, nil, "200"},
		"a Region that there is not":              {ann, "sts", "moon-base-1", 0, nil, "403 SignatureDoesNotMatch: Credential should be scoped to a valid Region, not 'moon-base-1'. "},
		"no signature":                            {ann, "sts", "us-east-1", 0, func(r *request) { r.Header.Del("Authorization") }, "403 MissingAuthenticationToken: Request is missing Authentication Token"},
		"no signature at EC2":                     {ann, "ec2", "us-east-1", 0, func(r *request) { r.Header.Del("Authorization") }, failed},
		"a body that was changed":                 {ann, "sts", "us-east-1", 0, func(r *request) { r.body += "&x=y" }, wrong},
		"a header that was changed":               {ann, "sts", "us-east-1", 0, func(r *request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, wrong},
		"a header of AWS that was put in":         {ann, "sts", "us-east-1", 0, func(r *request) { r.Header.Set("X-Amz-Target", "x") }, "403 AccessDenied: There were headers present in the request which were not signed: x-amz-target"},
		"a signature that was cut":                {ann, "sts", "us-east-1", 0, func(r *request) { cut(r, 4) }, "400 IncompleteSignature: Signature is not 64 hexadecimal digits"},
		"no date":                                 {ann, "sts", "us-east-1", 0, func(r *request) { r.Header.Del("X-Amz-Date") }, "400 IncompleteSignature: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		"another day in the scope":                {ann, "sts", "us-east-1", 0, func(r *request) { swap(r, "/20261123/", "/20261122/") }, "403 SignatureDoesNotMatch: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261122' != '20261123', from '20261123T120000Z'."},
		"another service in the scope":            {ann, "sts", "us-east-1", 0, func(r *request) { swap(r, "/sts/", "/iam/") }, wrong},
		"a scope without an end":                  {ann, "sts", "us-east-1", 0, func(r *request) { swap(r, "/aws4_request", "/aws5") }, "400 IncompleteSignature: Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'."},
		"an algorithm that is not known":          {ann, "sts", "us-east-1", 0, func(r *request) { swap(r, "AWS4-HMAC-SHA256", "AWS5") }, "400 IncompleteSignature: Unsupported AWS 'algorithm': 'AWS5'."},
		"a body that is too long":                 {ann, "sts", "us-east-1", 0, func(r *request) { r.body = strings.Repeat("x", 1<<20+1) }, "413 RequestEntityTooLarge: The request body is over 1048576 bytes."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := identityCall
			switch tt.service {
			case "ec2":
				body = regionsCall
			case "iam":
				body = "Action=ListUsers&Version=2010-05-08"
			case "organizations":
				body = "{}"
			}
			r := p.sign(tt.key, tt.service, tt.region, body, began.Add(tt.late))
			if tt.breakIt != nil {
				tt.breakIt(r)
			}
			if got := summary(p.send(r)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func swap(r *request, from, to string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
}

func cut(r *request, n int) {
	h := r.Header.Get("Authorization")
	r.Header.Set("Authorization", h[:len(h)-n])
}

// TestEnvelopes holds the answers to the form that AWS gives them.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	p := startWith(t, sandbox.Config{Now: func() time.Time { return began }}, keysScene)
	nobody := key{"AKIANOBODY0000000000", "x", ""}
	id := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	for name, tt := range map[string]struct{ service, want string }{
		"query": {"sts", `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>InvalidClientTokenId</Code>
    <Message>The security token included in the request is invalid.</Message>
  </Error>
  <RequestId>ID</RequestId>
</ErrorResponse>
`},
		"EC2": {"ec2", `<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <Errors>
    <Error>
      <Code>AuthFailure</Code>
      <Message>AWS was not able to validate the provided access credentials</Message>
    </Error>
  </Errors>
  <RequestID>ID</RequestID>
</Response>
`},
		"JSON": {"organizations", `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, body := p.send(p.sign(nobody, tt.service, "us-east-1", "Action=X", began))
			if diff := cmp.Diff(tt.want, id.ReplaceAllString(body, "ID")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	p := start(t, "")
	admin := p.iam(p.admin())
	ctx := t.Context()
	if _, err := admin.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("bob")}); err != nil {
		t.Fatal(err)
	}
	made, err := admin.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("bob")})
	if err != nil {
		t.Fatal(err)
	}
	bob := key{*made.AccessKey.AccessKeyId, *made.AccessKey.SecretAccessKey, ""}
	who := func() string {
		_, err := p.sts(bob).GetCallerIdentity(ctx, nil)
		return said(t, err)
	}
	check(t, who(), "")
	set := func(status types.StatusType) {
		t.Helper()
		if _, err := admin.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: aws.String("bob"), AccessKeyId: &bob.id, Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	const invalid = "InvalidClientTokenId: The security token included in the request is invalid."
	set(types.StatusTypeInactive)
	check(t, who(), invalid)
	set(types.StatusTypeActive)
	check(t, who(), "")
	used, err := admin.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &bob.id})
	if err != nil || *used.UserName != "bob" || *used.AccessKeyLastUsed.ServiceName != "sts" {
		t.Errorf("last used: %v, %v", used, err)
	}
	if _, err := admin.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: aws.String("bob"), AccessKeyId: &bob.id}); err != nil {
		t.Fatal(err)
	}
	check(t, who(), invalid)
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	p := start(t, keysScene)
	ask := func(at time.Time, expires, header string) string {
		t.Helper()
		client := sts.NewPresignClient(p.sts(keyOf("ann")), func(o *sts.PresignOptions) {
			o.Presigner = presigner{v4.NewSigner(), at, expires, header}
		})
		signed, err := client.PresignGetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("X-K8s-Aws-Id", header)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return summary(res.StatusCode, string(body))
	}
	for name, tt := range map[string]struct {
		age             time.Duration
		expires, header string
		want            string
	}{
		"fresh":                     {0, "", "", "200"},
		"ten minutes old":           {10 * time.Minute, "", "", "200"},
		"as kubectl has it":         {0, "60", "cluster", "200"},
		"its minute is over":        {2 * time.Minute, "60", "", "403 SignatureDoesNotMatch: Signature expired: *"},
		"without end it has 15 min": {16 * time.Minute, "", "", "403 SignatureDoesNotMatch: Signature expired: *"},
		"too long a life":           {0, "604801", "", "400 IncompleteSignature: X-Amz-Expires is 604801; it is a number of seconds from 1 to 604800"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, ask(now.Add(-tt.age), tt.expires, tt.header), tt.want)
		})
	}
}

// presigner signs at a time of its own, with a life and a header.
type presigner struct {
	*v4.Signer

	at              time.Time
	expires, header string
}

func (p presigner) PresignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, _ time.Time, options ...func(*v4.SignerOptions)) (string, http.Header, error) {
	if p.expires != "" {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", p.expires)
		r.URL.RawQuery = q.Encode()
	}
	if p.header != "" {
		r.Header.Set("X-K8s-Aws-Id", p.header)
	}
	return p.Signer.PresignHTTP(ctx, c, r, hash, service, region, p.at, options...)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	now := began
	p := startWith(t, sandbox.Config{Now: func() time.Time { return now }}, keysScene)
	// The SDK's own clock is the machine's, so what it signs is signed here.
	status, body := p.send(p.sign(keyOf("ann"), "sts", "us-east-1", "Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900", now))
	if status != http.StatusOK {
		t.Fatal(body)
	}
	part := func(name string) string {
		return regexp.MustCompile("<" + name + ">(.*)</" + name + ">").FindStringSubmatch(body)[1]
	}
	session := key{part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken")}
	if got := part("Expiration"); got != "2026-11-23T12:15:00Z" {
		t.Errorf("it ends at %s", got)
	}
	for name, tt := range map[string]struct {
		after   time.Duration
		key     key
		service string
		want    string
	}{
		"in its time":             {899 * time.Second, session, "sts", "200"},
		"over":                    {900 * time.Second, session, "sts", "403 ExpiredToken: The security token included in the request is expired"},
		"over at EC2":             {900 * time.Second, session, "ec2", "400 RequestExpired: Request has expired."},
		"over at Organizations":   {time.Hour, session, "organizations", "400 ExpiredTokenException: The security token included in the request is expired"},
		"another's key":           {0, key{keyOf("ann").id, keyOf("ann").secret, session.token}, "sts", "403 InvalidClientTokenId: The security token included in the request is invalid."},
		"without its token":       {0, key{session.id, session.secret, ""}, "sts", "403 InvalidClientTokenId: The security token included in the request is invalid."},
		"a token that was broken": {0, key{session.id, session.secret, session.token[:len(session.token)-3] + "AAA"}, "sts", "403 InvalidClientTokenId: The security token included in the request is invalid."},
		"in IAM without MFA":      {0, session, "iam", "403 InvalidClientTokenId: The security token included in the request is invalid."},
	} {
		t.Run(name, func(t *testing.T) { // not parallel: they share the clock
			now = began.Add(tt.after)
			body := map[string]string{"sts": identityCall, "ec2": regionsCall, "organizations": "{}", "iam": "Action=ListUsers&Version=2010-05-08"}[tt.service]
			if got := summary(p.send(p.sign(tt.key, tt.service, "us-east-1", body, now))); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}
