package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/oidc"
)

type oidcCmd struct {
	Show        oidcShow   `cmd:"" help:"Show the account's issuer and its signing keys."`
	Set         oidcSet    `cmd:"" help:"Set where the issuer's documents are hosted, and the audience of its tokens."`
	TrustPolicy oidcTrust  `cmd:"" name:"trust-policy" help:"Print the trust policy of a connector's role."`
	Token       oidcToken  `cmd:"" help:"Mint a token of a connector, to look at it or to try it by hand."`
	JWKS        oidcJWKS   `cmd:"" name:"jwks" help:"Print the key set."`
	Rotate      oidcRotate `cmd:"" help:"Let the next signing key sign from now on."`
	Export      oidcExport `cmd:"" help:"Write discovery document and key set for hosting elsewhere, on S3 or a CDN."`
	Check       oidcCheck  `cmd:"" help:"Fetch what AWS would fetch. Exit code 3 when AWS would fail."`
}

type issuerBody struct {
	Issuer          string       `json:"issuer"`
	ManagerIssuer   string       `json:"managerIssuer"`
	Hosted          bool         `json:"hosted"`
	Audience        string       `json:"audience"`
	EnhancedSubject bool         `json:"enhancedSubject"`
	Keys            []signingKey `json:"keys"`
}

type signingKey struct {
	ID        string     `json:"id"`
	Algorithm string     `json:"algorithm"`
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"createdAt"`
	SignsFrom time.Time  `json:"signsFrom"`
	GoneAt    *time.Time `json:"goneAt"`
}

// signs is the key that signs now.
func (i issuerBody) signs() string {
	for _, k := range i.Keys {
		if k.State == "active" {
			return k.ID
		}
	}
	return ""
}

func (k signingKey) word() cell {
	switch k.State {
	case "active":
		return cell{"Active", holds}
	case "next":
		return cell{"Next", ""}
	case "retiring":
		return cell{"Retiring", faint}
	}
	return cell{text: k.State}
}

// showIssuer writes an issuer for people.
func (a *app) showIssuer(i issuerBody) {
	subject := "the account"
	if i.EnhancedSubject {
		subject = "account, organization and project"
	}
	served := ""
	if i.Hosted {
		served = i.ManagerIssuer
	}
	a.fields([2]string{"Issuer", i.Issuer}, [2]string{"Manager", served}, [2]string{"Audience", i.Audience}, [2]string{"Subject", subject})
	a.line("")
	var rows [][]cell
	for _, k := range i.Keys {
		gone := ""
		if k.GoneAt != nil {
			gone = ago(*k.GoneAt)
		}
		row := plain(k.ID, k.Algorithm)
		rows = append(rows, append(append(row, k.word()), plain(ago(k.SignsFrom), gone)...))
	}
	a.table("There is no signing key.", []string{"Key", "Algorithm", "State", "Signs", "Gone"}, rows)
}

type oidcShow struct{}

// Run shows the issuer.
func (*oidcShow) Run(ctx context.Context, a *app) error {
	i, err := a.issuer(ctx, http.MethodGet, "/oidc", nil)
	if err != nil {
		return err
	}
	return a.print(i, func() { a.showIssuer(i) })
}

// issuer calls what answers with the issuer.
func (a *app) issuer(ctx context.Context, method, path string, body any) (issuerBody, error) {
	var i issuerBody
	c, err := a.client()
	if err != nil {
		return i, err
	}
	err = c.v1(ctx, method, path, nil, body, &i)
	return i, err
}

type oidcSet struct {
	Issuer   *string `help:"Address under which AWS finds the documents that were exported; an empty one means the manager." placeholder:"URL"`
	Audience *string `help:"Audience of the tokens; an empty one means sts.amazonaws.com." placeholder:"TEXT"`
}

// Run sets what was given and leaves the rest.
func (cmd *oidcSet) Run(ctx context.Context, a *app) error {
	if cmd.Issuer == nil && cmd.Audience == nil {
		return misusef("nothing is given to set; use --issuer or --audience")
	}
	i, err := a.issuer(ctx, http.MethodGet, "/oidc", nil)
	if err != nil {
		return err
	}
	set := map[string]string{"audience": i.Audience}
	if i.Hosted {
		set["issuer"] = i.Issuer
	}
	if cmd.Issuer != nil {
		set["issuer"] = *cmd.Issuer
	}
	if cmd.Audience != nil {
		set["audience"] = *cmd.Audience
	}
	if i, err = a.issuer(ctx, http.MethodPut, "/oidc", set); err != nil {
		return err
	}
	return a.print(i, func() {
		a.showIssuer(i)
		a.note("Tokens name this issuer and audience from now on: the provider in AWS must, too.")
	})
}

type oidcTrust struct {
	Name string `arg:"" name:"connector" help:"Identifier of the connector."`
}

// Run prints the policy on standard output, and what belongs to it on standard error.
func (cmd *oidcTrust) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := c.v1(ctx, http.MethodGet, "/connectors/"+url.PathEscape(cmd.Name)+"/trust-policy", a.at(), nil, &raw); err != nil {
		return err
	}
	var t struct {
		Role     string          `json:"role"`
		Provider string          `json:"provider"`
		Issuer   string          `json:"issuer"`
		Audience string          `json:"audience"`
		Subject  string          `json:"subject"`
		Policy   json.RawMessage `json:"policy"`
		Notes    []string        `json:"notes"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("the manager's answer cannot be read: %w", err)
	}
	return a.print(raw, func() {
		a.line("%s", indented(t.Policy))
		a.note("The trust policy of %s. Its account needs the provider %s:", t.Role, t.Provider)
		a.note("  aws iam create-open-id-connect-provider --url %s --client-id-list %s", t.Issuer, t.Audience)
		for _, n := range t.Notes {
			a.note("%s", n)
		}
	})
}

func indented(raw json.RawMessage) string {
	var text bytes.Buffer
	if json.Indent(&text, raw, "", "  ") != nil {
		return string(raw)
	}
	return text.String()
}

type oidcToken struct {
	Name    string `arg:"" name:"connector" help:"Identifier of the connector."`
	Context string `help:"What the token says it is for: CONNECTOR_VALIDATION, PIPELINE_CONFIGURATION, PIPELINE_EXECUTION or PERPETUAL_TASK." enum:"CONNECTOR_VALIDATION,PIPELINE_CONFIGURATION,PIPELINE_EXECUTION,PERPETUAL_TASK" default:"CONNECTOR_VALIDATION" placeholder:"CONTEXT"`
	Claims  bool   `help:"Print what the token says instead of the token."`
}

// Help says that it is a key.
func (*oidcToken) Help() string {
	return "For ten minutes whoever has the token gets the session of the connector's role. It needs the role admin, and is audited."
}

// Run mints a token and prints it.
func (cmd *oidcToken) Run(ctx context.Context, a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var t struct {
		Token     string          `json:"token"` // which is what the command is for
		KeyID     string          `json:"keyId"`
		ExpiresAt time.Time       `json:"expiresAt"`
		Claims    json.RawMessage `json:"claims"`
	}
	if err := c.v1(ctx, http.MethodPost, "/connectors/"+url.PathEscape(cmd.Name)+"/oidc-token", a.at(), map[string]string{"context": cmd.Context}, &t); err != nil {
		return err
	}
	if cmd.Claims {
		return a.print(t.Claims, func() { a.line("%s", indented(t.Claims)) })
	}
	return a.print(t, func() {
		a.line("%s", t.Token)
		a.note("It expires %s.", ago(t.ExpiresAt))
	})
}

// keySet fetches the account's key set from the manager.
func (a *app) keySet(ctx context.Context) (json.RawMessage, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	var set json.RawMessage
	err = c.call(ctx, http.MethodGet, oidc.Path(url.PathEscape(c.account))+oidc.KeySetPath, nil, nil, &set)
	return set, err
}

type oidcJWKS struct{}

// Run prints the key set.
func (*oidcJWKS) Run(ctx context.Context, a *app) error {
	set, err := a.keySet(ctx)
	if err != nil {
		return err
	}
	return a.print(set, func() { a.line("%s", indented(set)) })
}

type oidcRotate struct {
	Algorithm string `help:"Algorithm of the new key: RS256 or ES256; as before by default. Another algorithm takes over after --oidc-ahead of the manager." enum:"RS256,ES256," default:"" placeholder:"NAME"`
	Revoke    bool   `help:"Take every present key out of the key set at once, because one may be known to others."`
}

// Run rotates the signing keys.
func (cmd *oidcRotate) Run(ctx context.Context, a *app) error {
	before, err := a.issuer(ctx, http.MethodGet, "/oidc", nil)
	if err != nil {
		return err
	}
	i, err := a.issuer(ctx, http.MethodPost, "/oidc/rotate", map[string]any{"algorithm": cmd.Algorithm, "revoke": cmd.Revoke})
	if err != nil {
		return err
	}
	return a.print(i, func() {
		a.showIssuer(i)
		if before.signs() == i.signs() {
			a.note("Nobody has seen the next key yet, so the active one signs until verifiers have had the time to.")
		}
		switch {
		case i.Hosted && cmd.Revoke:
			a.note("Export the documents again and upload them now: until then AWS refuses new tokens, and takes those of revoked keys.")
		case i.Hosted:
			a.note("Export the documents again and upload them, so that AWS knows the key that comes next.")
		case cmd.Revoke:
			a.note("AWS may keep the old key set for some minutes, and refuse new tokens until it asks again.")
		}
	})
}

type oidcExport struct {
	Folder string `arg:"" name:"folder" help:"Folder to write to." type:"path"`
	Issuer string `help:"Address under which AWS will find the folder's content; the issuer's own by default." placeholder:"URL"`
}

// Run writes the documents.
func (cmd *oidcExport) Run(ctx context.Context, a *app) error {
	issuer := cmd.Issuer
	if issuer == "" {
		i, err := a.issuer(ctx, http.MethodGet, "/oidc", nil)
		if err != nil {
			return err
		}
		issuer = i.Issuer
	}
	if p := oidc.CheckIssuer(issuer); p != "" {
		return misusef("AWS could not use the issuer %s: it %s. Give another with --issuer", issuer, p)
	}
	set, err := a.keySet(ctx)
	if err != nil {
		return err
	}
	discovery, err := json.Marshal(oidc.NewDiscovery(issuer))
	if err != nil {
		return err
	}
	type file struct {
		Path        string `json:"path"`
		ContentType string `json:"contentType"`
	}
	var written []file
	for _, one := range []struct {
		path string
		text json.RawMessage
	}{{oidc.DiscoveryPath, discovery}, {oidc.KeySetPath, set}, {oidc.KeySetHyphenPath, set}} {
		path := filepath.Join(cmd.Folder, filepath.FromSlash(strings.TrimPrefix(one.path, "/")))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // to be read by everybody
			return fmt.Errorf("the folder cannot be made: %w", err)
		}
		if err := os.WriteFile(path, []byte(indented(one.text)+"\n"), 0o644); err != nil { //nolint:gosec // to be read by everybody
			return fmt.Errorf("the document cannot be written: %w", err)
		}
		written = append(written, file{path, "application/json"})
	}
	return a.print(written, func() {
		for _, f := range written {
			a.line("%s", f.Path)
		}
		a.note("They belong below %s, with the content type application/json and readable by everybody. For S3:", issuer)
		a.note("  aws s3 cp %s s3://BUCKET/PATH --recursive --content-type application/json --cache-control max-age=300", cmd.Folder)
		a.note("Then: belay oidc check --issuer %s, and belay oidc set --issuer %s", issuer, issuer)
	})
}
