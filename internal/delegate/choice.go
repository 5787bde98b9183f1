package delegate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/scope"
)

// Need is what a piece of work asks of a delegate.
type Need struct {
	Scope      scope.Scope // where the work belongs: delegates of this scope and of the wider ones may do it
	Selectors  []string    // tags that the delegate must have, all of them
	Kind       string      // task type that it must be able to do; empty asks for nothing
	MinVersion Version
	MinReason  string // what needs MinVersion: "a session token"
	Tried      []ID   // those that gave the work back
}

// Verdict is why a delegate was or was not chosen.
type Verdict string

// The verdicts, in the order in which they are found.
const (
	Eligible     Verdict = "eligible"
	OtherScope   Verdict = "other-scope"
	TokenRevoked Verdict = "token-revoked"
	Silent       Verdict = "silent"
	LacksTag     Verdict = "lacks-tag"
	CannotDo     Verdict = "cannot-do"
	TooOld       Verdict = "too-old"
	GaveBack     Verdict = "gave-back"
	IsDraining   Verdict = "draining"
	OverItsLimit Verdict = "busy"
)

// Opinion is the verdict on one delegate and its sentence.
type Opinion struct {
	Delegate Delegate
	Verdict  Verdict
	Reason   string   // "lacks frankfurt", "silent for 22 min"; empty when eligible
	Lacks    []string // tags that it would need
}

// Choice is the verdicts on all delegates.
type Choice struct {
	Need     Need
	Opinions []Opinion // eligible ones first, then the nearest misses
	Hidden   int       // delegates that VisibleTo left out
}

// Choose judges every delegate of the account.
func Choose(need Need, all []Delegate, now time.Time) Choice {
	c := Choice{Need: need, Opinions: make([]Opinion, 0, len(all))}
	for _, d := range all {
		v, reason := Judge(need, d, now)
		c.Opinions = append(c.Opinions, Opinion{Delegate: d, Verdict: v, Reason: reason, Lacks: need.lackedBy(&d)})
	}
	c.Opinions = inOrder(c.Opinions, func(a, b *Opinion) int {
		return cmp.Or(
			nearness(a.Verdict)-nearness(b.Verdict), len(a.Lacks)-len(b.Lacks),
			strings.Compare(a.Delegate.Name, b.Delegate.Name), strings.Compare(string(a.Delegate.ID), string(b.Delegate.ID)),
		)
	})
	return c
}

// Judge says whether one delegate may do the work, and if not, why.
func Judge(need Need, d Delegate, now time.Time) (Verdict, string) {
	v := need.verdict(&d, now)
	return v, need.reason(v, &d, now)
}

// verdict judges without words, which cost more than the judgement.
func (n Need) verdict(d *Delegate, now time.Time) Verdict {
	switch {
	case !d.Scope.Contains(n.Scope):
		return OtherScope
	case d.Revoked:
		return TokenRevoked
	case !d.Alive(now):
		return Silent
	case slices.ContainsFunc(n.Selectors, func(tag string) bool { return !d.HasTag(tag) }):
		return LacksTag
	case n.Kind != "" && len(d.Kinds) > 0 && !slices.Contains(d.Kinds, n.Kind):
		return CannotDo
	case d.Version.Before(n.MinVersion):
		return TooOld
	case slices.Contains(n.Tried, d.ID):
		return GaveBack
	case d.Draining:
		return IsDraining
	case d.Busy != "":
		return OverItsLimit
	}
	return Eligible
}

// reason is a verdict in words.
func (n Need) reason(v Verdict, d *Delegate, now time.Time) string {
	lacks := func(before string) string {
		tags := n.lackedBy(d)
		if len(tags) == 0 {
			return strings.TrimSuffix(before, ", and ")
		}
		return before + "lacks " + strings.Join(tags, " and ")
	}
	switch v {
	case OtherScope:
		return fmt.Sprintf("its token belongs to %s, the work to %s", d.Scope, n.Scope)
	case TokenRevoked:
		return lacks("its token was revoked, and ")
	case Silent:
		return lacks("silent for " + roughly(now.Sub(d.LastSeen)) + ", and ")
	case LacksTag:
		return lacks("")
	case CannotDo:
		return "does not support the task type " + n.Kind
	case TooOld:
		return fmt.Sprintf("has version %s; %s needs %s or later", d.Version, n.MinReason, n.MinVersion)
	case GaveBack:
		return "tried the task and gave it back"
	case IsDraining:
		return "is shutting down"
	case OverItsLimit:
		return d.Busy
	case Eligible:
	}
	return ""
}

// lackedBy are the tags that a delegate would need and has not.
func (n Need) lackedBy(d *Delegate) []string {
	var lacking []string
	for _, s := range n.Selectors {
		if !d.HasTag(s) {
			lacking = append(lacking, s)
		}
	}
	return lacking
}

// nearness orders verdicts by how little would have to change.
func nearness(v Verdict) int {
	order := [...]Verdict{Eligible, OverItsLimit, IsDraining, GaveBack, TooOld, CannotDo, LacksTag, Silent, TokenRevoked, OtherScope}
	return slices.Index(order[:], v)
}

// Eligible are the delegates that may do the work now.
func (c Choice) Eligible() []Delegate {
	var out []Delegate
	for _, o := range c.Opinions {
		if o.Verdict == Eligible {
			out = append(out, o.Delegate)
		}
	}
	return out
}

// Waiting reports whether no delegate can take the work now, but one could by waiting: it is busy, not unfit.
func (c Choice) Waiting() bool {
	return len(c.Eligible()) == 0 && slices.ContainsFunc(c.Opinions, func(o Opinion) bool { return o.Verdict == OverItsLimit })
}

// Sentence says why nobody can take the work: "No delegate has both eks and frankfurt." It is empty when somebody can.
func (c Choice) Sentence() string {
	if len(c.Eligible()) > 0 {
		return ""
	}
	if len(c.Opinions) == 0 {
		if c.Hidden > 0 {
			return fmt.Sprintf("No delegate belongs to %s or a wider scope.", c.Need.Scope)
		}
		return "No delegate is registered for this account."
	}
	nearest := c.Opinions[0].Verdict
	switch nearest {
	case OverItsLimit:
		return "Every delegate that fits is at its limit."
	case IsDraining:
		return "The delegate that fits is shutting down."
	case GaveBack:
		return "Every delegate that fits tried the task and gave it back."
	case TooOld:
		return fmt.Sprintf("Every delegate that fits is older than %s, which %s needs.", c.Need.MinVersion, c.Need.MinReason)
	case CannotDo:
		return fmt.Sprintf("No delegate that fits supports the task type %s.", c.Need.Kind)
	case LacksTag:
		return "No delegate has " + all(c.Need.Selectors) + "."
	case Silent:
		if len(c.Need.Selectors) > 0 {
			return "No delegate with " + all(c.Need.Selectors) + " is connected."
		}
		return "No delegate is connected."
	case TokenRevoked:
		return "The token of every delegate was revoked; install one again with a token that is active."
	case OtherScope:
		return fmt.Sprintf("No delegate belongs to %s or a wider scope.", c.Need.Scope)
	case Eligible:
	}
	return "No delegate can take the task."
}

// Remedies are what would give the work to somebody, the smallest change first. They are empty when somebody can take it.
func (c Choice) Remedies() []string {
	if len(c.Eligible()) > 0 {
		return nil
	}
	var out []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	const most = 3
	for _, o := range c.Opinions {
		if len(out) == most {
			break
		}
		name := describe(o.Delegate)
		switch o.Verdict {
		case OverItsLimit:
			add("Wait, or give %s more replicas or a higher limit: it fits, and takes work again when its load falls.", name)
		case IsDraining:
			add("Wait for the delegate that replaces %s.", name)
		case GaveBack:
			add("Look at the log of %s: it tried the work and gave it back.", name)
		case TooOld:
			add("Update %s from %s to %s or later.", name, o.Delegate.Version, c.Need.MinVersion)
		case CannotDo:
			add("Update %s: its program does not know this type of work.", name)
		case LacksTag, Silent, TokenRevoked, OtherScope, Eligible:
		}
	}
	if o, ok := c.nearest(LacksTag); ok {
		add("Add the tag %s to %s, or ask for fewer tags in the connector.", strings.Join(o.Lacks, " and "), o.Delegate.Name)
	}
	if o, ok := c.nearest(Silent); ok && len(o.Lacks) == 0 {
		add("Bring %s back: it fits, and was last heard %s ago.", describe(o.Delegate), strings.TrimPrefix(o.Reason, "silent for "))
	}
	if o, ok := c.nearest(TokenRevoked); ok && len(o.Lacks) == 0 {
		add("Start %s again with a token that is active.", describe(o.Delegate))
	}
	if len(out) < most {
		text := "Install a delegate"
		if len(c.Need.Selectors) > 0 {
			text += " with " + all(c.Need.Selectors)
		}
		add("%s.", text)
	}
	return out
}

// nearest is the delegate of a verdict that lacks the fewest tags.
func (c Choice) nearest(v Verdict) (best Opinion, ok bool) {
	for _, o := range c.Opinions {
		if o.Verdict == v && (!ok || len(o.Lacks) < len(best.Lacks)) {
			best, ok = o, true
		}
	}
	return best, ok
}

// VisibleTo leaves out, and counts, the delegates that a caller may not see: those that neither serve the work's scope nor
// lie in a scope of the caller's.
func (c Choice) VisibleTo(who audit.Caller) Choice {
	seen := Choice{Need: c.Need, Hidden: c.Hidden}
	for _, o := range c.Opinions {
		if !o.Delegate.Scope.Contains(c.Need.Scope) && who.RoleAt(o.Delegate.Scope) == "" {
			seen.Hidden++
			continue
		}
		seen.Opinions = append(seen.Opinions, o)
	}
	return seen
}

// Reasons lists why each delegate was refused: "eks-prod-1: lacks frankfurt". Delegates of other organizations and
// projects are counted, not named: whoever may see the work need not know them.
func (c Choice) Reasons() []string {
	const most = 20
	var out []string
	named, others := 0, c.Hidden
	for _, o := range c.Opinions {
		switch {
		case o.Verdict == OtherScope:
			others++
		case o.Verdict != Eligible:
			if named++; named <= most {
				out = append(out, fmt.Sprintf("%s: %s", describe(o.Delegate), o.Reason))
			}
		}
	}
	if named > most {
		out = append(out, fmt.Sprintf("and %d more", named-most))
	}
	switch {
	case others == 1:
		out = append(out, "1 delegate of other organizations or projects: its token does not reach here")
	case others > 1:
		out = append(out, fmt.Sprintf("%d delegates of other organizations or projects: their tokens do not reach here", others))
	}
	return out
}

func describe(d Delegate) string {
	if d.HostName == "" || d.HostName == d.Name {
		return d.Name
	}
	return d.Name + " (" + d.HostName + ")"
}

func all(tags []string) string {
	switch len(tags) {
	case 0:
		return "a fitting tag"
	case 1:
		return "the tag " + tags[0]
	case 2:
		return "both " + tags[0] + " and " + tags[1]
	}
	return "all of " + strings.Join(tags[:len(tags)-1], ", ") + " and " + tags[len(tags)-1]
}

func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
