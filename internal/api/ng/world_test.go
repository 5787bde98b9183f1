package ng_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"testing"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/api/ng"
	"github.com/belay-dev/belay/internal/nextgen"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// serve starts the API of a new world.
func serve(t *testing.T) (*apitest.World, *apitest.Client) {
	t.Helper()
	w := apitest.New(t)
	w.Update = *update
	return w, w.Serve(t, server(w).Handler())
}

// server is the API of a world.
func server(w *apitest.World) *ng.Server {
	return &ng.Server{
		Edge: w.Edge, Connectors: w.Connectors, Secrets: w.Secrets, Organizations: w.Orgs, Tokens: w.Tokens, Delegates: w.Registry,
		Definitions: w.Definitions, Issuer: w.Issuer, URL: func() string { return "https://belay.example.com" }, Now: w.Clock.Now,
	}
}

// data reads the data of an answer.
func data[T any](t *testing.T, a apitest.Answer) T {
	t.Helper()
	var r nextgen.Response[T]
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
		t.Fatalf("%v\n%s", err, a.Body)
	}
	if r.Status != nextgen.StatusSuccess || r.CorrelationID == "" {
		t.Fatalf("the envelope is %s", a.Body)
	}
	return r.Data
}

// resource reads the resource of an answer in the older envelope.
func resource[T any](t *testing.T, a apitest.Answer) T {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	var r nextgen.RestResponse[T]
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
		t.Fatalf("%v\n%s", err, a.Body)
	}
	return r.Resource
}

// failure reads a failed answer.
func failure(t *testing.T, a apitest.Answer) nextgen.ErrorBody {
	t.Helper()
	var e nextgen.ErrorBody
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
		t.Fatalf("%d is not JSON: %v\n%s", a.Status, err, a.Body)
	}
	if e.Status != nextgen.StatusError || e.CorrelationID == "" || e.Message == "" || len(e.ResponseMessages) != 1 {
		t.Errorf("the body of a failure is %s", a.Body)
	}
	return e
}

const (
	irsa   = `{"connector":{"name":"c1","identifier":"c1","type":"Aws","spec":{"credential":{"type":"Irsa"},"delegateSelectors":["eks"],"executeOnDelegate":true,"proxy":false,"ignoreTestConnection":false}}}`
	manual = `{"connector":{"name":"prod aws","identifier":"prod_aws","description":"test","orgIdentifier":"org1","projectIdentifier":"prj1",
 "tags":{"team":"core","solo":""},"type":"Aws","_":null,
 "spec":{"credential":{"crossAccountAccess":{"crossAccountRoleArn":"arn:aws-us-gov:iam::123456789012:role/deploy","externalId":"ext-42"},
   "type":"ManualConfig","spec":{"accessKey":"AKIAEXAMPLE","secretKeyRef":"account.sk"},"region":"us-gov-west-1"},
  "awsSdkClientBackOffStrategyOverride":{"type":"FixedDelayBackoffStrategy","spec":{"fixedBackoff":100,"retryCount":5}},
  "delegateSelectors":["z","a"],"executeOnDelegate":false,"proxy":false,"ignoreTestConnection":false,"connectorType":""}}}`
	account  = "?accountIdentifier=ACCOUNT"
	project1 = account + "&orgIdentifier=org1&projectIdentifier=prj1"
)
