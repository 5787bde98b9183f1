package storetest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

func aws(in scope.Scope, id, name string) connector.Connector {
	return connector.Connector{
		Scope: in, ID: id, Name: name, Credential: connector.IRSA{}, Revision: 1, CreatedAt: at(0), UpdatedAt: at(0),
	}
}

func passed(in scope.Scope, id, testID string, ended int) connector.Test {
	return connector.Test{
		ID: testID, Scope: in, Connector: id, Revision: 1, Trigger: connector.OnDemand, By: "ci", StartedAt: at(ended - 1), EndedAt: at(ended),
		Status: connector.Success, Region: "us-east-1", Identity: &connector.Identity{ARN: "arn:aws:iam::123456789012:user/u", Account: "123456789012", UserID: "AIDA"},
		Regions: []string{"us-east-1", "eu-central-1"}, Delegate: "eks-1", DelegateID: "dlg_1", Took: 123456789, Calls: []connector.Call{{Step: connector.StepCredentials, Kept: true}, {Step: connector.StepIdentity, Took: 96_000_000}}, Warnings: []string{"w"}, ExternalIDProven: true,
	}
}

func failed(in scope.Scope, id, testID string, ended int) connector.Test {
	x := passed(in, id, testID, ended)
	x.Status, x.Identity, x.Regions, x.Warnings = connector.Failing, nil, nil, nil
	x.Diagnosis = &connector.Diagnosis{
		Code: "BLY-2104", Cause: "the role may not\x00", Evidence: []connector.Fact{{Label: "AWS", Text: "is not authorized"}}, Remedy: []string{"allow it"},
	}
	return x
}

// generated draws connectors with everything that can be there and not be there. Times are what a database holds:
// microseconds, in UTC.
func generated() *rapid.Generator[connector.Connector] {
	text := rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return r != 0 && (r < 0xD800 || r > 0xDFFF) }), 0, 40, -1)
	ref := rapid.Custom(func(t *rapid.T) scope.Ref {
		return scope.Ref(rapid.SampledFrom([]string{"", "account.", "org.", "x."}).Draw(t, "level") + rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "id"))
	})
	list := rapid.Custom(func(t *rapid.T) []string {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return rapid.SliceOfN(text, 0, 5).Draw(t, "list")
	})
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(1, 4102444800_000000).Draw(t, "µs")).UTC()
	})
	wait := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64().Draw(t, "ns")) })
	return rapid.Custom(func(t *rapid.T) connector.Connector {
		c := connector.Connector{
			Scope: rapid.SampledFrom(everywhere()).Draw(t, "scope"), ID: rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_$]{0,40}`).Draw(t, "id"),
			Name: text.Draw(t, "name"), Description: text.Draw(t, "description"), Region: text.Draw(t, "region"), Selectors: list.Draw(t, "selectors"),
			IgnoreTestConnection: rapid.Bool().Draw(t, "ignore"), Proxy: rapid.Bool().Draw(t, "proxy"), ProxyURL: text.Draw(t, "proxyURL"),
			Revision: rapid.Int64Range(1, 1<<60).Draw(t, "revision"), CreatedAt: moment.Draw(t, "created"), UpdatedAt: moment.Draw(t, "updated"),
		}
		if rapid.Bool().Draw(t, "tagged") {
			c.Tags = rapid.MapOfN(text, text, 0, 5).Draw(t, "tags")
		}
		switch rapid.IntRange(0, 3).Draw(t, "credential") {
		case 0:
			c.Credential = connector.ManualConfig{AccessKey: text.Draw(t, "key"), AccessKeyRef: ref.Draw(t, "keyRef"), SecretKeyRef: ref.Draw(t, "secretRef"), SessionTokenRef: ref.Draw(t, "tokenRef")}
		case 1:
			c.Credential = connector.InheritFromDelegate{}
		case 2:
			c.Credential = connector.IRSA{}
		default:
			c.Credential = connector.OIDC{RoleARN: text.Draw(t, "role"), SessionTagKeys: list.Draw(t, "sessionTags")}
		}
		if rapid.Bool().Draw(t, "cross") {
			c.CrossAccount = &connector.CrossAccount{RoleARN: text.Draw(t, "crossRole"), ExternalID: text.Draw(t, "external"), SessionDuration: wait.Draw(t, "session")}
		}
		count := rapid.Int().Draw(t, "count")
		c.Backoff = rapid.SampledFrom([]backoff.Strategy{
			nil,
			backoff.Default{},
			backoff.Fixed{Wait: wait.Draw(t, "wait"), Count: count},
			backoff.EqualJitter{Base: wait.Draw(t, "base"), Max: wait.Draw(t, "max"), Count: count},
			backoff.FullJitter{Base: wait.Draw(t, "base"), Max: wait.Draw(t, "max"), Count: count},
		}).Draw(t, "backoff")
		c.ExecuteOnDelegate = rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(t, "onDelegate")
		return c
	})
}

func connectors() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"any connector comes back as it was created, and as it was updated": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			n := 0
			rapid.Check(t, func(r *rapid.T) {
				c, next := generated().Draw(r, "connector"), generated().Draw(r, "next")
				n++
				c.ID = fmt.Sprint(c.ID[:min(len(c.ID), 40)], n)
				if err := s.CreateConnector(ctx, c, at(0)); err != nil {
					r.Fatal(err)
				}
				got, err := s.Connector(ctx, c.Scope, c.ID)
				if err != nil {
					r.Fatal(err)
				}
				want := connector.Stored{Connector: c, Status: connector.Unknown, LastActivity: c.UpdatedAt, NextTestAt: at(0)}
				if d := diff(want, got); d != "" {
					r.Fatalf("created (-want +got)\n%s", d)
				}
				next.Scope, next.ID = c.Scope, c.ID
				if _, err = s.UpdateConnector(ctx, c.Scope, c.ID, func(old connector.Connector) (connector.Connector, error) {
					if d := diff(c, old); d != "" {
						r.Fatalf("before the update (-want +got)\n%s", d)
					}
					return next, nil
				}); err != nil {
					r.Fatal(err)
				}
				got, err = s.Connector(ctx, c.Scope, c.ID)
				if err != nil {
					r.Fatal(err)
				}
				if d := diff(next, got.Connector); d != "" {
					r.Fatalf("updated (-want +got)\n%s", d)
				}
			})
		},
		"a connector's identifier is unique in its scope and case matters": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, in := range everywhere() {
				must(t, s.CreateConnector(ctx, aws(in, "aws", "n"), at(0)))
				must(t, s.CreateConnector(ctx, aws(in, "AWS", "n"), at(0)))
			}
			fails(t, s.CreateConnector(ctx, aws(prj1(), "aws", "other"), at(0)), fault.Conflict, `"aws"`, "org1/prj1", "exists already")
			got, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, got.Name, "n")
		},
		"a connector that is not there is not found, by its name and scope": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(org1(), "aws", "n"), at(0)))
			const sentence = `connector "aws" does not exist at org1/prj1`
			_, err := s.Connector(ctx, prj1(), "aws")
			fails(t, err, fault.NotFound, sentence)
			_, err = s.UpdateConnector(ctx, prj1(), "aws", func(c connector.Connector) (connector.Connector, error) { return c, nil })
			fails(t, err, fault.NotFound, sentence)
			fails(t, s.DeleteConnector(ctx, prj1(), "aws"), fault.NotFound, sentence)
		},
		"a connector without credential is invalid": func(t *testing.T, s *store.Store) {
			c := aws(prj1(), "aws", "n")
			c.Credential = nil
			fails(t, s.CreateConnector(t.Context(), c, at(0)), fault.Invalid, "credential")
		},
		"what a write did is read at once, by everyone": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			together(16, func(i int) {
				id := fmt.Sprint("aws", i)
				if err := s.CreateConnector(ctx, aws(prj1(), id, "0"), at(0)); err != nil {
					t.Error(err)
				}
				for n := range 20 {
					name := strconv.Itoa(n)
					_, err := s.UpdateConnector(ctx, prj1(), id, func(c connector.Connector) (connector.Connector, error) { c.Name = name; return c, nil })
					if err != nil {
						t.Error(err)
					}
					got, err := s.Connector(ctx, prj1(), id)
					if err != nil || got.Name != name {
						t.Errorf("read %q after writing %q, %v", got.Name, name, err)
					}
					list, _, err := s.Connectors(ctx, connector.Filter{Scope: prj1(), IDs: []string{id}})
					if err != nil || len(list) != 1 || list[0].Name != name {
						t.Errorf("listed %v after writing %q, %v", list, name, err)
					}
				}
				if err := s.DeleteConnector(ctx, prj1(), id); err != nil {
					t.Error(err)
				}
				if _, err := s.Connector(ctx, prj1(), id); fault.KindOf(err) != fault.NotFound {
					t.Errorf("read after deletion: %v", err)
				}
			})
		},
		"a failed test that is to be tried again makes the next one due sooner, never later": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "late", "n"), at(1000)))
			must(t, s.CreateConnector(ctx, aws(prj1(), "soon", "n"), at(20)))
			for i, id := range []string{"late", "soon"} {
				one := passed(prj1(), id, fmt.Sprintf("t%d", i), 1)
				one.Status, one.RetryAt = connector.Failing, at(60)
				must(t, s.SaveTest(ctx, one))
			}
			for _, step := range []struct {
				now  int
				want string
			}{{19, ""}, {20, "soon"}, {59, ""}, {60, "late"}} {
				due, err := s.DueForTest(ctx, at(step.now), func() time.Time { return at(2000) }, 7)
				must(t, err)
				got := make([]string, len(due))
				for i, c := range due {
					got[i] = c.ID
				}
				if strings.Join(got, " ") != step.want {
					t.Errorf("at %d: %q are due, want %q", step.now, got, step.want)
				}
			}
		},
		"a connector is due for its test once, to one caller": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for i := range 60 {
				must(t, s.CreateConnector(ctx, aws(prj1(), fmt.Sprintf("c%02d", i), "n"), at(i)))
			}
			ignored := aws(prj1(), "ignored", "n")
			ignored.IgnoreTestConnection = true
			must(t, s.CreateConnector(ctx, ignored, at(0)))
			must(t, s.SaveTest(ctx, passed(prj1(), "c00", "t1", 1)))
			got := make(chan connector.Stored, 1000)
			together(4, func(int) {
				for {
					due, err := s.DueForTest(ctx, at(49), func() time.Time { return at(100) }, 7)
					if err != nil {
						t.Error(err)
					}
					for _, c := range due {
						got <- c
					}
					// A round may come back empty because others were faster, so only the readers' view ends it.
					if left, err := s.DueForTest(ctx, at(-1), func() time.Time { return at(100) }, 7); err != nil || len(left) > 0 {
						t.Errorf("due before its time: %v, %v", left, err)
					}
					if len(due) == 0 {
						return
					}
				}
			})
			rest, err := s.DueForTest(ctx, at(49), func() time.Time { return at(100) }, 1000)
			must(t, err)
			for _, c := range rest {
				got <- c
			}
			close(got)
			seen := map[string]int{}
			for c := range got {
				seen[c.ID]++
				if c.ID == "c00" && (c.LastTest == nil || c.LastTest.ID != "t1") {
					t.Error("a due connector comes without its last test")
				}
			}
			same(t, len(seen), 50)
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%s was due %d times", id, n)
				}
			}
			due, err := s.DueForTest(ctx, at(99), func() time.Time { return at(200) }, 1000)
			must(t, err)
			same(t, len(due), 10)
			due, err = s.DueForTest(ctx, at(100), func() time.Time { return at(200) }, 1000)
			must(t, err)
			same(t, len(due), 50)
		},
	}
}

func tests() checks {
	//nolint:thelper // these are the tests themselves
	return checks{
		"a test comes back as it was saved and becomes the connector's status": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			for i, x := range []connector.Test{passed(prj1(), "aws", "t1", 10), failed(prj1(), "aws", "t2", 20)} {
				must(t, s.SaveTest(ctx, x))
				got, err := s.Test(ctx, acct, x.ID)
				must(t, err)
				same(t, got, x)
				stored, err := s.Connector(ctx, prj1(), "aws")
				must(t, err)
				same(t, stored, connector.Stored{
					Connector: aws(prj1(), "aws", "n"), Status: x.Status, LastTest: &x, LastTestedAt: at(10 + 10*i), LastConnected: at(10), LastActivity: at(10 + 10*i), NextTestAt: at(0),
				})
			}
			_, err := s.Test(ctx, "other", "t1")
			fails(t, err, fault.NotFound, "t1")
		},
		"what a refusal was judged by is kept of the last test only": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			judged := func(id string, ended int) connector.Test {
				x := failed(prj1(), "aws", id, ended)
				x.Diagnosis.Finding = &connector.Finding{
					Action: "ec2:DescribeRegions", Region: "us-east-1", Layer: "boundary", Explicit: true, Said: "explicit deny", RequestID: id, Rest: []string{"wait"},
					Quotes: []connector.Quote{{Policy: connector.PolicyText{Name: "b", ARN: "arn", Via: "boundary", Version: "v7", Document: "{}"}, Layer: "boundary", Deciding: []int{1}, Near: []int{0}, Why: "w"}},
					Changes: []connector.Change{
						{What: "w", Policy: connector.PolicyText{Name: "b"}, After: "{}", Command: "aws", Trust: "r"}, {What: "w", Setting: connector.SettingRegion, Value: "eu-west-1"},
					},
				}
				return x
			}
			first, second := judged("t1", 10), judged("t2", 20)
			must(t, s.SaveTest(ctx, first))
			got, err := s.Finding(ctx, prj1(), "aws", "t1")
			must(t, err)
			same(t, got, *first.Diagnosis.Finding)
			must(t, s.SaveTest(ctx, second))
			got, err = s.Finding(ctx, prj1(), "aws", "t2")
			must(t, err)
			same(t, got, *second.Diagnosis.Finding)
			must(t, s.SaveTest(ctx, judged("t0", 5))) // it comes late
			for _, gone := range []string{"t1", "t0"} {
				_, err = s.Finding(ctx, prj1(), "aws", gone)
				fails(t, err, fault.NotFound, "aws")
			}
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "t3", 30)))
			_, err = s.Finding(ctx, prj1(), "aws", "t2")
			fails(t, err, fault.NotFound, "aws")
			must(t, s.SaveTest(ctx, judged("t4", 40)))
			must(t, s.DeleteConnector(ctx, prj1(), "aws"))
			_, err = s.Finding(ctx, prj1(), "aws", "t4")
			fails(t, err, fault.NotFound, "aws")
		},
		"tests since a time come oldest first, with the status before": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, id := range []string{"a", "b"} {
				must(t, s.CreateConnector(ctx, aws(prj1(), id, id), at(0)))
			}
			for _, x := range []connector.Test{passed(prj1(), "a", "t1", 10), failed(prj1(), "a", "t2", 20), passed(prj1(), "b", "t3", 15)} {
				must(t, s.SaveTest(ctx, x))
			}
			got, err := s.TestsSince(ctx, at(15), 10)
			must(t, err)
			same(t, got, []connector.Ended{
				{Scope: prj1(), Connector: "b", Test: "t3", At: at(15), Status: connector.Success},
				{Scope: prj1(), Connector: "a", Test: "t2", At: at(20), Status: connector.Failing, Before: connector.Success},
			})
			got, err = s.TestsSince(ctx, at(0), 1)
			must(t, err)
			same(t, len(got), 1)
			briefs, err := s.Histories(ctx, []connector.Connector{aws(prj1(), "b", "b"), aws(prj1(), "none", "none"), aws(prj1(), "a", "a")}, 10)
			must(t, err)
			same(t, briefs, [][]connector.Brief{
				{{Status: connector.Success, At: at(15), Took: time.Second}},
				nil,
				{{Status: connector.Failing, At: at(20), Took: time.Second}, {Status: connector.Success, At: at(10), Took: time.Second}},
			})
		},
		"a partly failing test has connected": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			x := failed(prj1(), "aws", "t1", 10)
			x.Status = connector.Partial
			must(t, s.SaveTest(ctx, x))
			stored, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, stored.Status, connector.Partial)
			same(t, stored.LastConnected, at(10))
		},
		"the same test again changes nothing, even when it says something else": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			must(t, s.SaveTest(ctx, failed(prj1(), "aws", "t1", 10)))
			before, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			must(t, s.SaveTest(ctx, failed(prj1(), "aws", "t1", 10)))
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "t1", 10)))
			after, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, after, before)
			list, err := s.Tests(ctx, prj1(), "aws", 0)
			must(t, err)
			same(t, list, []connector.Test{failed(prj1(), "aws", "t1", 10)})
		},
		"an earlier test that comes late is kept but is not the status": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			must(t, s.SaveTest(ctx, failed(prj1(), "aws", "late", 20)))
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "early", 10)))
			stored, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, stored.Status, connector.Failing)
			same(t, stored.LastTest.ID, "late")
			same(t, stored.LastConnected, at(10))
			list, err := s.Tests(ctx, prj1(), "aws", 1)
			must(t, err)
			same(t, each(list, func(x connector.Test) string { return x.ID }), []string{"late"})
		},
		"a test of a connector that is gone is no error and is not kept": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "t1", 10)))
			must(t, s.DeleteConnector(ctx, prj1(), "aws"))
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "t2", 11)))
			for _, id := range []string{"t1", "t2"} {
				_, err := s.Test(ctx, acct, id)
				fails(t, err, fault.NotFound, id)
			}
		},
		"an update keeps status and history": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			must(t, s.CreateConnector(ctx, aws(prj1(), "aws", "n"), at(0)))
			must(t, s.SaveTest(ctx, passed(prj1(), "aws", "t1", 10)))
			_, err := s.UpdateConnector(ctx, prj1(), "aws", func(c connector.Connector) (connector.Connector, error) {
				c.Revision, c.UpdatedAt = c.Revision+1, at(30)
				return c, nil
			})
			must(t, err)
			stored, err := s.Connector(ctx, prj1(), "aws")
			must(t, err)
			same(t, stored.Status, connector.Success)
			same(t, stored.LastActivity, at(30))
			same(t, stored.LastTest.Revision, int64(1))
			same(t, stored.Revision, int64(2))
		},
		"old tests go by age and by number, a connector's last one stays": func(t *testing.T, s *store.Store) {
			ctx := t.Context()
			for _, id := range []string{"busy", "quiet"} {
				must(t, s.CreateConnector(ctx, aws(prj1(), id, "n"), at(0)))
			}
			must(t, s.SaveTest(ctx, passed(prj1(), "quiet", "q1", 1)))
			must(t, s.SaveTest(ctx, passed(prj1(), "quiet", "q2", 2)))
			for i := range 20 {
				must(t, s.SaveTest(ctx, passed(prj1(), "busy", fmt.Sprintf("b%02d", i), i+1)))
			}
			must(t, s.DeleteTests(ctx, 5, at(10)))
			id := func(x connector.Test) string { return x.ID }
			list, err := s.Tests(ctx, prj1(), "busy", 0)
			must(t, err)
			same(t, each(list, id), []string{"b19", "b18", "b17", "b16", "b15"})
			list, err = s.Tests(ctx, prj1(), "quiet", 0)
			must(t, err)
			same(t, each(list, id), []string{"q2"})
			stored, err := s.Connector(ctx, prj1(), "quiet")
			must(t, err)
			same(t, stored.LastTest.ID, "q2")
		},
	}
}
