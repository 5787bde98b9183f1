package connector

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/scope"
)

// The kinds of credentials, as Reached counts them.
const (
	KindManual  = "manual"
	KindInherit = "inherit"
	KindIRSA    = "irsa"
	KindOIDC    = "oidc"
)

// Hours is how far back Reached looks.
const Hours = 24

// Hour is the tests of one hour.
type Hour struct{ Passed, Failed int }

// Reached is an AWS account, and how the connectors that reach it do.
type Reached struct {
	Account     string // its 12 digits
	Connectors  int
	Failing     int
	Credentials map[string]int // connectors by kind of credential
	Hours       [Hours]Hour    // the present one last
}

// Turn is a connector that began to fail, or to hold again, and has stayed so since.
type Turn struct {
	Scope   scope.Scope
	ID      string
	Name    string
	At      time.Time
	Failing bool
	// For is how long it had failed before it held again; 0 for one that fails.
	For time.Duration
}

// Summary is how the AWS connectors of a scope, and of all scopes inside it, do.
type Summary struct {
	TestEvery  time.Duration // the mean time between two tests of one; 0: none are tested on their own
	LastTested time.Time     // zero: none was
	Reached    []Reached     // those with failing connectors first, then those with the most connectors
	Accounts   int           // of which Reached shows some
	Turns      []Turn        // newest first
}

// How much a summary shows.
const (
	mostReached = 8
	mostTurns   = 8
)

// Summary shows how connectors do. Its cost does not grow with their number beyond one look through an index.
func (s *Service) Summary(ctx context.Context, who audit.Caller, at scope.Scope) (Summary, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, "connector"); err != nil {
		return Summary{}, err
	}
	sum := Summary{TestEvery: s.every()}
	var err error
	if sum.LastTested, err = s.Store.LastTested(ctx, at); err != nil {
		return Summary{}, err
	}
	if sum.Reached, sum.Accounts, err = s.Store.Reached(ctx, at, s.Now(), mostReached); err != nil {
		return Summary{}, err
	}
	sum.Turns, err = s.Store.Turns(ctx, at, mostTurns)
	return sum, err
}

// FailingCount counts the failing AWS connectors of a scope and of all scopes inside it.
func (s *Service) FailingCount(ctx context.Context, who audit.Caller, at scope.Scope) (int, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, "connector"); err != nil {
		return 0, err
	}
	return s.Store.FailingConnectors(ctx, at)
}

// Needing are the AWS connectors of a scope, and of all scopes inside it, that fail or need attention: those first that
// something happened to last.
func (s *Service) Needing(ctx context.Context, who audit.Caller, at scope.Scope, limit int) ([]Stored, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, "connector"); err != nil {
		return nil, err
	}
	return s.Store.Needing(ctx, at, limit)
}
