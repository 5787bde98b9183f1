package awsops

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

// The variables of a web identity, as AWS's pod identity webhook sets them.
const (
	envRoleARN     = "AWS_ROLE_ARN"
	envTokenFile   = "AWS_WEB_IDENTITY_TOKEN_FILE" //nolint:gosec // the name of a variable
	envSessionName = "AWS_ROLE_SESSION_NAME"
)

// maxToken is the largest token that is read from a file, in bytes; STS takes 20,000 characters.
const maxToken = 64 << 10

// prepare finds what cannot work before any call is made.
func prepare(access connector.Access) error {
	region, ok := arn.PartitionOf(access.Region)
	switch {
	case access.Region == "":
		return prepareError(connector.ReasonRegion, "", "no Region is given")
	case !ok:
		return prepareError(connector.ReasonRegion, "", "%q is not a Region of AWS", access.Region)
	}
	switch source := access.Source.(type) {
	case connector.StaticKeys:
		if err := checkKeys(source); err != nil {
			return err
		}
	case connector.WebIdentityToken:
		if source.Token.IsZero() {
			return prepareError(connector.ReasonConfiguration, "", "the web identity token is empty")
		}
		if err := checkRole(source.RoleARN, access.Region, region); err != nil {
			return err
		}
	case connector.DelegateRole, connector.WebIdentityFile:
	default:
		return prepareError(connector.ReasonConfiguration, "", "the connector names no credentials")
	}
	if access.CrossAccount == nil {
		return nil
	}
	return checkRole(access.CrossAccount.RoleARN, access.Region, region)
}

// checkRole refuses what is no role, and a role of another partition than the Region's: AWS would answer that with a
// bare InvalidClientTokenId or AccessDenied.
func checkRole(role, region string, partition arn.Partition) error {
	if problem := arn.CheckRole(role); problem != "" {
		return prepareError(connector.ReasonConfiguration, "", "%s", problem)
	}
	parsed, err := arn.Parse(role)
	if err != nil { // CheckRole has parsed it already
		return prepareError(connector.ReasonConfiguration, "", "%v", err)
	}
	if parsed.Partition == partition.ID {
		return nil
	}
	return prepareError(connector.ReasonPartition, parsed.Partition, "the role %s lies in partition %s, the Region %s in %s; no credentials cross partitions",
		role, parsed.Partition, region, partition.ID)
}

// checkKeys refuses empty keys and those with blanks in them, which a header cannot carry and no key of AWS has.
func checkKeys(keys connector.StaticKeys) error {
	for _, key := range []struct{ name, text string }{
		{"access key", keys.AccessKey}, {"secret key", keys.SecretKey.Reveal()}, {"session token", keys.SessionToken.Reveal()},
	} {
		if key.text == "" && key.name != "session token" {
			return prepareError(connector.ReasonConfiguration, "", "the %s is empty", key.name)
		}
		if strings.ContainsFunc(key.text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return prepareError(connector.ReasonConfiguration, "", "the %s holds a blank, a line break or a character that no key of AWS has", key.name)
		}
	}
	return nil
}

func prepareError(reason connector.Reason, partition, format string, args ...any) *stepError {
	return &stepError{step: connector.StepPrepare, reason: reason, partition: partition, err: fmt.Errorf(format, args...)}
}

// source gives the first credentials of a connector.
type source struct {
	*Sessions

	access *resolved
	base   aws.Config
	web    *web

	mu    sync.Mutex
	tried []connector.SourceTried // of the last fetch
}

// Retrieve fetches the credentials from where the connector says.
func (s *source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	access := s.access.access()
	switch from := access.Source.(type) {
	case connector.StaticKeys:
		return aws.Credentials{
			AccessKeyID: from.AccessKey, SecretAccessKey: from.SecretKey.Reveal(), SessionToken: from.SessionToken.Reveal(),
			Source: "access key of the connector",
		}, nil
	case connector.DelegateRole:
		return s.chain(ctx)
	case connector.WebIdentityFile:
		return s.webIdentityFile(ctx)
	case connector.WebIdentityToken:
		return s.webIdentity(ctx, from.RoleARN, sessionName(access.Name), []byte(from.Token.Reveal()))
	}
	return aws.Credentials{}, prepareError(connector.ReasonConfiguration, "", "the connector names no credentials")
}

// sources are the links of the delegate's chain that were looked at in the last fetch.
func (s *source) sources() []connector.SourceTried {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// webIdentityFile exchanges the token that Kubernetes wrote for the role of the service account.
func (s *source) webIdentityFile(ctx context.Context) (aws.Credentials, error) {
	role, file := s.env(envRoleARN), s.env(envTokenFile)
	var missing []string
	if role == "" {
		missing = append(missing, envRoleARN)
	}
	if file == "" {
		missing = append(missing, envTokenFile)
	}
	if len(missing) > 0 {
		return aws.Credentials{}, &stepError{
			step: connector.StepCredentials, reason: connector.ReasonVariablesAbsent, missing: missing,
			err: fmt.Errorf("the environment lacks %s", strings.Join(missing, " and ")),
		}
	}
	partition, _ := arn.PartitionOf(s.base.Region)
	if err := checkRole(role, s.base.Region, partition); err != nil {
		return aws.Credentials{}, fmt.Errorf("%s: %w", envRoleARN, err)
	}
	token, err := readToken(file)
	if err != nil {
		return aws.Credentials{}, &stepError{step: connector.StepCredentials, reason: connector.ReasonTokenFile, err: fmt.Errorf("web identity token: %w", err)}
	}
	name := s.env(envSessionName)
	if name == "" {
		name = sessionName(s.access.access().Name)
	}
	return s.webIdentity(ctx, role, name, token)
}

// webIdentity exchanges a token for a session of role. Beside the lists of package backoff, the SDK tries the answer
// InvalidIdentityToken again, as often as the strategy allows: a new provider or key can take AWS a moment to find.
func (s *source) webIdentity(ctx context.Context, role, name string, token []byte) (aws.Credentials, error) {
	provider := stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(s.base), role, identityToken(token),
		func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = name })
	creds, err := provider.Retrieve(ctx)
	if err == nil && !creds.HasKeys() {
		err = errNoKeys
	}
	if err != nil {
		return aws.Credentials{}, &stepError{
			step: connector.StepWebIdentity, hide: []string{string(token)}, partition: partitionOf(s.access.access()), role: clip(role, maxClaim), token: claims(token), err: err,
		}
	}
	creds.Source = "web identity"
	return creds, nil
}

// errNoKeys means that something answered like AWS but without what AWS answers.
var errNoKeys = errors.New("the answer holds no credentials")

// identityToken is a token in memory, as stscreds wants it.
type identityToken []byte

// GetIdentityToken gives the token.
func (t identityToken) GetIdentityToken() ([]byte, error) { return t, nil }

// maxClaim is the longest claim that is shown, in bytes; STS takes subjects of up to 255 characters.
const maxClaim = 512

// claims reads what a token says of itself, or nothing when it is no JWT. Nothing is verified: it is for people to compare.
func claims(token []byte) *connector.TokenClaims {
	parts := bytes.Split(token, []byte("."))
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	var said struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
		Expires  float64         `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &said) != nil {
		return nil
	}
	out := &connector.TokenClaims{Issuer: clip(said.Issuer, maxClaim), Subject: clip(said.Subject, maxClaim)}
	var one string
	if json.Unmarshal(said.Audience, &one) == nil {
		out.Audience = []string{clip(one, maxClaim)}
	} else {
		var several []string
		_ = json.Unmarshal(said.Audience, &several) // neither form: it has no audience
		const most = 10
		for _, text := range several[:min(len(several), most)] {
			out.Audience = append(out.Audience, clip(text, maxClaim))
		}
	}
	if said.Expires > 0 && said.Expires < 1<<40 {
		out.Expires = time.Unix(int64(said.Expires), 0).UTC()
	}
	return out
}

// readToken reads a token file. The SDK's own reader loses what went wrong.
func readToken(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the environment of the process names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxToken:
		return nil, fmt.Errorf("%s holds more than %d bytes, that is no token", name, maxToken)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return text, nil
}

// crossAccount assumes a role with the first credentials.
type crossAccount struct {
	client *sts.Client
	role   connector.CrossAccount
	name   string
	first  *kept
	// partition is where the first credentials live, as far as it is known before AWS took them.
	partition string
}

// Retrieve assumes the role.
func (c crossAccount) Retrieve(ctx context.Context) (aws.Credentials, error) {
	// The first credentials are fetched ahead, so that their failure stands alone and is not tried again as AssumeRole's.
	first, err := c.first.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	provider := stscreds.NewAssumeRoleProvider(c.client, c.role.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = c.name
		o.Duration = c.role.SessionDuration
		if c.role.ExternalID != "" {
			o.ExternalID = aws.String(c.role.ExternalID)
		}
	})
	creds, err := provider.Retrieve(ctx)
	if err == nil && !creds.HasKeys() {
		err = errNoKeys
	}
	if err != nil {
		return aws.Credentials{}, &stepError{step: connector.StepAssumeRole, hide: secretsOf(first), partition: c.partition, err: err}
	}
	return creds, nil
}

// partitionOf is where the first credentials live, as far as it is known before AWS took them: a web identity's role was
// checked against the Region, the partition of a key is not visible in it.
func partitionOf(access connector.Access) string {
	switch access.Source.(type) {
	case connector.WebIdentityFile, connector.WebIdentityToken:
		partition, _ := arn.PartitionOf(access.Region)
		return partition.ID
	case connector.StaticKeys, connector.DelegateRole:
	}
	return ""
}

// sessionName is how AWS's logs show who used a role: belay-NAME in the characters and the length that STS takes.
func sessionName(name string) string {
	const most = 64
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_+=,.@-", r):
			return r
		}
		return '-'
	}, name)
	clean = "belay-" + clean
	if len(clean) > most {
		clean = clean[:most]
	}
	return clean
}
