package sandbox

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
)

func accountOperations() map[string]operation {
	return map[string]operation{
		"GetAccountAuthorizationDetails": {run: (*call).getAccountAuthorizationDetails},
		"GetAccountSummary":              {run: (*call).getAccountSummary},
		"ListAccountAliases": {run: func(*call) ([]node, error) {
			return []node{texts("AccountAliases", nil), flag("IsTruncated", false)}, nil
		}},
	}
}

// stableID is an id that follows from a name, for what no store gives one.
func stableID(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:21-len(prefix)]
}

func (h holder) inlineList(name string) node {
	return list(name, slices.Sorted(maps.Keys(h.Inline)), func(n string) []node {
		return []node{leaf("PolicyName", n), leaf("PolicyDocument", encoded(h.Inline[n]))}
	})
}

// getAccountAuthorizationDetails gives users, groups, roles and the policies that are in use. The pages of AWS go over
// all four lists; here all comes at once, which is a page that is never cut.
func (c *call) getAccountAuthorizationDetails() ([]node, error) {
	a := c.account()
	filters := c.params.list("Filter")
	wanted := func(kind string) bool { return len(filters) == 0 || slices.Contains(filters, kind) }
	var users, groups, roles, policies [][]node
	itself := func(n []node) []node { return n }
	used := map[string]bool{}
	for _, h := range a.holders() {
		for _, arn := range append(slices.Clone(h.Attached), h.Boundary) {
			used[arn] = true
		}
	}
	if wanted("User") {
		for _, key := range slices.Sorted(maps.Keys(a.Users)) {
			u := a.Users[key]
			var names []string
			for _, g := range u.Groups {
				if a.Groups[g] != nil {
					names = append(names, a.Groups[g].Name)
				}
			}
			users = append(users, append(a.userNodes(u), u.inlineList("UserPolicyList"), texts("GroupList", names), attachedList("AttachedManagedPolicies", u.Attached)))
		}
	}
	if wanted("Group") {
		for _, key := range slices.Sorted(maps.Keys(a.Groups)) {
			g := a.Groups[key]
			groups = append(groups, append(a.groupNodes(g), g.inlineList("GroupPolicyList"), attachedList("AttachedManagedPolicies", g.Attached)))
		}
	}
	if wanted("Role") {
		for _, key := range slices.Sorted(maps.Keys(a.Roles)) {
			r := a.Roles[key]
			roles = append(roles, append(a.roleNodes(r), list("InstanceProfileList", a.profilesOf(r), a.profileNodes), r.inlineList("RolePolicyList"), attachedList("AttachedManagedPolicies", r.Attached)))
		}
	}
	if wanted("LocalManagedPolicy") {
		for _, key := range slices.Sorted(maps.Keys(a.Policies)) {
			p := a.Policies[key]
			policies = append(policies, append(a.policyNodes(p), list("PolicyVersionList", p.Versions, func(v policyVersion) []node { return p.versionNodes(v, true) })))
		}
	}
	if wanted("AWSManagedPolicy") {
		for _, arn := range slices.Sorted(maps.Keys(used)) {
			if m, ok := managedOf(arn); ok {
				d, _ := c.s.ofAWS(arn)
				versions := list("PolicyVersionList", []string{m.Version}, func(id string) []node {
					return []node{leaf("Document", encoded(d)), leaf("VersionId", id), flag("IsDefaultVersion", true)}
				})
				policies = append(policies, append(a.awsPolicyNodes(m), versions))
			}
		}
	}
	return []node{
		list("UserDetailList", users, itself), list("GroupDetailList", groups, itself), list("RoleDetailList", roles, itself), list("Policies", policies, itself),
		flag("IsTruncated", false),
	}, nil
}

func (c *call) getAccountSummary() ([]node, error) {
	a := c.account()
	counts := map[string]int{
		"Users": len(a.Users), "Groups": len(a.Groups), "Roles": len(a.Roles), "Policies": len(a.Policies), "InstanceProfiles": len(a.Profiles), "Providers": len(a.Providers),
		"UsersQuota": 5000, "GroupsQuota": 300, "RolesQuota": 1000, "PoliciesQuota": 1500, "AccessKeysPerUserQuota": 2, "VersionsPerPolicyQuota": maxVersions,
	}
	out := node{name: "SummaryMap"}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		out.children = append(out.children, tree("entry", leaf("key", key), number("value", counts[key])))
	}
	return []node{out}, nil
}

// holderByARN is the user, group or role of an ARN.
func (a *account) holderByARN(arn string) (who *caller, ok bool) {
	last := strings.ToLower(lastPart(arn))
	if u := a.Users[last]; u != nil && a.userARN(u) == arn {
		return &caller{account: a.ID, arn: arn, userID: u.ID, user: u.ID}, true
	}
	if r := a.Roles[last]; r != nil && a.roleARN(r) == arn {
		return &caller{account: a.ID, arn: arn, userID: r.ID, role: r.ID}, true
	}
	return nil, false
}
