package link_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// tag gives the delegates of a name more tags.
func (w *world) tag(name string, tags ...string) {
	w.t.Helper()
	_, err := w.registry.Tag(w.t.Context(), w.who, scope.Scope{Account: w.account}, name, func(before []string) []string { return append(before, tags...) })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) submitTo(selectors ...string) task.Task {
	w.t.Helper()
	t, err := w.queue.Submit(w.t.Context(), task.Task{Scope: scope.Scope{Account: w.account}, Kind: pingKind, Params: []byte(`{}`), Selectors: selectors})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// What a group is given counts when work is assigned, beside what its delegates say with each heartbeat and when they
// come anew.
func TestTasksGoToDelegatesByTheTagsOfTheirGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	if before := w.submitTo("eu", "gpu"); before.State != task.Failed || before.Failure.Cause != task.CauseNoDelegate {
		t.Fatalf("before it is tagged: %+v", before)
	}
	w.tag("one", "gpu")
	beat := w.registration("one")
	beat.DelegateID, beat.Tags = id, []string{"us"} // it says others than it did
	for _, again := range []string{protocol.PathHeartbeat, protocol.PathRegister} {
		if a := w.call(http.MethodPost, again, beat); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", again, a.status, a.text)
		}
		submitted := w.submitTo("us", "GPU")
		var offered protocol.Events
		w.call(http.MethodGet, events(id), nil).into(t, &offered)
		if len(offered.DelegateTaskEvents) != 1 || offered.DelegateTaskEvents[0].DelegateTaskID != string(submitted.ID) {
			t.Fatalf("after %s it is offered %+v", again, offered)
		}
		w.acquire(id, submitted.ID)
		if a := w.call(http.MethodPost, work(protocol.PathResult, id, submitted.ID), `{"code":"OK"}`); a.status != http.StatusNoContent {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	_, err := w.registry.Tag(t.Context(), w.who, scope.Scope{Account: w.account}, "one", func([]string) []string { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if after := w.submitTo("us", "gpu"); after.State != task.Failed {
		t.Errorf("without its tag: %+v", after)
	}
}

// A poll that is parked already sees a task that its delegate may take only now.
func TestAParkedPollIsWokenByATagOfItsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	w.registry.Tagged = func(ids []delegate.ID) {
		for _, id := range ids {
			w.server.Bell.Ring(task.DelegateTopic(id))
		}
	}
	w.join("away") // it never asks for work
	w.tag("away", "gpu")
	here := w.join("here")
	waiting := w.submitTo("gpu")
	got := park(t, w, here)
	w.tag("here", "gpu")
	var offered protocol.Events
	select {
	case a := <-got:
		a.into(t, &offered)
	case <-time.After(10 * time.Second):
		t.Fatal("it was not woken")
	}
	if len(offered.DelegateTaskEvents) != 1 || offered.DelegateTaskEvents[0].DelegateTaskID != string(waiting.ID) {
		t.Errorf("offered %+v", offered)
	}
}

// What lived in an organization does not come back with the next one of its name.
func TestDelegatesEndWithTheirOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second
	at := scope.Scope{Account: w.account, Org: "o"}
	found := func() {
		t.Helper()
		if _, err := w.orgs.CreateOrganization(t.Context(), w.who, org.Organization{Account: w.account, ID: "o", Name: "o"}); err != nil {
			t.Fatal(err)
		}
	}
	found()
	_, value, err := w.tokens.Create(t.Context(), w.who, at, "inside", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	own := w.key
	if w.key, err = delegate.ParseToken(value); err != nil {
		t.Fatal(err)
	}
	id := w.join("one")
	if _, err := w.registry.Tag(t.Context(), w.who, at, "one", func([]string) []string { return []string{"x"} }); err != nil {
		t.Fatal(err)
	}
	got := park(t, w, id)
	if err := w.orgs.DeleteOrganization(t.Context(), w.who, "o"); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.status != http.StatusUnauthorized {
		t.Errorf("its poll: %d %s", a.status, a.text)
	}
	found()
	if a := w.call(http.MethodPost, protocol.PathRegister, w.registration("one")); a.status != http.StatusUnauthorized {
		t.Errorf("it comes back: %d %s", a.status, a.text)
	}
	if list := w.registry.InAccount(w.account); len(list) != 0 {
		t.Errorf("left are %+v", list)
	}
	if list, err := w.registry.Groups(t.Context(), w.who, at, nil); err != nil || len(list) != 0 {
		t.Errorf("left are %+v, %v", list, err)
	}
	w.key = own
	w.join("another") // of the account, as ever
}

// park parks a poll of a delegate.
func park(t *testing.T, w *world, id string) <-chan answer {
	t.Helper()
	got := make(chan answer, 1)
	go func() { got <- w.call(http.MethodGet, events(id), nil) }()
	parked(t, w, 1)
	return got
}

func TestADelegateOfARevokedTokenIsKnownByThat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join("one")
	if _, err := w.tokens.Revoke(t.Context(), w.who, scope.Scope{Account: w.account}, delegate.DefaultToken); err != nil {
		t.Fatal(err)
	}
	again := &delegate.Registry{Store: w.store, Log: w.registry.Log, Now: time.Now} // as after a restart of the manager
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*delegate.Registry{"at once": w.registry, "after a restart": again} {
		c := r.Choose(delegate.Need{Scope: scope.Scope{Account: w.account}})
		if len(c.Opinions) != 1 || c.Opinions[0].Verdict != delegate.TokenRevoked || c.Opinions[0].Reason != "its token was revoked" {
			t.Errorf("%s: %+v", name, c)
		}
		if c.Sentence() != "The token of every delegate was revoked; install one again with a token that is active." {
			t.Errorf("%s: %s", name, c.Sentence())
		}
	}
}
