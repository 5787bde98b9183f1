package delegate

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

type registryStore interface {
	SaveDelegate(ctx context.Context, d Delegate) error
	// SaveSeen writes down when delegates were last heard, in one go.
	SaveSeen(ctx context.Context, seen map[ID]time.Time) error
	Delegates(ctx context.Context) ([]Delegate, error)
	DeleteDelegates(ctx context.Context, ids []ID) error
	// SaveGroup keeps the tags that a group is given, or nothing of it when there are none.
	SaveGroup(ctx context.Context, g Group) error
	Groups(ctx context.Context) ([]Group, error)
}

// Registry is the delegates of this manager and their presence.
type Registry struct {
	Store registryStore
	Audit *audit.Trail
	Log   *slog.Logger
	Now   func() time.Time
	// Tagged is told of the delegates whose group was given other tags: they may take other work now.
	Tagged func([]ID)

	mu      sync.RWMutex
	all     map[ID]*entry
	account map[string]map[ID]*entry
	given   map[place]*given
	tagging sync.Mutex // one change of tags at a time
}

type entry struct {
	Delegate
	dirty     bool // heard since it was last written down
	persisted time.Time
}

// Load reads the delegates that are written down. It is called once, before the manager serves.
func (r *Registry) Load(ctx context.Context) error {
	list, err := r.Store.Delegates(ctx)
	if err != nil {
		return err
	}
	groups, err := r.Store.Groups(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.account, r.given = map[ID]*entry{}, map[string]map[ID]*entry{}, map[place]*given{}
	now := r.Now()
	for _, g := range groups {
		r.given[place{g.Scope, g.Name}] = &given{tags: g.Given, peopled: now}
	}
	for _, d := range list {
		// What is written down may be a minute old, and the manager was away: a delegate that was there lately gets the
		// time of one heartbeat to show itself before it counts as silent.
		if recently := now.Add(-SilentAfter + 2*HeartbeatEvery); !d.Revoked && now.Sub(d.LastSeen) < SilentAfter+2*persistEvery && d.LastSeen.Before(recently) {
			d.LastSeen = recently
		}
		r.putLocked(&entry{Delegate: d, persisted: d.LastSeen})
	}
	return nil
}

func (r *Registry) putLocked(e *entry) {
	r.all[e.ID] = e
	in := r.account[e.Scope.Account]
	if in == nil {
		in = map[ID]*entry{}
		r.account[e.Scope.Account] = in
	}
	in[e.ID] = e
}

func (r *Registry) dropLocked(id ID) {
	if e, ok := r.all[id]; ok {
		delete(r.account[e.Scope.Account], id)
		delete(r.all, id)
	}
}

// Register adds a delegate or brings one back. A delegate that restarts on the same host under the same name and token
// gets its id back when the old one is silent, see quietAfter, or says so itself by sending the id.
func (r *Registry) Register(ctx context.Context, d Delegate) (Delegate, error) {
	now := r.Now().UTC()
	d.LastSeen, d.RegisteredAt, d.Draining, d.Busy, d.Revoked = now, now, false, "", false
	r.mu.Lock()
	if old, ok := r.all[d.ID]; ok && old.Scope.Account == d.Scope.Account && old.TokenID == d.TokenID {
		d.RegisteredAt = old.RegisteredAt
	} else if old := r.returnedLocked(d, now); old != nil {
		d.ID, d.RegisteredAt = old.ID, old.RegisteredAt
	} else {
		d.ID = NewID()
	}
	e := &entry{Delegate: d, persisted: now}
	r.putLocked(e)
	shown := r.shownLocked(e)
	r.mu.Unlock()
	if err := r.Store.SaveDelegate(ctx, d); err != nil {
		return Delegate{}, err
	}
	return shown, nil
}

// quietAfter is when nobody lives under an id any more: a delegate is heard at each poll and at each heartbeat.
const quietAfter = PollHeld + HeartbeatEvery

// returnedLocked finds the delegate that d was before it lost its id: the one of the same token, name and host that was
// not heard for longer than a living one can be. Two replicas on one host are never taken for one another.
func (r *Registry) returnedLocked(d Delegate, now time.Time) *entry {
	if d.HostName == "" {
		return nil
	}
	var last *entry
	for _, e := range r.account[d.Scope.Account] {
		if e.TokenID == d.TokenID && e.Name == d.Name && e.HostName == d.HostName && now.Sub(e.LastSeen) > quietAfter &&
			(last == nil || e.LastSeen.After(last.LastSeen)) {
			last = e
		}
	}
	return last
}

// Adopt brings a delegate back under the id that it says it has: one whose row was lost, or that registered with another
// manager. It fails with Denied when another token's delegate has the id, and with Invalid when the id is not one of ours.
func (r *Registry) Adopt(ctx context.Context, d Delegate) (Delegate, error) {
	if !d.ID.wellFormed() {
		return Delegate{}, fault.New(fault.Invalid, "the delegate id is not one that a manager gave out; register again")
	}
	now := r.Now().UTC()
	d.LastSeen, d.RegisteredAt, d.Revoked = now, now, false
	r.mu.Lock()
	if old, ok := r.all[d.ID]; ok {
		if old.Scope.Account != d.Scope.Account || old.TokenID != d.TokenID {
			r.mu.Unlock()
			return Delegate{}, fault.New(fault.Denied, "delegate %s was registered with another token; register again", d.ID)
		}
		d.RegisteredAt = old.RegisteredAt
	}
	e := &entry{Delegate: d, persisted: now}
	r.putLocked(e)
	shown := r.shownLocked(e)
	r.mu.Unlock()
	return shown, r.Store.SaveDelegate(ctx, d)
}

// Report is what a heartbeat says beside "I live".
type Report struct {
	Tags     []string // nil: unchanged
	Draining bool
	Busy     string
	Load     *Load
}

// Seen notes that a delegate was heard. It fails with NotFound when the delegate is not known, which tells it to register
// again.
func (r *Registry) Seen(account string, id ID, report *Report) (Delegate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.all[id]
	if !ok || e.Scope.Account != account {
		return Delegate{}, fault.New(fault.NotFound, "delegate %s is not registered; register again", id)
	}
	e.LastSeen, e.dirty = r.Now().UTC(), true
	if report != nil {
		e.Draining, e.Busy, e.Load = report.Draining, report.Busy, report.Load
		if report.Tags != nil && !slices.Equal(report.Tags, e.Tags) {
			e.Tags = report.Tags
		}
	}
	return r.shownLocked(e), nil
}

// Delegate is one delegate of an account.
func (r *Registry) Delegate(account string, id ID) (Delegate, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.all[id]
	if !ok || e.Scope.Account != account {
		return Delegate{}, fault.New(fault.NotFound, "delegate %s is not registered", id)
	}
	return r.shownLocked(e), nil
}

// InAccount are all delegates of an account, by name.
func (r *Registry) InAccount(account string) []Delegate {
	return inOrder(r.snapshot(account), func(a, b *Delegate) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	})
}

// snapshot are all delegates of an account, in any order.
func (r *Registry) snapshot(account string) []Delegate {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Delegate, 0, len(r.account[account]))
	for _, e := range r.account[account] {
		out = append(out, r.shownLocked(e))
	}
	return out
}

// inOrder sorts what is costly to move: only places are moved, and each element once.
func inOrder[T any](all []T, compare func(a, b *T) int) []T {
	places := make([]int32, len(all))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, func(a, b int32) int { return cmp.Or(compare(&all[a], &all[b]), cmp.Compare(a, b)) })
	out := make([]T, 0, len(all))
	for _, i := range places {
		out = append(out, all[i])
	}
	return out
}

// List is the delegates that a caller may see from a scope: those of the scope, and of the wider ones, which serve it
// too. Delegates that were gone for long are left out.
func (r *Registry) List(ctx context.Context, who audit.Caller, at scope.Scope) ([]Delegate, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateRead, at, "delegate"); err != nil {
		return nil, err
	}
	now := r.Now()
	list := r.InAccount(at.Account)
	return slices.DeleteFunc(list, func(d Delegate) bool {
		return now.Sub(d.LastSeen) > GoneAfter || !d.Scope.Contains(at) && !at.Contains(d.Scope)
	}), nil
}

// Choose judges every delegate of the account for a piece of work.
func (r *Registry) Choose(need Need) Choice {
	list, now := r.snapshot(need.Scope.Account), r.Now()
	list = slices.DeleteFunc(list, func(d Delegate) bool { return now.Sub(d.LastSeen) > GoneAfter })
	return Choose(need, list, now)
}

// Fit are the delegates that may do a piece of work now, in any order: Choose for those who ask for no reasons.
func (r *Registry) Fit(need Need) []Delegate {
	now := r.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	var fit []Delegate
	for _, e := range r.account[need.Scope.Account] {
		d := &e.Delegate
		if len(r.given) > 0 {
			shown := r.shownLocked(e)
			d = &shown
		}
		if need.verdict(d, now) == Eligible {
			fit = append(fit, *d)
		}
	}
	return fit
}

// Explain judges the delegates for a piece of work, as far as a caller may see them, for one who asks who would be chosen.
func (r *Registry) Explain(ctx context.Context, who audit.Caller, need Need) (Choice, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateRead, need.Scope, "delegate"); err != nil {
		return Choice{}, err
	}
	return r.Choose(need).VisibleTo(who), nil
}

// Fitting is how many delegates may do a piece of work now; whoever may see the work may know it.
func (r *Registry) Fitting(ctx context.Context, who audit.Caller, need Need) (int, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateRead, need.Scope, "delegate"); err != nil {
		return 0, err
	}
	return len(r.Fit(need)), nil
}

// Find is one delegate that a caller may see from a scope, as List gives them, those that are gone for long too. It fails
// with NotFound also for those that the caller may not see.
func (r *Registry) Find(ctx context.Context, who audit.Caller, at scope.Scope, id ID) (Delegate, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateRead, at, "delegate/"+string(id)); err != nil {
		return Delegate{}, err
	}
	d, err := r.Delegate(at.Account, id)
	if err == nil && !d.Scope.Contains(at) && !at.Contains(d.Scope) {
		err = fault.New(fault.NotFound, "delegate %s is not registered", id)
	}
	if err != nil {
		return Delegate{}, err
	}
	return d, nil
}

// CutOff marks every delegate of a token as revoked, which is as good as silent, and gives their ids.
func (r *Registry) CutOff(tokenID string) []ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []ID
	for id, e := range r.all {
		if e.TokenID == tokenID {
			ids = append(ids, id)
			e.Revoked = true
		}
	}
	return ids
}

// Drop forgets the delegates of a scope that was deleted, and of all inside it, with what their groups were given. Their
// rows went with the scope.
func (r *Registry) Drop(at scope.Scope) {
	r.tagging.Lock() // so that tags which were written down before the end of their scope are not remembered after it
	defer r.tagging.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.account[at.Account] {
		if at.Contains(e.Scope) {
			r.dropLocked(id)
		}
	}
	for where := range r.given {
		if at.Contains(where.at) {
			delete(r.given, where)
		}
	}
}

// Forget removes a delegate that says good-bye.
func (r *Registry) Forget(ctx context.Context, id ID) error {
	r.mu.Lock()
	r.dropLocked(id)
	r.mu.Unlock()
	return r.Store.DeleteDelegates(ctx, []ID{id})
}

// Run writes presence down once a minute and forgets delegates that are gone, until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(persistEvery / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := r.persist(ctx); err != nil && ctx.Err() == nil {
				r.Log.ErrorContext(ctx, "presence of delegates not written", slog.Any("error", err))
			}
		}
	}
}

// persist writes what was heard since the last time, each delegate at most once a minute.
func (r *Registry) persist(ctx context.Context) error {
	now := r.Now()
	seen := map[ID]time.Time{}
	var gone []ID
	r.mu.Lock()
	for id, e := range r.all {
		switch {
		case now.Sub(e.LastSeen) > GroupGoneAfter:
			gone = append(gone, id)
			r.dropLocked(id)
		case e.dirty && now.Sub(e.persisted) >= persistEvery:
			seen[id] = e.LastSeen
			e.dirty, e.persisted = false, now
		}
	}
	abandoned := r.abandonedLocked(now)
	r.mu.Unlock()
	if len(gone) > 0 {
		if err := r.Store.DeleteDelegates(ctx, gone); err != nil {
			return err
		}
	}
	if err := r.clear(ctx, abandoned); err != nil {
		return err
	}
	if len(seen) == 0 {
		return nil
	}
	return r.Store.SaveSeen(ctx, seen)
}
