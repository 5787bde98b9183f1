package awsops

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/connector"
)

// probeTime bounds the question to other partitions: it only sharpens a failure that is known already.
const probeTime = 4 * time.Second

// home finds the partition that an access key belongs to when the one that was asked does not know it: a key id does not
// show its partition, but STS of the right one answers. Only AWS sees the question, and it holds a signature, not the
// secret. The answer is "" when no other partition knows the key either, or none could be reached.
func home(ctx context.Context, cfg aws.Config, access connector.Access, err error) string {
	if _, ok := access.Source.(connector.StaticKeys); !ok || !unknownKey(err) {
		return ""
	}
	here, _ := arn.PartitionOf(access.Region)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var found string
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, id := range []string{"aws", "aws-us-gov", "aws-cn"} {
		if id == here.ID {
			continue
		}
		asking.Go(func() {
			partition, _ := arn.PartitionNamed(id)
			client := sts.NewFromConfig(cfg, func(o *sts.Options) {
				o.Region, o.Retryer = partition.HomeRegion, aws.NopRetryer{}
			})
			who, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if err != nil {
				return
			}
			if identity, err := arn.Parse(aws.ToString(who.Arn)); err == nil && identity.Partition == id {
				mu.Lock()
				found = id
				mu.Unlock()
				cancel() // nobody else will know it
			}
		})
	}
	asking.Wait()
	return found
}

func unknownKey(err error) bool {
	refused := lastOf[smithy.APIError](err)
	return refused != nil && slices.Contains([]string{"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"}, refused.ErrorCode())
}
