package preflight

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The numbers of preflights.
const (
	Timeout = 90 * time.Second
	Keep    = 50 // of a connector
)

type store interface {
	Connector(ctx context.Context, at scope.Scope, id string) (connector.Stored, error)
	// SavePreflight keeps a preflight and the newest Keep of its connector, and marks the connector as one that is denied
	// something, or not. The same preflight again changes nothing, and nothing is kept when the connector is gone.
	SavePreflight(ctx context.Context, p Preflight, keep int) error
	Preflight(ctx context.Context, account, id string) (Preflight, error)
	Preflights(ctx context.Context, at scope.Scope, connector string, limit int) ([]Preflight, error)
}

// runner gets a survey done by a delegate or by the manager. Start returns when the request is durable; what came of it goes
// to Service.Record, also after a restart; Wait returns when it has.
type runner interface {
	Start(ctx context.Context, r Request) error
	Wait(ctx context.Context, id string) error
}

// Request is a preflight as its runner is asked for it. It holds no secret.
type Request struct {
	ID        string
	Connector connector.Connector
	Options   Options
	By        string
}

// Outcome is what came of a request: evidence of a survey, or why there was none.
type Outcome struct {
	Request    Request
	StartedAt  time.Time
	EndedAt    time.Time
	Delegate   string
	DelegateID string
	Evidence   *connector.Evidence
	NotRun     *connector.NotRun
}

// Service is preflights with their rules.
type Service struct {
	Store  store
	Gate   gate
	Runner runner
	Audit  *audit.Trail
	Log    *slog.Logger
	Now    func() time.Time
}

// gate refuses what a feature flag keeps closed.
type gate interface {
	Gate(ctx context.Context, c connector.Connector) (*connector.NotRun, error)
}

// Run makes a preflight and waits for it. A missing permission is a result, not an error.
func (s *Service) Run(ctx context.Context, who audit.Caller, at scope.Scope, id string, o Options) (Preflight, error) {
	if err := s.Audit.AllowWith(ctx, who, audit.ConnectorPreflight, at, "connector/"+id, strings.Join(o.Capabilities, ",")); err != nil {
		return Preflight{}, err
	}
	if _, err := needs(o); err != nil { // all that is wrong is said before anything is begun
		return Preflight{}, err
	}
	stored, err := s.Store.Connector(ctx, at, id)
	if err != nil {
		return Preflight{}, err
	}
	r := Request{ID: "pfl_" + strings.ToLower(rand.Text()), Connector: stored.Connector, Options: o, By: who.Name}
	not, err := s.Gate.Gate(ctx, stored.Connector)
	switch {
	case err != nil:
		return Preflight{}, err
	case not != nil:
		now := s.Now().UTC()
		err = s.Record(ctx, Outcome{Request: r, StartedAt: now, EndedAt: now, NotRun: not})
	default:
		if err = s.Runner.Start(ctx, r); err == nil {
			err = s.Runner.Wait(ctx, r.ID)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Preflight{}, fault.Because(fault.Unavailable, err, "the preflight of %s goes on, but its answer was not waited for; `belay connector preflights %s` will show it", id, id)
	}
	if err != nil {
		return Preflight{}, err
	}
	return s.Store.Preflight(ctx, at.Account, r.ID)
}

// Preflights lists those of a connector, newest first. A limit of 0 is none.
func (s *Service) Preflights(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]Preflight, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, "connector/"+id); err != nil {
		return nil, err
	}
	if _, err := s.Store.Connector(ctx, at, id); err != nil {
		return nil, err
	}
	return s.Store.Preflights(ctx, at, id, limit)
}

// mostAsked bounds about how many actions a runner asks AWS. Each fifty are a call.
const mostAsked = 1000

// Asked is what a runner asks AWS about: of each capability in turn, until there are enough. What is not asked about can be
// answered by the identity's policies only.
func Asked(o Options) ([]connector.Asked, error) {
	all, err := needs(o)
	if err != nil {
		return nil, err
	}
	var out []connector.Asked
	seen := make([]bool, len(all.asked))
	for i, more := 0, true; more && len(out) < mostAsked; i++ {
		more = false
		for _, n := range all.needs {
			if i >= len(n.asked) {
				continue
			}
			more = true
			if q := n.asked[i]; !seen[q] && len(out) < mostAsked {
				seen[q] = true
				out = append(out, all.asked[q].Asked)
			}
		}
	}
	return out, nil
}

// Record judges what came of a request and keeps it. It may be called again with the same outcome.
func (s *Service) Record(ctx context.Context, o Outcome) error {
	c := o.Request.Connector
	p := Preflight{
		ID: o.Request.ID, Scope: c.Scope, Connector: c.ID, Revision: c.Revision, By: o.Request.By, Options: o.Request.Options,
		StartedAt: o.StartedAt, EndedAt: o.EndedAt, Delegate: o.Delegate, DelegateID: o.DelegateID, Region: c.TestRegion(),
	}
	p.Diagnosis = connector.Diagnose(connector.Result{
		Request:   connector.Request{Connector: c, By: o.Request.By},
		StartedAt: o.StartedAt, EndedAt: o.EndedAt, Delegate: o.Delegate, DelegateID: o.DelegateID, Evidence: o.Evidence, NotRun: o.NotRun,
	})
	if e := o.Evidence; e != nil {
		p.Identity, p.Region = e.Identity, cmp.Or(e.Region, p.Region)
		if p.Diagnosis == nil && e.Permissions != nil {
			all, err := needs(o.Request.Options)
			if err != nil {
				return err
			}
			p.judge(e.Permissions, all)
		}
	}
	if err := s.Store.SavePreflight(ctx, p, Keep); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "preflight made", slog.String("connector", c.Key()), slog.String("answer", string(p.Answer())),
		slog.Int("capabilities", len(p.Results)), slog.String("delegate", p.Delegate))
	return nil
}
