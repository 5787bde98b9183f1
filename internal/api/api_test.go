package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
)

// keys knows one key.
type keys struct{}

func (keys) Authenticate(_ context.Context, token string) (audit.Caller, error) {
	if token != "good" {
		return audit.Caller{}, &fault.Error{Kind: identity.ErrUnauthenticated, Message: "the API key is unknown, revoked or expired"}
	}
	return audit.Caller{Account: "acct", ID: "key1", Name: "ci"}, nil
}

// told is what the words of these tests tell.
type told struct {
	Status   int            `json:"status"`
	Kind     fault.Kind     `json:"kind,omitempty"`
	Message  string         `json:"message,omitempty"`
	Code     string         `json:"code,omitempty"`
	Problems fault.Problems `json:"problems,omitempty"`
	Value    any            `json:"value,omitempty"`
}

func words() api.Words {
	number := map[fault.Kind]int{
		fault.NotFound: 404, fault.Invalid: 400, fault.Denied: 403, identity.ErrUnauthenticated: 401, fault.Unavailable: 503,
		api.NoRoute: 404, api.WrongMethod: 405, api.TooLarge: 413, api.TooMany: 429, "": 500,
	}
	return api.Words{
		Answer: func(value any, _ string) (int, any) { return http.StatusOK, told{Status: http.StatusOK, Value: value} },
		Refuse: func(f api.Failure) (int, any) {
			return number[f.Kind], told{Status: number[f.Kind], Kind: f.Kind, Message: strings.ReplaceAll(f.Message, f.CorrelationID, "ID"), Code: f.Code, Problems: f.Problems}
		},
		ErrorType: "application/problem+json",
	}
}

type thing struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	On    bool              `json:"on"`
	Tags  map[string]string `json:"tags"`
	List  []string          `json:"list"`
	Inner struct {
		Name string `json:"name"`
	} `json:"inner"`
}

// edge makes a router whose endpoints do what their names say, and its log.
func edge(e api.Edge) (http.Handler, *bytes.Buffer) {
	log := &bytes.Buffer{}
	e.Keys, e.Log = keys{}, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if e.Now == nil {
		e.Now = time.Now
	}
	r := e.NewRouter(words())
	r.Handle("GET /things/{id}", api.Bare(func(_ context.Context, c api.Call) (string, error) { return c.Path("id"), nil }))
	r.Handle("GET /things/fixed", api.Bare(func(context.Context, api.Call) (string, error) { return "the fixed one", nil }))
	r.Handle("POST /things", api.Body(func(_ context.Context, _ api.Call, in thing) (thing, error) { return in, nil }))
	r.Handle("POST /maybe", api.MaybeBody(func(_ context.Context, _ api.Call, in thing) (string, error) { return in.Name, nil }))
	r.Handle("GET /scope", api.Bare(func(_ context.Context, c api.Call) (string, error) { return c.At.Account + " " + c.At.String(), nil }))
	r.Handle("GET /number", api.Bare(func(_ context.Context, c api.Call) (int, error) { return c.Number("n", 7, 1, 100) }))
	r.Handle("GET /time", api.Bare(func(_ context.Context, c api.Call) (time.Time, error) { return c.Time("t") }))
	r.Handle("GET /words", api.Bare(func(_ context.Context, c api.Call) ([]string, error) { return c.QueryAll("w"), nil }))
	r.Handle("GET /panic", api.Bare(func(context.Context, api.Call) (string, error) { panic("what a surprise") }))
	r.Handle("GET /abort", api.Bare(func(context.Context, api.Call) (string, error) { panic(http.ErrAbortHandler) }))
	r.Handle("GET /odd", api.Bare(func(context.Context, api.Call) (func(), error) { return func() {}, nil }))
	r.Handle("GET /internal", api.Bare(func(context.Context, api.Call) (string, error) { return "", errors.New("dial tcp: the hidden cause") }))
	r.Handle("GET /away", api.Bare(func(context.Context, api.Call) (string, error) {
		return "", fault.Because(fault.Unavailable, errors.New("the hidden cause"), "the database is away")
	}))
	r.Handle("GET /cut", api.Bare(func(ctx context.Context, _ api.Call) (string, error) { return "", ctx.Err() }))
	r.HandleOpen("GET /open", api.Bare(func(context.Context, api.Call) (string, error) { return "welcome", nil }))
	r.HandleOpen("GET /page", api.Bare(func(context.Context, api.Call) (api.Text, error) {
		return api.Text{Type: "text/markdown; charset=utf-8", Text: []byte("# Hello")}, nil
	}))
	return r, log
}

func ask(t *testing.T, h http.Handler, method, path, body string) (told, *httptest.ResponseRecorder) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set(api.HeaderKey, "good")
	return send(t, h, r)
}

func send(t *testing.T, h http.Handler, r *http.Request) (told, *httptest.ResponseRecorder) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var got told
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s %s: %d is not JSON: %v\n%s", r.Method, r.URL, w.Code, err, w.Body)
	}
	if !strings.Contains(w.Header().Get("Content-Type"), "json") || w.Header().Get(api.HeaderCorrelation) == "" {
		t.Errorf("headers are %v", w.Header())
	}
	if got.Status != w.Code {
		t.Errorf("status is %d, body says %d", w.Code, got.Status)
	}
	return got, w
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	for name, tt := range map[string]struct {
		method, path string
		want         told
	}{
		"a route":                          {"GET", "/things/a", told{Status: 200, Value: "a"}},
		"a fixed word goes before an id":   {"GET", "/things/fixed", told{Status: 200, Value: "the fixed one"}},
		"the gateway's prefix means none":  {"GET", "/gateway/things/a", told{Status: 200, Value: "a"}},
		"an id may be escaped":             {"GET", "/gateway/things/a%20b", told{Status: 200, Value: "a b"}},
		"HEAD is answered like GET":        {"HEAD", "/things/a", told{Status: 200, Value: "a"}},
		"nothing lives there":              {"GET", "/nowhere", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /nowhere"}},
		"not even at the root":             {"GET", "/", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /"}},
		"a slash at the end is no route":   {"GET", "/things/a/", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /things/a/"}},
		"two slashes are no redirect":      {"GET", "/things//a", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /things//a"}},
		"an endpoint that ends in a slash": {"GET", "//things/a", told{Status: 200, Value: "a"}},
		"a gateway that ends in a slash":   {"GET", "/gateway//things/a%2Fb", told{Status: 200, Value: "a/b"}},
		"a slash before the gateway":       {"GET", "//gateway/things/a", told{Status: 200, Value: "a"}},
		"the gateway's prefix alone":       {"GET", "/gateway", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /gateway"}},
		"a longer word than the gateway":   {"GET", "/gateways/things/a", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /gateways/things/a"}},
		"dots are no redirect":             {"GET", "/things/../things/a", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /things/../things/a"}},
		"escaped dots neither":             {"GET", "/things/%2e%2e", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /things/.."}},
		"another method":                   {"DELETE", "/things/a", told{Status: 405, Kind: api.WrongMethod, Message: "/things/a does not take DELETE; it takes GET, HEAD"}},
		"a method that HTTP does not have": {"BREW", "/things", told{Status: 405, Kind: api.WrongMethod, Message: "/things does not take OTHER; it takes POST"}},
		"a very long name":                 {"GET", "/things/" + strings.Repeat("x", 300), told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /things/" + strings.Repeat("x", 192) + "…"}},
		"an unprintable path":              {"GET", "/x%01%ff%0d%0aset-cookie:", told{Status: 404, Kind: api.NoRoute, Message: "there is nothing at /x????set-cookie:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, w := ask(t, h, tt.method, tt.path, "")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if tt.want.Status == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestStarIsNoRoute(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/", http.NoBody)
	r.RequestURI, r.URL.Path = "*", "*"
	if got, _ := send(t, h, r); got.Status != http.StatusNotFound {
		t.Errorf("got %+v", got)
	}
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	for name, tt := range map[string]struct {
		key, path string
		want      told
	}{
		"no key":                      {"", "/things/a", told{Status: 401, Kind: identity.ErrUnauthenticated, Message: "no API key: send one in the header x-api-key"}},
		"an unknown key":              {"bad", "/things/a", told{Status: 401, Kind: identity.ErrUnauthenticated, Message: "the API key is unknown, revoked or expired"}},
		"an open route needs none":    {"", "/open", told{Status: 200, Value: "welcome"}},
		"the key's own account":       {"good", "/scope?accountIdentifier=acct", told{Status: 200, Value: "acct account"}},
		"no account is the key's":     {"good", "/scope", told{Status: 200, Value: "acct account"}},
		"another account":             {"good", "/scope?accountIdentifier=other", told{Status: 403, Kind: fault.Denied, Message: `the key "ci" belongs to another account than "other"`}},
		"a scope":                     {"good", "/scope?orgIdentifier=o&projectIdentifier=p", told{Status: 200, Value: "acct o/p"}},
		"a project without its org":   {"good", "/scope?projectIdentifier=p", told{Status: 400, Kind: fault.Invalid, Message: `orgIdentifier: is required: project "p" belongs to an organization`, Problems: fault.Problems{{Path: "orgIdentifier", Message: `is required: project "p" belongs to an organization`}}}},
		"an org with too long a name": {"good", "/scope?orgIdentifier=" + strings.Repeat("o", 129), told{Status: 400, Kind: fault.Invalid, Message: "orgIdentifier: has 129 characters, at most 128 are allowed", Problems: fault.Problems{{Path: "orgIdentifier", Message: "has 129 characters, at most 128 are allowed"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, http.NoBody)
			if tt.key != "" {
				r.Header.Set("x-api-key", tt.key)
			}
			got, _ := send(t, h, r)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWordsOfTheQuery(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	for path, want := range map[string]any{
		"/number":                             7.0,
		"/number?n=1":                         1.0,
		"/number?n=5000":                      100.0,
		"/number?n=0":                         `n: "0" is not a whole number from 1 on`,
		"/number?n=-1":                        `n: "-1" is not a whole number from 1 on`,
		"/number?n=x":                         `n: "x" is not a whole number from 1 on`,
		"/number?n=99999999999999999999":      100.0,
		"/number?n=-99999999999999999999":     `n: "-9999999999999999999" is not a whole number from 1 on`,
		"/time":                               "0001-01-01T00:00:00Z",
		"/time?t=2026-11-23T10:00:00Z":        "2026-11-23T10:00:00Z",
		"/time?t=2026-11-23T11:00:00%2b01:00": "2026-11-23T10:00:00Z",
		"/time?t=yesterday":                   `t: "yesterday" is not a time such as 2026-11-23T10:00:00Z`,
		"/words":                              nil,
		"/words?w=a&w=b":                      []any{"a", "b"},
		"/words?w=a,b&w=&w=c":                 []any{"a", "b", "c"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got, _ := ask(t, h, http.MethodGet, path, "")
			value := got.Value
			if got.Status != http.StatusOK {
				value = got.Message
			}
			if diff := cmp.Diff(want, value); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	whole := func(message string) told { return told{Status: 400, Kind: fault.Invalid, Message: message} }
	field := func(path, message string) told {
		return told{Status: 400, Kind: fault.Invalid, Message: path + ": " + message, Problems: fault.Problems{{Path: path, Message: message}}}
	}
	for name, tt := range map[string]struct {
		body string
		want told
	}{
		"no body":                 {"", whole("the body is empty; JSON belongs there")},
		"blanks":                  {" \n", whole("the body is empty; JSON belongs there")},
		"an end too early":        {`{"name":`, whole("the body is not JSON: line 1, column 8: unexpected end of JSON input")},
		"a comma too many":        {"{\n  \"name\": \"ü\",\n}", whole("the body is not JSON: line 3, column 1: invalid character '}' looking for beginning of object key string")},
		"something behind":        {"{}\n{}", whole("the body is not JSON: line 2, column 1: invalid character '{' after top-level value")},
		"no JSON at all":          {"name: x", whole("the body is not JSON: line 1, column 2: invalid character 'a' in literal null (expecting 'u')")},
		"not UTF-8":               {"{\n\"name\":\"\xff\"}", whole("the body is not UTF-8: line 2, column 9")},
		"a list for an object":    {`[]`, whole("the body is a list; an object belongs there")},
		"a text for an object":    {`"hunter2"`, whole("the body is a string; an object belongs there")},
		"a number for text":       {`{"name":12345}`, field("name", "is a number; text belongs there")},
		"a text for a number":     {`{"count":"hunter2"}`, field("count", "is a string; a whole number belongs there")},
		"a fraction for a number": {`{"count":1.5}`, field("count", "is a number; a whole number belongs there")},
		"a number for a switch":   {`{"on":1}`, field("on", "is a number; true or false belongs there")},
		"a text for a list":       {`{"list":"a"}`, field("list", "is a string; a list belongs there")},
		"a number in an object":   {`{"inner":{"name":1}}`, field("inner.name", "is a number; text belongs there")},
		"a list for tags":         {`{"tags":["a"]}`, field("tags", "is a list; an object belongs there")},
		"very deep":               {strings.Repeat("[", 20000), whole("the body is not JSON: line 1, column 10001: invalid character '[' exceeded max depth")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := ask(t, h, http.MethodPost, "/things", tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("what is not known is ignored", func(t *testing.T) {
		t.Parallel()
		got, _ := ask(t, h, http.MethodPost, "/things", "\xef\xbb\xbf"+`{"_":null,"name":"<ü>","other":{"deep":[1]}}`)
		if name := got.Value.(map[string]any)["name"]; name != "<ü>" {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a body may be left out where it is optional", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]any{"": "", "{}": "", `{"name":"a"}`: "a"} {
			if got, _ := ask(t, h, http.MethodPost, "/maybe", body); got.Value != want {
				t.Errorf("%q: got %+v", body, got)
			}
		}
	})
	t.Run("one that breaks off", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things", iotest.ErrReader(errors.New("gone")))
		r.Header.Set(api.HeaderKey, "good")
		if got, _ := send(t, h, r); got.Message != "the body ended before it was whole" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestATooLongBodyIsRefusedAsJSON(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	server := httptest.NewServer(h)
	defer server.Close()
	for name, size := range map[string]int{"a byte over": api.MaxBody + 1, "ten megabytes": 10 << 20} {
		t.Run(name, func(t *testing.T) {
			body := `{"name":"` + strings.Repeat("x", size-11) + `"}`
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/things", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(api.HeaderKey, "good")
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close() //nolint:errcheck // it was read
			var got told
			if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			want := told{Status: 413, Kind: api.TooLarge, Message: "the body is longer than the 1024 KiB that the manager takes"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("the most is taken", func(t *testing.T) {
		if got, _ := ask(t, h, http.MethodPost, "/things", `{"name":"`+strings.Repeat("x", api.MaxBody-11)+`"}`); got.Status != http.StatusOK {
			t.Errorf("got %d", got.Status)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path   string
		want   told
		logged []string
	}{
		"a panic":                {"/panic", told{Status: 500, Message: "an internal error happened; the manager's log has its cause under ID"}, []string{`"panic":"what a surprise"`, `"stack":"`, `"route":"/panic"`}},
		"an error of no kind":    {"/internal", told{Status: 500, Message: "an internal error happened; the manager's log has its cause under ID"}, []string{`"error":"dial tcp: the hidden cause"`, `"level":"ERROR"`}},
		"something that is away": {"/away", told{Status: 503, Kind: fault.Unavailable, Message: "the database is away"}, []string{`"error":"the database is away: the hidden cause"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, log := edge(api.Edge{})
			got, w := ask(t, h, http.MethodGet, tt.path, "")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			for _, part := range append(tt.logged, w.Header().Get(api.HeaderCorrelation)) {
				if !strings.Contains(log.String(), part) {
					t.Errorf("the log lacks %s:\n%s", part, log)
				}
			}
			if tt.want.Status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	t.Run("what cannot be encoded", func(t *testing.T) {
		t.Parallel()
		h, log := edge(api.Edge{})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/odd", http.NoBody)
		r.Header.Set(api.HeaderKey, "good")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError || !json.Valid(w.Body.Bytes()) || !strings.Contains(log.String(), "encode the answer") {
			t.Errorf("%d %s\n%s", w.Code, w.Body, log)
		}
	})
	t.Run("a client that hung up is no error", func(t *testing.T) {
		t.Parallel()
		h, log := edge(api.Edge{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/cut", http.NoBody)
		r.Header.Set(api.HeaderKey, "good")
		if got, _ := send(t, h, r); got.Status != http.StatusServiceUnavailable || strings.Contains(log.String(), `"level":"ERROR"`) {
			t.Errorf("got %+v\n%s", got, log)
		}
	})
	t.Run("an aborted handler is net/http's affair", func(t *testing.T) {
		t.Parallel()
		h, _ := edge(api.Edge{})
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		ask(t, h, http.MethodGet, "/abort", "")
	})
}

func TestAKeyThatCallsTooOften(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_790_000_000, 0)
	h, _ := edge(api.Edge{Limiter: &identity.Limiter{Rate: 1, Burst: 2}, Now: func() time.Time { return now }})
	for range 2 {
		if got, _ := ask(t, h, http.MethodGet, "/things/a", ""); got.Status != http.StatusOK {
			t.Fatalf("got %+v", got)
		}
	}
	got, w := ask(t, h, http.MethodGet, "/things/a", "")
	want := told{Status: 429, Kind: api.TooMany, Message: `the key "ci" calls too often; call again in 2 s, and slower from then on`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if after := w.Header().Get("Retry-After"); after != "2" {
		t.Errorf("Retry-After is %q", after)
	}
	now = now.Add(2 * time.Second)
	if got, _ := ask(t, h, http.MethodGet, "/things/a", ""); got.Status != http.StatusOK {
		t.Errorf("after the wait: %+v", got)
	}
}

func TestTheLogHoldsNothingOfARequest(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1d"
	h, log := edge(api.Edge{})
	ask(t, h, http.MethodPost, "/things?q="+canary, `{"name":"`+canary+`"}`)
	ask(t, h, http.MethodPost, "/things?q="+canary, `{"count":"`+canary+`"}`)
	ask(t, h, http.MethodGet, "/things/"+canary, "")
	ask(t, h, http.MethodGet, "/nowhere/"+canary, "")
	r := httptest.NewRequestWithContext(t.Context(), canary, "/things", http.NoBody)
	r.Header.Set(api.HeaderKey, canary)
	send(t, h, r)
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log holds it:\n%s", log)
	}
	for _, part := range []string{`"route":"/things/{id}"`, `"route":"unmatched"`, `"caller":"key1"`, `"status":400`, `"method":"OTHER"`, `"correlation_id":"req_`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %s:\n%s", part, log)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	h, _ := edge(api.Edge{})
	for _, path := range []string{"/things/a", "/nowhere", "/page"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set(api.HeaderKey, "good")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if path == "/page" && (w.Body.String() != "# Hello" || w.Header().Get("Content-Type") != "text/markdown; charset=utf-8") {
			t.Errorf("got %q as %q", w.Body, w.Header().Get("Content-Type"))
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h, _ := edge(api.Edge{Metrics: api.NewMetrics(registry)})
	ask(t, h, http.MethodGet, "/things/a", "")
	ask(t, h, http.MethodGet, "/things/b", "")
	ask(t, h, http.MethodGet, "/nowhere", "")
	ask(t, h, "BREW", "/nowhere", "")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			parts := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				parts = append(parts, l.GetValue())
			}
			name := strings.Join(parts, " ")
			if c := m.GetCounter(); c != nil {
				got[name] = c.GetValue()
			} else {
				got[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	want := map[string]float64{
		"belay_api_requests_total GET /things/{id} 2xx": 2, "belay_api_requests_total GET unmatched 4xx": 1, "belay_api_requests_total OTHER unmatched 4xx": 1,
		"belay_api_request_duration_seconds /things/{id}": 2, "belay_api_request_duration_seconds unmatched": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
