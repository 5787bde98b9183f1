// Package scope holds the words for where an entity lives and what it is called: account, organization and project,
// the identifiers that users choose, and references from one entity to another.
//
// The rules are those of Harness NextGen, so that existing Terraform code and YAML keep their meaning.
package scope

import (
	"strings"

	"github.com/belay-dev/belay/internal/fault"
)

// Scope is where an entity lives. Org and Project are empty at account scope, Project alone at organization scope.
type Scope struct {
	Account string
	Org     string
	Project string
}

// Level is how deep a scope is.
type Level int

// The levels, from the widest to the narrowest.
const (
	Account Level = iota + 1
	Organization
	Project
)

// String is the level as people say it.
func (l Level) String() string {
	switch l {
	case Account:
		return "account"
	case Organization:
		return "organization"
	case Project:
		return "project"
	}
	return "unknown"
}

// Level tells how deep the scope is.
func (s Scope) Level() Level {
	switch {
	case s.Project != "":
		return Project
	case s.Org != "":
		return Organization
	default:
		return Account
	}
}

// Valid refuses a project without an organization, and a scope without an account.
func (s Scope) Valid() error {
	if s.Account == "" {
		return fault.New(fault.Invalid, "accountIdentifier is required")
	}
	if s.Project != "" && s.Org == "" {
		return fault.New(fault.Invalid, "projectIdentifier %q needs its orgIdentifier", s.Project)
	}
	return nil
}

// Contains reports whether other is this scope or lies inside it.
func (s Scope) Contains(other Scope) bool {
	if s.Account != other.Account {
		return false
	}
	if s.Org == "" {
		return true
	}
	if s.Org != other.Org {
		return false
	}
	return s.Project == "" || s.Project == other.Project
}

// Parent is the next wider scope; the account's parent is itself.
func (s Scope) Parent() Scope {
	if s.Project != "" {
		return Scope{Account: s.Account, Org: s.Org}
	}
	return Scope{Account: s.Account}
}

// String is the scope as people write it: account, org1 or org1/prj1.
func (s Scope) String() string {
	switch s.Level() {
	case Organization:
		return s.Org
	case Project:
		return s.Org + "/" + s.Project
	case Account:
	}
	return "account"
}

// Path is the full name of an entity in the scope: account/org/project/id.
func (s Scope) Path(id string) string {
	return strings.Join([]string{s.Account, s.Org, s.Project, id}, "/")
}
