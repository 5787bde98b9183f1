package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam/catalogue"
	v1 "github.com/belay-dev/belay/internal/api/v1"
)

type connectorPreflight struct {
	ID         string   `arg:"" name:"connector" help:"Identifier."`
	Capability []string `help:"Capability; belay policy list has them all. Without, all that a connector can need." placeholder:"ID"`
	Bucket     []string `help:"S3 bucket that is meant: a name or an ARN." placeholder:"NAME"`
	Cluster    []string `help:"ECS or EKS cluster that is meant." placeholder:"NAME"`
	Repository []string `help:"ECR repository that is meant." placeholder:"NAME"`
	Function   []string `help:"Lambda function that is meant." placeholder:"NAME"`
	Role       []string `help:"IAM role that is passed or assumed." placeholder:"NAME"`
	AWSAccount string   `help:"AWS account of what is named." name:"aws-account" placeholder:"ID"`
	Region     string   `help:"Region of what is named." placeholder:"REGION"`
	Fresh      bool     `help:"Use no session that was kept from before."`
	Watch      bool     `help:"Ask again until all is allowed: a changed policy can need five minutes."`
}

// Help says what is asked.
func (*connectorPreflight) Help() string {
	return `Asks whether the connector's identity has what capabilities need, before anything is deployed. Its policies are read and decided; where they ` +
		`cannot be read, AWS is asked by iam:SimulatePrincipalPolicy or by harmless calls. What neither tells is unknown, with the permission that would settle it. ` +
		`The exit code is 3 unless all is allowed.`
}

const (
	watchFirst = time.Second      // most changes arrive at once
	watchEvery = 10 * time.Second // and the others are not worth a hurry
	watchFor   = 6 * time.Minute  // AWS's five minutes, and one
)

// Run makes a preflight.
func (cmd *connectorPreflight) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	options := v1.PreflightOptions{
		Capabilities: cmd.Capability, Fresh: cmd.Fresh || cmd.Watch,
		Narrowing: catalogue.Narrowing{
			Buckets: cmd.Bucket, Clusters: cmd.Cluster, Repositories: cmd.Repository, Functions: cmd.Function, Roles: cmd.Role,
			Account: cmd.AWSAccount, Region: cmd.Region,
		},
	}
	until, wait := time.Now().Add(watchFor), watchFirst
	for {
		raw, p, err := a.preflight(ctx, c, cmd.ID, options)
		if err != nil {
			return err
		}
		again := cmd.Watch && p.Answer != "allowed" && time.Now().Before(until)
		if !again {
			if err := a.print(raw, func() { a.showPreflight(c, p) }); err != nil {
				return err
			}
			if p.Answer != "allowed" {
				return exit{Different}
			}
			return nil
		}
		a.note("%s: not all is allowed yet. Asking again in %s.", cmd.ID, wait)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait = min(2*wait, watchEvery)
	}
}

func (a *app) preflight(ctx context.Context, c *client, id string, o v1.PreflightOptions) (json.RawMessage, v1.Preflight, error) {
	var raw json.RawMessage
	var p v1.Preflight
	err := c.v1(ctx, http.MethodPost, "/connectors/"+url.PathEscape(id)+"/preflight", a.at(), o, &raw)
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("%w. The preflight goes on: `belay connector preflights %s` shows what comes of it", err, id)
	}
	if err != nil {
		return nil, p, err
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, p, fmt.Errorf("the manager's answer to the preflight cannot be read: %w", err)
	}
	return raw, p, nil
}

// answerWord is an answer as people say it.
func answerWord(answer string) cell {
	switch answer {
	case "allowed":
		return cell{"Allowed", holds}
	case "denied":
		return cell{"Denied", breaks}
	}
	return cell{"Unknown", warns}
}

// showPreflight prints the matrix of capabilities, then what is missing and what mends it.
func (a *app) showPreflight(c *client, p v1.Preflight) {
	word := answerWord(p.Answer)
	a.line("%s  %s", a.painted(bold, p.Connector), a.painted(word.paint, word.text))
	if p.Identity != nil {
		a.line("  %s", a.painted(faint, p.Identity.ARN))
	}
	a.line("")
	if d := p.Diagnosis; d != nil {
		a.line("  The connection itself does not hold, so nothing could be asked.")
		a.line("  %s", d.Cause)
		for _, r := range d.Remedy {
			a.line("    %s", indent(r))
		}
		a.line("  %s", a.painted(faint, d.Code+"  "+c.endpoint+d.Page))
		return
	}
	rows := make([][]cell, 0, len(p.Capabilities))
	for _, one := range p.Capabilities {
		rows = append(rows, []cell{
			answerWord(one.Answer), {text: one.ID, paint: bold}, {text: number(one.Allowed)}, {text: number(len(one.Missing))}, {text: number(len(one.Unknown))}, {text: one.Title, paint: faint},
		})
	}
	a.table("The catalogue has nothing to ask.", []string{"Answer", "Capability", "Allowed", "Denied", "Unknown", "What it is"}, rows)
	for _, one := range p.Capabilities {
		a.missing(one)
	}
	if p.Fix != nil {
		a.line("")
		a.line("%s", a.painted(bold, "Remedy"))
		a.remedy(*p.Fix)
	}
	for _, f := range p.Blocked {
		a.line("")
		a.line("%s", a.painted(bold, "Blocked by another policy"))
		a.remedy(f)
	}
	if len(p.Unread) > 0 {
		a.line("")
		a.line("%s", a.painted(bold, "Not read"))
		for _, u := range p.Unread {
			a.line("  %s: %s answered %s", u.What, u.Action, u.Code)
		}
	}
}

func (a *app) remedy(f v1.Fix) {
	a.line("  %s", indent(f.What))
	if f.Command != "" {
		a.line("  %s", f.Command)
	}
}

// missing lists what a capability lacks; what has the same reason is told once.
func (a *app) missing(one v1.CapabilityAnswer) {
	for _, list := range []struct {
		word     cell
		findings []v1.Finding
	}{{answerWord("denied"), one.Missing}, {answerWord("unknown"), one.Unknown}} {
		for _, g := range sameReason(list.findings) {
			a.line("")
			a.line("%s  %s  on %s", a.painted(list.word.paint, list.word.text), a.painted(bold, some(g.actions)), some(g.resources))
			for _, why := range g.why {
				a.line("    %s", why)
			}
		}
	}
	for _, caveat := range one.Caveats {
		a.line("%s %s: %s", a.painted(warns, "Attention:"), one.ID, caveat)
	}
}

type reason struct {
	actions, resources, why []string
}

// sameReason puts findings with the same reason together.
func sameReason(findings []v1.Finding) []*reason {
	var out []*reason
	at := map[string]*reason{}
	for _, f := range findings {
		key := strings.Join(f.Why, "\n")
		g := at[key]
		if g == nil {
			g = &reason{why: f.Why}
			at[key] = g
			out = append(out, g)
		}
		g.actions, g.resources = appendNew(g.actions, f.Action), appendNew(g.resources, f.Resource)
	}
	return out
}

func appendNew(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

type connectorPreflights struct {
	ID    string `arg:"" name:"connector" help:"Identifier."`
	Limit int    `help:"How many, the newest first." default:"10"`
}

// Run lists the preflights of a connector.
func (cmd *connectorPreflights) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	q.Set("limit", strconv.Itoa(cmd.Limit))
	var raw json.RawMessage
	if err := c.v1(ctx, http.MethodGet, "/connectors/"+url.PathEscape(cmd.ID)+"/preflights", q, nil, &raw); err != nil {
		return err
	}
	var list v1.List[v1.Preflight]
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("the manager's answer cannot be read: %w", err)
	}
	return a.print(list.Items, func() {
		var rows [][]cell
		for _, p := range list.Items {
			asked := some(p.Asked)
			if asked == "" {
				asked = "all"
			}
			missing := 0
			for _, one := range p.Capabilities {
				missing += len(one.Missing)
			}
			rows = append(rows, []cell{answerWord(p.Answer), {text: asked}, {text: number(missing)}, {text: ago(p.StartedAt)}, {text: p.By}, {text: p.Delegate}})
		}
		a.table("No preflight was made of "+cmd.ID+" yet.", []string{"Answer", "Capabilities", "Denied", "When", "By", "Delegate"}, rows)
	})
}
