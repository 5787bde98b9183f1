package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

type delegateCmd struct {
	Run    delegateRun    `cmd:"" help:"Run a delegate, as its environment says."`
	List   delegateList   `cmd:"" help:"List delegates."`
	Ping   delegatePing   `cmd:"" help:"Send a task to a delegate and wait for its answer."`
	Choose delegateChoose `cmd:"" help:"Say which delegate would take work with these selectors, and why the others would not. Exit code 3 when none would."`
	Tag    delegateTag    `cmd:"" help:"Give all delegates of a name more tags, or show those that they were given."`
	Token  tokenCmd       `cmd:"" help:"Keep delegate tokens."`

	Manifest manifestCmd `cmd:"" help:"Write the file that installs a delegate, or find what is wrong with one."`
}

type delegateList struct{}

type delegateBody struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	HostName  string    `json:"hostName"`
	Tags      []string  `json:"tags"`
	Version   string    `json:"version"`
	Org       string    `json:"org"`
	Project   string    `json:"project"`
	Connected bool      `json:"connected"`
	LastSeen  time.Time `json:"lastSeen"`
	Revoked   bool      `json:"tokenRevoked"`
	Draining  bool      `json:"draining"`
	Busy      string    `json:"busy"`
}

func (d delegateBody) word() cell {
	switch {
	case d.Revoked:
		return cell{"Token revoked", breaks}
	case !d.Connected:
		return cell{"Silent", breaks}
	case d.Draining:
		return cell{"Draining", warns}
	case d.Busy != "":
		return cell{"At its limit", warns}
	}
	return cell{"Live", holds}
}

// Run lists delegates.
func (*delegateList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	raws, err := items[json.RawMessage](ctx, c, "/delegates", q, 0)
	if err != nil {
		return err
	}
	if err := a.inhabited(ctx, len(raws)); err != nil {
		return err
	}
	return a.print(raws, func() {
		var trouble, rest [][]cell
		for _, raw := range raws {
			var d delegateBody
			if json.Unmarshal(raw, &d) != nil {
				continue
			}
			row := plain(d.Name)
			row = append(row, d.word())
			row = append(row, plain(ago(d.LastSeen), d.HostName, strings.Join(d.Tags, ", "), d.Version, scopeWord(d.Org, d.Project), d.Busy)...)
			if d.word().paint == holds {
				rest = append(rest, row)
			} else {
				trouble = append(trouble, row)
			}
		}
		a.table("There is no delegate here. `belay delegate token create NAME` makes the token that one needs.",
			[]string{"Name", "State", "Heard", "Host", "Tags", "Version", "Scope", "Reason"}, append(trouble, rest...))
	})
}

type delegatePing struct {
	Name string `arg:"" name:"delegate" help:"Name."`
}

// Run sends a task there and back.
func (cmd *delegatePing) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	var pong struct {
		Delegate    string  `json:"delegate"`
		HostName    string  `json:"hostName"`
		Version     string  `json:"version"`
		RoundTripMS float64 `json:"roundTripMs"`
	}
	if err := c.v1(ctx, http.MethodPost, "/delegates/"+url.PathEscape(cmd.Name)+"/ping", q, nil, &pong); err != nil {
		return err
	}
	return a.print(pong, func() {
		a.line("%s on %s, version %s, answered in %s.", pong.Delegate, pong.HostName, pong.Version, fmt.Sprintf("%.4g ms", pong.RoundTripMS))
	})
}

type delegateChoose struct {
	Selector []string `help:"Tag that the delegate must have. May be given more than once." placeholder:"TAG"`
}

// Run explains the choice.
func (cmd *delegateChoose) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	q["selector"] = cmd.Selector
	var choice struct {
		Sentence string   `json:"sentence"`
		Eligible []string `json:"eligible"`
		Opinions []struct {
			Delegate string `json:"delegate"`
			HostName string `json:"hostName"`
			Verdict  string `json:"verdict"`
			Reason   string `json:"reason"`
		} `json:"opinions"`
	}
	if err := c.v1(ctx, http.MethodGet, "/delegates/choice", q, nil, &choice); err != nil {
		return err
	}
	err = a.print(choice, func() {
		if choice.Sentence != "" {
			a.line("%s", choice.Sentence)
		}
		var rows [][]cell
		for _, o := range choice.Opinions {
			rows = append(rows, plain(o.Delegate, o.HostName, o.Verdict, o.Reason))
		}
		a.table("There is no delegate here.", []string{"Delegate", "Host", "Verdict", "Reason"}, rows)
	})
	if err == nil && len(choice.Eligible) == 0 {
		return exit{Different}
	}
	return err
}

type delegateTag struct {
	Name    string   `arg:"" name:"delegate" help:"Name."`
	Tags    []string `arg:"" optional:"" name:"tag" help:"Tags to give. None shows those that were given."`
	Replace bool     `xor:"how" help:"Give these tags in place of those given before."`
	Clear   bool     `xor:"how" help:"Take all given tags away."`
}

// Run gives tags. They count as selectors beside those that the delegates say themselves, also when these come anew.
func (cmd *delegateTag) Run(ctx context.Context, a *app) error {
	method := http.MethodGet
	switch {
	case cmd.Clear && len(cmd.Tags) > 0:
		return misusef("--clear takes all tags away; name none")
	case cmd.Clear:
		method = http.MethodDelete
	case cmd.Replace && len(cmd.Tags) == 0:
		return misusef("--replace needs tags; --clear takes all away")
	case cmd.Replace:
		method = http.MethodPut
	case len(cmd.Tags) > 0:
		method = http.MethodPost
	}
	var body any
	if len(cmd.Tags) > 0 {
		body = nextgen.DelegateGroupTags{Tags: cmd.Tags}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	var group struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if err := c.ng(ctx, method, "/delegate-group-tags/"+url.PathEscape(cmd.Name), q, body, &group); err != nil {
		return err
	}
	return a.print(group, func() {
		if len(group.Tags) == 0 {
			a.note("Delegates %s have no tags but their own.", group.Name)
			return
		}
		a.line("%s", strings.Join(group.Tags, ", "))
	})
}

type tokenCmd struct {
	List   tokenList   `cmd:"" help:"List delegate tokens, without their values."`
	Create tokenCreate `cmd:"" help:"Make a delegate token."`
	Show   tokenShow   `cmd:"" help:"Print the value of a delegate token. It is audited."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a delegate token; its delegates are cut off at once."`
	Delete tokenDelete `cmd:"" help:"Delete a revoked delegate token."`
}

const tokenPath = "/delegate-token-ng"

// tokenBody is a token without its value, whatever the API answers.
type tokenBody struct {
	Name        string `json:"name"`
	Status      string `json:"status"`
	Owner       string `json:"ownerIdentifier,omitempty"`
	CreatedAt   int64  `json:"createdAt"`
	RevokeAfter int64  `json:"revokeAfter,omitempty"`
}

type tokenList struct{}

// Run lists delegate tokens.
func (*tokenList) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	all := []tokenBody{}
	if err := c.ng(ctx, http.MethodGet, tokenPath, q, nil, &all); err != nil {
		return err
	}
	if err := a.inhabited(ctx, len(all)); err != nil {
		return err
	}
	return a.print(all, func() {
		var rows [][]cell
		for _, t := range all {
			state := cell{"Active", holds}
			if t.Status != "ACTIVE" {
				state = cell{"Revoked", faint}
			}
			ends := "never"
			if t.RevokeAfter > 0 {
				ends = ago(milliseconds(t.RevokeAfter))
			}
			rows = append(rows, append(append(plain(t.Name), state), plain(ago(milliseconds(t.CreatedAt)), ends)...))
		}
		a.table("There is no delegate token here. `belay delegate token create NAME` makes one.", []string{"Name", "State", "Made", "Ends"}, rows)
	})
}

// token changes a token.
func (a *app) token(ctx context.Context, method, name string, extra url.Values) (tokenBody, error) {
	var t tokenBody
	c, err := a.client()
	if err != nil {
		return t, err
	}
	q := a.at()
	q.Set("tokenName", name)
	maps.Copy(q, extra)
	if method == http.MethodDelete {
		return t, c.ng(ctx, method, tokenPath, q, nil, nil)
	}
	return t, c.ng(ctx, method, tokenPath, q, nil, &t)
}

type tokenCreate struct {
	Name    string `arg:"" name:"token" help:"Name."`
	Expires string `help:"When it ends, such as 90d or 2027-01-31. Never by default." placeholder:"WHEN"`
}

// Run makes a delegate token.
func (cmd *tokenCreate) Run(ctx context.Context, a *app) error {
	extra := url.Values{}
	if cmd.Expires != "" {
		at, err := moment(cmd.Expires, time.Now(), 1)
		if err != nil {
			return err
		}
		extra.Set("revokeAfter", strconv.FormatInt(at.UnixMilli(), 10))
	}
	t, err := a.token(ctx, http.MethodPost, cmd.Name, extra)
	if err != nil {
		return err
	}
	return a.print(t, func() {
		a.note("Made delegate token %s. `belay delegate token show %s` prints its value.", cmd.Name, a.named(cmd.Name))
	})
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("-_./:@%+=,", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// named is how a command names a thing of this scope.
func (a *app) named(id string) string {
	return strings.TrimSpace(quoted(id) + " " + scopeFlags(scope.Scope{Org: a.Org, Project: a.Project}))
}

type tokenShow struct {
	Name string `arg:"" name:"token" help:"Name."`
}

// Run prints the value of a token, for the one who installs a delegate.
func (cmd *tokenShow) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	var t struct {
		Name  string         `json:"name"`
		Value nextgen.Hidden `json:"value"`
	}
	if err := c.v1(ctx, http.MethodGet, "/delegate-tokens/"+url.PathEscape(cmd.Name)+"/value", q, nil, &t); err != nil {
		return err
	}
	return a.print(t, func() { a.line("%s", string(t.Value)) })
}

type tokenRevoke struct {
	Name string `arg:"" name:"token" help:"Name."`
}

// Run revokes a delegate token.
func (cmd *tokenRevoke) Run(ctx context.Context, a *app) error {
	t, err := a.token(ctx, http.MethodPut, cmd.Name, nil)
	if err != nil {
		return err
	}
	return a.print(t, func() { a.note("Revoked delegate token %s. Its delegates are cut off.", cmd.Name) })
}

type tokenDelete struct {
	Name string `arg:"" name:"token" help:"Name."`
}

// Run deletes a delegate token.
func (cmd *tokenDelete) Run(ctx context.Context, a *app) error {
	if _, err := a.token(ctx, http.MethodDelete, cmd.Name, nil); err != nil {
		return err
	}
	a.note("Deleted delegate token %s.", cmd.Name)
	return nil
}
