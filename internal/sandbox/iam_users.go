package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

func userOperations() map[string]operation {
	return map[string]operation{
		"CreateUser":   {resource: userResource, context: tagged, run: (*call).createUser},
		"GetUser":      {resource: userResource, context: tagged, run: (*call).getUser},
		"ListUsers":    {resource: under("user"), run: (*call).listUsers},
		"DeleteUser":   {resource: userResource, context: tagged, run: (*call).deleteUser},
		"TagUser":      {resource: userResource, context: tagged, run: func(c *call) ([]node, error) { return c.tagUser(true) }},
		"UntagUser":    {resource: userResource, context: tagged, run: func(c *call) ([]node, error) { return c.tagUser(false) }},
		"ListUserTags": {resource: userResource, context: tagged, run: (*call).listUserTags},
		"GetLoginProfile": {resource: userResource, run: func(c *call) ([]node, error) {
			return nil, noSuchEntity("Login Profile for User %s cannot be found.", c.params.text("UserName"))
		}},
		"ListMFADevices": {resource: userResource, run: func(c *call) ([]node, error) { return page(c, "MFADevices", []string{}, nil) }},

		"CreateAccessKey":      {resource: userResource, context: tagged, run: (*call).createAccessKey},
		"ListAccessKeys":       {resource: userResource, context: tagged, run: (*call).listAccessKeys},
		"UpdateAccessKey":      {resource: userResource, context: tagged, run: (*call).updateAccessKey},
		"DeleteAccessKey":      {resource: userResource, context: tagged, run: (*call).deleteAccessKey},
		"GetAccessKeyLastUsed": {resource: keyResource, run: (*call).getAccessKeyLastUsed},
	}
}

func groupOperations() map[string]operation {
	return map[string]operation{
		"CreateGroup":         {resource: groupResource, run: (*call).createGroup},
		"GetGroup":            {resource: groupResource, run: (*call).getGroup},
		"ListGroups":          {resource: under("group"), run: (*call).listGroups},
		"DeleteGroup":         {resource: groupResource, run: (*call).deleteGroup},
		"AddUserToGroup":      {resource: groupResource, run: (*call).addUserToGroup},
		"RemoveUserFromGroup": {resource: groupResource, run: (*call).removeUserFromGroup},
		"ListGroupsForUser":   {resource: userResource, context: tagged, run: (*call).listGroupsForUser},
	}
}

func entityOfUser(u *user) entity   { return u.entity }
func entityOfGroup(g *group) entity { return g.entity }

func (c *call) createUser() ([]node, error) {
	e, err := c.newEntity("UserName", "AIDA")
	if err != nil {
		return nil, err
	}
	u := &user{entity: e, holder: holder{Inline: map[string]document{}, Boundary: c.params.text("PermissionsBoundary")}}
	err = c.changeAccount(func(a *account) error {
		key := strings.ToLower(u.Name)
		switch {
		case a.Users[key] != nil:
			return alreadyExists("User with name %s already exists.", u.Name)
		case len(a.Users) >= 5000:
			return quota("UsersPerAccount", 5000)
		}
		if err := c.s.checkBoundary(a, u.Boundary); err != nil {
			return err
		}
		a.Users[key] = u
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("User", c.account().userNodes(u)...)}, nil
}

func (c *call) getUser() ([]node, error) {
	a := c.account()
	if !c.params.has("UserName") && c.caller.root {
		return []node{tree("User", leaf("UserId", a.ID), leaf("Arn", a.arn("root")), moment("CreateDate", a.Created))}, nil
	}
	if !c.params.has("UserName") && c.caller.user == "" {
		return nil, invalid("Must specify userName when calling with non-User credentials")
	}
	u, err := c.userOf(a)
	if err != nil {
		return nil, err
	}
	return []node{tree("User", a.userNodes(u)...)}, nil
}

func (c *call) listUsers() ([]node, error) {
	a := c.account()
	return page(c, "Users", sorted(c, a.Users, entityOfUser), a.userNodes)
}

func (c *call) deleteUser() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		u, err := c.userOf(a)
		switch {
		case err != nil:
			return err
		case len(u.Attached) > 0:
			return deleteConflict("Cannot delete entity, must detach all policies first.")
		case len(u.Inline) > 0:
			return deleteConflict("Cannot delete entity, must delete policies first.")
		case len(u.Keys) > 0:
			return deleteConflict("Cannot delete entity, must delete access keys first.")
		case len(u.Groups) > 0:
			return deleteConflict("Cannot delete entity, must remove users from group first.")
		}
		delete(a.Users, strings.ToLower(u.Name))
		return nil
	})
}

func (c *call) tagUser(add bool) ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		u, err := c.userOf(a)
		if err != nil {
			return err
		}
		return c.retag(&u.entity, add)
	})
}

func (c *call) listUserTags() ([]node, error) {
	u, err := c.userOf(c.account())
	if err != nil {
		return nil, err
	}
	return []node{tagList(u.Tags), flag("IsTruncated", false)}, nil
}

func (k *accessKey) status() string {
	if k.Inactive {
		return "Inactive"
	}
	return "Active"
}

func (c *call) createAccessKey() ([]node, error) {
	key := &accessKey{ID: accessKeyID("AKIA", c.caller.account), Secret: secretKey(), Created: c.now}
	name := ""
	err := c.changeAccount(func(a *account) error {
		u, err := c.userOf(a)
		if err != nil {
			return err
		}
		if len(u.Keys) >= 2 {
			return quota("AccessKeysPerUser", 2)
		}
		u.Keys, name = append(u.Keys, key), u.Name
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("AccessKey", leaf("UserName", name), leaf("AccessKeyId", key.ID), leaf("Status", key.status()), leaf("SecretAccessKey", key.Secret), moment("CreateDate", key.Created))}, nil
}

func (c *call) listAccessKeys() ([]node, error) {
	u, err := c.userOf(c.account())
	if err != nil {
		return nil, err
	}
	return page(c, "AccessKeyMetadata", u.Keys, func(k *accessKey) []node {
		return []node{leaf("UserName", u.Name), leaf("AccessKeyId", k.ID), leaf("Status", k.status()), moment("CreateDate", k.Created)}
	})
}

// keyOf finds the key that a call names, at a user.
func (c *call) keyOf(u *user) (int, error) {
	id := c.params.text("AccessKeyId")
	i := slices.IndexFunc(u.Keys, func(k *accessKey) bool { return k.ID == id })
	if i < 0 {
		return 0, noSuchEntity("The Access Key with id %s cannot be found.", clip(id))
	}
	return i, nil
}

func (c *call) updateAccessKey() ([]node, error) {
	var check checks
	status := check.oneOf(c.params, "Status", "", "Active", "Inactive")
	if err := check.err(); err != nil {
		return nil, err
	}
	return nil, c.changeAccount(func(a *account) error {
		u, err := c.userOf(a)
		if err != nil {
			return err
		}
		i, err := c.keyOf(u)
		if err == nil {
			u.Keys[i].Inactive = status == "Inactive"
		}
		return err
	})
}

func (c *call) deleteAccessKey() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		u, err := c.userOf(a)
		if err != nil {
			return err
		}
		i, err := c.keyOf(u)
		if err == nil {
			u.Keys = slices.Delete(u.Keys, i, i+1)
		}
		return err
	})
}

func keyResource(c *call) string {
	if owner := c.state().key(c.params.text("AccessKeyId")); owner.user != nil && owner.account.ID == c.caller.account {
		return owner.account.userARN(owner.user)
	}
	return "*"
}

func (c *call) getAccessKeyLastUsed() ([]node, error) {
	id := c.params.text("AccessKeyId")
	owner := c.state().key(id)
	if owner.user == nil || owner.account.ID != c.caller.account {
		return nil, &failure{sort: modelled, status: http.StatusForbidden, code: "AccessDenied", message: "User: " + c.caller.arn + " is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key " + clip(id)}
	}
	last := tree("AccessKeyLastUsed", leaf("ServiceName", "N/A"), leaf("Region", "N/A"))
	if v, ok := c.s.lastUsed.Load(id); ok {
		use := v.(keyUse) // only uses are stored
		last = tree("AccessKeyLastUsed", moment("LastUsedDate", use.At), leaf("ServiceName", use.Service), leaf("Region", use.Region))
	}
	return []node{leaf("UserName", owner.user.Name), last}, nil
}

func (c *call) createGroup() ([]node, error) {
	e, err := c.newEntity("GroupName", "AGPA")
	if err != nil {
		return nil, err
	}
	g := &group{entity: e, holder: holder{Inline: map[string]document{}}}
	err = c.changeAccount(func(a *account) error {
		key := strings.ToLower(g.Name)
		switch {
		case a.Groups[key] != nil:
			return alreadyExists("Group with name %s already exists.", g.Name)
		case len(a.Groups) >= 300:
			return quota("GroupsPerAccount", 300)
		}
		a.Groups[key] = g
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("Group", c.account().groupNodes(g)...)}, nil
}

// members are the users in a group, by name.
func (a *account) members(group string) []*user {
	var out []*user
	for _, u := range a.Users {
		if slices.Contains(u.Groups, group) {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(x, y *user) int { return byName(x.entity, y.entity) })
	return out
}

func (c *call) getGroup() ([]node, error) {
	a := c.account()
	g, err := c.groupOf(a)
	if err != nil {
		return nil, err
	}
	users, err := page(c, "Users", a.members(strings.ToLower(g.Name)), a.userNodes)
	return append([]node{tree("Group", a.groupNodes(g)...)}, users...), err
}

func (c *call) listGroups() ([]node, error) {
	a := c.account()
	return page(c, "Groups", sorted(c, a.Groups, entityOfGroup), a.groupNodes)
}

func (c *call) deleteGroup() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		g, err := c.groupOf(a)
		switch {
		case err != nil:
			return err
		case len(g.Attached) > 0:
			return deleteConflict("Cannot delete entity, must detach all policies first.")
		case len(g.Inline) > 0:
			return deleteConflict("Cannot delete entity, must delete policies first.")
		case len(a.members(strings.ToLower(g.Name))) > 0:
			return deleteConflict("Cannot delete entity, must remove users from group first.")
		}
		delete(a.Groups, strings.ToLower(g.Name))
		return nil
	})
}

// membership finds the group and the user that a call joins or parts.
func (c *call) membership(a *account) (string, *user, error) {
	g, err := c.groupOf(a)
	if err != nil {
		return "", nil, err
	}
	name, err := c.name("UserName") // never the caller by default
	if err != nil {
		return "", nil, err
	}
	u := a.Users[strings.ToLower(name)]
	if u == nil {
		return "", nil, noSuchEntity("The user with name %s cannot be found.", name)
	}
	return strings.ToLower(g.Name), u, nil
}

func (c *call) addUserToGroup() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		group, u, err := c.membership(a)
		switch {
		case err != nil:
			return err
		case slices.Contains(u.Groups, group):
			return nil
		case len(u.Groups) >= 10:
			return quota("GroupsPerUser", 10)
		}
		u.Groups = append(u.Groups, group)
		return nil
	})
}

func (c *call) removeUserFromGroup() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		group, u, err := c.membership(a)
		if err != nil {
			return err
		}
		i := slices.Index(u.Groups, group)
		if i < 0 {
			return noSuchEntity("User %s is not in group %s", u.Name, a.Groups[group].Name)
		}
		u.Groups = slices.Delete(u.Groups, i, i+1)
		return nil
	})
}

func (c *call) listGroupsForUser() ([]node, error) {
	a := c.account()
	u, err := c.userOf(a)
	if err != nil {
		return nil, err
	}
	var groups []*group
	for _, key := range u.Groups {
		if g := a.Groups[key]; g != nil {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(x, y *group) int { return byName(x.entity, y.entity) })
	return page(c, "Groups", groups, a.groupNodes)
}
