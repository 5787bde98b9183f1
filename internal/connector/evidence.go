package connector

import "time"

// Evidence is what a runner saw when it tried a connector: facts only, no judgement. Diagnose judges.
type Evidence struct {
	Region   string // where it was tried
	Identity *Identity
	Regions  []string // the account's enabled Regions; empty when they were not asked for or the call failed
	// RegionsSkipped: DescribeRegions was left out on request.
	RegionsSkipped bool
	// ClockSkew is how far the runner's clock is behind AWS's (negative: ahead), when the SDK had to correct for it.
	ClockSkew time.Duration
	Took      time.Duration
	Calls     []Call   // the steps that were tried, in their order, with the one that failed; empty: nobody timed them
	Failure   *Failure // nil: every step succeeded
	// Permissions are what the refused identity could read about itself; nil when AWS refused nothing, or there was nothing
	// to read with.
	Permissions *Permissions
	// Proof is whether the role asks for its external id; nil when that was not asked for, or there was nothing to prove.
	Proof *Proof
}

// Call is a step of a check and how long it took.
type Call struct {
	Step Step
	Took time.Duration
	Kept bool // nothing was called: a session from before was still good
}

// Identity is the answer of sts:GetCallerIdentity.
type Identity struct {
	ARN     string
	Account string
	UserID  string
}

// Step is the part of a check that failed.
type Step string

// The steps, in their order.
const (
	StepPrepare     Step = "prepare"      // before any call: the configuration cannot work
	StepCredentials Step = "credentials"  // getting the first credentials
	StepWebIdentity Step = "web-identity" // exchanging a token for a session
	StepAssumeRole  Step = "assume-role"  // the role in the other account
	StepIdentity    Step = "identity"     // sts:GetCallerIdentity
	StepRegions     Step = "regions"      // ec2:DescribeRegions
)

// Failure is one failed step as it was seen.
type Failure struct {
	Step      Step
	Service   string // sts, ec2, iam; empty when no AWS service was reached
	Operation string // GetCallerIdentity
	Code      string // AWS's code, such as InvalidClientTokenId
	Message   string // AWS's own words
	Status    int    // HTTP status; 0 when AWS did not answer
	RequestID string
	Attempts  int    // how often it was tried; 0 when unknown
	Region    string // of the endpoint that was called
	Text      string // the whole error chain, for the end of the page

	Reason  Reason        // what sort of failure it is where AWS's code does not say
	Host    string        // the host that could not be reached, or that answered strangely
	Sources []SourceTried // credential sources that were tried, and what each answered
	Missing []string      // environment variables that are absent
	// Partition is of the credential, found by its ARN, or by where its role lives; empty when unknown.
	Partition string
	// Role and Token are of the exchange of a web identity token that was refused: the role that it was for, and what the
	// token says of itself; nil when it cannot be read.
	Role  string
	Token *TokenClaims
}

// TokenClaims are what a web identity token says of itself. Nobody has verified it, and it is no secret: without its
// signature it opens nothing.
type TokenClaims struct {
	Issuer   string
	Subject  string
	Audience []string
	Expires  time.Time // zero: it does not say
}

// SourceTried is one place where credentials were looked for.
type SourceTried struct {
	Name   string // "instance metadata v2"
	Asked  string // http://169.254.169.254, AWS_ACCESS_KEY_ID
	Answer string // "HTTP 401", "not set", "no route to host"
}

// Reason is what happened when no AWS code tells it.
type Reason string

// The reasons.
const (
	ReasonNone             Reason = ""
	ReasonNoCredentials    Reason = "no-credentials"     // every source was empty
	ReasonVariablesAbsent  Reason = "variables-absent"   // IRSA without its variables
	ReasonTokenFile        Reason = "token-file"         // the web identity token file cannot be read
	ReasonPartition        Reason = "partition"          // role and Region lie in different partitions
	ReasonRegion           Reason = "region"             // no such Region
	ReasonConfiguration    Reason = "configuration"      // a value that AWS would refuse
	ReasonDNS              Reason = "dns"                // the host has no address
	ReasonConnect          Reason = "connect"            // refused, reset, unreachable
	ReasonTLS              Reason = "tls"                // the certificate is not trusted or names another host
	ReasonProxy            Reason = "proxy"              // the proxy refused or is down
	ReasonTimeout          Reason = "timeout"            // no answer in time
	ReasonNotAWS           Reason = "not-aws"            // something answered that is not AWS
	ReasonMetadataHopLimit Reason = "metadata-hop-limit" // instance metadata answers, but not with a token
)
