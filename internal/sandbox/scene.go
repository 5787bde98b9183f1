package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/arn"
)

// Scene is a state in words: what a file for `belay sandbox seed` holds.
type Scene struct {
	Accounts      []SceneAccount      `yaml:"accounts"`
	Organizations []SceneOrganization `yaml:"organizations"`
	Instances     []SceneInstance     `yaml:"instances"`
	// Issuers are names of issuers of web identity tokens that the sandbox runs. {{issuer.NAME}} in the scene's texts is
	// the issuer's address without its scheme, as IAM writes it, and {{thumbprint}} that of the sandbox's authority.
	Issuers  []string  `yaml:"issuers"`
	Settings *Settings `yaml:"settings"`
}

// SceneAccount is an account.
type SceneAccount struct {
	ID        string          `yaml:"id"`
	Partition string          `yaml:"partition"` // aws by default
	Name      string          `yaml:"name"`
	Regions   []string        `yaml:"regions"` // that it has opted in to
	RootKeys  []SceneKey      `yaml:"rootKeys"`
	Policies  []ScenePolicy   `yaml:"policies"`
	Groups    []SceneHolder   `yaml:"groups"`
	Users     []SceneUser     `yaml:"users"`
	Roles     []SceneRole     `yaml:"roles"`
	Profiles  []SceneProfile  `yaml:"profiles"`
	Providers []SceneProvider `yaml:"providers"`
}

// SceneKey is an access key; what is missing is made up.
type SceneKey struct {
	ID       string `yaml:"id"`
	Secret   string `yaml:"secret"`
	Inactive bool   `yaml:"inactive"`
}

// ScenePolicy is a managed policy.
type ScenePolicy struct {
	Name     string        `yaml:"name"`
	Path     string        `yaml:"path"`
	Document SceneDocument `yaml:"document"`
}

// SceneHolder is what groups, users and roles have alike. Attach and Boundary name policies of the account or of AWS, by
// name or by ARN.
type SceneHolder struct {
	Name     string                   `yaml:"name"`
	Path     string                   `yaml:"path"`
	Inline   map[string]SceneDocument `yaml:"inline"`
	Attach   []string                 `yaml:"attach"`
	Boundary string                   `yaml:"boundary"`
	Tags     map[string]string        `yaml:"tags"`
}

// SceneUser is a user.
type SceneUser struct {
	SceneHolder `yaml:",inline"`

	Groups []string   `yaml:"groups"`
	Keys   []SceneKey `yaml:"keys"`
}

// SceneRole is a role.
type SceneRole struct {
	SceneHolder `yaml:",inline"`

	Trust      SceneDocument `yaml:"trust"`
	MaxSession Duration      `yaml:"maxSession"` // 1h by default
}

// SceneProfile is an instance profile.
type SceneProfile struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
}

// SceneProvider is an OIDC provider.
type SceneProvider struct {
	URL         string   `yaml:"url"`
	ClientIDs   []string `yaml:"clientIDs"`
	Thumbprints []string `yaml:"thumbprints"`
}

// SceneOrganization is an organization. An account of the scene that it does not place is not in it.
type SceneOrganization struct {
	Management string              `yaml:"management"`
	Enabled    []string            `yaml:"enabled"` // SERVICE_CONTROL_POLICY by default
	Policies   []ControlPolicy     `yaml:"policies"`
	Root       SceneOrganizational `yaml:",inline"`
}

// ControlPolicy is an SCP or an RCP.
type ControlPolicy struct {
	Name     string        `yaml:"name"`
	Type     string        `yaml:"type"` // SERVICE_CONTROL_POLICY by default
	Document SceneDocument `yaml:"document"`
}

// SceneOrganizational is the root or a unit with what is below it. With Attach, only those policies are attached;
// without, FullAWSAccess is.
type SceneOrganizational struct {
	Attach   []string      `yaml:"attach"`
	Accounts []SceneMember `yaml:"accounts"`
	Units    []SceneUnit   `yaml:"units"`
}

// SceneUnit is an organizational unit.
type SceneUnit struct {
	Name                string `yaml:"name"`
	SceneOrganizational `yaml:",inline"`
}

// SceneMember is an account in an organization.
type SceneMember struct {
	ID     string   `yaml:"id"`
	Attach []string `yaml:"attach"`
}

// SceneInstance is an EC2 instance, as far as its metadata goes.
type SceneInstance struct {
	ID       string `yaml:"id"`
	Account  string `yaml:"account"`
	Region   string `yaml:"region"`
	Profile  string `yaml:"profile"`
	Off      bool   `yaml:"off"`
	HopLimit int    `yaml:"hopLimit"` // 1 by default
	Distance int    `yaml:"distance"` // 1 by default; 2 is a container
}

// SceneDocument is a policy document, as YAML or as a text of JSON.
type SceneDocument struct{ text string }

// UnmarshalYAML reads both forms.
func (d *SceneDocument) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		d.text = n.Value
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("line %d: the document cannot be written as JSON: %w", n.Line, err)
	}
	d.text = strings.TrimSpace(b.String())
	return nil
}

// Key is an access key that a scene made, with its secret.
type Key struct {
	Account string `json:"account"`
	User    string `json:"user"`
	ID      string `json:"accessKeyId"`
	Secret  string `json:"secretAccessKey"`
}

// Seeded is what came of a scene.
type Seeded struct {
	Accounts []string `json:"accounts"`
	Keys     []Key    `json:"keys"`
}

// stage puts a scene into a draft and collects what is wrong with it.
type stage struct {
	s        *Server
	d        *draft
	now      time.Time
	out      Seeded
	problems []string
}

func (g *stage) problem(where, format string, args ...any) {
	g.problems = append(g.problems, where+": "+fmt.Sprintf(format, args...))
}

// Seed puts a scene in place. What the scene names is made anew; what it does not name stays as it is. Either all of it
// is done, or nothing and all problems are said.
func (s *Server) Seed(text []byte) (Seeded, error) {
	text = s.expand(text)
	var scene Scene
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&scene); err != nil && !errors.Is(err, io.EOF) {
		return Seeded{}, fail(http.StatusBadRequest, "InvalidScene", "the scene cannot be read: %s", err)
	}
	g := &stage{s: s, now: s.now(), out: Seeded{Accounts: []string{}, Keys: []Key{}}}
	err := s.change(func(d *draft) error {
		g.d = d
		g.put(scene)
		if len(g.problems) > 0 {
			return fail(http.StatusBadRequest, "InvalidScene", "%s", joined(g.problems))
		}
		return nil
	})
	return g.out, err
}

// expand puts the addresses of issuers into the text of a scene.
func (s *Server) expand(text []byte) []byte {
	if bytes.Contains(text, []byte("{{thumbprint}}")) {
		if sum, err := s.Thumbprint(); err == nil {
			text = bytes.ReplaceAll(text, []byte("{{thumbprint}}"), []byte(sum))
		}
	}
	placeholder := regexp.MustCompile(`\{\{issuer\.([A-Za-z0-9-]+)\}\}`)
	return placeholder.ReplaceAllFunc(text, func(found []byte) []byte {
		name := placeholder.FindSubmatch(found)[1]
		return []byte(withoutScheme(s.issuerURL(string(name))))
	})
}

func (g *stage) put(scene Scene) {
	for _, name := range scene.Issuers {
		if !regexp.MustCompile(`^[A-Za-z0-9-]{1,60}$`).MatchString(name) {
			g.problem("issuers", "%q is no name of letters, digits and hyphens", clip(name))
			continue
		}
		if g.d.Issuers[name] != nil {
			continue // its key stays, and tokens with it
		}
		i, err := newIssuer(name)
		if err != nil {
			g.problem("issuers", "%s", err)
			continue
		}
		g.d.Issuers[name] = i
	}
	for i, a := range scene.Accounts {
		g.account(fmt.Sprintf("accounts[%d]", i), a)
	}
	for i, a := range scene.Accounts { // when all accounts have their users, so that trusts can name them
		g.checkTrusts(fmt.Sprintf("accounts[%d]", i), a)
	}
	for i, o := range scene.Organizations {
		g.organization(fmt.Sprintf("organizations[%d]", i), o)
	}
	for i, one := range scene.Instances {
		g.instance(fmt.Sprintf("instances[%d]", i), one)
	}
	if scene.Settings != nil {
		for _, p := range scene.Settings.problems() {
			g.problem("settings", "%s", p)
		}
		g.d.Settings = *scene.Settings
	}
}

func (g *stage) account(where string, in SceneAccount) {
	partition := in.Partition
	if partition == "" {
		partition = "aws"
	}
	p, known := arn.PartitionNamed(partition)
	switch {
	case len(in.ID) != 12 || strings.Trim(in.ID, "0123456789") != "":
		g.problem(where+".id", "an account has 12 digits, not %q (quote it: YAML reads digits as a number)", clip(in.ID))
		return
	case !known:
		g.problem(where+".partition", "%q is not a partition of AWS", clip(partition))
		return
	case g.d.Accounts[in.ID] != nil && g.d.Accounts[in.ID].Partition != partition:
		g.problem(where+".partition", "the account is there already, in %s", g.d.Accounts[in.ID].Partition)
		return
	}
	a := g.d.account(in.ID)
	if a == nil {
		a = newAccount(in.ID, partition, in.Name, g.now)
		g.d.Accounts[in.ID], g.d.own[a] = a, true
	}
	g.out.Accounts = append(g.out.Accounts, in.ID)
	if in.Name != "" {
		a.Name = in.Name
	}
	for _, r := range in.Regions {
		if !slices.Contains(p.OptIn, r) {
			g.problem(where+".regions", "%q is not a Region of %s that is opted in to", clip(r), partition)
		}
	}
	if in.Regions != nil {
		a.OptedIn = in.Regions
	}
	if in.RootKeys != nil {
		a.RootKeys = g.keys(where+".rootKeys", a, "root", in.RootKeys)
	}
	for i, one := range in.Policies {
		g.policy(fmt.Sprintf("%s.policies[%d]", where, i), a, one)
	}
	for i, one := range in.Providers {
		w := fmt.Sprintf("%s.providers[%d]", where, i)
		if err := checkProvider(one.URL, one.ClientIDs, one.Thumbprints); err != nil {
			g.problem(w, "%s", asFailure(err).message)
			continue
		}
		url := withoutScheme(one.URL)
		a.Providers[url] = &provider{URL: url, ClientIDs: one.ClientIDs, Thumbprints: one.Thumbprints, Created: g.now}
	}
	for i, one := range in.Groups {
		e, h := g.holder(fmt.Sprintf("%s.groups[%d]", where, i), a, one, "AGPA")
		a.Groups[strings.ToLower(e.Name)] = &group{entity: e, holder: h}
	}
	for i, one := range in.Users {
		g.user(fmt.Sprintf("%s.users[%d]", where, i), a, one)
	}
	for i, one := range in.Roles {
		g.role(fmt.Sprintf("%s.roles[%d]", where, i), a, one)
	}
	for i, one := range in.Profiles {
		key := strings.ToLower(one.Role)
		if one.Role != "" && a.Roles[key] == nil {
			g.problem(fmt.Sprintf("%s.profiles[%d].role", where, i), "there is no role %q", clip(one.Role))
		}
		a.Profiles[strings.ToLower(one.Name)] = &profile{entity: entity{Name: one.Name, ID: uniqueID("AIPA"), Path: "/", Created: g.now}, Role: key}
	}
}

// document reads a document of the scene.
func (g *stage) document(where string, kind policyKind, in SceneDocument) document {
	d, err := readPolicy(kind, in.text)
	if err != nil {
		g.problem(where, "%s", asFailure(err).message)
	}
	return d
}

// entity checks name and path.
func (g *stage) entity(where, name, path, prefix string) entity {
	if path == "" {
		path = "/"
	}
	if !regexp.MustCompile(entityName).MatchString(name) || len(name) > 128 {
		g.problem(where+".name", "%q is no name", clip(name))
	}
	if !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/") {
		g.problem(where+".path", "%q does not begin and end with a slash", clip(path))
	}
	return entity{Name: name, ID: uniqueID(prefix), Path: path, Created: g.now}
}

func (g *stage) policy(where string, a *account, in ScenePolicy) {
	e := g.entity(where, in.Name, in.Path, "ANPA")
	d := g.document(where+".document", identityPolicy, in.Document)
	a.Policies[strings.ToLower(in.Name)] = &policy{entity: e, Updated: g.now, Default: "v1", Next: 2, Versions: []policyVersion{{"v1", d, g.now}}}
}

// policyNamed finds a managed policy by ARN or name: one of the account, else one of AWS.
func (g *stage) policyNamed(where string, a *account, name string) string {
	if strings.HasPrefix(name, "arn:") {
		if a.policyByARN(name) == nil {
			if _, ok := g.s.ofAWS(name); !ok {
				g.problem(where, "there is no policy %s", clip(name))
			}
		}
		return name
	}
	if p := a.Policies[strings.ToLower(name)]; p != nil {
		return a.policyARN(p)
	}
	of := "arn:" + a.Partition + ":iam::aws:policy/"
	for _, path := range []string{"", "service-role/", "job-function/"} {
		if _, ok := g.s.ofAWS(of + path + name); ok {
			return of + path + name
		}
	}
	g.problem(where, "neither the account nor AWS has a policy %q", clip(name))
	return ""
}

func (g *stage) holder(where string, a *account, in SceneHolder, prefix string) (entity, holder) {
	e := g.entity(where, in.Name, in.Path, prefix)
	e.Tags = maps.Clone(in.Tags)
	h := holder{Inline: map[string]document{}}
	for _, name := range slices.Sorted(maps.Keys(in.Inline)) {
		h.Inline[name] = g.document(where+".inline."+name, identityPolicy, in.Inline[name])
	}
	for i, name := range in.Attach {
		h.Attached = append(h.Attached, g.policyNamed(fmt.Sprintf("%s.attach[%d]", where, i), a, name))
	}
	if in.Boundary != "" {
		h.Boundary = g.policyNamed(where+".boundary", a, in.Boundary)
	}
	return e, h
}

func (g *stage) user(where string, a *account, in SceneUser) {
	e, h := g.holder(where, a, in.SceneHolder, "AIDA")
	u := &user{entity: e, holder: h}
	for i, name := range in.Groups {
		if a.Groups[strings.ToLower(name)] == nil {
			g.problem(fmt.Sprintf("%s.groups[%d]", where, i), "there is no group %q", clip(name))
		}
		u.Groups = append(u.Groups, strings.ToLower(name))
	}
	u.Keys = g.keys(where+".keys", a, in.Name, in.Keys)
	a.Users[strings.ToLower(in.Name)] = u
}

func (g *stage) keys(where string, a *account, of string, in []SceneKey) []*accessKey {
	if len(in) > 2 {
		g.problem(where, "a user has two keys at most")
	}
	var out []*accessKey
	for i, one := range in {
		k := &accessKey{ID: one.ID, Secret: one.Secret, Inactive: one.Inactive, Created: g.now}
		if k.ID == "" {
			k.ID = accessKeyID("AKIA", a.ID)
		}
		if k.Secret == "" {
			k.Secret = secretKey()
		}
		if !regexp.MustCompile(`^\w{16,128}$`).MatchString(k.ID) {
			g.problem(fmt.Sprintf("%s[%d].id", where, i), "%q is no key id: it has 16 to 128 letters and digits", clip(k.ID))
		}
		out = append(out, k)
		g.out.Keys = append(g.out.Keys, Key{a.ID, of, k.ID, k.Secret})
	}
	return out
}

func (g *stage) role(where string, a *account, in SceneRole) {
	e, h := g.holder(where, a, in.SceneHolder, "AROA")
	r := &role{entity: e, holder: h, Trust: g.document(where+".trust", trustPolicy, in.Trust), MaxSession: 3600}
	if in.MaxSession != 0 {
		r.MaxSession = int(in.MaxSession.std().Seconds())
		if r.MaxSession < 3600 || r.MaxSession > 43200 {
			g.problem(where+".maxSession", "it lies between 1h and 12h, not %s", in.MaxSession.std())
		}
	}
	a.Roles[strings.ToLower(in.Name)] = r
}

func (g *stage) checkTrusts(where string, in SceneAccount) {
	a := g.d.Accounts[in.ID]
	if a == nil {
		return
	}
	for i, one := range in.Roles {
		r := a.Roles[strings.ToLower(one.Name)]
		if r == nil || r.Trust.parsed == nil {
			continue
		}
		if err := g.d.checkPrincipals(r.Trust); err != nil {
			g.problem(fmt.Sprintf("%s.roles[%d].trust", where, i), "%s", asFailure(err).message)
		}
	}
}

func (g *stage) organization(where string, in SceneOrganization) {
	if g.d.Accounts[in.Management] == nil {
		g.problem(where+".management", "there is no account %q", clip(in.Management))
		return
	}
	if old := g.d.organizationOf(in.Management); old != nil {
		if old.Master != in.Management {
			g.problem(where+".management", "the account is a member of another organization")
			return
		}
		delete(g.d.Organizations, old.ID) // it is made anew
	}
	o, err := newOrganization(in.Management, g.now)
	if err != nil {
		g.problem(where, "%s", err)
		return
	}
	if in.Enabled != nil {
		o.Enabled = in.Enabled
	}
	for i, kind := range o.Enabled {
		if kind != serviceControl && kind != resourceControl {
			g.problem(fmt.Sprintf("%s.enabled[%d]", where, i), "it is %s or %s", serviceControl, resourceControl)
		}
	}
	for i, p := range in.Policies {
		w := fmt.Sprintf("%s.policies[%d]", where, i)
		kind := p.Type
		if kind == "" {
			kind = serviceControl
		}
		d, err := controlContent(kind, p.Document.text)
		if err != nil {
			g.problem(w+".document", "%s", asFailure(err).message)
			continue
		}
		id := "p-" + random(8)
		o.Policies[id] = &controlled{ID: id, Kind: kind, Name: p.Name, Content: d}
	}
	g.organizational(where, o, o.Root, in.Root)
	g.d.Organizations[o.ID], g.d.own[o] = o, true
}

// organizational places what is below the root or a unit.
func (g *stage) organizational(where string, o *organization, id string, in SceneOrganizational) {
	g.attach(where, o, id, in.Attach)
	for i, m := range in.Accounts {
		w := fmt.Sprintf("%s.accounts[%d]", where, i)
		if g.d.Accounts[m.ID] == nil {
			g.problem(w+".id", "there is no account %q", clip(m.ID))
			continue
		}
		if other := g.d.organizationOf(m.ID); other != nil && other.Master != o.Master {
			g.problem(w+".id", "the account is a member of another organization")
			continue
		}
		o.join(m.ID, id)
		g.attach(w, o, m.ID, m.Attach)
	}
	for i, u := range in.Units {
		w := fmt.Sprintf("%s.units[%d]", where, i)
		if u.Name == "" {
			g.problem(w+".name", "a unit has a name")
		}
		g.organizational(w, o, o.addUnit(u.Name, id).ID, u.SceneOrganizational)
	}
}

func (g *stage) attach(where string, o *organization, target string, names []string) {
	if names == nil {
		return
	}
	o.Attached[target] = nil
	for i, name := range names {
		found := ""
		for id, p := range o.Policies {
			if p.Name == name {
				found = id
			}
		}
		if found == "" {
			g.problem(fmt.Sprintf("%s.attach[%d]", where, i), "the organization has no policy %q", clip(name))
			continue
		}
		o.Attached[target] = append(o.Attached[target], found)
	}
}

func (g *stage) instance(where string, in SceneInstance) {
	a := g.d.Accounts[in.Account]
	if a == nil {
		g.problem(where+".account", "there is no account %q", clip(in.Account))
		return
	}
	if p, known := arn.PartitionOf(in.Region); !known || p.ID != a.Partition {
		g.problem(where+".region", "%q is not a Region of %s", clip(in.Region), a.Partition)
	}
	if in.Profile != "" && a.Profiles[strings.ToLower(in.Profile)] == nil {
		g.problem(where+".profile", "there is no instance profile %q", clip(in.Profile))
	}
	if !regexp.MustCompile(`^i-[0-9a-f]{8,17}$`).MatchString(in.ID) {
		g.problem(where+".id", "%q is no id: i- and 8 to 17 hexadecimal digits", clip(in.ID))
	}
	g.d.Instances[in.ID] = &instance{
		ID: in.ID, Account: in.Account, Region: in.Region, Profile: strings.ToLower(in.Profile), Off: in.Off,
		HopLimit: max(in.HopLimit, 1), Distance: max(in.Distance, 1), Started: g.now,
	}
}

// FirstAccount is the account that every sandbox has, with the user admin, who may do everything.
const FirstAccount = "123456789012"

const adminName = "admin"

// first makes the first account.
func (s *Server) first() error {
	return s.change(func(d *draft) error {
		now := s.now()
		a := newAccount(FirstAccount, "aws", "sandbox", now)
		a.Users[adminName] = &user{
			entity: entity{Name: adminName, ID: uniqueID("AIDA"), Path: "/", Created: now}, holder: holder{Inline: map[string]document{}, Attached: []string{administratorAccess}},
			Keys: []*accessKey{{ID: accessKeyID("AKIA", a.ID), Secret: secretKey(), Created: now}},
		}
		d.Accounts[a.ID] = a
		return nil
	})
}

// Admin is the administrator's key of the first account, unless somebody has removed it.
func (s *Server) Admin() (Key, bool) {
	a := s.current.Load().Accounts[FirstAccount]
	if a == nil || a.Users[adminName] == nil {
		return Key{}, false
	}
	for _, k := range a.Users[adminName].Keys {
		if !k.Inactive {
			return Key{a.ID, adminName, k.ID, k.Secret}, true
		}
	}
	return Key{}, false
}
