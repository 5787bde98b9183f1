package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

type secretCmd struct {
	List   secretList   `cmd:"" help:"List secrets. Their values are never shown."`
	Get    secretGet    `cmd:"" help:"Show a secret without its value."`
	Set    secretSet    `cmd:"" help:"Make a secret, or give it a new value."`
	Delete secretDelete `cmd:"" help:"Delete secrets."`
}

type secretList struct {
	Search string `help:"Part of name or identifier." placeholder:"TEXT"`
}

// Run lists secrets.
func (cmd *secretList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	if cmd.Search != "" {
		q.Set("searchTerm", cmd.Search)
	}
	all, err := pages[nextgen.SecretResponse](ctx, c, http.MethodGet, "/v2/secrets", q, nil)
	if err != nil {
		return err
	}
	if err := a.inhabited(ctx, len(all)); err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, s := range all {
			rows = append(rows, plain(s.Secret.Identifier, s.Secret.Name, kindWord(s), ago(milliseconds(s.UpdatedAt)), s.Secret.Description))
		}
		none := "There is no secret here. `belay secret set NAME` makes one."
		if cmd.Search != "" {
			none = "No secret fits."
		}
		a.table(none, []string{"Identifier", "Name", "Value", "Changed", "Description"}, rows)
	})
}

func kindWord(s nextgen.SecretResponse) string {
	if s.Secret.Spec.ValueType == string(secret.Reference) {
		return "in " + s.Secret.Spec.SecretManagerIdentifier
	}
	return "set"
}

type secretGet struct {
	ID string `arg:"" name:"secret" help:"Identifier."`
}

// Run shows a secret.
func (cmd *secretGet) Run(ctx context.Context, a *app) error {
	s, raw, err := a.secret(ctx, cmd.ID)
	if err != nil {
		return err
	}
	return a.print(raw, func() {
		a.fields(
			[2]string{"Name", s.Secret.Name}, [2]string{"Identifier", s.Secret.Identifier}, [2]string{"Description", s.Secret.Description},
			[2]string{"Scope", scopeWord(s.Secret.OrgIdentifier, s.Secret.ProjectIdentifier)}, [2]string{"Value", kindWord(s)},
			[2]string{"Made", ago(milliseconds(s.CreatedAt))}, [2]string{"Changed", ago(milliseconds(s.UpdatedAt))},
		)
	})
}

func (a *app) secret(ctx context.Context, id string) (nextgen.SecretResponse, json.RawMessage, error) {
	var raw json.RawMessage
	var s nextgen.SecretResponse
	c, err := a.client()
	if err != nil {
		return s, nil, err
	}
	q := a.at()
	if err := c.ng(ctx, http.MethodGet, "/v2/secrets/"+url.PathEscape(id), q, nil, &raw); err != nil {
		return s, nil, err
	}
	return s, raw, json.Unmarshal(raw, &s)
}

type secretSet struct {
	ID          string  `arg:"" name:"secret" help:"Identifier."`
	Name        string  `help:"Name; the identifier by default." placeholder:"TEXT"`
	Description *string `help:"What it is for." placeholder:"TEXT"`
	ValueFile   string  `help:"File with the value. Without it the value is read from standard input, or asked for." type:"existingfile" placeholder:"FILE"`
}

// Help says where the value comes from.
func (*secretSet) Help() string {
	return "The value is never an argument, since others on the machine could read it there. One line break at its end is taken off."
}

// Run makes a secret, or changes it.
func (cmd *secretSet) Run(ctx context.Context, a *app) error {
	if p := scope.CheckSecretIdentifier(cmd.ID); p != "" {
		return misusef("the identifier %s", p)
	}
	value, err := cmd.value(ctx, a)
	if err != nil {
		return err
	}
	before, _, err := a.secret(ctx, cmd.ID)
	method, path, verb := http.MethodPut, "/v2/secrets/"+url.PathEscape(cmd.ID), "Changed"
	body := before.Secret
	switch {
	case absent(err):
		method, path, verb = http.MethodPost, "/v2/secrets", "Made"
		body = nextgen.Secret{Type: nextgen.TypeSecretText, Identifier: cmd.ID, Name: cmd.ID, OrgIdentifier: a.Org, ProjectIdentifier: a.Project}
	case err != nil:
		return err
	}
	if cmd.Name != "" {
		body.Name = cmd.Name
	}
	if cmd.Description != nil {
		body.Description = *cmd.Description
	}
	body.Spec.SecretManagerIdentifier, body.Spec.ValueType = secret.BuiltInManager, string(secret.Inline)
	body.Spec.Value = new(nextgen.Hidden(value.Reveal()))
	c, err := a.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := c.ng(ctx, method, path, a.at(), nextgen.SecretEnvelope{Secret: body}, &raw); err != nil {
		return err
	}
	return a.print(raw, func() { a.note("%s secret %s.", verb, cmd.ID) })
}

// value reads the value from the file, from standard input, or from the keyboard without showing it.
func (cmd *secretSet) value(ctx context.Context, a *app) (secret.Value, error) {
	var text []byte
	var err error
	in, isFile := a.In.(*os.File)
	switch {
	case cmd.ValueFile != "":
		var f *os.File
		if f, err = os.Open(cmd.ValueFile); err != nil {
			return secret.Value{}, misuse(err)
		}
		text, err = io.ReadAll(io.LimitReader(f, secret.MaxValue+3))
		err = errors.Join(err, f.Close())
	case isFile && terminal(in):
		_, _ = fmt.Fprintf(a.Err, "Value of %s: ", cmd.ID)
		text, err = password(ctx, in)
		_, _ = fmt.Fprintln(a.Err)
	default:
		text, err = io.ReadAll(io.LimitReader(input{ctx, a.In}, secret.MaxValue+3))
	}
	switch {
	case errors.Is(err, errInterrupted):
		return secret.Value{}, err
	case err != nil:
		return secret.Value{}, misusef("the value cannot be read: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) == 0:
		return secret.Value{}, misusef("the value is empty. Give it on standard input: printf %%s \"$VALUE\" | belay secret set %s", a.named(cmd.ID))
	case len(text) > secret.MaxValue:
		return secret.Value{}, misusef("the value has more than %d bytes", secret.MaxValue)
	}
	return secret.NewValue(string(text)), nil
}

type secretDelete struct {
	IDs   []string `arg:"" name:"secret" help:"Identifiers."`
	Force bool     `help:"Also when connectors refer to it."`
}

// Run deletes secrets.
func (cmd *secretDelete) Run(ctx context.Context, a *app) error {
	extra := url.Values{}
	if cmd.Force {
		extra.Set("forceDelete", "true")
	}
	return a.deleteEach(ctx, "secret", "/v2/secrets/", cmd.IDs, extra)
}
