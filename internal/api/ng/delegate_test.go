package ng_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

func TestDelegateTokenAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	const token = "/ng/api/delegate-token-ng"
	c.Golden("token-created", c.Must(http.MethodPost, token+account+"&tokenName=tok1", ""))
	c.Golden("token-created-project", c.Must(http.MethodPost, token+project1+"&tokenName=tok1&revokeAfter=1765689600000", ""))
	c.Golden("token-duplicate", c.Do(w.Admin, http.MethodPost, token+account+"&tokenName=tok1", ""))
	c.Golden("token-by-name", c.Must(http.MethodGet, token+account+"&name=tok1", ""))
	c.Golden("tokens", c.Must(http.MethodGet, token+account, ""))
	w.Clock.Move(time.Minute)
	c.Golden("token-revoked", c.Must(http.MethodPut, token+account+"&tokenName=tok1", ""))
	c.Golden("token-revoked-by-name", c.Must(http.MethodGet, token+account+"&name=tok1&status=ACTIVE", ""))
	c.Golden("tokens-active", c.Must(http.MethodGet, token+account+"&status=ACTIVE", ""))
	c.Golden("token-deleted", c.Must(http.MethodDelete, token+account+"&tokenName=tok1", ""))
	c.Golden("token-gone", c.Do(w.Admin, http.MethodGet, token+account+"&name=tok1", ""))
}

func TestATokenIsUsableAsItIsGiven(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	made := resource[nextgen.DelegateToken](t, c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=t", ""))
	key, err := delegate.ParseToken(secret.NewValue(string(*made.Value)))
	if err != nil || len(key) != delegate.TokenBytes {
		t.Fatalf("%v", err)
	}
	hex, err := base64.StdEncoding.DecodeString(string(*made.Value))
	if err != nil || len(hex) != 2*delegate.TokenBytes {
		t.Errorf("%v", err)
	}
	for key, shown := range map[string]bool{w.Admin: true, w.Editor: false} {
		list := resource[[]nextgen.DelegateToken](t, c.Do(key, http.MethodGet, "/ng/api/delegate-token-ng"+account+"&name=t", ""))
		if len(list) != 1 || (list[0].Value != nil) != shown || shown && *list[0].Value != *made.Value {
			t.Errorf("shown %v: got %+v", shown, list)
		}
	}
	if a := c.Do(w.Viewer, http.MethodGet, "/ng/api/delegate-token-ng"+account+"&name=t", ""); a.Status != http.StatusForbidden {
		t.Errorf("a viewer gets %d", a.Status)
	}
}

// Clients index the first element unguarded after a revocation.
func TestARevokedTokenIsFoundByNameWhateverStatusIsAskedFor(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=t", "")
	c.Must(http.MethodPut, "/ng/api/delegate-token-ng"+account+"&tokenName=t", "")
	for _, query := range []string{"&name=t&status=ACTIVE", "&name=t&status=REVOKED", "&name=t"} {
		list := resource[[]nextgen.DelegateToken](t, c.Must(http.MethodGet, "/ng/api/delegate-token-ng"+account+query, ""))
		if len(list) != 1 || list[0].Status != nextgen.TokenRevoked {
			t.Errorf("%s: got %+v", query, list)
		}
	}
}

func TestATokenWhoseEndHasPassedIsActiveAtFirst(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	made := resource[nextgen.DelegateToken](t, c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=t&revokeAfter=1769689600000", ""))
	if made.Status != nextgen.TokenActive || made.RevokeAfter != 1_769_689_600_000 {
		t.Errorf("got %+v", made)
	}
	status := func() string {
		t.Helper()
		if err := w.Tokens.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		return resource[[]nextgen.DelegateToken](t, c.Must(http.MethodGet, "/ng/api/delegate-token-ng"+account+"&name=t", ""))[0].Status
	}
	if got := status(); got != nextgen.TokenActive {
		t.Errorf("at once: %s", got)
	}
	w.Clock.Move(time.Hour)
	if got := status(); got != nextgen.TokenRevoked {
		t.Errorf("an hour later: %s", got)
	}
}

func TestATokenMayBeNamedInThePath(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/delegate-token-ng/t"+account, "")
	if list := resource[[]nextgen.DelegateToken](t, c.Must(http.MethodGet, "/ng/api/delegate-token-ng/t"+account, "")); len(list) != 1 {
		t.Errorf("got %+v", list)
	}
	if a := c.Do(w.Admin, http.MethodDelete, "/ng/api/delegate-token-ng/t"+account, ""); a.Status != http.StatusBadRequest {
		t.Errorf("an active token: %d %s", a.Status, a.Body)
	}
	c.Must(http.MethodPut, "/ng/api/delegate-token-ng/t"+account, "")
	c.Must(http.MethodDelete, "/ng/api/delegate-token-ng/t"+account, "")
}

func TestDelegateLists(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	project := scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}
	w.Delegate(t, delegate.Delegate{Name: "old", HostName: "h0", Type: "DOCKER", Tags: []string{"old"}, Version: delegate.Version{Year: 26, Month: 1, Build: 80000}})
	w.Delegate(t, delegate.Delegate{Name: "soon", HostName: "h9", Type: "DOCKER", Version: delegate.Version{Year: 26, Month: 6, Build: 80000}})
	w.Clock.Move(2 * time.Minute) // they are silent now
	w.Delegate(t, delegate.Delegate{Name: "eks", HostName: "h2", Type: "KUBERNETES", Description: "two of them", Tags: []string{"eks", "frankfurt"}, Version: delegate.Current()})
	w.Delegate(t, delegate.Delegate{Name: "eks", HostName: "h1", Type: "KUBERNETES", Description: "two of them", Tags: []string{"eks", "spare"}, Version: delegate.Current()})
	w.Delegate(t, delegate.Delegate{Name: "eks", HostName: "h3", Type: "KUBERNETES", Scope: project, Version: delegate.Current()})
	const list = "/ng/api/delegate-setup/listDelegates"
	c.Golden("delegates", c.Must(http.MethodPost, list+account+"&all=false", `{"filterType":"Delegate"}`))
	c.Golden("delegates-none", c.Must(http.MethodPost, list+account, `{"delegateName":"none"}`))
	for name, tt := range map[string]struct {
		query, body, want string
	}{
		"without a body":              {account, "", "eks:h1,h2 eks:h3 old:h0 soon:h9"},
		"of a project and around it":  {project1, "", "eks:h1,h2 eks:h3 old:h0 soon:h9"},
		"of an organization":          {account + "&orgIdentifier=default", "{}", "eks:h1,h2 old:h0 soon:h9"},
		"connected":                   {account, `{"status":"CONNECTED"}`, "eks:h1,h2 eks:h3"},
		"disconnected":                {account, `{"status":"DISCONNECTED"}`, "old:h0 soon:h9"},
		"enabled":                     {account, `{"status":"ENABLED"}`, "eks:h1,h2 eks:h3 old:h0 soon:h9"},
		"deleted":                     {account, `{"status":"DELETED"}`, ""},
		"by name":                     {account, `{"delegateName":"OLD"}`, "old:h0"},
		"by group":                    {account, `{"delegateGroupIdentifier":"eks"}`, "eks:h1,h2 eks:h3"},
		"by one tag":                  {account, `{"delegateTags":["frankfurt"]}`, "eks:h2"},
		"by all tags":                 {account, `{"delegateTags":["eks","spare"]}`, "eks:h1"},
		"by its name as a tag":        {account, `{"delegateTags":["soon"]}`, "soon:h9"},
		"by host":                     {account, `{"hostName":"h1"}`, "eks:h1"},
		"by type":                     {account, `{"delegateType":"docker"}`, "old:h0 soon:h9"},
		"available":                   {account, `{"delegateInstanceFilter":"AVAILABLE"}`, "eks:h1,h2 eks:h3 soon:h9"},
		"expired":                     {account, `{"delegateInstanceFilter":"EXPIRED"}`, "old:h0"},
		"by version that is expired":  {account, `{"versionStatus":"EXPIRED"}`, "old:h0"},
		"by version that will expire": {account, `{"versionStatus":"EXPIRING"}`, "soon:h9"},
		"by version that is active":   {account, `{"versionStatus":"ACTIVE"}`, "eks:h1,h2 eks:h3"},
		"that upgrade themselves":     {account, `{"autoUpgrade":"ON"}`, ""},
		"all at once":                 {account, `{"status":"CONNECTED","delegateTags":["eks"],"hostName":"h1","delegateName":"eks","autoUpgrade":"OFF","versionStatus":"ACTIVE"}`, "eks:h1"},
		"with empty words":            {account, `{"status":"","delegateName":"","delegateTags":[],"hostName":""}`, "eks:h1,h2 eks:h3 old:h0 soon:h9"},
	} {
		t.Run(name, func(t *testing.T) {
			groups := resource[[]nextgen.DelegateGroup](t, c.Must(http.MethodPost, list+tt.query, tt.body))
			got := []string{}
			for _, g := range groups {
				var hosts []string
				for _, r := range g.DelegateReplicas {
					hosts = append(hosts, r.HostName)
				}
				got = append(got, g.Name+":"+strings.Join(hosts, ","))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %s", strings.Join(got, " "))
			}
		})
	}
	c.Golden("latest-version", c.Must(http.MethodGet, "/ng/api/delegate-setup/latest-supported-version"+account, ""))
}
