package awsops

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
)

// MaxAge is the longest that a session is kept. A changed role or policy can need that long to take effect, and Belay
// does not make it longer.
const MaxAge = 5 * time.Minute

// maxSessions bounds the cache when Sessions.Most does not.
const maxSessions = 1024

// Sessions turns a connector's Access into an aws.Config and keeps the sessions that come of it. The zero value works:
// it uses the environment and the clock of the process. It may be used from many goroutines; it must not be copied after
// its first use.
type Sessions struct {
	// Env looks a variable of the environment up, "" when it is absent; nil means os.Getenv.
	Env func(name string) string
	// Now is the clock that the age of sessions is measured with; nil means time.Now.
	Now func() time.Time
	// Log gets the SDK's warnings, at level debug; nil means nothing is logged.
	Log *slog.Logger
	// Proxy chooses the proxy of a request to AWS; nil means http.ProxyFromEnvironment. Instance metadata and container
	// endpoints of the machine itself are never asked through a proxy.
	Proxy func(*http.Request) (*url.URL, error)
	// Random gives numbers in [0, 1) for the jitter; nil means math/rand.
	Random func() float64
	// MaxAge is how long credentials are used before they are fetched again; 0, and anything longer than the constant
	// MaxAge, mean the constant.
	MaxAge time.Duration
	// Most is how many sessions are kept at once, the longest unused one gives way; 0 means 1024.
	Most int

	mu       sync.Mutex
	sessions map[string]*session
	web      client
}

// session is what is kept for one connector.
type session struct {
	revision int64
	access   *resolved
	config   aws.Config
	used     time.Time
}

// Config gives the configuration with which every AWS client of a connector is made. It makes no call: credentials are
// fetched when they are first used, and again when they are MaxAge old or expire.
//
// A kept session of the same key, revision and content is used again, unless fresh asks for a new one, which then takes
// its place. An Access without a key is never kept.
//
// The error, if any, is of step connector.StepPrepare: the Access cannot work (unknown Region, role of another
// partition, empty key). FailureOf gives its facts.
func (s *Sessions) Config(access connector.Access, fresh bool) (aws.Config, error) {
	if err := prepare(access); err != nil {
		return aws.Config{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	kept := s.sessions[access.Key]
	switch {
	case access.Key == "":
		made, err := s.session(access)
		return made.config, err
	case kept != nil && access.Revision < kept.revision:
		// A task that was resolved before the connector changed must not throw the newer session out.
		made, err := s.session(access)
		return made.config, err
	case kept != nil && access.Revision == kept.revision && !fresh && kept.access.renew(access):
		kept.used = now
		return kept.config, nil
	}
	made, err := s.session(access)
	if err != nil {
		return aws.Config{}, err
	}
	made.used = now
	if s.sessions == nil {
		s.sessions = map[string]*session{}
	}
	s.sessions[access.Key] = &made
	s.shrinkLocked()
	return made.config, nil
}

// Forget drops the session of a connector, so that its next use fetches credentials anew.
func (s *Sessions) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, key)
}

// shrinkLocked drops the longest unused sessions beyond the bound. A look at each is cheap: there are few.
func (s *Sessions) shrinkLocked() {
	most := s.Most
	if most <= 0 {
		most = maxSessions
	}
	for len(s.sessions) > most {
		oldest := ""
		for key, one := range s.sessions {
			if oldest == "" || one.used.Before(s.sessions[oldest].used) {
				oldest = key
			}
		}
		delete(s.sessions, oldest)
	}
}

// session makes a new one: the configuration, and in it the credentials that are fetched on first use.
func (s *Sessions) session(access connector.Access) (session, error) {
	web, err := s.httpClient()
	if err != nil {
		return session{}, err
	}
	kept := newResolved(access)
	base := s.base(access, web)
	first := s.keep(&source{Sessions: s, access: kept, base: base, web: web})
	cfg := base.Copy()
	cfg.Credentials = first
	if access.CrossAccount != nil {
		cfg.Credentials = s.keep(crossAccount{
			client: sts.NewFromConfig(cfg), role: *access.CrossAccount, name: sessionName(access.Name), first: first, partition: partitionOf(access),
		})
	}
	return session{revision: access.Revision, access: kept, config: cfg}, nil
}

// base is the configuration without credentials. All clients share it, those inside the providers too.
func (s *Sessions) base(access connector.Access, web *web) aws.Config {
	found := endpoints{env: s.env}
	return aws.Config{
		Region:         access.Region,
		HTTPClient:     web.shared,
		Retryer:        func() aws.Retryer { return s.retryer(access.Backoff) },
		ConfigSources:  []any{found},
		ServiceOptions: []func(string, any){found.apply},
		APIOptions:     []func(*middleware.Stack) error{observe},
		Logger:         s.sdkLog(),
	}
}

func (s *Sessions) retryer(strategy backoff.Strategy) retryer {
	if strategy == nil {
		strategy = backoff.Default{}
	}
	random := s.Random
	if random == nil {
		random = rand.Float64
	}
	return retryer{strategy: strategy, random: random, fromZero: s.env("AWS_NEW_RETRIES_2026") == "true"}
}

func (s *Sessions) env(name string) string {
	if s.Env == nil {
		return os.Getenv(name) //nolint:forbidigo // the credentials of a delegate are in its environment
	}
	return s.Env(name)
}

func (s *Sessions) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Sessions) maxAge() time.Duration {
	if s.MaxAge <= 0 || s.MaxAge > MaxAge {
		return MaxAge
	}
	return s.MaxAge
}

// resolved is the Access behind a session. A token that was minted for one use is replaced by that of the next, so that
// a later fetch does not use an expired one.
type resolved struct {
	mu  sync.Mutex
	now connector.Access
}

func newResolved(access connector.Access) *resolved { return &resolved{now: access} }

func (r *resolved) access() connector.Access {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// renew reports whether the session may go on for access, and takes over its newer token.
func (r *resolved) renew(access connector.Access) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !sameAccess(r.now, access) {
		return false
	}
	r.now = access
	return true
}

// sameAccess compares all that a session was made from. A secret can change without the connector's revision, so the
// content decides, not the revision alone.
func sameAccess(a, b connector.Access) bool {
	if a.Name != b.Name || a.Region != b.Region || a.Backoff != b.Backoff || (a.CrossAccount == nil) != (b.CrossAccount == nil) {
		return false
	}
	if a.CrossAccount != nil && *a.CrossAccount != *b.CrossAccount {
		return false
	}
	switch one := a.Source.(type) {
	case connector.StaticKeys:
		other, ok := b.Source.(connector.StaticKeys)
		return ok && one.AccessKey == other.AccessKey && one.SecretKey.Equal(other.SecretKey) && one.SessionToken.Equal(other.SessionToken)
	case connector.DelegateRole:
		_, ok := b.Source.(connector.DelegateRole)
		return ok
	case connector.WebIdentityFile:
		_, ok := b.Source.(connector.WebIdentityFile)
		return ok
	case connector.WebIdentityToken:
		other, ok := b.Source.(connector.WebIdentityToken)
		return ok && one.RoleARN == other.RoleARN && one.Says == other.Says
	}
	return false
}

// kept is a provider that keeps what another provider gave, until it expires or is MaxAge old. One caller fetches, the
// others wait for it, each as long as its own context lasts.
type kept struct {
	from   aws.CredentialsProvider
	now    func() time.Time
	maxAge time.Duration

	turn  chan struct{} // holds one token: whoever has it may look at and change the rest
	creds aws.Credentials
	until time.Time
}

// early is how long before their expiry credentials are no longer used, so that none expires on its way.
const early = 30 * time.Second

func (s *Sessions) keep(from aws.CredentialsProvider) *kept {
	return &kept{from: from, now: s.now, maxAge: s.maxAge(), turn: make(chan struct{}, 1)}
}

// Retrieve gives the credentials that are kept, or fetches new ones.
func (k *kept) Retrieve(ctx context.Context) (aws.Credentials, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return aws.Credentials{}, &stepError{step: connector.StepCredentials, err: contextError(ctx)}
	}
	if k.now().Before(k.until) {
		return k.creds, nil
	}
	creds, err := k.from.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	now := k.now()
	k.until = now.Add(k.maxAge)
	if end := creds.Expires.Add(-early); creds.CanExpire && end.Before(k.until) {
		k.until = end
	}
	// Whoever wraps these credentials in a cache of its own must not keep them longer than this.
	creds.CanExpire, creds.Expires = true, k.until
	k.creds = creds
	return creds, nil
}

// good reports whether the next Retrieve gives what is kept. Somebody who fetches meanwhile makes it false.
func (k *kept) good() bool {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
		return k.now().Before(k.until)
	default:
		return false
	}
}

// sources are the links of the delegate's chain that were looked at for these credentials.
func (k *kept) sources() []connector.SourceTried {
	switch from := k.from.(type) {
	case *source:
		return from.sources()
	case crossAccount:
		return from.first.sources()
	}
	return nil
}
