package belaytest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what a Proxy does with one request instead of forwarding it.
type Fault string

// The faults. Those with an AWS code come in the envelope of the request's protocol: query (STS, IAM), ec2, JSON or
// rest-json.
const (
	Forward              Fault = ""                     // no fault: for a good answer between bad ones
	Throttling           Fault = "ThrottlingException"  // 400, "Rate exceeded"
	RequestLimitExceeded Fault = "RequestLimitExceeded" // 503, as EC2 throttles
	InternalError        Fault = "InternalFailure"      // 500
	Unavailable          Fault = "ServiceUnavailable"   // 503
	HTMLBadGateway       Fault = "HTML 502"             // a load balancer's page, in no envelope
	Reset                Fault = "reset"                // the connection is reset before any answer
	SlowBody             Fault = "slow body"            // the true answer, its second half after Proxy.Slow
	Hang                 Fault = "hang"                 // no answer until the client gives up or the test ends
)

// Request is one request that a Proxy saw.
type Request struct {
	At     time.Time
	Action string // GetCallerIdentity; for a REST API the method and path
	Fault  Fault  // what it met; Forward when it was passed on
}

// Proxy stands before an AWS endpoint and fails as its script says, then forwards.
type Proxy struct {
	URL  string
	Slow time.Duration // how long SlowBody holds the second half back; set it before the first request; default 2 s

	target  *url.URL
	web     *http.Transport
	closing chan struct{} // lets hanging requests go when the test ends

	mu       sync.Mutex
	script   []Fault
	requests []Request
}

// FaultProxy starts a proxy before upstream, such as MotoServer.URL. It ends with the test.
func FaultProxy(tb testing.TB, upstream string) *Proxy {
	tb.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		tb.Fatalf("fault proxy: %v", err)
	}
	p := &Proxy{
		Slow: 2 * time.Second, target: target, closing: make(chan struct{}),
		// A connection for each request: a development server may close one that is kept while it is being used.
		web: &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	}
	s := httptest.NewServer(p)
	p.URL = s.URL
	tb.Cleanup(func() {
		close(p.closing)
		s.Close()
	})
	return p
}

// Next appends to the script: each request takes one fault from it, and is forwarded when none is left. For many of a
// kind: p.Next(slices.Repeat([]Fault{Throttling}, 20)...).
func (p *Proxy) Next(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = append(p.script, faults...)
}

// Requests is what the proxy has seen so far, in order of arrival.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// take notes a request and gives the fault that it meets.
func (p *Proxy) take(action string) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := Forward
	if len(p.script) > 0 {
		fault, p.script = p.script[0], p.script[1:]
	}
	p.requests = append(p.requests, Request{At: time.Now(), Action: action, Fault: fault})
	return fault
}

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client left in the middle of its request
	}
	call := parseCall(r, string(body))
	switch fault := p.take(call.action); fault {
	case Forward:
		p.forward(r, body).write(w, func() {})
	case Throttling:
		call.fail(w, http.StatusBadRequest, fault, "Rate exceeded")
	case RequestLimitExceeded:
		call.fail(w, http.StatusServiceUnavailable, fault, "Request limit exceeded.")
	case InternalError:
		call.fail(w, http.StatusInternalServerError, fault, "An internal error has occurred")
	case Unavailable:
		call.fail(w, http.StatusServiceUnavailable, fault, "Service is unable to handle request.")
	case HTMLBadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n")
	case Reset:
		reset(w)
	case SlowBody:
		p.slowly(w, r, body)
	case Hang:
		p.pause(r, nil)
		panic(http.ErrAbortHandler)
	default:
		panic(fmt.Sprintf("belaytest: %q is no fault", fault))
	}
}

// pause waits for c, for the client to give up, or for the test to end.
func (p *Proxy) pause(r *http.Request, c <-chan time.Time) {
	select {
	case <-c:
	case <-r.Context().Done():
	case <-p.closing:
	}
}

// answer is what the upstream said, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// tries is how often the upstream is asked when it gives no whole answer. On a busy machine a development server may break
// a connection off; a fault that no script asked for must not count as one of those that it did.
const tries = 3

// forward asks the upstream and waits for the whole answer.
func (p *Proxy) forward(r *http.Request, body []byte) answer {
	var err error
	for range tries {
		var got answer
		if got, err = p.ask(r, body); err == nil {
			return got
		}
	}
	return answer{http.StatusBadGateway, http.Header{"Content-Type": {"text/plain"}}, []byte("fault proxy: " + err.Error())}
}

func (p *Proxy) ask(r *http.Request, body []byte) (answer, error) {
	out := r.Clone(r.Context()) // its Host stays: the signature covers it
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	got, err := p.web.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return answer{}, err
	}
	for _, hop := range []string{"Connection", "Keep-Alive", "Transfer-Encoding"} {
		got.Header.Del(hop)
	}
	return answer{got.StatusCode, got.Header, text}, nil
}

// write sends an answer, with a pause after its head and the first half of its body.
func (a answer) write(w http.ResponseWriter, pause func()) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	half := len(a.body) / 2
	_, _ = w.Write(a.body[:half])
	pause()
	_, _ = w.Write(a.body[half:])
}

// slowly sends the true answer's head and first half, and the rest after a pause.
func (p *Proxy) slowly(w http.ResponseWriter, r *http.Request, body []byte) {
	p.forward(r, body).write(w, func() {
		_ = http.NewResponseController(w).Flush()
		timer := time.NewTimer(p.Slow)
		defer timer.Stop()
		p.pause(r, timer.C)
	})
}

// reset ends the connection with a TCP reset: closing with linger 0 sends one.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// awsCall is what a request asks for, and in which protocol it wants the answer.
type awsCall struct {
	action   string
	protocol string // query, ec2, json or rest-json
}

// parseCall finds the operation: query and ec2 name it in a form, ec2 known by its API version; JSON in X-Amz-Target.
func parseCall(r *http.Request, body string) awsCall {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return awsCall{target[strings.LastIndexByte(target, '.')+1:], "json"}
	}
	form, err := url.ParseQuery(body)
	if err != nil || !form.Has("Action") {
		form = r.URL.Query()
	}
	switch {
	case !form.Has("Action"):
		return awsCall{r.Method + " " + r.URL.Path, "rest-json"}
	case form.Get("Version") == "2016-11-15":
		return awsCall{form.Get("Action"), "ec2"}
	default:
		return awsCall{form.Get("Action"), "query"}
	}
}

// fail answers with an AWS error in the protocol's envelope.
func (c awsCall) fail(w http.ResponseWriter, status int, code Fault, message string) {
	const id = "00000000-0000-4000-8000-000000000000"
	sender := "Sender"
	if status >= http.StatusInternalServerError {
		sender = "Receiver"
	}
	var body string
	h := w.Header()
	h.Set("X-Amzn-Requestid", id)
	switch c.protocol {
	case "ec2":
		h.Set("Content-Type", "text/xml;charset=UTF-8")
		body = fmt.Sprintf("%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
			xml.Header, code, message, id)
	case "query":
		h.Set("Content-Type", "text/xml")
		body = fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>%s</Type>
    <Code>%s</Code>
    <Message>%s</Message>
  </Error>
  <RequestId>%s</RequestId>
</ErrorResponse>
`, sender, code, message, id)
	case "json":
		h.Set("Content-Type", "application/x-amz-json-1.1")
		body = fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message)
	default:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", string(code))
		body = fmt.Sprintf(`{"message":%q}`, message)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
