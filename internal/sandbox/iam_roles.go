package sandbox

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func roleOperations() map[string]operation {
	return map[string]operation{
		"CreateRole":             {resource: roleResource, context: tagged, run: (*call).createRole},
		"GetRole":                {resource: roleResource, context: tagged, run: (*call).getRole},
		"ListRoles":              {resource: under("role"), run: (*call).listRoles},
		"DeleteRole":             {resource: roleResource, context: tagged, run: (*call).deleteRole},
		"UpdateRole":             {resource: roleResource, context: tagged, run: (*call).updateRole},
		"UpdateAssumeRolePolicy": {resource: roleResource, context: tagged, run: (*call).updateAssumeRolePolicy},
		"TagRole":                {resource: roleResource, context: tagged, run: func(c *call) ([]node, error) { return c.tagRole(true) }},
		"UntagRole":              {resource: roleResource, context: tagged, run: func(c *call) ([]node, error) { return c.tagRole(false) }},
		"ListRoleTags":           {resource: roleResource, context: tagged, run: (*call).listRoleTags},

		"CreateInstanceProfile":         {resource: profileResource, run: (*call).createProfile},
		"GetInstanceProfile":            {resource: profileResource, run: (*call).getProfile},
		"ListInstanceProfiles":          {resource: under("instance-profile"), run: (*call).listProfiles},
		"DeleteInstanceProfile":         {resource: profileResource, run: (*call).deleteProfile},
		"AddRoleToInstanceProfile":      {resource: profileResource, run: (*call).addRoleToProfile},
		"RemoveRoleFromInstanceProfile": {resource: profileResource, run: (*call).removeRoleFromProfile},
		"ListInstanceProfilesForRole":   {resource: roleResource, context: tagged, run: (*call).listProfilesForRole},
	}
}

func entityOfRole(r *role) entity       { return r.entity }
func entityOfProfile(p *profile) entity { return p.entity }

// maxTrust is the size of a trust policy, without white space.
const maxTrust = 2048

// trust reads a trust policy.
func (c *call) trust(param string) (document, error) {
	d, err := readPolicy(trustPolicy, c.params.text(param))
	if err != nil {
		return d, err
	}
	if d.size() > maxTrust {
		return d, quota("ACLSizePerRole", maxTrust)
	}
	return d, c.state().checkPrincipals(d)
}

func (c *call) createRole() ([]node, error) {
	var check checks
	seconds := check.number(c.params, "MaxSessionDuration", 3600, 43200, 3600)
	description := check.optional(c.params, "Description", 0, 1000, nil)
	if err := check.err(); err != nil {
		return nil, err
	}
	e, err := c.newEntity("RoleName", "AROA")
	if err != nil {
		return nil, err
	}
	trust, err := c.trust("AssumeRolePolicyDocument")
	if err != nil {
		return nil, err
	}
	r := &role{entity: e, holder: holder{Inline: map[string]document{}, Boundary: c.params.text("PermissionsBoundary")}, Trust: trust, Description: description, MaxSession: seconds}
	err = c.changeAccount(func(a *account) error {
		key := strings.ToLower(r.Name)
		switch {
		case a.Roles[key] != nil:
			return alreadyExists("Role with name %s already exists.", r.Name)
		case len(a.Roles) >= 1000:
			return quota("RolesPerAccount", 1000)
		}
		if err := c.s.checkBoundary(a, r.Boundary); err != nil {
			return err
		}
		a.Roles[key] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("Role", c.account().roleNodes(r)...)}, nil
}

func (c *call) getRole() ([]node, error) {
	a := c.account()
	r, err := c.roleOf(a)
	if err != nil {
		return nil, err
	}
	return []node{tree("Role", append(a.roleNodes(r), tree("RoleLastUsed"))...)}, nil
}

func (c *call) listRoles() ([]node, error) {
	a := c.account()
	return page(c, "Roles", sorted(c, a.Roles, entityOfRole), a.roleNodes)
}

func (c *call) deleteRole() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		r, err := c.roleOf(a)
		switch {
		case err != nil:
			return err
		case len(a.profilesOf(r)) > 0:
			return deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		case len(r.Attached) > 0:
			return deleteConflict("Cannot delete entity, must detach all policies first.")
		case len(r.Inline) > 0:
			return deleteConflict("Cannot delete entity, must delete policies first.")
		}
		delete(a.Roles, strings.ToLower(r.Name))
		return nil
	})
}

func (c *call) updateRole() ([]node, error) {
	var check checks
	description := check.optional(c.params, "Description", 0, 1000, nil)
	seconds := check.number(c.params, "MaxSessionDuration", 3600, 43200, 0)
	if err := check.err(); err != nil {
		return nil, err
	}
	err := c.changeAccount(func(a *account) error {
		r, err := c.roleOf(a)
		if err != nil {
			return err
		}
		if c.params.has("Description") {
			r.Description = description
		}
		if seconds > 0 {
			r.MaxSession = seconds
		}
		return nil
	})
	return []node{}, err
}

func (c *call) updateAssumeRolePolicy() ([]node, error) {
	trust, err := c.trust("PolicyDocument")
	if err != nil {
		return nil, err
	}
	return nil, c.changeAccount(func(a *account) error {
		r, err := c.roleOf(a)
		if err == nil {
			r.Trust = trust
		}
		return err
	})
}

func (c *call) tagRole(add bool) ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		r, err := c.roleOf(a)
		if err != nil {
			return err
		}
		return c.retag(&r.entity, add)
	})
}

func (c *call) listRoleTags() ([]node, error) {
	r, err := c.roleOf(c.account())
	if err != nil {
		return nil, err
	}
	return []node{tagList(r.Tags), flag("IsTruncated", false)}, nil
}

// profileOf is the instance profile that a call names.
func (c *call) profileOf(a *account) (*profile, error) {
	name, err := c.name("InstanceProfileName")
	if err != nil {
		return nil, err
	}
	p := a.Profiles[strings.ToLower(name)]
	if p == nil {
		return nil, noSuchEntity("Instance Profile %s cannot be found.", name)
	}
	return p, nil
}

// profilesOf are the instance profiles that hold a role.
func (a *account) profilesOf(r *role) []*profile {
	var out []*profile
	for _, p := range a.Profiles {
		if p.Role == strings.ToLower(r.Name) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y *profile) int { return byName(x.entity, y.entity) })
	return out
}

func (c *call) createProfile() ([]node, error) {
	e, err := c.newEntity("InstanceProfileName", "AIPA")
	if err != nil {
		return nil, err
	}
	p := &profile{entity: e}
	err = c.changeAccount(func(a *account) error {
		key := strings.ToLower(p.Name)
		if a.Profiles[key] != nil {
			return alreadyExists("Instance Profile %s already exists.", p.Name)
		}
		a.Profiles[key] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("InstanceProfile", c.account().profileNodes(p)...)}, nil
}

func (c *call) getProfile() ([]node, error) {
	a := c.account()
	p, err := c.profileOf(a)
	if err != nil {
		return nil, err
	}
	return []node{tree("InstanceProfile", a.profileNodes(p)...)}, nil
}

func (c *call) listProfiles() ([]node, error) {
	a := c.account()
	return page(c, "InstanceProfiles", sorted(c, a.Profiles, entityOfProfile), a.profileNodes)
}

func (c *call) deleteProfile() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.profileOf(a)
		if err != nil {
			return err
		}
		if p.Role != "" {
			return deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		}
		delete(a.Profiles, strings.ToLower(p.Name))
		return nil
	})
}

func (c *call) addRoleToProfile() ([]node, error) {
	pass := question{who: c.caller, action: "iam:PassRole", resource: roleResource(c), account: c.caller.account, context: map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}}}
	if err := c.allow(pass); err != nil {
		return nil, err
	}
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.profileOf(a)
		if err != nil {
			return err
		}
		r, err := c.roleOf(a)
		if err != nil {
			return err
		}
		if p.Role != "" {
			return quota("InstanceSessionsPerInstanceProfile", 1)
		}
		p.Role = strings.ToLower(r.Name)
		return nil
	})
}

func (c *call) removeRoleFromProfile() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.profileOf(a)
		if err != nil {
			return err
		}
		name, err := c.name("RoleName")
		if err != nil {
			return err
		}
		if p.Role != strings.ToLower(name) {
			return noSuchEntity("The role with name %s cannot be found.", name)
		}
		p.Role = ""
		return nil
	})
}

func (c *call) listProfilesForRole() ([]node, error) {
	a := c.account()
	r, err := c.roleOf(a)
	if err != nil {
		return nil, err
	}
	return page(c, "InstanceProfiles", a.profilesOf(r), a.profileNodes)
}

func providerOperations() map[string]operation {
	return map[string]operation{
		"CreateOpenIDConnectProvider":             {resource: providerResource, context: tagged, run: (*call).createProvider},
		"GetOpenIDConnectProvider":                {resource: providerResource, run: (*call).getProvider},
		"ListOpenIDConnectProviders":              {resource: under("oidc-provider"), run: (*call).listProviders},
		"DeleteOpenIDConnectProvider":             {resource: providerResource, run: (*call).deleteProvider},
		"AddClientIDToOpenIDConnectProvider":      {resource: providerResource, run: (*call).addClientID},
		"RemoveClientIDFromOpenIDConnectProvider": {resource: providerResource, run: (*call).removeClientID},
		"UpdateOpenIDConnectProviderThumbprint":   {resource: providerResource, run: (*call).updateThumbprint},
	}
}

// withoutScheme is how IAM keeps the URL of a provider. Plain http is for issuers on this machine only.
func withoutScheme(text string) string {
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest = strings.TrimPrefix(text, "http://")
	}
	return rest
}

// checkProvider refuses URLs and thumbprints that IAM would refuse. Beyond IAM, an issuer on this machine may have a
// port and plain http.
func checkProvider(text string, ids, prints []string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || len(text) > 255 || u.RawQuery != "" || u.Fragment != "" || u.User != nil,
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())),
		u.Port() != "" && !loopback(u.Hostname()):
		return invalid("Invalid Open ID Connect Provider URL")
	case len(ids) > 100:
		return quota("ClientIdsPerOpenIdConnectProvider", 100)
	}
	return checkThumbprints(prints)
}

func checkThumbprints(prints []string) error {
	if len(prints) > 5 {
		return invalid("Thumbprint list must contain fewer than 5 entries.")
	}
	hex := regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)
	for _, p := range prints {
		if !hex.MatchString(p) {
			return invalid("Invalid thumbprint %s: it has 40 hexadecimal digits", clip(p))
		}
	}
	return nil
}

func (c *call) createProvider() ([]node, error) {
	text, ids, prints := c.params.text("Url"), c.params.list("ClientIDList"), c.params.list("ThumbprintList")
	if err := checkProvider(text, ids, prints); err != nil {
		return nil, err
	}
	p := &provider{URL: withoutScheme(text), ClientIDs: ids, Thumbprints: prints, Created: c.now, Tags: c.params.tags()}
	err := c.changeAccount(func(a *account) error {
		switch {
		case a.Providers[p.URL] != nil:
			return alreadyExists("Provider with url %s already exists.", text)
		case len(a.Providers) >= 100:
			return quota("OpenIdConnectProvidersPerAccount", 100)
		}
		a.Providers[p.URL] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{leaf("OpenIDConnectProviderArn", c.account().providerARN(p.URL))}, nil
}

// openID is the provider that a call names by its ARN.
func (c *call) openID(a *account) (*provider, error) {
	arn := c.params.text("OpenIDConnectProviderArn")
	url, ok := strings.CutPrefix(arn, a.arn("oidc-provider/"))
	if !ok || a.Providers[url] == nil {
		return nil, noSuchEntity("OpenIDConnect Provider not found for arn %s", clip(arn))
	}
	return a.Providers[url], nil
}

func (c *call) getProvider() ([]node, error) {
	p, err := c.openID(c.account())
	if err != nil {
		return nil, err
	}
	return []node{leaf("Url", p.URL), texts("ClientIDList", p.ClientIDs), texts("ThumbprintList", p.Thumbprints), moment("CreateDate", p.Created), tagList(p.Tags)}, nil
}

func (c *call) listProviders() ([]node, error) {
	a := c.account()
	var urls []string
	for u := range a.Providers {
		urls = append(urls, u)
	}
	slices.Sort(urls)
	return []node{list("OpenIDConnectProviderList", urls, func(u string) []node { return []node{leaf("Arn", a.providerARN(u))} })}, nil
}

// changeProvider changes the provider that a call names.
func (c *call) changeProvider(do func(*account, *provider) error) ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.openID(a)
		if err != nil {
			return err
		}
		return do(a, p)
	})
}

func (c *call) deleteProvider() ([]node, error) {
	return c.changeProvider(func(a *account, p *provider) error {
		delete(a.Providers, p.URL)
		return nil
	})
}

func (c *call) addClientID() ([]node, error) {
	return c.changeProvider(func(_ *account, p *provider) error {
		id := c.params.text("ClientID")
		switch {
		case slices.Contains(p.ClientIDs, id):
		case len(p.ClientIDs) >= 100:
			return quota("ClientIdsPerOpenIdConnectProvider", 100)
		default:
			p.ClientIDs = append(p.ClientIDs, id)
		}
		return nil
	})
}

func (c *call) removeClientID() ([]node, error) {
	return c.changeProvider(func(_ *account, p *provider) error {
		id := c.params.text("ClientID")
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(one string) bool { return one == id })
		return nil
	})
}

func (c *call) updateThumbprint() ([]node, error) {
	prints := c.params.list("ThumbprintList")
	if err := checkThumbprints(prints); err != nil {
		return nil, err
	}
	return c.changeProvider(func(_ *account, p *provider) error {
		p.Thumbprints = prints
		return nil
	})
}
