package v1_test

import (
	"net/http"
	"strings"
	"testing"
)

const question = `{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a",
 "request":{"principal":{"type":"aws","arn":"arn:aws:iam::111111111111:user/dev"},"action":"s3:PutObject","resource":{"arn":"arn:aws:s3:::b/c"}},
 "identityPolicies":[{"name":"p","document":{"Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b"}}}],
 "expect":{"decision":"ImplicitlyDenied","blockedBy":[]}}]}`

func TestSimulations(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("simulated", w.Do(w.Viewer, http.MethodPost, "/belay/v1/simulations", question))

	for name, tt := range map[string]struct{ body, want string }{
		"nothing":                       {"", "the body is empty"},
		"no JSON":                       {"{", "it ends too early"},
		"a typing error":                {strings.Replace(question, "identityPolicies", "identityPolicy", 1), `unknown field "identityPolicy"`},
		"all that is wrong, at once":    {strings.NewReplacer("belay.iam-scenario/v1", "v9", "s3:PutObject\",\"resource", "PutObject\",\"resource").Replace(question), `format is "v9", want "belay.iam-scenario/v1"; a: request.action is one action`},
		"more than is taken":            {`{"source":"` + strings.Repeat("x", 8<<20) + `"}`, "longer than the 8192 KiB"},
		"a principal that is not known": {strings.Replace(question, "user/dev", "group/dev", 1), "a principal is the ARN of a user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/simulations", tt.body)); p.Status < 400 || p.Status >= 500 || !strings.Contains(p.Detail, tt.want) {
				t.Errorf("%d %s", p.Status, p.Detail)
			}
		})
	}
	// Between what other calls take and what this one takes.
	if a := w.Do(w.Viewer, http.MethodPost, "/belay/v1/simulations", strings.Replace(question, `"scenarios"`, `"source":"`+strings.Repeat("x", 2<<20)+`","scenarios"`, 1)); a.Status != http.StatusOK {
		t.Errorf("a file of 2 MiB: %d %s", a.Status, a.Body)
	}
	if a := w.Do("", http.MethodPost, "/belay/v1/simulations", question); a.Status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", a.Status)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	w := serve(t)
	const body = `{"old":{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a/*"}},
		"new":{"Statement":{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::a/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}}`
	w.Golden("policy-diff", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/diff", body))
	p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/diff", `{"old":{"Statement":1}}`))
	if p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, "old: ") || !strings.Contains(p.Detail, "new: ") {
		t.Errorf("%+v", p)
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.Golden("policy-lint", w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/lint",
		`{"document":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}},"name":"ecsTaskRole"}`))
	p := problem(t, w.Do(w.Viewer, http.MethodPost, "/belay/v1/policies/lint", `{"document":{"Statement":1},"kind":"bucket"}`))
	if p.Status != http.StatusBadRequest || !strings.Contains(p.Detail, "document: ") || !strings.Contains(p.Detail, `kind: "bucket" is not known; it is one of [identity`) {
		t.Errorf("%+v", p)
	}
}
