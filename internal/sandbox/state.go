package sandbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam"
)

// state is everything that the sandbox knows. One that has been published is never changed, see Server.change.
type state struct {
	// Seal is the key that tokens and encoded messages are sealed with; the secrets of sessions come from it too.
	Seal          []byte                   `json:"seal"`
	Accounts      map[string]*account      `json:"accounts"`
	Organizations map[string]*organization `json:"organizations"` // by id
	Instances     map[string]*instance     `json:"instances"`     // by id
	Issuers       map[string]*issuer       `json:"issuers"`       // by name
	Settings      Settings                 `json:"settings"`
	Authority     *authority               `json:"authority,omitempty"`

	decided *decisions // compiled policies of this state; made with it, filled later
	since   time.Time  // when it came into force
}

// account is an AWS account. Maps of named entities have the name in lower case as their key, since IAM's names are
// unique without regard to letter case.
type account struct {
	ID        string               `json:"id"`
	Partition string               `json:"partition"`
	Name      string               `json:"name"`
	Email     string               `json:"email"`
	Created   time.Time            `json:"created"`
	OptedIn   []string             `json:"optedIn,omitempty"` // Regions that it has enabled
	Users     map[string]*user     `json:"users"`
	Groups    map[string]*group    `json:"groups"`
	Roles     map[string]*role     `json:"roles"`
	Policies  map[string]*policy   `json:"policies"`
	Profiles  map[string]*profile  `json:"profiles"`
	Providers map[string]*provider `json:"providers"` // by URL without scheme, as written
	// RootKeys are access keys of the account's root user.
	RootKeys []*accessKey `json:"rootKeys,omitempty"`
}

// entity is what users, groups, roles, policies and instance profiles have in common.
type entity struct {
	Name    string            `json:"name"`
	ID      string            `json:"id"` // AIDA…, AROA…
	Path    string            `json:"path"`
	Created time.Time         `json:"created"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// holder holds policies: a user, a group or a role.
type holder struct {
	Inline   map[string]document `json:"inline,omitempty"` // by name
	Attached []string            `json:"attached,omitempty"`
	Boundary string              `json:"boundary,omitempty"` // ARN of a managed policy
}

type user struct {
	entity
	holder

	Keys   []*accessKey `json:"keys,omitempty"`
	Groups []string     `json:"groups,omitempty"` // keys of account.Groups
}

type accessKey struct {
	ID       string    `json:"id"`
	Secret   string    `json:"secret"`
	Inactive bool      `json:"inactive,omitempty"`
	Created  time.Time `json:"created"`
}

type group struct {
	entity
	holder
}

type role struct {
	entity
	holder

	Trust       document `json:"trust"`
	Description string   `json:"description,omitempty"`
	MaxSession  int      `json:"maxSession"` // seconds
}

type policy struct {
	entity

	Description string          `json:"description,omitempty"`
	Updated     time.Time       `json:"updated"`
	Default     string          `json:"default"` // v1
	Next        int             `json:"next"`    // number of the next version
	Versions    []policyVersion `json:"versions"`
}

type policyVersion struct {
	ID       string    `json:"id"`
	Document document  `json:"document"`
	Created  time.Time `json:"created"`
}

type profile struct {
	entity

	Role string `json:"role,omitempty"` // key of account.Roles
}

// provider is an OpenID Connect provider that an account trusts.
type provider struct {
	URL         string            `json:"url"` // without scheme
	ClientIDs   []string          `json:"clientIDs,omitempty"`
	Thumbprints []string          `json:"thumbprints,omitempty"`
	Created     time.Time         `json:"created"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// instance is an EC2 instance as far as its metadata goes.
type instance struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	Region   string    `json:"region"`
	Profile  string    `json:"profile,omitempty"` // key of account.Profiles
	Off      bool      `json:"off,omitempty"`     // metadata is turned off
	HopLimit int       `json:"hopLimit"`          // of the answer that carries a token
	Distance int       `json:"distance"`          // how many hops away who asks is: 1 on the instance, 2 in a container of it
	Started  time.Time `json:"started"`
}

// document is a policy document: its text as it was given, and what was read from it.
type document struct {
	text   string
	parsed *iam.Document
}

// MarshalJSON writes the text.
func (d document) MarshalJSON() ([]byte, error) { return json.Marshal(d.text) }

// UnmarshalJSON reads the text and parses it again.
func (d *document) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	if text == "" {
		return nil
	}
	parsed, err := iam.Parse([]byte(text))
	if err != nil {
		return err
	}
	*d = document{text, parsed}
	return nil
}

func newAccount(id, partition, name string, now time.Time) *account {
	return &account{
		ID: id, Partition: partition, Name: name, Email: name + "@example.com", Created: now,
		Users: map[string]*user{}, Groups: map[string]*group{}, Roles: map[string]*role{}, Policies: map[string]*policy{},
		Profiles: map[string]*profile{}, Providers: map[string]*provider{},
	}
}

// arn names something of IAM in the account.
func (a *account) arn(resource string) string {
	return "arn:" + a.Partition + ":iam::" + a.ID + ":" + resource
}

func (a *account) userARN(u *user) string       { return a.arn("user" + u.Path + u.Name) }
func (a *account) groupARN(g *group) string     { return a.arn("group" + g.Path + g.Name) }
func (a *account) roleARN(r *role) string       { return a.arn("role" + r.Path + r.Name) }
func (a *account) policyARN(p *policy) string   { return a.arn("policy" + p.Path + p.Name) }
func (a *account) profileARN(p *profile) string { return a.arn("instance-profile" + p.Path + p.Name) }

func (a *account) providerARN(url string) string {
	return a.arn("oidc-provider/" + url)
}

// current is the version of a policy that counts.
func (p *policy) current() document {
	d, _ := p.version(p.Default)
	return d.Document
}

func (p *policy) version(id string) (policyVersion, bool) {
	i := slices.IndexFunc(p.Versions, func(v policyVersion) bool { return v.ID == id })
	if i < 0 {
		return policyVersion{}, false
	}
	return p.Versions[i], true
}

// policyByARN is the account's own managed policy with that ARN.
func (a *account) policyByARN(arn string) *policy {
	i := strings.LastIndexByte(arn, '/')
	if p := a.Policies[strings.ToLower(arn[i+1:])]; p != nil && a.policyARN(p) == arn {
		return p
	}
	return nil
}

// The copies: deep but for documents, which never change.

func (e entity) clone() entity {
	e.Tags = maps.Clone(e.Tags)
	return e
}

func (h holder) clone() holder {
	h.Inline, h.Attached = maps.Clone(h.Inline), slices.Clone(h.Attached)
	return h
}

func cloneKeys(keys []*accessKey) []*accessKey {
	out := slices.Clone(keys)
	for i, k := range out {
		c := *k
		out[i] = &c
	}
	return out
}

// cloned copies a map, each value by copy.
func cloned[V any](m map[string]*V, copied func(V) V) map[string]*V {
	out := make(map[string]*V, len(m))
	for k, v := range m {
		c := copied(*v)
		out[k] = &c
	}
	return out
}

func (a *account) clone() *account {
	c := *a
	c.OptedIn = slices.Clone(a.OptedIn)
	c.RootKeys = cloneKeys(a.RootKeys)
	c.Users = cloned(a.Users, func(u user) user {
		u.entity, u.holder, u.Keys, u.Groups = u.entity.clone(), u.holder.clone(), cloneKeys(u.Keys), slices.Clone(u.Groups)
		return u
	})
	c.Groups = cloned(a.Groups, func(g group) group {
		g.entity, g.holder = g.entity.clone(), g.holder.clone()
		return g
	})
	c.Roles = cloned(a.Roles, func(r role) role {
		r.entity, r.holder = r.entity.clone(), r.holder.clone()
		return r
	})
	c.Policies = cloned(a.Policies, func(p policy) policy {
		p.entity, p.Versions = p.clone(), slices.Clone(p.Versions)
		return p
	})
	c.Profiles = cloned(a.Profiles, func(p profile) profile {
		p.entity = p.clone()
		return p
	})
	c.Providers = cloned(a.Providers, func(p provider) provider {
		p.ClientIDs, p.Thumbprints, p.Tags = slices.Clone(p.ClientIDs), slices.Clone(p.Thumbprints), maps.Clone(p.Tags)
		return p
	})
	return &c
}

// clone copies the top of the state. Accounts and organizations are shared until one is asked for with account or
// organization of a draft.
func (st *state) clone() *state {
	c := *st
	c.Accounts, c.Organizations = maps.Clone(st.Accounts), maps.Clone(st.Organizations)
	c.Instances, c.Issuers = maps.Clone(st.Instances), maps.Clone(st.Issuers)
	return &c
}

// draft is a state being changed.
type draft struct {
	*state
	own map[any]bool // what is the draft's own copy already
}

// account is the account, for changing; nil when there is none.
func (d *draft) account(id string) *account {
	a := d.Accounts[id]
	if a == nil || d.own[a] {
		return a
	}
	a = a.clone()
	d.Accounts[id], d.own[a] = a, true
	return a
}

// organization is the organization, for changing; nil when there is none.
func (d *draft) organization(id string) *organization {
	o := d.Organizations[id]
	if o == nil || d.own[o] {
		return o
	}
	o = o.clone()
	d.Organizations[id], d.own[o] = o, true
	return o
}

// uniqueID makes an id as IAM does: four letters that say of what, and 17 of base 32.
func uniqueID(prefix string) string { return prefix + rand.Text()[:21-len(prefix)] }

// accessKeyID makes a key id of 20 characters that holds its account as those of AWS do: a bit, the account in 40 bits,
// and chance.
func accessKeyID(prefix, account string) string {
	n, _ := strconv.ParseUint(account, 10, 40) // twelve digits fit
	var raw [10]byte
	_, _ = rand.Read(raw[:]) // crypto/rand never fails
	head := 1<<47 | n<<7 | uint64(raw[0]&0x7f)
	binary.BigEndian.PutUint32(raw[:4], uint32(head>>16)) //nolint:gosec // the upper 32 of 48 bits
	binary.BigEndian.PutUint16(raw[4:6], uint16(head))    //nolint:gosec // the lower 16
	return prefix + base32.StdEncoding.EncodeToString(raw[:])
}

// accountOfKey is the account that a key id holds.
func accountOfKey(id string) (string, bool) {
	if len(id) != 20 {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	head := uint64(binary.BigEndian.Uint32(raw[:4]))<<16 | uint64(binary.BigEndian.Uint16(raw[4:6]))
	return fmt.Sprintf("%012d", head>>7&(1<<40-1)), true
}

// secretKey makes a secret of 40 characters.
func secretKey() string { return (rand.Text() + strings.ToLower(rand.Text()))[:40] }
