package awsops_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/secret"
)

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A session is used again, until something says that it must not be.
func TestWhenASessionIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		between func(*clock, *connector.Check, variables)
		maxAge  time.Duration
		again   bool
	}{
		"a moment later it is used again":      {between: func(c *clock, _ *connector.Check, _ variables) { c.add(4 * time.Minute) }},
		"after five minutes it is made anew":   {between: func(c *clock, _ *connector.Check, _ variables) { c.add(5 * time.Minute) }, again: true},
		"no setting makes it last longer":      {between: func(c *clock, _ *connector.Check, _ variables) { c.add(5 * time.Minute) }, maxAge: time.Hour, again: true},
		"a setting makes it shorter":           {between: func(c *clock, _ *connector.Check, _ variables) { c.add(time.Minute) }, maxAge: time.Minute, again: true},
		"fresh bypasses it":                    {between: func(_ *clock, c *connector.Check, _ variables) { c.Fresh = true }, again: true},
		"a new revision drops it":              {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Revision++ }, again: true},
		"a task of an older revision has none": {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Revision-- }, again: true},
		"another connector has its own":        {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Key += "2" }, again: true},
		"a connector without a key has none":   {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Key = "" }, again: true},
		"another Region has its own":           {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Region = "eu-west-1" }, again: true},
		"a changed secret drops it": {between: func(_ *clock, c *connector.Check, _ variables) {
			c.Access.Source = connector.StaticKeys{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: secret.NewValue("another")}
		}, again: true},
		"a changed external id drops it": {between: func(_ *clock, c *connector.Check, _ variables) {
			c.Access.CrossAccount = &connector.CrossAccount{RoleARN: role, ExternalID: "other"}
		}, again: true},
		"a changed strategy drops it":      {between: func(_ *clock, c *connector.Check, _ variables) { c.Access.Backoff = backoff.Default{} }, again: true},
		"a time limit of its own does not": {between: func(_ *clock, c *connector.Check, _ variables) { c.Timeout = time.Minute }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newStub(t, nil)
			env, now := aws.env(nil), &clock{now: time.Now()}
			s := sessions(env)
			s.Now, s.MaxAge = now.Now, tt.maxAge
			one := check(keys())
			one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
			passed(t, s, one)
			tt.between(now, &one, env)
			passed(t, s, one)
			want := 1
			if tt.again {
				want = 2
			}
			if n := len(aws.seen("AssumeRole")); n != want {
				t.Fatalf("the role was assumed %d times, want %d", n, want)
			}
		})
	}
}

// fresh does not only bypass the kept session, it takes its place.
func TestAFreshSessionIsKept(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	one := check(keys())
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
	for _, one.Fresh = range []bool{false, true, false, false} {
		passed(t, s, one)
	}
	if n := len(aws.seen("AssumeRole")); n != 2 {
		t.Fatalf("the role was assumed %d times, want 2", n)
	}
}

// Credentials that end sooner than five minutes are fetched before they do.
func TestASessionEndsWithItsCredentials(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	aws := newStub(t, answers{"": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, containerKeys, now.Now().Add(2*time.Minute).UTC().Format(time.RFC3339))
	}})
	s := sessions(aws.env(variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.URL}))
	s.Now = now.Now
	for _, after := range []time.Duration{0, time.Minute, 40 * time.Second} {
		now.add(after)
		passed(t, s, check(connector.DelegateRole{}))
	}
	if n := len(aws.seen("")); n != 2 {
		t.Fatalf("the endpoint was asked %d times, want 2", n)
	}
}

// A failed test drops the session: who has mended a policy and tests again must not meet the old session.
func TestAFailureDropsTheSession(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"DescribeRegions": inOrder(ec2Error(403, "UnauthorizedOperation", "no"), func(w http.ResponseWriter, _ *http.Request) {
		succeed(w, map[string][]string{"Action": {"DescribeRegions"}})
	})})
	s := sessions(aws.env(nil))
	one := check(keys())
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
	failed(t, s, one)
	passed(t, s, one)
	if n := len(aws.seen("AssumeRole")); n != 2 {
		t.Fatalf("the role was assumed %d times, want 2", n)
	}
}

// A token minted for the next use is taken over by the session that is kept, for when it fetches again.
func TestAKeptSessionTakesTheNewerToken(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	s.Now = now.Now
	for i := range 3 {
		passed(t, s, check(connector.WebIdentityToken{RoleARN: role, Token: secret.NewValue(fmt.Sprintf("token.%d.x", i))}))
		now.add(3 * time.Minute)
	}
	calls := aws.seen("AssumeRoleWithWebIdentity")
	if len(calls) != 2 || calls[0].form.Get("WebIdentityToken") != "token.0.x" || calls[1].form.Get("WebIdentityToken") != "token.2.x" {
		t.Fatalf("got %d exchanges: %v", len(calls), calls)
	}
}

// A token that says something else gets a session of its own: what AWS let one do, it may not let the other.
func TestASessionIsNotSharedWithATokenThatSaysSomethingElse(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	for i, says := range []string{"a test", "a test", "a deployment", "a deployment"} {
		passed(t, s, check(connector.WebIdentityToken{RoleARN: role, Token: secret.NewValue(fmt.Sprintf("token.%d.x", i)), Says: says}))
	}
	if n := len(aws.seen("AssumeRoleWithWebIdentity")); n != 2 {
		t.Fatalf("%d exchanges, want one for each", n)
	}
}

// The longest unused session gives way when there are too many.
func TestTheNumberOfSessionsIsBounded(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	s.Now, s.Most = now.Now, 2
	for _, key := range []string{"a", "b", "a", "c", "a", "b"} {
		one := check(keys())
		one.Access.Key, one.Access.CrossAccount = key, &connector.CrossAccount{RoleARN: role}
		passed(t, s, one)
		now.add(time.Second)
	}
	if n := len(aws.seen("AssumeRole")); n != 4 { // a, b, c which pushes b out, b again
		t.Fatalf("the role was assumed %d times, want 4", n)
	}
}

// Many at once make one session, and the configuration outlives the five minutes by fetching again.
func TestManyUsersShareOneSession(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	s.Now = now.Now
	one := check(keys())
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if evidence := s.Validate(t.Context(), one); evidence.Failure != nil {
				t.Errorf("got %+v", *evidence.Failure)
			}
		})
	}
	all.Wait()
	if n := len(aws.seen("AssumeRole")); n != 1 {
		t.Fatalf("the role was assumed %d times, want 1", n)
	}
	cfg, err := s.Config(one.Access, false)
	if err != nil {
		t.Fatal(err)
	}
	client := sts.NewFromConfig(cfg)
	for want := range 3 {
		if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Fatal(err)
		}
		if n := len(aws.seen("AssumeRole")); n != want+1 {
			t.Fatalf("after %d times five minutes the role was assumed %d times", want, n)
		}
		now.add(awsops.MaxAge)
	}
}

// Whoever waits for another's fetch waits only as long as its own time.
func TestWaitingForASessionEndsInTime(t *testing.T) {
	t.Parallel()
	aws := newStub(t, answers{"AssumeRole": hang})
	s := sessions(aws.env(nil))
	slow, fast := check(keys()), check(keys())
	slow.Access.CrossAccount = &connector.CrossAccount{RoleARN: role}
	fast.Access.CrossAccount = slow.Access.CrossAccount
	slow.Timeout, fast.Timeout = 6*time.Second, 100*time.Millisecond
	var all sync.WaitGroup
	all.Go(func() { failed(t, s, slow) })
	began := time.Now()
	f := failed(t, s, fast)
	if took := time.Since(began); f.Reason != connector.ReasonTimeout || took > slow.Timeout-time.Second {
		t.Fatalf("after %v: %+v", took, f)
	}
	all.Wait()
}

func TestSessionNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"prod":                   "belay-prod",
		"":                       "belay-",
		"a b/ü$":                 "belay-a-b---",
		strings.Repeat("x", 200): "belay-" + strings.Repeat("x", 58),
	} {
		if got := awsops.SessionName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestTheEvidenceOfASuccess(t *testing.T) {
	t.Parallel()
	aws := newStub(t, nil)
	evidence := passed(t, sessions(aws.env(nil)), check(keys()))
	if evidence.Region != region || *evidence.Identity != (connector.Identity{ARN: user, Account: "111111111111", UserID: "AIDA"}) ||
		strings.Join(evidence.Regions, " ") != "us-east-1 us-west-2" || evidence.Took <= 0 || evidence.RegionsSkipped || evidence.ClockSkew != 0 {
		t.Fatalf("got %+v", evidence)
	}
}

// Each step of a check is timed by itself, the one that fails too; what was kept from before is said to be.
func TestStepsAreTimed(t *testing.T) {
	t.Parallel()
	steps := func(e connector.Evidence) string {
		var all []string
		for _, c := range e.Calls {
			word := string(c.Step)
			if c.Kept {
				word += " (kept)"
			}
			if c.Took < 0 || c.Took > e.Took {
				t.Errorf("%s took %s of %s", c.Step, c.Took, e.Took)
			}
			all = append(all, word)
		}
		return strings.Join(all, ", ")
	}
	aws := newStub(t, nil)
	s := sessions(aws.env(nil))
	one := check(keys())
	one.Access.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::222222222222:role/deploy"}
	for _, want := range []string{"credentials, assume-role, identity, regions", "assume-role (kept), identity, regions"} {
		if got := steps(passed(t, s, one)); got != want {
			t.Errorf("it did %s, want %s", got, want)
		}
	}
	plain := check(keys())
	plain.Access.Key = "another"
	if got := steps(passed(t, s, plain)); got != "credentials, identity, regions" {
		t.Errorf("without a role it did %s", got)
	}
	none := check(connector.WebIdentityFile{})
	none.Access.Key = "none"
	if e := s.Validate(t.Context(), none); e.Failure == nil || steps(e) != "credentials" {
		t.Errorf("without credentials it did %s", steps(e))
	}
}
