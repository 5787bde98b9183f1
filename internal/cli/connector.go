package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/document"
)

type connectorCmd struct {
	List       connectorList       `cmd:"" help:"List connectors, failing ones first."`
	Get        connectorGet        `cmd:"" help:"Show a connector."`
	Apply      connectorApply      `cmd:"" help:"Make connectors as files describe them."`
	Preflight  connectorPreflight  `cmd:"" help:"Ask whether the identity has what capabilities need. Exit code 3 unless it does."`
	Preflights connectorPreflights `cmd:"" help:"List the preflights of a connector."`
	Test       connectorTest       `cmd:"" help:"Test connections. Exit code 3 when one fails."`
	History    connectorHistory    `cmd:"" help:"List the tests of a connector."`
	Export     connectorExport     `cmd:"" help:"Write connectors as YAML that can be applied."`
	Delete     connectorDelete     `cmd:"" help:"Delete connectors."`
}

// connectorBody is a connector as the API answers it. Raw keeps all of it.
type connectorBody struct {
	Connector json.RawMessage `json:"connector"`
	Status    *struct {
		Status         string `json:"status"`
		Summary        string `json:"errorSummary"`
		TestedAt       int64  `json:"testedAt"`
		LastConnection int64  `json:"lastConnectedAt"`
	} `json:"status"`
	CreatedAt  int64 `json:"createdAt"`
	ModifiedAt int64 `json:"lastModifiedAt"`
}

// connectorView is what is shown of a connector.
type connectorView struct {
	Name        string            `json:"name"`
	Identifier  string            `json:"identifier"`
	Description string            `json:"description"`
	Org         string            `json:"orgIdentifier"`
	Project     string            `json:"projectIdentifier"`
	Tags        map[string]string `json:"tags"`
	Spec        struct {
		Credential struct {
			Type string `json:"type"`
			Spec struct {
				AccessKey       string `json:"accessKey"`
				AccessKeyRef    string `json:"accessKeyRef"`
				SecretKeyRef    string `json:"secretKeyRef"`
				SessionTokenRef string `json:"sessionTokenRef"`
				RoleARN         string `json:"iamRoleArn"`
			} `json:"spec"`
			Cross *struct {
				RoleARN    string `json:"crossAccountRoleArn"`
				ExternalID string `json:"externalId"`
			} `json:"crossAccountAccess"`
			Region string `json:"region"`
		} `json:"credential"`
		Selectors []string `json:"delegateSelectors"`
		Backoff   *struct {
			Type string `json:"type"`
		} `json:"awsSdkClientBackOffStrategyOverride"`
	} `json:"spec"`
}

// view reads what is shown. The whole answer stays available to -o json.
func view(raw json.RawMessage) (connectorBody, connectorView, error) {
	var b connectorBody
	var v connectorView
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, v, fmt.Errorf("the manager's connector cannot be read: %w", err)
	}
	if err := json.Unmarshal(b.Connector, &v); err != nil {
		return b, v, fmt.Errorf("the manager's connector cannot be read: %w", err)
	}
	return b, v, nil
}

// statusWord is a status as the pages say it.
func (b connectorBody) statusWord() cell {
	if b.Status == nil {
		return cell{"Not tested", faint}
	}
	switch b.Status.Status {
	case "SUCCESS":
		return cell{"Connected", holds}
	case "FAILURE":
		return cell{"Failing", breaks}
	case "PARTIAL":
		return cell{"Attention", warns}
	}
	return cell{"Not tested", faint}
}

func (b connectorBody) rank() int {
	if b.Status == nil {
		return 2
	}
	switch b.Status.Status {
	case "FAILURE":
		return 0
	case "PARTIAL":
		return 1
	case "SUCCESS":
		return 3
	}
	return 2
}

type connectorList struct {
	Search string            `help:"Part of name, identifier or description." placeholder:"TEXT"`
	Status []string          `help:"Only these: connected, failing, attention, untested." enum:"connected,failing,attention,untested" placeholder:"WORD"`
	Tag    map[string]string `help:"Only those with this tag." placeholder:"KEY=VALUE"`
}

// Run lists connectors.
func (cmd *connectorList) Run(ctx context.Context, a *app) error {
	filter := map[string]any{"filterType": "Connector", "types": []string{"Aws"}}
	words := map[string]string{"connected": "SUCCESS", "failing": "FAILURE", "attention": "PARTIAL", "untested": "UNKNOWN"}
	var statuses []string
	for _, s := range cmd.Status {
		statuses = append(statuses, words[s])
	}
	if statuses != nil {
		filter["connectivityStatuses"] = statuses
	}
	if len(cmd.Tag) > 0 {
		filter["tags"] = cmd.Tag
	}
	all, err := a.connectors(ctx, filter, cmd.Search)
	if err != nil {
		return err
	}
	type row struct {
		b connectorBody
		v connectorView
	}
	rows := make([]row, len(all))
	for i, raw := range all {
		if rows[i].b, rows[i].v, err = view(raw); err != nil {
			return err
		}
	}
	slices.SortStableFunc(rows, func(x, y row) int { return cmp.Compare(x.b.rank(), y.b.rank()) })
	return a.print(all, func() {
		var cells [][]cell
		for _, r := range rows {
			reason, tested := "", time.Time{}
			if r.b.Status != nil {
				tested = milliseconds(r.b.Status.TestedAt)
				if r.b.rank() < 2 {
					reason = shorten(r.b.Status.Summary)
				}
			}
			line := plain(r.v.Identifier, r.v.Name)
			line = append(line, r.b.statusWord())
			line = append(line, plain(credentialWord(r.v), r.v.Spec.Credential.Region, strings.Join(r.v.Spec.Selectors, ", "), ago(tested), reason)...)
			cells = append(cells, line)
		}
		none := "There is no connector here. `belay connector apply -f FILE` makes one."
		if cmd.Search != "" || statuses != nil || len(cmd.Tag) > 0 {
			none = "No connector fits."
		}
		a.table(none,
			[]string{"Identifier", "Name", "Status", "Credential", "Region", "Selectors", "Tested", "Reason"}, cells)
	})
}

// credentialWord is how a connector gets its credentials, as people say it.
func credentialWord(v connectorView) string {
	word := v.Spec.Credential.Type
	switch word {
	case "ManualConfig":
		word = "access key"
	case "InheritFromDelegate":
		word = "delegate's role"
	case "Irsa":
		word = "IRSA"
	case "OidcAuthentication":
		word = "OIDC"
	}
	if v.Spec.Credential.Cross != nil {
		word += " → role"
	}
	return word
}

func shorten(text string) string {
	const most = 80
	if r := []rune(oneLine(text)); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return oneLine(text)
}

// connectors lists those of the scope.
func (a *app) connectors(ctx context.Context, filter map[string]any, search string) ([]json.RawMessage, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	q := a.at()
	if search != "" {
		q.Set("searchTerm", search)
	}
	all, err := pages[json.RawMessage](ctx, c, http.MethodPost, "/connectors/listV2", q, filter)
	if err != nil {
		return nil, err
	}
	return all, a.inhabited(ctx, len(all))
}

type connectorGet struct {
	ID string `arg:"" name:"connector" help:"Identifier."`
}

// Run shows a connector.
func (cmd *connectorGet) Run(ctx context.Context, a *app) error {
	raw, err := a.connector(ctx, cmd.ID)
	if err != nil {
		return err
	}
	b, v, err := view(raw)
	if err != nil {
		return err
	}
	return a.print(raw, func() { a.showConnector(b, v) })
}

func (a *app) connector(ctx context.Context, id string) (json.RawMessage, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	q := a.at()
	var raw json.RawMessage
	return raw, c.ng(ctx, http.MethodGet, "/connectors/"+url.PathEscape(id), q, nil, &raw)
}

func (a *app) showConnector(b connectorBody, v connectorView) {
	status := b.statusWord()
	tested := ""
	reason := ""
	if b.Status != nil && b.Status.TestedAt != 0 {
		tested = ", " + ago(milliseconds(b.Status.TestedAt))
		reason = b.Status.Summary
	}
	k := v.Spec.Credential
	cross, external := "", ""
	if k.Cross != nil {
		cross = k.Cross.RoleARN
		if k.Cross.ExternalID != "" {
			external = "set"
		}
	}
	backoff := ""
	if v.Spec.Backoff != nil {
		backoff = strings.TrimSuffix(v.Spec.Backoff.Type, "BackoffStrategy")
	}
	keys := make([]string, 0, len(v.Tags))
	for _, t := range sorted(v.Tags) {
		keys = append(keys, strings.TrimSuffix(t+":"+v.Tags[t], ":"))
	}
	a.fields(
		[2]string{"Name", v.Name},
		[2]string{"Identifier", v.Identifier},
		[2]string{"Description", v.Description},
		[2]string{"Scope", scopeWord(v.Org, v.Project)},
		[2]string{"Status", status.text + tested},
		[2]string{"Reason", reason},
		[2]string{"Credential", credentialWord(v)},
		[2]string{"Access key", cmp.Or(k.Spec.AccessKey, k.Spec.AccessKeyRef)},
		[2]string{"Secret key", k.Spec.SecretKeyRef},
		[2]string{"Session token", k.Spec.SessionTokenRef},
		[2]string{"Role", k.Spec.RoleARN},
		[2]string{"Cross-account role", cross},
		[2]string{"External id", external},
		[2]string{"Test region", k.Region},
		[2]string{"Selectors", strings.Join(v.Spec.Selectors, ", ")},
		[2]string{"Backoff", backoff},
		[2]string{"Tags", strings.Join(keys, ", ")},
		[2]string{"Changed", ago(milliseconds(b.ModifiedAt))},
	)
}

func scopeWord(org, project string) string {
	switch {
	case project != "":
		return org + "/" + project
	case org != "":
		return org
	}
	return "account"
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type connectorDelete struct {
	IDs []string `arg:"" name:"connector" help:"Identifiers."`
}

// Run deletes connectors.
func (cmd *connectorDelete) Run(ctx context.Context, a *app) error {
	return a.deleteEach(ctx, "connector", "/connectors/", cmd.IDs, nil)
}

// deleteEach deletes things by their identifiers, and stops at the first that stays.
func (a *app) deleteEach(ctx context.Context, kind, path string, ids []string, extra url.Values) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for _, id := range ids {
		q := a.at()
		maps.Copy(q, extra)
		if err := c.ng(ctx, http.MethodDelete, path+url.PathEscape(id), q, nil, nil); err != nil {
			return err
		}
		a.note("Deleted %s %s.", kind, id)
	}
	return nil
}

type connectorExport struct {
	IDs []string `arg:"" name:"connector" optional:"" help:"Identifiers; all of the scope by default."`
}

// Run writes connectors as files hold them.
func (cmd *connectorExport) Run(ctx context.Context, a *app) error {
	var all []json.RawMessage
	if len(cmd.IDs) == 0 {
		var err error
		if all, err = a.connectors(ctx, map[string]any{"filterType": "Connector", "types": []string{"Aws"}}, ""); err != nil {
			return err
		}
	}
	for _, id := range cmd.IDs {
		raw, err := a.connector(ctx, id)
		if err != nil {
			return err
		}
		all = append(all, raw)
	}
	var bodies []map[string]any
	var out bytes.Buffer
	for i, raw := range all {
		var b connectorBody
		var body map[string]any
		if err := json.Unmarshal(raw, &b); err != nil {
			return err
		}
		if err := json.Unmarshal(b.Connector, &body); err != nil {
			return err
		}
		bodies = append(bodies, map[string]any{"connector": document.Prune(body)})
		if i > 0 {
			out.WriteString("---\n")
		}
		if err := document.Write(&out, document.Connector, b.Connector); err != nil {
			return err
		}
	}
	if a.Output == "json" {
		return a.print(bodies, nil)
	}
	if len(all) == 0 {
		a.note("There is no connector here.")
	}
	_, err := a.Out.Write(out.Bytes())
	return err
}

type connectorHistory struct {
	ID    string `arg:"" name:"connector" help:"Identifier."`
	Limit int    `help:"How many, newest first." default:"20"`
}

// Run lists the tests of a connector.
func (cmd *connectorHistory) Run(ctx context.Context, a *app) error {
	if cmd.Limit < 1 {
		return misusef("--limit is %d; 1 or more are listed", cmd.Limit)
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	q := a.at()
	q.Set("limit", strconv.Itoa(cmd.Limit))
	var list cursor[json.RawMessage]
	if err := c.v1(ctx, http.MethodGet, "/connectors/"+url.PathEscape(cmd.ID)+"/tests", q, nil, &list); err != nil {
		return err
	}
	if list.Items == nil {
		list.Items = []json.RawMessage{}
	}
	tests := make([]testBody, len(list.Items))
	for i, raw := range list.Items {
		if err := json.Unmarshal(raw, &tests[i]); err != nil {
			return err
		}
	}
	return a.print(list.Items, func() {
		var rows [][]cell
		for _, t := range tests {
			row := plain(t.StartedAt.Local().Format(time.DateTime))
			row = append(row, t.word())
			code, cause := "", ""
			if t.Diagnosis != nil {
				code, cause = t.Diagnosis.Code, shorten(t.Diagnosis.Cause)
			}
			rows = append(rows, append(row, plain(t.Trigger, t.By, t.Delegate, took(t.TookMS), code, cause)...))
		}
		a.table("This connector was never tested. `belay connector test "+a.named(cmd.ID)+"` does it.",
			[]string{"Started", "Result", "Trigger", "By", "Delegate", "Took", "Code", "Cause"}, rows)
	})
}
