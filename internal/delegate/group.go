package delegate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The bounds of the tags that a group is given.
const (
	mostGroupTags = 100
	longestTag    = 128 // characters
)

// Group is the delegates of one name in one scope, and the tags that callers gave to them. Each delegate has these beside
// the tags that it says itself, also after it was started anew.
type Group struct {
	Scope scope.Scope
	Name  string
	Given []string
}

// place names a group among all.
type place struct {
	at   scope.Scope
	name string
}

func (d Delegate) place() place { return place{d.Scope, d.Name} }

// given are the tags of a group.
type given struct {
	tags    []string
	peopled time.Time // when the group had a delegate last, as far as this manager saw it
}

// Grouped is a group with its delegates.
type Grouped struct {
	Group
	Tags []string // all that count as selectors: what its delegates say, and what was given
}

// Groups lists the groups that a caller may see from a scope and that have every one of some tags, by name.
func (r *Registry) Groups(ctx context.Context, who audit.Caller, at scope.Scope, tags []string) ([]Grouped, error) {
	list, err := r.List(ctx, who, at)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	groups := map[place]*Grouped{}
	for where, g := range r.given {
		if where.at.Contains(at) || at.Contains(where.at) {
			groups[where] = &Grouped{Group: Group{where.at, where.name, g.tags}, Tags: g.tags}
		}
	}
	r.mu.RUnlock()
	for _, d := range list {
		g := groups[d.place()]
		if g == nil {
			g = &Grouped{Group: Group{Scope: d.Scope, Name: d.Name}}
			groups[d.place()] = g
		}
		g.Tags = joined(g.Tags, d.Tags)
	}
	out := []Grouped{}
	for _, g := range groups {
		if named := (Delegate{Name: g.Name, Tags: g.Tags}); !slices.ContainsFunc(tags, func(tag string) bool { return !named.HasTag(tag) }) {
			out = append(out, *g)
		}
	}
	slices.SortFunc(out, func(a, b Grouped) int {
		return strings.Compare(a.Name+"\x00"+a.Scope.Path(""), b.Name+"\x00"+b.Scope.Path(""))
	})
	return out, nil
}

// Group is one group of exactly a scope, by its name or by the identifier that the name makes; case does not matter.
func (r *Registry) Group(ctx context.Context, who audit.Caller, at scope.Scope, id string) (Group, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateRead, at, "delegate-group/"+id); err != nil {
		return Group{}, err
	}
	return r.find(at, id)
}

func (r *Registry) find(at scope.Scope, id string) (Group, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := map[string]struct{}{}
	for _, e := range r.account[at.Account] {
		if e.Scope == at {
			names[e.Name] = struct{}{}
		}
	}
	for where := range r.given {
		if where.at == at {
			names[where.name] = struct{}{}
		}
	}
	if _, ok := names[id]; ok {
		return Group{at, id, r.givenLocked(place{at, id})}, nil
	}
	for _, same := range []func(name string) bool{
		func(name string) bool { return strings.EqualFold(name, id) },
		func(name string) bool { return strings.EqualFold(scope.IdentifierFromName(name), id) },
	} {
		var found []string
		for name := range names {
			if same(name) {
				found = append(found, name)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return Group{at, found[0], r.givenLocked(place{at, found[0]})}, nil
		}
		slices.Sort(found)
		return Group{}, fault.New(fault.Invalid, "%.128q is the identifier of several delegates: %s; use the name of one", id, strings.Join(found, ", "))
	}
	return Group{}, fault.New(fault.NotFound, "no delegate has the name %.128q at %s", id, at)
}

func (r *Registry) givenLocked(where place) []string {
	if g, ok := r.given[where]; ok {
		return g.tags
	}
	return nil
}

// Tag changes the tags that a group is given: change gets those that it has and returns those that it shall have; none
// removes all. Tags count for the work that is assigned from then on.
func (r *Registry) Tag(ctx context.Context, who audit.Caller, at scope.Scope, id string, change func(tags []string) []string) (Group, error) {
	if err := r.Audit.Allow(ctx, who, audit.DelegateTag, at, "delegate-group/"+id); err != nil {
		return Group{}, err
	}
	r.tagging.Lock() // so that memory learns of changes in the order in which they are written
	defer r.tagging.Unlock()
	g, err := r.find(at, id)
	if err != nil {
		return Group{}, err
	}
	if g.Given, err = checkedTags(change(slices.Clone(g.Given))); err != nil {
		return Group{}, err
	}
	if err := r.Store.SaveGroup(ctx, g); err != nil {
		return Group{}, err
	}
	r.mu.Lock()
	if len(g.Given) == 0 {
		delete(r.given, place{at, g.Name})
	} else {
		r.given[place{at, g.Name}] = &given{tags: g.Given, peopled: r.Now()}
	}
	members := r.membersLocked(place{at, g.Name})
	r.mu.Unlock()
	if r.Tagged != nil {
		r.Tagged(members)
	}
	return g, nil
}

func (r *Registry) membersLocked(where place) []ID {
	var members []ID
	for id, e := range r.account[where.at.Account] {
		if e.place() == where {
			members = append(members, id)
		}
	}
	return members
}

// checkedTags leaves out what is there twice, and finds what cannot be a tag.
func checkedTags(tags []string) ([]string, error) {
	var problems fault.Problems
	for i, tag := range tags {
		path := fmt.Sprintf("tags[%d]", i)
		switch {
		case strings.TrimSpace(tag) == "":
			problems.Add(path, "is empty")
		case len([]rune(tag)) > longestTag:
			problems.Add(path, fmt.Sprintf("has %d characters, at most %d are allowed", len([]rune(tag)), longestTag))
		case strings.ContainsFunc(tag, func(c rune) bool { return c < ' ' || c == 0x7f || c == ',' }):
			problems.Add(path, "holds a comma or a control character")
		}
	}
	tags = joined(nil, tags)
	if len(tags) > mostGroupTags {
		problems.Add("tags", fmt.Sprintf("are %d, at most %d are allowed", len(tags), mostGroupTags))
	}
	return tags, problems.Err()
}

// joined is tags with more behind them, each once; case does not matter.
func joined(tags, more []string) []string {
	out := slices.Clip(tags) // more is never written behind another's list
	for _, tag := range more {
		if !slices.ContainsFunc(out, func(other string) bool { return strings.EqualFold(other, tag) }) {
			out = append(out, tag)
		}
	}
	return out
}

// shownLocked is a delegate with the tags that its group is given.
func (r *Registry) shownLocked(e *entry) Delegate {
	d := e.Delegate
	if g, ok := r.given[d.place()]; ok {
		d.Tags = joined(d.Tags, g.tags)
	}
	return d
}

// abandonedLocked finds the groups that had no delegate for GroupGoneAfter: their tags go with them.
func (r *Registry) abandonedLocked(now time.Time) []Group {
	if len(r.given) == 0 {
		return nil
	}
	for _, e := range r.all {
		if g, ok := r.given[e.place()]; ok {
			g.peopled = now
		}
	}
	var gone []Group
	for where, g := range r.given {
		if now.Sub(g.peopled) > GroupGoneAfter {
			gone = append(gone, Group{Scope: where.at, Name: where.name})
		}
	}
	return gone
}

// clear removes the tags of groups that are gone, unless a delegate came back meanwhile.
func (r *Registry) clear(ctx context.Context, gone []Group) error {
	r.tagging.Lock()
	defer r.tagging.Unlock()
	for _, g := range gone {
		where := place{g.Scope, g.Name}
		r.mu.RLock()
		back := len(r.membersLocked(where)) > 0
		r.mu.RUnlock()
		if back {
			continue
		}
		if err := r.Store.SaveGroup(ctx, g); err != nil {
			return err
		}
		r.mu.Lock()
		delete(r.given, where)
		r.mu.Unlock()
	}
	return nil
}
