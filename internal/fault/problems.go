package fault

import "strings"

// Problem is one thing wrong with an input.
type Problem struct {
	// Path is the field as the input spells it, with dots and indexes: connector.spec.credential.spec.secretKeyRef.
	Path string
	// Message says what is wrong and what would be right. It does not repeat the path.
	Message string
}

// Problems is every problem of one input, in the order of its fields. It is an error of kind Invalid.
type Problems []Problem

// Add records a problem of a field.
func (p *Problems) Add(path, message string) {
	*p = append(*p, Problem{Path: path, Message: message})
}

// Err is the problems as an error, or nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Under puts a prefix before every path.
func (p Problems) Under(prefix string) Problems {
	out := make(Problems, len(p))
	for i, one := range p {
		out[i] = one
		if one.Path == "" {
			out[i].Path = prefix
		} else {
			out[i].Path = prefix + "." + one.Path
		}
	}
	return out
}

// Error lists the problems, one a clause.
func (p Problems) Error() string {
	parts := make([]string, len(p))
	for i, one := range p {
		if one.Path == "" {
			parts[i] = one.Message
			continue
		}
		parts[i] = one.Path + ": " + one.Message
	}
	return strings.Join(parts, "; ")
}

// Unwrap makes the problems an Invalid fault.
func (p Problems) Unwrap() error { return Invalid }
