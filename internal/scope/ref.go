package scope

import (
	"strings"

	"github.com/belay-dev/belay/internal/fault"
)

// Ref is a reference from one entity to another, as it was written: account.name, org.name, or name for the same scope
// as the entity that refers. The zero Ref refers to nothing.
type Ref string

// In finds where the reference leads for an entity that lives in s. It fails when the reference is wider than s allows:
// org.name needs an organization.
func (r Ref) In(s Scope) (Scope, string, error) {
	level, id, found := strings.Cut(string(r), ".")
	switch {
	case r == "":
		return Scope{}, "", fault.New(fault.Invalid, "the reference is empty")
	case !found:
		return s, string(r), nil
	case level == "account":
		return Scope{Account: s.Account}, id, nil
	case level == "org" && s.Org == "":
		return Scope{}, "", fault.New(fault.Invalid, "%q refers to an organization, and an entity at account scope has none; write account.%s", string(r), id)
	case level == "org":
		return Scope{Account: s.Account, Org: s.Org}, id, nil
	}
	return Scope{}, "", fault.New(fault.Invalid, "%q is not a reference; write account.%s, org.%s or %s", string(r), id, id, id)
}

// Check says what is wrong with the reference when an entity in s holds it, or "" when it can lead somewhere. It does
// not look whether anything is there.
func (r Ref) Check(s Scope) string {
	_, id, err := r.In(s)
	if err != nil {
		return fault.Sentence(err)
	}
	if problem := CheckSecretIdentifier(id); problem != "" {
		return "the identifier in the reference " + problem
	}
	return ""
}
