package v1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/belay-dev/belay/internal/api/apitest"
	v1 "github.com/belay-dev/belay/internal/api/v1"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/scope"
)

func TestEveryExampleOfTheDocumentWorks(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{}, "aws")
	_, err := w.Connectors.Create(t.Context(), audit.System(w.Account, "test"), connector.Connector{
		Scope: scope.Scope{Account: w.Account}, ID: "oidc", Name: "oidc", Credential: connector.OIDC{RoleARN: "arn:aws:iam::123456789012:role/belay"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
	w.Survey = func(preflight.Request) preflight.Outcome {
		return preflight.Outcome{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
	w.Replay(w.Admin, (&v1.Server{Edge: w.Edge}).Group())
}

// Whatever stands in a body, the answer is a problem or good, and none that is tried again.
func TestJunkInEveryBodyIsAnswered(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.connector(t, scope.Scope{}, "aws")
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
	w.Survey = func(preflight.Request) preflight.Outcome {
		return preflight.Outcome{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
	w.Junk(w.Admin, (&v1.Server{Edge: w.Edge}).Group(), func(a apitest.Answer) string {
		if a.Status < http.StatusMultipleChoices {
			return ""
		}
		var p v1.Problem
		if err := json.Unmarshal([]byte(a.Body), &p); err != nil || p.Status != a.Status || p.Detail == "" || a.Status >= http.StatusInternalServerError {
			return fmt.Sprintf("%v: %d %.300s", err, a.Status, a.Body)
		}
		return ""
	})
}
