package scenario_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam/scenario"
)

// FuzzParse finds panics in reading and running a file, and files that do not survive being written.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("../testdata/bench.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	const request = `"request":{"principal":{"type":"aws","arn":"arn:aws:iam::111111111111:user/x"},"action":"s3:GetObject","resource":{"arn":"arn:aws:s3:::b/*"},"context":{"aws:TagKeys":["a"],"aws:username":"x"}}`
	const document = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":["*","arn:aws:s3:::b/${aws:username}"]}}`
	const policy = `{"name":"p","document":` + document + `}`
	for _, seed := range []string{
		`{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a",` + request + `,"identityPolicies":[` + policy + `],"resourcePolicy":` + policy + `,"expect":{"decision":"Allowed","blockedBy":[]}}]}`,
		`{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a","mode":"discover","contextKnowledge":[{"key":"aws:username","presenceKnown":true}],` + request + `,"permissionBoundary":[],"sessionPolicies":[` + policy + `],"vpcEndpointPolicies":[]}]}`,
		`{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a",` + request + `,"needsServiceData":true,"serviceControlPolicies":[{"level":"root","policies":[` + policy + `]}],"resourceControlPolicies":[{"level":"root","policies":[]}]}]}`,
		`{"format":"belay.iam-scenario/v1","scenarios":[{"id":"a","request":{"principal":{"type":"anonymous"},"action":"s3:GetObject","resource":{"arn":"*"}},"identityPolicies":[{"name":"p","document":null},{"name":"q"}],"settings":{"s3.restrictPublicBuckets":true}}]}`,
		`{"format":"x","scenarios":[{},{}]}`, `{"format":"belay.iam-scenario/v1","scenarios":[]} x`, ``, `null`, `[]`, `{"Format":"belay.iam-scenario/v1","scenarios":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		one, err := scenario.Parse(text)
		if err != nil {
			return
		}
		result, err := one.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := result.Summary; s.Scenarios != len(one.Scenarios) || s.Passed+s.Failed+s.Errors+s.Unchecked != s.Scenarios {
			t.Fatalf("%+v", s)
		}
		for _, a := range result.Results {
			if (a.Error != nil) != (a.Decision == "") {
				t.Fatalf("%+v", a)
			}
		}
		printed, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		again, err := scenario.Parse(printed)
		if err != nil {
			t.Fatalf("%s: %v", printed, err)
		}
		same, err := again.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(result, same); diff != "" {
			t.Fatalf("%s: %s", printed, diff)
		}
	})
}
