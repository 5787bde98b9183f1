package connector

import (
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/secret"
)

// Access is a connector made ready for use: its references are resolved and its defaults applied. It exists only in the
// memory of the process that calls AWS, and on its way there.
type Access struct {
	// Key and Revision name the connector as it was when it was resolved: sessions are cached under them.
	Key      string
	Revision int64
	// Name is the connector's identifier, for session names.
	Name string

	Source       Source
	CrossAccount *CrossAccount
	Region       string
	Backoff      backoff.Strategy
}

// Source is where the first credentials come from, resolved.
//
//sumtype:decl
type Source interface{ isSource() }

// StaticKeys are an access key and its secret.
type StaticKeys struct {
	AccessKey    string
	SecretKey    secret.Value
	SessionToken secret.Value // zero: none
}

// DelegateRole is the chain of the process itself.
type DelegateRole struct{}

// WebIdentityFile is the role and token file named by the environment of the process.
type WebIdentityFile struct{}

// WebIdentityToken is a token minted for this use and the role that it is exchanged for.
type WebIdentityToken struct {
	RoleARN string
	Token   secret.Value
	// Says is the same for tokens that say the same but for their times: only those may share a session.
	Says string
}

func (StaticKeys) isSource()       {}
func (DelegateRole) isSource()     {}
func (WebIdentityFile) isSource()  {}
func (WebIdentityToken) isSource() {}

// Check is a connection test as its runner gets it.
type Check struct {
	Access Access
	// IdentityOnly leaves DescribeRegions out, for those who refuse that permission.
	IdentityOnly bool
	// Fresh bypasses every cached session.
	Fresh bool
	// ProveExternalID tries, after a check that passed, to assume the role without its external id and with a wrong one.
	ProveExternalID bool
	// Timeout bounds the whole check.
	Timeout time.Duration
}

// Survey asks what a connector's identity may do: its policies are read, and AWS is asked about actions.
type Survey struct {
	Access  Access
	Fresh   bool
	Timeout time.Duration
	Ask     []Asked
}

// Asked is an action on a resource, "*" for one that takes none.
type Asked struct {
	Action   string
	Resource string
	// Context are condition keys of the request beside those that every one carries, a line each: key=value. A value may
	// have the wildcards of a condition.
	Context string
}

// WithKey adds a condition key to a Context.
func WithKey(context, key, value string) string {
	if context != "" {
		context += "\n"
	}
	return context + key + "=" + strings.ReplaceAll(value, "\n", " ")
}

// Keys are the names and values in the Context, for a request: a wildcard is filled with a letter.
func (a Asked) Keys() [][2]string {
	all := keysOf(a.Context)
	for i := range all {
		all[i][1] = strings.NewReplacer("*", "x", "?", "x").Replace(all[i][1])
	}
	return all
}

// keysOf are the names and values in a Context, as they were added.
func keysOf(context string) [][2]string {
	var out [][2]string
	for line := range strings.Lines(context) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			out = append(out, [2]string{key, value})
		}
	}
	return out
}
