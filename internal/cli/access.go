package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type flagCmd struct {
	List flagList `cmd:"" help:"List feature flags."`
	Set  flagSet  `cmd:"" help:"Turn a feature flag on or off."`
}

type flagBody struct {
	Name    string `json:"name"`
	On      bool   `json:"on"`
	Purpose string `json:"purpose"`
}

func onWord(on bool) cell {
	if on {
		return cell{"on", holds}
	}
	return cell{"off", warns}
}

type flagList struct{}

// Run lists feature flags.
func (*flagList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := items[flagBody](ctx, c, "/flags", url.Values{}, 0)
	if err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, f := range all {
			rows = append(rows, []cell{{text: f.Name}, onWord(f.On), {text: f.Purpose}})
		}
		a.table("There is no feature flag.", []string{"Name", "State", "What it opens"}, rows)
	})
}

type flagSet struct {
	Name  string `arg:"" name:"flag" help:"Name."`
	State string `arg:"" name:"state" enum:"on,off" help:"on or off."`
}

// Run sets a feature flag.
func (cmd *flagSet) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var f flagBody
	if err := c.v1(ctx, http.MethodPut, "/flags/"+url.PathEscape(cmd.Name), nil, map[string]bool{"on": cmd.State == "on"}, &f); err != nil {
		return err
	}
	return a.print(f, func() { a.note("%s is %s.", cmd.Name, cmd.State) })
}

type auditCmd struct {
	List auditList `cmd:"" help:"List who did what, newest first."`
}

type auditList struct {
	Caller  string `help:"Only what this API key did: its id, or part of its name." placeholder:"TEXT"`
	Action  string `help:"Only this action, or those that begin so, such as connector." placeholder:"TEXT"`
	Target  string `help:"Only what was done to this, such as connector/prod_aws." placeholder:"TEXT"`
	Outcome string `help:"Only this: allowed or denied." enum:"allowed,denied," default:"" placeholder:"WORD"`
	Since   string `help:"From when on: a time, or how long ago, such as 24h or 7d." placeholder:"WHEN"`
	Until   string `help:"Up to when." placeholder:"WHEN"`
	Limit   int    `help:"How many; 0 is all." default:"50"`
}

type auditBody struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Org      string    `json:"org"`
	Project  string    `json:"project"`
	Caller   string    `json:"caller"`
	CallerID string    `json:"callerId"`
	Action   string    `json:"action"`
	Target   string    `json:"target"`
	Outcome  string    `json:"outcome"`
	Detail   string    `json:"detail"`
}

// Run lists the audit log.
func (cmd *auditList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	for key, value := range map[string]string{"caller": cmd.Caller, "action": cmd.Action, "target": cmd.Target, "outcome": cmd.Outcome} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, value := range map[string]string{"since": cmd.Since, "until": cmd.Until} {
		if value == "" {
			continue
		}
		at, err := moment(value, time.Now(), -1)
		if err != nil {
			return err
		}
		q.Set(key, at.Format(time.RFC3339))
	}
	all, err := items[auditBody](ctx, c, "/audit", q, max(cmd.Limit, 0))
	if err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, e := range all {
			outcome := cell{e.Outcome, ""}
			if e.Outcome == "denied" {
				outcome.paint = breaks
			}
			row := plain(e.At.Local().Format(time.DateTime), e.Caller, e.Action, e.Target, scopeWord(e.Org, e.Project))
			rows = append(rows, append(row, outcome, cell{text: e.Detail}))
		}
		a.table("Nothing was done that fits.", []string{"When", "Who", "Action", "Target", "Scope", "Outcome", "Detail"}, rows)
	})
}

type whoamiCmd struct{}

// Run says whose key is in use.
func (*whoamiCmd) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := c.v1(ctx, http.MethodGet, "/whoami", nil, nil, &raw); err != nil {
		return err
	}
	var who struct {
		Account string      `json:"account"`
		ID      string      `json:"id"`
		Name    string      `json:"name"`
		Grants  []grantBody `json:"grants"`
	}
	if err := json.Unmarshal(raw, &who); err != nil {
		return fmt.Errorf("the manager's answer cannot be read: %w", err)
	}
	if c.account != "" && c.account != who.Account { // every other call would be refused
		return &refusal{status: http.StatusForbidden, endpoint: c.endpoint, message: fmt.Sprintf("the key %q belongs to another account than %q", who.Name, c.account)}
	}
	return a.print(raw, func() {
		a.fields([2]string{"Key", who.Name}, [2]string{"Id", who.ID}, [2]string{"Account", who.Account},
			[2]string{"Roles", grantWords(who.Grants)}, [2]string{"Manager", c.endpoint})
	})
}
