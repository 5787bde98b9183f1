package org_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/org"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/store"
)

// What would go is told to whoever may delete it, and the log keeps who asked without that right.
func TestContents(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	kept, err := store.Open(ctx, store.Config{URL: filepath.Join(t.TempDir(), "belay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	trail := &audit.Trail{Store: kept, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	s := &org.Service{Store: kept, Audit: trail, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	system := audit.System("acct", "test")
	account, inside := scope.Scope{Account: "acct"}, scope.Scope{Account: "acct", Org: "o", Project: "p"}
	if _, err := s.CreateOrganization(ctx, system, org.Organization{Account: "acct", ID: "o", Name: "o"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateProject(ctx, system, org.Project{Account: "acct", Org: "o", ID: "p", Name: "p"}); err != nil {
		t.Fatal(err)
	}
	who := func(role audit.Role, at scope.Scope) audit.Caller {
		return audit.Caller{Account: "acct", ID: "k", Name: "ci", Grants: []audit.Grant{{Scope: at, Role: role}}}
	}
	for name, tt := range map[string]struct {
		who  audit.Caller
		at   scope.Scope
		want org.Contents
		kind error
	}{
		"an administrator and an organization":         {who(audit.Admin, account), scope.Scope{Account: "acct", Org: "o"}, org.Contents{Projects: 1}, nil},
		"an administrator and an empty project":        {who(audit.Admin, account), inside, org.Contents{}, nil},
		"the administrator of the project":             {who(audit.Admin, inside), inside, org.Contents{}, nil},
		"the administrator of the project, further up": {who(audit.Admin, inside), scope.Scope{Account: "acct", Org: "o"}, org.Contents{}, fault.Denied},
		"an editor":          {who(audit.Editor, account), inside, org.Contents{}, fault.Denied},
		"the account itself": {who(audit.Admin, account), account, org.Contents{}, fault.Invalid},
		"another account":    {audit.Caller{Account: "other", ID: "k", Grants: []audit.Grant{{Scope: scope.Scope{Account: "other"}, Role: audit.Admin}}}, inside, org.Contents{}, fault.Denied},
	} {
		got, err := s.Contents(ctx, tt.who, tt.at)
		if tt.kind == nil && err != nil || tt.kind != nil && !errors.Is(err, tt.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	refused, err := trail.Entries(ctx, system, audit.Filter{Scope: account, Outcome: audit.Denied})
	if err != nil || len(refused) != 3 {
		t.Errorf("%d refusals are kept, %v", len(refused), err)
	}
}
