package v1

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/lint"
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

// lintBody is a document to look through.
type lintBody struct {
	Document json.RawMessage `json:"document"`
	Kind     string          `json:"kind"` // identity, boundary, trust, resource, endpoint, scp or rcp; told by what it says by default
	Name     string          `json:"name"` // of the role or policy
}

// LintFinding is something that is wrong, or unwise, with a document.
type LintFinding struct {
	Rule      string `json:"rule"` // BLP-301
	Name      string `json:"name"` // of the rule, in words
	Severity  string `json:"severity"`
	Statement int    `json:"statement"` // from 0; -1 for the document itself
	Path      string `json:"path"`
	Message   string `json:"message"`
	Fix       string `json:"fix"`
}

// lint looks a policy document through.
func (*Server) lint(_ context.Context, _ api.Call, in lintBody) (List[LintFinding], error) {
	var problems fault.Problems
	d, err := iam.Parse(in.Document)
	if err != nil {
		problems.Add("document", err.Error())
	}
	kind := lint.Kind(in.Kind)
	if kind != "" && !slices.Contains(lint.Kinds(), kind) {
		problems.Add("kind", fmt.Sprintf("%.40q is not known; it is one of %v", in.Kind, lint.Kinds()))
	}
	if err := problems.Err(); err != nil {
		return List[LintFinding]{}, err
	}
	if kind == "" {
		kind = lint.KindOf(d)
	}
	found, err := lint.Document(d, lint.Subject{Kind: kind, Name: in.Name})
	return listed(found, func(f lint.Finding) LintFinding {
		rule, _ := lint.RuleByID(f.Rule)
		return LintFinding{
			Rule: f.Rule, Name: rule.Name, Severity: string(f.Severity), Statement: f.Statement, Path: f.Path, Message: f.Message, Fix: f.Fix,
		}
	}), err
}
