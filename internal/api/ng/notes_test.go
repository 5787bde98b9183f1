package ng_test

import (
	"testing"

	"github.com/belay-dev/belay/internal/api/ng"
	"github.com/belay-dev/belay/internal/connector"
)

func TestEveryExampleOfTheDocumentWorks(t *testing.T) {
	t.Parallel()
	w, client := serve(t)
	w.Runner.Answer = func(connector.Request) connector.Result {
		return connector.Result{StartedAt: w.Clock.Now(), EndedAt: w.Clock.Now(), Evidence: &connector.Evidence{Region: "eu-central-1"}}
	}
	client.Replay(w.Admin, (&ng.Server{Edge: w.Edge}).Group())
}
