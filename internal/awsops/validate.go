package awsops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

const (
	// checkTime bounds a check that names no time of its own.
	checkTime = time.Minute
	// skewLimit is from when on the SDK takes a difference of clocks for the cause of a refusal.
	skewLimit = 4 * time.Minute
)

// errCheckTime is the cause of a context that a check's time ended.
var errCheckTime = errors.New("the time of the connection test is up")

// Validate tests a connection: credentials, sts:GetCallerIdentity, the partition of the identity, and
// ec2:DescribeRegions in the Region of the check, unless it asks for the identity only. It never fails: what failed is
// in the evidence, and after a refusal what could be read of the policies behind it. After a failure the connector's session
// is dropped, so that the next test sees what was mended.
func (s *Sessions) Validate(ctx context.Context, check connector.Check) connector.Evidence {
	began := s.now()
	limit := check.Timeout
	if limit <= 0 {
		limit = checkTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errCheckTime)
	defer cancel()
	evidence := connector.Evidence{Region: check.Access.Region, RegionsSkipped: check.IdentityOnly}
	if cfg, err := s.validate(ctx, check, &evidence); err != nil {
		evidence.Failure = FailureOf(err, check.Access.Region, connector.StepCredentials)
		evidence.Permissions = refusal(ctx, cfg, check.Access, &evidence, err)
		if seen := lastOf[*call](err); seen != nil {
			noteSkew(&evidence, seen.skew)
		}
		s.Forget(check.Access.Key)
	} else if check.ProveExternalID {
		evidence.Proof = prove(ctx, cfg, &evidence)
	}
	evidence.Took = s.now().Sub(began)
	return evidence
}

// validate fills in the evidence of a check, up to the step that fails. It gives the configuration that was used.
func (s *Sessions) validate(ctx context.Context, check connector.Check, evidence *connector.Evidence) (aws.Config, error) {
	cfg, err := s.Config(check.Access, check.Fresh)
	if err != nil {
		return cfg, err
	}
	creds, err := s.retrieve(ctx, cfg, evidence)
	if err != nil {
		return cfg, err
	}
	// From here on a failure is of the call. Which source the key came from is part of it: a forgotten variable hides
	// every later source.
	failed := func(step connector.Step, reason connector.Reason, partition string, err error) error {
		one := &stepError{step: step, reason: reason, partition: partition, hide: secretsOf(creds), err: err}
		if first, ok := cfg.Credentials.(*kept); ok {
			one.sources = first.sources()
		}
		return one
	}
	partition := partitionOf(check.Access)
	if role := check.Access.CrossAccount; role != nil {
		if assumed, err := arn.Parse(role.RoleARN); err == nil {
			partition = assumed.Partition
		}
	}

	done := s.timing(evidence, connector.StepIdentity)
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	done(false)
	if err == nil && aws.ToString(who.Arn) == "" {
		err = errNoIdentity
	}
	if err != nil {
		if other := home(ctx, cfg, check.Access, err); other != "" {
			partition = other
		}
		return cfg, failed(connector.StepIdentity, connector.ReasonNone, partition, err)
	}
	evidence.Identity = &connector.Identity{ARN: aws.ToString(who.Arn), Account: aws.ToString(who.Account), UserID: aws.ToString(who.UserId)}
	noteSkewOf(evidence, who.ResultMetadata)
	if identity, err := arn.Parse(evidence.Identity.ARN); err == nil {
		partition = identity.Partition
		if region, ok := arn.PartitionOf(check.Access.Region); ok && region.ID != partition {
			return cfg, failed(connector.StepIdentity, connector.ReasonPartition, partition,
				fmt.Errorf("the identity %s lies in partition %s, the Region %s in %s", identity, partition, check.Access.Region, region.ID))
		}
	}
	if check.IdentityOnly {
		return cfg, nil
	}

	done = s.timing(evidence, connector.StepRegions)
	regions, err := ec2.NewFromConfig(cfg).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	done(false)
	if err != nil {
		return cfg, failed(connector.StepRegions, connector.ReasonNone, partition, err)
	}
	noteSkewOf(evidence, regions.ResultMetadata)
	for _, region := range regions.Regions {
		evidence.Regions = append(evidence.Regions, aws.ToString(region.RegionName))
	}
	slices.Sort(evidence.Regions)
	return cfg, nil
}

// retrieve gets the credentials, and times the first ones apart from the role that they assume.
func (s *Sessions) retrieve(ctx context.Context, cfg aws.Config, evidence *connector.Evidence) (aws.Credentials, error) {
	all, ok := cfg.Credentials.(*kept)
	if !ok {
		return cfg.Credentials.Retrieve(ctx)
	}
	role, assumes := all.from.(crossAccount)
	if !assumes {
		return s.timed(ctx, all, connector.StepCredentials, evidence)
	}
	// The role's session asks for the first credentials by itself; they are kept, so that asking ahead costs nothing.
	if !all.good() {
		if first, err := s.timed(ctx, role.first, connector.StepCredentials, evidence); err != nil {
			return first, err
		}
	}
	return s.timed(ctx, all, connector.StepAssumeRole, evidence)
}

func (s *Sessions) timed(ctx context.Context, from *kept, step connector.Step, evidence *connector.Evidence) (aws.Credentials, error) {
	before := from.good()
	done := s.timing(evidence, step)
	creds, err := from.Retrieve(ctx)
	done(before && err == nil)
	return creds, err
}

// timing begins to time a step; the call of what it gives ends it.
func (s *Sessions) timing(evidence *connector.Evidence, step connector.Step) func(kept bool) {
	began := s.now()
	return func(kept bool) {
		evidence.Calls = append(evidence.Calls, connector.Call{Step: step, Took: s.now().Sub(began), Kept: kept})
	}
}

func noteSkewOf(evidence *connector.Evidence, metadata middleware.Metadata) {
	skew, _ := awsmiddleware.GetAttemptSkew(metadata)
	noteSkew(evidence, skew)
}

// noteSkew keeps a difference of clocks that the SDK corrected for.
func noteSkew(evidence *connector.Evidence, skew time.Duration) {
	if skew.Abs() > skewLimit {
		evidence.ClockSkew = skew
	}
}
