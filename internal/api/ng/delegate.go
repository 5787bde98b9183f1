package ng

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

// tokenName is the token that a call is about: clients name it in the path, or as tokenName in the query.
func tokenName(c api.Call) (string, error) {
	name := c.Path("name")
	if name == "" {
		name = c.Query("tokenName")
	}
	if p := scope.CheckName(name); p != "" {
		return "", fault.Problems{{Path: "tokenName", Message: p}}
	}
	return name, nil
}

// createToken makes a token. An end that has passed already is accepted: expiry comes later, see delegate.Tokens.Expire.
func (s *Server) createToken(ctx context.Context, c api.Call) (rest, error) {
	name, err := tokenName(c)
	if err != nil {
		return rest{}, err
	}
	var end time.Time
	if text := c.Query("revokeAfter"); text != "" {
		millis, err := strconv.ParseInt(text, 10, 64)
		if last := int64(253402300799999); err != nil || millis < 0 || millis > last {
			return rest{}, fault.Problems{{Path: "revokeAfter", Message: fmt.Sprintf("%.40q is not a time in milliseconds since 1970", text)}}
		}
		end = nextgen.Time(millis)
	}
	t, value, err := s.Tokens.Create(ctx, c.Who, c.At, name, end)
	if err != nil {
		return rest{}, err
	}
	return rest{nextgen.FromToken(t).WithValue(value.Reveal())}, nil //nolint:forbidigo // shown to the one who made it
}

// listTokens lists tokens. A token that is asked for by name is given whatever its status is, with its value where the
// caller may see it: clients index the first element unguarded, and must see that a token was revoked.
func (s *Server) listTokens(ctx context.Context, c api.Call) (rest, error) {
	name := c.Path("name")
	if name == "" {
		name = c.Query("name")
	}
	if name == "" {
		name = c.Query("tokenName")
	}
	if name != "" {
		if p := scope.CheckName(name); p != "" { // a refusal would be kept with the name, however long
			return rest{}, fault.Problems{{Path: "name", Message: p}}
		}
		t, err := s.Tokens.Token(ctx, c.Who, c.At, name)
		if err != nil {
			return rest{}, err
		}
		one, err := s.revealed(ctx, c, t)
		return rest{[]nextgen.DelegateToken{one}}, err
	}
	list, err := s.Tokens.Tokens(ctx, c.Who, c.At)
	if err != nil {
		return rest{}, err
	}
	out := []nextgen.DelegateToken{}
	for _, t := range list {
		if one := nextgen.FromToken(t); c.Query("status") == "" || one.Status == c.Query("status") {
			out = append(out, one)
		}
	}
	return rest{out}, nil
}

// revealed is a token with its value, for those who may see it.
func (s *Server) revealed(ctx context.Context, c api.Call, t delegate.Token) (nextgen.DelegateToken, error) {
	out := nextgen.FromToken(t)
	if !c.Who.RoleAt(t.Scope).Includes(audit.Admin) {
		return out, nil
	}
	value, err := s.Tokens.Reveal(ctx, c.Who, t) //nolint:forbidigo // authorized and audited there
	if err != nil {
		return out, err
	}
	return out.WithValue(value.Reveal()), nil //nolint:forbidigo // as above
}

func (s *Server) revokeToken(ctx context.Context, c api.Call) (rest, error) {
	name, err := tokenName(c)
	if err != nil {
		return rest{}, err
	}
	t, err := s.Tokens.Revoke(ctx, c.Who, c.At, name)
	return rest{nextgen.FromToken(t)}, err
}

func (s *Server) deleteToken(ctx context.Context, c api.Call) (rest, error) {
	name, err := tokenName(c)
	if err != nil {
		return rest{}, err
	}
	return rest{true}, s.Tokens.Delete(ctx, c.Who, c.At, name)
}

// The words of a filter on delegates.
const (
	connected    = "CONNECTED"
	disconnected = "DISCONNECTED"
	enabled      = "ENABLED"
	available    = "AVAILABLE"
	expired      = "EXPIRED"
	active       = "ACTIVE"
	expiring     = "EXPIRING"
	unsupported  = "UNSUPPORTED"
	expiresSoon  = 30 * 24 * time.Hour
)

// listDelegates lists the delegates that the scope can use and those inside it, replicas under their name.
func (s *Server) listDelegates(ctx context.Context, c api.Call, f nextgen.DelegateFilter) (rest, error) {
	if err := checkDelegateFilter(f); err != nil {
		return rest{}, err
	}
	list, err := s.Delegates.List(ctx, c.Who, c.At)
	if err != nil {
		return rest{}, err
	}
	now := s.Now()
	list = slices.DeleteFunc(list, func(d delegate.Delegate) bool { return !matches(f, d) })
	groups := nextgen.FromDelegates(list, now)
	out := []nextgen.DelegateGroup{}
	for _, g := range groups {
		g.DelegateReplicas = slices.DeleteFunc(g.DelegateReplicas, func(r nextgen.DelegateReplica) bool { return !matchesReplica(f, r, now) })
		if len(g.DelegateReplicas) > 0 && (f.AutoUpgrade == "" || f.AutoUpgrade == g.AutoUpgrade) {
			out = append(out, g)
		}
	}
	return rest{out}, nil
}

// delegatesOfToken lists the delegates that registered with a token, or with any of the scope when none is named. Only the
// call is public, its answer is not: the names are those of the other lists.
func (s *Server) delegatesOfToken(ctx context.Context, c api.Call) (rest, error) {
	name := c.Query("delegateTokenName")
	var token delegate.Token
	if name != "" {
		if p := scope.CheckName(name); p != "" {
			return rest{}, fault.Problems{{Path: "delegateTokenName", Message: p}}
		}
		var err error
		if token, err = s.Tokens.Token(ctx, c.Who, c.At, name); err != nil {
			return rest{}, err
		}
	}
	list, err := s.Delegates.List(ctx, c.Who, c.At)
	if err != nil {
		return rest{}, err
	}
	list = slices.DeleteFunc(list, func(d delegate.Delegate) bool { return name != "" && d.TokenID != token.ID })
	out := nextgen.DelegateGroupListing{Groups: []nextgen.DelegateGroupDetails{}}
	for _, g := range nextgen.FromDelegates(list, s.Now()) {
		out.Groups = append(out.Groups, nextgen.FromGroup(g))
	}
	return rest{out}, nil
}

// matches asks what is known of a delegate as a whole.
func matches(f nextgen.DelegateFilter, d delegate.Delegate) bool {
	for _, name := range []string{f.DelegateName, f.DelegateGroupIdentifier} {
		if name != "" && !strings.EqualFold(name, d.Name) {
			return false
		}
	}
	if f.DelegateType != "" && !strings.EqualFold(f.DelegateType, d.Type) || f.HostName != "" && !strings.Contains(d.HostName, f.HostName) {
		return false
	}
	for _, tag := range f.DelegateTags {
		if !d.HasTag(tag) {
			return false
		}
	}
	return true
}

// matchesReplica asks what may differ between the replicas of a delegate.
func matchesReplica(f nextgen.DelegateFilter, r nextgen.DelegateReplica, now time.Time) bool {
	end := nextgen.Time(r.ExpiringAt)
	over := !end.IsZero() && !now.Before(end)
	soon := !end.IsZero() && !over && end.Sub(now) < expiresSoon
	switch f.Status {
	case "", enabled:
	case connected:
		if !r.Connected {
			return false
		}
	case disconnected:
		if r.Connected {
			return false
		}
	default:
		return false // disabled, waiting for approval, deleted: Belay has none
	}
	switch f.DelegateInstanceFilter {
	case available:
		if over {
			return false
		}
	case expired:
		if !over {
			return false
		}
	}
	switch f.VersionStatus {
	case active:
		return !over && !soon
	case expiring:
		return soon
	case expired, unsupported:
		return over
	}
	return true
}

// checkDelegateFilter refuses words that no delegate could match, which would look like an empty list.
func checkDelegateFilter(f nextgen.DelegateFilter) error {
	var problems fault.Problems
	for _, one := range []struct {
		field, word string
		known       []string
	}{
		{"status", f.Status, []string{connected, disconnected, enabled, "DISABLED", "WAITING_FOR_APPROVAL", "DELETED"}},
		{"delegateInstanceFilter", f.DelegateInstanceFilter, []string{available, expired}},
		{"autoUpgrade", f.AutoUpgrade, []string{"ON", "OFF", "DETECTING", "SYNCHRONIZING"}},
		{"versionStatus", f.VersionStatus, []string{active, expired, expiring, unsupported}},
	} {
		if one.word != "" && !slices.Contains(one.known, one.word) {
			problems.Add(one.field, fmt.Sprintf("%.40q is not known; use %s", one.word, strings.Join(one.known, ", ")))
		}
	}
	return problems.Err()
}

func (*Server) latestVersion(context.Context, api.Call) (rest, error) {
	v := delegate.Current().String()
	return rest{nextgen.LatestVersion{LatestSupportedVersion: v, LatestSupportedMinimalVersion: v + ".minimal"}}, nil
}
