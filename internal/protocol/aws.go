package protocol

// AWSValidate asks for a connection test. It holds secrets in plain: it travels over TLS to the one delegate that leased
// the task, and is never stored or logged.
type AWSValidate struct {
	Access       AWSAccess `json:"access"`
	IdentityOnly bool      `json:"identityOnly,omitempty"`
	Fresh        bool      `json:"fresh,omitempty"`
	// ProveExternalID asks for a proof that the role refuses who sends another external id or none.
	ProveExternalID bool  `json:"proveExternalId,omitempty"`
	TimeoutMS       int64 `json:"timeoutMs"`
}

// AWSAccess is a connector, resolved.
type AWSAccess struct {
	Key      string `json:"key"` // account/org/project/identifier
	Revision int64  `json:"revision"`
	Name     string `json:"name"`
	Region   string `json:"region"`

	Source       string           `json:"source"` // one of the Source constants
	AccessKey    string           `json:"accessKey,omitempty"`
	SecretKey    string           `json:"secretKey,omitempty"`
	SessionToken string           `json:"sessionToken,omitempty"`
	RoleARN      string           `json:"roleArn,omitempty"`
	Token        string           `json:"token,omitempty"`
	TokenSays    string           `json:"tokenSays,omitempty"` // the same for tokens that say the same but for their times
	CrossAccount *AWSCrossAccount `json:"crossAccount,omitempty"`
	Backoff      *Backoff         `json:"backoff,omitempty"` // absent: the default
}

// Sources of the first credentials.
const (
	SourceStaticKeys       = "static-keys"
	SourceDelegateRole     = "delegate-role"
	SourceWebIdentityFile  = "web-identity-file"
	SourceWebIdentityToken = "web-identity-token"
)

// AWSCrossAccount is the role to assume.
type AWSCrossAccount struct {
	RoleARN           string `json:"roleArn"`
	ExternalID        string `json:"externalId,omitempty"`
	SessionDurationMS int64  `json:"sessionDurationMs,omitempty"`
}

// Kinds of backoff.
const (
	BackoffFixed       = "fixed"
	BackoffEqualJitter = "equal-jitter"
	BackoffFullJitter  = "full-jitter"
)

// Backoff is a connector's own strategy; times in milliseconds.
type Backoff struct {
	Kind    string `json:"kind"`
	WaitMS  int64  `json:"waitMs,omitempty"` // of fixed
	BaseMS  int64  `json:"baseMs,omitempty"` // of the jitters
	MaxMS   int64  `json:"maxMs,omitempty"`
	Retries int    `json:"retries"`
}

// AWSEvidence answers AWSValidate and AWSSurvey.
type AWSEvidence struct {
	Region         string       `json:"region"`
	Identity       *AWSIdentity `json:"identity,omitempty"`
	Regions        []string     `json:"regions,omitempty"`
	RegionsSkipped bool         `json:"regionsSkipped,omitempty"`
	ClockSkewMS    int64        `json:"clockSkewMs,omitempty"`
	TookMS         int64        `json:"tookMs"`
	Failure        *AWSFailure  `json:"failure,omitempty"`
	Calls          []AWSCall    `json:"calls,omitempty"` // in their order; older delegates do not time them

	Permissions *AWSPermissions `json:"permissions,omitempty"`
	Proof       *AWSProof       `json:"proof,omitempty"`
}

// AWSCall is a step of a check and how long it took, the one that failed too.
type AWSCall struct {
	Step   string `json:"step"`
	TookMS int64  `json:"tookMs"`
	Kept   bool   `json:"kept,omitempty"` // nothing was called: a session from before was still good
}

// AWSProof is what a role did when it was asked to let an identity in without its external id, and with a wrong one.
type AWSProof struct {
	Without AWSAttempt `json:"without"`
	Wrong   AWSAttempt `json:"wrong"`
	Caller  string     `json:"caller,omitempty"`
	Trust   string     `json:"trust,omitempty"`
}

// AWSAttempt is one try that ought to fail.
type AWSAttempt struct {
	Answer string `json:"answer"` // refused, let-in or unclear
	Text   string `json:"text,omitempty"`
}

// AWSIdentity is who AWS says the credentials are.
type AWSIdentity struct {
	ARN     string `json:"arn"`
	Account string `json:"account"`
	UserID  string `json:"userId"`
}

// AWSFailure is a failed step as it was seen.
type AWSFailure struct {
	Step      string      `json:"step"`
	Service   string      `json:"service,omitempty"`
	Operation string      `json:"operation,omitempty"`
	Code      string      `json:"code,omitempty"`
	Message   string      `json:"message,omitempty"`
	Status    int         `json:"status,omitempty"`
	RequestID string      `json:"requestId,omitempty"`
	Attempts  int         `json:"attempts,omitempty"`
	Region    string      `json:"region,omitempty"`
	Text      string      `json:"text,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	Host      string      `json:"host,omitempty"`
	Sources   []AWSSource `json:"sources,omitempty"`
	Missing   []string    `json:"missing,omitempty"`
	Partition string      `json:"partition,omitempty"`
	Role      string      `json:"role,omitempty"` // that a web identity token was for
	Token     *AWSToken   `json:"token,omitempty"`
}

// AWSToken is what a refused web identity token says of itself, without its signature.
type AWSToken struct {
	Issuer   string   `json:"iss,omitempty"`
	Subject  string   `json:"sub,omitempty"`
	Audience []string `json:"aud,omitempty"`
	Expires  int64    `json:"exp,omitempty"` // seconds since 1970
}

// AWSSource is one place where credentials were looked for.
type AWSSource struct {
	Name   string `json:"name"`
	Asked  string `json:"asked,omitempty"`
	Answer string `json:"answer"`
}

// AWSPermissions is what could be read of the policies that bear on an identity.
type AWSPermissions struct {
	Principal string           `json:"principal"`
	Role      string           `json:"role,omitempty"`
	Identity  []AWSPolicy      `json:"identity,omitempty"`
	Boundary  *AWSPolicy       `json:"boundary,omitempty"`
	SCP       []AWSPolicyLevel `json:"scp,omitempty"`
	Target    *AWSPolicy       `json:"target,omitempty"` // a role and its trust policy
	Decoded   string           `json:"decoded,omitempty"`
	Unread    []AWSUnread      `json:"unread,omitempty"`
	Probed    []AWSProbe       `json:"probed,omitempty"`
}

// AWSPolicy is a policy document as it was read.
type AWSPolicy struct {
	Name     string `json:"name,omitempty"`
	ARN      string `json:"arn,omitempty"`
	Via      string `json:"via,omitempty"`
	Version  string `json:"version,omitempty"` // of a managed policy: v7; older delegates do not say it
	Document string `json:"document"`
}

// AWSPolicyLevel is a level of an organization.
type AWSPolicyLevel struct {
	Name     string      `json:"name"`
	Policies []AWSPolicy `json:"policies,omitempty"`
}

// AWSUnread is something that could not be read.
type AWSUnread struct {
	What   string `json:"what"`
	Action string `json:"action"`
	Code   string `json:"code"`
}

// AWSProbe is an action that AWS itself was asked about.
type AWSProbe struct {
	Action   string `json:"action"`
	Resource string `json:"resource,omitempty"`
	Context  string `json:"context,omitempty"` // a line each: key=value
	How      string `json:"how"`
	Allowed  bool   `json:"allowed,omitempty"`
	Code     string `json:"code,omitempty"`
	Message  string `json:"message,omitempty"`
	// Lacks are condition keys that a simulation did not have.
	Lacks []string `json:"lacks,omitempty"`
}

// AWSSurvey asks what an identity may do: it reads the policies of the connector's identity, and asks AWS about actions. It
// holds secrets in plain, as AWSValidate does.
type AWSSurvey struct {
	Access    AWSAccess   `json:"access"`
	Fresh     bool        `json:"fresh,omitempty"`
	TimeoutMS int64       `json:"timeoutMs"`
	Ask       []AWSAction `json:"ask,omitempty"`
}

// AWSAction is an action on a resource.
type AWSAction struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Context  string `json:"context,omitempty"` // a line each: key=value
}
