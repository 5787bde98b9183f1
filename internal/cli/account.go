package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/org"
)

type accountCmd struct {
	List     accountList   `cmd:"" help:"List the accounts."`
	Create   accountCreate `cmd:"" help:"Make an account with an administrator's key, which is shown once."`
	AdminKey accountKey    `cmd:"" name:"admin-key" help:"Make a new administrator's key for an account, for when the old one is lost."`
}

// dataFlags say where the manager's data is. These commands work on it directly: who may read the master key needs no
// API key.
type dataFlags struct {
	Data     string `help:"Data folder of the manager; $XDG_DATA_HOME/belay by default." type:"path" placeholder:"FOLDER"`
	Database string `help:"postgres://…; the SQLite file in the data folder by default, with no manager running." placeholder:"URL"`
}

// open opens the manager's data without serving it.
func (f dataFlags) open(ctx context.Context, a *app) (*manager.Manager, error) {
	serve := serveFlags{Data: f.Data, Database: f.Database, Listen: "127.0.0.1:0"}
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := serve.config(a, log)
	if err != nil {
		return nil, err
	}
	if f.Database == "" {
		if _, err := os.Stat(filepath.Join(c.Data, "belay.db")); err != nil {
			return nil, misusef("no manager has worked with %s yet. Start one with `belay up` or `belay manager`; it makes the first account", c.Data)
		}
	}
	m, err := manager.New(ctx, c)
	if err != nil {
		return nil, withCause(err)
	}
	if s := m.Started(); !s.AdminKey.IsZero() { // the first start was cut off before it told the key
		a.note("Account %s has got its first administrator's key: %s", s.Account, s.AdminKey.Reveal())
	}
	return m, nil
}

type accountBody struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	AdminKey  string    `json:"adminKey,omitempty"` // shown once, which is what the command is for
}

type accountList struct {
	dataFlags `embed:""`
}

// Run lists accounts.
func (cmd *accountList) Run(ctx context.Context, a *app) (err error) {
	m, err := cmd.open(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	all, err := m.Orgs.Accounts(ctx)
	if err != nil {
		return err
	}
	bodies := []accountBody{}
	for _, one := range all {
		bodies = append(bodies, accountBody{ID: one.ID, Name: one.Name, CreatedAt: one.CreatedAt})
	}
	return a.print(bodies, func() {
		var rows [][]cell
		for _, one := range bodies {
			rows = append(rows, plain(one.ID, one.Name, ago(one.CreatedAt)))
		}
		a.table("There is no account.", []string{"Id", "Name", "Made"}, rows)
	})
}

type accountCreate struct {
	Name      string `arg:"" name:"name" help:"Name, for people."`
	dataFlags `embed:""`
}

// Run makes an account.
func (cmd *accountCreate) Run(ctx context.Context, a *app) (err error) {
	m, err := cmd.open(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	made, err := m.Orgs.CreateAccount(ctx, cmd.Name)
	if err != nil {
		return err
	}
	if _, _, err := m.Tokens.Bootstrap(ctx, made.ID); err != nil {
		return err
	}
	return a.adminKey(ctx, m, made, "Made account")
}

// adminKey makes a key and shows it.
func (a *app) adminKey(ctx context.Context, m *manager.Manager, account org.Account, what string) error {
	_, key, err := m.Identity.Bootstrap(ctx, account.ID, "admin")
	if err != nil {
		return err
	}
	body := accountBody{ID: account.ID, Name: account.Name, CreatedAt: account.CreatedAt, AdminKey: key.Reveal()}
	return a.print(body, func() {
		a.note("%s %s (%s). Its administrator's key is shown this once.", what, account.ID, account.Name)
		a.line("%s", body.AdminKey)
	})
}

type accountKey struct {
	ID        string `arg:"" name:"account" optional:"" help:"Id; the first account by default."`
	dataFlags `embed:""`
}

// Run makes an administrator's key. Older keys stay; `belay api-key revoke` ends them.
func (cmd *accountKey) Run(ctx context.Context, a *app) (err error) {
	m, err := cmd.open(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	all, err := m.Orgs.Accounts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(o org.Account) bool { return o.ID == cmd.ID || cmd.ID == "" })
	if i < 0 {
		return misusef("there is no account %s here; `belay account list` shows them", cmd.ID)
	}
	return a.adminKey(ctx, m, all[i], "Made a key for account")
}
