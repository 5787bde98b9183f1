package catalogue

import (
	"fmt"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Current is the document that is in force: of an AWS-managed policy the one that AWS attaches today, which may be newer
// than what the pages print, and of any other its Document. The error says that the embedded AWS-managed policies lack it.
func (p Policy) Current() (*iam.Document, error) {
	if p.Kind != AWSManaged {
		return p.Document, nil
	}
	all, err := service.LoadManaged()
	if err != nil {
		return nil, fmt.Errorf("read the AWS-managed policies: %w", err)
	}
	m, ok := all.Policy(p.ARN)
	if !ok {
		return nil, fmt.Errorf("the AWS-managed policy %s is not among those known here", p.ARN)
	}
	d, err := iam.Parse(m.Document)
	if err != nil {
		return nil, fmt.Errorf("the AWS-managed policy %s: %w", p.ARN, err)
	}
	return d, nil
}
