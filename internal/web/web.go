// Package web is the pages for people, under /ui: connectors, delegates, permissions, secrets, the audit log, settings and
// the documentation. They are made on the server, by templates that escape what they are given, and work without a script;
// htmx and a small script of our own make them answer while one types, and keep them fresh.
//
// # A request
//
//	is it /ui ─► who (session cookie) ─► how often ─► where (org, project) ─► a change? same origin and token ─► the page
//	    │ 404        │ to the sign-in page    │ 429         │ 400, 403               │ 403                          │
//	    ▼            ▼                        ▼             ▼                        ▼                              ▼
//	every answer is a page, with the same headers ◄───────────────────────────────────────── one call of a service, or few
//
// A session stands for an API key: it may what the key may, and ends with it. Services decide what a caller may do; a
// page leaves out what they would refuse. No page holds inline script or style, and every state of a page is an address;
// the answers to the wizard's questions are in a draft of the session, which the address names.
//
// Sign-in and documentation are for everybody. A page that is open hears of changes by a stream of events, see stream.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/infra"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

type keys interface {
	// Authenticate fails with identity.ErrUnauthenticated when the token is not good.
	Authenticate(ctx context.Context, token string) (audit.Caller, error)
	Standing(ctx context.Context, token string) (identity.Standing, error)
	KeysIn(ctx context.Context, who audit.Caller, f identity.Filter) ([]identity.Key, int, error)
	Key(ctx context.Context, who audit.Caller, id string) (identity.Key, error)
	Create(ctx context.Context, who audit.Caller, name string, grants []audit.Grant, expires time.Time) (identity.Key, secret.Value, error)
	Revoke(ctx context.Context, who audit.Caller, id string) error
}

type connectors interface {
	Connector(ctx context.Context, who audit.Caller, at scope.Scope, id string) (connector.Stored, error)
	Connectors(ctx context.Context, who audit.Caller, f connector.Filter) ([]connector.Stored, int, error)
	Tally(ctx context.Context, who audit.Caller, f connector.Filter) (map[connector.Status]int, error)
	Histories(ctx context.Context, who audit.Caller, of []connector.Connector, limit int) ([][]connector.Brief, error)
	// Finding is nil when the last test passed, or was not refused by policies.
	Finding(ctx context.Context, who audit.Caller, at scope.Scope, id string) (*connector.Finding, error)
	Test(ctx context.Context, who audit.Caller, at scope.Scope, id string, o connector.Options) (connector.Test, error)
	Tests(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]connector.Test, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string) error
	Create(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	// Selecting are the connectors that a delegate may work for, and whether there are more.
	Selecting(ctx context.Context, who audit.Caller, sel connector.Selection, limit int) ([]connector.Stored, bool, error)
	// Update fails with Conflict when the connector has another revision than the change was made from.
	Update(ctx context.Context, who audit.Caller, c connector.Connector) (connector.Stored, error)
	// Gate says which feature flag keeps a connector from being used.
	Gate(ctx context.Context, c connector.Connector) (*connector.NotRun, error)
	Summary(ctx context.Context, who audit.Caller, at scope.Scope) (connector.Summary, error)
	Needing(ctx context.Context, who audit.Caller, at scope.Scope, limit int) ([]connector.Stored, error)
	FailingCount(ctx context.Context, who audit.Caller, at scope.Scope) (int, error)
}

type preflights interface {
	Run(ctx context.Context, who audit.Caller, at scope.Scope, id string, o preflight.Options) (preflight.Preflight, error)
	Preflights(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]preflight.Preflight, error)
}

type definitions interface {
	// Users are the definitions that name a connector; whole says that all were looked at.
	Users(ctx context.Context, who audit.Caller, at scope.Scope, connector string) (list []infra.Definition, whole bool, err error)
}

type delegates interface {
	List(ctx context.Context, who audit.Caller, at scope.Scope) ([]delegate.Delegate, error)
	Find(ctx context.Context, who audit.Caller, at scope.Scope, id delegate.ID) (delegate.Delegate, error)
	// Explain judges the delegates for a piece of work, as far as the caller may see them.
	Explain(ctx context.Context, who audit.Caller, need delegate.Need) (delegate.Choice, error)
	// Fitting is how many may do a piece of work now.
	Fitting(ctx context.Context, who audit.Caller, need delegate.Need) (int, error)
}

type tokens interface {
	Tokens(ctx context.Context, who audit.Caller, at scope.Scope) ([]delegate.Token, error)
	Token(ctx context.Context, who audit.Caller, at scope.Scope, name string) (delegate.Token, error)
	Create(ctx context.Context, who audit.Caller, at scope.Scope, name string, revokeAfter time.Time) (delegate.Token, secret.Value, error)
	Reveal(ctx context.Context, who audit.Caller, t delegate.Token) (secret.Value, error)
	Revoke(ctx context.Context, who audit.Caller, at scope.Scope, name string) (delegate.Token, error)
}

type tasks interface {
	// OfDelegate and Waiting leave out what the caller may not see.
	OfDelegate(ctx context.Context, who audit.Caller, by delegate.ID, limit int) ([]task.Task, error)
	Waiting(ctx context.Context, who audit.Caller, at scope.Scope, limit int) ([]task.Task, error)
}

type organizations interface {
	// Exists fails with Invalid when the scope's organization or project is not there.
	Exists(ctx context.Context, at scope.Scope) error
	Organizations(ctx context.Context, who audit.Caller, f org.Filter) ([]org.Organization, int, error)
	Projects(ctx context.Context, who audit.Caller, f org.Filter) ([]org.Project, int, error)
	Organization(ctx context.Context, who audit.Caller, id string) (org.Organization, error)
	Project(ctx context.Context, who audit.Caller, org, id string) (org.Project, error)
	CreateOrganization(ctx context.Context, who audit.Caller, o org.Organization) (org.Organization, error)
	UpdateOrganization(ctx context.Context, who audit.Caller, o org.Organization) (org.Organization, error)
	DeleteOrganization(ctx context.Context, who audit.Caller, id string) error
	CreateProject(ctx context.Context, who audit.Caller, p org.Project) (org.Project, error)
	UpdateProject(ctx context.Context, who audit.Caller, p org.Project) (org.Project, error)
	DeleteProject(ctx context.Context, who audit.Caller, org, id string) error
	Contents(ctx context.Context, who audit.Caller, at scope.Scope) (org.Contents, error)
	Flags(ctx context.Context, who audit.Caller) ([]org.Flag, error)
	SetFlag(ctx context.Context, who audit.Caller, name string, on bool) error
}

type secrets interface {
	Secrets(ctx context.Context, who audit.Caller, f secret.Filter) ([]secret.Secret, int, error)
	// List is Secrets with the number of connectors that use each.
	List(ctx context.Context, who audit.Caller, f secret.Filter) ([]secret.Secret, []int, int, error)
	Secret(ctx context.Context, who audit.Caller, at scope.Scope, id string) (secret.Secret, error)
	Users(ctx context.Context, who audit.Caller, at scope.Scope, id string, limit int) ([]secret.User, int, error)
	Create(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Update(ctx context.Context, who audit.Caller, sec secret.Secret, value secret.Value) (secret.Secret, error)
	Delete(ctx context.Context, who audit.Caller, at scope.Scope, id string, force bool) error
}

type issuer interface {
	View(ctx context.Context, who audit.Caller) (oidc.View, error)
	Rotate(ctx context.Context, who audit.Caller, r oidc.Rotation) (oidc.View, error)
	// TrustPolicy fails with Invalid for a connector that does not use OIDC.
	TrustPolicy(ctx context.Context, who audit.Caller, at scope.Scope, id string) (oidc.Trust, error)
	// TrustFor is TrustPolicy for a connector that may not be saved. It fails with Invalid when the role's ARN is none.
	TrustFor(ctx context.Context, who audit.Caller, c connector.Connector) (oidc.Trust, error)
}

type trail interface {
	Entries(ctx context.Context, who audit.Caller, f audit.Filter) ([]audit.Entry, error)
}

// Server is the dependencies of the pages. Fill the fields, then call Handler once.
type Server struct {
	Keys          keys
	Limiter       *identity.Limiter // that of the APIs, so that a key has one rate limit; nil: none
	Connectors    connectors
	Preflights    preflights
	Definitions   definitions
	Ended         ended // what open pages hear of
	Delegates     delegates
	Tokens        tokens
	Tasks         tasks
	Organizations organizations
	Secrets       secrets
	Trail         trail
	Issuer        issuer
	About         About
	URL           func() string // of the manager, as delegates reach it
	Secure        bool          // browsers reach the manager over TLS only: cookies are sent over nothing else
	Version       string
	Log           *slog.Logger
	Now           func() time.Time

	sessions sessions
	drafts   drafts
	streams  streams
	feed     feed
}

// page answers one route of those who are signed in.
type page func(ctx context.Context, v *visit) (reply, error)

// Handler answers /, /ui and all below it.
func (s *Server) Handler() http.Handler {
	s.sessions.now, s.drafts.now = s.Now, s.Now
	s.streams.end = make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ui/static/{sum}/{name}", asset)
	mux.HandleFunc("GET /ui/signin", s.signInPage)
	mux.HandleFunc("POST /ui/signin", s.signIn)
	mux.HandleFunc("POST /ui/signout", s.signOut)
	mux.HandleFunc("GET /ui/docs", s.document)
	mux.HandleFunc("GET /ui/docs/{page...}", s.document)
	for pattern, do := range map[string]page{
		"GET /ui/{$}":            s.overview,
		"POST /ui/new/first":     s.makeFirst,
		"GET /ui/scope":          s.scopes,
		"GET /ui/audit":          s.auditLog,
		"GET /ui/audit/download": s.auditDownload,

		"GET /ui/secrets":              s.secretNames,
		"GET /ui/new/secret":           s.newSecret,
		"POST /ui/new/secret":          s.createSecret,
		"GET /ui/secrets/{id}":         s.showSecret,
		"POST /ui/secrets/{id}":        s.changeSecret,
		"GET /ui/secrets/{id}/delete":  s.confirmSecret,
		"POST /ui/secrets/{id}/delete": s.deleteSecret,

		"GET /ui/settings":                                                s.settings,
		"GET /ui/settings/organizations":                                  s.organizationList,
		"GET /ui/new/organization":                                        s.newOrganization,
		"POST /ui/new/organization":                                       s.createOrganization,
		"GET /ui/settings/organizations/{org}":                            s.organizationPage,
		"POST /ui/settings/organizations/{org}":                           s.updateOrganization,
		"GET /ui/settings/organizations/{org}/delete":                     s.confirmOrganization,
		"POST /ui/settings/organizations/{org}/delete":                    s.deleteOrganization,
		"GET /ui/new/project":                                             s.newProject,
		"POST /ui/new/project":                                            s.createProject,
		"GET /ui/settings/organizations/{org}/projects/{project}":         s.projectPage,
		"POST /ui/settings/organizations/{org}/projects/{project}":        s.updateProject,
		"GET /ui/settings/organizations/{org}/projects/{project}/delete":  s.confirmProject,
		"POST /ui/settings/organizations/{org}/projects/{project}/delete": s.deleteProject,
		"GET /ui/settings/keys":                                           s.keyList,
		"GET /ui/new/key":                                                 s.newKey,
		"POST /ui/new/key":                                                s.createKey,
		"GET /ui/settings/keys/{id}/revoke":                               s.confirmKey,
		"POST /ui/settings/keys/{id}/revoke":                              s.revokeKey,
		"GET /ui/settings/roles":                                          s.roles,
		"GET /ui/settings/flags":                                          s.flags,
		"GET /ui/settings/flags/{name}":                                   s.confirmFlag,
		"POST /ui/settings/flags/{name}":                                  s.setFlag,
		"GET /ui/settings/oidc":                                           s.issuerPage,
		"GET /ui/settings/oidc/rotate":                                    s.confirmRotation,
		"POST /ui/settings/oidc/rotate":                                   s.rotateKeys,
		"GET /ui/settings/about":                                          s.about,

		"GET /ui/connectors":                   s.connectorList,
		"GET /ui/connectors/{id}":              s.connectorHealth,
		"GET /ui/connectors/{id}/preflight":    s.connectorPreflight,
		"POST /ui/connectors/{id}/preflight":   s.runPreflight,
		"GET /ui/connectors/{id}/yaml":         s.connectorYAML,
		"GET /ui/connectors/{id}/settings":     s.connectorSettings,
		"GET /ui/connectors/{id}/used":         s.connectorUsers,
		"GET /ui/connectors/{id}/audit":        s.connectorAudit,
		"POST /ui/connectors/{id}/test":        s.runTest,
		"POST /ui/connectors/{id}/remedy":      s.applyRemedy,
		"GET /ui/connectors/{id}/delete":       s.confirmDelete,
		"POST /ui/connectors/{id}/delete":      s.deleteConnector,
		"GET /ui/connectors/{id}/delegates":    s.whoIsAsked,
		"GET /ui/new/connector":                s.wizardStep,
		"POST /ui/new/connector":               s.wizardAnswer,
		"GET /ui/new/connector/{step}":         s.wizardStep,
		"POST /ui/new/connector/{step}":        s.wizardAnswer,
		"GET /ui/connectors/{id}/edit":         s.wizardStep,
		"POST /ui/connectors/{id}/edit":        s.wizardAnswer,
		"GET /ui/connectors/{id}/edit/{step}":  s.wizardStep,
		"POST /ui/connectors/{id}/edit/{step}": s.wizardAnswer,

		"GET /ui/delegates":                       s.delegateList,
		"GET /ui/delegates/{id}":                  s.delegatePage,
		"GET /ui/delegates/install":               s.install,
		"POST /ui/delegates/install":              s.installWithToken,
		"GET /ui/delegates/install/file":          s.installFile,
		"POST /ui/delegates/install/file":         s.installFileWithToken,
		"GET /ui/delegates/tokens":                s.tokenList,
		"POST /ui/delegates/tokens":               s.createToken,
		"GET /ui/delegates/tokens/{name}/revoke":  s.confirmRevoke,
		"POST /ui/delegates/tokens/{name}/revoke": s.revokeToken,

		"GET /ui/permissions":                   s.capabilities,
		"GET /ui/permissions/capabilities/{id}": s.capability,
		"GET /ui/permissions/builder":           s.builder,
		"GET /ui/permissions/builder/file":      s.builtFile,
		"GET /ui/permissions/simulate":          s.simulateForm,
		"POST /ui/permissions/simulate":         s.simulate,
		"GET /ui/permissions/lint":              s.lintForm,
		"POST /ui/permissions/lint":             s.lintPolicy,
		"GET /ui/permissions/evidence":          s.evidence,
		"GET /ui/permissions/trust":             s.trust,
		"GET /ui/permissions/trust/file":        s.trustFile,
		"GET /ui/permissions/trust/explain":     s.trustQuestion,
		"POST /ui/permissions/trust/explain":    s.explainTrust,
	} {
		mux.HandleFunc(pattern, s.signedIn(do))
	}
	mux.HandleFunc("GET /ui/delegates/events", s.stream(lookEvery, s.delegateEvents))
	mux.HandleFunc("GET /ui/live/connectors", s.stream(feedEvery, s.connectorEvents))
	return s.guarded(mux)
}

// Stop ends the open streams, so that the manager can end.
func (s *Server) Stop() { s.streams.stop() }

const policyOfContent = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded puts the headers on every answer, answers what there is not, and survives a page that panics.
func (s *Server) guarded(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policyOfContent)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		defer func() {
			if cause := recover(); cause != nil {
				if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(cause)
				}
				s.Log.ErrorContext(r.Context(), "page panicked", slog.Any("panic", cause), slog.String("path_pattern", r.Pattern))
				s.refuse(w, r, nil, errPanic)
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		switch p := r.URL.Path; {
		case (p == "/" || p == "/ui") && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			http.Redirect(w, r, "/ui/", http.StatusSeeOther)
		case p == "/", path.Clean(p) != strings.TrimSuffix(p, "/"), p != "/ui/" && strings.HasSuffix(p, "/"):
			s.missing(w, r)
		default:
			probe := *r
			if _, pattern := mux.Handler(&probe); pattern == "" {
				s.missing(w, r)
				return
			}
			mux.ServeHTTP(w, r)
		}
	})
}

// maxForm is the longest form, in bytes: a policy to be linted fits, with room for how forms spell it.
const maxForm = 1 << 20

var errPanic = errors.New("a page panicked")

// signedIn calls a page for those who are signed in and sends all others to the sign-in page.
func (s *Server) signedIn(do page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		v, err := s.visit(r)
		switch {
		case errors.Is(err, identity.ErrUnauthenticated):
			s.toSignIn(w, r)
			return
		case err != nil:
			s.refuse(w, r, nil, err)
			return
		}
		answer, err := s.checked(ctx, v, do)
		if err != nil {
			s.refuse(w, r, v, err)
			return
		}
		if answer.file != nil {
			answer.file.send(w)
			return
		}
		if answer.at != "" && r.Header.Get("HX-Request") != "" {
			w.Header().Set("HX-Replace-Url", answer.at)
		}
		if answer.to != "" {
			http.Redirect(w, r, answer.to, http.StatusSeeOther)
			return
		}
		s.countFailing(ctx, v)
		s.write(w, r, max(answer.status, http.StatusOK), layout(v, answer.title, answer.here, answer.body))
	}
}

// unhurried refuses a key that calls too often.
func (s *Server) unhurried(v *visit) error {
	if s.Limiter == nil {
		return nil
	}
	if ok, wait := s.Limiter.Allow(v.who.ID, s.Now()); !ok {
		return fault.New(tooMany, "this key calls too often; try again in %s", wait.Round(time.Second)+time.Second)
	}
	return nil
}

func (s *Server) checked(ctx context.Context, v *visit, do page) (reply, error) {
	if err := s.unhurried(v); err != nil {
		return reply{}, err
	}
	if err := v.locate(ctx, s.Organizations); err != nil {
		return reply{}, err
	}
	if v.r.Method == http.MethodPost {
		if err := v.mayChange(); err != nil {
			return reply{}, err
		}
	}
	return do(ctx, v)
}
