package connector

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The numbers of tests.
const (
	TestTimeout      = 60 * time.Second
	DefaultTestEvery = 30 * time.Minute
	KeepTests        = 500 // of a connector
	KeepTestsFor     = 30 * 24 * time.Hour
)

// A changed role or policy can need five minutes until it counts everywhere at AWS. That long after a test that somebody asked
// for, a connection that AWS refuses is tested again by itself.
const (
	SettlingTime = 5 * time.Minute
	RetryEvery   = time.Minute
)

// Trigger is what caused a test.
type Trigger string

// The triggers.
const (
	OnDemand Trigger = "on-demand"
	OnSave   Trigger = "on-save"
	Periodic Trigger = "periodic"
)

// Test is one test of a connection and what it found.
type Test struct {
	ID        string
	Scope     scope.Scope
	Connector string
	Revision  int64 // of the connector that was tested
	Trigger   Trigger
	By        string // who asked for it
	StartedAt time.Time
	EndedAt   time.Time
	Status    Status

	Region     string
	Identity   *Identity
	Regions    []string
	Delegate   string // name of the one that called AWS, or "platform"
	DelegateID string
	Took       time.Duration // in AWS, as the delegate measured it
	Calls      []Call        // the steps that it was made of, as far as the delegate timed them
	// ExternalIDProven means that the role refused to be assumed without its external id, and with a wrong one.
	ExternalIDProven bool
	Warnings         []string
	Diagnosis        *Diagnosis // nil: the test passed
	// RetryAt is when it is tested again because a change may not have arrived yet; zero: at its usual time. It is not kept.
	RetryAt time.Time
}

// Options are how a test is done.
type Options struct {
	IdentityOnly bool // leave DescribeRegions out
	Fresh        bool // bypass every cached session
	// ProveExternalID tries to assume the role without its external id and with a wrong one, once the test has passed.
	ProveExternalID bool
	Trigger         Trigger
}

// Request is a test as its runner is asked for it. It holds no secret.
type Request struct {
	TestID    string
	Connector Connector
	Options   Options
	By        string
}

// runner gets a test done by a delegate or by the manager. Start returns when the request is durable. The result comes
// to Service.Record, even after a restart; Wait returns when it has.
type runner interface {
	Start(ctx context.Context, r Request) error
	Wait(ctx context.Context, testID string) error
}

// Result is what came of a request.
type Result struct {
	Request    Request
	StartedAt  time.Time
	EndedAt    time.Time
	Delegate   string
	DelegateID string
	Evidence   *Evidence // nil: nobody could try, and NotRun says why
	NotRun     *NotRun
}

// NotRun is why a test did not take place.
type NotRun struct {
	Cause   NotRunCause
	Message string
	Reasons []string
}

// NotRunCause sorts the reasons for NotRun.
type NotRunCause string

// The causes.
const (
	NoDelegate   NotRunCause = "no-delegate"
	NotTaken     NotRunCause = "not-taken"
	DelegateLost NotRunCause = "delegate-lost"
	TookTooLong  NotRunCause = "timeout"
	NotPrepared  NotRunCause = "not-prepared"
	Reported     NotRunCause = "reported"
	FlagOff      NotRunCause = "flag-off"
)

// Test tests a connection and waits for the outcome. A failing connection is a result, not an error.
func (s *Service) Test(ctx context.Context, who audit.Caller, at scope.Scope, id string, o Options) (Test, error) {
	if err := s.Audit.AllowWith(ctx, who, audit.ConnectorTest, at, target(id), string(o.Trigger)); err != nil {
		return Test{}, err
	}
	stored, err := s.Store.Connector(ctx, at, id)
	if err != nil {
		return Test{}, err
	}
	if !stored.Tested() {
		return Test{}, fault.New(fault.Invalid, "%s", keptOnly(stored.Connector))
	}
	testID, recorded, err := s.start(ctx, stored.Connector, o, who.Name)
	if err != nil {
		return Test{}, err
	}
	if !recorded {
		if err := s.Runner.Wait(ctx, testID); err != nil {
			return Test{}, waiting(err, id)
		}
	}
	return s.Store.Test(ctx, at.Account, testID)
}

// keptOnly says why a connector is neither tested nor used.
func keptOnly(c Connector) string {
	return fmt.Sprintf("connector %s is one of a Kubernetes cluster, which Belay keeps for its clients; to test or use it is not supported", c.ID)
}

func waiting(err error, id string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fault.Because(fault.Unavailable, err, "the test of %s goes on, but its answer was not waited for; its status will show it", id)
	}
	return err
}

// start asks the runner for a test, or records at once why it cannot take place.
func (s *Service) start(ctx context.Context, c Connector, o Options, by string) (testID string, recorded bool, err error) {
	if o.Trigger == "" {
		o.Trigger = OnDemand
	}
	r := Request{TestID: NewTestID(), Connector: c, Options: o, By: by}
	not, err := s.Gate(ctx, c)
	if err != nil {
		return "", false, err
	}
	if not != nil {
		now := s.Now().UTC()
		return r.TestID, true, s.Record(ctx, Result{Request: r, StartedAt: now, EndedAt: now, NotRun: not})
	}
	return r.TestID, false, s.Runner.Start(ctx, r)
}

// NewTestID makes the id of a test.
func NewTestID() string { return "tst_" + strings.ToLower(rand.Text()) }

// Gate refuses what a feature flag keeps closed, by the flag's name; nil lets the connector be used.
func (s *Service) Gate(ctx context.Context, c Connector) (*NotRun, error) {
	const sessionToken, oidc = "CDS_AWS_SESSION_TOKEN_SUPPORT", "CDS_AWS_OIDC_AUTHENTICATION" //nolint:gosec // names of flags
	flag, what := "", ""
	switch credential := c.Credential.(type) {
	case ManualConfig:
		if credential.SessionTokenRef != "" {
			flag, what = sessionToken, "Access keys with a session token are"
		}
	case OIDC:
		flag, what = oidc, "OIDC is"
	case Kubernetes:
		return &NotRun{Cause: NotPrepared, Message: keptOnly(c)}, nil
	case InheritFromDelegate, IRSA:
	}
	if flag == "" {
		return nil, nil //nolint:nilnil // nothing stands in the way
	}
	on, err := s.Scopes.On(ctx, c.Scope.Account, flag)
	if err != nil {
		return nil, err
	}
	if !on {
		return &NotRun{Cause: FlagOff, Message: fmt.Sprintf("%s off for this account. An administrator can turn on %s.", what, flag)}, nil
	}
	return nil, nil //nolint:nilnil // nothing stands in the way
}

// Record keeps the outcome of a test: its diagnosis, the connector's status, the history. It may be called again with
// the same result.
func (s *Service) Record(ctx context.Context, r Result) error {
	c := r.Request.Connector
	t := Test{
		ID: r.Request.TestID, Scope: c.Scope, Connector: c.ID, Revision: c.Revision, Trigger: r.Request.Options.Trigger, By: r.Request.By,
		StartedAt: r.StartedAt, EndedAt: r.EndedAt, Region: c.TestRegion(), Delegate: r.Delegate, DelegateID: r.DelegateID,
		Status: Success, Warnings: c.Warnings(),
	}
	if e := r.Evidence; e != nil {
		t.Identity, t.Regions, t.Took, t.Calls = e.Identity, e.Regions, e.Took, e.Calls
		if e.Region != "" {
			t.Region = e.Region
		}
		if skew := SkewWarning(e.ClockSkew, r.Delegate); skew != "" {
			t.Warnings = append(t.Warnings, skew)
		}
	}
	if d := Diagnose(r); d != nil {
		t.Status, t.Diagnosis = Failing, d
	}
	if r.Request.Options.ProveExternalID && t.Diagnosis == nil && r.Evidence != nil {
		why := ProofWarnings(c, r.Evidence.Proof, r.Delegate)
		t.ExternalIDProven, t.Warnings = len(why) == 0, append(t.Warnings, why...)
	}
	if err := s.retry(ctx, c, &t); err != nil {
		return err
	}
	if err := s.Store.SaveTest(ctx, t); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "connection tested", slog.String("connector", c.Key()), slog.String("status", string(t.Status)),
		slog.String("delegate", t.Delegate), slog.String("diagnosis", t.code()), slog.Duration("took", t.Took))
	return nil
}

// retry has a connection that AWS refuses tested again while what somebody changed may not have arrived, and says so.
func (s *Service) retry(ctx context.Context, c Connector, t *Test) error {
	if !t.refused() || c.IgnoreTestConnection || s.every() == 0 {
		return nil
	}
	asked := *t
	if t.Trigger == Periodic {
		const enough = 10 // tests of one window, and more
		past, err := s.Store.Tests(ctx, c.Scope, c.ID, enough)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(past, func(one Test) bool { return one.Trigger != Periodic })
		if i < 0 || !past[i].refused() {
			return nil
		}
		asked = past[i]
	}
	until, at := asked.EndedAt.Add(SettlingTime), t.EndedAt.Add(RetryEvery)
	if at.After(until) {
		return nil
	}
	t.RetryAt = at
	t.Warnings = append(t.Warnings, fmt.Sprintf("A changed role or policy can need up to five minutes at AWS: this connection is tested again every minute until %s.", until.UTC().Format("15:04:05 UTC")))
	return nil
}

// refused reports whether a policy of AWS was in the way.
func (t Test) refused() bool {
	return slices.Contains([]string{PermissionMissing, RoleNotAssumable, WebIdentityRefused}, t.code())
}

func (t Test) code() string {
	if t.Diagnosis == nil {
		return ""
	}
	return t.Diagnosis.Code
}

// Run tests every connector now and then, until ctx ends, and forgets old tests. The moment of each test is spread by
// chance, so that ten thousand connectors do not call at once.
func (s *Service) Run(ctx context.Context) error {
	const look = 5 * time.Second
	tick := time.NewTicker(look)
	defer tick.Stop()
	var cleaned time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.testDue(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "periodic tests not started", slog.Any("error", err))
		}
		if now := s.Now(); now.Sub(cleaned) > time.Hour {
			cleaned = now
			if err := s.Store.DeleteTests(ctx, KeepTests, now.Add(-cmp.Or(s.Keep, KeepTestsFor))); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "old tests not deleted", slog.Any("error", err))
			}
		}
	}
}

// every is the mean time between two periodic tests of a connector, 0 when there are none.
func (s *Service) every() time.Duration {
	if s.TestEvery == 0 {
		return DefaultTestEvery
	}
	return max(s.TestEvery, 0)
}

// nextTest lies between half and one and a half of the mean time from now.
func (s *Service) nextTest() time.Time {
	every := s.every()
	return s.Now().UTC().Add(every/2 + time.Duration(mathrand.Int64N(int64(every)+1))) //nolint:gosec // spreading load needs no secrecy
}

func (s *Service) testDue(ctx context.Context) error {
	if s.every() == 0 {
		return nil
	}
	const atOnce = 20
	due, err := s.Store.DueForTest(ctx, s.Now().UTC(), s.nextTest, atOnce)
	if err != nil {
		return err
	}
	for _, c := range due {
		who := audit.System(c.Scope.Account, "periodic test")
		if err := s.Audit.AllowWith(ctx, who, audit.ConnectorTest, c.Scope, target(c.ID), string(Periodic)); err != nil {
			return err
		}
		if _, _, err := s.start(ctx, c.Connector, Options{Trigger: Periodic}, who.Name); err != nil {
			s.Log.ErrorContext(ctx, "periodic test not started", slog.String("connector", c.Key()), slog.Any("error", err))
		}
	}
	return nil
}
