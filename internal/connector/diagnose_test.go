package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/scope"
)

func keys() connector.Connector {
	return connector.Connector{
		Scope: scope.Scope{Account: "acct"}, ID: "prod", Name: "prod",
		Credential: connector.ManualConfig{AccessKey: "AKIAEXAMPLE", SecretKeyRef: "account.sk"},
	}
}

func with(change func(*connector.Connector)) connector.Connector {
	c := keys()
	change(&c)
	return c
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	const denied = "User: arn:aws:sts::111122223333:assumed-role/delegate/i-1 is not authorized to perform: "
	temporary := with(func(c *connector.Connector) {
		c.Credential = connector.ManualConfig{AccessKey: "ASIAEXAMPLE", SecretKeyRef: "account.sk", SessionTokenRef: "account.st"}
	})
	gov := with(func(c *connector.Connector) { c.Region = "us-gov-west-1" })
	optIn := with(func(c *connector.Connector) { c.Region = "af-south-1" })
	cross := with(func(c *connector.Connector) {
		c.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::222222222222:role/deploy", ExternalID: "ext-42"}
	})
	own := with(func(c *connector.Connector) { c.Credential = connector.InheritFromDelegate{} })
	issued := with(func(c *connector.Connector) {
		c.Scope, c.ID = scope.Scope{Account: "acct", Org: "o", Project: "p"}, "aws"
		c.Credential = connector.OIDC{RoleARN: "arn:aws:iam::111122223333:role/belay"}
	})

	for name, tt := range map[string]struct {
		connector connector.Connector
		failure   connector.Failure
		want      string
		cause     string // a part of it
		remedy    string // a part of one step
	}{
		"an unknown key in STS":                                 {keys(), connector.Failure{Step: connector.StepIdentity, Service: "sts", Operation: "GetCallerIdentity", Code: "InvalidClientTokenId", Status: 403, Message: "The security token included in the request is invalid."}, connector.AccessKeyUnknown, "does not know the access key AKIAEXAMPLE", "activate it"},
		"the same key where STS was asked in another partition": {keys(), connector.Failure{Step: connector.StepIdentity, Code: "InvalidClientTokenId", Status: 403, Partition: "aws-us-gov"}, connector.WrongPartition, "belong to AWS GovCloud (US)", "us-gov-west-1"},
		"a standard key in GovCloud":                            {gov, connector.Failure{Step: connector.StepIdentity, Code: "InvalidClientTokenId", Status: 403}, connector.WrongPartition, "us-gov-west-1 belongs to AWS GovCloud (US)", "arn:aws-us-gov:"},
		"AuthFailure in GovCloud is not left bare":              {gov, connector.Failure{Step: connector.StepIdentity, Code: "AuthFailure", Status: 401}, connector.WrongPartition, "another partition", ""},
		"a role of another partition":                           {cross, connector.Failure{Step: connector.StepPrepare, Reason: connector.ReasonPartition, Message: "The role lives in aws-us-gov, the test region us-east-1 in aws"}, connector.WrongPartition, "Wrong partition. The role lives in aws-us-gov", ""},
		"EC2 refuses what STS took: the Region is not enabled":  {optIn, connector.Failure{Step: connector.StepRegions, Service: "ec2", Code: "AuthFailure", Status: 401}, connector.RegionUnavailable, "has not enabled af-south-1", "Enable af-south-1"},
		"STS of an opt-in Region does not know the key":         {optIn, connector.Failure{Step: connector.StepIdentity, Code: "InvalidClientTokenId", Status: 403}, connector.RegionUnavailable, "has not enabled", ""},
		"STS is deactivated":                                    {cross, connector.Failure{Step: connector.StepAssumeRole, Code: "RegionDisabledException", Status: 403}, connector.RegionUnavailable, "STS is deactivated", "Activate"},
		"a wrong secret":                                        {keys(), connector.Failure{Step: connector.StepIdentity, Code: "SignatureDoesNotMatch", Status: 403, Message: "The request signature we calculated does not match the signature you provided."}, connector.SecretKeyWrong, "does not belong", "Store the secret"},
		"a signature that is out of date is the clock":          {keys(), connector.Failure{Step: connector.StepIdentity, Code: "SignatureDoesNotMatch", Status: 403, Message: "Signature expired: 20210502T144040Z is now earlier than 20210502T173143Z (20210502T174643Z - 15 min.)"}, connector.ClockSkew, "clock", "NTP"},
		"a signature from the future is the clock too":          {keys(), connector.Failure{Step: connector.StepIdentity, Code: "InvalidSignatureException", Message: "Signature not yet current: 20170424T013926Z is still later than …"}, connector.ClockSkew, "clock", ""},
		"an expired session":                                    {temporary, connector.Failure{Step: connector.StepIdentity, Code: "ExpiredToken", Status: 403}, connector.SessionExpired, "temporary one", "session token together"},
		"EC2's word for an expired session":                     {temporary, connector.Failure{Step: connector.StepRegions, Code: "RequestExpired", Status: 400, Message: "Request has expired."}, connector.SessionExpired, "expired", ""},
		"EC2's word for a clock, when nothing can expire":       {keys(), connector.Failure{Step: connector.StepRegions, Code: "RequestExpired", Status: 400, Message: "Request has expired."}, connector.ClockSkew, "clock", ""},
		"no DescribeRegions":                                    {keys(), connector.Failure{Step: connector.StepRegions, Service: "ec2", Operation: "DescribeRegions", Code: "UnauthorizedOperation", Status: 403, Message: "You are not authorized to perform this operation. " + denied + "ec2:DescribeRegions because no identity-based policy allows the ec2:DescribeRegions action"}, connector.PermissionMissing, "may not call ec2:DescribeRegions", `"Action": "ec2:DescribeRegions"`},
		"no DescribeRegions can be stepped around":              {keys(), connector.Failure{Step: connector.StepRegions, Service: "ec2", Operation: "DescribeRegions", Code: "UnauthorizedOperation", Status: 403}, connector.PermissionMissing, "ec2:DescribeRegions", "--identity-only"},
		"an SCP denies and is named":                            {keys(), connector.Failure{Step: connector.StepRegions, Code: "UnauthorizedOperation", Status: 403, Message: denied + "ec2:DescribeRegions with an explicit deny in a service control policy: arn:aws:organizations::9:policy/o/service_control_policy/p-1"}, connector.PermissionMissing, "service control policy arn:aws:organizations::9:policy/o/service_control_policy/p-1", "Effect Deny"},
		"a boundary allows nothing":                             {keys(), connector.Failure{Step: connector.StepRegions, Code: "UnauthorizedOperation", Status: 403, Message: denied + "ec2:DescribeRegions because no permissions boundary allows the ec2:DescribeRegions action"}, connector.PermissionMissing, "No permissions boundary allows", "in the permissions boundary"},
		"moto's word for a missing permission":                  {keys(), connector.Failure{Step: connector.StepRegions, Service: "ec2", Operation: "DescribeRegions", Code: "AccessDenied", Status: 403}, connector.PermissionMissing, "ec2:DescribeRegions", ""},
		"a role that does not let in":                           {cross, connector.Failure{Step: connector.StepAssumeRole, Service: "sts", Operation: "AssumeRole", Code: "AccessDenied", Status: 403, Message: denied + "sts:AssumeRole on resource: arn:aws:iam::222222222222:role/deploy"}, connector.RoleNotAssumable, "AWS does not tell", `"Principal": {"AWS": "arn:aws:iam::111122223333:role/delegate"}`},
		"the trust policy is to blame":                          {cross, connector.Failure{Step: connector.StepAssumeRole, Code: "AccessDenied", Message: denied + "sts:AssumeRole because no role trust policy allows the sts:AssumeRole action"}, connector.RoleNotAssumable, "trust policy does not let it in", "external id"},
		"the identity is to blame":                              {cross, connector.Failure{Step: connector.StepAssumeRole, Code: "AccessDenied", Message: denied + "sts:AssumeRole because no identity-based policy allows the sts:AssumeRole action"}, connector.RoleNotAssumable, "Its own policies do not allow it", `"Action": "sts:AssumeRole"`},
		"a duration above the role's":                           {cross, connector.Failure{Step: connector.StepAssumeRole, Code: "ValidationError", Status: 400, Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}, connector.ConfigurationRefused, "MaxSessionDuration", "Lower assumeRoleSessionDuration"},
		"nothing configured on the delegate":                    {own, connector.Failure{Step: connector.StepCredentials, Reason: connector.ReasonNoCredentials, Sources: []connector.SourceTried{{Name: "environment", Asked: "AWS_ACCESS_KEY_ID", Answer: "not set"}, {Name: "instance metadata v2", Asked: "http://169.254.169.254", Answer: "no route to host"}}}, connector.NoCredentials, "instance metadata v2: no route to host", "instance profile"},
		"the instance's role does not trust EC2":                {own, connector.Failure{Step: connector.StepCredentials, Code: "AssumeRoleUnauthorizedAccess"}, connector.NoCredentials, "EC2 may not assume", "ec2.amazonaws.com"},
		"the hop limit":                                         {own, connector.Failure{Step: connector.StepCredentials, Reason: connector.ReasonMetadataHopLimit}, connector.MetadataHopLimit, "hop limit is 1", "http-put-response-hop-limit 2"},
		"IRSA without its variables":                            {own, connector.Failure{Step: connector.StepPrepare, Reason: connector.ReasonVariablesAbsent, Missing: []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}}, connector.IRSAVariablesAbsent, "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set on delegate eks-1", "eks.amazonaws.com/role-arn"},
		"a token file that is not there":                        {own, connector.Failure{Step: connector.StepCredentials, Reason: connector.ReasonTokenFile}, connector.TokenFileUnreadable, "cannot be read", "AWS_WEB_IDENTITY_TOKEN_FILE"},
		"no provider in the role's account":                     {own, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Status: 400, Message: "No OpenIDConnect provider found in your account for https://oidc.example"}, connector.WebIdentityRefused, "no OpenID Connect provider", "create-open-id-connect-provider"},
		"a wrong audience":                                      {own, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Message: "Incorrect token audience"}, connector.WebIdentityRefused, "audience", "add-client-id"},
		"the role's conditions do not hold":                     {own, connector.Failure{Step: connector.StepWebIdentity, Code: "AccessDenied", Status: 403, Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, connector.WebIdentityRefused, "AWS does not tell which", "system:serviceaccount"},
		"an expired web identity token":                         {own, connector.Failure{Step: connector.StepWebIdentity, Code: "ExpiredTokenException", Status: 400}, connector.WebIdentityRefused, "expired", "Restart the pod"},
		"no provider for Belay's issuer":                        {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Status: 400, Message: "No OpenIDConnect provider found in your account for https://oidc.example"}, connector.WebIdentityRefused, "no OpenID Connect provider for Belay's issuer", "`belay oidc trust-policy aws --org o --project p`"},
		"an audience that Belay's provider does not list":       {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Message: "Incorrect token audience"}, connector.WebIdentityRefused, "audience of Belay's tokens", "belay oidc set --audience"},
		"a manager that AWS cannot reach":                       {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"}, connector.WebIdentityRefused, "could not fetch the signing keys", "belay oidc export"},
		"an issuer that does not answer AWS":                    {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "IDPCommunicationError", Status: 400}, connector.WebIdentityRefused, "could not fetch the signing keys", "belay oidc check"},
		"a thumbprint that is no longer Belay's":                {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Message: "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"}, connector.WebIdentityRefused, "thumbprint", "update-open-id-connect-provider-thumbprint"},
		"a token of Belay's that came too late":                 {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "ExpiredTokenException", Status: 400}, connector.WebIdentityRefused, "minted for this task", "NTP"},
		"a role that does not let Belay's token in":             {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "AccessDenied", Status: 403, Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, connector.WebIdentityRefused, "sts:TagSession", "letter by letter"},
		"a refusal of Belay's token without words":              {issued, connector.Failure{Step: connector.StepWebIdentity, Code: "InvalidIdentityToken", Status: 400}, connector.WebIdentityRefused, "AWS refuses the token", "trust-policy"},
		"throttled by STS":                                      {keys(), connector.Failure{Step: connector.StepIdentity, Code: "Throttling", Status: 400, Attempts: 4}, connector.Throttled, "after 4 tries", "retryCount"},
		"throttled by EC2 with 503":                             {keys(), connector.Failure{Step: connector.StepRegions, Code: "RequestLimitExceeded", Status: 503}, connector.Throttled, "limits the rate", ""},
		"a fault of AWS's own":                                  {keys(), connector.Failure{Step: connector.StepIdentity, Code: "InternalFailure", Status: 500, Attempts: 4}, connector.AWSUnavailable, "fault of its own", ""},
		"a host without an address":                             {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonDNS, Host: "sts.us-east-1.amazonaws.com"}, connector.HostNotFound, "no address for sts.us-east-1.amazonaws.com", "getent"},
		"a refused connection":                                  {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonConnect}, connector.HostUnreached, "cannot reach", "NAT gateway"},
		"an inspecting firewall":                                {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonTLS}, connector.TLSNotTrusted, "certificate", "CA"},
		"a proxy that wants a password":                         {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonProxy}, connector.ProxyRefused, "proxy", "PROXY_PASSWORD"},
		"silence":                                               {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonTimeout}, connector.NoAnswerInTime, "no answer", "firewall"},
		"a captive portal":                                      {keys(), connector.Failure{Step: connector.StepIdentity, Reason: connector.ReasonNotAWS, Status: 503}, connector.NotAWS, "is not AWS", "curl"},
		"an account that is not ready":                          {keys(), connector.Failure{Step: connector.StepRegions, Code: "OptInRequired", Status: 403}, connector.AccountNotReady, "not ready", ""},
		"a header that was stripped":                            {keys(), connector.Failure{Step: connector.StepIdentity, Code: "MissingAuthenticationToken", Status: 403}, connector.RequestAltered, "changed the request", "Authorization"},
		"something new":                                         {keys(), connector.Failure{Step: connector.StepIdentity, Code: "BrandNew", Status: 400, Message: "words"}, connector.Unclassified, "no name for", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := connector.Diagnose(connector.Result{
				Request:  connector.Request{Connector: tt.connector},
				Evidence: &connector.Evidence{Failure: &tt.failure}, Delegate: "eks-1",
			})
			if d == nil {
				t.Fatal("no diagnosis")
			}
			if d.Code != tt.want {
				t.Errorf("code %s, want %s (%s)", d.Code, tt.want, d.Cause)
			}
			if !strings.Contains(d.Cause, tt.cause) {
				t.Errorf("cause %q lacks %q", d.Cause, tt.cause)
			}
			if all := strings.Join(d.Remedy, "\n"); !strings.Contains(all, tt.remedy) {
				t.Errorf("remedy %q lacks %q", all, tt.remedy)
			}
			if len(d.Remedy) == 0 {
				t.Error("no remedy")
			}
			if tt.failure.Message != "" && !strings.Contains(facts(d), tt.failure.Message) {
				t.Errorf("AWS's own words are not in the evidence: %s", facts(d))
			}
		})
	}
}

func facts(d *connector.Diagnosis) string {
	var b strings.Builder
	for _, f := range d.Evidence {
		b.WriteString(f.Label + ": " + f.Text + "\n")
	}
	return b.String()
}

func TestDiagnoseWhatNobodyCouldTry(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		not  connector.NotRun
		want string
	}{
		"no delegate":      {connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate has both eks and frankfurt.", Reasons: []string{"eks-prod-1: lacks frankfurt"}}, connector.NoEligibleDelegate},
		"nobody took it":   {connector.NotRun{Cause: connector.NotTaken, Message: "m"}, connector.NoDelegateTookIt},
		"delegate lost":    {connector.NotRun{Cause: connector.DelegateLost, Message: "m"}, connector.DelegateWasLost},
		"too long":         {connector.NotRun{Cause: connector.TookTooLong, Message: "m"}, connector.TaskTimedOut},
		"no secret":        {connector.NotRun{Cause: connector.NotPrepared, Message: "m"}, connector.SecretUnavailable},
		"flag off":         {connector.NotRun{Cause: connector.FlagOff, Message: "m"}, connector.FeatureOff},
		"delegate's fault": {connector.NotRun{Cause: connector.Reported, Message: "m"}, connector.DelegateReported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := connector.Diagnose(connector.Result{Request: connector.Request{Connector: keys()}, NotRun: &tt.not})
			if d.Code != tt.want || d.Cause != tt.not.Message || len(d.Remedy) == 0 {
				t.Fatalf("got %+v", d)
			}
			if len(tt.not.Reasons) > 0 && !strings.Contains(facts(d), "eks-prod-1: lacks frankfurt") {
				t.Fatalf("the reasons are lost: %+v", d.Evidence)
			}
		})
	}
}

// What cannot be prepared for an OIDC connector is its token, not a secret.
func TestDiagnoseOfATokenThatCouldNotBeMinted(t *testing.T) {
	t.Parallel()
	c := with(func(c *connector.Connector) {
		c.Credential = connector.OIDC{RoleARN: "arn:aws:iam::111122223333:role/belay"}
	})
	d := connector.Diagnose(connector.Result{Request: connector.Request{Connector: c}, NotRun: &connector.NotRun{Cause: connector.NotPrepared, Message: "m"}})
	if d.Code != connector.NoToken || d.Cause != "m" || !strings.Contains(strings.Join(d.Remedy, " "), "belay oidc show") {
		t.Fatalf("got %+v", d)
	}
}

func TestDiagnoseOfSuccessIsNothing(t *testing.T) {
	t.Parallel()
	if d := connector.Diagnose(connector.Result{Evidence: &connector.Evidence{}}); d != nil {
		t.Fatalf("got %+v", d)
	}
}

func TestSkewIsAWarning(t *testing.T) {
	t.Parallel()
	if w := connector.SkewWarning(20*time.Minute, "eks-1"); !strings.Contains(w, "20m0s behind") {
		t.Fatalf("got %q", w)
	}
	if w := connector.SkewWarning(-20*time.Minute, ""); !strings.Contains(w, "ahead of") {
		t.Fatalf("got %q", w)
	}
	if w := connector.SkewWarning(0, "eks-1"); w != "" {
		t.Fatalf("got %q", w)
	}
}

// TestOurWordsAreNotCalledAWSs: what AWS never said is not put into its mouth.
func TestOurWordsAreNotCalledAWSs(t *testing.T) {
	t.Parallel()
	failed := func(f connector.Failure) string {
		return facts(connector.Diagnose(connector.Result{Request: connector.Request{Connector: keys()}, Evidence: &connector.Evidence{Failure: &f}}))
	}
	if text := failed(connector.Failure{Step: connector.StepPrepare, Reason: connector.ReasonConfiguration, Message: "the access key holds a blank"}); strings.Contains(text, "blank") {
		t.Errorf("the evidence repeats the cause: %s", text)
	}
	if text := failed(connector.Failure{Step: connector.StepPrepare, Message: "no home folder"}); !strings.Contains(text, "Error: no home folder") {
		t.Errorf("%s", text)
	}
	if text := failed(connector.Failure{Step: connector.StepAssumeRole, Code: "AccessDenied", Status: 403, Message: "User is not authorized"}); !strings.Contains(text, "AWS's words: User is not authorized") {
		t.Errorf("%s", text)
	}
}
