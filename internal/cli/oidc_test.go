package cli_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/belay-dev/belay/internal/cli"
	"github.com/belay-dev/belay/internal/manager"
)

// hosted is a web server for example.com, reached through a proxy, and what it answers.
type hosted struct {
	proxy, ca, thumbprint string

	mu      sync.Mutex
	handler http.Handler
}

func (h *hosted) answer(handler http.Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = handler
}

func host(t *testing.T) *hosted {
	t.Helper()
	h := &hosted{}
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		handler := h.handler
		h.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := new(net.Dialer).DialContext(r.Context(), "tcp", web.Listener.Addr().String())
		if err != nil {
			return
		}
		defer func() { _ = to.Close() }()
		from, early, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = from.Close() }()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(to, early) // with what came before the hijack
			_ = to.Close()
		})
		_, _ = io.Copy(from, to)
		_ = from.Close()
		both.Wait()
	}))
	t.Cleanup(proxy.Close)
	h.proxy, h.ca = proxy.URL, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(h.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(web.Certificate().Raw)
	h.thumbprint = hex.EncodeToString(sum[:])
	return h
}

// TestOIDCCheck: what AWS would see, as the check tells it, for documents that were exported and hosted elsewhere.
func TestOIDCCheck(t *testing.T) {
	t.Parallel()
	h := host(t)
	m, err := manager.New(t.Context(), manager.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TestEvery: -1, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		loop.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	started := m.Started()
	belay := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command("belay", append([]string{"oidc"}, args...)...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "HTTPS_PROXY=" + h.proxy,
			"BELAY_ENDPOINT=" + started.URL, "BELAY_API_KEY=" + started.AdminKey.Reveal(),
		}
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Fatalf("%v: exit code %d, want %d: %v\n%s%s", args, code, want, err, out, &errs)
		}
		return string(out)
	}
	const issuer = "https://example.com/belay"
	export := func() http.Handler {
		t.Helper()
		folder := t.TempDir()
		belay(cli.Done, "export", folder, "--issuer", issuer)
		return http.StripPrefix("/belay", http.FileServer(http.Dir(folder)))
	}
	fixed := func(status int, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		})
	}
	firstKeyOnly := export()
	if err := m.Issuer.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := export()
	without := func(good http.Handler, path string, other http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/belay"+path {
				other.ServeHTTP(w, r)
				return
			}
			good.ServeHTTP(w, r)
		})
	}
	belay(cli.Done, "set", "--issuer", issuer)
	type step struct {
		Step    string `json:"step"`
		Outcome string `json:"outcome"`
		Detail  string `json:"detail"`
	}
	check := func(want int, args ...string) (holds bool, thumbprint string, steps map[string]step) {
		t.Helper()
		var report struct {
			Holds      bool   `json:"holds"`
			Thumbprint string `json:"thumbprint"`
			Steps      []step `json:"steps"`
		}
		if err := json.Unmarshal([]byte(belay(want, append([]string{"check", "-o", "json"}, args...)...)), &report); err != nil {
			t.Fatal(err)
		}
		steps = map[string]step{}
		for _, s := range report.Steps {
			if steps[s.Step].Outcome != "failed" { // the worst of a step
				steps[s.Step] = s
			}
		}
		return report.Holds, report.Thumbprint, steps
	}
	const discovery, keys = "/.well-known/openid-configuration", "/.wellknown/jwks"
	for _, tt := range []struct {
		sentence string
		web      http.Handler
		args     []string
		code     int
		step     string
		outcome  string
		words    string
	}{
		{"the documents as they were exported", whole, []string{"--ca-cert", h.ca}, cli.Done, "keys", "ok", "the manager's"},
		{"the certificate of an authority that is trusted", whole, []string{"--ca-cert", h.ca}, cli.Done, "certificate", "ok", "trusted here"},
		{"an authority that nobody trusts is a warning", whole, nil, cli.Done, "certificate", "warning", "does not trust"},
		{"a certificate of another host", whole, []string{"--ca-cert", h.ca, "--issuer", "https://other.test/belay"}, cli.Different, "certificate", "failed", "other.test"},
		{"an address that names another issuer", whole, []string{"--issuer", "https://example.com/belay/.well-known/.."}, cli.Different, "issuer", "failed", issuer},
		{"no documents", http.NotFoundHandler(), nil, cli.Different, "discovery", "failed", "404"},
		{"a login page", fixed(200, "<html>"), nil, cli.Different, "discovery", "failed", "not with JSON"},
		{"a redirect", http.RedirectHandler("https://example.com/belay/elsewhere", http.StatusFound), nil, cli.Different, "discovery", "failed", "302"},
		{"a document of another issuer", without(whole, discovery, fixed(200, `{"issuer":"https://example.com/belay/","jwks_uri":"https://example.com/belay/.wellknown/jwks"}`)), nil, cli.Different, "issuer", "failed", "https://example.com/belay/"},
		{"keys over http", without(whole, discovery, fixed(200, `{"issuer":"`+issuer+`","jwks_uri":"http://127.0.0.1:1/x"}`)), nil, cli.Different, "key set address", "failed", "https only"},
		{"no keys", without(whole, keys, http.NotFoundHandler()), nil, cli.Different, "key set", "failed", "404"},
		{"keys that are no JSON", without(whole, keys, fixed(200, "x")), nil, cli.Different, "key set", "failed", "no JSON"},
		{"other keys", without(whole, keys, fixed(200, `{"keys":[]}`)), nil, cli.Different, "keys", "failed", "refuses every token"},
		{"an export before the next key was there", firstKeyOnly, nil, cli.Done, "keys", "warning", "next key"},
	} {
		h.answer(tt.web)
		holds, thumbprint, steps := check(tt.code, tt.args...)
		if s := steps[tt.step]; holds != (tt.code == cli.Done) || s.Outcome != tt.outcome || !strings.Contains(s.Detail, tt.words) {
			t.Errorf("%s: holds %t, %+v", tt.sentence, holds, steps)
		}
		if thumbprint != h.thumbprint {
			t.Errorf("%s: thumbprint %s, want %s", tt.sentence, thumbprint, h.thumbprint)
		}
	}
	belay(cli.Done, "rotate", "--revoke")
	h.answer(whole)
	if holds, _, steps := check(cli.Different); holds || steps["keys"].Outcome == "ok" {
		t.Errorf("an export of revoked keys: %+v", steps)
	}
	h.answer(export())
	if holds, _, steps := check(cli.Done); !holds || steps["keys"].Outcome != "ok" {
		t.Errorf("a new export: %+v", steps)
	}
}
