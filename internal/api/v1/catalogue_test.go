package v1_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestCapabilities(t *testing.T) {
	t.Parallel()
	w := serve(t)
	got := read[struct {
		Items []struct {
			ID       string            `json:"id"`
			Policies []json.RawMessage `json:"policies"`
		} `json:"items"`
	}](t, w.Must(http.MethodGet, "/belay/v1/capabilities", ""))
	if len(got.Items) != 33 || got.Items[0].ID != "connection" || len(got.Items[0].Policies) != 1 {
		t.Errorf("%d capabilities, the first is %+v", len(got.Items), got.Items[0])
	}
	if a := w.Do("", http.MethodGet, "/belay/v1/capabilities", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", a.Status)
	}
}

func TestMakePolicies(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("policies", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies",
		`{"capabilities":["s3-objects"],"narrowing":{"buckets":["artifacts"]},"placement":{"name":"deploy"},"attachTo":"ci"}`))
	w.Golden("policies-attached", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies", `{"capabilities":["lambda-execution-sqs"]}`))
	many := `["` + strings.Repeat(`a","`, 50) + `a"]`
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":            {`{}`, "no capability is named"},
		"all that is wrong":  {`{"capabilities":["s4"],"narrowing":{"account":"12","buckets":["X"]}}`, `account "12": an AWS account is 12 digits; bucket "X"`},
		"too many names":     {`{"capabilities":["s3-objects"],"narrowing":{"buckets":` + many + `,"roles":` + many + `}}`, "51 names, at most 50 are taken"},
		"a name with a path": {`{"capabilities":["s3-objects"],"attachTo":"a/b"}`, "without its path"},
		"what does not fit":  {`{"capabilities":["serverless-framework"],"placement":{"to":"user","inline":true}}`, "the policies do not fit: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies", tt.body)); p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, tt.want) {
				t.Errorf("%d %s", p.Status, p.Detail)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("trust", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust",
		`{"for":"cross-account","principals":["222222222222"],"externalId":"belay-1","roleName":"deploy"}`))
	made := read[struct {
		ExternalID string `json:"externalId"`
		Document   json.RawMessage
	}](t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust", `{"for":"cross-account","principals":["222222222222"],"newExternalId":true}`))
	if !regexp.MustCompile(`^belay-[a-z2-7]{26}$`).MatchString(made.ExternalID) || !strings.Contains(string(made.Document), made.ExternalID) {
		t.Errorf("%q in %s", made.ExternalID, made.Document)
	}
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":          {`{}`, `for "": it is one of ec2, ecs-tasks`},
		"all of it":        {`{"for":"irsa","externalId":"x1"}`, "externalId: a trust policy for irsa has none; provider: give the ARN"},
		"two external ids": {`{"for":"cross-account","externalId":"x1","newExternalId":true,"roleName":"a/b"}`, "an external id is given already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust", tt.body)); p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, tt.want) {
				t.Errorf("%d %s", p.Status, p.Detail)
			}
		})
	}
}

func TestExplainTrust(t *testing.T) {
	t.Parallel()
	w := serve(t)
	const attempt = `{"trust":{"Version":"2012-10-17","Statement":[{"Sid":"Build","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]},
		"role":"arn:aws:iam::111111111111:role/deploy","principal":"arn:aws:iam::222222222222:role/ci"`
	w.Golden("trust-explained", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust/explain", attempt+`,"policies":[]}`))
	got := read[struct{ Outcome string }](t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust/explain", attempt+`}`))
	if got.Outcome != "depends" {
		t.Errorf("without policies it %s", got.Outcome)
	}
	p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust/explain", `{"trust":{"Statement":1},"principal":"ci","policies":[{"Statement":2}]}`))
	for _, want := range []string{"principal: ", "trust: ", "policies[0]: "} {
		if p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, want) {
			t.Errorf("%q is missing in %+v", want, p)
		}
	}
	p = problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/trust/explain", `{"trust":{"Statement":[]},"principal":"ec2.amazonaws.com","role":"x"}`))
	if p.Status != http.StatusBadRequest || !strings.HasPrefix(p.Detail, `role "x": it is the ARN of a role`) {
		t.Errorf("%+v", p)
	}
}
