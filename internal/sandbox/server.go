package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/belay-dev/belay/internal/arn"
)

// Config is how a sandbox is made. The zero value is one that is empty but for its first account, and forgets all at its
// end.
type Config struct {
	// StateFile is where the state is kept; "" keeps it in memory only.
	StateFile string
	// Forward is the address of a server that does what the sandbox only authorizes: S3, Lambda, ECS, ECR, EKS and
	// CloudFormation. "" refuses those services.
	Forward string
	// Base is the address of the sandbox, such as http://127.0.0.1:7991: its own issuers live there. "" is for one without
	// issuers.
	Base string
	// Roots are the authorities that issuers of web identity tokens are trusted by; nil means those of the system. An
	// issuer that none of them vouches for can still be trusted by a provider's thumbprint.
	Roots *x509.CertPool
	// Log takes what the sandbox does; nil discards it. Each decision is logged at level Info.
	Log *slog.Logger
	// Now is the real time, time.Now by default. The sandbox's own clock runs beside it, see Settings.ClockOffset.
	Now func() time.Time
}

// Server is a running sandbox. It is an http.Handler.
type Server struct {
	config Config
	log    *slog.Logger
	sealer *sealer

	writing  sync.Mutex // held by who changes the state
	current  atomic.Pointer[state]
	past     atomic.Pointer[[]*state] // the states before the current one that still count, oldest first
	lastUsed sync.Map                 // key id → keyUse
	ofAmazon sync.Map                 // ARN of a policy of AWS → document

	limits     sync.Mutex
	limiters   map[string]*rate.Limiter // by account
	operations map[string]map[string]operation
	forward    *forwarder
	metadata   *metadataTokens
}

// New makes a sandbox, from its file when there is one.
func New(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, log: c.Log, limiters: map[string]*rate.Limiter{}, metadata: &metadataTokens{}}
	var err error
	if s.forward, err = newForwarder(c.Forward); err != nil {
		return nil, err
	}
	st, err := s.load()
	if err != nil {
		return nil, err
	}
	if s.sealer, err = newSealer(st.Seal); err != nil {
		return nil, fmt.Errorf("make the sandbox's keys: %w", err)
	}
	st.decided, st.since = newDecisions(), c.Now().Add(st.Settings.ClockOffset.std())
	s.current.Store(st)
	s.past.Store(new([]*state))
	s.operations = map[string]map[string]operation{
		"sts": stsOperations(), "iam": iamOperations(), "ec2": ec2Operations(), "organizations": organizationsOperations(),
	}
	if len(st.Accounts) == 0 {
		return s, s.first()
	}
	return s, nil
}

// blank is a state with nothing in it but its key.
func blank() *state {
	seal := make([]byte, 32)
	_, _ = rand.Read(seal) // crypto/rand never fails
	return &state{
		Seal: seal, Accounts: map[string]*account{}, Organizations: map[string]*organization{},
		Instances: map[string]*instance{}, Issuers: map[string]*issuer{},
	}
}

// now is the sandbox's time.
func (s *Server) now() time.Time {
	return s.config.Now().Add(s.current.Load().Settings.ClockOffset.std()).UTC()
}

// change makes a new state from the current one. When do fails nothing has happened. With a state file the change is on
// disk before this returns.
func (s *Server) change(do func(*draft) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	old := s.current.Load()
	d := &draft{state: old.clone(), own: map[any]bool{}}
	if err := do(d); err != nil {
		return err
	}
	next := d.state
	next.decided = newDecisions()
	next.since = s.config.Now().Add(next.Settings.ClockOffset.std()).UTC()
	if next.since.Before(old.since) { // the clock was set back: all that was counts
		next.since = next.since.Add(-next.Settings.Propagation.std())
		s.past.Store(new([]*state))
	}
	if err := s.save(next); err != nil {
		return err
	}
	s.remember(old, next)
	s.current.Store(next)
	return nil
}

// remember keeps the states that still count somewhere within the propagation delay.
func (s *Server) remember(old, next *state) {
	delay := next.Settings.Propagation.std()
	if delay <= 0 {
		s.past.Store(new([]*state))
		return
	}
	all := append((*s.past.Load())[:len(*s.past.Load()):len(*s.past.Load())], old)
	// The newest state that is older than the delay is the one that counts; those before it do not any more.
	first := 0
	for i, st := range all {
		if !st.since.After(next.since.Add(-delay)) {
			first = i
		}
	}
	const most = 1000 // a client that changes faster than this sees its changes count a little early
	all = all[max(first, len(all)-most):]
	s.past.Store(&all)
}

// effective is the state that decisions are made by: the current one, or with a propagation delay one of the past.
func (s *Server) effective(now time.Time) *state {
	st := s.current.Load()
	delay := st.Settings.Propagation.std()
	if delay <= 0 || !st.since.After(now.Add(-delay)) {
		return st
	}
	past := *s.past.Load()
	for _, old := range slices.Backward(past) {
		st = old // the oldest that is known, in the end
		if !old.since.After(now.Add(-delay)) {
			break
		}
	}
	return st
}

// operation is one call of a service.
type operation struct {
	// resource names what the call is about; nil means that the call is about nothing in particular.
	resource func(*call) string
	// context adds the condition keys that only this call has.
	context func(*call, map[string][]string)
	// free calls need no permission; anonymous ones no signature either. They decide for themselves.
	free, anonymous bool
	// run does it. Its nodes are the result of a query call; a JSON call gives body.
	run  func(*call) ([]node, error)
	json func(*call) (any, error)
}

// call is one request on its way.
type call struct {
	s   *Server
	r   *http.Request
	w   http.ResponseWriter
	now time.Time

	protocol  protocol
	service   string
	operation string
	region    string
	partition string
	params    params
	body      []byte
	requestID string
	sig       signature
	caller    *caller
	outcome   int // status that was sent
}

// ctx is the request's context.
func (c *call) ctx() context.Context { return c.r.Context() }

// state is the newest one. What was just written can be read, even while it does not count yet.
func (c *call) state() *state { return c.s.current.Load() }

// account is the caller's account in the newest state.
func (c *call) account() *account { return c.state().Accounts[c.caller.account] }

// changeAccount changes the caller's account.
func (c *call) changeAccount(do func(*account) error) error {
	return c.s.change(func(d *draft) error { return do(d.account(c.caller.account)) })
}

// maxBody is the most that a request may carry.
const maxBody = 1 << 20

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Belay-Sandbox", "true")
	now := s.now()
	h.Set("Date", now.Format(http.TimeFormat)) // SDKs correct their clock by it
	switch {
	case strings.HasPrefix(r.URL.Path, "/_belay/"):
		s.control(w, r)
	case strings.HasPrefix(r.URL.Path, "/latest/"), strings.HasPrefix(r.URL.Path, "/metadata/"):
		s.serveMetadata(w, r)
	case strings.HasPrefix(r.URL.Path, "/oidc/"):
		s.serveIssuer(w, r)
	default:
		c := &call{s: s, r: r, w: w, now: now, requestID: requestID()}
		h.Set("x-amzn-RequestId", c.requestID)
		c.serve() //nolint:contextcheck // the call has its request's
	}
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	x := hex.EncodeToString(b[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// serve reads, authenticates and runs a call, and logs what came of it.
func (c *call) serve() {
	err := c.handle()
	if err != nil {
		f := asFailure(err)
		if f.sort == internal {
			c.s.log.ErrorContext(c.ctx(), "call of the sandbox failed", slog.Any("error", err))
		}
		c.refuse(f)
		c.note(f)
		return
	}
	c.note(nil)
}

func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{sort: internal}
}

// note logs a call.
func (c *call) note(f *failure) {
	attrs := []slog.Attr{slog.String("service", c.service), slog.String("operation", c.operation), slog.Int("status", c.outcome)}
	if c.caller != nil {
		attrs = append(attrs, slog.String("caller", c.caller.arn))
	}
	if f != nil {
		a := f.answer(c.protocol)
		attrs = append(attrs, slog.String("code", a.code), slog.String("message", a.message))
	}
	c.s.log.LogAttrs(c.ctx(), slog.LevelInfo, "sandbox call", attrs...)
}

// handle does everything up to the answer. Its error is the refusal.
func (c *call) handle() error {
	sig, err := parseSignature(c.r)
	c.sig, c.service, c.region = sig, sig.Service, sig.Region
	most := c.s.forward.bodyLimit(c.service)
	body, tooLong := readBody(c.r, most)
	c.body = body
	c.protocol = protocolOf(c.service, c.r)
	if tooLong {
		return fail(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request body is over %d bytes.", most)
	}
	unsignedCall := errors.Is(err, errUnsigned)
	if err := c.read(); err != nil {
		return err
	}
	if unsignedCall {
		return c.handleUnsigned()
	}
	if err != nil {
		return &failure{sort: incomplete, message: err.Error()}
	}
	p, known := arn.PartitionOf(c.region)
	if !known {
		return &failure{sort: badSignature, message: "Credential should be scoped to a valid Region, not '" + clip(c.region) + "'. "}
	}
	c.partition = p.ID
	if err := c.authenticate(); err != nil {
		return err
	}
	if !c.s.allowRate(c.caller.account, c.now) {
		return &failure{sort: throttled}
	}
	return c.run()
}

// read finds out what is asked for.
func (c *call) read() error {
	switch c.protocol {
	case query, ec2Query:
		raw := c.r.URL.RawQuery
		if len(c.body) > 0 {
			raw = string(c.body)
		}
		p, err := parseParams(raw)
		if err != nil {
			return fail(http.StatusBadRequest, "MalformedQueryString", "The query string contains a syntax error.")
		}
		c.params, c.operation = p, p.text("Action")
		if c.service == "" { // unsigned: the version tells STS from IAM
			c.service = serviceOfVersion(p.text("Version"))
			if c.service == "ec2" {
				c.protocol = ec2Query
			}
		}
	case jsonRPC:
		_, c.operation, _ = strings.Cut(c.r.Header.Get("X-Amz-Target"), ".")
	case restJSON, restXML: // the path says it, see forward.go
	}
	return nil
}

func serviceOfVersion(version string) string {
	switch version {
	case "2010-05-08":
		return "iam"
	case "2016-11-15":
		return "ec2"
	}
	return "sts"
}

// protocolOf is how the service speaks; of one that is not known, what the request looks like.
func protocolOf(service string, r *http.Request) protocol {
	switch service {
	case "ec2":
		return ec2Query
	case "sts", "iam", "cloudformation":
		return query
	case "organizations", "ecs", "ecr":
		return jsonRPC
	case "lambda", "eks":
		return restJSON
	case "s3":
		return restXML
	}
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return jsonRPC
	case service == "", strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return query
	}
	return restJSON
}

// handleUnsigned runs the calls that need no signature.
func (c *call) handleUnsigned() error {
	op, ok := c.s.operations[c.service][c.operation]
	if !ok || !op.anonymous {
		return &failure{sort: unsigned}
	}
	c.partition, c.region = "aws", arn.DefaultRegion
	if !c.s.allowRate("anonymous", c.now) {
		return &failure{sort: throttled}
	}
	result, err := op.run(c)
	if err != nil {
		return err
	}
	c.reply(result)
	return nil
}

// run authorizes and does the call.
func (c *call) run() error {
	table, here := c.s.operations[c.service]
	if !here {
		return c.s.forward.serve(c)
	}
	op, ok := table[c.operation]
	if !ok {
		return c.unknownOperation()
	}
	if !op.free {
		if err := c.authorize(op); err != nil {
			return err
		}
	}
	if op.json != nil {
		body, err := op.json(c)
		if err != nil {
			return err
		}
		c.replyJSON(body)
		return nil
	}
	result, err := op.run(c)
	if err != nil {
		return err
	}
	c.reply(result)
	return nil
}

// unknownOperation is what the service says to a call that it does not have. That the sandbox lacks it is said too,
// since AWS may well have it.
func (c *call) unknownOperation() error {
	const lacking = " (the sandbox serves only a part of this service)"
	switch c.protocol {
	case ec2Query:
		return fail(http.StatusBadRequest, "InvalidAction", "The action %s is not valid for this web service."+lacking, clip(c.operation))
	case query:
		return fail(http.StatusBadRequest, "InvalidAction", "Could not find operation %s for version %s"+lacking, clip(c.operation), clip(c.params.text("Version")))
	default:
		return fail(http.StatusBadRequest, "UnknownOperationException", "%s is not known"+lacking, clip(c.operation))
	}
}

// allowRate takes a request of an account from its bucket.
func (s *Server) allowRate(account string, now time.Time) bool {
	set := s.current.Load().Settings
	if set.Rate <= 0 {
		return true
	}
	s.limits.Lock()
	defer s.limits.Unlock()
	l := s.limiters[account]
	if l == nil || l.Limit() != rate.Limit(set.Rate) || l.Burst() != max(set.Burst, 1) {
		l = rate.NewLimiter(rate.Limit(set.Rate), max(set.Burst, 1))
		s.limiters[account] = l
	}
	return l.AllowN(now, 1)
}
