package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam/service"
)

func policyOperations() map[string]operation {
	return map[string]operation{
		"CreatePolicy":            {resource: policyResource, context: tagged, run: (*call).createPolicy},
		"GetPolicy":               {resource: policyResource, run: (*call).getPolicy},
		"ListPolicies":            {resource: under("policy"), run: (*call).listPolicies},
		"DeletePolicy":            {resource: policyResource, run: (*call).deletePolicy},
		"CreatePolicyVersion":     {resource: policyResource, run: (*call).createPolicyVersion},
		"GetPolicyVersion":        {resource: policyResource, run: (*call).getPolicyVersion},
		"ListPolicyVersions":      {resource: policyResource, run: (*call).listPolicyVersions},
		"DeletePolicyVersion":     {resource: policyResource, run: (*call).deletePolicyVersion},
		"SetDefaultPolicyVersion": {resource: policyResource, run: (*call).setDefaultPolicyVersion},
		"ListEntitiesForPolicy":   {resource: policyResource, run: (*call).listEntitiesForPolicy},
		"ListPolicyTags":          {resource: policyResource, run: (*call).listPolicyTags},
	}
}

const (
	maxManaged  = 6144 // characters of a managed policy without white space
	maxVersions = 5
	maxAttached = 10
)

func entityOfPolicy(p *policy) entity { return p.entity }

// identityDocument reads the policy document of a call.
func (c *call) identityDocument() (document, error) {
	return readPolicy(identityPolicy, c.params.text("PolicyDocument"))
}

func (c *call) createPolicy() ([]node, error) {
	e, err := c.newEntity("PolicyName", "ANPA")
	if err != nil {
		return nil, err
	}
	d, err := c.identityDocument()
	if err != nil {
		return nil, err
	}
	if d.size() > maxManaged {
		return nil, quota("PolicySize", maxManaged)
	}
	p := &policy{entity: e, Description: c.params.text("Description"), Updated: c.now, Default: "v1", Next: 2, Versions: []policyVersion{{"v1", d, c.now}}}
	err = c.changeAccount(func(a *account) error {
		key := strings.ToLower(p.Name)
		switch {
		case a.Policies[key] != nil:
			return alreadyExists("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		case len(a.Policies) >= 1500:
			return quota("PoliciesPerAccount", 1500)
		}
		a.Policies[key] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []node{tree("Policy", c.account().policyNodes(p)...)}, nil
}

// attachments counts where a managed policy is attached, and where it is a boundary.
func (a *account) attachments(arn string) (attached, boundary int) {
	for _, h := range a.holders() {
		if slices.Contains(h.Attached, arn) {
			attached++
		}
		if h.Boundary == arn {
			boundary++
		}
	}
	return attached, boundary
}

func (a *account) holders() []*holder {
	var out []*holder
	for _, u := range a.Users {
		out = append(out, &u.holder)
	}
	for _, g := range a.Groups {
		out = append(out, &g.holder)
	}
	for _, r := range a.Roles {
		out = append(out, &r.holder)
	}
	return out
}

func (a *account) policyNodes(p *policy) []node {
	arn := a.policyARN(p)
	attached, boundary := a.attachments(arn)
	out := p.nodes("Policy", arn)
	out = append(out, leaf("DefaultVersionId", p.Default), number("AttachmentCount", attached), number("PermissionsBoundaryUsageCount", boundary), flag("IsAttachable", true), moment("UpdateDate", p.Updated))
	return slices.Concat(out, optional("Description", p.Description), p.tagNodes())
}

// awsPolicyNodes tells of a policy of AWS. When it was made is not known here.
func (a *account) awsPolicyNodes(m service.ManagedPolicy) []node {
	arn := m.ARN(a.Partition)
	attached, boundary := a.attachments(arn)
	return []node{
		leaf("PolicyName", m.Name), leaf("PolicyId", stableID("ANPA", m.ARN(""))), leaf("Arn", arn), leaf("Path", m.Path), leaf("DefaultVersionId", m.Version),
		number("AttachmentCount", attached), number("PermissionsBoundaryUsageCount", boundary), flag("IsAttachable", true),
		moment("CreateDate", time.Unix(0, 0)), moment("UpdateDate", time.Unix(0, 0)),
	}
}

// policyOf is the account's own policy that a call names; anything else is refused, for changing.
func (c *call) policyOf(a *account) (*policy, error) {
	arn := c.params.text("PolicyArn")
	if p := a.policyByARN(arn); p != nil {
		return p, nil
	}
	if _, ok := c.s.ofAWS(arn); ok {
		return nil, fail(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: iam:%s on resource: policy %s", c.caller.arn, c.operation, clip(arn))
	}
	return nil, noPolicy(arn)
}

func noPolicy(arn string) *failure { return noSuchEntity("Policy %s was not found.", clip(arn)) }

// managedOf is the policy of AWS that a call names.
func managedOf(arn string) (service.ManagedPolicy, bool) {
	all, err := service.LoadManaged()
	if err != nil || !strings.HasPrefix(arn, "arn:") {
		return service.ManagedPolicy{}, false
	}
	return all.Policy(arn)
}

func (c *call) getPolicy() ([]node, error) {
	a, arn := c.account(), c.params.text("PolicyArn")
	if p := a.policyByARN(arn); p != nil {
		return []node{tree("Policy", a.policyNodes(p)...)}, nil
	}
	if m, ok := managedOf(arn); ok {
		return []node{tree("Policy", a.awsPolicyNodes(m)...)}, nil
	}
	return nil, noPolicy(arn)
}

func (c *call) listPolicies() ([]node, error) {
	var check checks
	scope := check.oneOf(c.params, "Scope", "All", "All", "AWS", "Local")
	if err := check.err(); err != nil {
		return nil, err
	}
	a := c.account()
	only := c.params.text("OnlyAttached") == "true"
	var all [][]node
	add := func(arn string, of func() []node) {
		if attached, _ := a.attachments(arn); !only || attached > 0 {
			all = append(all, of())
		}
	}
	if scope != "AWS" {
		for _, p := range sorted(c, a.Policies, entityOfPolicy) {
			add(a.policyARN(p), func() []node { return a.policyNodes(p) })
		}
	}
	if scope != "Local" {
		managed, err := service.LoadManaged()
		if err != nil {
			return nil, err
		}
		for m := range managed.All() {
			if strings.HasPrefix(m.Path, c.params.text("PathPrefix")) {
				add(m.ARN(a.Partition), func() []node { return a.awsPolicyNodes(m) })
			}
		}
	}
	return page(c, "Policies", all, func(n []node) []node { return n })
}

func (c *call) deletePolicy() ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.policyOf(a)
		if err != nil {
			return err
		}
		attached, boundary := a.attachments(a.policyARN(p))
		switch {
		case attached+boundary > 0:
			return deleteConflict("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return deleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		delete(a.Policies, strings.ToLower(p.Name))
		return nil
	})
}

func (p *policy) versionNodes(v policyVersion, document bool) []node {
	var out []node
	if document {
		out = append(out, leaf("Document", encoded(v.Document)))
	}
	return append(out, leaf("VersionId", v.ID), flag("IsDefaultVersion", v.ID == p.Default), moment("CreateDate", v.Created))
}

func (c *call) createPolicyVersion() ([]node, error) {
	d, err := c.identityDocument()
	if err != nil {
		return nil, err
	}
	if d.size() > maxManaged {
		return nil, quota("PolicySize", maxManaged)
	}
	var out []node
	err = c.changeAccount(func(a *account) error {
		p, err := c.policyOf(a)
		if err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return fail(http.StatusConflict, "LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := policyVersion{fmt.Sprintf("v%d", p.Next), d, c.now}
		p.Versions, p.Next, p.Updated = append(p.Versions, v), p.Next+1, c.now
		if c.params.text("SetAsDefault") == "true" {
			p.Default = v.ID
		}
		out = p.versionNodes(v, false)
		return nil
	})
	return []node{tree("PolicyVersion", out...)}, err
}

func (c *call) getPolicyVersion() ([]node, error) {
	arn, id := c.params.text("PolicyArn"), c.params.text("VersionId")
	if p := c.account().policyByARN(arn); p != nil {
		v, ok := p.version(id)
		if !ok {
			return nil, noSuchEntity("Policy %s version %s does not exist or is not attachable.", clip(arn), clip(id))
		}
		return []node{tree("PolicyVersion", p.versionNodes(v, true)...)}, nil
	}
	m, ok := managedOf(arn)
	d, there := c.s.ofAWS(arn)
	switch {
	case !ok || !there:
		return nil, noPolicy(arn)
	case m.Version != id:
		return nil, noSuchEntity("Policy %s version %s does not exist or is not attachable (the sandbox has the newest version, %s).", clip(arn), clip(id), m.Version)
	}
	return []node{tree("PolicyVersion", leaf("Document", encoded(d)), leaf("VersionId", id), flag("IsDefaultVersion", true), moment("CreateDate", time.Unix(0, 0)))}, nil
}

func (c *call) listPolicyVersions() ([]node, error) {
	arn := c.params.text("PolicyArn")
	if p := c.account().policyByARN(arn); p != nil {
		newest := slices.Clone(p.Versions)
		slices.Reverse(newest)
		return page(c, "Versions", newest, func(v policyVersion) []node { return p.versionNodes(v, false) })
	}
	m, ok := managedOf(arn)
	if !ok {
		return nil, noPolicy(arn)
	}
	return page(c, "Versions", []string{m.Version}, func(id string) []node {
		return []node{leaf("VersionId", id), flag("IsDefaultVersion", true), moment("CreateDate", time.Unix(0, 0))}
	})
}

// changeVersion changes a version of a policy; i is its place.
func (c *call) changeVersion(do func(p *policy, i int) error) ([]node, error) {
	id := c.params.text("VersionId")
	return nil, c.changeAccount(func(a *account) error {
		p, err := c.policyOf(a)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(p.Versions, func(v policyVersion) bool { return v.ID == id })
		if i < 0 {
			return noSuchEntity("Policy %s version %s does not exist or is not attachable.", a.policyARN(p), clip(id))
		}
		return do(p, i)
	})
}

func (c *call) deletePolicyVersion() ([]node, error) {
	return c.changeVersion(func(p *policy, i int) error {
		if p.Versions[i].ID == p.Default {
			return deleteConflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}

func (c *call) setDefaultPolicyVersion() ([]node, error) {
	return c.changeVersion(func(p *policy, i int) error {
		p.Default, p.Updated = p.Versions[i].ID, c.now
		return nil
	})
}

func (c *call) listEntitiesForPolicy() ([]node, error) {
	a, arn := c.account(), c.params.text("PolicyArn")
	if err := c.attachable(a, arn); err != nil {
		return nil, noPolicy(arn)
	}
	uses := func(h holder) bool {
		if c.params.text("PolicyUsageFilter") == "PermissionsBoundary" {
			return h.Boundary == arn
		}
		return slices.Contains(h.Attached, arn)
	}
	names := func(kind string) func(entity) []node {
		return func(e entity) []node { return []node{leaf(kind+"Name", e.Name), leaf(kind+"Id", e.ID)} }
	}
	var groups, users, roles []entity
	for _, g := range a.Groups {
		if uses(g.holder) {
			groups = append(groups, g.entity)
		}
	}
	for _, u := range a.Users {
		if uses(u.holder) {
			users = append(users, u.entity)
		}
	}
	for _, r := range a.Roles {
		if uses(r.holder) {
			roles = append(roles, r.entity)
		}
	}
	for _, all := range [][]entity{groups, users, roles} {
		slices.SortFunc(all, byName)
	}
	return []node{list("PolicyGroups", groups, names("Group")), list("PolicyUsers", users, names("User")), list("PolicyRoles", roles, names("Role")), flag("IsTruncated", false)}, nil
}

func (c *call) listPolicyTags() ([]node, error) {
	arn := c.params.text("PolicyArn")
	p := c.account().policyByARN(arn)
	if p == nil {
		return nil, noPolicy(arn)
	}
	return []node{tagList(p.Tags), flag("IsTruncated", false)}, nil
}

// kind is a sort of holder, and how calls about it are named.
type kind struct {
	name     string // User
	inline   int    // quota of all inline policies together, without white space
	resource func(*call) string
	of       func(*call, *account) (*holder, string, error)
}

// holderOperations are the calls about inline and attached policies and boundaries, which users, groups and roles have
// alike.
func holderOperations() map[string]operation {
	kinds := []kind{
		{"User", 2048, userResource, func(c *call, a *account) (*holder, string, error) {
			u, err := c.userOf(a)
			if err != nil {
				return nil, "", err
			}
			return &u.holder, u.Name, nil
		}},
		{"Group", 5120, groupResource, func(c *call, a *account) (*holder, string, error) {
			g, err := c.groupOf(a)
			if err != nil {
				return nil, "", err
			}
			return &g.holder, g.Name, nil
		}},
		{"Role", 10240, roleResource, func(c *call, a *account) (*holder, string, error) {
			r, err := c.roleOf(a)
			if err != nil {
				return nil, "", err
			}
			return &r.holder, r.Name, nil
		}},
	}
	all := map[string]operation{}
	for _, k := range kinds {
		for name, run := range map[string]func(*call) ([]node, error){
			"Put" + k.name + "Policy": k.put, "Get" + k.name + "Policy": k.get, "Delete" + k.name + "Policy": k.remove, "List" + k.name + "Policies": k.list,
			"Attach" + k.name + "Policy": k.attach, "Detach" + k.name + "Policy": k.detach, "ListAttached" + k.name + "Policies": k.listAttached,
			"Put" + k.name + "PermissionsBoundary": k.putBoundary, "Delete" + k.name + "PermissionsBoundary": k.deleteBoundary,
		} {
			if k.name == "Group" && strings.HasSuffix(name, "Boundary") {
				continue // groups have none
			}
			all[name] = operation{resource: k.resource, context: tagged, run: run}
		}
	}
	return all
}

func (k kind) change(c *call, do func(a *account, h *holder, name string) error) ([]node, error) {
	return nil, c.changeAccount(func(a *account) error {
		h, name, err := k.of(c, a)
		if err != nil {
			return err
		}
		return do(a, h, name)
	})
}

func (k kind) put(c *call) ([]node, error) {
	policy, err := c.name("PolicyName")
	if err != nil {
		return nil, err
	}
	d, err := c.identityDocument()
	if err != nil {
		return nil, err
	}
	return k.change(c, func(_ *account, h *holder, name string) error {
		total := d.size()
		for other, have := range h.Inline {
			if other != policy {
				total += have.size()
			}
		}
		if total > k.inline {
			return fail(http.StatusConflict, "LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", k.inline, strings.ToLower(k.name), name)
		}
		if h.Inline == nil {
			h.Inline = map[string]document{}
		}
		h.Inline[policy] = d
		return nil
	})
}

func (k kind) noPolicy(name string) *failure {
	return noSuchEntity("The %s policy with name %s cannot be found.", strings.ToLower(k.name), clip(name))
}

func (k kind) get(c *call) ([]node, error) {
	h, name, err := k.of(c, c.account())
	if err != nil {
		return nil, err
	}
	policy := c.params.text("PolicyName")
	d, ok := h.Inline[policy]
	if !ok {
		return nil, k.noPolicy(policy)
	}
	return []node{leaf(k.name+"Name", name), leaf("PolicyName", policy), leaf("PolicyDocument", encoded(d))}, nil
}

func (k kind) remove(c *call) ([]node, error) {
	policy := c.params.text("PolicyName")
	return k.change(c, func(_ *account, h *holder, _ string) error {
		if _, ok := h.Inline[policy]; !ok {
			return k.noPolicy(policy)
		}
		delete(h.Inline, policy)
		return nil
	})
}

func (k kind) list(c *call) ([]node, error) {
	h, _, err := k.of(c, c.account())
	if err != nil {
		return nil, err
	}
	return []node{texts("PolicyNames", slices.Sorted(maps.Keys(h.Inline))), flag("IsTruncated", false)}, nil
}

// attachable refuses what is no managed policy, or one of another partition.
func (c *call) attachable(a *account, arn string) error {
	if a.policyByARN(arn) != nil {
		return nil
	}
	if _, ok := c.s.ofAWS(arn); ok && strings.HasPrefix(arn, "arn:"+a.Partition+":") {
		return nil
	}
	return noSuchEntity("Policy %s does not exist or is not attachable.", clip(arn))
}

// checkBoundary refuses a boundary that is no policy.
func (s *Server) checkBoundary(a *account, arn string) error {
	if arn == "" || a.policyByARN(arn) != nil {
		return nil
	}
	if _, ok := s.ofAWS(arn); ok {
		return nil
	}
	return noSuchEntity("Scope ARN: %s does not exist or is not attachable.", clip(arn))
}

func (k kind) attach(c *call) ([]node, error) {
	arn := c.params.text("PolicyArn")
	return k.change(c, func(a *account, h *holder, _ string) error {
		if err := c.attachable(a, arn); err != nil {
			return err
		}
		switch {
		case slices.Contains(h.Attached, arn):
			return nil
		case len(h.Attached) >= maxAttached:
			return quota("PoliciesPer"+k.name, maxAttached)
		}
		h.Attached = append(h.Attached, arn)
		return nil
	})
}

func (k kind) detach(c *call) ([]node, error) {
	arn := c.params.text("PolicyArn")
	return k.change(c, func(_ *account, h *holder, _ string) error {
		i := slices.Index(h.Attached, arn)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", clip(arn))
		}
		h.Attached = slices.Delete(h.Attached, i, i+1)
		return nil
	})
}

func attachedList(name string, arns []string) node {
	arns = slices.SortedFunc(slices.Values(arns), func(a, b string) int { return cmp.Compare(lastPart(a), lastPart(b)) })
	return list(name, arns, func(arn string) []node { return []node{leaf("PolicyName", lastPart(arn)), leaf("PolicyArn", arn)} })
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (k kind) listAttached(c *call) ([]node, error) {
	h, _, err := k.of(c, c.account())
	if err != nil {
		return nil, err
	}
	return []node{attachedList("AttachedPolicies", h.Attached), flag("IsTruncated", false)}, nil
}

func (k kind) putBoundary(c *call) ([]node, error) {
	arn := c.params.text("PermissionsBoundary")
	return k.change(c, func(a *account, h *holder, _ string) error {
		if err := c.s.checkBoundary(a, arn); err != nil {
			return err
		}
		h.Boundary = arn
		return nil
	})
}

func (k kind) deleteBoundary(c *call) ([]node, error) {
	return k.change(c, func(_ *account, h *holder, name string) error {
		if h.Boundary == "" {
			return noSuchEntity("%s %s does not have a permission boundary", k.name, name)
		}
		h.Boundary = ""
		return nil
	})
}
