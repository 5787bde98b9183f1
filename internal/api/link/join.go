package link

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// Bounds of what a delegate says of itself.
const (
	maxName        = 128
	maxHostName    = 253
	maxDescription = 1024
	maxTags        = 100
	maxKinds       = 200
	maxBusy        = 200
	maxRunning     = 10_000
)

// register makes a delegate known and gives it its id.
func (s *Server) register(r *http.Request, who caller) (any, error) {
	select {
	case s.joining <- struct{}{}:
		defer func() { <-s.joining }()
	default:
		return nil, errJoins
	}
	said, err := registration(r, who)
	if err != nil {
		return nil, err
	}
	d, err := describe(r, who, said)
	if err != nil {
		return nil, err
	}
	d, err = s.Delegates.Register(r.Context(), d)
	if err != nil {
		return nil, notNow(err, "the delegate cannot be registered now")
	}
	if string(d.ID) != said.DelegateID && d.RegisteredAt.Before(d.LastSeen) {
		// It came back without its id, so it knows nothing of what it held.
		if err := s.Queue.DelegateGone(r.Context(), d.ID); err != nil {
			return nil, notNow(err, "the delegate cannot be registered now")
		}
	}
	if who.over() {
		return nil, s.tooLate(who)
	}
	s.Log.InfoContext(r.Context(), "delegate registered", slog.String("delegate", string(d.ID)), slog.String("name", d.Name),
		slog.String("host", d.HostName), slog.String("version", d.Version.String()), slog.String("token", who.token.Name))
	return registered(d.ID), nil
}

func registered(id delegate.ID) protocol.Registered {
	return protocol.Registered{Resource: protocol.RegisteredResource{
		DelegateID: string(id), HeartbeatEvery: delegate.HeartbeatEvery.Milliseconds(), Version: delegate.Current().String(),
	}}
}

// heartbeat notes that a delegate lives and prolongs the leases of what it works on. It is the registration again, so a
// delegate that is not known any more is adopted under its id.
func (s *Server) heartbeat(r *http.Request, who caller) (any, error) {
	said, err := registration(r, who)
	if err != nil {
		return nil, err
	}
	id := delegate.ID(said.DelegateID)
	if id == "" {
		return nil, fault.New(fault.Invalid, "delegateId is required; register first")
	}
	before, err := s.own(who, id)
	if fault.KindOf(err) == fault.NotFound {
		before, err = s.adopt(r, who, said)
	}
	if err != nil {
		return nil, err
	}
	now, err := s.Delegates.Seen(who.account, id, &delegate.Report{
		Tags: cleanAll(said.Tags, maxTags), Draining: said.Draining, Busy: clean(said.Busy, maxBusy), Load: load(said.Load),
	})
	if err != nil {
		return nil, err
	}
	if who.over() {
		return nil, s.tooLate(who)
	}
	if (before.Busy != "" || before.Draining) && now.Busy == "" && !now.Draining {
		s.Bell.Ring(task.DelegateTopic(id)) // its parked poll looks at what it may take again
	}
	// Presence is noted already: a database that is slow here does not make the delegate look dead.
	if err := s.renew(r, id, said); err != nil && r.Context().Err() == nil {
		s.Log.WarnContext(r.Context(), "leases not renewed", slog.String("delegate", string(id)), slog.Any("error", err))
	}
	return registered(id), nil
}

// renew prolongs leases: those of the tasks that the delegate names; none when it says that it is idle; all that it holds
// when it says neither, which existing clients do, and then not with each heartbeat, since each is a write.
func (s *Server) renew(r *http.Request, id delegate.ID, said protocol.Registration) error {
	switch {
	case len(said.RunningTasks) > maxRunning:
		return fault.New(fault.Invalid, "%d running tasks are too many", len(said.RunningTasks))
	case len(said.RunningTasks) > 0:
		ids := make([]task.ID, len(said.RunningTasks))
		for i, one := range said.RunningTasks {
			ids[i] = task.ID(one)
		}
		return s.Queue.Renew(r.Context(), id, ids)
	case said.Idle || !s.visits.renewDue(id):
		return nil
	}
	return s.Queue.Renew(r.Context(), id, nil)
}

func (s *Server) adopt(r *http.Request, who caller, said protocol.Registration) (delegate.Delegate, error) {
	d, err := describe(r, who, said)
	if err != nil {
		return delegate.Delegate{}, err
	}
	d.ID = delegate.ID(said.DelegateID)
	d, err = s.Delegates.Adopt(r.Context(), d)
	switch {
	case err == nil:
		s.Log.InfoContext(r.Context(), "delegate adopted by its heartbeat", slog.String("delegate", string(d.ID)), slog.String("name", d.Name))
		return d, nil
	case fault.KindOf(err) == fault.Invalid:
		return delegate.Delegate{}, fault.New(fault.NotFound, "%s", fault.Sentence(err)) // 404 makes clients register again
	}
	return delegate.Delegate{}, notNow(err, "the delegate cannot be registered now")
}

// own is a delegate of the caller's token, by its id.
func (s *Server) own(who caller, id delegate.ID) (delegate.Delegate, error) {
	d, err := s.Delegates.Delegate(who.account, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return d, fault.New(fault.NotFound, "delegate %s is not registered; register again", clean(string(id), 100))
	case err == nil && d.TokenID != who.token.ID:
		return d, fault.New(fault.Denied, "delegate %s was registered with another token; register again", d.ID)
	}
	return d, err
}

// tooLate cuts off again what was noted while the token was being revoked.
func (s *Server) tooLate(who caller) error {
	s.Delegates.CutOff(who.token.ID)
	return errRevoked(who.token)
}

// unregister forgets a delegate that has drained. What it still held is offered again or fails at once. Saying good-bye
// twice is fine.
func (s *Server) unregister(r *http.Request, who caller) (any, error) {
	d, err := s.own(who, delegate.ID(r.PathValue("delegate")))
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil //nolint:nilnil // 204
	}
	if err != nil {
		return nil, err
	}
	s.visits.forget(d.ID)
	err = errors.Join(s.Delegates.Forget(r.Context(), d.ID), s.Queue.DelegateGone(r.Context(), d.ID))
	if err != nil {
		return nil, notNow(err, "the delegate cannot be removed now")
	}
	s.Log.InfoContext(r.Context(), "delegate said good-bye", slog.String("delegate", string(d.ID)), slog.String("name", d.Name))
	return nil, nil //nolint:nilnil // 204
}

// capacity takes how many builds a delegate can do. Belay bounds tasks on the delegate itself, so there is nothing to keep.
func (s *Server) capacity(r *http.Request, who caller) (any, error) {
	if _, err := s.own(who, delegate.ID(r.PathValue("delegate"))); err != nil {
		return nil, err
	}
	var said struct {
		Builds int `json:"maximumNumberOfBuilds"`
	}
	return nil, read(r, &said)
}

// accountStatus answers start scripts that check the way to the manager (PRECHECK_CONN). It is the one call without a
// proof of identity.
func (s *Server) accountStatus(r *http.Request) (any, error) {
	account := r.PathValue("account")
	all, err := s.Accounts.Accounts(r.Context())
	if err != nil {
		return nil, notNow(err, "the account cannot be looked up now")
	}
	if !slices.ContainsFunc(all, func(a org.Account) bool { return a.ID == account }) {
		return nil, unauthorized("account %q is not found", clean(account, 100))
	}
	return map[string]string{"resource": "ACTIVE"}, nil
}

// registration reads what a delegate says of itself. The secret that existing clients send along is dropped at once: the
// proof of identity has shown it already.
func registration(r *http.Request, who caller) (protocol.Registration, error) {
	var said protocol.Registration
	err := read(r, &said)
	said.DelegateRandomToken = ""
	if err == nil && said.AccountID != "" && said.AccountID != who.account {
		err = fault.New(fault.Invalid, "accountId of the body is not that of the query")
	}
	return said, err
}

// describe makes a delegate of what it says of itself, within bounds.
func describe(r *http.Request, who caller, said protocol.Registration) (delegate.Delegate, error) {
	d := delegate.Delegate{
		ID: delegate.ID(said.DelegateID), Scope: who.token.Scope, TokenID: who.token.ID,
		Name: clean(said.DelegateName, maxName), HostName: clean(said.HostName, maxHostName), IP: address(r, said.IP),
		Type: clean(said.DelegateType, maxName), Description: clean(said.Description, maxDescription),
		Tags: cleanAll(said.Tags, maxTags), Kinds: cleanAll(said.SupportedTaskTypes, maxKinds),
		Draining: said.Draining, Busy: clean(said.Busy, maxBusy), Load: load(said.Load),
	}
	if d.Name == "" {
		d.Name = d.HostName
	}
	if d.Name == "" {
		return d, fault.New(fault.Invalid, "delegateName is required")
	}
	if v, err := delegate.ParseVersion(said.Version); err == nil {
		d.Version = v
	}
	return d, nil
}

// load is what a delegate says of its work, within bounds.
func load(said *protocol.Load) *delegate.Load {
	if said == nil {
		return nil
	}
	percent := func(n *int) int {
		if n == nil {
			return -1
		}
		return min(max(*n, 0), 100)
	}
	return &delegate.Load{
		CPU: percent(said.CPU), Memory: percent(said.Memory), Tasks: min(max(said.Tasks, 0), maxRunning), Limit: min(max(said.Limit, 0), maxRunning),
	}
}

// address is the delegate's own word for its IP address when it is one, else the address that it calls from.
func address(r *http.Request, said string) string {
	if ip, err := netip.ParseAddr(said); err == nil {
		return ip.String()
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// cleanAll cleans a list; nil stays nil.
func cleanAll(list []string, most int) []string {
	var out []string
	for i, one := range list {
		if i == most {
			break
		}
		if one = clean(one, maxName); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// notNow makes an outage of an error that is nobody's fault.
func notNow(err error, sentence string) error {
	if fault.KindOf(err) != "" {
		return err
	}
	return fault.Because(fault.Unavailable, err, "%s", sentence)
}
