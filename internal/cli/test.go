package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// testBody is a test as Belay's own API answers it.
type testBody struct {
	ID        string    `json:"id"`
	Connector string    `json:"connector"`
	Status    string    `json:"status"`
	Trigger   string    `json:"trigger"`
	By        string    `json:"by"`
	StartedAt time.Time `json:"startedAt"`
	TookMS    int64     `json:"tookMs"`
	Region    string    `json:"region"`
	Identity  *struct {
		ARN     string `json:"arn"`
		Account string `json:"account"`
	} `json:"identity"`
	Regions     []string       `json:"regions"`
	RegionCount int            `json:"regionCount"`
	Delegate    string         `json:"delegate"`
	Proven      bool           `json:"externalIdProven"`
	Warnings    []string       `json:"warnings"`
	Diagnosis   *diagnosisBody `json:"diagnosis"`
}

type diagnosisBody struct {
	Code     string `json:"code"`
	Page     string `json:"page"`
	Cause    string `json:"cause"`
	Evidence []struct {
		Label string `json:"label"`
		Text  string `json:"text"`
	} `json:"evidence"`
	Remedy []string `json:"remedy"`
}

func (t testBody) passed() bool { return t.Status == "SUCCESS" }

func (t testBody) word() cell {
	if t.passed() {
		return cell{"Connected", holds}
	}
	return cell{"Failing", breaks}
}

func took(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case ms == 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

type connectorTest struct {
	IDs          []string `arg:"" name:"connector" optional:"" help:"Identifiers."`
	All          bool     `help:"Test every connector of the scope."`
	IdentityOnly bool     `help:"Ask only who the credentials are; leave ec2:DescribeRegions out."`
	Fresh        bool     `help:"Use no session that was kept from before."`

	ProveExternalID bool `name:"prove-external-id" help:"Then try to assume the role without its external id and with a wrong one, which the role must refuse."`
}

// Run tests connections one after the other.
func (cmd *connectorTest) Run(ctx context.Context, a *app) error {
	ids := cmd.IDs
	switch {
	case cmd.All && len(ids) > 0:
		return misusef("--all and identifiers exclude one another")
	case cmd.All:
		all, err := a.connectors(ctx, map[string]any{"filterType": "Connector", "types": []string{"Aws"}}, "")
		if err != nil {
			return err
		}
		for _, raw := range all {
			_, v, err := view(raw)
			if err != nil {
				return err
			}
			ids = append(ids, v.Identifier)
		}
	case len(ids) == 0:
		return misusef("name a connector to test, or --all")
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	raws := make([]json.RawMessage, 0, len(ids))
	held, worst := 0, Done
	for _, id := range ids {
		raw, t, err := a.test(ctx, c, id, q, map[string]any{"identityOnly": cmd.IdentityOnly, "fresh": cmd.Fresh, "trigger": "on-demand", "proveExternalId": cmd.ProveExternalID})
		if err != nil { // what came of the others is told all the same
			worst = worse(worst, report(a.Streams, err))
			if fatal(err) || codeOf(err) == Refused {
				break
			}
			continue
		}
		if a.Output == "table" {
			if len(raws) > 0 {
				a.line("")
			}
			a.showTest(c, t)
		}
		raws = append(raws, raw)
		if t.passed() {
			held++
		} else {
			worst = worse(worst, Different)
		}
	}
	if len(raws) == 0 && worst != Done {
		return exit{worst}
	}
	var value any = raws
	if len(ids) == 1 && !cmd.All {
		value = raws[0]
	}
	if err := a.print(value, func() {}); err != nil {
		return err
	}
	if len(ids) > 1 {
		a.note("%d of %s hold.", held, count(len(ids), "connection", "connections"))
	}
	if worst != Done {
		return exit{worst}
	}
	return nil
}

// test tests one connection. A connection that fails is an answer, not an error.
func (a *app) test(ctx context.Context, c *client, id string, q url.Values, body any) (json.RawMessage, testBody, error) {
	var raw json.RawMessage
	var t testBody
	err := c.v1(ctx, http.MethodPost, "/connectors/"+url.PathEscape(id)+"/test", q, body, &raw)
	if err != nil {
		if errors.Is(err, errNoAnswer) {
			err = fmt.Errorf("%w. The test goes on: `belay connector history %s` shows what comes of it", err, id)
		}
		return nil, t, err
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, t, fmt.Errorf("the manager's answer to the test cannot be read: %w", err)
	}
	return raw, t, nil
}

// showTest prints a test: the line with its knots, then what it found, or cause, evidence and remedy.
func (a *app) showTest(c *client, t testBody) {
	word := t.word()
	a.line("%s  %s", a.painted(bold, t.Connector), a.painted(word.paint, word.text))
	a.line("")
	a.rope(knots(t))
	a.line("")
	if t.passed() {
		identity, account := "", ""
		if t.Identity != nil {
			identity, account = t.Identity.ARN, t.Identity.Account
		}
		regions := ""
		if t.RegionCount > 0 {
			regions = count(t.RegionCount, "Region", "Regions") + " enabled"
		}
		proven := ""
		if t.Proven {
			proven = "the role refuses without it, and with a wrong one"
		}
		a.fields(
			[2]string{"  Identity", identity}, [2]string{"  Account", account}, [2]string{"  Region", t.Region},
			[2]string{"  Regions", regions}, [2]string{"  Delegate", t.Delegate}, [2]string{"  Took", took(t.TookMS)},
			[2]string{"  External id", proven},
		)
	}
	if d := t.Diagnosis; d != nil {
		a.line("  %s", a.painted(bold, "Cause"))
		a.line("    %s", indent(d.Cause))
		if len(d.Evidence) > 0 {
			a.line("  %s", a.painted(bold, "Evidence"))
			for _, e := range d.Evidence {
				a.line("    %s", a.painted(faint, e.Label))
				a.line("      %s", strings.ReplaceAll(e.Text, "\n", "\n      "))
			}
		}
		if len(d.Remedy) > 0 {
			a.line("  %s", a.painted(bold, "Remedy"))
			for i, r := range d.Remedy {
				if len(d.Remedy) == 1 {
					a.line("    %s", indent(r))
					continue
				}
				a.line("    %d. %s", i+1, strings.ReplaceAll(r, "\n", "\n       "))
			}
		}
		a.line("  %s", a.painted(faint, d.Code+"  "+c.endpoint+d.Page))
	}
	for _, w := range t.Warnings {
		a.line("  %s %s", a.painted(warns, "Attention:"), indent(w))
	}
}

func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }

// knot is one thing that a connection passes.
type knot struct {
	name  string
	state state
}

type state int

const (
	idle  state = iota // not reached, so nothing is known
	held               // it was passed
	broke              // the connection breaks before it, or at it
)

// knots finds where a connection breaks by the class of the diagnosis: delegate, identity, role, region.
func knots(t testBody) []knot {
	delegate := t.Delegate
	if delegate == "" {
		delegate = "delegate"
	}
	k := []knot{{delegate, held}, {"identity", held}, {"region " + t.Region, held}}
	if t.Region == "" {
		k[2].name = "region"
	}
	if role := roleOf(t); role != "" {
		k = append(k[:2:2], knot{role, held}, k[2])
	}
	if t.passed() {
		return k
	}
	at := 1
	if d := t.Diagnosis; d != nil {
		switch {
		case strings.HasPrefix(d.Code, "BLY-31"), strings.HasPrefix(d.Code, "BLY-23"), d.Code == "BLY-2115":
			at = 0 // it never left the manager
		case d.Code == "BLY-2105":
			k = []knot{{delegate, held}, {"identity", held}, {"role", held}, k[len(k)-1]}
			at = 2
		case t.Identity != nil, d.Code == "BLY-2107":
			at = len(k) - 1
		}
	}
	for i := range k {
		switch {
		case i == at:
			k[i].state = broke
		case i > at:
			k[i].state = idle
		}
	}
	return k
}

// roleOf is the role whose session the connection ended in.
func roleOf(t testBody) string {
	if t.Identity == nil {
		return ""
	}
	_, rest, ok := strings.Cut(t.Identity.ARN, ":assumed-role/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return "role " + name
}

// rope draws the line: a knot that holds, a gap where it breaks, dots where nothing is known.
func (a *app) rope(all []knot) {
	var b strings.Builder
	b.WriteString("  ")
	for i, k := range all {
		if i > 0 {
			switch k.state {
			case held:
				b.WriteString(string(a.painted(holds, " ── ")))
			case broke:
				b.WriteString(string(a.painted(breaks, " ─╳ ")))
			case idle:
				b.WriteString(string(a.painted(faint, " ·· ")))
			}
		}
		switch k.state {
		case held:
			b.WriteString(string(a.painted(holds, "●")) + " " + printable(k.name))
		case broke:
			b.WriteString(string(a.painted(breaks, "✗ "+k.name)))
		case idle:
			b.WriteString(string(a.painted(faint, "○ "+k.name)))
		}
	}
	_, _ = fmt.Fprintln(a.Out, b.String())
}
