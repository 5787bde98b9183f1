package catalogue

import (
	"fmt"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// today is the document that AWS attaches today under an AWS-managed policy's ARN. What the pages print of some is older.
func today(p Policy) (*iam.Document, error) {
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
