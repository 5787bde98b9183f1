package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam/service"
)

// actions looks at each action by itself: is it one, and does AWS have it?
func (l *linter) actions() {
	p := &l.statement.Action
	gone := map[string]bool{}
	for i, pattern := range p.Values {
		if pattern == "*" || !known(pattern) {
			continue
		}
		where := value(p, "Action", i)
		prefix, name, full := strings.Cut(pattern, ":")
		if why := malformedAction(pattern, prefix, name, full); why != "" {
			fix := "Write service:Name, one action a string, such as \"s3:GetObject\"."
			if good := strings.Join(strings.Fields(pattern), ""); good != pattern && len(l.actionsOf(good)) > 0 {
				fix = fmt.Sprintf("Write %q.", good)
			}
			l.report("BLP-201", where, fmt.Sprintf("%s is no action: %s. AWS refuses the document, or the action never matches.", show(pattern), why), fix)
			continue
		}
		s, ok := l.reference.Service(prefix)
		switch {
		case !ok && gone[strings.ToLower(prefix)]: // said once a statement
		case !ok:
			gone[strings.ToLower(prefix)] = true
			fix := "Look the prefix up in the service authorization reference."
			if near := l.nearService(prefix, name); near != "" {
				fix = fmt.Sprintf("Did you mean %q?", near+":"+name)
			}
			l.report("BLP-202", where, fmt.Sprintf("There is no service %s in %s, so %s matches nothing, unless the service is newer.", show(prefix), l.reference.Source(), show(pattern)), fix)
		case len(l.actionsOf(pattern)) > 0:
		case wild(name):
			fix := "Remove it, or look the names up with `belay policy actions " + prefix + ":*`."
			if near := nearAction(s, strings.Trim(name, "*?")); near != "" {
				fix = fmt.Sprintf("Did you mean %q?", prefix+":"+near+"*")
			}
			l.report("BLP-204", where, fmt.Sprintf("No action of %s matches %s.", s.Name, show(pattern)), fix)
		default:
			fix := "Remove it, or look the names up with `belay policy actions " + prefix + ":*`."
			if near := nearAction(s, name); near != "" {
				fix = fmt.Sprintf("Did you mean %q?", s.Prefix+":"+near)
			}
			l.report("BLP-203", where, fmt.Sprintf("%s has no action %s in %s. It matches nothing, unless the action is newer.", s.Name, show(pattern), l.reference.Source()), fix)
		}
	}
}

func malformedAction(pattern, prefix, name string, full bool) string {
	switch {
	case strings.Contains(pattern, ","):
		return "it holds a comma, and each action is a string of its own"
	case strings.ContainsAny(pattern, " \t\r\n\u00a0"):
		return "it holds white space"
	case !full:
		return "it has no service before a colon"
	case prefix == "" || name == "":
		return "the service or the name is empty"
	case wild(prefix):
		return "the service is a pattern, which IAM does not allow; only the name may be one"
	case strings.IndexFunc(prefix, notOf("-")) >= 0 || strings.IndexFunc(name, notOf("*?-_:")) >= 0:
		return "it holds characters that no action has"
	}
	return ""
}

// notOf tells what is neither a letter, nor a digit, nor one of others.
func notOf(others string) func(rune) bool {
	return func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(others, r) }
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// nearService is the prefix that one that is none was meant for: one that is spelled nearly the same and has the action.
func (l *linter) nearService(prefix, name string) string {
	best, least := "", 3
	for _, s := range l.reference.Services() {
		d := distance(strings.ToLower(prefix), s.Prefix, least)
		if len(l.actionsOf(s.Prefix+":"+name)) == 0 {
			d++
		}
		if d < least {
			best, least = s.Prefix, d
		}
	}
	return best
}

// nearAction is the action that a name that is none was meant for, or "".
func nearAction(s service.Service, name string) string {
	const shortest = 3 // fewer letters are a coincidence
	if len(name) < shortest || len(name) > 128 {
		return ""
	}
	best, least := "", min(4, 1+len(name)/3)
	for _, a := range s.Actions {
		if d := distance(strings.ToLower(name), strings.ToLower(a.Name), least); d < least {
			best, least = a.Name, d
		}
	}
	if best != "" {
		return best
	}
	for _, a := range s.Actions {
		if len(name) > 2*shortest && (strings.HasPrefix(strings.ToLower(a.Name), strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), strings.ToLower(a.Name))) {
			return a.Name
		}
	}
	return ""
}

// distance is how many letters must be changed, added or removed to make one word of another; enough when it is no less.
func distance(a, b string, enough int) int {
	if len(a)-len(b) >= enough || len(b)-len(a) >= enough {
		return enough
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(before+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], enough)
}

// resources looks at the resources: at their form first, then whether the actions work on them.
func (l *linter) resources() {
	s := l.statement
	l.bad = map[int]bool{}
	for i := range s.Resource.Values {
		l.bad[i] = l.resource(i)
	}
	if s.Action.Negated || s.Resource.Negated || len(s.Resource.Values) == 0 || len(l.bad) == 0 || slices.ContainsFunc(s.Resource.Values, unbounded) {
		return
	}
	var usable []string
	for i, r := range s.Resource.Values {
		if !l.bad[i] {
			usable = append(usable, owned(plainARN(r)))
		}
	}
	if len(usable) == 0 {
		return // each has been reported
	}
	l.misfits(usable)
	l.unused()
}

// unbounded tells resources that may be of any type.
func unbounded(resource string) bool {
	return resource == "*" || strings.Trim(resource, "*") == "" || !known(resource) && !strings.HasPrefix(resource, "arn:") || unknownHead(resource)
}

// misfit are actions that never meet the resources of their statement, all for one reason.
type misfit struct {
	first    int // of the statement's actions
	patterns []string
	all      []service.Action // that the first stands for; empty where they are resourceless
}

// misfits reports actions that never meet the resources of their statement: in one finding what works on the same types.
func (l *linter) misfits(resources []string) {
	found := map[string]*misfit{}
	var order []string
	for i, pattern := range l.statement.Action.Values {
		all := l.actionsOf(pattern)
		if len(all) == 0 || pattern == "*" || !known(pattern) || slices.ContainsFunc(all, func(a service.Action) bool {
			return slices.ContainsFunc(resources, func(r string) bool { return l.fits(a, r) })
		}) {
			continue
		}
		types := ""
		if slices.ContainsFunc(all, func(a service.Action) bool { return !a.Resourceless() }) {
			names, _ := typesOf(all)
			types = all[0].Service + ":" + strings.Join(names, " ")
		}
		m := found[types]
		if m == nil {
			m = &misfit{first: i}
			found[types], order = m, append(order, types)
			if types != "" {
				m.all = all
			}
		}
		m.patterns = append(m.patterns, pattern)
	}
	for _, types := range order {
		l.misfit(found[types])
	}
}

func (l *linter) misfit(m *misfit) {
	effect := "so the statement does not grant "
	if l.statement.Effect == "Deny" {
		effect = "so the statement does not deny "
	}
	work, have, them := "works", "has", "it"
	if len(m.patterns) > 1 {
		work, have, them = "work", "have", "them"
	}
	where := value(&l.statement.Action, "Action", m.first)
	if len(m.all) == 0 {
		l.report("BLP-302", where, fmt.Sprintf("%s %s no resource-level permissions: requests match Resource \"*\" only, and this statement names ARNs, %s%s.", list(m.patterns), have, effect, them),
			fmt.Sprintf("Move %s to a statement of %s own with \"Resource\": \"*\".", them, map[bool]string{true: "their", false: "its"}[len(m.patterns) > 1]))
		return
	}
	types, forms := typesOf(m.all)
	l.report("BLP-301", where, fmt.Sprintf("%s %s on %s (%s), and none of the statement's resources is one, %s%s.", list(m.patterns), work, list(types), list(forms), effect, them), l.repair(m.all, forms))
}

// fits says whether a resource of a policy can be one that an action works on. Where the reference is known to say less
// than AWS does, it takes the reader's word: the load balancers of the older and the newer API share their actions,
// CloudWatch Logs compares log groups with ":log-stream:" behind them, what can be tagged is listed with gaps, and
// "arn:aws:waf-regional:*:*:*" is all of a service.
func (l *linter) fits(a service.Action, resource string) bool {
	if a.FitsPattern(resource) {
		return true
	}
	parts := strings.SplitN(resource, ":", segments)
	if len(parts) < segments {
		return false
	}
	logGroup := parts[2] == "logs" && strings.HasPrefix(parts[5], "log-group:")
	switch {
	case logGroup && a.Service == "logs" && a.Name == "DescribeLogGroups":
		return true
	case a.Resourceless():
		return false
	case parts[2] == "elasticloadbalancing" && a.Service == "elasticloadbalancing", parts[2] == a.Service && (strings.Contains(a.Name, "Tag") || parts[5] == "*"):
		return true
	}
	services, _ := l.serviceOfARN(parts[2])
	if !logGroup && ofForm(services, resource) {
		return false // it is of another type
	}
	return slices.ContainsFunc(a.Resources, func(u service.ResourceUse) bool {
		return slices.ContainsFunc(u.Type.ARNs, func(form string) bool { return sameWord(form, resource) })
	})
}

// typesOf are the resource types that actions work on, and the forms of their ARNs. Access points, through which S3 can be
// reached, too, are left out where there are others.
func typesOf(all []service.Action) (types, forms []string) {
	types, forms = typesWithout(all, "accesspoint")
	if len(types) == 0 {
		types, forms = typesWithout(all, "-")
	}
	return types, forms
}

func typesWithout(all []service.Action, prefix string) (types, forms []string) {
	for _, a := range all {
		for _, u := range a.Resources {
			if !slices.Contains(types, u.Type.Name) && !strings.HasPrefix(u.Type.Name, prefix) {
				types = append(types, u.Type.Name)
				forms = append(forms, u.Type.ARNs[0])
			}
		}
	}
	return types, forms
}

// repair says which ARN to add. Buckets and their objects are told apart by a slash, which is what is mostly wrong.
func (l *linter) repair(all []service.Action, forms []string) string {
	for _, r := range l.statement.Resource.Values {
		bucket, ok := strings.CutPrefix(r, "arn:aws:s3:::")
		if !ok || !known(r) || all[0].Service != "s3" {
			continue
		}
		name, _, object := strings.Cut(bucket, "/")
		for _, other := range []string{"arn:aws:s3:::" + name, "arn:aws:s3:::" + name + "/*"} {
			if name != "" && name != "*" && all[0].FitsPattern(other) && object != strings.HasSuffix(other, "/*") {
				return fmt.Sprintf("Add %q to Resource, or move the action to a statement with it.", other)
			}
		}
	}
	return fmt.Sprintf("Add a resource of the form %s, or move the action to a statement of its own.", forms[0])
}

// unused reports resources that no action of the statement works on.
func (l *linter) unused() {
	s := l.statement
	var all []service.Action
	for _, pattern := range s.Action.Values {
		if pattern == "*" || !known(pattern) || len(l.actionsOf(pattern)) == 0 {
			return // it may be newer than the reference
		}
		all = append(all, l.actionsOf(pattern)...)
	}
	var idle []int
	for i, r := range s.Resource.Values {
		r = owned(plainARN(r))
		if l.bad[i] || slices.ContainsFunc(all, func(a service.Action) bool { return l.fits(a, r) }) {
			continue
		}
		idle = append(idle, i)
	}
	if len(idle) == len(s.Resource.Values) {
		return // then each action has been reported
	}
	for _, i := range idle {
		l.report("BLP-308", value(&s.Resource, "Resource", i), fmt.Sprintf("None of the statement's actions works on %s.", show(s.Resource.Values[i])),
			"Remove the resource, or add the action that it was meant for.")
	}
}
