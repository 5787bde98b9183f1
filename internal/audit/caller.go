// Package audit answers two questions about everything that a person or program does: may they, and did they.
//
// Each service method that a user can cause takes a Caller and asks Trail.Allow before anything else. Allow decides by
// role and scope, and keeps an entry of every change, every use and every refusal. Reading is not kept unless it was
// refused.
package audit

import (
	"fmt"
	"slices"

	"github.com/belay-dev/belay/internal/scope"
)

// Role is what a caller may do in a scope and in all that lies inside it.
type Role string

// The roles, each including the one before.
const (
	Viewer Role = "viewer" // read
	Editor Role = "editor" // read, change, test
	Admin  Role = "admin"  // and keys, tokens, flags, organizations, the audit log
)

// Roles are all roles, weakest first.
func Roles() []Role { return []Role{Viewer, Editor, Admin} }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("%q is not a role; choose viewer, editor or admin", name)
}

// Includes reports whether the role can do what other can.
func (r Role) Includes(other Role) bool {
	return slices.Index(Roles(), r) >= slices.Index(Roles(), other)
}

// Grant is a role in a scope.
type Grant struct {
	Scope scope.Scope
	Role  Role
}

// Caller is who does something.
type Caller struct {
	Account string
	ID      string // an API key's id, or the name of a part of Belay
	Name    string // as people know it
	Grants  []Grant
	// System marks Belay itself, such as the periodic test: it may do everything in its account.
	System bool
}

// System is the caller for what Belay does on its own.
func System(account, part string) Caller {
	return Caller{Account: account, ID: "system:" + part, Name: part, System: true}
}

// RoleAt is the caller's strongest role in a scope, or "" when it has none.
func (c Caller) RoleAt(at scope.Scope) Role {
	if c.Account != at.Account {
		return ""
	}
	if c.System {
		return Admin
	}
	var best Role
	for _, g := range c.Grants {
		if g.Scope.Contains(at) && (best == "" || g.Role.Includes(best)) {
			best = g.Role
		}
	}
	return best
}

// May reports whether the caller's role allows an action in a scope. It keeps no entry and decides nothing: it is for
// those who offer a choice, and Trail.Allow decides when it is made.
func (c Caller) May(action Action, at scope.Scope) bool {
	role := c.RoleAt(at)
	return role != "" && role.Includes(needs(action))
}
