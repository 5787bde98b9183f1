package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
	"github.com/belay-dev/belay/iam/service"
)

// maxScenarioFile is the longest scenario file or policy that is read, in bytes.
const maxScenarioFile = 64 << 20

type policySimulate struct {
	File        string   `short:"f" help:"Scenario file; - is standard input." placeholder:"FILE" xor:"question"`
	OnlyFeature []string `help:"Only scenarios with this feature." placeholder:"WORD"`

	Principal       string            `help:"Who asks: the ARN of a user, role or session, a service such as lambda.amazonaws.com, the ARN of an identity provider, or anonymous." placeholder:"WHO" xor:"question"`
	Action          []string          `help:"Action, or a pattern of actions such as s3:Get*." placeholder:"ACTION"`
	Resource        []string          `help:"ARN of a resource; with a star it means some resource of that shape. Without, any." sep:"none" placeholder:"ARN"`
	ResourceAccount string            `help:"Account that owns the resource; by default the one in its ARN, or else the principal's." placeholder:"ID"`
	Policy          []string          `help:"File with a policy of the principal." sep:"none" placeholder:"FILE"`
	ResourcePolicy  string            `help:"File with the resource's policy: of a bucket, a function, a key, or the trust policy of a role." placeholder:"FILE"`
	Boundary        string            `help:"File with the permissions boundary." placeholder:"FILE"`
	SessionPolicy   []string          `help:"File with a session policy." sep:"none" placeholder:"FILE"`
	SCP             []string          `help:"File with a service control policy; each is a level of its own, the root first." name:"scp" sep:"none" placeholder:"FILE"`
	RCP             []string          `help:"File with a resource control policy." name:"rcp" sep:"none" placeholder:"FILE"`
	EndpointPolicy  string            `help:"File with the policy of the VPC endpoint that the request goes through." placeholder:"FILE"`
	Context         map[string]string `help:"Condition key and its value." placeholder:"KEY=VALUE" mapsep:"none"`
	Discover        bool              `help:"Take condition keys that are not given for unknown instead of absent, and answer what is possible at best."`
	DeriveContext   bool              `help:"Fill in the condition keys that follow from principal and resource: aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:username, aws:ResourceAccount."`
}

// Help says how to ask.
func (*policySimulate) Help() string {
	return `Ask with flags, or with a scenario file (format ` + scenario.Format + `), which may hold many questions and the answers that are expected. ` +
		`No manager and no AWS account is asked.

The exit code is 0 when a file's scenarios have the expected answers, or every question of the flags is allowed; 3 when one has another answer, or is denied; 2 when a policy or the file is malformed.

Example: belay policy simulate --principal arn:aws:iam::111111111111:user/dev --action s3:PutObject --resource arn:aws:s3:::bucket/key --policy policy.json`
}

// Run answers a file, or the question of the flags.
func (cmd *policySimulate) Run(ctx context.Context, a *app) error {
	f, err := cmd.questions(a)
	if err != nil {
		return err
	}
	if cmd.DeriveContext {
		for i := range f.Scenarios {
			f.Scenarios[i].Request.Derive()
		}
	}
	result, err := f.Run(ctx)
	if err != nil {
		return err
	}
	if err := a.print(result, func() { a.simulated(f, result, cmd.File != "") }); err != nil {
		return err
	}
	denied := slices.ContainsFunc(result.Results, func(r scenario.Answer) bool { return r.Pass == nil && r.Decision != iam.Allowed })
	switch {
	case result.Summary.Errors > 0:
		return exit{Misused}
	case result.Summary.Failed > 0, cmd.File == "" && denied:
		return exit{Different}
	}
	return nil
}

func (cmd *policySimulate) questions(a *app) (*scenario.File, error) {
	if cmd.File == "" {
		return cmd.asked(a)
	}
	text, err := a.readFile(cmd.File)
	if err != nil {
		return nil, err
	}
	f, err := scenario.Parse(text)
	if err != nil {
		return nil, misusef("%s: %w", named(cmd.File), err)
	}
	if len(cmd.OnlyFeature) > 0 {
		f.Scenarios = slices.DeleteFunc(f.Scenarios, func(s scenario.Scenario) bool {
			return !slices.ContainsFunc(cmd.OnlyFeature, func(word string) bool { return slices.Contains(s.Features, word) })
		})
	}
	return f, nil
}

// asked makes scenarios of the flags: one for each action and resource.
func (cmd *policySimulate) asked(a *app) (*scenario.File, error) {
	if cmd.Principal == "" || len(cmd.Action) == 0 {
		return nil, misusef("give a scenario file with -f, or ask with --principal and --action")
	}
	reference, err := service.Load()
	if err != nil {
		return nil, err
	}
	base := scenario.Scenario{Request: scenario.Request{Principal: scenario.PrincipalOf(cmd.Principal), Context: map[string]scenario.Value{}}}
	if cmd.Discover {
		base.Mode = "discover"
	}
	for key, value := range cmd.Context {
		base.Request.Context[key] = scenario.Value{Single: value}
	}
	if err := cmd.policies(a, &base); err != nil {
		return nil, err
	}
	resources := cmd.Resource
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	f := &scenario.File{Format: scenario.Format, Scenarios: []scenario.Scenario{}}
	for _, pattern := range cmd.Action {
		actions := []string{pattern}
		if strings.ContainsAny(pattern, "*?") {
			actions = nil
			for _, action := range reference.Actions(pattern) {
				actions = append(actions, action.String())
			}
			if len(actions) == 0 {
				return nil, misusef("--action: no action matches %s", pattern)
			}
		}
		for _, name := range actions {
			action, known := reference.Action(name)
			if !known { // it is asked all the same: it may be newer than the reference
				a.note("%s", (&policyActions{}).none(reference, name))
			}
			for _, resource := range resources {
				one := base
				one.ID = name + " " + resource
				one.Request.Action, one.Request.Resource = name, scenario.Resource{ARN: resource, Account: cmd.ResourceAccount}
				if known && action.Resourceless() {
					one.Request.Resourceless, one.Request.Resource.ARN = true, "*"
				}
				if !slices.ContainsFunc(f.Scenarios, func(s scenario.Scenario) bool { return s.ID == one.ID }) {
					f.Scenarios = append(f.Scenarios, one)
				}
			}
		}
	}
	if err := f.Validate(); err != nil {
		return nil, misuse(err)
	}
	return f, nil
}

// policies reads the files of policies.
func (cmd *policySimulate) policies(a *app, s *scenario.Scenario) error {
	var problems []error
	read := func(names ...string) []scenario.Policy {
		all := []scenario.Policy{}
		for _, name := range names {
			text, err := a.readFile(name)
			switch {
			case err != nil:
				problems = append(problems, err)
			case !json.Valid(text):
				_, err := iam.Parse(text)
				problems = append(problems, fmt.Errorf("%s: %w", named(name), err))
			default:
				all = append(all, scenario.Policy{Name: policyName(name), Document: text})
			}
		}
		return all
	}
	optional := func(names ...string) *[]scenario.Policy {
		if len(names) == 0 || names[0] == "" {
			return nil
		}
		all := read(names...)
		return &all
	}
	s.IdentityPolicies = read(cmd.Policy...)
	if one := optional(cmd.ResourcePolicy); one != nil && len(*one) == 1 {
		s.ResourcePolicy = &(*one)[0]
	}
	s.PermissionBoundary, s.SessionPolicies, s.VPCEndpointPolicies = optional(cmd.Boundary), optional(cmd.SessionPolicy...), optional(cmd.EndpointPolicy)
	for _, name := range cmd.SCP {
		s.ServiceControlPolicies = append(s.ServiceControlPolicies, scenario.Level{Level: policyName(name), Policies: read(name)})
	}
	for _, name := range cmd.RCP {
		s.ResourceControlPolicies = append(s.ResourceControlPolicies, scenario.Level{Level: policyName(name), Policies: read(name)})
	}
	if len(problems) > 0 {
		return misuse(errors.Join(problems...))
	}
	return nil
}

// policyName is how results refer to the policy in a file.
func policyName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return strings.TrimSuffix(filepath.Base(file), ".json")
}

func named(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// readFile reads a file, or standard input for "-".
func (a *app) readFile(name string) ([]byte, error) {
	from := a.In
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			return nil, misusef("%s: %s", name, unreadable(err))
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxScenarioFile+1))
	switch {
	case err != nil:
		return nil, misusef("%s: %s", named(name), unreadable(err))
	case len(text) > maxScenarioFile:
		return nil, misusef("%s: is longer than the %d MiB that are read", named(name), maxScenarioFile>>20)
	}
	return text, nil
}

// simulated shows answers: one in full, several as a table with the reasons of those that fail or are denied.
func (a *app) simulated(f *scenario.File, result scenario.Result, checked bool) {
	if len(result.Results) == 0 {
		a.note("There is no scenario to answer.")
		return
	}
	if len(result.Results) > 1 {
		rows := make([][]cell, 0, len(result.Results))
		for i, r := range result.Results {
			rows = append(rows, a.answerRow(&f.Scenarios[i], r, checked))
		}
		head := []string{"Decision", "Action", "Resource"}
		if checked {
			head = []string{"Result", "Scenario", "Decision", "Blocked by"}
		}
		a.table("", head, rows)
		a.line("")
	}
	for i, r := range result.Results {
		failed := r.Error != nil || r.Pass != nil && !*r.Pass || !checked && r.Decision != iam.Allowed
		if failed || len(result.Results) == 1 {
			a.answer(&f.Scenarios[i], r)
		}
	}
	if s := result.Summary; checked {
		a.note("%s: %d passed, %d failed, %d in error, %d without an expectation", count(s.Scenarios, "scenario", "scenarios"), s.Passed, s.Failed, s.Errors, s.Unchecked)
	}
}

func (a *app) answerRow(s *scenario.Scenario, r scenario.Answer, checked bool) []cell {
	decision := cell{string(r.Decision), decisionPaint(r)}
	if r.Error != nil {
		decision = cell{"error", breaks}
	}
	if !checked {
		return []cell{decision, {text: s.Request.Action, paint: bold}, {text: s.Request.Resource.ARN}}
	}
	verdict := cell{"asked", faint}
	switch {
	case r.Error != nil:
		verdict = cell{"error", breaks}
	case r.Pass != nil && *r.Pass:
		verdict = cell{"passed", holds}
	case r.Pass != nil:
		verdict = cell{"FAILED", breaks}
	}
	return []cell{verdict, {text: s.ID, paint: bold}, decision, {text: layerList(r.BlockedBy)}}
}

func layerList(layers []iam.Layer) string {
	words := make([]string, len(layers))
	for i, l := range layers {
		words[i] = string(l)
	}
	return strings.Join(words, ", ")
}

func decisionPaint(r scenario.Answer) paint {
	if r.Decision == iam.Allowed {
		return holds
	}
	return breaks
}

// answer shows one answer with its reasons.
func (a *app) answer(s *scenario.Scenario, r scenario.Answer) {
	a.line("%s", a.painted(bold, s.ID))
	if s.Name != "" {
		a.line("  %s", a.painted(faint, s.Name))
	}
	if r.Error != nil {
		where := r.Error.Reason
		if r.Error.Policy != "" {
			where += " in " + r.Error.Policy
		}
		a.line("  %s  %s", a.painted(breaks, where), r.Error.Message)
		return
	}
	a.line("  %s", a.painted(decisionPaint(r), string(r.Decision)))
	if s.Expect != nil && !*r.Pass {
		expected := string(s.Expect.Decision)
		if s.Expect.BlockedBy != nil {
			expected += fmt.Sprintf(", blocked by [%s]; here it is blocked by [%s]", layerList(*s.Expect.BlockedBy), layerList(r.BlockedBy))
		}
		a.line("  expected %s", expected)
	}
	for _, line := range r.Explanation {
		a.line("    %s", line)
	}
	for _, w := range r.Warnings {
		a.line("    %s %s", a.painted(warns, "warning"), w)
	}
}
