package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/audit"
)

// A table of roles that lacks an action would say less than the code does.
func TestActionsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "trail.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var declared []audit.Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Action" {
			return true
		}
		for _, v := range spec.Values {
			literal, ok := v.(*ast.BasicLit)
			if !ok {
				t.Fatalf("an action is declared by something else than a text at %d", v.Pos())
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, audit.Action(text))
		}
		return true
	})
	listed := audit.Actions()
	for _, a := range declared {
		if !slices.Contains(listed, a) {
			t.Errorf("%s is declared, and Actions does not list it", a)
		}
	}
	if len(declared) < 40 || len(listed) != len(declared) {
		t.Errorf("%d actions are listed and %d declared", len(listed), len(declared))
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, a := range audit.Actions() {
		role := a.Needs()
		if !slices.Contains(audit.Roles(), role) {
			t.Errorf("%s needs the role %q", a, role)
		}
		if strings.HasSuffix(string(a), ".create") && role == audit.Viewer {
			t.Errorf("%s: who only reads may create", a)
		}
	}
}
