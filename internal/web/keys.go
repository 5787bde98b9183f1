package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
)

// keyRow is an API key in a list.
type keyRow struct {
	ID, Name, By        string
	Roles               []grantRow
	Elsewhere           string // how many roles it has where the caller may not see them
	Mark                mark
	Made, Used, Expires ago
	Ends                bool // it expires
	Mine                bool // of this session
	Revoke              string
	Audit               string // address of what was done with it; "" when the caller may not see that
}

type keysPage struct {
	v     *visit
	All   bool // also those that are revoked or have expired
	Rows  []keyRow
	Pages pages
}

func (s *Server) keyList(ctx context.Context, v *visit) (reply, error) {
	p := keysPage{v: v, All: v.query.Get("show") == "all"}
	number := v.pageNumber()
	f := identity.Filter{Scope: v.at, GoodAt: v.now, Offset: (number - 1) * pageSize, Limit: pageSize}
	show := ""
	if p.All {
		f.GoodAt, show = time.Time{}, "all"
	}
	list, total, err := s.Keys.KeysIn(ctx, v.who, f)
	if err != nil {
		return reply{}, err
	}
	for _, k := range list {
		p.Rows = append(p.Rows, keyRowOf(v, k))
	}
	p.Pages = pagesOf(number, len(list), total, "key", "keys", func(page string) string {
		return v.url("/ui/settings/keys", "show", show, "page", page)
	})
	return reply{title: "API keys", here: "Settings", body: keysView(p)}, nil
}

func keyRowOf(v *visit, k identity.Key) keyRow {
	r := keyRow{
		ID: k.ID, Name: k.Name, By: k.CreatedBy, Made: since(v.now, k.CreatedAt), Used: since(v.now, k.LastUsedAt), Mine: k.ID == v.who.ID,
		Mark: mark{"ok", "Active"},
	}
	if v.may(audit.AuditRead, v.at) {
		r.Audit = v.url("/ui/audit", "who", k.ID)
	}
	if k.Elsewhere > 0 {
		r.Elsewhere = count(k.Elsewhere, "role", "roles") + " elsewhere"
	}
	may := len(k.Grants) > 0 && k.Elsewhere == 0
	for _, g := range k.Grants {
		r.Roles = append(r.Roles, grantRow{roleName(g.Role), placeName(g.Scope)})
		may = may && v.may(audit.KeyRevoke, g.Scope)
	}
	switch {
	case !k.RevokedAt.IsZero():
		r.Mark, r.Expires, r.Ends = mark{"idle", "Revoked"}, since(v.now, k.RevokedAt), true
	case !k.ExpiresAt.IsZero():
		r.Expires, r.Ends = since(v.now, k.ExpiresAt), true
		if !k.Good(v.now) {
			r.Mark = mark{"idle", "Expired"}
		}
	}
	if k.RevokedAt.IsZero() && (may || v.may(audit.KeyRevoke, v.account())) {
		r.Revoke = v.url("/ui/settings/keys/" + k.ID + "/revoke")
	}
	return r
}

// keyForm is an API key that is being made.
type keyForm struct {
	sheet
	v      *visit
	Places []pair
	More   int // scopes that the list leaves out
}

const endless = "never"

func expiries() []pair {
	return []pair{{"30", "In 30 days"}, {"90", "In 90 days"}, {"365", "In a year"}, {endless, "Never"}}
}

func roleChoices() []pair {
	return []pair{
		{string(audit.Viewer), "Viewer: reads"},
		{string(audit.Editor), "Editor: reads, changes, tests"},
		{string(audit.Admin), "Administrator: keys, tokens, flags, organizations and the audit log, too"},
	}
}

// placesFor are the scopes in which the caller may make keys, as far as a list can hold them. The scope of the page is one.
func (s *Server) placesFor(ctx context.Context, v *visit) (places []pair, more int, err error) {
	add := func(at scope.Scope) {
		value := homeOf(at)
		if v.may(audit.KeyCreate, at) && !slices.ContainsFunc(places, func(p pair) bool { return p.Value == value }) {
			places = append(places, pair{value, placeName(at)})
		}
	}
	if !v.may(audit.KeyCreate, v.account()) {
		for _, g := range v.who.Grants {
			add(g.Scope)
		}
		add(v.at)
		return places, 0, nil
	}
	add(v.account())
	add(v.at)
	const most = 100
	orgs, all, err := s.Organizations.Organizations(ctx, v.who, org.Filter{Limit: most})
	if err != nil {
		return nil, 0, err
	}
	projects, inner, err := s.Organizations.Projects(ctx, v.who, org.Filter{Limit: most})
	if err != nil {
		return nil, 0, err
	}
	for _, o := range orgs {
		add(scope.Scope{Account: o.Account, Org: o.ID})
	}
	for _, p := range projects {
		add(scope.Scope{Account: p.Account, Org: p.Org, Project: p.ID})
	}
	return places, all - len(orgs) + inner - len(projects), nil
}

func (s *Server) keyFormReply(ctx context.Context, v *visit, f sheet, status int) (reply, error) {
	places, more, err := s.placesFor(ctx, v)
	if err != nil {
		return reply{}, err
	}
	return reply{title: "New API key", here: "Settings", status: status, body: newKeyView(keyForm{f, v, places, more})}, nil
}

func (s *Server) newKey(ctx context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.KeyCreate, v.at), "make API keys", v.at); err != nil {
		return reply{}, err
	}
	return s.keyFormReply(ctx, v, sheet{Values: map[string]string{"role": string(audit.Viewer), "scope": homeOf(v.at), "expires": "90"}}, 0)
}

// createKey makes a key and shows its token, this once.
func (s *Server) createKey(ctx context.Context, v *visit) (reply, error) {
	f, err := sheetOf(v.r, "name", "role", "scope", "expires")
	if err != nil {
		return reply{}, err
	}
	at := scope.Scope{Account: v.who.Account}
	at.Org, at.Project, _ = strings.Cut(f.Value("scope"), "/")
	if err := denied(v.may(audit.KeyCreate, at), "make API keys", at); err != nil { // before looking whether the scope is there
		return reply{}, err
	}
	if p := scope.CheckName(f.Value("name")); p != "" {
		f.wrong("name", sentence(p))
	}
	role, err := audit.ParseRole(f.Value("role"))
	if err != nil {
		f.wrong("role", "Choose viewer, editor or administrator.")
	}
	if err := s.Organizations.Exists(ctx, at); fault.KindOf(err) == fault.Invalid {
		f.wrong("scope", sentence(fault.Sentence(err)))
	} else if err != nil {
		return reply{}, err
	}
	var expires time.Time
	if f.Value("expires") != endless {
		days, err := strconv.Atoi(f.Value("expires"))
		if err != nil || days < 1 || days > 3650 {
			f.wrong("expires", "Choose when the key ends.")
		}
		expires = v.now.UTC().AddDate(0, 0, days)
	}
	if len(f.Summary) > 0 {
		return s.keyFormReply(ctx, v, f, http.StatusBadRequest)
	}
	k, token, err := s.Keys.Create(ctx, v.who, f.Value("name"), []audit.Grant{{Scope: at, Role: role}}, expires)
	if err != nil {
		status, err := f.refused(err, "name")
		if err != nil {
			return reply{}, err
		}
		return s.keyFormReply(ctx, v, f, status)
	}
	text := token.Reveal() //nolint:forbidigo // shown once, to the one who made it
	return reply{title: "API key " + k.Name, here: "Settings", body: madeKeyView(v, keyRowOf(v, k), text)}, nil
}

// keyOf finds a key that is to be revoked.
func (s *Server) keyOf(ctx context.Context, v *visit) (identity.Key, error) {
	k, err := s.Keys.Key(ctx, v.who, v.r.PathValue("id"))
	if err == nil && !k.RevokedAt.IsZero() {
		return k, fault.New(fault.Conflict, "the API key %q is revoked already", k.Name)
	}
	return k, err
}

func (s *Server) confirmKey(ctx context.Context, v *visit) (reply, error) {
	k, err := s.keyOf(ctx, v)
	if err != nil {
		return reply{}, err
	}
	return reply{title: "Revoke API key " + k.Name, here: "Settings", body: revokeKeyView(v, keyRowOf(v, k))}, nil
}

func (s *Server) revokeKey(ctx context.Context, v *visit) (reply, error) {
	if err := s.Keys.Revoke(ctx, v.who, v.r.PathValue("id")); err != nil {
		return reply{}, err
	}
	return reply{to: v.url("/ui/settings/keys")}, nil // the sign-in page, when the session was the key's
}
