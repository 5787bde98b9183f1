package connector

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/scope"
)

// Diagnose turns what was seen into cause, evidence and remedy, or gives nil when every step succeeded. It is the one
// place where a failed connection is judged. It never guesses: what the evidence does not show is said to be unknown.
func Diagnose(r Result) *Diagnosis {
	switch {
	case r.NotRun != nil:
		return notRun(*r.NotRun, r)
	case r.Evidence == nil || r.Evidence.Failure == nil:
		return nil
	}
	c, f := r.Request.Connector, *r.Evidence.Failure
	code := classify(f, c)
	d := explain(code, f, c, r)
	if p := r.Evidence.Permissions; p != nil {
		general := d.Remedy
		d = p.refine(d, code, f, c)
		if d.Finding = p.find(code, f, c); d.Finding != nil {
			for _, r := range d.Remedy {
				if slices.Contains(general, r) {
					d.Finding.Rest = append(d.Finding.Rest, r)
				}
			}
		}
	}
	d.Code = code
	d.Evidence = append(d.Evidence, facts(f)...)
	return &d
}

// explain writes cause and remedy of a code. Facts of the failure that every diagnosis shows are added by facts.
func explain(code string, f Failure, c Connector, r Result) Diagnosis {
	region := f.Region
	if region == "" {
		region = c.TestRegion()
	}
	switch code {
	case AccessKeyUnknown:
		return unknownAccessKey(f, c, r)
	case SecretKeyWrong:
		return Diagnosis{
			Cause:  "The secret access key does not belong to this access key id: AWS computes another signature.",
			Remedy: []string{"Store the secret access key again; look for a blank at its ends and for a lost / or +.", "If it is lost, make a new access key in IAM: AWS never shows a secret twice."},
		}
	case SessionExpired:
		return Diagnosis{
			Cause:  "The session has expired. " + sessionOrigin(c),
			Remedy: sessionRemedy(c),
		}
	case PermissionMissing:
		return permission(f, c)
	case RoleNotAssumable:
		return assumeRole(f, c)
	case WrongPartition:
		return partition(f, c, region)
	case RegionUnavailable:
		return unavailableRegion(f, c, region)
	case NoCredentials:
		return noCredentials(f, r)
	case IRSAVariablesAbsent:
		return irsa(f, r)
	case TokenFileUnreadable:
		return Diagnosis{
			Cause:  fmt.Sprintf("The web identity token of delegate %s cannot be read.", named(r.Delegate)),
			Remedy: []string{"Look at the path in AWS_WEB_IDENTITY_TOKEN_FILE inside the pod, and whether the delegate's user may read it (fsGroup 1001).", "Restart the pod: EKS writes the file when the pod starts."},
		}
	case WebIdentityRefused:
		return webIdentity(f, c)
	case Throttled:
		return Diagnosis{
			Cause: fmt.Sprintf("AWS limits the rate of requests of this account in %s, and still did after %s.", region, tries(f)),
			Remedy: []string{
				"Give the connector a backoff strategy with more retries and longer delays, for example EqualJitterBackoffStrategy with baseDelay 500, maxBackoffTime 20000 and retryCount 8.",
				"Find what else calls AWS so often in this account: the limit is per account and Region.",
			},
		}
	case ClockSkew:
		return Diagnosis{
			Cause:  fmt.Sprintf("The clock of %s is wrong: AWS refuses requests that are dated more than five to fifteen minutes off.", where(r)),
			Remedy: []string{"Set the clock of that machine by NTP (chrony or systemd-timesyncd; on EC2 the server 169.254.169.123)."},
		}
	case MetadataHopLimit:
		return Diagnosis{
			Cause:  fmt.Sprintf("The instance metadata of delegate %s answers, but its token does not arrive: the hop limit is 1 and the delegate runs in a container.", named(r.Delegate)),
			Remedy: []string{"aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2 --http-tokens required", "In a launch template or node group set HttpPutResponseHopLimit to 2, or give the pod a role of its own (IRSA or Pod Identity)."},
		}
	case ConfigurationRefused:
		return Diagnosis{Cause: "A setting of the connector cannot work: " + sentence(f.Message, "AWS refuses a value."), Remedy: configurationRemedy(f)}
	case AccountNotReady:
		return Diagnosis{Cause: "The AWS account is not ready: its sign-up or verification is not finished, or AWS has blocked it.", Remedy: []string{"Sign in to the account as root and finish what the console asks for, or ask AWS support."}}
	case RequestAltered:
		return Diagnosis{Cause: fmt.Sprintf("Something between %s and AWS changed the request: its signature arrived incomplete.", where(r)), Remedy: []string{"Look for a proxy or gateway that removes or rewrites the Authorization header, and let AWS's hosts pass it untouched."}}
	default:
		return network(code, f, r, region)
	}
}

func unknownAccessKey(f Failure, c Connector, r Result) Diagnosis {
	m, manual := c.Credential.(ManualConfig)
	if n := len(f.Sources); !manual && n > 0 {
		return Diagnosis{
			Cause: fmt.Sprintf("AWS does not know the access key that %s got from its %s.", where(r), f.Sources[n-1].Name),
			Remedy: []string{
				"Put a key there that AWS knows, or take it out of the " + f.Sources[n-1].Name + ": the sources after it are asked only when it is empty.",
				"A key that was made a moment ago can need ten seconds.",
			},
		}
	}
	key := "this access key"
	if m.AccessKey != "" {
		key = "the access key " + m.AccessKey
	}
	switch temporary := strings.HasPrefix(m.AccessKey, "ASIA"); {
	case m.SessionTokenRef != "":
		return Diagnosis{
			Cause: fmt.Sprintf("AWS does not know %s with this session token: the token is of another key or cut off, or the session's role or user is gone.", key),
			Remedy: []string{
				"Store a new access key, secret key and session token together: the three belong to each other.",
				"If the key begins with AKIA it is no temporary one: leave sessionTokenRef out.",
			},
		}
	case temporary:
		return Diagnosis{
			Cause:  fmt.Sprintf("AWS does not know %s by itself: it is a temporary one, and the connector sends no session token with it.", key),
			Remedy: []string{"Set sessionTokenRef too, to the session token that was given out with this key."},
		}
	}
	d := Diagnosis{
		Cause: fmt.Sprintf("AWS does not know %s. It was deleted or made inactive, or its id is mistyped; AWS does not tell which.", key),
		Remedy: []string{
			"Compare the access key id with the user's keys in IAM: activate it there if it is inactive, and if it is gone make a new one and store it.",
			"If it was made a moment ago, wait ten seconds and test again.",
		},
	}
	if m.AccessKey == "" {
		d.Remedy = append(d.Remedy, "If it begins with ASIA it is temporary: set sessionTokenRef too.")
	}
	return d
}

func network(code string, f Failure, r Result, region string) Diagnosis {
	host := f.Host
	if host == "" {
		host = "the AWS endpoint in " + region
	}
	switch code {
	case HostNotFound:
		return Diagnosis{
			Cause:  fmt.Sprintf("%s finds no address for %s.", upper(where(r)), host),
			Remedy: []string{"Look up the name from that machine (`getent hosts " + host + "`); a private network needs a resolver that knows AWS's names, or an interface VPC endpoint with private DNS.", "If AWS_ENDPOINT_URL is set, compare it."},
		}
	case HostUnreached:
		return Diagnosis{
			Cause:  fmt.Sprintf("%s cannot reach %s: no connection is made.", upper(where(r)), host),
			Remedy: []string{"Open outbound TCP 443 to it in security group, network ACL and firewall; a private subnet needs a NAT gateway or a VPC endpoint.", "If only a proxy may go out, set PROXY_HOST and PROXY_PORT on the delegate.", "If AWS_ENDPOINT_URL is set, compare it."},
		}
	case TLSNotTrusted:
		return Diagnosis{
			Cause:  fmt.Sprintf("The certificate of %s is not one that %s trusts: something opens the encrypted traffic, or the endpoint is another host.", host, where(r)),
			Remedy: []string{"If a firewall of yours inspects TLS, give its CA to the delegate: mount it and set AWS_CA_BUNDLE.", "If it is an endpoint of your own, use the name that its certificate has."},
		}
	case ProxyRefused:
		return Diagnosis{
			Cause:  fmt.Sprintf("The HTTP proxy of %s does not let the request to %s through.", where(r), host),
			Remedy: []string{"Compare PROXY_USER and PROXY_PASSWORD on the delegate, and the proxy's list of allowed hosts.", "Put AWS's hosts into NO_PROXY if they can be reached without it."},
		}
	case NoAnswerInTime:
		return Diagnosis{
			Cause:  fmt.Sprintf("%s got no answer from %s in time.", upper(where(r)), host),
			Remedy: []string{"A silent firewall is the usual reason: open outbound TCP 443 to that host.", "If answers are only slow, test again; the whole test may take 60 seconds."},
		}
	case NotAWS:
		return Diagnosis{
			Cause:  fmt.Sprintf("What answered for %s is not AWS: a proxy, a captive portal or a wrong endpoint.", host),
			Remedy: []string{"Call the endpoint with curl from that machine and read who answers.", "If AWS_ENDPOINT_URL is set, compare it."},
		}
	case AWSUnavailable:
		return Diagnosis{
			Cause:  fmt.Sprintf("AWS answered with a fault of its own after %s.", tries(f)),
			Remedy: []string{"Test again in a minute, and look at the AWS Health Dashboard for " + region + " if it stays."},
		}
	}
	return Diagnosis{
		Cause:  "AWS refused the call for a reason that Belay has no name for; AWS's own words follow.",
		Remedy: []string{"Read AWS's words in the evidence. Report them to Belay's makers, so that they get a name."},
	}
}

func permission(f Failure, c Connector) Diagnosis {
	denial, parsed := ParseDenial(f.Message)
	action := denial.Action
	if !parsed || action == "" {
		action = f.Service + ":" + f.Operation
	}
	d := Diagnosis{}
	if layer := namedLayer(denial, action); layer.cause != "" {
		d.Cause, d.Remedy = layer.cause, layer.remedy
	} else {
		d.Cause = fmt.Sprintf("The credentials work, but may not call %s.", action)
		d.Remedy = []string{"Attach this statement to the identity: " + allowStatement(action)}
	}
	if action == "ec2:DescribeRegions" {
		d.Remedy = append(d.Remedy, "Or test the identity alone: `belay connector test "+c.ID+" --identity-only`. Belay uses DescribeRegions only to list the account's Regions.")
	}
	d.Remedy = append(d.Remedy, "A changed policy can need up to five minutes to take effect; test again with --fresh.")
	d.Evidence = denialFacts(denial, parsed)
	return d
}

// byLayer is what follows from the layer that AWS names in its refusal.
type byLayer struct {
	cause  string
	remedy []string
}

// namedLayer reads the layer that refuses, and the policy where AWS names it. It is empty where AWS names none, or the
// identity's own policies for want of an Allow.
func namedLayer(denial Denial, action string) byLayer {
	var out byLayer
	switch {
	case denial.Explicit && denial.PolicyARN != "":
		out.cause = fmt.Sprintf("A statement denies %s: AWS names the %s %s.", action, denial.Layer, denial.PolicyARN)
		out.remedy = []string{fmt.Sprintf("Change the statement with Effect Deny in %s so that it leaves %s out.", denial.PolicyARN, action)}
		if ofAWS(denial.PolicyARN) && denial.Layer == "identity-based policy" {
			out.remedy = []string{fmt.Sprintf("Detach %s from the identity, or from the group that brings it: nobody can change a policy of AWS's own.", denial.PolicyARN)}
			p := Permissions{Principal: denial.Principal}
			if command := p.removed(PolicyText{ARN: denial.PolicyARN, Via: "managed"}); command != "" {
				out.remedy = append(out.remedy, command)
			}
		}
	case denial.Explicit:
		out.cause = fmt.Sprintf("A statement denies %s, in %s.", action, article(denial.Layer))
		out.remedy = []string{fmt.Sprintf("Find the statement with Effect Deny that covers %s in %s, and narrow it.", action, article(denial.Layer))}
	case denial.Layer != "" && denial.Layer != "identity-based policy":
		out.cause = fmt.Sprintf("No %s allows %s.", denial.Layer, action)
		out.remedy = []string{fmt.Sprintf("Allow %s in the %s.", action, denial.Layer)}
	}
	switch denial.Layer {
	case "service control policy":
		out.remedy = append(out.remedy, "Ask who administers the organization: in its management account such policies are read and changed.")
	case "resource control policy":
		out.remedy = append(out.remedy, "Ask who administers the organization of the resource's account: in its management account such policies are read and changed.")
	case "session policy":
		out.remedy = append(out.remedy, "A session policy is part of the session: make a new one, with a policy that allows "+action+" or with none, and store its three parts.")
	}
	return out
}

func allowStatement(action string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Action": %q, "Resource": "*"}`, action)
}

func denialFacts(d Denial, parsed bool) []Fact {
	if !parsed {
		return nil
	}
	var facts []Fact
	add := func(label, text string) {
		if text != "" {
			facts = append(facts, Fact{label, text})
		}
	}
	add("Refused identity", d.Principal)
	add("Action", d.Action)
	add("Resource", d.Resource)
	add("Layer", d.Layer)
	add("Policy", d.PolicyARN)
	add("Authorization id", d.DetailID)
	return facts
}

func assumeRole(f Failure, c Connector) Diagnosis {
	role, external := "the role", ""
	if c.CrossAccount != nil {
		role, external = c.CrossAccount.RoleARN, c.CrossAccount.ExternalID
	}
	denial, parsed := ParseDenial(f.Message)
	principal := denial.Principal
	if principal == "" {
		principal = "the connector's identity"
	}
	d := Diagnosis{
		Cause:    fmt.Sprintf("%s may not assume %s.", principal, role),
		Evidence: denialFacts(denial, parsed),
	}
	switch denial.Layer {
	case "identity-based policy":
		d.Cause += " Its own policies do not allow it."
	case "role trust policy":
		d.Cause += " The role's trust policy does not let it in."
	default:
		if layer := namedLayer(denial, "sts:AssumeRole"); layer.cause != "" {
			d.Cause += " " + layer.cause
			d.Remedy = layer.remedy
			return d
		}
		d.Cause += " AWS does not tell whether its own policies, the role's trust policy, the external id or the role's name are to blame."
	}
	if denial.Action == "sts:TagSession" || denial.Action == "sts:SetSourceIdentity" {
		d.Remedy = append(d.Remedy, "Allow "+denial.Action+" both in the identity's policy and in the role's trust policy.")
	}
	d.Remedy = append(d.Remedy,
		fmt.Sprintf(`Allow it in a policy of the identity: {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": %q}`, role),
		"Let the identity in by the role's trust policy: "+trustStatement(principal, external))
	if external == "" {
		d.Remedy = append(d.Remedy, "If the trust policy asks for sts:ExternalId, set externalId in the connector: it sends none now.")
	} else {
		d.Remedy = append(d.Remedy, "Compare the connector's external id with sts:ExternalId in the trust policy, letter by letter.")
	}
	d.Remedy = append(d.Remedy, "Check that the role exists under exactly this ARN: for a role that is not there AWS answers the same.")
	return d
}

// trustStatement is the statement that lets a principal in. A session is let in by its role: the ARN of a session
// changes with every session.
func trustStatement(principal, external string) string {
	who := "arn:aws:iam::ACCOUNT:role/NAME"
	if a, err := arn.Parse(principal); err == nil {
		who = principal
		if name, ok := strings.CutPrefix(a.Resource, "assumed-role/"); ok && a.Service == "sts" {
			name, _, _ = strings.Cut(name, "/")
			who = fmt.Sprintf("arn:%s:iam::%s:role/%s", a.Partition, a.Account, name)
		}
	}
	if external == "" {
		return fmt.Sprintf(`{"Effect": "Allow", "Principal": {"AWS": %q}, "Action": "sts:AssumeRole"}`, who)
	}
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": {"AWS": %q}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "the connector's external id"}}}`, who)
}

func partition(f Failure, c Connector, region string) Diagnosis {
	here, _ := arn.PartitionOf(region)
	d := Diagnosis{}
	switch there, known := arn.PartitionNamed(f.Partition); {
	case f.Reason == ReasonPartition && f.Message != "":
		d.Cause = "Wrong partition. " + sentence(f.Message, "Role and test region lie in different partitions.")
	case known:
		d.Cause = fmt.Sprintf("Wrong partition. These credentials belong to %s; %s needs credentials of %s.", there.Name, region, here.Name)
	default:
		d.Cause = fmt.Sprintf("Wrong partition. %s belongs to %s, and AWS there does not know this key: credentials of another partition never work in it.", region, here.Name)
	}
	if there, known := arn.PartitionNamed(f.Partition); known && there.ID != here.ID {
		d.Remedy = append(d.Remedy, fmt.Sprintf("Set the test region to one of %s, such as %s, if that is where the account is.", there.Name, there.HomeRegion))
	}
	d.Remedy = append(d.Remedy, fmt.Sprintf("Otherwise give the connector %s credentials (and roles whose ARN begins with arn:%s:).", here.Name, here.ID))
	if c.Region == "" {
		d.Remedy = append(d.Remedy, "The connector names no test region, so us-east-1 was used.")
	}
	return d
}

func unavailableRegion(f Failure, _ Connector, region string) Diagnosis {
	if f.Reason == ReasonRegion {
		return Diagnosis{
			Cause:  fmt.Sprintf("There is no Region %q that Belay or its SDK knows.", region),
			Remedy: []string{"Set the test region to one that exists, such as us-east-1 or us-gov-west-1."},
		}
	}
	if f.Code == "RegionDisabledException" {
		return Diagnosis{
			Cause:  fmt.Sprintf("STS is deactivated in %s for the account of the role.", region),
			Remedy: []string{"Activate it in that account: IAM, Account settings, Security Token Service.", "Or choose a test region where it is active, such as us-east-1, which cannot be deactivated."},
		}
	}
	return Diagnosis{
		Cause:  fmt.Sprintf("The account has not enabled %s, or the session is of the old kind that works only in default Regions.", region),
		Remedy: []string{fmt.Sprintf("Enable %s for the account (and, with a cross-account role, in both accounts): Billing console, AWS Regions.", region), "Or choose another test region."},
	}
}

func noCredentials(f Failure, r Result) Diagnosis {
	d := Diagnosis{
		Cause: fmt.Sprintf("%s has no AWS credentials of its own.", upper(where(r))),
		Remedy: []string{
			"On EC2 attach an instance profile; on ECS set taskRoleArn; on EKS use Pod Identity, or IRSA with a connector of type Irsa; elsewhere set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
			"If another delegate has the role, name it in the connector's delegateSelectors.",
		},
	}
	if f.Code == "AssumeRoleUnauthorizedAccess" {
		d.Cause = fmt.Sprintf("The instance of delegate %s has a profile, but EC2 may not assume its role.", named(r.Delegate))
		d.Remedy = []string{`Let EC2 in by the role's trust policy: {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}`}
		return d
	}
	if n := len(f.Sources); n > 0 && f.Sources[n-1].Name == "container endpoint" {
		d.Remedy = append([]string{
			`On ECS let the tasks in by the trust policy of the task role: {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}, and start the task again.`,
			`On EKS Pod Identity: {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}.`,
		}, d.Remedy...)
	}
	if n := len(f.Sources); n > 0 {
		d.Cause += fmt.Sprintf(" The last source asked was %s: %s.", f.Sources[n-1].Name, strings.TrimSuffix(f.Sources[n-1].Answer, "."))
	}
	return d
}

func irsa(f Failure, r Result) Diagnosis {
	variables := strings.Join(f.Missing, " and ")
	if variables == "" {
		variables = "AWS_ROLE_ARN"
	}
	is := "is"
	if len(f.Missing) > 1 {
		is = "are"
	}
	return Diagnosis{
		Cause: fmt.Sprintf("%s %s not set on delegate %s, so its pod has no role of its own.", variables, is, named(r.Delegate)),
		Remedy: []string{
			"Annotate the delegate's service account with the role: kubectl annotate serviceaccount NAME -n NAMESPACE eks.amazonaws.com/role-arn=arn:aws:iam::ACCOUNT:role/NAME",
			"Set serviceAccountName in the delegate's Deployment to that service account, then restart the pods: EKS sets the variables when a pod starts.",
			"If the delegate is not on EKS, use the credential type InheritFromDelegate.",
		},
	}
}

func webIdentity(f Failure, c Connector) Diagnosis {
	if _, ok := c.Credential.(OIDC); ok {
		return issuedToken(f, c)
	}
	w := tokenOf(f)
	d := Diagnosis{Cause: "AWS refuses the web identity token.", Evidence: w.facts()}
	has := func(part string) bool { return strings.Contains(strings.ToLower(f.Message), strings.ToLower(part)) }
	switch {
	case has("No OpenIDConnect provider found"):
		d.Cause = fmt.Sprintf("%s has no OpenID Connect provider for %s.", upper(w.account), w.issuer)
		d.Remedy = []string{"Create the provider in the account of the role, with exactly the issuer's URL:", w.createProvider()}
	case has("audience"):
		d.Cause = fmt.Sprintf("The OpenID Connect provider for %s in %s does not list %s.", w.issuer, w.account, w.audience)
		d.Remedy = []string{"Add the audience, in the account of the role:", w.addAudience()}
	case has("verification key") && f.Code != "IDPCommunicationError":
		d.Cause = fmt.Sprintf("AWS found no signing key for the token at %s: the discovery document or the key set cannot be read, or the key set lacks the key that signed.", w.issuer)
		d.Remedy = []string{
			"Make the issuer's discovery document and key set reachable from the internet over HTTPS, with a certificate that AWS trusts.",
			"If they are, get a new token, signed by a key of the key set: restart the pod.",
		}
	case has("not a valid JWT"):
		d.Cause = "What was sent to AWS is no web identity token."
		d.Remedy = []string{"Look at what wrote the file of AWS_WEB_IDENTITY_TOKEN_FILE: in a pod EKS does, so restart the pod. The file holds one token of three parts, with a dot between them, and nothing else."}
	case has("signature"):
		d.Cause = fmt.Sprintf("The token's signature is not by the key that %s publishes.", w.issuer)
		d.Remedy = []string{"Get a new token: restart the pod. If it stays, the issuer signs with a key that it does not publish."}
	case has("thumbprint"):
		d.Cause = fmt.Sprintf("The certificate of %s does not match the thumbprint of the OpenID Connect provider.", w.issuer)
		d.Remedy = []string{
			"Update the provider's thumbprint list to the issuer's present certificate authority, in the account of the role: aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn " + w.provider + " --thumbprint-list THUMBPRINT",
			"THUMBPRINT is the SHA-1 of the last certificate of the chain: `openssl s_client -showcerts` shows the chain, `openssl x509 -fingerprint -sha1` the sum.",
		}
	case strings.HasPrefix(f.Code, "Expired"):
		d.Cause = "The web identity token has expired" + w.expired() + "."
		d.Remedy = []string{"Restart the pod, so that EKS writes a new token; a token that stays old means that the kubelet cannot refresh it.", "Compare the clocks of the node and of the issuer."}
	case strings.HasPrefix(f.Code, "AccessDenied"):
		d.Cause = fmt.Sprintf("%s does not let %s in: the role is absent, its trust policy names another provider, or its conditions on aud and sub do not hold. AWS does not tell which.", upper(w.role), w.subject)
		d.Remedy = w.letIn()
	case f.Code == "IDPCommunicationError":
		d.Cause = fmt.Sprintf("AWS could not reach %s.", w.issuer)
		d.Remedy = []string{"Test again; if it stays, make the issuer reachable from the internet."}
	default:
		d.Remedy = []string{"Compare issuer, audience and subject of the token with the OpenID Connect provider and the role's trust policy."}
	}
	return d
}

// issuedToken is webIdentity for a token that Belay's own issuer signed: what belongs to it is known by name.
func issuedToken(f Failure, c Connector) Diagnosis {
	w := tokenOf(f)
	d := Diagnosis{Cause: "AWS refuses the token of Belay's issuer.", Evidence: w.facts()}
	has := func(part string) bool { return strings.Contains(strings.ToLower(f.Message), strings.ToLower(part)) }
	command := func(words string) string {
		switch c.Scope.Level() {
		case scope.Project:
			words += " --org " + c.Scope.Org + " --project " + c.Scope.Project
		case scope.Organization:
			words += " --org " + c.Scope.Org
		case scope.Account:
		}
		return "`belay oidc " + words + "`"
	}
	trust := command("trust-policy " + c.ID)
	const check = "`belay oidc check` fetches what AWS fetches, and says what stands in its way."
	switch {
	case has("No OpenIDConnect provider found"):
		d.Cause = "The role's account has no OpenID Connect provider for Belay's issuer."
		d.Remedy = []string{"Create it in the account of the role, with exactly the issuer that " + trust + " names:", w.createProvider()}
	case has("audience"):
		d.Cause = "The OpenID Connect provider in the role's account does not list the audience of Belay's tokens."
		d.Remedy = []string{"Add it, as " + trust + " names it:", w.addAudience(), "Or set the audience that the provider lists: `belay oidc set --audience AUDIENCE`"}
	case has("verification key"), f.Code == "IDPCommunicationError":
		d.Cause = "AWS could not fetch the signing keys of Belay's issuer."
		d.Remedy = []string{check, "Make the issuer reachable from the internet over HTTPS, or host its documents elsewhere: `belay oidc export FOLDER`"}
	case has("thumbprint"):
		d.Cause = "The certificate of Belay's issuer does not match the thumbprint of the OpenID Connect provider."
		d.Remedy = []string{check + " It prints the thumbprint.", "aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn " + w.provider + " --thumbprint-list THUMBPRINT"}
	case strings.HasPrefix(f.Code, "Expired"):
		d.Cause = "The token was too old for AWS, though it was minted for this task."
		d.Remedy = []string{"Set the manager's clock by NTP: a token lives ten minutes at least, so the clock is further off than that."}
	case strings.HasPrefix(f.Code, "AccessDenied"):
		d.Cause = "The role does not let this token in: the role is absent, its trust policy names another provider, its conditions on aud and sub do not hold, or it does not allow sts:TagSession for a token with session tags. AWS does not tell which."
		d.Remedy = []string{"Compare the role's trust policy with what " + trust + " prints, letter by letter.", "Check that the role exists, and that the flag PL_OIDC_ENHANCED_SUBJECT_FIELD was not turned since: it changes sub."}
	default:
		d.Remedy = []string{"Compare the provider and the role's trust policy with what " + trust + " prints.", check}
	}
	return d
}

func sessionOrigin(c Connector) string {
	if m, ok := c.Credential.(ManualConfig); ok && m.SessionTokenRef != "" {
		return "The connector's session token is a temporary one, and its time is over."
	}
	return "The delegate's temporary credentials are older than AWS accepts."
}

func sessionRemedy(c Connector) []string {
	if m, ok := c.Credential.(ManualConfig); ok && m.SessionTokenRef != "" {
		return []string{"Store a new access key, secret key and session token together: the three belong to each other.", "A role that the delegate assumes by itself (InheritFromDelegate, Irsa) needs no renewal by hand."}
	}
	return []string{"Test again with --fresh, which gets new credentials.", "If it stays, look at what refreshes them on the delegate: instance metadata, or whoever set the AWS_ variables."}
}

func configurationRemedy(f Failure) []string {
	switch {
	case strings.Contains(f.Message, "MaxSessionDuration"):
		return []string{"Lower assumeRoleSessionDuration, or raise the role's maximum session duration in IAM."}
	case strings.Contains(f.Message, "role chaining"):
		return []string{"Set assumeRoleSessionDuration to 3600 or less: a role that is assumed with a role's credentials lasts an hour at most."}
	case strings.Contains(f.Message, "PackedPolicy") || f.Code == "PackedPolicyTooLarge":
		return []string{"Pass fewer or shorter session tags."}
	}
	return []string{"Correct that setting in the connector and test again."}
}

// SkewWarning is what a green test says about a clock that the SDK had to correct for, or "".
func SkewWarning(skew time.Duration, delegate string) string {
	if skew == 0 {
		return ""
	}
	which := "behind"
	if skew < 0 {
		which = "ahead of"
	}
	return fmt.Sprintf("The clock of %s is %s %s AWS's. The SDK corrected for it; other programs on that machine will fail. Set it by NTP.", named(delegate), skew.Abs().Round(time.Second), which)
}

func notRun(n NotRun, r Result) *Diagnosis {
	d := Diagnosis{Cause: n.Message}
	for _, reason := range n.Reasons {
		label, text, found := strings.Cut(reason, ": ")
		if !found {
			label, text = "Delegate", reason
		}
		d.Evidence = append(d.Evidence, Fact{label, text})
	}
	c := r.Request.Connector
	switch n.Cause {
	case NoDelegate:
		d.Code, d.Remedy = NoEligibleDelegate, noDelegateRemedy(c)
	case NotTaken:
		d.Code, d.Remedy = NoDelegateTookIt, append([]string{"Look at the delegates that fit: `belay delegate list`. One that is at its limit needs more replicas or a higher threshold."}, noDelegateRemedy(c)...)
	case DelegateLost:
		d.Code, d.Remedy = DelegateWasLost, []string{"Look at the delegate's log and at whether it was restarted (memory limit, node drain), then test again."}
	case TookTooLong:
		d.Code, d.Remedy = TaskTimedOut, []string{"Look at the delegate's log. A firewall that swallows packets is the usual reason."}
	case NotPrepared:
		if _, ok := c.Credential.(OIDC); ok {
			d.Code, d.Remedy = NoToken, []string{"`belay oidc show` says whether the issuer works, with its keys; the manager's log has the cause."}
			break
		}
		d.Code, d.Remedy = SecretUnavailable, []string{"Create the secret, or correct the reference in the connector: `belay secret list` shows what is there."}
	case FlagOff:
		d.Code, d.Remedy = FeatureOff, []string{"`belay flag set NAME on`, with the name of the flag above."}
	case Reported:
		d.Code, d.Remedy = DelegateReported, []string{"Look at the delegate's log at that time."}
	default:
		d.Code = Unclassified
	}
	return &d
}

// updateDelegate is for credentials that only newer delegates can use.
const updateDelegate = "If one above is too old, update it: start the delegate again from the version that the manager has."

func noDelegateRemedy(c Connector) []string {
	var out []string
	switch one := c.Credential.(type) {
	case ManualConfig:
		if one.SessionTokenRef != "" {
			out = []string{updateDelegate}
		}
	case OIDC:
		out = []string{updateDelegate}
	case InheritFromDelegate, IRSA, Kubernetes:
	}
	if len(c.Selectors) > 0 {
		return append(out,
			"Start a delegate with these tags (DELEGATE_TAGS="+strings.Join(c.Selectors, ",")+"), or bring back the one above that is nearest.",
			"Or change the connector's delegateSelectors to tags that a connected delegate has.",
		)
	}
	return append(out, "Start a delegate: `belay delegate token show default_token` prints the token that it needs.", "Or let the manager call AWS itself: executeOnDelegate: false (not for InheritFromDelegate and Irsa).")
}

// facts is the evidence that every failed step shows: AWS's own words and what they belong to.
func facts(f Failure) (out []Fact) {
	add := func(label, text string) {
		if text != "" {
			out = append(out, Fact{label, text})
		}
	}
	call := f.Operation
	if f.Service != "" && call != "" {
		call = f.Service + ":" + call
	}
	if call != "" && f.Region != "" {
		call += " in " + f.Region
	}
	add("Call", call)
	answer := f.Code
	if f.Status != 0 {
		answer = strings.TrimSpace(answer + " (HTTP " + strconv.Itoa(f.Status) + ")")
	}
	add("AWS answered", answer)
	switch {
	case answer != "":
		// The encoded message is a thousand characters that nobody reads: it comes last.
		words, encoded := f.Message, ""
		if denial, ok := ParseDenial(f.Message); ok && len(denial.Encoded) > 0 {
			words, encoded = strings.Replace(f.Message, denial.Encoded, "…", 1), denial.Encoded
		}
		add("AWS's words", words)
		defer func() {
			if encoded != "" {
				out = append(out, Fact{"Encoded message", encoded})
			}
		}()
	case f.Reason != ReasonConfiguration: // there the cause is the message
		add("Error", f.Message)
	}
	add("Request id", f.RequestID)
	add("Host", f.Host)
	if f.Attempts > 1 {
		add("Tries", strconv.Itoa(f.Attempts))
	}
	for _, s := range f.Sources {
		text := s.Answer
		if s.Asked != "" {
			text = s.Asked + ": " + s.Answer
		}
		add("Source "+s.Name, text)
	}
	for _, m := range f.Missing {
		add("Not set", m)
	}
	if f.Message == "" {
		add("Error", f.Text)
	}
	return out
}

func where(r Result) string {
	if r.Delegate == "" {
		return "the delegate"
	}
	if r.Delegate == "platform" {
		return "the manager"
	}
	return "delegate " + r.Delegate
}

func named(delegate string) string {
	if delegate == "" {
		return "the delegate"
	}
	return delegate
}

func tries(f Failure) string {
	if f.Attempts <= 1 {
		return "one try"
	}
	return strconv.Itoa(f.Attempts) + " tries"
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func article(layer string) string {
	switch {
	case layer == "":
		return "a policy that AWS does not name"
	case strings.ContainsRune("aeiou", rune(layer[0])):
		return "an " + layer
	}
	return "a " + layer
}

func sentence(message, otherwise string) string {
	if message == "" {
		return otherwise
	}
	if strings.HasSuffix(message, ".") {
		return message
	}
	return message + "."
}
