package delegate

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
	Reason   string // "lacks frankfurt", "silent for 22 min"; empty when eligible
}

// Choice is the verdicts on all delegates.
type Choice struct {
	Need     Need
	Opinions []Opinion // eligible ones first, then the nearest misses
}

// Choose judges every delegate of the account.
func Choose(need Need, all []Delegate, now time.Time) Choice {
	c := Choice{Need: need, Opinions: make([]Opinion, 0, len(all))}
	for _, d := range all {
		v, reason := Judge(need, d, now)
		c.Opinions = append(c.Opinions, Opinion{Delegate: d, Verdict: v, Reason: reason})
	}
	slices.SortStableFunc(c.Opinions, func(a, b Opinion) int {
		if d := nearness(a.Verdict) - nearness(b.Verdict); d != 0 {
			return d
		}
		return strings.Compare(a.Delegate.Name+string(a.Delegate.ID), b.Delegate.Name+string(b.Delegate.ID))
	})
	return c
}

// Judge says whether one delegate may do the work, and if not, why.
func Judge(need Need, d Delegate, now time.Time) (Verdict, string) {
	switch {
	case !d.Scope.Contains(need.Scope):
		return OtherScope, fmt.Sprintf("its token belongs to %s, the work to %s", d.Scope, need.Scope)
	case d.Revoked:
		return TokenRevoked, "its token was revoked"
	case !d.Alive(now):
		return Silent, "silent for " + roughly(now.Sub(d.LastSeen))
	}
	var lacking []string
	for _, s := range need.Selectors {
		if !d.HasTag(s) {
			lacking = append(lacking, s)
		}
	}
	switch {
	case len(lacking) > 0:
		return LacksTag, "lacks " + strings.Join(lacking, " and ")
	case need.Kind != "" && len(d.Kinds) > 0 && !slices.Contains(d.Kinds, need.Kind):
		return CannotDo, "does not support the task type " + need.Kind
	case d.Version.Before(need.MinVersion):
		return TooOld, fmt.Sprintf("has version %s; %s needs %s or later", d.Version, need.MinReason, need.MinVersion)
	case slices.Contains(need.Tried, d.ID):
		return GaveBack, "tried the task and gave it back"
	case d.Draining:
		return IsDraining, "is shutting down"
	case d.Busy != "":
		return OverItsLimit, d.Busy
	}
	return Eligible, ""
}

// nearness orders verdicts by how little would have to change.
func nearness(v Verdict) int {
	order := []Verdict{Eligible, OverItsLimit, IsDraining, GaveBack, TooOld, CannotDo, LacksTag, Silent, TokenRevoked, OtherScope}
	return slices.Index(order, v)
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

// Reasons lists why each delegate was refused: "eks-prod-1: lacks frankfurt". Delegates of other organizations and
// projects are counted, not named: whoever may see the work need not know them.
func (c Choice) Reasons() []string {
	const most = 20
	var out []string
	named, others := 0, 0
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
