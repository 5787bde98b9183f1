package link_test

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

func TestOnlyAProofOfTheAccountsTokenIsLetIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.server.Now = func() time.Time { return now } // the proofs are made now, and may be shown much later
	good := jwe(t, w.key, jweHeader, claims(w.account, now, 20*time.Minute))
	parts := strings.Split(good, ".")
	flip := func(i int) string {
		changed := append([]string(nil), parts...)
		first := byte('A')
		if changed[i][0] == first {
			first = 'B'
		}
		changed[i] = string(first) + changed[i][1:]
		return strings.Join(changed, ".")
	}
	other := make([]byte, delegate.TokenBytes)
	for name, tt := range map[string]struct {
		proof, says string
		status      int
	}{
		"a good one":            {protocol.AuthScheme + good, "", 200},
		"again, from the cache": {protocol.AuthScheme + good, "", 200},
		"no header":             {"", "Authorization", 401},
		"another scheme":        {"Bearer " + good, "Authorization", 401},
		"nothing behind it":     {protocol.AuthScheme + "x", "compact JWE", 401},
		"a very long one":       {protocol.AuthScheme + strings.Repeat("a", 5000), "4096 bytes", 401},
		"text changed":          {protocol.AuthScheme + flip(3), "no active delegate token", 401},
		"tag changed":           {protocol.AuthScheme + flip(4), "no active delegate token", 401},
		"iv changed":            {protocol.AuthScheme + flip(2), "no active delegate token", 401},
		"another key":           {protocol.AuthScheme + jwe(t, other, jweHeader, claims(w.account, now, time.Minute)), "no active delegate token", 401},
		"another enc":           {protocol.AuthScheme + jwe(t, w.key, `{"alg":"dir","enc":"A256GCM"}`, claims(w.account, now, time.Minute)), "compact JWE", 401},
		"another alg":           {protocol.AuthScheme + jwe(t, w.key, `{"alg":"A128KW","enc":"A128GCM"}`, claims(w.account, now, time.Minute)), "compact JWE", 401},
		"another account":       {protocol.AuthScheme + jwe(t, w.key, jweHeader, claims("other", now, time.Minute)), "another account", 401},
		"no JSON inside":        {protocol.AuthScheme + jwe(t, w.key, jweHeader, "hello"), "no claims", 401},
		"no end":                {protocol.AuthScheme + jwe(t, w.key, jweHeader, `{"sub":"`+w.account+`"}`), "no end", 401},
		"ended":                 {protocol.AuthScheme + jwe(t, w.key, jweHeader, claims(w.account, now.Add(-time.Hour), 20*time.Minute)), "its clock is 1h0m", 401},
		"ended within leeway":   {protocol.AuthScheme + jwe(t, w.key, jweHeader, claims(w.account, now.Add(-20*time.Minute-30*time.Second), 20*time.Minute)), "", 200},
		"from the future":       {protocol.AuthScheme + jwe(t, w.key, jweHeader, claims(w.account, now.Add(time.Hour), 20*time.Minute)), "ahead of the manager's", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.callAs(t.Context(), tt.proof, http.MethodPost, protocol.PathRegister, `{"delegateName":"a"}`)
			if a.status != tt.status || !strings.Contains(a.text, tt.says) {
				t.Errorf("%d %q, want %d with %q", a.status, a.text, tt.status, tt.says)
			}
		})
	}
	if a := w.callAs(t.Context(), protocol.AuthScheme+good, http.MethodPost, protocol.PathRegister+"?accountId=other", `{}`); a.status != 401 {
		t.Errorf("a known proof under another account: %d", a.status)
	}
}

func TestADelegateActsOnlyUnderItsOwnID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, value, err := w.tokens.Create(t.Context(), w.who, scope.Scope{Account: w.account}, "second", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := delegate.ParseToken(value)
	if err != nil {
		t.Fatal(err)
	}
	id := w.join("one")
	submitted := w.submit(pingKind)
	proof := protocol.AuthScheme + jwe(t, key, jweHeader, claims(w.account, time.Now(), time.Minute))
	beat := w.registration("thief")
	beat.DelegateID = id
	for name, tt := range map[string]struct {
		method, path string
		body         any
	}{
		"poll":       {http.MethodGet, events(id), nil},
		"heartbeat":  {http.MethodPost, protocol.PathHeartbeat, beat},
		"acquire":    {http.MethodPut, work(protocol.PathAcquire, id, submitted.ID), nil},
		"result":     {http.MethodPost, work(protocol.PathResult, id, submitted.ID), `{"code":"OK"}`},
		"unregister": {http.MethodDelete, strings.Replace(protocol.PathUnregister, "{delegate}", id, 1), nil},
	} {
		if a := w.callAs(t.Context(), proof, tt.method, tt.path, tt.body); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	var name string
	if d, err := w.registry.Delegate(w.account, delegate.ID(id)); err == nil {
		name = d.Name
	}
	if name != "one" {
		t.Errorf("the delegate is now %q", name)
	}
}

func TestRevokingATokenEndsParkedPollsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Held = 20 * time.Second // long, so that only the revocation can end the poll in time
	one, two := w.join("one"), w.join("two")
	held := w.submit(onceKind)
	w.acquire(one, held.ID)
	proof := w.proof()
	type ended struct {
		answer
		took time.Duration
	}
	polls := make(chan ended, 2)
	for _, id := range []string{one, two} {
		go func() {
			began := time.Now()
			polls <- ended{w.callAs(t.Context(), proof, http.MethodGet, events(id), nil), time.Since(began)}
		}()
	}
	parked(t, w, 2)
	if _, err := w.tokens.Revoke(t.Context(), w.who, scope.Scope{Account: w.account}, delegate.DefaultToken); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := <-polls
		if p.status != http.StatusUnauthorized || !strings.Contains(p.text, "revoked") {
			t.Errorf("poll: %d %q", p.status, p.text)
		}
		if p.took > 10*time.Second {
			t.Errorf("the poll ended after %s", p.took)
		}
	}
	if done := w.task(held.ID); done.State != task.Failed || done.Failure.Cause != task.CauseDelegateLost {
		t.Errorf("the task of the cut-off delegate: %s %+v", done.State, done.Failure)
	}
	for _, d := range w.registry.InAccount(w.account) {
		if d.Alive(time.Now()) {
			t.Errorf("delegate %s counts as alive", d.Name)
		}
	}
	for name, proof := range map[string]string{"known": proof, "new": w.proof()} {
		if a := w.callAs(t.Context(), proof, http.MethodPost, protocol.PathRegister, w.registration("one")); a.status != 401 {
			t.Errorf("a %s proof after the revocation: %d %s", name, a.status, a.text)
		}
	}
	if strings.Contains(w.log.String(), hex.EncodeToString(w.key)) {
		t.Error("the log holds the token")
	}
}

func TestANewTokenWorksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join("one") // the account's keys are known now
	var made []secret.Value
	for _, name := range []string{"a", "b"} {
		_, value, err := w.tokens.Create(t.Context(), w.who, scope.Scope{Account: w.account}, name, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, value)
	}
	key, err := delegate.ParseToken(made[1])
	if err != nil {
		t.Fatal(err)
	}
	proof := protocol.AuthScheme + jwe(t, key, jweHeader, claims(w.account, time.Now(), time.Minute))
	deadline := time.Now().Add(5 * time.Second)
	for {
		a := w.callAs(t.Context(), proof, http.MethodPost, protocol.PathRegister, w.registration("two"))
		if a.status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
}

func TestARevocationByAnotherManagerIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	if err := w.store.RevokeToken(t.Context(), scope.Scope{Account: w.account}, delegate.DefaultToken, time.Now()); err != nil {
		t.Fatal(err)
	}
	beat := w.registration("one")
	beat.DelegateID = id
	proof := w.proof()
	w.ahead.Store(int64(11 * time.Second))
	if a := w.callAs(t.Context(), proof, http.MethodPost, protocol.PathHeartbeat, beat); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func FuzzProof(f *testing.F) {
	w := newWorld(f)
	f.Add(w.proof())
	f.Add(protocol.AuthScheme + jwe(f, w.key, `{"alg":"dir","enc":"A128GCM","zip":"DEF"}`, claims(w.account, time.Now(), time.Minute)))
	f.Add(protocol.AuthScheme + "....")
	f.Add(protocol.AuthScheme + `{"protected":""}`)
	f.Fuzz(func(t *testing.T, proof string) {
		if strings.ContainsFunc(proof, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return // no header can hold it
		}
		if code, text := direct(t, w, proof, `{"delegateName":"a"}`); code != 200 && code != 401 {
			t.Errorf("%d %s", code, text)
		}
	})
}

// direct registers without a network between.
func direct(t *testing.T, w *world, proof, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, protocol.PathRegister+"?accountId="+w.account, strings.NewReader(body))
	r.Header.Set("Authorization", proof)
	answer := httptest.NewRecorder()
	w.http.Config.Handler.ServeHTTP(answer, r)
	return answer.Code, answer.Body.String()
}
