package iam

import "strings"

// Context holds the condition keys of a request. The zero Context has none. Names of keys compare without regard to
// letter case. A key with several values is told apart from one that has a single value, as the policy language does:
// the former needs an operator with ForAllValues or ForAnyValue.
type Context struct{ keys map[string]keyValue }

// keyValue is the value of a key: a single one, or a list.
type keyValue struct {
	single string
	list   []string
	multi  bool
}

// Keys makes a Context of single values, from pairs of name and value.
func Keys(pairs map[string]string) Context {
	c := Context{keys: make(map[string]keyValue, len(pairs))}
	for name, value := range pairs {
		c.Set(name, value)
	}
	return c
}

// Set gives a key its single value.
func (c *Context) Set(name, value string) { c.put(name, keyValue{single: valid(value)}) }

// SetList makes a key one of several values. An empty list counts as a key that is absent.
func (c *Context) SetList(name string, values []string) {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = valid(v)
	}
	c.put(name, keyValue{list: list, multi: true})
}

// Delete makes a key absent.
func (c *Context) Delete(name string) { delete(c.keys, lowerASCII(name)) }

func (c *Context) put(name string, v keyValue) {
	if c.keys == nil {
		c.keys = map[string]keyValue{}
	}
	c.keys[lowerASCII(name)] = v
}

// get finds a key by its name in small letters.
func (c *Context) get(lower string) (keyValue, bool) {
	v, ok := c.keys[lower]
	return v, ok && (!v.multi || len(v.list) > 0)
}

// valid replaces what is not UTF-8: compiled patterns use such bytes as wildcards.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
