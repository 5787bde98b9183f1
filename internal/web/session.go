package web

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
)

// Sessions end after sessionFor whatever happens, and after idleFor without a request.
const (
	sessionFor   = 8 * time.Hour
	idleFor      = time.Hour
	mostSessions = 10_000 // the one that was used longest ago makes room
)

// sessions are kept in memory: a manager that starts anew asks people to sign in again. Neither the cookie nor the API
// key is kept: the cookie's hash finds the session, and the key is sealed with the cookie.
type sessions struct {
	mu   sync.Mutex
	now  func() time.Time
	list map[[32]byte]*session
}

type session struct {
	sealed []byte
	ends   time.Time
	used   time.Time
}

func derive(cookie, what string) []byte {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte(what))
	return mac.Sum(nil)
}

func sealer(cookie string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(derive(cookie, "seal"))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// begin makes a session for an API key and gives its cookie.
func (s *sessions) begin(key string) (string, error) {
	cookie := rand.Text() + rand.Text()
	seal, err := sealer(cookie)
	if err != nil {
		return "", err
	}
	// The sealing key belongs to this session alone and seals once, so the nonce may be constant.
	sealed := seal.Seal(nil, make([]byte, seal.NonceSize()), []byte(key), nil) //nolint:gosec // see above
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.list == nil {
		s.list = map[[32]byte]*session{}
	}
	if len(s.list) >= mostSessions {
		s.makeRoomLocked(now)
	}
	s.list[sha256.Sum256([]byte(cookie))] = &session{sealed: sealed, ends: now.Add(sessionFor), used: now}
	return cookie, nil
}

func (s *sessions) makeRoomLocked(now time.Time) {
	var oldest [32]byte
	var at time.Time
	for id, one := range s.list {
		if one.over(now) {
			delete(s.list, id)
			continue
		}
		if at.IsZero() || one.used.Before(at) {
			oldest, at = id, one.used
		}
	}
	if len(s.list) >= mostSessions {
		delete(s.list, oldest)
	}
}

func (s *session) over(now time.Time) bool {
	return !now.Before(s.ends) || now.Sub(s.used) >= idleFor
}

// key opens the API key of a session; false when there is no such session.
func (s *sessions) key(cookie string, use bool) (string, bool) {
	id := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	one, ok := s.list[id]
	if ok && one.over(s.now()) {
		delete(s.list, id)
		ok = false
	}
	if ok && use {
		one.used = s.now()
	}
	s.mu.Unlock()
	if !ok {
		return "", false
	}
	seal, err := sealer(cookie)
	if err != nil {
		return "", false
	}
	plain, err := seal.Open(nil, make([]byte, seal.NonceSize()), one.sealed, nil)
	return string(plain), err == nil
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, sha256.Sum256([]byte(cookie)))
}

// The cookies. Over TLS their names begin with __Host-, which no other host can set.
const (
	sessionCookie = "belay_session"
	formCookie    = "belay_form" // ties the sign-in form to its browser
	themeCookie   = "belay_theme"
)

func (s *Server) secure(r *http.Request) bool { return s.Secure || r.TLS != nil }

func (s *Server) cookieName(r *http.Request, name string) string {
	if s.secure(r) {
		return "__Host-" + name
	}
	return name
}

func (s *Server) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(r, name))
	if err != nil || len(c.Value) > 200 {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie for as long as the browser runs; an empty value removes it. It is SameSite=Lax, so that a link to a
// page in a chat or a mail opens it: no GET changes anything, and a POST has its form token.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	age := 0
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser comes over TLS; on loopback there is none
		Name: s.cookieName(r, name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteLaxMode,
	})
}

// caller finds who calls by the session's API key, so that a key that is revoked ends its sessions at once.
func (s *Server) caller(ctx context.Context, r *http.Request, use bool) (who audit.Caller, cookie string, err error) {
	cookie = s.cookie(r, sessionCookie)
	key, ok := s.sessions.key(cookie, use)
	if cookie == "" || !ok {
		return audit.Caller{}, "", identity.ErrUnauthenticated
	}
	who, err = s.Keys.Authenticate(ctx, key)
	return who, cookie, err
}

// formToken is what every form of a session carries.
func formToken(cookie string) string { return hex.EncodeToString(derive(cookie, "form")[:16]) }

// sameOrigin fails when another site's page may have sent the request. Browsers say where a request comes from in
// Sec-Fetch-Site; older ones in Origin.
func sameOrigin(r *http.Request) error {
	refused := fault.New(fault.Denied, "nothing says that Belay's own page sent this form; open the page and send it from there (programs use the API, with the key in x-api-key)")
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" {
		if from != "same-origin" {
			return refused
		}
		return nil
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || origin.Host == "" || !strings.EqualFold(origin.Host, r.Host) {
		return refused
	}
	return nil
}

func rightToken(r *http.Request, cookie string) error {
	if cookie == "" || !hmac.Equal([]byte(r.PostFormValue("token")), []byte(formToken(cookie))) {
		return fault.New(fault.Denied, "the form is not of this session; open the page again and send it anew")
	}
	return nil
}

// signInPage shows the form. Who is signed in goes on.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	next := after(r.URL.Query().Get("next"))
	if _, _, err := s.caller(r.Context(), r, true); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // after lets through our own pages only
		return
	}
	s.signInForm(w, r, http.StatusOK, next, "")
}

func (s *Server) signInForm(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	cookie := s.cookie(r, formCookie)
	if cookie == "" {
		cookie = rand.Text()
		s.setCookie(w, r, formCookie, cookie)
	}
	s.write(w, r, status, signInView(signInForm{
		Theme: themeOf(r), Token: formToken(cookie), Next: next, Problem: problem, Version: s.Version,
		Ended: problem == "" && s.cookie(r, sessionCookie) != "", // signing out takes the cookie away
	}))
}

// refusal says why a key is refused: that it was revoked or has expired to whoever has the whole of it, and to nobody else.
func refusal(standing identity.Standing) string {
	switch standing {
	case identity.Revoked:
		return "This key was revoked. Use another, or ask an administrator for one."
	case identity.Expired:
		return "This key has expired. Use another, or ask an administrator for one."
	case identity.Stranger, identity.Valid:
	}
	return "This key is not known here. Copy the whole of it, beginning with pat., or ask an administrator for one."
}

// signIn exchanges an API key for a session. Every refusal takes the same way, and so the same time.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	next := after(r.PostFormValue("next"))
	if err := sameOrigin(r); err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if err := rightToken(r, s.cookie(r, formCookie)); err != nil {
		s.signInForm(w, r, http.StatusForbidden, next, "The form had grown old. Sign in again.")
		return
	}
	key := strings.TrimSpace(r.PostFormValue("key"))
	who, err := s.Keys.Authenticate(r.Context(), key)
	switch {
	case fault.KindOf(err) == identity.ErrUnauthenticated:
		standing, err := s.Keys.Standing(r.Context(), key)
		if err != nil {
			s.refuse(w, r, nil, err)
			return
		}
		s.signInForm(w, r, http.StatusUnauthorized, next, refusal(standing))
		return
	case err != nil:
		s.refuse(w, r, nil, err)
		return
	}
	if len(who.Grants) == 0 {
		s.signInForm(w, r, http.StatusForbidden, next, "This key has no role anywhere. Ask an administrator for one that has.")
		return
	}
	cookie, err := s.sessions.begin(key)
	if err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if old := s.cookie(r, sessionCookie); old != "" {
		s.endSession(old)
	}
	s.setCookie(w, r, sessionCookie, cookie)
	s.setCookie(w, r, formCookie, "")
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // after lets through our own pages only
}

// signOut ends the session on the server too, so that a copy of the cookie is worth nothing.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	cookie := s.cookie(r, sessionCookie)
	if err := sameOrigin(r); err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if _, ok := s.sessions.key(cookie, false); ok {
		if err := rightToken(r, cookie); err != nil {
			s.refuse(w, r, nil, err)
			return
		}
	}
	s.endSession(cookie)
	s.setCookie(w, r, sessionCookie, "")
	http.Redirect(w, r, "/ui/signin", http.StatusSeeOther)
}

// endSession ends a session with all that was kept for it.
func (s *Server) endSession(cookie string) {
	s.sessions.end(cookie)
	s.drafts.end(cookie)
}

// after is where to go after signing in: a page of ours, whatever was asked for.
func after(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/ui/") || strings.Contains(next, "\\") || u.Path == "/ui/signin" {
		return "/ui/"
	}
	return next
}

func (s *Server) toSignIn(w http.ResponseWriter, r *http.Request) {
	to := "/ui/signin"
	if r.Method == http.MethodGet && r.URL.RequestURI() != "/ui/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	if r.Header.Get("HX-Request") != "" { // the whole page goes there, not the part that was asked for
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
