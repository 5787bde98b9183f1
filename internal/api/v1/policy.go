package v1

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
	"github.com/belay-dev/belay/iam/service"
	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
)

// maxSimulation is the longest scenario file that is taken, in bytes.
const maxSimulation = 8 << 20

// simulate answers a scenario file. It reads nothing of the account, so every key may ask.
func (*Server) simulate(ctx context.Context, _ api.Call, text []byte) (scenario.Result, error) {
	f, err := scenario.Parse(text)
	if err != nil {
		return scenario.Result{}, fault.New(fault.Invalid, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return f.Run(ctx)
}

// diffBody are two policy documents.
type diffBody struct {
	Old json.RawMessage `json:"old"`
	New json.RawMessage `json:"new"`
}

// diffAnswer is what the new document allows and the old one does not, and the reverse.
type diffAnswer struct {
	Allowed         []scenario.Change `json:"allowed"`
	NoLongerAllowed []scenario.Change `json:"noLongerAllowed"`
}

// diff compares two identity policies.
func (*Server) diff(_ context.Context, _ api.Call, in diffBody) (diffAnswer, error) {
	var problems fault.Problems
	parse := func(name string, text json.RawMessage) []iam.Policy {
		d, err := iam.Parse(text)
		if err != nil {
			problems.Add(name, err.Error())
		}
		return []iam.Policy{{Name: "the " + name + " policy", Document: d}}
	}
	before, after := parse("old", in.Old), parse("new", in.New)
	if err := problems.Err(); err != nil {
		return diffAnswer{}, err
	}
	reference, err := service.Load()
	if err != nil {
		return diffAnswer{}, fmt.Errorf("compare policies: %w", err)
	}
	more, less, err := scenario.Compare(before, after, reference)
	return diffAnswer{more, less}, err
}
