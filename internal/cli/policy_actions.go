package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/iam/service"
)

type policyActions struct {
	Patterns     []string `arg:"" name:"pattern" help:"Pattern, for example s3:Get*."`
	Access       string   `help:"Only of this access level: read, write, list, tagging or permissions." enum:",read,write,list,tagging,permissions" default:"" placeholder:"LEVEL"`
	Resourceless bool     `help:"Only actions without resource-level permissions, which need Resource \"*\"."`
}

// Help says what is shown.
func (*policyActions) Help() string {
	return `The reference is embedded: no manager and no AWS account is asked. One action is shown in full, several as a table; ` +
		`-o json and -o yaml show all in full. The exit code is 3 when a pattern stands for no action.`
}

// actionBody is an action in JSON and YAML.
type actionBody struct {
	Action           string             `json:"action"`
	Access           string             `json:"access"`
	Resourceless     bool               `json:"resourceless"`
	Resources        []resourceBody     `json:"resources"`
	ConditionKeys    []conditionKeyBody `json:"conditionKeys"` // without the global ones that it carries whatever it does
	DependentActions []string           `json:"dependentActions"`
}

type resourceBody struct {
	Type     string   `json:"type"`
	Required bool     `json:"required"`
	ARNs     []string `json:"arns"`
}

type conditionKeyBody struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Multivalued bool   `json:"multivalued"`
}

// Run lists actions.
func (cmd *policyActions) Run(a *app) error {
	reference, err := service.Load()
	if err != nil {
		return err
	}
	found := map[string]bool{}
	bodies, missed := []actionBody{}, false
	for _, pattern := range cmd.Patterns {
		matched := false
		for _, action := range reference.Actions(pattern) {
			if !cmd.wants(action) {
				continue
			}
			matched = true
			if !found[action.String()] {
				found[action.String()] = true
				bodies = append(bodies, bodyOf(reference, action))
			}
		}
		if !matched {
			missed = true
			a.note("%s", cmd.none(reference, pattern))
		}
	}
	slices.SortFunc(bodies, func(x, y actionBody) int {
		return strings.Compare(strings.ToLower(x.Action), strings.ToLower(y.Action))
	})
	if err := a.print(bodies, func() { a.actions(bodies) }); err != nil {
		return err
	}
	if missed {
		return exit{Different}
	}
	return nil
}

// wants says whether an action passes the flags.
func (cmd *policyActions) wants(action service.Action) bool {
	level, _, _ := strings.Cut(strings.ToLower(string(action.Access)), " ")
	return (cmd.Access == "" || level == cmd.Access) && (!cmd.Resourceless || action.Resourceless())
}

// none says why a pattern stands for nothing.
func (cmd *policyActions) none(reference *service.Reference, pattern string) string {
	prefix, name, full := strings.Cut(pattern, ":")
	_, known := reference.Service(prefix)
	switch {
	case len(reference.Actions(pattern)) > 0:
		return "No action of " + pattern + " is left by the flags."
	case !full && known:
		return pattern + " is a service; all its actions are " + pattern + ":*."
	case !full:
		return pattern + " is no action: an action has a service before a colon, such as s3:GetObject."
	case strings.TrimSpace(pattern) != pattern:
		return "No action begins or ends with white space."
	case !known && !strings.ContainsAny(prefix, "*?"):
		return "There is no service " + prefix + " in " + reference.Source() + "."
	case !strings.ContainsAny(pattern, "*?"):
		near := ""
		if other := nearest(reference, prefix, name); other != "" {
			near = " Did you mean " + other + "?"
		}
		return "There is no action " + pattern + " in " + reference.Source() + "." + near
	}
	return "No action matches " + pattern + " in " + reference.Source() + "."
}

// nearest is an action that begins as a name does that is none, as far as possible, or "".
func nearest(reference *service.Reference, prefix, name string) string {
	const least = 4 // fewer letters are a coincidence
	name = name[:min(len(name), 128)]
	for n := len(name); n >= least; n-- {
		if others := reference.Actions(prefix + ":" + name[:n] + "*"); len(others) > 0 {
			return others[0].String()
		}
	}
	return ""
}

// bodyOf is an action with all that it may carry, without the global keys of every action.
func bodyOf(reference *service.Reference, action service.Action) actionBody {
	b := actionBody{
		Action: action.String(), Access: string(action.Access), Resourceless: action.Resourceless(),
		Resources: []resourceBody{}, ConditionKeys: []conditionKeyBody{}, DependentActions: append([]string{}, action.DependentActions...),
	}
	for _, u := range action.Resources {
		b.Resources = append(b.Resources, resourceBody{u.Type.Name, u.Required, u.Type.ARNs})
	}
	for _, k := range reference.OwnConditionKeys(action) {
		b.ConditionKeys = append(b.ConditionKeys, conditionKeyBody{k.Name, string(k.Type), k.Multivalued})
	}
	return b
}

// actions shows one action in full, several as rows.
func (a *app) actions(bodies []actionBody) {
	if len(bodies) == 1 {
		a.action(bodies[0])
		return
	}
	var rows [][]cell
	for _, b := range bodies {
		var types, keys []string
		for _, r := range b.Resources {
			types = append(types, marked(r))
		}
		for _, k := range b.ConditionKeys {
			keys = append(keys, k.Name)
		}
		resources := cell{text: some(types)}
		if b.Resourceless {
			resources = cell{text: `only "*"`, paint: warns}
		}
		rows = append(rows, []cell{{text: b.Action, paint: bold}, {text: b.Access}, resources, {text: some(keys), paint: faint}})
	}
	if len(rows) > 0 {
		a.table("", []string{"Action", "Access", "Resource types (! required)", "Condition keys"}, rows)
	}
}

// action shows an action in full.
func (a *app) action(b actionBody) {
	var types, keys []string
	for _, r := range b.Resources {
		types = append(types, marked(r)+"  "+strings.Join(r.ARNs, ", "))
	}
	if b.Resourceless {
		types = []string{`none: only Resource "*" allows it`}
	}
	for _, k := range b.ConditionKeys {
		text := k.Name + "  " + k.Type
		if k.Multivalued {
			text += ", several values"
		}
		keys = append(keys, text)
	}
	a.fields([][2]string{
		{"Action", b.Action},
		{"Access", b.Access},
		{"Resource types", strings.Join(types, "\n")},
		{"Condition keys", strings.Join(keys, "\n")},
		{"Needs besides", strings.Join(b.DependentActions, "\n")},
	}...)
}

// marked is the name of a resource type; an exclamation mark says that each request names one.
func marked(r resourceBody) string {
	if r.Required {
		return r.Type + "!"
	}
	return r.Type
}

// some are the first few of names, and how many more there are: a row stays a row.
func some(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
}
