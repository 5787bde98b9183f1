package e2e_test

import (
	"bytes"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

// TestFaultsThroughManagerAndDelegate has faults that only a whole Belay can have, and two that cross all of it.
func TestFaultsThroughManagerAndDelegate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	regions := "inline: {regions: " + statement("Allow", anyRegions, "*") + "}"
	w.seed(user(regions))
	m := startManager(t)
	at := "AWS_ENDPOINT_URL=" + w.url
	m.delegate("d1", at)
	m.secret("secret", belaySecret)
	manual := func(more map[string]any) map[string]any {
		spec := map[string]any{"accessKey": belayKey, "secretKeyRef": "account.secret"}
		maps.Copy(spec, more)
		return map[string]any{"type": "ManualConfig", "spec": spec}
	}
	fails := func(id, code, names string) tested {
		t.Helper()
		got := m.test(id, nil)
		if got.Diagnosis == nil || got.Diagnosis.Code != code || !strings.Contains(got.Diagnosis.Cause, names) {
			t.Fatalf("want %s, which names %q, got %s", code, names, got)
		}
		return got
	}
	told := func(got tested, part string) {
		t.Helper()
		if !strings.Contains(strings.Join(got.Diagnosis.Remedy, "\n"), part) {
			t.Fatalf("no remedy says %q: %s", part, got)
		}
	}

	m.connector("tagged", manual(nil), map[string]any{"delegateSelectors": []string{"frankfurt"}})
	told(fails("tagged", connector.NoEligibleDelegate, "No delegate has the tag frankfurt"), "DELEGATE_TAGS=frankfurt")
	m.delegate("d2", at, "DELEGATE_TAGS=frankfurt")
	green(t, m.test("tagged", nil))

	m.connector("unsecret", manual(map[string]any{"secretKeyRef": "account.lost"}), nil)
	told(fails("unsecret", connector.SecretUnavailable, "lost"), "Create the secret")
	m.secret("lost", belaySecret)
	green(t, m.test("unsecret", nil))

	// A session: first the flag is off, then the only delegate with the tag is too old.
	w.seed(sessionScene(statement("Allow", anyRegions, "*")))
	w.session()
	temporary, _ := w.connector.Credential.(connector.ManualConfig)
	m.secret("temporary", w.secrets["account.secret"])
	m.secret("token", w.secrets["account.token"])
	m.must(http.MethodPut, "/belay/v1/flags/CDS_AWS_SESSION_TOKEN_SUPPORT", map[string]any{"on": true}, nil)
	m.connector("session", manual(map[string]any{"accessKey": temporary.AccessKey, "secretKeyRef": "account.temporary", "sessionTokenRef": "account.token"}), map[string]any{"delegateSelectors": []string{"old"}})
	m.must(http.MethodPut, "/belay/v1/flags/CDS_AWS_SESSION_TOKEN_SUPPORT", map[string]any{"on": false}, nil)
	told(fails("session", connector.FeatureOff, "CDS_AWS_SESSION_TOKEN_SUPPORT"), "`belay flag set NAME on`")
	m.must(http.MethodPut, "/belay/v1/flags/CDS_AWS_SESSION_TOKEN_SUPPORT", map[string]any{"on": true}, nil)
	old := m.delegate("old", at, "DELEGATE_TAGS=old", "MANAGER_HOST_AND_PORT="+aged(t, m.url))
	told(fails("session", connector.NoEligibleDelegate, "older than 24.09.84100, which a session token needs"), "update it")
	old.stop(waitForEnd)
	m.connected("old", 0)
	m.delegate("old", at, "DELEGATE_TAGS=old")
	green(t, m.test("session", nil))

	// What the delegate reads of policies and tokens comes through.
	w.seed(user("attach: ["+readsItself+"]", "inline: {regions: "+statement("Deny", anyRegions, "*")+", other: "+statement("Allow", anyRegions, "*")+"}"))
	m.connector("torn", manual(nil), map[string]any{"delegateSelectors": []string{"d1"}})
	denied := fails("torn", connector.PermissionMissing, "Statement 1 of the inline policy regions denies ec2:DescribeRegions")
	commands(w, &connector.Diagnosis{Remedy: denied.Diagnosis.Remedy})
	green(t, m.test("torn", nil))

	w.seed(clusterWith("PROVIDER", `{url: "http://{{issuer.cluster}}", clientIDs: [belay]}`))
	w.pod(sandbox.TokenRequest{})
	m.delegate("pod", at, "AWS_ROLE_ARN="+w.env["AWS_ROLE_ARN"], "AWS_WEB_IDENTITY_TOKEN_FILE="+w.env["AWS_WEB_IDENTITY_TOKEN_FILE"])
	m.connector("irsa", map[string]any{"type": "Irsa"}, map[string]any{"delegateSelectors": []string{"pod"}})
	refused := fails("irsa", connector.WebIdentityRefused, "does not list the token's audience sts.amazonaws.com")
	if !slices.ContainsFunc(refused.Diagnosis.Evidence, func(e struct{ Label, Text string }) bool { return e.Label == "Token's subject" && e.Text == podSub }) {
		t.Errorf("the evidence lacks the subject: %s", refused)
	}
	commands(w, &connector.Diagnosis{Remedy: refused.Diagnosis.Remedy})
	green(t, m.test("irsa", nil))
}

// aged is the way to a manager on which a delegate passes for an old one.
func aged(t *testing.T, to string) string {
	t.Helper()
	upstream, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`"version":"[^"]*"`)
	forward := httputil.NewSingleHostReverseProxy(upstream)
	forward.ErrorLog = log.New(io.Discard, "", 0) // the delegate leaves in the middle of a poll
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/register") || strings.HasSuffix(r.URL.Path, "/heartbeat-with-polling") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			body = version.ReplaceAll(body, []byte(`"version":"24.03.82602"`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		forward.ServeHTTP(answer, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
