package web

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/nextgen"
)

// drafts are the connectors that are being made or changed, each of one session. They are kept in memory as sessions are, so
// that the address of a step holds no more than the draft's id: back, forward and reload find every answer, and no answer
// stands in an address, a history or a log. No value of a secret is ever in a draft.
type drafts struct {
	mu   sync.Mutex
	now  func() time.Time
	list map[[32]byte]draft
	size int // of all together, in bytes
}

// The bounds of drafts.
const (
	mostDrafts = 2000     // the one that was used longest ago makes room
	mostOfOne  = 50       // drafts of one session: the oldest of its own make room, and not those of others
	mostKept   = 64 << 20 // bytes of all together
	draftFor   = sessionFor
	maxDraft   = 256 << 10 // bytes of one: the longest spec that is kept, as it is and as a file, and room for the answers
	maxYAML    = 96 << 10  // bytes of a connector as a file
)

// draft is a connector that is not saved yet.
type draft struct {
	Values map[string]string // answers by the name of their field
	// Base is what the answers change: of a new connector nothing, else what is stored or what was written as YAML. Fields
	// that the form does not have stay as they are in it.
	Base     nextgen.Connector
	Revision int64 // of the stored connector that the change was made from; 0 for a new one
	Reached  int   // the furthest step that was answered
	// Before is the file as it was before the answers of the step Last, so that a page can mark what they changed.
	Before, Now string
	Last        string
	// Turn counts the answers that a button sent. A preview belongs to the turn in which its page was made: one that is
	// overtaken by a button must not bring older answers back.
	Turn int

	used    time.Time
	size    int      // in bytes
	session [32]byte // whose it is
}

// newDraftID makes an id. It is no secret: it means nothing without the session.
func newDraftID() string { return strings.ToLower(rand.Text())[:12] }

// wellFormedDraft reports whether newDraftID could have made the id.
func wellFormedDraft(id string) bool {
	const length = 12
	return len(id) == length && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func draftKey(cookie, of, id string) [32]byte {
	return sha256.Sum256([]byte(cookie + "\x00" + of + "\x00" + id))
}

// get finds a draft of a session; of is what it is a draft of.
func (d *drafts) get(cookie, of, id string) (draft, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := draftKey(cookie, of, id)
	one, ok := d.list[key]
	if !ok {
		return draft{}, false
	}
	now := d.now()
	if now.Sub(one.used) > draftFor {
		d.removeLocked(key)
		return draft{}, false
	}
	one.used = now
	d.list[key] = one
	one.Values = maps.Clone(one.Values)
	return one, true
}

// put keeps a draft, unless it is too large. A preview is passed over when another turn began meanwhile.
func (d *drafts) put(cookie, of, id string, one draft, preview bool) bool {
	size := len(one.Before) + len(one.Now) + len(one.Base.Kept)
	for name, value := range one.Values {
		size += len(name) + len(value)
	}
	if size > maxDraft {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = map[[32]byte]draft{}
	}
	key := draftKey(cookie, of, id)
	had, there := d.list[key]
	if preview && there && had.Turn != one.Turn {
		return true
	}
	d.removeLocked(key)
	one.Values, one.used, one.size, one.session = maps.Clone(one.Values), d.now(), size, sha256.Sum256([]byte(cookie))
	d.makeRoomLocked(one)
	d.list[key] = one
	d.size += size
	return true
}

// makeRoomLocked removes what is over, and then the oldest, until there is room for one more.
func (d *drafts) makeRoomLocked(next draft) {
	mine := 0
	for key, one := range d.list {
		switch {
		case next.used.Sub(one.used) > draftFor:
			d.removeLocked(key)
		case one.session == next.session:
			mine++
		}
	}
	if mine >= mostOfOne {
		d.removeOldestLocked(func(one draft) bool { return one.session == next.session })
	}
	for len(d.list) >= mostDrafts || len(d.list) > 0 && d.size+next.size > mostKept {
		d.removeOldestLocked(func(draft) bool { return true })
	}
}

func (d *drafts) removeOldestLocked(among func(draft) bool) {
	var oldest [32]byte
	var at time.Time
	for key, one := range d.list {
		if among(one) && (at.IsZero() || one.used.Before(at)) {
			oldest, at = key, one.used
		}
	}
	d.removeLocked(oldest)
}

func (d *drafts) removeLocked(key [32]byte) {
	d.size -= d.list[key].size
	delete(d.list, key)
}

func (d *drafts) drop(cookie, of, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeLocked(draftKey(cookie, of, id))
}

// end removes the drafts of a session that ends.
func (d *drafts) end(cookie string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	session := sha256.Sum256([]byte(cookie))
	for key, one := range d.list {
		if one.session == session {
			d.removeLocked(key)
		}
	}
}
