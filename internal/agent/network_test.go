package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// failure waits until the delegate's log names why there is no way to the manager.
func failure(t *testing.T, r *running, says string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(15 * time.Second); !strings.Contains(r.log.String(), says); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the log does not say %q", says)
		}
	}
}

func TestAManagerOfAPrivateAuthority(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	t.Run("is trusted by its file", func(t *testing.T) {
		t.Parallel()
		h.start(t, h.environment(url, "", map[string]string{"ADDITIONAL_CERTS_PATH": ca}), nil)
	})
	t.Run("is not trusted without it", func(t *testing.T) {
		t.Parallel()
		failure(t, h.begin(t, h.environment(url, "", nil), nil), "certificate signed by unknown authority")
	})
}

func TestAManagerThatAsksForAClientCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "delegate"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile := write(t, "client.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	keyFile := write(t, "client.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	h := newHub(t)
	var wire atomic.Value
	url, ca := h.serve(t, func(s *httptest.Server) {
		leaf, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
		s.EnableHTTP2 = true // the delegate speaks HTTP/1.1 all the same
		next := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wire.Store(r.Proto)
			next.ServeHTTP(w, r)
		})
	})
	h.start(t, h.environment(url, ca, map[string]string{
		"DELEGATE_CLIENT_CERTIFICATE_PATH": certFile, "DELEGATE_CLIENT_CERTIFICATE_KEY_PATH": keyFile,
	}), nil)
	if got := wire.Load(); got != "HTTP/1.1" {
		t.Errorf("the delegate speaks %v", got)
	}
	failure(t, h.begin(t, h.environment(url, ca, nil), nil), "certificate required")
}

// proxy is a forward proxy that asks for a user and password and leads every CONNECT to one address.
func proxy(t *testing.T, to string) (addr string, connects *atomic.Int64) {
	t.Helper()
	connects = &atomic.Int64{}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:p@ss"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != want {
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		connects.Add(1)
		there, err := new(net.Dialer).DialContext(r.Context(), "tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(there, here)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
		<-done
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), connects
}

func TestTheWayThroughAProxyWithCredentials(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	url, ca := h.serve(t, nil)
	addr, connects := proxy(t, strings.TrimPrefix(url, "https://"))
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	through := map[string]string{
		"MANAGER_HOST_AND_PORT": "https://example.com", // what the test's certificate names; only the proxy knows the way
		"PROXY_HOST":            host, "PROXY_PORT": port, "PROXY_USER": "me", "PROXY_PASSWORD": "wrong-canary",
	}
	refused := h.begin(t, h.environment(url, ca, through), nil)
	failure(t, refused, "asks for a user and password; set PROXY_USER and PROXY_PASSWORD")
	refused.stop()
	through["PROXY_PASSWORD"] = "p@ss"
	r := h.start(t, h.environment(url, ca, through), nil)
	if done := h.wait(t, h.submit(t, protocol.TypePing)); done.State != task.Succeeded {
		t.Errorf("%s %+v", done.State, done.Failure)
	}
	if connects.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
	for _, log := range []string{r.log.String(), refused.log.String()} {
		if strings.Contains(log, "p@ss") || strings.Contains(log, "canary") {
			t.Error("a log holds the proxy's password")
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	var elsewhere atomic.Bool
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
	t.Cleanup(trap.Close)
	front := httptest.NewServer(http.RedirectHandler(trap.URL, http.StatusTemporaryRedirect))
	t.Cleanup(front.Close)
	failure(t, h.begin(t, h.environment(front.URL, "", nil), func(*agent.Agent) {}), "set MANAGER_HOST_AND_PORT to its address itself")
	if elsewhere.Load() {
		t.Error("the delegate followed the redirect")
	}
}
