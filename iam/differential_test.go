//go:build e2e

package iam_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/scenario"
)

// verdict is what the independent evaluator says of a scenario.
type verdict struct {
	ID       string       `json:"id"`
	Decision iam.Decision `json:"decision"`
	Error    string       `json:"error"`
	Ignored  []string     `json:"ignored"` // keys that it takes for none of the action's, so that it asks another question
}

// independent asks @cloud-copilot/iam-simulate, which make e2e-iam installs.
func independent(t *testing.T, scenarios []scenario.Scenario) map[string]verdict {
	t.Helper()
	const folder = "../.tools/iam-simulate"
	if _, err := os.Stat(folder + "/version"); err != nil {
		t.Skip("the independent evaluator is not installed: make e2e-iam installs it")
	}
	text, err := json.Marshal(scenario.File{Format: scenario.Format, Scenarios: scenarios})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", "../scripts/iam-simulate.mjs", folder)
	command.Stdin, command.Stderr = bytes.NewReader(text), os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Results []verdict `json:"results"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	all := map[string]verdict{}
	for _, v := range answer.Results {
		all[v.ID] = v
	}
	if len(all) != len(scenarios) {
		t.Fatalf("%d answers to %d scenarios", len(all), len(scenarios))
	}
	return all
}

// settled are the scenarios of the corpus of which the two decide differently, by the section of docs/iam-differences.md
// that says who is right.
var settled = map[string][]string{
	"A boundary without policies":       {"boundary-empty-list"},
	"Dates as seconds":                  {"conditions-typed-date-epoch-policy"},
	"Discovery":                         {"discover-session-name-given", "discover-variable-unknown-allow"},
	"Deny with NotPrincipal":            {"not-elements-notprincipal-user-without-account", "not-elements-notprincipal-other-user", "not-elements-notprincipal-session-not-listed", "not-elements-notprincipal-session-without-role"},
	"Service principals of China":       {"partitions-china-ec2-service"},
	"What organizations do not bind":    {"rcp-service-linked-role-exempt", "scp-service-linked-role-exempt", "scp-service-linked-session-exempt", "scp-service-principal-exempt"},
	"Services without RCPs":             {"rcp-unsupported-service"},
	"S3 Block Public Access":            {"s3-public-restricted-anonymous", "s3-public-restricted-cross-account", "s3-public-restricted-named-account"},
	"The root user":                     {"same-account-root-user-needs-no-policy"},
	"Grants to a session":               {"session-session-arn-grant-adds", "session-federated-user-arn-grant-adds", "session-everyone-grant-not-capped"},
	"Roles without a trust policy":      {"trust-same-account-identity-alone"},
	"Variables need version 2012-10-17": {"variables-old-version", "variables-old-version-literal", "variables-no-version"},
}

// incomparable are scenarios that cannot be put to the other: it takes no role beside a session, and minutes for many
// stars.
var incomparable = []string{"wildcards-many-stars-no-match", "principals-role-without-path-does-not-match"}

func TestE2EIndependentEvaluatorOnTheCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no scenarios", err)
	}
	var scenarios []scenario.Scenario
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := scenario.Parse(text)
		if err != nil {
			t.Fatal(name, err)
		}
		scenarios = append(scenarios, slices.DeleteFunc(f.Scenarios, func(s scenario.Scenario) bool {
			return slices.Contains(incomparable, s.ID) || s.Expect == nil
		})...)
	}
	section := map[string]string{}
	for name, ids := range settled {
		for _, id := range ids {
			section[id] = name
		}
	}
	page, err := os.ReadFile("../docs/iam-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range settled {
		if !strings.Contains(string(page), "\n## "+name+"\n") {
			t.Errorf("docs/iam-differences.md has no section %q", name)
		}
	}
	agreed, differed := compare(t, scenarios, func(s *scenario.Scenario, ours, theirs iam.Decision) string {
		if section[s.ID] == "" {
			return fmt.Sprintf("ours %s, theirs %s", ours, theirs)
		}
		return ""
	})
	for id, name := range section {
		if !slices.Contains(differed, id) {
			t.Errorf("%s is settled under %q, but does not differ", id, name)
		}
	}
	t.Logf("%d agree, %d differ and are settled", agreed, len(differed))
}

// compare asks both and reports how often they agree, and which scenarios differ; judge says why a difference is none
// that is settled, or nothing.
func compare(t *testing.T, scenarios []scenario.Scenario, judge func(s *scenario.Scenario, ours, theirs iam.Decision) string) (agreed int, differed []string) {
	t.Helper()
	theirs := independent(t, scenarios)
	refused, ignored := 0, 0
	for i := range scenarios {
		s := &scenarios[i]
		ours, their := s.Run(), theirs[s.ID]
		switch {
		case ours.Error != nil || their.Error != "":
			refused++
		case ours.Decision == their.Decision:
			agreed++
		case len(their.Ignored) > 0:
			ignored++
		default:
			differed = append(differed, s.ID)
			if why := judge(s, ours.Decision, their.Decision); why != "" {
				text, _ := json.Marshal(s)
				t.Errorf("%s: %s: %s\n%s", s.ID, why, strings.Join(ours.Explanation, "; "), text)
			}
		}
	}
	t.Logf("of %d, one of the two refuses %d; in %d that differ it left keys out", len(scenarios), refused, ignored)
	return agreed, differed
}

func TestE2EIndependentEvaluatorOnGeneratedScenarios(t *testing.T) {
	t.Parallel()
	const count = 2000
	generate := rapid.Custom(drawScenario)
	scenarios := make([]scenario.Scenario, count)
	for i := range scenarios {
		scenarios[i] = generate.Example(i)
		scenarios[i].ID = fmt.Sprintf("generated-%d", i)
	}
	agreed, differed := compare(t, scenarios, func(_ *scenario.Scenario, ours, theirs iam.Decision) string {
		return fmt.Sprintf("ours %s, theirs %s", ours, theirs)
	})
	t.Logf("%d agree, %d differ", agreed, len(differed))
	if agreed < count/2 {
		t.Errorf("only %d of %d are comparable", agreed, count)
	}
}

// drawScenario makes a scenario of what both evaluators take. It leaves out what docs/iam-differences.md has settled.
func drawScenario(t *rapid.T) scenario.Scenario {
	p, r := drawLayers(t), drawRequest(t, false)
	if r.Action == "sts:TagSession" {
		r.Action = "sts:AssumeRole"
	}
	s := scenario.Scenario{Request: scenario.Request{
		Action: r.Action, Resource: scenario.Resource{ARN: r.Resource, Account: r.ResourceAccount}, Resourceless: r.Resourceless, Context: map[string]scenario.Value{},
	}}
	for _, k := range keyNames {
		v, list, present := r.Context.Value(k)
		switch {
		case !present || k == "s3:max-keys" || v == "b" || // the last is no ARN
			(list != nil) != (k == "aws:TagKeys"):
		case list != nil:
			s.Request.Context[k] = scenario.Value{List: list, Multi: true}
		default:
			s.Request.Context[k] = scenario.Value{Single: v}
		}
	}
	caller := pick(t, "comparable caller", user, user, role, session, "arn:aws:iam::"+abroad+":user/x", "lambda.amazonaws.com", "")
	switch caller {
	case "":
		s.Request.Principal = scenario.Principal{Type: "anonymous"}
	case "lambda.amazonaws.com":
		s.Request.Principal = scenario.Principal{Type: "service", Service: caller}
	default:
		s.Request.Principal = scenario.Principal{Type: "aws", ARN: caller}
	}
	signed := s.Request.Principal.Type == "aws"
	_, named := s.Request.Context["aws:username"]
	comparable := func(policies []iam.Policy) []scenario.Policy {
		out := []scenario.Policy{}
		for i, one := range policies {
			tame(one.Document, named)
			text, _ := one.Document.MarshalJSON()
			out = append(out, scenario.Policy{Name: fmt.Sprintf("p%d", i), Document: text})
		}
		return out
	}
	optional := func(policies []iam.Policy) *[]scenario.Policy {
		if len(policies) == 0 {
			return nil
		}
		out := comparable(policies)
		return &out
	}
	levels := func(levels []iam.Level) []scenario.Level {
		var out []scenario.Level
		for i, l := range levels {
			out = append(out, scenario.Level{Level: fmt.Sprintf("l%d", i), Policies: comparable(l.Policies)})
		}
		return out
	}
	if p.Resource == nil && strings.HasPrefix(r.Action, "sts:") { // a role always has a trust policy
		p.Resource = &iam.Policy{Document: &iam.Document{Version: "2012-10-17", Statements: []iam.Statement{}}}
	}
	if p.Resource != nil && !r.Resourceless {
		s.ResourcePolicy = &comparable([]iam.Policy{*p.Resource})[0]
	}
	s.VPCEndpointPolicies = optional(p.Endpoint)
	s.ResourceControlPolicies = levels(p.RCP)
	if signed {
		s.IdentityPolicies, s.PermissionBoundary, s.ServiceControlPolicies = comparable(p.Identity), optional(p.Boundary), levels(p.SCP)
		if s.ResourcePolicy == nil && caller == session {
			s.SessionPolicies = optional(p.Session)
		}
	}
	return s
}

// tame leaves out of a document what one of the two refuses or what is settled. named says that aws:username has a value.
func tame(d *iam.Document, named bool) {
	without := func(values []string, odd ...string) []string {
		out := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return slices.Contains(odd, v) })
		if len(out) == 0 {
			return []string{"*"}
		}
		return out
	}
	resolved := func(values []string) []string {
		out := slices.Clone(values)
		for i := range out {
			out[i] = strings.ReplaceAll(out[i], "team,'", "team, '")
			if !named {
				out[i] = strings.ReplaceAll(out[i], "${aws:username}", "x")
			}
		}
		return out
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		s.SID = fmt.Sprintf("s%d", i)
		s.Action.Values = without(s.Action.Values, "s3", "*:*", "s?:*", "sts:*Session")
		s.Resource.Values = resolved(without(s.Resource.Values, "arn:*", "arn:aws:s3"))
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c iam.Condition) bool { return c.Key == "s3:max-keys" })
		for j := range s.Conditions {
			c := &s.Conditions[j]
			if c.Key != "aws:TagKeys" {
				c.Quantifier = iam.Single
			}
			c.IfExists = c.IfExists && c.Quantifier != iam.ForAnyValue
			c.Values = resolved(c.Values)
		}
		if s.Principal != nil {
			s.Principal.Negated = false
			if s.Principal.AWS != nil {
				s.Principal.AWS = without(s.Principal.AWS, "AIDAEXAMPLE")
			}
		}
	}
}
