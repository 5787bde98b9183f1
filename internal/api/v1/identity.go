package v1

import (
	"context"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// Whoami is the caller as the manager knows it.
type Whoami struct {
	Account string  `json:"account"`
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Grants  []Grant `json:"grants"`
}

// Grant is a role in a scope.
type Grant struct {
	Scope Place  `json:"scope"`
	Role  string `json:"role"`
}

func grantsOf(grants []audit.Grant) []Grant {
	out := make([]Grant, len(grants))
	for i, g := range grants {
		out[i] = Grant{Scope: placeOf(g.Scope), Role: string(g.Role)}
	}
	return out
}

func (*Server) whoami(_ context.Context, c api.Call) (Whoami, error) {
	return Whoami{Account: c.Who.Account, ID: c.Who.ID, Name: c.Who.Name, Grants: grantsOf(c.Who.Grants)}, nil
}

// Version is what runs.
type Version struct {
	Version         string `json:"version"`         // of the product
	DelegateVersion string `json:"delegateVersion"` // of the delegates that come with it
}

func (s *Server) version(context.Context, api.Call) (Version, error) {
	return Version{Version: s.Version, DelegateVersion: delegate.Current().String()}, nil
}

// Key is an API key without its secret.
type Key struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Grants    []Grant    `json:"grants"`
	CreatedBy string     `json:"createdBy"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"` // null: never
	RevokedAt *time.Time `json:"revokedAt"` // null: not revoked
}

func keyOf(k identity.Key) Key {
	return Key{
		ID: k.ID, Name: k.Name, Grants: grantsOf(k.Grants), CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt.UTC(),
		ExpiresAt: moment(k.ExpiresAt), RevokedAt: moment(k.RevokedAt),
	}
}

func (s *Server) listKeys(ctx context.Context, c api.Call) (List[Key], error) {
	list, err := s.Keys.Keys(ctx, c.Who)
	return listed(list, keyOf), err
}

// NewKey asks for a key with one role in one scope.
type NewKey struct {
	Name              string     `json:"name"`
	Role              string     `json:"role"`
	OrgIdentifier     string     `json:"orgIdentifier,omitempty"`
	ProjectIdentifier string     `json:"projectIdentifier,omitempty"`
	ExpiresAt         *time.Time `json:"expiresAt,omitempty"`
}

// CreatedKey is a new key with its token, which is shown this once.
type CreatedKey struct {
	Key   Key    `json:"key"`
	Token string `json:"token"`
}

func (s *Server) createKey(ctx context.Context, c api.Call, in NewKey) (made, error) {
	at := c.At
	if in.OrgIdentifier != "" || in.ProjectIdentifier != "" {
		at.Org, at.Project = in.OrgIdentifier, in.ProjectIdentifier
	}
	var problems fault.Problems
	if p := scope.CheckName(in.Name); p != "" {
		problems.Add("name", p)
	}
	role, err := audit.ParseRole(in.Role)
	if in.Role == "" {
		problems.Add("role", "is required: viewer, editor or admin")
	} else if err != nil {
		problems.Add("role", err.Error())
	}
	// Whether the scope is there is told only to those who may make a key in it; the service refuses the others.
	if c.Who.RoleAt(at).Includes(audit.Admin) {
		if err := s.Accounts.Exists(ctx, at); fault.KindOf(err) == fault.Invalid {
			problems.Add("orgIdentifier", fault.Sentence(err))
		} else if err != nil {
			return made{}, err
		}
	}
	var expires time.Time
	if in.ExpiresAt != nil {
		if expires = in.ExpiresAt.UTC(); !expires.After(s.Now()) {
			problems.Add("expiresAt", "lies in the past")
		}
	}
	if err := problems.Err(); err != nil {
		return made{}, err
	}
	k, token, err := s.Keys.Create(ctx, c.Who, in.Name, []audit.Grant{{Scope: at, Role: role}}, expires)
	if err != nil {
		return made{}, err
	}
	return made{CreatedKey{Key: keyOf(k), Token: token.Reveal()}}, nil //nolint:forbidigo // shown once, to the one who made it
}

func (s *Server) revokeKey(ctx context.Context, c api.Call) (nothing, error) {
	return nothing{}, s.Keys.Revoke(ctx, c.Who, c.Path("id"))
}

// Entry is one line of the audit log.
type Entry struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Org      string    `json:"org"`
	Project  string    `json:"project"`
	Caller   string    `json:"caller"`
	CallerID string    `json:"callerId"`
	Action   string    `json:"action"`
	Target   string    `json:"target"`
	Outcome  string    `json:"outcome"`
	Detail   string    `json:"detail"`
}

func entryOf(e audit.Entry) Entry {
	return Entry{
		ID: e.ID, At: e.At.UTC(), Org: e.Scope.Org, Project: e.Scope.Project, Caller: e.CallerName, CallerID: e.CallerID,
		Action: string(e.Action), Target: e.Target, Outcome: string(e.Outcome), Detail: e.Detail,
	}
}

// audit lists a page of the audit log, newest first. The cursor is the id of the last entry of the page before.
func (s *Server) audit(ctx context.Context, c api.Call) (List[Entry], error) {
	const usual, most = 100, 500
	f := audit.Filter{
		Scope: c.At, Caller: c.Query("caller"), Action: c.Query("action"), Target: c.Query("target"),
		Outcome: audit.Outcome(c.Query("outcome")), Before: c.Query("cursor"),
	}
	limit, err := c.Number("limit", usual, 1, most)
	if err != nil {
		return List[Entry]{}, err
	}
	if f.Since, err = c.Time("since"); err != nil {
		return List[Entry]{}, err
	}
	if f.Until, err = c.Time("until"); err != nil {
		return List[Entry]{}, err
	}
	if f.Outcome != "" && f.Outcome != audit.Allowed && f.Outcome != audit.Denied {
		return List[Entry]{}, fault.Problems{{Path: "outcome", Message: "is allowed or denied"}}
	}
	f.Limit = limit + 1 // one more, which says whether there is a page after this one
	list, err := s.Trail.Entries(ctx, c.Who, f)
	if err != nil {
		return List[Entry]{}, err
	}
	next := ""
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	page := listed(list, entryOf)
	page.Next = next
	return page, nil
}

// Flag is a feature flag.
type Flag struct {
	Name    string `json:"name"`
	On      bool   `json:"on"`
	Purpose string `json:"purpose"`
}

func flagOf(f org.Flag) Flag { return Flag{Name: f.Name, On: f.On, Purpose: f.Purpose} }

func (s *Server) flags(ctx context.Context, c api.Call) (List[Flag], error) {
	list, err := s.Accounts.Flags(ctx, c.Who)
	return listed(list, flagOf), err
}

// SetFlag turns a flag on or off.
type SetFlag struct {
	On *bool `json:"on"`
}

func (s *Server) setFlag(ctx context.Context, c api.Call, in SetFlag) (Flag, error) {
	if in.On == nil {
		return Flag{}, fault.Problems{{Path: "on", Message: "is required: true or false"}}
	}
	name := c.Path("name")
	if err := s.Accounts.SetFlag(ctx, c.Who, name, *in.On); err != nil {
		return Flag{}, err
	}
	list, err := s.Accounts.Flags(ctx, c.Who)
	for _, f := range list {
		if f.Name == name {
			return flagOf(f), nil
		}
	}
	return Flag{Name: name, On: *in.On}, err
}
