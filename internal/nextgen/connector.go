package nextgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Types of connectors. One of a cluster is kept, and neither tested nor used.
const (
	TypeAWS        = connector.TypeAWS
	TypeKubernetes = connector.TypeKubernetes
)

// CategoryCloud is the category of AWS connectors.
const CategoryCloud = "CLOUD_PROVIDER"

// Types of credentials.
const (
	CredentialManual  = "ManualConfig"
	CredentialInherit = "InheritFromDelegate"
	CredentialIRSA    = "Irsa"
	CredentialOIDC    = "OidcAuthentication"
	CredentialBroker  = "CredentialBroker" //nolint:gosec // the name of a type; it is refused, see Domain
)

// Types of backoff strategies.
const (
	BackoffFixed       = "FixedDelayBackoffStrategy"
	BackoffEqualJitter = "EqualJitterBackoffStrategy"
	BackoffFullJitter  = "FullJitterBackoffStrategy"
)

// ConnectorEnvelope is a connector as it is sent, and as a file holds it.
type ConnectorEnvelope struct {
	Connector Connector `json:"connector"`
}

// Connector is a connector as its owner writes it.
type Connector struct {
	Name              string            `json:"name"`
	Identifier        string            `json:"identifier"`
	Description       string            `json:"description,omitempty"`
	OrgIdentifier     string            `json:"orgIdentifier,omitempty"`
	ProjectIdentifier string            `json:"projectIdentifier,omitempty"`
	Tags              map[string]string `json:"tags,omitzero"`
	Type              string            `json:"type"`
	Spec              ConnectorSpec     `json:"spec"`
	// Kept is the spec as it came where Belay does not read it, and then Spec is zero.
	Kept json.RawMessage `json:"-"`
}

// plain is a connector without its methods.
type plain Connector

// UnmarshalJSON reads the spec by its type.
func (b *Connector) UnmarshalJSON(text []byte) error {
	var kind struct {
		Type any `json:"type"`
	}
	if json.Unmarshal(text, &kind) != nil || kind.Type != TypeKubernetes {
		return json.Unmarshal(text, (*plain)(b))
	}
	var in struct {
		plain
		Spec json.RawMessage `json:"spec"`
	}
	err := json.Unmarshal(text, &in)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wrong.Field = strings.TrimPrefix(wrong.Field, "plain.")
	}
	*b = Connector(in.plain)
	b.Kept = in.Spec
	return err
}

// MarshalJSON writes the spec that there is.
func (b Connector) MarshalJSON() ([]byte, error) {
	if b.Kept == nil {
		return json.Marshal(plain(b))
	}
	return json.Marshal(struct {
		plain
		Spec json.RawMessage `json:"spec"`
	}{plain(b), b.Kept})
}

// ConnectorSpec is what an AWS connector consists of.
type ConnectorSpec struct {
	Credential           Credential `json:"credential"`
	Backoff              *Backoff   `json:"awsSdkClientBackOffStrategyOverride,omitempty"`
	DelegateSelectors    []string   `json:"delegateSelectors,omitzero"`
	ExecuteOnDelegate    *bool      `json:"executeOnDelegate,omitempty"`
	Proxy                bool       `json:"proxy"`
	ProxyURL             string     `json:"proxyUrl,omitempty"`
	IgnoreTestConnection bool       `json:"ignoreTestConnection"`
	// Region is where some documentation puts the test Region. It is read, and never written.
	Region string `json:"region,omitempty"`
}

// Credential is how a connector gets its credentials.
type Credential struct {
	CrossAccountAccess *CrossAccountAccess `json:"crossAccountAccess,omitempty"`
	Type               string              `json:"type"`
	Spec               *CredentialSpec     `json:"spec,omitempty"` // absent for the types that have none
	Region             string              `json:"region,omitempty"`
}

// CredentialSpec is the fields of all types of credentials; which of them count depends on the type.
type CredentialSpec struct {
	// of CredentialManual
	AccessKey       string `json:"accessKey,omitempty"`
	AccessKeyRef    string `json:"accessKeyRef,omitempty"`
	SecretKeyRef    string `json:"secretKeyRef,omitempty"`
	SessionTokenRef string `json:"sessionTokenRef,omitempty"`
	// of CredentialOIDC
	IAMRoleARN         string   `json:"iamRoleArn,omitempty"`
	OIDCSessionTagKeys []string `json:"oidcSessionTagKeys,omitzero"`
	// Region is where some documentation puts the test Region. It is read, and never written.
	Region string `json:"region,omitempty"`
}

// CrossAccountAccess is the role to assume in another account.
type CrossAccountAccess struct {
	CrossAccountRoleARN string `json:"crossAccountRoleArn"`
	ExternalID          string `json:"externalId,omitempty"`
	// AssumeRoleSessionDuration is in seconds; 0 is not written.
	AssumeRoleSessionDuration int64 `json:"assumeRoleSessionDuration,omitempty"`
}

// Backoff is how patient the connector is with AWS.
type Backoff struct {
	Type string      `json:"type"`
	Spec BackoffSpec `json:"spec"`
}

// BackoffSpec is the fields of all strategies, times in milliseconds; which of them count depends on the type.
type BackoffSpec struct {
	FixedBackoff   *int64 `json:"fixedBackoff,omitempty"`
	BaseDelay      *int64 `json:"baseDelay,omitempty"`
	MaxBackoffTime *int64 `json:"maxBackoffTime,omitempty"`
	RetryCount     int    `json:"retryCount"`
}

// Domain translates a connector. The problems are those that the domain cannot see, because it has no word for what was
// sent: types that Belay does not have. connector.Check finds the others.
func (b Connector) Domain(account string) (connector.Connector, fault.Problems) {
	var problems fault.Problems
	s := b.Spec
	c := connector.Connector{
		Scope: scope.Scope{Account: account, Org: b.OrgIdentifier, Project: b.ProjectIdentifier},
		ID:    b.Identifier, Name: b.Name, Description: b.Description, Tags: b.Tags,
		Selectors: s.DelegateSelectors, ExecuteOnDelegate: s.ExecuteOnDelegate, IgnoreTestConnection: s.IgnoreTestConnection,
		Proxy: s.Proxy, ProxyURL: s.ProxyURL,
	}
	switch b.Type {
	case TypeAWS:
	case TypeKubernetes:
		c.Credential = connector.Kubernetes{Spec: b.Kept}
		c.IgnoreTestConnection = true // there is none
		return c, problems
	case "":
		problems.Add("connector.type", "is required; use "+TypeAWS)
		return c, problems
	default:
		problems.Add("connector.type", fmt.Sprintf("%.60q is not supported: Belay has connectors of type %s and %s", b.Type, TypeAWS, TypeKubernetes))
		return c, problems
	}
	c.Credential = s.Credential.domain(&problems)
	c.Region = s.Credential.Region
	if c.Region == "" && s.Credential.Spec != nil {
		c.Region = s.Credential.Spec.Region
	}
	if c.Region == "" {
		c.Region = s.Region
	}
	if x := s.Credential.CrossAccountAccess; x != nil {
		c.CrossAccount = &connector.CrossAccount{
			RoleARN: x.CrossAccountRoleARN, ExternalID: x.ExternalID, SessionDuration: seconds(x.AssumeRoleSessionDuration),
		}
	}
	c.Backoff = s.Backoff.domain(&problems)
	return c, problems
}

func (c Credential) domain(problems *fault.Problems) connector.Credential {
	var spec CredentialSpec
	if c.Spec != nil {
		spec = *c.Spec
	}
	const path = "connector.spec.credential.type"
	switch c.Type {
	case CredentialManual:
		return connector.ManualConfig{
			AccessKey: spec.AccessKey, AccessKeyRef: scope.Ref(spec.AccessKeyRef),
			SecretKeyRef: scope.Ref(spec.SecretKeyRef), SessionTokenRef: scope.Ref(spec.SessionTokenRef),
		}
	case CredentialInherit:
		return connector.InheritFromDelegate{}
	case CredentialIRSA:
		return connector.IRSA{}
	case CredentialOIDC:
		return connector.OIDC{RoleARN: spec.IAMRoleARN, SessionTagKeys: spec.OIDCSessionTagKeys}
	case CredentialBroker:
		problems.Add(path, "CredentialBroker is not supported: Belay gets credentials itself; use "+credentialTypes())
	case "":
		problems.Add(path, "is required: "+credentialTypes())
	default:
		problems.Add(path, fmt.Sprintf("%.60q is not a type of credential; use %s", c.Type, credentialTypes()))
	}
	return nil
}

func credentialTypes() string {
	return strings.Join([]string{CredentialManual, CredentialInherit, CredentialIRSA}, ", ") + " or " + CredentialOIDC
}

func (b *Backoff) domain(problems *fault.Problems) backoff.Strategy {
	if b == nil {
		return nil
	}
	ms := func(n *int64) time.Duration {
		if n == nil {
			return 0
		}
		return connector.Milliseconds(*n)
	}
	s := b.Spec
	switch b.Type {
	case BackoffFixed:
		return backoff.Fixed{Wait: ms(s.FixedBackoff), Count: s.RetryCount}
	case BackoffEqualJitter:
		return backoff.EqualJitter{Base: ms(s.BaseDelay), Max: ms(s.MaxBackoffTime), Count: s.RetryCount}
	case BackoffFullJitter:
		return backoff.FullJitter{Base: ms(s.BaseDelay), Max: ms(s.MaxBackoffTime), Count: s.RetryCount}
	}
	const path, types = "connector.spec.awsSdkClientBackOffStrategyOverride.type", BackoffFixed + ", " + BackoffEqualJitter + " or " + BackoffFullJitter
	if b.Type == "" {
		problems.Add(path, "is required: "+types)
	} else {
		problems.Add(path, fmt.Sprintf("%.60q is not a backoff strategy; use %s", b.Type, types))
	}
	return nil
}

// FromConnector is the connector as it was sent.
func FromConnector(c connector.Connector) Connector {
	b := Connector{
		Name: c.Name, Identifier: c.ID, Description: c.Description, OrgIdentifier: c.Scope.Org, ProjectIdentifier: c.Scope.Project,
		Tags: c.Tags, Type: TypeAWS,
		Spec: ConnectorSpec{
			Credential: fromCredential(c.Credential), Backoff: fromBackoff(c.Backoff), DelegateSelectors: c.Selectors,
			ExecuteOnDelegate: c.ExecuteOnDelegate, Proxy: c.Proxy, ProxyURL: c.ProxyURL, IgnoreTestConnection: c.IgnoreTestConnection,
		},
	}
	if k, ok := c.Credential.(connector.Kubernetes); ok {
		b.Type, b.Spec, b.Kept = TypeKubernetes, ConnectorSpec{}, k.Spec
		return b
	}
	b.Spec.Credential.Region = c.Region
	if x := c.CrossAccount; x != nil {
		b.Spec.Credential.CrossAccountAccess = &CrossAccountAccess{
			CrossAccountRoleARN: x.RoleARN, ExternalID: x.ExternalID, AssumeRoleSessionDuration: int64(x.SessionDuration / time.Second),
		}
	}
	return b
}

func fromCredential(credential connector.Credential) Credential {
	switch credential := credential.(type) {
	case connector.ManualConfig:
		return Credential{Type: CredentialManual, Spec: &CredentialSpec{
			AccessKey: credential.AccessKey, AccessKeyRef: string(credential.AccessKeyRef),
			SecretKeyRef: string(credential.SecretKeyRef), SessionTokenRef: string(credential.SessionTokenRef),
		}}
	case connector.InheritFromDelegate:
		return Credential{Type: CredentialInherit}
	case connector.IRSA:
		return Credential{Type: CredentialIRSA}
	case connector.OIDC:
		return Credential{Type: CredentialOIDC, Spec: &CredentialSpec{IAMRoleARN: credential.RoleARN, OIDCSessionTagKeys: credential.SessionTagKeys}}
	case connector.Kubernetes, nil:
	}
	return Credential{}
}

func fromBackoff(strategy backoff.Strategy) *Backoff {
	switch s := strategy.(type) {
	case backoff.Fixed:
		return &Backoff{Type: BackoffFixed, Spec: BackoffSpec{FixedBackoff: new(s.Wait.Milliseconds()), RetryCount: s.Count}}
	case backoff.EqualJitter:
		return &Backoff{Type: BackoffEqualJitter, Spec: jitter(s.Base, s.Max, s.Count)}
	case backoff.FullJitter:
		return &Backoff{Type: BackoffFullJitter, Spec: jitter(s.Base, s.Max, s.Count)}
	case backoff.Default, nil:
	}
	return nil
}

func jitter(base, limit time.Duration, count int) BackoffSpec {
	return BackoffSpec{BaseDelay: new(base.Milliseconds()), MaxBackoffTime: new(limit.Milliseconds()), RetryCount: count}
}

// seconds reads a number of seconds without overflowing; what is out of range stays out of range.
func seconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(max(n, -most), most)) * time.Second
}

// ConnectorResponse is a connector with what is known of it.
type ConnectorResponse struct {
	Connector       Connector           `json:"connector"`
	CreatedAt       int64               `json:"createdAt"`
	LastModifiedAt  int64               `json:"lastModifiedAt"`
	Status          *ConnectivityStatus `json:"status"` // null: never tested
	ActivityDetails ActivityDetails     `json:"activityDetails"`
	HarnessManaged  bool                `json:"harnessManaged"` // always false
	GitDetails      any                 `json:"gitDetails"`     // always null
	Validity        EntityValidity      `json:"entityValidityDetails"`
	Governance      any                 `json:"governanceMetadata"` // always null
}

// ActivityDetails is when the connector was last used or changed.
type ActivityDetails struct {
	LastActivityTime int64 `json:"lastActivityTime"`
}

// EntityValidity says that the stored text is well-formed, which it always is here.
type EntityValidity struct {
	Valid       bool    `json:"valid"`
	InvalidYAML *string `json:"invalidYaml"`
}

// ConnectivityStatus is what the last test said.
type ConnectivityStatus struct {
	Status          string      `json:"status"` // SUCCESS, FAILURE, PARTIAL
	ErrorSummary    *string     `json:"errorSummary"`
	Errors          []TestError `json:"errors"`
	TestedAt        int64       `json:"testedAt"`
	LastTestedAt    int64       `json:"lastTestedAt"`
	LastConnectedAt int64       `json:"lastConnectedAt"`
}

// TestError is why a connection does not hold.
type TestError struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// The numbers of TestError.
const (
	TestErrorCode       = 450
	TestErrorNoDelegate = 460
)

// ValidationResult answers a connection test.
type ValidationResult struct {
	Status       string      `json:"status"`
	Errors       []TestError `json:"errors"`
	ErrorSummary *string     `json:"errorSummary"`
	TestedAt     int64       `json:"testedAt"`
	DelegateID   string      `json:"delegateId,omitempty"`
}

// FromStored is a connector with its status.
func FromStored(s connector.Stored) ConnectorResponse {
	r := ConnectorResponse{
		Connector: FromConnector(s.Connector), CreatedAt: millis(s.CreatedAt), LastModifiedAt: millis(s.UpdatedAt),
		ActivityDetails: ActivityDetails{millis(s.LastActivity)}, Validity: EntityValidity{Valid: true},
	}
	if s.Status == connector.Unknown || s.LastTestedAt.IsZero() {
		return r
	}
	r.Status = &ConnectivityStatus{
		Status: string(s.Status), Errors: []TestError{}, TestedAt: millis(s.LastTestedAt), LastTestedAt: millis(s.LastTestedAt),
		LastConnectedAt: millis(s.LastConnected),
	}
	if s.LastTest != nil {
		r.Status.ErrorSummary, r.Status.Errors = fromDiagnosis(s.LastTest.Diagnosis)
	}
	return r
}

// FromTest is the outcome of a test.
func FromTest(t connector.Test) ValidationResult {
	r := ValidationResult{Status: string(t.Status), TestedAt: millis(t.EndedAt), DelegateID: t.DelegateID}
	r.ErrorSummary, r.Errors = fromDiagnosis(t.Diagnosis)
	return r
}

func fromDiagnosis(d *connector.Diagnosis) (*string, []TestError) {
	if d == nil {
		return nil, []TestError{}
	}
	code, parts := TestErrorCode, []string{d.Cause}
	if slices.Contains([]string{connector.NoEligibleDelegate, connector.NoDelegateTookIt}, d.Code) {
		code = TestErrorNoDelegate
		for _, f := range d.Evidence { // every delegate with its reason: without them nothing can be done about it
			parts = append(parts, f.Label+": "+f.Text)
		}
	}
	parts = append(parts, d.Remedy...)
	return &d.Cause, []TestError{{Reason: d.Code, Message: strings.Join(parts, "\n"), Code: code}}
}
