package scope_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/scope"
)

func TestNamesAreForPeople(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		name string
		good bool
	}{
		"two words":            {"prod aws", true},
		"another script":       {"生产 Größe", true},
		"letters with marks":   {"e\u0301", true},
		"a Persian non-joiner": {"خانه\u200Cها", true},
		"a joined emoji":       {"👩\u200D💻", true},
		"a blank of its own":   {"10\u00A0km", true},
		"as long as it may be": {strings.Repeat("ü", scope.MaxName), true},
		"one character more":   {strings.Repeat("ü", scope.MaxName+1), false},
		"nothing":              {"", false},
		"only blanks":          {" \u00A0", false},
		"only joiners":         {"\u200C\u200D", false},
		"a line break":         {"a\nb", false},
		"a NUL":                {"a\x00", false},
		"a turn of direction":  {"a\u202Eb", false},
		"a byte order mark":    {"\uFEFFa", false},
		"a separator of lines": {"a\u2028b", false},
		"no UTF-8":             {"a\xff", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p := scope.CheckName(tt.name); (p == "") != tt.good {
				t.Errorf("%q: %q", tt.name, p)
			}
		})
	}
}

func TestIdentifierFromName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ name, want string }{
		"blanks become underscores":          {"prod aws", "prod_aws"},
		"hyphens and dots too":               {"eu-west.1", "eu_west_1"},
		"a leading digit gets an underscore": {"1st", "_1st"},
		"other characters are dropped":       {"a(b)!é", "ab"},
		"a reserved word gets an underscore": {"account", "_account"},
		"nothing is left of another script":  {"生产", ""},
		"only blanks":                        {"   ", ""},
		"only hyphens":                       {"---", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := scope.IdentifierFromName(tt.name); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAMadeIdentifierIsAlwaysRight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := scope.IdentifierFromName(rapid.String().Draw(t, "name"))
		if id != "" && scope.CheckIdentifier(id) != "" {
			t.Fatalf("%q %s", id, scope.CheckIdentifier(id))
		}
	})
}

func TestCheckIdentifier(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		id, want string // part of the problem; empty: right
	}{
		"letters, digits, underscore, dollar": {"TestAcc_9$x", ""},
		"128 characters":                      {strings.Repeat("a", 128), ""},
		"129 characters":                      {strings.Repeat("a", 129), "at most 128"},
		"a hyphen":                            {"a-b", `holds "-"`},
		"a digit first":                       {"9a", "start with a letter"},
		"a reserved word":                     {"stepGroup", "reserved"},
		"nothing":                             {"", "required"},
		"a letter of another script":          {"ключ", "letters a-z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := scope.CheckIdentifier(tt.id)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
	if p := scope.CheckSecretIdentifier("a-b"); p != "" {
		t.Fatalf("a secret's identifier may hold a hyphen: %s", p)
	}
}

func TestRefLeads(t *testing.T) {
	t.Parallel()
	account, org, project := scope.Scope{Account: "a"}, scope.Scope{Account: "a", Org: "o"}, scope.Scope{Account: "a", Org: "o", Project: "p"}
	for name, tt := range map[string]struct {
		ref  scope.Ref
		from scope.Scope
		at   scope.Scope
		id   string
		fail string
	}{
		"a bare one stays in its scope":          {"s", project, project, "s", ""},
		"org from a project":                     {"org.s", project, org, "s", ""},
		"account from a project":                 {"account.s", project, account, "s", ""},
		"org from the account leads nowhere":     {"org.s", account, scope.Scope{}, "", "account.s"},
		"another word before the dot":            {"team.s", project, scope.Scope{}, "", "is not a reference"},
		"nothing":                                {"", project, scope.Scope{}, "", "empty"},
		"an account reference in the account":    {"account.s", account, account, "s", ""},
		"an organization's own, by its own name": {"org.s", org, org, "s", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, id, err := tt.ref.In(tt.from)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Fatalf("got %v, want %q", err, tt.fail)
				}
				return
			}
			if err != nil || at != tt.at || id != tt.id {
				t.Fatalf("got %v %q %v", at, id, err)
			}
		})
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	gen := rapid.Custom(func(t *rapid.T) scope.Scope {
		s := scope.Scope{Account: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "account"), Org: rapid.SampledFrom([]string{"", "o", "q"}).Draw(t, "org")}
		if s.Org != "" {
			s.Project = rapid.SampledFrom([]string{"", "p", "r"}).Draw(t, "project")
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		x, y, z := gen.Draw(t, "x"), gen.Draw(t, "y"), gen.Draw(t, "z")
		if !x.Contains(x) || !x.Parent().Contains(x) {
			t.Fatal("a scope lies in itself and in its parent")
		}
		if x.Contains(y) && y.Contains(z) && !x.Contains(z) {
			t.Fatal("containment is not transitive")
		}
		if x.Contains(y) && y.Contains(x) && x != y {
			t.Fatal("two scopes contain each other")
		}
	})
}
