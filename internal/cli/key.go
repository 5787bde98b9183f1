package cli

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type keyCmd struct {
	List   keyList   `cmd:"" help:"List API keys, without their secrets."`
	Create keyCreate `cmd:"" help:"Make an API key. It is shown once."`
	Revoke keyRevoke `cmd:"" help:"Revoke API keys at once."`
}

type grantBody struct {
	Scope struct {
		Org     string `json:"org"`
		Project string `json:"project"`
	} `json:"scope"`
	Role string `json:"role"`
}

func grantWords(grants []grantBody) string {
	words := make([]string, len(grants))
	for i, g := range grants {
		words[i] = g.Role + " at " + scopeWord(g.Scope.Org, g.Scope.Project)
	}
	return strings.Join(words, ", ")
}

type keyBody struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Grants    []grantBody `json:"grants"`
	CreatedBy string      `json:"createdBy"`
	CreatedAt time.Time   `json:"createdAt"`
	ExpiresAt *time.Time  `json:"expiresAt"`
	RevokedAt *time.Time  `json:"revokedAt"`
}

func (k keyBody) state() cell {
	switch {
	case k.RevokedAt != nil:
		return cell{"Revoked", faint}
	case k.ExpiresAt != nil && k.ExpiresAt.Before(time.Now()):
		return cell{"Expired", faint}
	}
	return cell{"Active", holds}
}

type keyList struct{}

// Run lists API keys.
func (*keyList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all, err := items[keyBody](ctx, c, "/api-keys", url.Values{}, 0)
	if err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, k := range all {
			expires := "never"
			if k.ExpiresAt != nil {
				expires = ago(*k.ExpiresAt)
			}
			row := plain(k.ID, k.Name)
			row = append(row, k.state())
			rows = append(rows, append(row, plain(grantWords(k.Grants), k.CreatedBy, ago(k.CreatedAt), expires)...))
		}
		a.table("There is no API key.", []string{"Id", "Name", "State", "Roles", "By", "Made", "Expires"}, rows)
	})
}

type keyCreate struct {
	Name    string `arg:"" name:"name" help:"Name, for people."`
	Role    string `help:"What it may do in --org and --project, or in the account: viewer, editor or admin." enum:"viewer,editor,admin" required:""`
	Expires string `help:"When it ends: a time such as 2027-01-31T00:00:00Z, or how long from now, such as 90d or 12h. Never by default." placeholder:"WHEN"`
}

// Run makes an API key and prints it.
func (cmd *keyCreate) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	body := map[string]any{"name": cmd.Name, "role": cmd.Role}
	if a.Org != "" {
		body["orgIdentifier"] = a.Org
	}
	if a.Project != "" {
		body["projectIdentifier"] = a.Project
	}
	if cmd.Expires != "" {
		at, err := moment(cmd.Expires, time.Now(), 1)
		if err != nil {
			return err
		}
		body["expiresAt"] = at
	}
	var made struct {
		Key   keyBody `json:"key"`
		Token string  `json:"token"` // shown once, which is what the command is for
	}
	if err := c.v1(ctx, http.MethodPost, "/api-keys", nil, body, &made); err != nil {
		return err
	}
	return a.print(made, func() {
		a.note("Made API key %q: %s. This is the only time that it is shown.", made.Key.Name, grantWords(made.Key.Grants))
		a.line("%s", made.Token)
	})
}

// moment reads a time, or a span before or after now by the sign of direction.
func moment(text string, now time.Time, direction time.Duration) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at.UTC(), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return now.Add(direction * time.Duration(n) * 24 * time.Hour).UTC(), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(direction * d).UTC(), nil
	}
	return time.Time{}, misusef("%q is no time; write 2027-01-31T00:00:00Z, 2027-01-31, 90d or 12h", text)
}

type keyRevoke struct {
	IDs []string `arg:"" name:"id" help:"Ids, as the list shows them."`
}

// Run revokes API keys.
func (cmd *keyRevoke) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for _, id := range cmd.IDs {
		if err := c.v1(ctx, http.MethodDelete, "/api-keys/"+url.PathEscape(id), nil, nil, nil); err != nil {
			return err
		}
		a.note("Revoked API key %s.", id)
	}
	return nil
}
