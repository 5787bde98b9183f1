package connector

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The bounds of a connector.
const (
	maxSelectors   = 64
	maxDescription = 1024
	maxText        = 2048
	maxRetries     = 100
	maxDelay       = 24 * time.Hour
	maxKept        = 64 << 10 // bytes of a spec that Belay does not read
	minSession     = 15 * time.Minute
	maxSession     = 12 * time.Hour
)

// Check finds every reason why a connector cannot be saved, with paths as its YAML spells them. It is no stricter than
// existing clients need: references may lead nowhere yet, a role ARN may be a placeholder, delegates need not exist. What
// cannot work but may be saved is a warning, see Warnings.
func (c Connector) Check() fault.Problems {
	var problems fault.Problems
	if p := scope.CheckName(c.Name); p != "" {
		problems.Add("connector.name", p)
	}
	switch p := scope.CheckIdentifier(c.ID); {
	case c.ID == "" && c.Name != "":
		problems.Add("connector.identifier", fmt.Sprintf("is required: none can be made from the name %q, which has no letter a-z or digit", c.Name))
	case p != "":
		problems.Add("connector.identifier", p)
	}
	if n := len([]rune(c.Description)); n > maxDescription {
		problems.Add("connector.description", fmt.Sprintf("has %d characters, at most %d are allowed", n, maxDescription))
	}
	if c.Scope.Project != "" && c.Scope.Org == "" {
		problems.Add("connector.orgIdentifier", fmt.Sprintf("is required: project %q belongs to an organization", c.Scope.Project))
	}
	if len(c.Tags) > scope.MaxTags {
		problems.Add("connector.tags", fmt.Sprintf("has %d tags, at most %d are allowed", len(c.Tags), scope.MaxTags))
	}
	for k, v := range c.Tags {
		if len(k) > maxText || len(v) > maxText {
			problems.Add("connector.tags", fmt.Sprintf("the tag that starts %.20q is longer than %d bytes", k, maxText))
		}
	}
	c.checkTexts(&problems)
	c.checkCredential(&problems)
	c.checkCrossAccount(&problems)
	c.checkRegion(&problems)
	c.checkSelectors(&problems)
	checkBackoff(c.Backoff, &problems)
	return problems
}

// checkTexts refuses what no database keeps and no caller means.
func (c Connector) checkTexts(problems *fault.Problems) {
	text := func(path, text string) {
		if strings.ContainsRune(text, 0) {
			problems.Add(path, "holds a NUL character")
		}
	}
	text("connector.description", c.Description)
	for k, v := range c.Tags {
		text("connector.tags", k+v)
	}
	if x := c.CrossAccount; x != nil {
		text("connector.spec.credential.crossAccountAccess.crossAccountRoleArn", x.RoleARN)
	}
	if o, ok := c.Credential.(OIDC); ok {
		text(specPath+"iamRoleArn", o.RoleARN)
	}
	for i, s := range c.Selectors {
		text(fmt.Sprintf("connector.spec.delegateSelectors[%d]", i), s)
	}
	text("connector.spec.proxyUrl", c.ProxyURL)
	if len(c.ProxyURL) > maxText {
		problems.Add("connector.spec.proxyUrl", fmt.Sprintf("is longer than %d characters", maxText))
	}
}

const specPath = "connector.spec.credential.spec."

func (c Connector) checkCredential(problems *fault.Problems) {
	switch credential := c.Credential.(type) {
	case ManualConfig:
		switch {
		case credential.AccessKey == "" && credential.AccessKeyRef == "":
			problems.Add(specPath+"accessKey", "is required, or accessKeyRef in its place")
		case credential.AccessKey != "" && credential.AccessKeyRef != "":
			problems.Add(specPath+"accessKeyRef", "cannot be set beside accessKey; keep one of the two")
		}
		if len(credential.AccessKey) > maxText {
			problems.Add(specPath+"accessKey", fmt.Sprintf("is longer than %d characters", maxText))
		}
		if strings.ContainsAny(credential.AccessKey, "\r\n\x00") {
			problems.Add(specPath+"accessKey", "holds a line break; an access key id is one word")
		}
		c.checkRef(problems, specPath+"accessKeyRef", credential.AccessKeyRef, false)
		c.checkRef(problems, specPath+"secretKeyRef", credential.SecretKeyRef, true)
		c.checkRef(problems, specPath+"sessionTokenRef", credential.SessionTokenRef, false)
	case OIDC:
		if credential.RoleARN == "" {
			problems.Add(specPath+"iamRoleArn", "is required: the role that trusts Belay's issuer")
		}
		if len(credential.RoleARN) > maxText {
			problems.Add(specPath+"iamRoleArn", fmt.Sprintf("is longer than %d characters", maxText))
		}
		for i, key := range credential.SessionTagKeys {
			path := fmt.Sprintf("%soidcSessionTagKeys[%d]", specPath, i)
			if !slices.Contains(SessionTagKeys(), key) {
				problems.Add(path, fmt.Sprintf("%.40q is not a session tag; choose of %s", key, strings.Join(SessionTagKeys(), ", ")))
			}
			if slices.Index(credential.SessionTagKeys, key) < i {
				problems.Add(path, fmt.Sprintf("%.40q is there twice", key))
			}
		}
	case Kubernetes:
		checkKubernetes(c.Scope, credential, problems)
	case InheritFromDelegate, IRSA:
	case nil:
		problems.Add("connector.spec.credential.type", "is required: ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication")
	}
}

// checkKubernetes asks no more of a cluster's connector than that clients can read it back: some crash on a type of
// credential that they do not know.
func checkKubernetes(at scope.Scope, k Kubernetes, problems *fault.Problems) {
	const path = "connector.spec"
	var spec struct {
		Credential *struct {
			Type string `json:"type"`
			Spec struct {
				Auth struct {
					Type string `json:"type"`
				} `json:"auth"`
			} `json:"spec"`
		} `json:"credential"`
	}
	if len(k.Spec) > maxKept {
		problems.Add(path, fmt.Sprintf("has %d bytes, at most %d are kept", len(k.Spec), maxKept))
		return
	}
	if err := json.Unmarshal(k.Spec, &spec); err != nil || spec.Credential == nil {
		problems.Add(path+".credential", "is required: how the cluster is reached")
		return
	}
	switch auth := spec.Credential.Spec.Auth.Type; spec.Credential.Type {
	case "InheritFromDelegate":
	case "ManualConfig":
		if known := []string{"UsernamePassword", "ServiceAccount", "ClientKeyCert", "OpenIdConnect"}; !slices.Contains(known, auth) {
			problems.Add(specPath+"auth.type", fmt.Sprintf("%.60q is not known; use %s", auth, strings.Join(known, ", ")))
		}
	default:
		problems.Add(path+".credential.type", fmt.Sprintf("%.60q is not known for a cluster; use InheritFromDelegate or ManualConfig", spec.Credential.Type))
	}
	for _, ref := range refsIn(k.Spec) {
		if p := ref.Check(at); p != "" {
			problems.Add(path, fmt.Sprintf("the reference %.60q: %s", string(ref), p))
		}
	}
}

func (c Connector) checkRef(problems *fault.Problems, path string, ref scope.Ref, required bool) {
	if ref == "" {
		if required {
			problems.Add(path, "is required: the secret that holds the value, such as account.my_secret")
		}
		return
	}
	if p := ref.Check(c.Scope); p != "" {
		problems.Add(path, p)
	}
}

// externalID reports whether AWS takes the text as an external id (the STS API reference, AssumeRole).
func externalID(text string) bool {
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_+=,.@:/-", r):
		default:
			return false
		}
	}
	return len(text) >= 2 && len(text) <= 1224
}

func (c Connector) checkCrossAccount(problems *fault.Problems) {
	const path = "connector.spec.credential.crossAccountAccess."
	x := c.CrossAccount
	if x == nil {
		return
	}
	if x.RoleARN == "" {
		problems.Add(path+"crossAccountRoleArn", "is required: the role to assume in the other account")
	}
	if len(x.RoleARN) > maxText {
		problems.Add(path+"crossAccountRoleArn", fmt.Sprintf("is longer than %d characters", maxText))
	}
	if x.ExternalID != "" && !externalID(x.ExternalID) {
		problems.Add(path+"externalId", "AWS takes 2 to 1,224 letters, digits and any of _+=,.@:/-")
	}
	if x.SessionDuration != 0 && (x.SessionDuration < minSession || x.SessionDuration > maxSession) {
		problems.Add(path+"assumeRoleSessionDuration", fmt.Sprintf("is %d seconds; AWS allows 900 to 43200", int64(x.SessionDuration.Seconds())))
	}
}

func (c Connector) checkRegion(problems *fault.Problems) {
	if c.Region == "" {
		return
	}
	if _, ok := arn.PartitionOf(c.Region); !ok {
		problems.Add("connector.spec.credential.region", fmt.Sprintf("%.40q is not an AWS Region; one looks like eu-central-1", c.Region))
	}
}

func (c Connector) checkSelectors(problems *fault.Problems) {
	const path = "connector.spec.delegateSelectors"
	if len(c.Selectors) > maxSelectors {
		problems.Add(path, fmt.Sprintf("has %d selectors, at most %d are allowed", len(c.Selectors), maxSelectors))
		return
	}
	for i, s := range c.Selectors {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case strings.TrimSpace(s) == "":
			problems.Add(at, "is empty")
		case len(s) > scope.MaxName:
			problems.Add(at, fmt.Sprintf("is longer than %d characters", scope.MaxName))
		case slices.Index(c.Selectors, s) < i:
			problems.Add(at, fmt.Sprintf("%q is there twice", s))
		}
	}
}

func checkBackoff(strategy backoff.Strategy, problems *fault.Problems) {
	const path = "connector.spec.awsSdkClientBackOffStrategyOverride.spec."
	count := func(n int) {
		if n < 0 || n > maxRetries {
			problems.Add(path+"retryCount", fmt.Sprintf("is %d; 0 to %d are allowed", n, maxRetries))
		}
	}
	delay := func(field string, d time.Duration) {
		if d < 0 || d > maxDelay {
			problems.Add(path+field, fmt.Sprintf("is %d milliseconds; 0 to %d (a day) are allowed", d.Milliseconds(), maxDelay.Milliseconds()))
		}
	}
	jitter := func(base, limit time.Duration, n int) {
		delay("baseDelay", base)
		delay("maxBackoffTime", limit)
		if base > limit {
			problems.Add(path+"maxBackoffTime", fmt.Sprintf("is %d milliseconds, less than baseDelay %d", limit.Milliseconds(), base.Milliseconds()))
		}
		count(n)
	}
	switch s := strategy.(type) {
	case backoff.Fixed:
		delay("fixedBackoff", s.Wait)
		count(s.Count)
	case backoff.EqualJitter:
		jitter(s.Base, s.Max, s.Count)
	case backoff.FullJitter:
		jitter(s.Base, s.Max, s.Count)
	case backoff.Default, nil:
	}
}

// Milliseconds reads a delay in milliseconds without overflowing; what is out of range stays out of range.
func Milliseconds(n int64) time.Duration {
	if n > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	if n < math.MinInt64/int64(time.Millisecond) {
		return math.MinInt64
	}
	return time.Duration(n) * time.Millisecond
}

// SessionTagKeys are the claims that an OIDC connector may turn into session tags. Both spellings of the trigger's mail
// address are in use.
func SessionTagKeys() []string {
	return []string{
		"account_id", "organization_id", "project_id", "environment_id", "environment_type", "pipeline_id", "connector_id",
		"connector_name", "delegate_selectors", "context", "step_type", "stage_type", "triggered_by_email",
		"trigger_by_email", "triggered_by_name", "service_name", "service_id",
	}
}

// Warnings are what will not work as it stands, though it may be saved: a placeholder ARN, a role of another partition
// than the test Region, a delegate's own credentials without saying which delegate.
func (c Connector) Warnings() []string {
	var warnings []string
	region, known := arn.PartitionOf(c.TestRegion())
	role := func(what, text string) {
		if p := arn.CheckRole(text); p != "" {
			warnings = append(warnings, what+": "+p)
			return
		}
		if a, err := arn.Parse(text); err == nil && known && a.Partition != region.ID {
			warnings = append(warnings, fmt.Sprintf("%s lies in partition %s, the test region %s in %s; they cannot reach each other", what, a.Partition, c.TestRegion(), region.ID))
		}
	}
	if o, ok := c.Credential.(OIDC); ok {
		role("the role of iamRoleArn", o.RoleARN)
	}
	if c.CrossAccount != nil {
		role("the role of crossAccountRoleArn", c.CrossAccount.RoleARN)
	}
	switch c.Credential.(type) {
	case InheritFromDelegate, IRSA:
		if c.ExecuteOnDelegate != nil && !*c.ExecuteOnDelegate {
			warnings = append(warnings, "executeOnDelegate is false, but these credentials exist only on a delegate; one is used all the same")
		}
		if len(c.Selectors) == 0 {
			warnings = append(warnings, "no delegateSelectors: whichever delegate is free lends its own role, so name the ones that may")
		}
	case ManualConfig, OIDC:
	case Kubernetes:
		warnings = append(warnings, "Belay keeps connectors of type K8sCluster, and neither tests nor uses them")
	}
	return warnings
}
