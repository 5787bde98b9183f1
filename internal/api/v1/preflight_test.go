package v1_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/belay-dev/belay/internal/api/v1"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
)

// surveyed is the outcome of a survey that found these policies.
func (w world) surveyed(p *connector.Permissions) preflight.Outcome {
	return preflight.Outcome{
		StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now().Add(time.Second), Delegate: "eks-1", DelegateID: "dlg_1",
		Evidence: &connector.Evidence{
			Region: "eu-central-1", Permissions: p,
			Identity: &connector.Identity{ARN: "arn:aws:sts::123456789012:assumed-role/deploy/x", Account: "123456789012", UserID: "AROA:x"},
		},
	}
}

const preflightAt = "?orgIdentifier=org1&projectIdentifier=prj1"

func TestPreflight(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{Org: "org1", Project: "prj1"}, "c1")
	var asked []preflight.Request
	found := &connector.Permissions{
		Principal: "arn:aws:sts::123456789012:assumed-role/deploy/x", Role: "arn:aws:iam::123456789012:role/deploy",
		Identity: []connector.PolicyText{
			{Name: "p", Via: "inline", Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","s3:*"],"Resource":"*"},{"Sid":"NoDelete","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}`},
		},
		Unread: []connector.Unread{{What: connector.PartSCP, Action: "organizations:DescribeOrganization", Code: "AccessDeniedException"}},
	}
	w.Survey = func(r preflight.Request) preflight.Outcome {
		asked = append(asked, r)
		return w.surveyed(found)
	}
	w.Golden("preflight-denied", w.Do(w.Editor, http.MethodPost, "/belay/v1/connectors/c1/preflight"+preflightAt,
		`{"capabilities":["connection","s3-objects"],"narrowing":{"buckets":["b"]},"fresh":true}`))
	w.Clock.Move(time.Minute)
	found.Identity = nil
	found.Unread = []connector.Unread{{What: connector.PartIdentity, Action: "iam:ListRolePolicies", Code: "AccessDenied"}}
	w.Golden("preflight-unknown", w.Must(http.MethodPost, "/belay/v1/connectors/c1/preflight"+preflightAt, `{"capabilities":["connection"]}`))
	w.Clock.Move(time.Minute)
	w.Survey = func(preflight.Request) preflight.Outcome {
		return preflight.Outcome{
			StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(),
			NotRun: &connector.NotRun{Cause: connector.NoDelegate, Message: "No delegate has the tag eks.", Reasons: []string{"d1 (h1): lacks eks"}},
		}
	}
	w.Golden("preflight-not-run", w.Must(http.MethodPost, "/belay/v1/connectors/c1/preflight"+preflightAt, `{"capabilities":["connection"]}`))
	w.Golden("preflights", w.Do(w.Viewer, http.MethodGet, "/belay/v1/connectors/c1/preflights"+preflightAt+"&limit=2", ""))
	if n := len(read[v1.List[v1.Preflight]](t, w.Must(http.MethodGet, "/belay/v1/connectors/c1/preflights"+preflightAt, "")).Items); n != 3 {
		t.Errorf("%d preflights", n)
	}
	if len(asked) != 2 || !asked[0].Options.Fresh || asked[0].By != "editor" || asked[0].Connector.ID != "c1" {
		t.Errorf("%+v", asked)
	}
	entries := read[v1.List[v1.Entry]](t, w.Must(http.MethodGet, "/belay/v1/audit?action=connector.preflight&outcome=allowed", "")).Items
	if len(entries) != 3 || entries[2].Target != "connector/c1" {
		t.Errorf("%+v", entries)
	}
}

// TestPreflightOfAll: a request without a body asks about the whole catalogue.
func TestPreflightOfAll(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{Org: "org1", Project: "prj1"}, "all")
	w.Survey = func(preflight.Request) preflight.Outcome {
		return w.surveyed(&connector.Permissions{
			Principal: "arn:aws:iam::123456789012:user/ci",
			Identity:  []connector.PolicyText{{Name: "p", Via: "inline", Document: `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}},
		})
	}
	got := read[v1.Preflight](t, w.Must(http.MethodPost, "/belay/v1/connectors/all/preflight"+preflightAt, ""))
	for _, c := range got.Capabilities {
		if c.Answer != "allowed" {
			t.Errorf("%+v", c)
		}
	}
	if got.Answer != "allowed" || len(got.Asked) != 0 || len(got.Capabilities) < 20 || got.Fix != nil {
		t.Errorf("%s, %d capabilities, %+v", got.Answer, len(got.Capabilities), got.Fix)
	}
}

// TestPreflightRefused: who may not use a connector may not ask what it may do, and nothing is begun for a bad request.
func TestPreflightRefused(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{Org: "org1", Project: "prj1"}, "c1")
	w.Survey = func(r preflight.Request) preflight.Outcome {
		t.Errorf("begun: %+v", r)
		return preflight.Outcome{}
	}
	const post, path = http.MethodPost, "/belay/v1/connectors/c1/preflight" + preflightAt
	for name, tt := range map[string]struct {
		key, method, path, body string
		status                  int
		want                    []string
	}{
		"a viewer":          {w.Viewer, post, path, "", http.StatusForbidden, nil},
		"another account":   {w.Stranger, post, path, "", http.StatusNotFound, nil},
		"another scope":     {w.Project, post, "/belay/v1/connectors/c1/preflight", "", http.StatusForbidden, nil},
		"no such connector": {w.Editor, post, "/belay/v1/connectors/none/preflight" + preflightAt, "", http.StatusNotFound, []string{"none"}},
		"a list of none":    {w.Editor, http.MethodGet, "/belay/v1/connectors/none/preflights" + preflightAt, "", http.StatusNotFound, []string{"none"}},
		"all that is wrong": {
			w.Editor, post, path, `{"capabilities":["s3-raed","nothing"],"narrowing":{"buckets":["B_"],"account":"12"}}`, http.StatusBadRequest,
			[]string{"s3-raed", "nothing", `B_`, "12"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Do(tt.key, tt.method, tt.path, tt.body)
			problem(t, a)
			if a.Status != tt.status {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			for _, word := range tt.want {
				if !strings.Contains(a.Body, word) {
					t.Errorf("it does not say %s: %s", word, a.Body)
				}
			}
		})
	}
	a := w.Do(w.Editor, post, path, `{"capabilities":["s3-raed"],"narrowing":{"account":"12"}}`)
	w.Golden("preflight-problems", a)
	if diff := cmp.Diff(http.StatusBadRequest, a.Status); diff != "" {
		t.Error(diff)
	}
}
