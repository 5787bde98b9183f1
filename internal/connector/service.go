package connector

import (
	"context"
	"log/slog"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// Status is what the last test of a connector said.
type Status string

// The statuses, as the NextGen API spells them.
const (
	Success Status = "SUCCESS" // connected
	Failing Status = "FAILURE" // the last test failed
	Partial Status = "PARTIAL" // connected, but a capability asked for is denied
	Unknown Status = "UNKNOWN" // never tested
)

// Stored is a connector with what is known of its health.
type Stored struct {
	Connector
	Status        Status
	LastTest      *Test // nil: never tested
	LastTestedAt  time.Time
	LastConnected time.Time
	LastActivity  time.Time
	// NextTestAt is when the next periodic test is due. It means nothing where the connector ignores them.
	NextTestAt time.Time
}

// Brief is a test in a word: how it ended, when, and how long it took from being asked for.
type Brief struct {
	Status Status
	At     time.Time
	Took   time.Duration
}

// Ended is a test that ended, for those who watch.
type Ended struct {
	Scope     scope.Scope
	Connector string
	Test      string
	At        time.Time
	Status    Status
	Before    Status // of the test before it; "" when it was the first
}

// Types of connectors, as the NextGen API spells them.
const (
	TypeAWS        = "Aws"
	TypeKubernetes = "K8sCluster"
)

// Type is what the connector leads to.
func (c Connector) Type() string {
	if _, ok := c.Credential.(Kubernetes); ok {
		return TypeKubernetes
	}
	return TypeAWS
}

// Filter narrows a listing. Zero fields do not narrow; those that are set must all hold.
type Filter struct {
	Scope     scope.Scope
	SubScopes bool // also connectors inside the scope
	Wider     bool // also connectors of the scopes around it, which can be used from here
	Search    string
	IDs       []string
	Names     []string
	Keys      []string // as Connector.Key gives them
	Statuses  []Status
	Tags      map[string]string
	// Description is part of the description.
	Description string
	// Inheriting narrows to connectors that use a delegate's own credentials (true) or that do not (false).
	Inheriting *bool
	Types      []string // TypeAWS, TypeKubernetes
	// Reaches is the AWS account that the last identity was in, or, before there was one, that of the role that is named.
	Reaches    string
	Sort       Sort
	Descending bool
	Offset     int
	Limit      int
	// Uncounted leaves out how many there are without paging: the number is 0 then.
	Uncounted bool
}

// Sort is the order of a listing. Where a search is given, exact names come first in any order.
type Sort string

// The orders.
const (
	ByName     Sort = "name"
	ByUpdated  Sort = "lastModifiedAt"
	ByCreated  Sort = "createdAt"
	ByActivity Sort = "lastActivity"
)

type store interface {
	// CreateConnector fails with Conflict when it is there. firstTest is when its first periodic test is due.
	CreateConnector(ctx context.Context, c Connector, firstTest time.Time) error
	UpdateConnector(ctx context.Context, at scope.Scope, id string, change func(Connector) (Connector, error)) (Connector, error)
	Connector(ctx context.Context, at scope.Scope, id string) (Stored, error)
	Connectors(ctx context.Context, f Filter) ([]Stored, int, error)
	// ConnectorsSelecting are those that a selection leaves by name, and whether there are more than limit.
	ConnectorsSelecting(ctx context.Context, sel Selection, limit int) ([]Stored, bool, error)
	// TallyConnectors counts by status; Sort, Offset and Limit of the filter mean nothing to it.
	TallyConnectors(ctx context.Context, f Filter) (map[Status]int, error)
	DeleteConnector(ctx context.Context, at scope.Scope, id string) error // with its tests
	// SaveTest keeps a test and makes it the connector's status, unless a later one is there or the connector is gone.
	// The same test again changes nothing. With a RetryAt, the next periodic test is due then, if it was later.
	SaveTest(ctx context.Context, t Test) error
	Test(ctx context.Context, account, id string) (Test, error)
	Tests(ctx context.Context, at scope.Scope, connector string, limit int) ([]Test, error)
	// Histories are the newest tests of each connector, in the order of the connectors, newest first.
	Histories(ctx context.Context, of []Connector, limit int) ([][]Brief, error)
	// Finding fails with NotFound when nothing is kept of that test.
	Finding(ctx context.Context, at scope.Scope, connector, test string) (Finding, error)
	DeleteTests(ctx context.Context, keep int, before time.Time) error
	// FailingConnectors counts AWS connectors of a scope and of those inside it, and the next four look at the same ones.
	FailingConnectors(ctx context.Context, at scope.Scope) (int, error)
	LastTested(ctx context.Context, at scope.Scope) (time.Time, error)
	Reached(ctx context.Context, at scope.Scope, now time.Time, limit int) ([]Reached, int, error) // and how many accounts there are
	Turns(ctx context.Context, at scope.Scope, limit int) ([]Turn, error)
	Needing(ctx context.Context, at scope.Scope, limit int) ([]Stored, error)
	// DueForTest are connectors whose next periodic test has come, without those that ignore tests; each is given to one
	// caller only and not again before what next says.
	DueForTest(ctx context.Context, now time.Time, next func() time.Time, limit int) ([]Stored, error)
}

// Selection narrows a listing to the connectors whose work a delegate with some tags could do.
type Selection struct {
	Serves scope.Scope // that of the delegate: connectors of it and of all inside it
	Within scope.Scope // what the caller looks at
	Tags   []string    // the delegate's, its name among them; case does not matter
}

type scopes interface {
	Exists(ctx context.Context, at scope.Scope) error
	On(ctx context.Context, account, flag string) (bool, error)
}

// Service is connectors with their rules.
type Service struct {
	Store  store
	Scopes scopes
	Runner runner
	Audit  *audit.Trail
	Log    *slog.Logger
	Now    func() time.Time
	// TestEvery is how often each connector is tested on its own; 0 means DefaultTestEvery, below 0 never.
	TestEvery time.Duration
	// Keep is how long tests are remembered; 0 means KeepTestsFor.
	Keep time.Duration
}

// Create saves a new connector. It must accept what it cannot reach: no call to AWS is made and no reference followed.
func (s *Service) Create(ctx context.Context, who audit.Caller, c Connector) (Stored, error) {
	if c.ID == "" {
		c.ID = scope.IdentifierFromName(c.Name)
	}
	if err := s.Audit.Allow(ctx, who, audit.ConnectorCreate, c.Scope, target(c.ID)); err != nil {
		return Stored{}, err
	}
	if err := s.check(ctx, c); err != nil {
		return Stored{}, err
	}
	if c.ID == secret.BuiltInManager { // which clients take for a connector
		return Stored{}, fault.New(fault.Conflict, "a connector cannot have the identifier %q: it is that of the built-in secret manager; choose another identifier", c.ID)
	}
	c.CreatedAt = s.Now().UTC()
	c.UpdatedAt, c.Revision = c.CreatedAt, 1
	if err := s.Store.CreateConnector(ctx, c, s.nextTest()); err != nil {
		return Stored{}, err
	}
	return s.Store.Connector(ctx, c.Scope, c.ID)
}

// Update replaces a connector. Its sessions are dropped everywhere, because its revision changes. With a Revision, it fails
// with Conflict when the stored connector has another: somebody changed it since it was read.
func (s *Service) Update(ctx context.Context, who audit.Caller, c Connector) (Stored, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorUpdate, c.Scope, target(c.ID)); err != nil {
		return Stored{}, err
	}
	if err := s.check(ctx, c); err != nil {
		return Stored{}, err
	}
	_, err := s.Store.UpdateConnector(ctx, c.Scope, c.ID, func(old Connector) (Connector, error) {
		if c.Revision != 0 && c.Revision != old.Revision {
			return Connector{}, fault.New(fault.Conflict, "connector %q was changed since it was read: it has revision %d, and the change is for revision %d; read it again", c.ID, old.Revision, c.Revision)
		}
		c.CreatedAt, c.UpdatedAt, c.Revision = old.CreatedAt, s.Now().UTC(), old.Revision+1
		return c, nil
	})
	if err != nil {
		return Stored{}, err
	}
	return s.Store.Connector(ctx, c.Scope, c.ID)
}

// check reports every problem of the input, and the scope's absence among them.
func (s *Service) check(ctx context.Context, c Connector) error {
	problems := c.Check()
	if err := s.Scopes.Exists(ctx, c.Scope); fault.KindOf(err) == fault.Invalid {
		switch {
		case c.Scope.Project == "":
			problems.Add("connector.orgIdentifier", fault.Sentence(err))
		case c.Scope.Org != "": // without one, Check has said so
			problems.Add("connector.projectIdentifier", fault.Sentence(err))
		}
	} else if err != nil {
		return err
	}
	return problems.Err()
}

// Connector reads one.
func (s *Service) Connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (Stored, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, target(id)); err != nil {
		return Stored{}, err
	}
	return s.Store.Connector(ctx, at, id)
}

// Connectors lists those that the filter leaves, and how many there are without paging.
func (s *Service) Connectors(ctx context.Context, who audit.Caller, f Filter) ([]Stored, int, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, f.Scope, "connector"); err != nil {
		return nil, 0, err
	}
	return s.Store.Connectors(ctx, f)
}

// Tally counts those that the filter leaves by status. Statuses that none has are absent.
func (s *Service) Tally(ctx context.Context, who audit.Caller, f Filter) (map[Status]int, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, f.Scope, "connector"); err != nil {
		return nil, err
	}
	return s.Store.TallyConnectors(ctx, f)
}

// Selecting are the connectors that a delegate with some tags may work for, by name, and whether there are more than limit:
// those that a delegate does, and that ask for no tag which it has not.
func (s *Service) Selecting(ctx context.Context, who audit.Caller, sel Selection, limit int) ([]Stored, bool, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, sel.Within, "connector"); err != nil {
		return nil, false, err
	}
	return s.Store.ConnectorsSelecting(ctx, sel, limit)
}

// Delete removes a connector and its history.
func (s *Service) Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string) error {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorDelete, at, target(id)); err != nil {
		return err
	}
	return s.Store.DeleteConnector(ctx, at, id)
}

// Tests is the history of a connector, newest first.
func (s *Service) Tests(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]Test, error) {
	if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, at, target(id)); err != nil {
		return nil, err
	}
	if _, err := s.Store.Connector(ctx, at, id); err != nil {
		return nil, err
	}
	return s.Store.Tests(ctx, at, id, limit)
}

// Histories are the newest tests of some connectors, in the order of the connectors, newest first.
func (s *Service) Histories(ctx context.Context, who audit.Caller, of []Connector, limit int) ([][]Brief, error) {
	seen := map[scope.Scope]bool{}
	for _, c := range of {
		if seen[c.Scope] {
			continue
		}
		seen[c.Scope] = true
		if err := s.Audit.Allow(ctx, who, audit.ConnectorRead, c.Scope, "connector"); err != nil {
			return nil, err
		}
	}
	return s.Store.Histories(ctx, of, limit)
}

// Finding is what the last test of a connector was judged by: nil when it passed, or was not refused by policies.
func (s *Service) Finding(ctx context.Context, who audit.Caller, at scope.Scope, id string) (*Finding, error) {
	c, err := s.Connector(ctx, who, at, id)
	if err != nil || c.LastTest == nil || c.LastTest.Diagnosis == nil {
		return nil, err
	}
	f, err := s.Store.Finding(ctx, at, id, c.LastTest.ID)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil //nolint:nilnil // there is none, and that is no failure
	}
	return &f, err
}

func target(id string) string { return "connector/" + id }
