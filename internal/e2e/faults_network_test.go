package e2e_test

import (
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

// between puts something between the delegate and AWS, until it is taken away.
func (w *world) between(handle http.HandlerFunc) (away func()) {
	w.t.Helper()
	var gone atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			w.ServeHTTP(answer, r)
			return
		}
		handle(answer, r)
	}))
	w.t.Cleanup(server.Close)
	w.env["AWS_ENDPOINT_URL"] = server.URL
	return func() { gone.Store(true) }
}

// standing is a fault of something that stands between until the remedy takes it away.
func standing(f fault, remedy string, handle func(*world, http.ResponseWriter, *http.Request)) fault {
	var away func()
	f.scene = user("inline: {regions: " + statement("Allow", anyRegions, "*") + "}")
	f.set = func(w *world) {
		away = w.between(func(answer http.ResponseWriter, r *http.Request) { handle(w, answer, r) })
	}
	f.apply = func(w *world, d *connector.Diagnosis) { told(remedy, func(*world) { away() })(w, d) }
	return f
}

// secure serves the sandbox over TLS, by a certificate of its own authority, and gives that as a file.
func (w *world) secure() (address, authority string) {
	w.t.Helper()
	server := httptest.NewUnstartedServer(w.Server)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	w.t.Cleanup(server.Close)
	return server.URL, bundle(w.t, server.Certificate().Raw)
}

// proxy lets CONNECT through to whoever knows the password.
func (w *world) proxy() *url.URL {
	w.t.Helper()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("belay:let-me-out"))
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != want {
			answer.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		up, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			answer.WriteHeader(http.StatusBadGateway)
			return
		}
		answer.WriteHeader(http.StatusOK)
		down, _, err := http.NewResponseController(answer).Hijack()
		if err != nil {
			_ = up.Close()
			return
		}
		go func() {
			_, _ = io.Copy(up, down) // ends when the delegate closes
			_ = up.Close()
		}()
		_, _ = io.Copy(down, up) // ends when the sandbox closes
		_ = down.Close()
	}))
	w.t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	return to
}

// networkFaults are those of the way to AWS.
func networkFaults() map[string]fault {
	good := user("inline: {regions: " + statement("Allow", anyRegions, "*") + "}")
	to := func(address string) func(*world) { return func(w *world) { w.env["AWS_ENDPOINT_URL"] = address } }
	right := func(w *world) { w.env["AWS_ENDPOINT_URL"] = w.url }
	return map[string]fault{
		"the name has no address": {
			scene: good, set: to("https://sts.belay.invalid"), code: connector.HostNotFound,
			names: []string{"Delegate eks-1 finds no address for sts.belay.invalid"},
			apply: told("If AWS_ENDPOINT_URL is set, compare it", right),
		},
		"nobody listens": {
			scene: good, set: to("http://127.0.0.1:1"), code: connector.HostUnreached,
			names: []string{"cannot reach 127.0.0.1:1"},
			apply: told("If AWS_ENDPOINT_URL is set, compare it", right),
		},
		"a firewall opens TLS": {
			scene: good,
			set: func(w *world) {
				w.env["AWS_ENDPOINT_URL"], w.secrets["authority"] = w.secure()
			},
			code: connector.TLSNotTrusted, names: []string{"The certificate of 127.0.0.1", "something opens the encrypted traffic"},
			apply: told("give its CA to the delegate: mount it and set AWS_CA_BUNDLE", func(w *world) { w.env["AWS_CA_BUNDLE"] = w.secrets["authority"] }),
		},
		"the proxy wants a password": {
			scene: good,
			set: func(w *world) {
				w.env["AWS_ENDPOINT_URL"], w.env["AWS_CA_BUNDLE"] = w.secure()
				proxy := w.proxy()
				w.sessions.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
			},
			code: connector.ProxyRefused, names: []string{"The HTTP proxy of delegate eks-1 does not let the request to 127.0.0.1"}, shown: "407",
			apply: told("Compare PROXY_USER and PROXY_PASSWORD on the delegate", func(w *world) {
				proxy := w.proxy()
				proxy.User = url.UserPassword("belay", "let-me-out")
				w.sessions = &awsops.Sessions{ // the delegate starts again with them
					Env:   func(name string) string { return w.env[name] },
					Proxy: func(*http.Request) (*url.URL, error) { return proxy, nil },
				}
			}),
		},
		"the proxy is down": {
			scene: good,
			set: func(w *world) {
				w.env["AWS_ENDPOINT_URL"], w.env["AWS_CA_BUNDLE"] = w.secure()
				w.sessions.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }
			},
			code: connector.ProxyRefused, names: []string{"The HTTP proxy of delegate eks-1"},
			apply: told("Put AWS's hosts into NO_PROXY", func(w *world) {
				w.sessions = &awsops.Sessions{
					Env:   func(name string) string { return w.env[name] },
					Proxy: noProxy,
				}
			}),
		},
		"a captive portal answers": standing(fault{code: connector.NotAWS, names: []string{"is not AWS"}, shown: "Sign in to the guest network"}, "read who answers",
			func(_ *world, answer http.ResponseWriter, _ *http.Request) {
				answer.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(answer, "<html><title>Sign in to the guest network</title></html>")
			}),
		"a gateway takes the signature away": standing(fault{code: connector.RequestAltered, names: []string{"changed the request"}}, "removes or rewrites the Authorization header",
			func(w *world, answer http.ResponseWriter, r *http.Request) {
				r.Header.Del("Authorization")
				w.ServeHTTP(answer, r)
			}),
		"AWS has a fault of its own": standing(fault{code: connector.AWSUnavailable, names: []string{"a fault of its own after 2 tries"}}, "Test again in a minute",
			func(_ *world, answer http.ResponseWriter, _ *http.Request) {
				answer.Header().Set("x-amzn-RequestId", "r-1")
				answer.Header().Set("Content-Type", "text/xml")
				answer.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(answer, `<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code><Message>An internal error has occurred.</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`)
			}),
		"silence": standing(fault{code: connector.NoAnswerInTime, names: []string{"no answer from 127.0.0.1", "in time"}, timeout: 300 * time.Millisecond}, "open outbound TCP 443",
			func(_ *world, _ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client leaves
				<-r.Context().Done()
			}),
		"the account is throttled": {
			scene: good,
			set: func(w *world) {
				w.settings(func(s *sandbox.Settings) { s.Rate, s.Burst = 0.5, 1 }) // a call every two seconds
			},
			code: connector.Throttled, names: []string{"limits the rate", "after 2 tries"},
			apply: told("EqualJitterBackoffStrategy", func(w *world) {
				w.connector.Backoff = backoff.EqualJitter{Base: 500 * time.Millisecond, Max: 20 * time.Second, Count: 8}
			}),
		},
	}
}
