package catalogue

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam"
)

// notes are what a reader of a result should know.
func notes(r *Result, n Narrowing, w *narrower, holders map[Holder]bool) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(holders) > 1 {
		say("These capabilities belong to different roles (%s). Ask for each role's policy by itself.", holderNames(r.Capabilities))
	}
	for _, k := range kinds() {
		if len(w.names[k]) > 0 && !w.used[k] {
			say("No statement of these capabilities could be narrowed to the %s that was named%s.", k, managedHint(r))
		}
	}
	if len(w.names) == 0 && len(r.Resources) == 0 && n.Account+n.Region != "" {
		say("Account and Region stand in the ARNs of what is named, and nothing is named.")
	}
	if len(r.Attachments) > 0 && len(w.names) > 0 {
		say("AWS-managed policies are attached as they are, for all resources. Expanding them narrows them as well.")
	}
	for _, prefix := range slices.Sorted(maps.Keys(w.left)) {
		types := slices.Sorted(maps.Keys(w.left[prefix]))
		say("Actions of %s on other things than what was named are left out (%s).", prefix, strings.Join(types, ", "))
	}
	all = append(all, openEnds(r, w)...)
	if w.partition != "aws" && r.Placement.Expand {
		say("The AWS-managed policies were written out as they stand in the partition aws; in %s AWS may have other versions.", w.partition)
	}
	return all
}

func managedHint(r *Result) string {
	if len(r.Attachments) > 0 {
		return "; the AWS-managed policies among them are attached as they are"
	}
	return ""
}

func holderNames(ids []string) string {
	by := map[Holder][]string{}
	for _, id := range ids {
		c, _ := Find(id)
		by[c.Holder] = append(by[c.Holder], id)
	}
	var all []string
	for _, h := range slices.Sorted(maps.Keys(by)) {
		all = append(all, fmt.Sprintf("%s: %s", h, strings.Join(by[h], ", ")))
	}
	return strings.Join(all, "; ")
}

// openEnds are what is wide because nothing was named.
func openEnds(r *Result, w *narrower) []string {
	var all []string
	for _, id := range r.Capabilities {
		c, _ := Find(id)
		for _, p := range c.Policies {
			for _, of := range slices.Sorted(maps.Values(p.Placeholders)) {
				if len(w.names[kind(of)]) == 0 {
					all = append(all, fmt.Sprintf("No %s is named: %s is for every %s.", of, id, of))
				}
			}
		}
	}
	for _, wide := range []struct{ action, note string }{
		{"iam:PassRole", "iam:PassRole is allowed for every role: whoever holds this can hand any role to a service. Name the roles that are meant."},
		{"sts:AssumeRole", "sts:AssumeRole is allowed for every role that trusts the caller. Name the roles that are meant."},
	} {
		if slices.ContainsFunc(r.Documents, func(d Document) bool { return onEverything(d.Document, wide.action) }) {
			all = append(all, wide.note)
		}
	}
	return all
}

// onEverything says whether a document allows an action on every resource without a condition, other than by allowing
// everything.
func onEverything(d *iam.Document, action string) bool {
	return slices.ContainsFunc(d.Statements, func(s iam.Statement) bool {
		return s.Effect == iam.Allow && !s.Action.Negated && !s.Resource.Negated && len(s.Conditions) == 0 && slices.Contains(s.Resource.Values, "*") &&
			slices.ContainsFunc(s.Action.Values, func(a string) bool { return a != "*" && CoversAction(a, action) })
	})
}
