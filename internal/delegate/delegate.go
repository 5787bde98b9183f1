// Package delegate knows the delegates: who they are, how they prove it, whether they live, and which of them may take a
// piece of work, with a reason for each that may not.
//
// Presence is kept in memory and written down at most once a minute, so that a slow database never makes a live delegate
// look dead. The row in the database is what a restarted manager starts from.
package delegate

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/scope"
)

// The timers.
const (
	HeartbeatEvery = 10 * time.Second
	PollHeld       = 22 * time.Second
	SilentAfter    = 60 * time.Second   // without poll or heartbeat
	GoneAfter      = 6 * time.Hour      // from lists
	GroupGoneAfter = 7 * 24 * time.Hour // with all its delegates
	RetryUpTo      = 30 * time.Second   // reconnects are spread over this, full jitter
	persistEvery   = time.Minute
)

// ID names one running delegate.
type ID string

// NewID makes an id.
func NewID() ID { return ID("dlg_" + strings.ToLower(rand.Text())) }

// wellFormed reports whether NewID could have made the id.
func (id ID) wellFormed() bool {
	const length = len("dlg_") + 26 // of rand.Text
	if len(id) != length || !strings.HasPrefix(string(id), "dlg_") {
		return false
	}
	return strings.IndexFunc(string(id[len("dlg_"):]), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '2' || r > '7')
	}) < 0
}

// PlatformName is how the manager itself appears where a delegate is named.
const PlatformName = "platform"

// PlatformID is the id under which the manager runs the work of connectors that are executed by the platform.
const PlatformID ID = "platform"

// Delegate is one running delegate, as it registered and as it was last heard.
type Delegate struct {
	ID          ID
	Scope       scope.Scope // that of its token
	TokenID     string
	Name        string // its group; replicas share it
	HostName    string
	IP          string
	Type        string // KUBERNETES, HELM_DELEGATE, DOCKER, …
	Description string
	Tags        []string // what it says itself; the registry adds those that its group is given
	Version     Version  // zero when it did not say
	Kinds       []string // task types that it can do; empty means it did not say, which is any

	RegisteredAt time.Time
	LastSeen     time.Time
	// Revoked: its token was revoked, or is gone, so it is cut off.
	Revoked bool
	// Draining: it finishes what it has and takes nothing new.
	Draining bool
	// Busy says why it takes nothing now, such as "CPU at 93 %, threshold 80 %"; empty when it does.
	Busy string
	// Load is what its last heartbeat said of its work; nil when it said nothing, which existing clients do.
	Load *Load
}

// Load is how much a delegate does. CPU and Memory are percent of what it may use, -1 where it cannot measure; Limit is the
// most tasks at once.
type Load struct{ CPU, Memory, Tasks, Limit int }

// Alive reports whether the delegate may be heard, and was lately enough to be given work.
func (d *Delegate) Alive(now time.Time) bool { return !d.Revoked && now.Sub(d.LastSeen) < SilentAfter }

// HasTag reports whether the delegate has a tag. Its name is one, and case does not matter.
func (d *Delegate) HasTag(tag string) bool {
	if strings.EqualFold(d.Name, tag) {
		return true
	}
	for _, t := range d.Tags {
		if strings.EqualFold(t, tag) {
			return true
		}
	}
	return false
}

// Version is a delegate version yy.mm.build, compared by number.
type Version struct{ Year, Month, Build int }

// ParseVersion reads yy.mm.build; what follows a further dot or hyphen (as in 24.03.82603.minimal) is ignored.
func ParseVersion(text string) (Version, error) {
	parts := strings.Split(text, ".")
	if len(parts) < 3 {
		return Version{}, fmt.Errorf("%q is not a delegate version; one looks like 24.03.82603", text)
	}
	parts[2], _, _ = strings.Cut(parts[2], "-")
	var n [3]int
	for i := range n {
		v, err := strconv.Atoi(parts[i])
		if err != nil || v < 0 {
			return Version{}, fmt.Errorf("%q is not a delegate version; one looks like 24.03.82603", text)
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String writes yy.mm.build.
func (v Version) String() string {
	if v == (Version{}) {
		return "unknown"
	}
	return fmt.Sprintf("%02d.%02d.%05d", v.Year, v.Month, v.Build)
}

// Before reports whether v is older than other.
func (v Version) Before(other Version) bool {
	if v.Year != other.Year {
		return v.Year < other.Year
	}
	if v.Month != other.Month {
		return v.Month < other.Month
	}
	return v.Build < other.Build
}

// Current is the version of the delegate in this program. It is apart from the product's own version, and follows the
// scheme of the delegates that Belay stands in for, so that their gates can be compared with it.
func Current() Version { return Version{26, 11, 90000} }

// SessionTokenSince is the first version that can use a session token with an access key (AWS connector settings reference).
func SessionTokenSince() Version { return Version{24, 9, 84100} }

// OIDCSince is the first version that can use an OIDC token (AWS connector settings reference).
func OIDCSince() Version { return Version{24, 3, 82603} }
