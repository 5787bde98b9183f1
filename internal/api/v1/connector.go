package v1

import (
	"context"
	"fmt"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
)

// Test is one test of a connection and what it found.
type Test struct {
	ID          string    `json:"id"`
	Connector   string    `json:"connector"`
	Org         string    `json:"org"`
	Project     string    `json:"project"`
	Status      string    `json:"status"` // SUCCESS, FAILURE
	Trigger     string    `json:"trigger"`
	By          string    `json:"by"`
	StartedAt   time.Time `json:"startedAt"`
	EndedAt     time.Time `json:"endedAt"`
	TookMS      int64     `json:"tookMs"` // in AWS; 0 when nothing was tried
	Region      string    `json:"region"`
	Identity    *Identity `json:"identity"`
	Regions     []string  `json:"regions"`
	RegionCount int       `json:"regionCount"`
	Delegate    string    `json:"delegate"`
	DelegateID  string    `json:"delegateId"`
	// ExternalIDProven: the role refused to be assumed without its external id and with a wrong one. Absent: not proven, or
	// not asked for.
	ExternalIDProven bool       `json:"externalIdProven,omitempty"`
	Warnings         []string   `json:"warnings"`
	Diagnosis        *Diagnosis `json:"diagnosis"` // null: the test passed
}

// Identity is who AWS says the credentials are.
type Identity struct {
	ARN     string `json:"arn"`
	Account string `json:"account"`
	UserID  string `json:"userId"`
}

// Diagnosis is why a connection does not hold, and what mends it.
type Diagnosis struct {
	Code     string   `json:"code"`
	Page     string   `json:"page"` // path of the page about the code
	Cause    string   `json:"cause"`
	Evidence []Fact   `json:"evidence"`
	Remedy   []string `json:"remedy"`
}

// Fact is one piece of evidence.
type Fact struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

func testOf(t connector.Test) Test {
	out := Test{
		ID: t.ID, Connector: t.Connector, Org: t.Scope.Org, Project: t.Scope.Project, Status: string(t.Status), Trigger: string(t.Trigger),
		By: t.By, StartedAt: t.StartedAt.UTC(), EndedAt: t.EndedAt.UTC(), TookMS: t.Took.Milliseconds(), Region: t.Region,
		Regions: orEmpty(t.Regions), RegionCount: len(t.Regions), Delegate: t.Delegate, DelegateID: t.DelegateID, Warnings: orEmpty(t.Warnings),
		ExternalIDProven: t.ExternalIDProven,
	}
	if i := t.Identity; i != nil {
		out.Identity = &Identity{ARN: i.ARN, Account: i.Account, UserID: i.UserID}
	}
	out.Diagnosis = diagnosisOf(t.Diagnosis)
	return out
}

func diagnosisOf(d *connector.Diagnosis) *Diagnosis {
	if d == nil {
		return nil
	}
	out := &Diagnosis{Code: d.Code, Page: "/docs/errors/" + d.Code, Cause: d.Cause, Evidence: []Fact{}, Remedy: orEmpty(d.Remedy)}
	for _, f := range d.Evidence {
		out.Evidence = append(out.Evidence, Fact{Label: f.Label, Text: f.Text})
	}
	return out
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// TestOptions are how a test is done.
type TestOptions struct {
	IdentityOnly bool `json:"identityOnly,omitempty"` // leave ec2:DescribeRegions out
	Fresh        bool `json:"fresh,omitempty"`        // use no cached session
	// ProveExternalID tries, once the test has passed, to assume the role without its external id and with a wrong one.
	ProveExternalID bool   `json:"proveExternalId,omitempty"`
	Trigger         string `json:"trigger,omitempty"` // on-demand (the default) or on-save
}

// test tests a connection and waits for the outcome. A connection that fails is an answer, not a failure.
func (s *Server) test(ctx context.Context, c api.Call, in TestOptions) (Test, error) {
	o := connector.Options{IdentityOnly: in.IdentityOnly, Fresh: in.Fresh, ProveExternalID: in.ProveExternalID, Trigger: connector.OnDemand}
	switch connector.Trigger(in.Trigger) {
	case "", connector.OnDemand:
	case connector.OnSave:
		o.Trigger = connector.OnSave
	default:
		return Test{}, fault.Problems{{Path: "trigger", Message: fmt.Sprintf("%.40q is not known; use %s or %s", in.Trigger, connector.OnDemand, connector.OnSave)}}
	}
	t, err := s.Connectors.Test(ctx, c.Who, c.At, c.Path("id"), o)
	return testOf(t), err
}

// tests lists the history of a connector, newest first.
func (s *Server) tests(ctx context.Context, c api.Call) (List[Test], error) {
	const usual, most = 20, 500
	limit, err := c.Number("limit", usual, 1, most)
	if err != nil {
		return List[Test]{}, err
	}
	list, err := s.Connectors.Tests(ctx, c.Who, c.At, c.Path("id"), limit)
	return listed(list, testOf), err
}
