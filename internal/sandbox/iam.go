package sandbox

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The forms of IAM's parameters.
const (
	entityName = `^[\w+=,.@-]+$`
	entityPath = `^(\x{002F})|(\x{002F}[\x{0021}-\x{007E}]+\x{002F})$`
)

// iamOperations are all calls of IAM that are served.
func iamOperations() map[string]operation {
	all := map[string]operation{}
	for _, some := range []map[string]operation{userOperations(), groupOperations(), roleOperations(), policyOperations(), holderOperations(), providerOperations(), accountOperations(), simulateOperations()} {
		for name, op := range some {
			run := op.run
			op.run = func(c *call) ([]node, error) {
				// What GetSessionToken gives out works in IAM only with MFA, which the sandbox does not have.
				if c.caller.session != nil && c.caller.session.Role == "" {
					return nil, &failure{sort: unknownKey}
				}
				return run(c)
			}
			all[name] = op
		}
	}
	return all
}

// name checks a parameter that names a user, group, role, policy or instance profile.
func (c *call) name(param string) (string, error) {
	var check checks
	most := 128
	if param == "UserName" || param == "RoleName" {
		most = 64
	}
	name := check.text(c.params, param, 1, most, regexp.MustCompile(entityName))
	if err := check.err(); err != nil {
		return "", err
	}
	return name, nil
}

// path checks the path of what is being made; "/" where there is none.
func (c *call) path(check *checks) string {
	if !c.params.has("Path") {
		return "/"
	}
	return check.text(c.params, "Path", 1, 512, regexp.MustCompile(entityPath))
}

// newEntity reads what all that is made has: name, path and tags.
func (c *call) newEntity(param, prefix string) (entity, error) {
	var check checks
	path := c.path(&check)
	name, err := c.name(param)
	if err != nil {
		return entity{}, err
	}
	given := c.params.tags()
	if len(given) > 50 {
		check.member("[…]", "Tags", "have length less than or equal to 50")
	}
	if err := check.err(); err != nil {
		return entity{}, err
	}
	return entity{Name: name, ID: uniqueID(prefix), Path: path, Created: c.now, Tags: given}, nil
}

// userOf is the user that a call names, or the caller when it names none, as IAM has it.
func (c *call) userOf(a *account) (*user, error) {
	if !c.params.has("UserName") && c.caller.user != "" {
		if u := a.userByID(c.caller.user); u != nil {
			return u, nil
		}
	}
	name, err := c.name("UserName")
	if err != nil {
		return nil, err
	}
	u := a.Users[strings.ToLower(name)]
	if u == nil {
		return nil, noSuchEntity("The user with name %s cannot be found.", name)
	}
	return u, nil
}

func (c *call) groupOf(a *account) (*group, error) {
	name, err := c.name("GroupName")
	if err != nil {
		return nil, err
	}
	g := a.Groups[strings.ToLower(name)]
	if g == nil {
		return nil, noSuchEntity("The group with name %s cannot be found.", name)
	}
	return g, nil
}

func (c *call) roleOf(a *account) (*role, error) {
	name, err := c.name("RoleName")
	if err != nil {
		return nil, err
	}
	r := a.Roles[strings.ToLower(name)]
	if r == nil {
		return nil, noSuchEntity("The role with name %s cannot be found.", name)
	}
	return r, nil
}

// The resources of IAM calls. Of what does not exist the path is unknown, so its ARN is that of the name alone.

func userResource(c *call) string {
	if u, err := c.userOf(c.account()); err == nil {
		return c.account().userARN(u)
	}
	return c.account().arn("user" + newPath(c) + c.params.text("UserName"))
}

func groupResource(c *call) string {
	if g, err := c.groupOf(c.account()); err == nil {
		return c.account().groupARN(g)
	}
	return c.account().arn("group" + newPath(c) + c.params.text("GroupName"))
}

func roleResource(c *call) string {
	if r, err := c.roleOf(c.account()); err == nil {
		return c.account().roleARN(r)
	}
	return c.account().arn("role" + newPath(c) + c.params.text("RoleName"))
}

func policyResource(c *call) string {
	if arn := c.params.text("PolicyArn"); arn != "" {
		return arn
	}
	return c.account().arn("policy" + newPath(c) + c.params.text("PolicyName"))
}

func profileResource(c *call) string {
	name := c.params.text("InstanceProfileName")
	if p := c.account().Profiles[strings.ToLower(name)]; p != nil {
		return c.account().profileARN(p)
	}
	return c.account().arn("instance-profile" + newPath(c) + name)
}

func providerResource(c *call) string {
	if arn := c.params.text("OpenIDConnectProviderArn"); arn != "" {
		return arn
	}
	return c.account().providerARN(withoutScheme(c.params.text("Url")))
}

// newPath is the path of what a call makes.
func newPath(c *call) string {
	if p := c.params.text("Path"); p != "" {
		return p
	}
	return "/"
}

// under makes the resource of a call that lists: the place where its things are.
func under(kind string) func(*call) string {
	return func(c *call) string { return c.account().arn(kind + c.params.text("PathPrefix") + "/") }
}

// tagged adds the tags that a call brings, and those that its resource has.
func tagged(c *call, context map[string][]string) {
	tagContext(context, c.params.tags())
	a := c.account()
	own := tags{}
	if u, err := c.userOf(a); err == nil && c.params.has("UserName") {
		own = u.Tags
	} else if r, err := c.roleOf(a); err == nil {
		own = r.Tags
	}
	for k, v := range own {
		context["aws:ResourceTag/"+k], context["iam:ResourceTag/"+k] = []string{v}, []string{v}
	}
	if arn := c.params.text("PermissionsBoundary"); arn != "" {
		context["iam:PermissionsBoundary"] = []string{arn}
	}
	if arn := c.params.text("PolicyArn"); arn != "" {
		context["iam:PolicyARN"] = []string{arn}
	}
}

// page cuts a list as Marker and MaxItems ask. Markers are the place in the list.
func page[T any](c *call, name string, items []T, of func(T) []node) ([]node, error) {
	var check checks
	size := check.number(c.params, "MaxItems", 1, 1000, 100)
	if err := check.err(); err != nil {
		return nil, err
	}
	from := 0
	if marker := c.params.text("Marker"); marker != "" {
		n, err := strconv.Atoi(marker)
		if err != nil || n < 0 || n > len(items) {
			return nil, invalid("Invalid Marker.")
		}
		from = n
	}
	to := min(from+size, len(items))
	out := []node{list(name, items[from:to], of), flag("IsTruncated", to < len(items))}
	if to < len(items) {
		out = append(out, number("Marker", to))
	}
	return out, nil
}

// sorted are the values of a map of entities below the path that a call asks for, by name.
func sorted[T any](c *call, m map[string]*T, of func(*T) entity) []*T {
	prefix := c.params.text("PathPrefix")
	var out []*T
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(of(m[key]).Path, prefix) {
			out = append(out, m[key])
		}
	}
	return out
}

// nodes of what entities have in common.
func (e entity) nodes(kind, arn string) []node {
	return []node{leaf("Path", e.Path), leaf(kind+"Name", e.Name), leaf(kind+"Id", e.ID), leaf("Arn", arn), moment("CreateDate", e.Created)}
}

func (e entity) tagNodes() []node {
	if len(e.Tags) == 0 {
		return nil
	}
	return []node{tagList(e.Tags)}
}

func tagList(all tags) node {
	keys := slices.Sorted(maps.Keys(all))
	return list("Tags", keys, func(k string) []node { return []node{leaf("Key", k), leaf("Value", all[k])} })
}

func (h holder) boundaryNodes() []node {
	if h.Boundary == "" {
		return nil
	}
	return []node{tree("PermissionsBoundary", leaf("PermissionsBoundaryType", "Policy"), leaf("PermissionsBoundaryArn", h.Boundary))}
}

func (a *account) userNodes(u *user) []node {
	return slices.Concat(u.nodes("User", a.userARN(u)), u.boundaryNodes(), u.tagNodes())
}

func (a *account) groupNodes(g *group) []node { return g.nodes("Group", a.groupARN(g)) }

func (a *account) roleNodes(r *role) []node {
	out := append(r.nodes("Role", a.roleARN(r)), leaf("AssumeRolePolicyDocument", encoded(r.Trust)))
	out = append(out, optional("Description", r.Description)...)
	return slices.Concat(out, []node{number("MaxSessionDuration", r.MaxSession)}, r.boundaryNodes(), r.tagNodes())
}

func (a *account) profileNodes(p *profile) []node {
	var roles []*role
	if r := a.Roles[p.Role]; r != nil {
		roles = append(roles, r)
	}
	return slices.Concat(p.nodes("InstanceProfile", a.profileARN(p)), []node{list("Roles", roles, a.roleNodes)}, p.tagNodes())
}

// encoded is a document as IAM gives it out.
func encoded(d document) string { return strings.ReplaceAll(url.QueryEscape(d.text), "+", "%20") }

// retag changes tags as TagX and UntagX do.
func (c *call) retag(e *entity, add bool) error {
	if e.Tags == nil {
		e.Tags = tags{}
	}
	if !add {
		for _, key := range c.params.list("TagKeys") {
			delete(e.Tags, key)
		}
		return nil
	}
	maps.Copy(e.Tags, c.params.tags())
	if len(e.Tags) > 50 {
		return quota("TagsPerResource", 50)
	}
	return nil
}

func byName(a, b entity) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
