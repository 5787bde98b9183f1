package awsops

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/connector"
)

// nothing is the session policy of the attempts that ought to fail: credentials that should not have been given are then
// good for nothing, though they are thrown away at once.
const nothing = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`

// shortest is the shortest session that STS gives, in seconds.
const shortest = 900

// prove asks the role of a connector to let its identity in without the external id, and with a wrong one. It is nil when
// the connector sends none. No session of these attempts is kept.
func prove(ctx context.Context, cfg aws.Config, evidence *connector.Evidence) *connector.Proof {
	outer, ok := cfg.Credentials.(*kept)
	if !ok {
		return nil
	}
	cross, ok := outer.from.(crossAccount)
	if !ok || cross.role.ExternalID == "" {
		return nil
	}
	wrong := "belay-proof-" + strings.ToLower(rand.Text())
	p := &connector.Proof{Without: cross.attempt(ctx, nil), Wrong: cross.attempt(ctx, &wrong)}
	if p.Without.Answer == connector.LetIn || p.Wrong.Answer == connector.LetIn {
		cross.look(ctx, cfg, evidence, p)
	}
	return p
}

// attempt tries to assume the role with another external id.
func (c crossAccount) attempt(ctx context.Context, externalID *string) connector.Attempt {
	_, err := c.client.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String(c.role.RoleARN), RoleSessionName: aws.String(c.name), ExternalId: externalID,
		DurationSeconds: aws.Int32(shortest), Policy: aws.String(nothing),
	})
	switch {
	case err == nil:
		return connector.Attempt{Answer: connector.LetIn}
	case denied(err):
		return connector.Attempt{Answer: connector.Refused}
	}
	f := FailureOf(&stepError{step: connector.StepAssumeRole, err: err}, "", connector.StepAssumeRole)
	text := f.Message
	if text == "" {
		text = f.Text
	}
	return connector.Attempt{Answer: connector.Unclear, Text: strings.TrimSpace(f.Code + " " + text)}
}

// look finds who is let in, and by which trust policy, as far as the role itself or the identity may read it.
func (c crossAccount) look(ctx context.Context, cfg aws.Config, evidence *connector.Evidence, p *connector.Proof) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	first := cfg.Copy()
	first.Credentials = c.first
	if who, err := sts.NewFromConfig(first).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
		p.Caller = aws.ToString(who.Arn)
	}
	for _, reader := range []struct {
		cfg aws.Config
		arn string
	}{{cfg, evidence.Identity.ARN}, {first, p.Caller}} {
		r := &policyReader{client: iam.NewFromConfig(reader.cfg), found: &connector.Permissions{Principal: reader.arn}}
		if r.trust(ctx, c.role.RoleARN); r.found.Target != nil {
			p.Trust = r.found.Target.Document
			return
		}
	}
}
