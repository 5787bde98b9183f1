package audit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// Action is a verb on a kind of thing, such as connector.create.
type Action string

// The actions.
const (
	ConnectorRead   Action = "connector.read"
	ConnectorCreate Action = "connector.create"
	ConnectorUpdate Action = "connector.update"
	ConnectorDelete Action = "connector.delete"
	ConnectorTest   Action = "connector.test"
	ConnectorUse    Action = "connector.use"
	// ConnectorPreflight reads what the connector's identity may do in AWS.
	ConnectorPreflight Action = "connector.preflight"

	SecretRead   Action = "secret.read" // its name, never its value
	SecretCreate Action = "secret.create"
	SecretUpdate Action = "secret.update"
	SecretDelete Action = "secret.delete"

	OrganizationRead   Action = "organization.read"
	OrganizationCreate Action = "organization.create"
	OrganizationUpdate Action = "organization.update"
	OrganizationDelete Action = "organization.delete"
	ProjectRead        Action = "project.read"
	ProjectCreate      Action = "project.create"
	ProjectUpdate      Action = "project.update"
	ProjectDelete      Action = "project.delete"

	ServiceRead          Action = "service.read"
	ServiceCreate        Action = "service.create"
	ServiceUpdate        Action = "service.update"
	ServiceDelete        Action = "service.delete"
	EnvironmentRead      Action = "environment.read"
	EnvironmentCreate    Action = "environment.create"
	EnvironmentUpdate    Action = "environment.update"
	EnvironmentDelete    Action = "environment.delete"
	InfrastructureRead   Action = "infrastructure.read"
	InfrastructureCreate Action = "infrastructure.create"
	InfrastructureUpdate Action = "infrastructure.update"
	InfrastructureDelete Action = "infrastructure.delete"

	DelegateRead        Action = "delegate.read"
	DelegatePing        Action = "delegate.ping"
	DelegateTag         Action = "delegate.tag"
	DelegateTokenRead   Action = "delegate-token.read"
	DelegateTokenCreate Action = "delegate-token.create"
	DelegateTokenRevoke Action = "delegate-token.revoke"
	DelegateTokenDelete Action = "delegate-token.delete"
	DelegateTokenReveal Action = "delegate-token.reveal"

	KeyRead   Action = "api-key.read"
	KeyCreate Action = "api-key.create"
	KeyRevoke Action = "api-key.revoke"

	FlagRead  Action = "flag.read"
	FlagSet   Action = "flag.set"
	AuditRead Action = "audit.read"
	TaskRead  Action = "task.read"

	OIDCRead   Action = "oidc.read"
	OIDCSet    Action = "oidc.set"
	OIDCRotate Action = "oidc.rotate"
	OIDCToken  Action = "oidc.token" // a token in the hands of a person
)

// needs is the weakest role that may do an action. A new action belongs to administrators until it is placed here.
func needs(a Action) Role {
	switch a {
	case ConnectorRead, SecretRead, OrganizationRead, ProjectRead, DelegateRead, FlagRead, TaskRead, OIDCRead,
		ServiceRead, EnvironmentRead, InfrastructureRead:
		return Viewer
	case ConnectorCreate, ConnectorUpdate, ConnectorDelete, ConnectorTest, ConnectorUse, ConnectorPreflight,
		SecretCreate, SecretUpdate, SecretDelete, DelegatePing, DelegateTag, DelegateTokenRead,
		ServiceCreate, ServiceUpdate, ServiceDelete, EnvironmentCreate, EnvironmentUpdate, EnvironmentDelete, InfrastructureCreate, InfrastructureUpdate, InfrastructureDelete:
		return Editor
	case OrganizationCreate, OrganizationUpdate, OrganizationDelete, ProjectCreate, ProjectUpdate, ProjectDelete,
		DelegateTokenCreate, DelegateTokenRevoke, DelegateTokenDelete, DelegateTokenReveal,
		KeyRead, KeyCreate, KeyRevoke, FlagSet, AuditRead, OIDCSet, OIDCRotate, OIDCToken:
		return Admin
	}
	return Admin
}

func (a Action) reads() bool { return strings.HasSuffix(string(a), ".read") }

// Outcome says how an action ended.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed" // it was let through; a change that then proved invalid changed nothing
	Denied  Outcome = "denied"
)

// Entry is one line of the audit log.
type Entry struct {
	ID         string
	At         time.Time
	Scope      scope.Scope
	CallerID   string
	CallerName string
	Action     Action
	Target     string // kind/identifier: connector/prod_aws
	Outcome    Outcome
	Detail     string // what else is worth knowing; never a secret
}

// Filter narrows a listing. Zero fields do not narrow.
type Filter struct {
	Scope  scope.Scope // this scope and all inside it
	Caller string      // id or part of the name
	Action string      // whole or its beginning: connector.
	Target string      // whole or part
	// Targets and Actions, when there are any, hold what an entry must have exactly.
	Targets []string
	Actions []Action
	Outcome Outcome
	Since   time.Time
	Until   time.Time
	Before  string // the id of the entry after which the page starts, newest first
	Limit   int
}

type store interface {
	AppendAudit(ctx context.Context, e Entry) error
	AuditEntries(ctx context.Context, f Filter) ([]Entry, error)
}

// Trail decides and remembers.
type Trail struct {
	Store store
	Log   *slog.Logger
	Now   func() time.Time
}

// Allow lets who do action to target in a scope, or fails with Denied. Every refusal, and everything but reading, is
// kept before Allow returns.
func (t *Trail) Allow(ctx context.Context, who Caller, action Action, at scope.Scope, target string) error {
	return t.AllowWith(ctx, who, action, at, target, "")
}

// AllowWith is Allow with a detail for the entry.
func (t *Trail) AllowWith(ctx context.Context, who Caller, action Action, at scope.Scope, target, detail string) error {
	have, need := who.RoleAt(at), needs(action)
	outcome := Allowed
	if have == "" || !have.Includes(need) {
		outcome = Denied
	}
	if outcome == Denied || !action.reads() {
		if err := t.Note(ctx, who, action, at, target, outcome, detail); err != nil {
			return err
		}
	}
	if outcome == Allowed {
		return nil
	}
	if who.Account != at.Account {
		return fault.New(fault.Denied, "the key %q belongs to another account than %q", who.Name, at.Account)
	}
	if have == "" {
		return fault.New(fault.Denied, "%q has no role at %s; %s needs %s there", who.Name, describe(at), action, need)
	}
	return fault.New(fault.Denied, "%q is %s at %s; %s needs %s", who.Name, have, describe(at), action, need)
}

// Note keeps an entry without deciding anything.
func (t *Trail) Note(ctx context.Context, who Caller, action Action, at scope.Scope, target string, outcome Outcome, detail string) error {
	entry := Entry{
		ID: newID(), At: t.Now().UTC(), Scope: at, CallerID: who.ID, CallerName: who.Name,
		Action: action, Target: target, Outcome: outcome, Detail: detail,
	}
	if err := t.Store.AppendAudit(ctx, entry); err != nil {
		return fault.Because(fault.Unavailable, err, "the audit log cannot be written, so %s was not done", action)
	}
	return nil
}

// Entries lists the log, newest first.
func (t *Trail) Entries(ctx context.Context, who Caller, f Filter) ([]Entry, error) {
	if err := t.Allow(ctx, who, AuditRead, f.Scope, "audit"); err != nil {
		return nil, err
	}
	const most = 1000
	if f.Limit <= 0 || f.Limit > most {
		f.Limit = 100
	}
	return t.Store.AuditEntries(ctx, f)
}

func describe(at scope.Scope) string {
	if at.Level() == scope.Account {
		return "the account"
	}
	return at.Level().String() + " " + at.String()
}

func newID() string { return "aud_" + strings.ToLower(rand.Text()) }
