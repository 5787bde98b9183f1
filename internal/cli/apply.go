package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/scope"
)

// applyFlags are the flags of every apply.
type applyFlags struct {
	Files       []string `short:"f" name:"file" sep:"none" required:"" placeholder:"FILE" help:"File or folder; - is standard input. May be given more than once."`
	DryRun      bool     `help:"Only say what would change. Exit code 3 when something would."`
	Test        bool     `help:"Test the connectors afterwards. Exit code 3 when one fails."`
	MaxDocument int      `help:"Bytes that one document may have." default:"1048576"`
}

type applyCmd struct {
	applyFlags `embed:""`
}

// Run makes entities of any kind.
func (cmd *applyCmd) Run(ctx context.Context, a *app) error { return a.apply(ctx, cmd.applyFlags, "") }

type connectorApply struct {
	applyFlags `embed:""`
}

// Run makes connectors.
func (cmd *connectorApply) Run(ctx context.Context, a *app) error {
	return a.apply(ctx, cmd.applyFlags, document.Connector)
}

// applied is what came of one entity.
type applied struct {
	Kind     document.Kind   `json:"kind"`
	ID       string          `json:"identifier"`
	Org      string          `json:"orgIdentifier,omitempty"`
	Project  string          `json:"projectIdentifier,omitempty"`
	File     string          `json:"file"`
	Action   string          `json:"action"` // created, changed, unchanged, refused
	Changes  []change        `json:"changes,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Error    string          `json:"error,omitempty"`
	Test     json.RawMessage `json:"test,omitempty"`
}

// The actions.
const (
	created   = "created"
	changed   = "changed"
	unchanged = "unchanged"
	refused   = "refused"
)

// apply reads everything first, then makes it, and says of each entity what it did.
func (a *app) apply(ctx context.Context, flags applyFlags, only document.Kind) error {
	entities, problems := a.read(ctx, flags, only)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case len(problems) > 0:
		for _, p := range problems {
			a.note("%s", p)
		}
		a.note("belay: nothing was applied; %s to mend first.", count(len(problems), "problem", "problems"))
		return exit{Misused}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	// What others live in comes first.
	rank := []document.Kind{document.Organization, document.Project, document.Secret, document.Connector, document.Service, document.Environment, document.Infrastructure}
	slices.SortStableFunc(entities, func(x, y document.Entity) int {
		return slices.Index(rank, x.Kind) - slices.Index(rank, y.Kind)
	})
	all := []applied{}
	worst := Done
	var tests []testBody
	var stop error // what was done before is told all the same
	for _, e := range entities {
		done, err := a.applyOne(ctx, c, e, flags.DryRun, entities)
		switch {
		case fatal(err):
			stop = err
		case err != nil:
			done.Action, done.Error = refused, sentence(err)
			worst = worse(worst, codeOf(err))
		case flags.DryRun && done.Action != unchanged:
			worst = worse(worst, Different)
		}
		if stop != nil {
			break
		}
		if a.Output == "table" {
			a.showApplied(done, flags.DryRun)
		}
		if flags.Test && !flags.DryRun && e.Kind == document.Connector && done.Error == "" {
			trigger := "on-save"
			if done.Action == unchanged {
				trigger = "on-demand"
			}
			raw, t, err := a.test(ctx, c, e.ID, query(e.Scope), map[string]any{"trigger": trigger})
			if err != nil {
				stop = err
			} else {
				done.Test = raw
				tests = append(tests, t)
				if !t.passed() {
					worst = worse(worst, Different)
				}
			}
		}
		all = append(all, done)
		if stop != nil {
			break
		}
	}
	if stop != nil && len(all) == 0 {
		return stop
	}
	if err := a.print(all, func() {
		for _, t := range tests {
			a.line("")
			a.showTest(c, t)
		}
	}); err != nil {
		return err
	}
	if stop != nil {
		return stop
	}
	if worst != Done {
		return exit{worst}
	}
	return nil
}

// fatal reports whether trying the next entity is useless: the manager is away, or does not know the key.
func fatal(err error) bool {
	var r *refusal
	return err != nil && (!errors.As(err, &r) || r.status == http.StatusUnauthorized)
}

// read reads all files and finds all problems.
func (a *app) read(ctx context.Context, flags applyFlags, only document.Kind) ([]document.Entity, document.Problems) {
	reader := document.Reader{Scope: scope.Scope{Org: a.Org, Project: a.Project}, MaxDocument: flags.MaxDocument}
	var entities []document.Entity
	var problems document.Problems
	one := func(name string, r io.Reader) {
		found, wrong := reader.Read(name, r)
		entities = append(entities, found...)
		problems = append(problems, wrong...)
	}
	for _, name := range flags.Files {
		if name == "" {
			problems = append(problems, document.Problem{File: "--file", Message: "names no file; the name is empty"})
			continue
		}
		if name == "-" {
			one("standard input", input{ctx, a.In})
			continue
		}
		paths, err := files(name)
		if err != nil {
			problems = append(problems, document.Problem{File: name, Message: unreadable(err)})
			continue
		}
		for _, path := range paths {
			f, err := os.Open(path) //nolint:gosec // the user names the file
			if err != nil {
				problems = append(problems, document.Problem{File: path, Message: unreadable(err)})
				continue
			}
			one(path, f)
			_ = f.Close()
		}
	}
	problems = append(problems, document.Duplicates(entities)...)
	for _, e := range entities {
		if only != "" && e.Kind != only {
			problems = append(problems, document.Problem{
				File: e.File, Line: e.Line, Column: e.Column, Path: string(e.Kind),
				Message: fmt.Sprintf("this is no %s; `belay apply -f` takes every kind", only),
			})
		}
	}
	return entities, problems
}

func unreadable(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is not there"
	case errors.Is(err, fs.ErrPermission):
		return "cannot be read: this user may not"
	}
	return "cannot be read: " + err.Error()
}

// files are the YAML and JSON files under a name, in the order of their names. Hidden ones are passed over.
func files(name string) ([]string, error) {
	about, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !about.IsDir() {
		return []string{name}, nil
	}
	var paths []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != name && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		if strings.HasSuffix(path, sceneSuffix) {
			return nil // for the sandbox, which may lie beside what is applied
		}
		if ext := strings.ToLower(filepath.Ext(path)); slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			paths = append(paths, path)
		}
		return nil
	})
	if err == nil && len(paths) == 0 {
		err = errors.New("the folder holds no file that ends in .yaml, .yml or .json")
	}
	return paths, err
}

// route is where the API keeps a kind.
func route(e document.Entity) (collection, single string) {
	switch e.Kind {
	case document.Connector:
		return "/connectors", "/connectors/" + url.PathEscape(e.ID)
	case document.Secret:
		return "/v2/secrets", "/v2/secrets/" + url.PathEscape(e.ID)
	case document.Organization:
		return "/organizations", "/organizations/" + url.PathEscape(e.ID)
	case document.Service:
		return "/servicesV2", "/servicesV2/" + url.PathEscape(e.ID)
	case document.Environment:
		return "/environmentsV2", "/environmentsV2/" + url.PathEscape(e.ID)
	case document.Infrastructure:
		return "/infrastructures", "/infrastructures/" + url.PathEscape(e.ID)
	case document.Project:
	}
	return "/projects", "/projects/" + url.PathEscape(e.ID)
}

// applyOne brings one entity to what its document says.
func (a *app) applyOne(ctx context.Context, c *client, e document.Entity, dry bool, all []document.Entity) (applied, error) {
	done := applied{Kind: e.Kind, ID: e.ID, Org: e.Scope.Org, Project: e.Scope.Project, File: e.File, Warnings: e.Warnings}
	collection, single := route(e)
	var stored map[string]json.RawMessage
	where := query(e.Scope)
	if e.Within != "" {
		where.Set("environmentIdentifier", e.Within)
	}
	err := c.ng(ctx, http.MethodGet, single, where, nil, &stored)
	word, body := string(e.Kind), any(map[string]json.RawMessage{string(e.Kind): e.Body})
	switch e.Kind {
	case document.Service, document.Environment:
		body, single = e.Body, collection
	case document.Infrastructure:
		word, body, single = "infrastructure", e.Body, collection
	case document.Connector:
		single = collection
	case document.Secret, document.Organization, document.Project:
	}
	switch {
	case absent(err), err != nil && dry && !fatal(err) && comes(e, all):
		done.Action = created
		if e.Kind == document.Secret && !external(e) {
			return done, &refusal{status: http.StatusNotFound, endpoint: c.endpoint, message: fmt.Sprintf(
				"secret %s does not exist, and a file cannot hold its value. Make it with: belay secret set %s", e.ID, strings.TrimSpace(e.ID+" "+scopeFlags(e.Scope)))}
		}
		if dry {
			return done, nil
		}
		return done, c.ng(ctx, http.MethodPost, collection, query(e.Scope), body, nil)
	case err != nil:
		return done, err
	}
	done.Changes, err = difference(e, stored[word])
	if err != nil {
		return done, err
	}
	if len(done.Changes) == 0 {
		done.Action = unchanged
		return done, nil
	}
	done.Action = changed
	if dry {
		return done, nil
	}
	return done, c.ng(ctx, http.MethodPut, single, query(e.Scope), body, nil)
}

// comes reports whether the organization or project that an entity lives in is made by the same input.
func comes(e document.Entity, all []document.Entity) bool {
	return slices.ContainsFunc(all, func(o document.Entity) bool {
		return o.Kind == document.Organization && o.ID == e.Scope.Org ||
			o.Kind == document.Project && o.Scope.Org == e.Scope.Org && o.ID == e.Scope.Project
	})
}

// external reports whether a secret's value lies in another secret manager.
func external(e document.Entity) bool {
	var body struct {
		Spec struct {
			ValueType string `json:"valueType"`
		} `json:"spec"`
	}
	return json.Unmarshal(e.Body, &body) == nil && (body.Spec.ValueType == "Reference" || body.Spec.ValueType == "CustomSecretManagerValues")
}

func scopeFlags(at scope.Scope) string {
	var words []string
	if at.Org != "" {
		words = append(words, "--org", at.Org)
	}
	if at.Project != "" {
		words = append(words, "--project", at.Project)
	}
	return strings.Join(words, " ")
}

// change is one field that differs; nil is a field that is not there.
type change struct {
	Field string `json:"field"`
	Old   any    `json:"old"`
	New   any    `json:"new"`
}

// difference compares what is stored with what a document says.
func difference(e document.Entity, stored json.RawMessage) ([]change, error) {
	before, err := document.Canonical(e.Kind, stored)
	if err != nil {
		return nil, fmt.Errorf("the manager's %s %s: %w", e.Kind, e.ID, err)
	}
	after, err := document.Canonical(e.Kind, e.Body)
	if err != nil {
		return nil, err
	}
	if e.Kind == document.Project { // the manager fills these in
		for _, key := range []string{"color", "modules"} {
			if _, said := after[key]; !said {
				delete(before, key)
			}
		}
	}
	old, now := map[string]any{}, map[string]any{}
	flatten(old, "", before)
	flatten(now, "", after)
	keys := maps.Clone(old)
	maps.Copy(keys, now)
	var changes []change
	for _, k := range sorted(keys) {
		if o, n := text(old[k]), text(now[k]); o != n {
			one := change{k, old[k], now[k]}
			if strings.HasSuffix(k, "externalId") { // known to the two who share it
				one.Old, one.New = masked(one.Old), masked(one.New)
			}
			changes = append(changes, one)
		}
	}
	return changes, nil
}

func masked(v any) any {
	if v == nil {
		return nil
	}
	return "(set)"
}

// flatten gives every value its path. Lists stay whole.
func flatten(into map[string]any, path string, value any) {
	m, ok := value.(map[string]any)
	if !ok {
		into[path] = value
		return
	}
	for k, v := range m {
		at := k
		if path != "" {
			at = path + "." + k
		}
		flatten(into, at, v)
	}
}

// text is a value as a diff shows it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "(none)"
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = text(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

func (a *app) showApplied(done applied, dry bool) {
	mark, ink := "=", faint
	switch done.Action {
	case created:
		mark, ink = "+", added
	case changed:
		mark, ink = "~", warns
	case refused:
		mark, ink = "✗", breaks
	}
	action := done.Action
	if dry && (action == created || action == changed) {
		action = "would be " + action
	}
	where := ""
	if done.Org != "" {
		where = " (" + scopeWord(done.Org, done.Project) + ")"
	}
	a.line("%s %s %s%s  %s", a.painted(ink, mark), string(done.Kind), a.painted(bold, done.ID), where, a.painted(ink, action))
	for _, ch := range done.Changes {
		a.line("    %s: %s → %s", ch.Field, text(ch.Old), text(ch.New))
	}
	if done.Error != "" {
		a.note("    %s", strings.ReplaceAll(done.Error, "\n", "\n    "))
	}
	for _, w := range done.Warnings {
		a.note("    Attention: %s", w)
	}
}
