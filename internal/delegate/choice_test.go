package delegate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func one(name string, change func(*delegate.Delegate)) delegate.Delegate {
	d := delegate.Delegate{
		ID: delegate.ID(name), Name: name, Scope: scope.Scope{Account: "a"}, Tags: []string{"eks"}, LastSeen: now(), Version: delegate.Current(),
	}
	if change != nil {
		change(&d)
	}
	return d
}

func TestJudge(t *testing.T) {
	t.Parallel()
	project := scope.Scope{Account: "a", Org: "o", Project: "p"}
	for name, tt := range map[string]struct {
		need   delegate.Need
		d      delegate.Delegate
		want   delegate.Verdict
		reason string
	}{
		"one that has all":                   {delegate.Need{Scope: project, Selectors: []string{"eks"}}, one("d", nil), delegate.Eligible, ""},
		"its name is a tag":                  {delegate.Need{Scope: project, Selectors: []string{"EKS-Prod-1"}}, one("eks-prod-1", nil), delegate.Eligible, ""},
		"all tags must be there":             {delegate.Need{Scope: project, Selectors: []string{"eks", "frankfurt"}}, one("d", nil), delegate.LacksTag, "lacks frankfurt"},
		"silent for long":                    {delegate.Need{Scope: project}, one("d", func(d *delegate.Delegate) { d.LastSeen = now().Add(-22 * time.Minute) }), delegate.Silent, "silent for 22 min"},
		"silent, and would not fit either":   {delegate.Need{Scope: project, Selectors: []string{"frankfurt"}}, one("d", func(d *delegate.Delegate) { d.LastSeen = now().Add(-22 * time.Minute) }), delegate.Silent, "silent for 22 min, and lacks frankfurt"},
		"its token was revoked":              {delegate.Need{Scope: project}, one("d", func(d *delegate.Delegate) { d.Revoked, d.LastSeen = true, now().Add(-time.Minute) }), delegate.TokenRevoked, "its token was revoked"},
		"another organization's":             {delegate.Need{Scope: project}, one("d", func(d *delegate.Delegate) { d.Scope.Org = "other" }), delegate.OtherScope, "its token belongs to other"},
		"a project's does not serve the org": {delegate.Need{Scope: scope.Scope{Account: "a", Org: "o"}}, one("d", func(d *delegate.Delegate) { d.Scope = project }), delegate.OtherScope, ""},
		"another account's":                  {delegate.Need{Scope: scope.Scope{Account: "b"}}, one("d", nil), delegate.OtherScope, ""},
		"too old":                            {delegate.Need{Scope: project, MinVersion: delegate.SessionTokenSince(), MinReason: "a session token"}, one("d", func(d *delegate.Delegate) { d.Version = delegate.Version{Year: 24, Month: 9, Build: 84099} }), delegate.TooOld, "a session token needs 24.09.84100 or later"},
		"just new enough":                    {delegate.Need{Scope: project, MinVersion: delegate.SessionTokenSince()}, one("d", func(d *delegate.Delegate) { d.Version = delegate.SessionTokenSince() }), delegate.Eligible, ""},
		"cannot do the type":                 {delegate.Need{Scope: project, Kind: "X"}, one("d", func(d *delegate.Delegate) { d.Kinds = []string{"Y"} }), delegate.CannotDo, "does not support the task type X"},
		"did not say what it can do":         {delegate.Need{Scope: project, Kind: "X"}, one("d", nil), delegate.Eligible, ""},
		"gave it back":                       {delegate.Need{Scope: project, Tried: []delegate.ID{"d"}}, one("d", nil), delegate.GaveBack, "gave it back"},
		"shutting down":                      {delegate.Need{Scope: project}, one("d", func(d *delegate.Delegate) { d.Draining = true }), delegate.IsDraining, "shutting down"},
		"over its threshold":                 {delegate.Need{Scope: project}, one("d", func(d *delegate.Delegate) { d.Busy = "CPU at 93 %, threshold 80 %" }), delegate.OverItsLimit, "CPU at 93 %"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, reason := delegate.Judge(tt.need, tt.d, now())
			if v != tt.want || !strings.Contains(reason, tt.reason) {
				t.Fatalf("got %s %q, want %s %q", v, reason, tt.want, tt.reason)
			}
		})
	}
}

func TestChoiceExplainsItself(t *testing.T) {
	t.Parallel()
	need := delegate.Need{Scope: scope.Scope{Account: "a"}, Selectors: []string{"eks", "frankfurt"}}
	c := delegate.Choose(need, []delegate.Delegate{
		one("ec2-frankfurt", func(d *delegate.Delegate) {
			d.Tags = []string{"eks", "frankfurt"}
			d.LastSeen = now().Add(-22 * time.Minute)
		}),
		one("eks-prod-1", nil),
	}, now())
	if got, want := c.Sentence(), "No delegate has both eks and frankfurt."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := strings.Join(c.Reasons(), "; "); got != "eks-prod-1: lacks frankfurt; ec2-frankfurt: silent for 22 min" {
		t.Errorf("got %q", got)
	}
	if c := delegate.Choose(need, nil, now()); c.Sentence() != "No delegate is registered for this account." {
		t.Errorf("got %q", c.Sentence())
	}
	busy := delegate.Choose(delegate.Need{Scope: scope.Scope{Account: "a"}}, []delegate.Delegate{one("d", func(d *delegate.Delegate) { d.Busy = "full" })}, now())
	if !busy.Waiting() || busy.Sentence() == "" {
		t.Error("a delegate that is only busy is worth waiting for")
	}
}

// A delegate is chosen exactly when nothing speaks against it: tags beyond those asked for never hurt, and asking for
// less never loses one.
func TestAskingForLessNeverLosesADelegate(t *testing.T) {
	t.Parallel()
	tags := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		d := one("n", nil)
		d.Tags = rapid.SliceOfDistinct(rapid.SampledFrom(tags), func(s string) string { return s }).Draw(t, "tags")
		asked := rapid.SliceOfDistinct(rapid.SampledFrom(tags), func(s string) string { return s }).Draw(t, "asked")
		v, _ := delegate.Judge(delegate.Need{Scope: scope.Scope{Account: "a"}, Selectors: asked}, d, now())
		want := !slices.ContainsFunc(asked, func(s string) bool { return !slices.Contains(d.Tags, s) })
		if (v == delegate.Eligible) != want {
			t.Fatalf("tags %v, asked %v: %s", d.Tags, asked, v)
		}
		if v == delegate.Eligible && len(asked) > 0 {
			if less, _ := delegate.Judge(delegate.Need{Scope: scope.Scope{Account: "a"}, Selectors: asked[1:]}, d, now()); less != delegate.Eligible {
				t.Fatalf("asking for less loses it: %s", less)
			}
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]delegate.Version{
		"24.03.82603": {Year: 24, Month: 3, Build: 82603}, "26.11.90000.minimal": {Year: 26, Month: 11, Build: 90000}, "24.9.84100-x": {Year: 24, Month: 9, Build: 84100},
	} {
		if got, err := delegate.ParseVersion(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1.2", "a.b.c", "1.-2.3", "latest"} {
		if v, err := delegate.ParseVersion(text); err == nil {
			t.Errorf("%q is read as %v", text, v)
		}
	}
	ordered := []delegate.Version{{Year: 23, Month: 12, Build: 99999}, {Year: 24, Month: 3, Build: 82603}, {Year: 24, Month: 9, Build: 84099}, {Year: 24, Month: 9, Build: 84100}, {Year: 24, Month: 10, Build: 1}}
	for i := range ordered[1:] {
		if !ordered[i].Before(ordered[i+1]) || ordered[i+1].Before(ordered[i]) {
			t.Errorf("%v and %v are out of order", ordered[i], ordered[i+1])
		}
	}
	if delegate.Current().Before(delegate.SessionTokenSince()) {
		t.Error("our own delegate fails a gate")
	}
}

// What would mend it comes with the smallest change first, and names the delegate that is nearest.
func TestRemedies(t *testing.T) {
	t.Parallel()
	account := scope.Scope{Account: "a"}
	both := delegate.Need{Scope: account, Selectors: []string{"eks", "frankfurt"}}
	silent := func(d *delegate.Delegate) { d.Tags, d.LastSeen = both.Selectors, now().Add(-22*time.Minute) }
	for name, tt := range map[string]struct {
		need delegate.Need
		all  []delegate.Delegate
		want []string
	}{
		"somebody can":            {delegate.Need{Scope: account}, []delegate.Delegate{one("d", nil)}, nil},
		"nobody is there":         {both, nil, []string{"Install a delegate with both eks and frankfurt."}},
		"one tag is missing":      {both, []delegate.Delegate{one("far", func(d *delegate.Delegate) { d.Tags = nil }), one("near", nil)}, []string{"Add the tag frankfurt to near,", "Install a delegate"}},
		"one that fits is silent": {both, []delegate.Delegate{one("gone", silent)}, []string{"Bring gone back: it fits, and was last heard 22 min ago.", "Install a delegate"}},
		"one that fits is busy":   {both, []delegate.Delegate{one("d", func(d *delegate.Delegate) { d.Tags, d.Busy = both.Selectors, "full" })}, []string{"Wait, or give d more replicas", "Install a delegate"}},
		"its token was revoked":   {delegate.Need{Scope: account}, []delegate.Delegate{one("d", func(d *delegate.Delegate) { d.Revoked = true })}, []string{"Start d again with a token that is active.", "Install a delegate."}},
		"it is too old": {
			delegate.Need{Scope: account, MinVersion: delegate.OIDCSince(), MinReason: "OIDC"},
			[]delegate.Delegate{one("d", func(d *delegate.Delegate) { d.Version = delegate.Version{Year: 23, Month: 1, Build: 1} })},
			[]string{"Update d from 23.01.00001 to 24.03.82603 or later.", "Install a delegate."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := delegate.Choose(tt.need, tt.all, now()).Remedies()
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("got %q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
}

// Whoever may see the work need not know the delegates of others; that there are some is said.
func TestWhoMaySeeADelegate(t *testing.T) {
	t.Parallel()
	mine, theirs := scope.Scope{Account: "a", Org: "o", Project: "p"}, scope.Scope{Account: "a", Org: "other"}
	all := []delegate.Delegate{one("wide", nil), one("theirs", func(d *delegate.Delegate) { d.Scope = theirs })}
	editor := audit.Caller{Account: "a", Grants: []audit.Grant{{Scope: mine, Role: audit.Editor}}}
	c := delegate.Choose(delegate.Need{Scope: mine}, all, now()).VisibleTo(editor)
	if len(c.Opinions) != 1 || c.Opinions[0].Delegate.Name != "wide" || c.Hidden != 1 {
		t.Errorf("%+v", c)
	}
	if c := delegate.Choose(delegate.Need{Scope: mine}, all[1:], now()).VisibleTo(editor); c.Sentence() != "No delegate belongs to o/p or a wider scope." || !strings.Contains(strings.Join(c.Reasons(), ""), "1 delegate of other") {
		t.Errorf("%q %q", c.Sentence(), c.Reasons())
	}
	if c := delegate.Choose(delegate.Need{Scope: mine}, all, now()).VisibleTo(audit.System("a", "test")); len(c.Opinions) != 2 || c.Hidden != 0 {
		t.Errorf("the whole account: %+v", c)
	}
}
