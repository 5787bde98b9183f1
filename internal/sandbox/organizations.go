package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam"
)

// organization is a tree: a root, organizational units, accounts as leaves, and control policies attached anywhere.
type organization struct {
	ID       string                    `json:"id"`
	Master   string                    `json:"master"` // the management account
	Created  time.Time                 `json:"created"`
	Root     string                    `json:"root"`    // r-…
	Enabled  []string                  `json:"enabled"` // kinds of policies that count
	Units    map[string]*unit          `json:"units"`
	Members  map[string]string         `json:"members"` // account → its parent
	Policies map[string]*controlled    `json:"policies"`
	Attached map[string][]string       `json:"attached"` // target → ids of policies
	Requests map[string]accountRequest `json:"requests,omitempty"`
}

type unit struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent"`
}

// controlled is a service control policy or a resource control policy.
type controlled struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	AWS         bool     `json:"aws,omitempty"`
	Content     document `json:"content"`
}

// accountRequest is how making an account went: here it is done at once.
type accountRequest struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Account string    `json:"account"`
	At      time.Time `json:"at"`
}

// The kinds of policies that are served.
const (
	serviceControl  = "SERVICE_CONTROL_POLICY"
	resourceControl = "RESOURCE_CONTROL_POLICY"
	fullAccess      = "p-FullAWSAccess"
	fullResource    = "p-RCPFullAWSAccess"
)

func (o *organization) clone() *organization {
	c := *o
	c.Enabled, c.Members, c.Requests = slices.Clone(o.Enabled), maps.Clone(o.Members), maps.Clone(o.Requests)
	c.Units = cloned(o.Units, func(u unit) unit { return u })
	c.Policies = cloned(o.Policies, func(p controlled) controlled { return p })
	c.Attached = make(map[string][]string, len(o.Attached))
	for k, v := range o.Attached {
		c.Attached[k] = slices.Clone(v)
	}
	return &c
}

// newOrganization makes one whose root has the policies that allow everything, with service control policies enabled.
func newOrganization(master string, now time.Time) (*organization, error) {
	allow, err := iam.Parse([]byte(everything))
	if err != nil {
		return nil, err
	}
	anyone := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
	all, err := iam.Parse([]byte(anyone))
	if err != nil {
		return nil, err
	}
	o := &organization{
		ID: "o-" + random(10), Master: master, Created: now, Root: "r-" + random(4), Enabled: []string{serviceControl},
		Units: map[string]*unit{}, Members: map[string]string{}, Attached: map[string][]string{}, Requests: map[string]accountRequest{},
		Policies: map[string]*controlled{
			fullAccess:   {ID: fullAccess, Kind: serviceControl, Name: "FullAWSAccess", Description: "Allows access to every operation", AWS: true, Content: document{everything, allow}},
			fullResource: {ID: fullResource, Kind: resourceControl, Name: "RCPFullAWSAccess", AWS: true, Content: document{anyone, all}},
		},
	}
	o.Attached[o.Root] = []string{fullAccess}
	o.join(master, o.Root)
	return o, nil
}

// everything is the document of AdministratorAccess and of FullAWSAccess.
const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// join puts an account below a root or a unit.
func (o *organization) join(account, parent string) {
	o.Members[account] = parent
	o.Attached[account] = []string{fullAccess}
}

// addUnit makes a unit.
func (o *organization) addUnit(name, parent string) *unit {
	u := &unit{ID: "ou-" + strings.TrimPrefix(o.Root, "r-") + "-" + random(8), Name: name, Parent: parent}
	o.Units[u.ID] = u
	o.Attached[u.ID] = []string{fullAccess}
	return u
}

func random(n int) string { return strings.ToLower(secretKey())[:n] }

func (o *organization) arn(a *account, resource string) string {
	return "arn:" + a.Partition + ":organizations::" + o.Master + ":" + resource
}

// policyARN is the ARN as it stands in refusals.
func (o *organization) policyARN(a *account, p *controlled) string {
	if p.AWS {
		return "arn:" + a.Partition + ":organizations::aws:policy/" + strings.ToLower(p.Kind) + "/" + p.ID
	}
	return o.arn(a, "policy/"+o.ID+"/"+strings.ToLower(p.Kind)+"/"+p.ID)
}

// organizationOf is the organization of an account.
func (st *state) organizationOf(account string) *organization {
	for _, o := range st.Organizations {
		if _, ok := o.Members[account]; ok {
			return o
		}
	}
	return nil
}

// line is the way from the root to an account: each must allow.
func (o *organization) line(account string) []string {
	way := []string{account}
	for at := o.Members[account]; at != ""; {
		way = append(way, at)
		u := o.Units[at]
		if u == nil {
			break
		}
		at = u.Parent
	}
	slices.Reverse(way)
	return way
}

// path is the way to an account as condition keys have it: o-…/r-…/ou-…/
func (o *organization) path(account string) string {
	way := o.line(account)
	return o.ID + "/" + strings.Join(way[:len(way)-1], "/") + "/"
}

// levels are the control policies over an account, from the root down; nil where there are none. The management account
// stands under none.
func (st *state) levels(account, kind string) []iam.Level {
	o := st.organizationOf(account)
	if o == nil || o.Master == account || !slices.Contains(o.Enabled, kind) {
		return nil
	}
	owner := st.Accounts[o.Master]
	var out []iam.Level
	for _, target := range o.line(account) {
		level := iam.Level{Name: target, Policies: []iam.Policy{}}
		for _, id := range o.Attached[target] {
			if p := o.Policies[id]; p != nil && p.Kind == kind {
				level.Policies = append(level.Policies, iam.Policy{Name: o.policyARN(owner, p), Document: p.Content.parsed})
			}
		}
		out = append(out, level)
	}
	return out
}

// request is what calls of Organizations bring: all members that any of them takes.
type request struct {
	Name                   string `json:"Name"`
	Email                  string `json:"Email"`
	AccountName            string `json:"AccountName"`
	AccountID              string `json:"AccountId"`
	CreateAccountRequestID string `json:"CreateAccountRequestId"`
	ParentID               string `json:"ParentId"`
	ChildID                string `json:"ChildId"`
	ChildType              string `json:"ChildType"`
	SourceParentID         string `json:"SourceParentId"`
	DestinationParentID    string `json:"DestinationParentId"`
	RootID                 string `json:"RootId"`
	OrganizationalUnitID   string `json:"OrganizationalUnitId"`
	PolicyID               string `json:"PolicyId"`
	PolicyType             string `json:"PolicyType"`
	TargetID               string `json:"TargetId"`
	Content                string `json:"Content"`
	Description            string `json:"Description"`
	Type                   string `json:"Type"`
	Filter                 string `json:"Filter"`
}

// organizationsCall is one that needs an organization.
func organizationsCall(do func(*call, *organization, request) (any, error)) operation {
	return operation{json: func(c *call) (any, error) {
		in, err := c.request()
		if err != nil {
			return nil, err
		}
		o := c.state().organizationOf(c.caller.account)
		if o == nil {
			return nil, fail(http.StatusBadRequest, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
		}
		return do(c, o, in)
	}}
}

// organizationsChange is one that changes the organization, which only the management account may do.
func organizationsChange(do func(*call, *organization, request) (any, error)) operation {
	return organizationsCall(func(c *call, o *organization, in request) (out any, err error) {
		if o.Master != c.caller.account {
			return nil, &failure{sort: denied, message: "You don't have permissions to access this resource."}
		}
		id := o.ID
		err = c.s.change(func(d *draft) error {
			out, err = do(c, d.organization(id), in)
			return err
		})
		return out, err
	})
}

func (c *call) request() (request, error) {
	var in request
	if len(c.body) == 0 {
		return in, nil
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return in, fail(http.StatusBadRequest, "SerializationException", "The request body is not the JSON of this call.")
	}
	return in, nil
}

func organizationsOperations() map[string]operation {
	return map[string]operation{
		"CreateOrganization":               {json: (*call).createOrganization},
		"DescribeOrganization":             organizationsCall(describeOrganization),
		"ListRoots":                        organizationsCall(listRoots),
		"ListAccounts":                     organizationsCall(listAccounts),
		"DescribeAccount":                  organizationsCall(describeAccount),
		"ListAccountsForParent":            organizationsCall(listAccountsForParent),
		"ListOrganizationalUnitsForParent": organizationsCall(listUnits),
		"DescribeOrganizationalUnit":       organizationsCall(describeUnit),
		"ListParents":                      organizationsCall(listParents),
		"ListChildren":                     organizationsCall(listChildren),
		"DescribeCreateAccountStatus":      organizationsCall(describeCreateAccountStatus),
		"ListPolicies":                     organizationsCall(listControlPolicies),
		"DescribePolicy":                   organizationsCall(describeControlPolicy),
		"ListPoliciesForTarget":            organizationsCall(listPoliciesForTarget),
		"ListTargetsForPolicy":             organizationsCall(listTargetsForPolicy),
		"ListAWSServiceAccessForOrganization": organizationsCall(func(*call, *organization, request) (any, error) {
			return map[string]any{"EnabledServicePrincipals": []string{}}, nil
		}),
		"CreateOrganizationalUnit": organizationsChange(createUnit),
		"DeleteOrganizationalUnit": organizationsChange(deleteUnit),
		"MoveAccount":              organizationsChange(moveAccount),
		"EnablePolicyType":         organizationsChange(enablePolicyType),
		"DisablePolicyType":        organizationsChange(disablePolicyType),
		"CreatePolicy":             organizationsChange(createControlPolicy),
		"UpdatePolicy":             organizationsChange(updateControlPolicy),
		"DeletePolicy":             organizationsChange(deleteControlPolicy),
		"AttachPolicy":             organizationsChange(attachControlPolicy),
		"DetachPolicy":             organizationsChange(detachControlPolicy),
		"CreateAccount":            {json: (*call).createAccount},
	}
}

func orgFail(code, format string, args ...any) *failure {
	return fail(http.StatusBadRequest, code, format, args...)
}

// epoch is how JSON protocols write times.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (c *call) createOrganization() (any, error) {
	var made *organization
	err := c.s.change(func(d *draft) error {
		if d.organizationOf(c.caller.account) != nil {
			return orgFail("AlreadyInOrganizationException", "The provided account is already a member of an organization.")
		}
		var err error
		if made, err = newOrganization(c.caller.account, c.now); err != nil {
			return err
		}
		d.Organizations[made.ID] = made
		return nil
	})
	if err != nil {
		return nil, err
	}
	return describeOrganization(c, made, request{})
}

func describeOrganization(c *call, o *organization, _ request) (any, error) {
	m := c.state().Accounts[o.Master]
	return map[string]any{"Organization": map[string]any{
		"Id": o.ID, "Arn": o.arn(m, "organization/"+o.ID), "FeatureSet": "ALL", "MasterAccountId": m.ID, "MasterAccountEmail": m.Email,
		"MasterAccountArn":     o.arn(m, "account/"+o.ID+"/"+m.ID),
		"AvailablePolicyTypes": o.policyTypes(),
	}}, nil
}

func (o *organization) policyTypes() []map[string]string {
	out := []map[string]string{}
	for _, t := range o.Enabled {
		out = append(out, map[string]string{"Type": t, "Status": "ENABLED"})
	}
	return out
}

func (o *organization) rootBody(m *account) map[string]any {
	return map[string]any{"Id": o.Root, "Arn": o.arn(m, "root/"+o.ID+"/"+o.Root), "Name": "Root", "PolicyTypes": o.policyTypes()}
}

func listRoots(c *call, o *organization, _ request) (any, error) {
	return map[string]any{"Roots": []any{o.rootBody(c.state().Accounts[o.Master])}}, nil
}

func (o *organization) accountBody(st *state, id string) map[string]any {
	a := st.Accounts[id]
	return map[string]any{
		"Id": id, "Arn": o.arn(st.Accounts[o.Master], "account/"+o.ID+"/"+id), "Email": a.Email, "Name": a.Name, "Status": "ACTIVE", "State": "ACTIVE",
		"JoinedMethod": "CREATED", "JoinedTimestamp": epoch(a.Created),
	}
}

// accounts are the members below a parent, or all of them, by id.
func (o *organization) accounts(st *state, parent string) []any {
	out := []any{}
	for _, id := range slices.Sorted(maps.Keys(o.Members)) {
		if parent == "" || o.Members[id] == parent {
			out = append(out, o.accountBody(st, id))
		}
	}
	return out
}

func listAccounts(c *call, o *organization, _ request) (any, error) {
	return map[string]any{"Accounts": o.accounts(c.state(), "")}, nil
}

func describeAccount(c *call, o *organization, in request) (any, error) {
	if _, ok := o.Members[in.AccountID]; !ok {
		return nil, noAccount()
	}
	return map[string]any{"Account": o.accountBody(c.state(), in.AccountID)}, nil
}

func noAccount() *failure {
	return orgFail("AccountNotFoundException", "You specified an account that doesn't exist.")
}

func (o *organization) isParent(id string) error {
	if id == o.Root || o.Units[id] != nil {
		return nil
	}
	return orgFail("ParentNotFoundException", "You specified parent that doesn't exist.")
}

func listAccountsForParent(c *call, o *organization, in request) (any, error) {
	if err := o.isParent(in.ParentID); err != nil {
		return nil, err
	}
	return map[string]any{"Accounts": o.accounts(c.state(), in.ParentID)}, nil
}

func (o *organization) unitBody(m *account, u *unit) map[string]any {
	return map[string]any{"Id": u.ID, "Arn": o.arn(m, "ou/"+o.ID+"/"+u.ID), "Name": u.Name}
}

// unitsBelow are the units of a parent, by name.
func (o *organization) unitsBelow(parent string) []*unit {
	var out []*unit
	for _, u := range o.Units {
		if u.Parent == parent {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b *unit) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func listUnits(c *call, o *organization, in request) (any, error) {
	if err := o.isParent(in.ParentID); err != nil {
		return nil, err
	}
	out := []any{}
	for _, u := range o.unitsBelow(in.ParentID) {
		out = append(out, o.unitBody(c.state().Accounts[o.Master], u))
	}
	return map[string]any{"OrganizationalUnits": out}, nil
}

func noUnit() *failure {
	return orgFail("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
}

func describeUnit(c *call, o *organization, in request) (any, error) {
	u := o.Units[in.OrganizationalUnitID]
	if u == nil {
		return nil, noUnit()
	}
	return map[string]any{"OrganizationalUnit": o.unitBody(c.state().Accounts[o.Master], u)}, nil
}

func listParents(_ *call, o *organization, in request) (any, error) {
	parent, ok := o.Members[in.ChildID]
	if u := o.Units[in.ChildID]; u != nil {
		parent, ok = u.Parent, true
	}
	if !ok {
		return nil, orgFail("ChildNotFoundException", "You specified a child that doesn't exist.")
	}
	kind := "ORGANIZATIONAL_UNIT"
	if parent == o.Root {
		kind = "ROOT"
	}
	return map[string]any{"Parents": []any{map[string]string{"Id": parent, "Type": kind}}}, nil
}

func listChildren(_ *call, o *organization, in request) (any, error) {
	if err := o.isParent(in.ParentID); err != nil {
		return nil, err
	}
	out := []any{}
	if in.ChildType == "ORGANIZATIONAL_UNIT" {
		for _, u := range o.unitsBelow(in.ParentID) {
			out = append(out, map[string]string{"Id": u.ID, "Type": in.ChildType})
		}
	} else {
		for _, id := range slices.Sorted(maps.Keys(o.Members)) {
			if o.Members[id] == in.ParentID {
				out = append(out, map[string]string{"Id": id, "Type": "ACCOUNT"})
			}
		}
	}
	return map[string]any{"Children": out}, nil
}

func createUnit(c *call, o *organization, in request) (any, error) {
	if err := o.isParent(in.ParentID); err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, orgFail("InvalidInputException", "The name of an organizational unit has 1 to 128 characters.")
	}
	if slices.ContainsFunc(o.unitsBelow(in.ParentID), func(u *unit) bool { return u.Name == in.Name }) {
		return nil, orgFail("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
	}
	u := o.addUnit(in.Name, in.ParentID)
	return map[string]any{"OrganizationalUnit": o.unitBody(c.state().Accounts[o.Master], u)}, nil
}

func deleteUnit(_ *call, o *organization, in request) (any, error) {
	u := o.Units[in.OrganizationalUnitID]
	if u == nil {
		return nil, noUnit()
	}
	if len(o.unitsBelow(u.ID)) > 0 || slices.Contains(slices.Collect(maps.Values(o.Members)), u.ID) {
		return nil, orgFail("OrganizationalUnitNotEmptyException", "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
	}
	delete(o.Units, u.ID)
	delete(o.Attached, u.ID)
	return nil, nil //nolint:nilnil // the call answers nothing
}

func moveAccount(_ *call, o *organization, in request) (any, error) {
	at, ok := o.Members[in.AccountID]
	switch {
	case !ok:
		return nil, noAccount()
	case at != in.SourceParentID:
		return nil, orgFail("SourceParentNotFoundException", "You specified a source parent that doesn't exist.")
	case o.isParent(in.DestinationParentID) != nil:
		return nil, orgFail("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist.")
	}
	o.Members[in.AccountID] = in.DestinationParentID
	return nil, nil //nolint:nilnil // the call answers nothing
}

func (c *call) createAccount() (any, error) {
	in, err := c.request()
	if err != nil {
		return nil, err
	}
	var made accountRequest
	err = c.s.change(func(d *draft) error {
		o := d.organizationOf(c.caller.account)
		if o == nil || o.Master != c.caller.account {
			return orgFail("AWSOrganizationsNotInUseException", "Your account is not the management account of an organization.")
		}
		o = d.organization(o.ID)
		id := d.freshAccountID()
		a := newAccount(id, c.partition, in.AccountName, c.now)
		if in.Email != "" {
			a.Email = in.Email
		}
		// As AWS does it: the management account can assume this role there.
		trust, err := iam.Parse(fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:%s:iam::%s:root"},"Action":"sts:AssumeRole"}]}`, c.partition, o.Master))
		if err != nil {
			return err
		}
		text, err := trust.MarshalJSON()
		if err != nil {
			return err
		}
		const name = "OrganizationAccountAccessRole"
		a.Roles[strings.ToLower(name)] = &role{
			entity: entity{Name: name, ID: uniqueID("AROA"), Path: "/", Created: c.now}, Trust: document{string(text), trust}, MaxSession: 3600,
			holder: holder{Inline: map[string]document{"AdministratorAccess": o.Policies[fullAccess].Content}},
		}
		d.Accounts[id] = a
		o.join(id, o.Root)
		made = accountRequest{"car-" + random(32), in.AccountName, id, c.now}
		if o.Requests == nil {
			o.Requests = map[string]accountRequest{}
		}
		o.Requests[made.ID] = made
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made.body(), nil
}

// freshAccountID is a number of twelve digits that no account has yet.
func (d *draft) freshAccountID() string {
	const first = 100000000001
	for n := first + len(d.Accounts); ; n++ {
		if id := fmt.Sprintf("%012d", n); d.Accounts[id] == nil {
			return id
		}
	}
}

func (r accountRequest) body() map[string]any {
	return map[string]any{"CreateAccountStatus": map[string]any{
		"Id": r.ID, "AccountName": r.Name, "State": "SUCCEEDED", "AccountId": r.Account, "RequestedTimestamp": epoch(r.At), "CompletedTimestamp": epoch(r.At),
	}}
}

func describeCreateAccountStatus(_ *call, o *organization, in request) (any, error) {
	r, ok := o.Requests[in.CreateAccountRequestID]
	if !ok {
		return nil, orgFail("CreateAccountStatusNotFoundException", "You specified an account creation request that doesn't exist.")
	}
	return r.body(), nil
}
