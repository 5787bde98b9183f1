package catalogue

import (
	"fmt"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// Needs gives all that a capability's policies allow, narrowed to what is named, as statements: AWS-managed policies are
// written out with the documents that this program holds. The error is an [InputError] when something is badly written.
func Needs(c Capability, n Narrowing) ([]iam.Statement, error) {
	w, problems := n.narrower()
	if len(problems) > 0 {
		return nil, &InputError{problems}
	}
	var err error
	if w.data, err = service.Load(); err != nil {
		return nil, fmt.Errorf("read the service reference: %w", err)
	}
	var all []iam.Statement
	for _, p := range c.Policies {
		if p.Kind == AWSManaged {
			if p.Document, err = p.Current(); err != nil {
				return nil, fmt.Errorf("read the policy %s: %w", p.ID, err)
			}
		}
		all = append(all, w.document(p)...)
	}
	return all, nil
}

// Check reads what is named. The error is an [InputError] with all that is badly written.
func (n Narrowing) Check() error {
	if _, problems := n.narrower(); len(problems) > 0 {
		return &InputError{problems}
	}
	return nil
}
