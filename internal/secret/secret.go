// Package secret keeps text that must not be seen.
//
// Value is the text in memory: it masks itself however it is printed. Keyring seals it for the database with envelope
// encryption: each secret has a data key of its own, which the master key wraps. Service keeps secrets by name at three
// scopes and gives their values only to code inside Belay that is about to use them; no API ever returns one.
package secret

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// BuiltInManager is the identifier of the only secret manager that Belay has: its own database.
const BuiltInManager = "harnessSecretManager"

// MaxValue is the longest value, in bytes.
const MaxValue = 64 << 10

// Kind says where a secret's value is.
type Kind string

// The kinds.
const (
	Inline    Kind = "Inline"    // sealed in Belay's database
	Reference Kind = "Reference" // a path in an external secret manager; kept and shown, not yet resolved by Belay
	// Custom is what a custom secret manager wants to know: it lies in Metadata, and perhaps in Path. Kept and shown.
	Custom Kind = "CustomSecretManagerValues"
)

// Secret is a text secret without its value.
type Secret struct {
	Scope       scope.Scope
	ID          string
	Name        string
	Description string
	Tags        map[string]string
	Manager     string // identifier of the secret manager
	Kind        Kind
	Path        string                     // of a Reference, in its manager
	Metadata    map[string]json.RawMessage // what clients add, kept as it came
	Sealed      string                     // of an Inline secret; empty when read for display
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Filter narrows a listing.
type Filter struct {
	Scope     scope.Scope
	SubScopes bool // also those inside the scope
	IDs       []string
	Search    string
	Tags      map[string]string
	// Description is part of the description.
	Description string
	Offset      int
	Limit       int
}

type store interface {
	CreateSecret(ctx context.Context, s Secret) error // Conflict when it is there
	UpdateSecret(ctx context.Context, at scope.Scope, id string, change func(Secret) (Secret, error)) (Secret, error)
	Secret(ctx context.Context, at scope.Scope, id string) (Secret, error)
	Secrets(ctx context.Context, f Filter) ([]Secret, int, error)
	DeleteSecret(ctx context.Context, at scope.Scope, id string) error
	// SecretUsers names the connectors that refer to a secret: org/project/identifier.
	SecretUsers(ctx context.Context, at scope.Scope, id string) ([]string, error)
	// SecretUsersPage are the first of them, and how many there are.
	SecretUsersPage(ctx context.Context, at scope.Scope, id string, limit int) ([]User, int, error)
	// CountSecretUsers counts the connectors that refer to each secret, in the order of the list.
	CountSecretUsers(ctx context.Context, list []Secret) ([]int, error)
}

type scopes interface {
	Exists(ctx context.Context, at scope.Scope) error
}

// Service is secrets with their rules.
type Service struct {
	Store   store
	Scopes  scopes
	Keyring *Keyring
	Audit   *audit.Trail
	Log     *slog.Logger
	Now     func() time.Time
}

// Create adds a secret. value is ignored for a Reference.
func (s *Service) Create(ctx context.Context, who audit.Caller, sec Secret, value Value) (Secret, error) {
	if sec.ID == "" {
		sec.ID = scope.IdentifierFromName(sec.Name)
	}
	if err := s.Audit.Allow(ctx, who, audit.SecretCreate, sec.Scope, "secret/"+sec.ID); err != nil {
		return Secret{}, err
	}
	problems := sec.Check(value)
	switch {
	case sec.Kind == Inline && value.IsZero():
		problems.Add(valuePath, "is required")
	case sec.Kind == Reference && sec.Path == "":
		problems.Add(valuePath, pathRequired)
	}
	if err := s.Scopes.Exists(ctx, sec.Scope); fault.KindOf(err) == fault.Invalid {
		path := "secret.orgIdentifier"
		if sec.Scope.Project != "" && sec.Scope.Org != "" {
			path = "secret.projectIdentifier"
		}
		problems.Add(path, fault.Sentence(err))
	} else if err != nil {
		return Secret{}, err
	}
	if err := problems.Err(); err != nil {
		return Secret{}, err
	}
	if err := s.seal(&sec, value); err != nil {
		return Secret{}, err
	}
	sec.CreatedAt = s.Now().UTC()
	sec.UpdatedAt = sec.CreatedAt
	if err := s.Store.CreateSecret(ctx, sec); err != nil {
		return Secret{}, err
	}
	return sec.withoutValue(), nil
}

// Update changes a secret. A zero value leaves the stored one as it is.
func (s *Service) Update(ctx context.Context, who audit.Caller, sec Secret, value Value) (Secret, error) {
	if err := s.Audit.Allow(ctx, who, audit.SecretUpdate, sec.Scope, "secret/"+sec.ID); err != nil {
		return Secret{}, err
	}
	if err := sec.Check(value).Err(); err != nil {
		return Secret{}, err
	}
	changed, err := s.Store.UpdateSecret(ctx, sec.Scope, sec.ID, func(old Secret) (Secret, error) {
		sec.CreatedAt, sec.UpdatedAt, sec.Sealed = old.CreatedAt, s.Now().UTC(), old.Sealed
		if sec.Kind != Inline && sec.Path == "" {
			sec.Path = old.Path
		}
		if sec.Kind == Reference && sec.Path == "" {
			return Secret{}, fault.Problems{{Path: valuePath, Message: pathRequired}}
		}
		if sec.Kind == Inline && old.Sealed == "" && value.IsZero() {
			return Secret{}, fault.Problems{{Path: valuePath, Message: "is required: the stored secret has no value of its own"}}
		}
		if sec.Kind == Inline && value.IsZero() {
			return sec, nil
		}
		return sec, s.seal(&sec, value)
	})
	return changed.withoutValue(), err
}

// Secret reads one, without its value.
func (s *Service) Secret(ctx context.Context, who audit.Caller, at scope.Scope, id string) (Secret, error) {
	if err := s.Audit.Allow(ctx, who, audit.SecretRead, at, "secret/"+id); err != nil {
		return Secret{}, err
	}
	sec, err := s.Store.Secret(ctx, at, id)
	return sec.withoutValue(), err
}

// Secrets lists them, without their values.
func (s *Service) Secrets(ctx context.Context, who audit.Caller, f Filter) ([]Secret, int, error) {
	if err := s.Audit.Allow(ctx, who, audit.SecretRead, f.Scope, "secret"); err != nil {
		return nil, 0, err
	}
	list, total, err := s.Store.Secrets(ctx, f)
	for i := range list {
		list[i] = list[i].withoutValue()
	}
	return list, total, err
}

// Delete removes a secret. One that connectors refer to stays, unless force is set.
func (s *Service) Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string, force bool) error {
	if err := s.Audit.Allow(ctx, who, audit.SecretDelete, at, "secret/"+id); err != nil {
		return err
	}
	if !force {
		// One that is gone must be said to be gone, though connectors may still refer to it.
		if _, err := s.Store.Secret(ctx, at, id); err != nil {
			return err
		}
		users, err := s.Store.SecretUsers(ctx, at, id)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fault.New(fault.InUse, "secret %q is still being used by %s; change those first, or delete with force", id, enumerate(users))
		}
	}
	return s.Store.DeleteSecret(ctx, at, id)
}

// Resolve gives the value behind a reference that an entity in scope from holds. It is for code that is about to use
// the value; authorization and audit belong to that use.
func (s *Service) Resolve(ctx context.Context, from scope.Scope, ref scope.Ref) (Value, error) {
	at, id, err := ref.In(from)
	if err != nil {
		return Value{}, err
	}
	sec, err := s.Store.Secret(ctx, at, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return Value{}, fault.New(fault.NotFound, "secret %q does not exist at %s", id, at)
	case err != nil:
		return Value{}, err
	case sec.Kind == Custom:
		return Value{}, fault.New(fault.Invalid, "secret %q lies in the secret manager %q, which Belay cannot read; store its value inline", id, sec.Manager)
	case sec.Kind == Reference:
		return Value{}, fault.New(fault.Invalid, "secret %q is a reference to %q in the secret manager %q, which Belay cannot read; store its value inline", id, sec.Path, sec.Manager)
	}
	plain, err := s.Keyring.Open(sec.Sealed, label(sec))
	if err != nil {
		return Value{}, fault.Because(fault.Unavailable, err, "secret %q cannot be opened with the present master key; start the manager with the key that sealed it", id)
	}
	return plain, nil
}

func (s *Service) seal(sec *Secret, value Value) error {
	if sec.Kind != Inline {
		sec.Sealed = ""
		return nil
	}
	sealed, err := s.Keyring.Seal(value, label(*sec))
	sec.Sealed = sealed
	return err
}

// label binds a ciphertext to its row: copied to another row it does not open.
func label(sec Secret) string { return "secret/" + sec.Scope.Path(sec.ID) }

func (sec Secret) withoutValue() Secret {
	sec.Sealed = ""
	return sec
}

const (
	valuePath    = "secret.spec.value"
	pathRequired = "is required: the path in the other secret manager"
)

// Check finds every reason in the secret itself why it cannot be saved. A value or path that lacks is none: an update
// keeps the stored one.
func (sec Secret) Check(value Value) fault.Problems {
	var problems fault.Problems
	if p := scope.CheckSecretIdentifier(sec.ID); p != "" {
		problems.Add("secret.identifier", p)
	}
	if p := scope.CheckName(sec.Name); p != "" {
		problems.Add("secret.name", p)
	}
	if sec.Kind != Inline && sec.Kind != Reference && sec.Kind != Custom {
		problems.Add("secret.spec.valueType", fmt.Sprintf("%q is not supported; use Inline, Reference or CustomSecretManagerValues", string(sec.Kind)))
	}
	if value.Len() > MaxValue {
		problems.Add(valuePath, fmt.Sprintf("has %d bytes, at most %d are allowed", value.Len(), MaxValue))
	}
	if len(sec.Tags) > scope.MaxTags {
		problems.Add("secret.tags", fmt.Sprintf("has %d tags, at most %d are allowed", len(sec.Tags), scope.MaxTags))
	}
	return problems
}

func enumerate(names []string) string {
	const most = 3
	text := ""
	for i, n := range names {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(names)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += "connector " + n
	}
	return text
}
