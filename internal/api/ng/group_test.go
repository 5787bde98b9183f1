package ng_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

const groupTags = "/ng/api/delegate-group-tags"

func TestTagsOfDelegateGroups(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	for _, host := range []string{"h1", "h2"} {
		w.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: host, Type: "KUBERNETES", Tags: []string{"own"}, Version: delegate.Current()})
	}
	w.Delegate(t, delegate.Delegate{Name: "vm", HostName: "h3", Scope: scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}})
	one := groupTags + "/eks-1" + account
	c.Golden("group-tags-none", c.Must(http.MethodGet, one, ""))
	c.Golden("group-tags-added", c.Must(http.MethodPost, one, `{"tags":["gpu","blue"],"_":null}`))
	c.Golden("group-tags-added-again", c.Must(http.MethodPost, "/gateway"+one, `{"tags":["Blue","big"]}`))
	c.Golden("group-tags-replaced", c.Must(http.MethodPut, one, `{"tags":["gpu","red"]}`))
	c.Golden("group-tags", c.Must(http.MethodGet, groupTags+"/eks_1"+account, "")) // by the identifier that the name makes
	c.Golden("groups-with-tags", c.Must(http.MethodPost, groupTags+"/delegate-groups"+account, `{"tags":["own","red"]}`))
	c.Golden("groups-without-tags", c.Must(http.MethodPost, groupTags+"/delegate-groups"+project1, ""))
	c.Golden("groups-none", c.Must(http.MethodPost, groupTags+"/delegate-groups"+account, `{"tags":["green"]}`))

	// They show wherever tags do, and filter.
	list := resource[[]nextgen.DelegateGroup](t, c.Must(http.MethodPost, "/ng/api/delegate-setup/listDelegates"+account, `{"delegateTags":["gpu"]}`))
	if len(list) != 1 || strings.Join(list[0].Tags, ",") != "own,gpu,red" || len(list[0].DelegateReplicas) != 2 {
		t.Errorf("got %+v", list)
	}
	w.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h4"}) // one that comes new
	list = resource[[]nextgen.DelegateGroup](t, c.Must(http.MethodPost, "/ng/api/delegate-setup/listDelegates"+account, `{"delegateTags":["red"],"hostName":"h4"}`))
	if len(list) != 1 {
		t.Errorf("got %+v", list)
	}

	c.Golden("group-tags-deleted", c.Must(http.MethodDelete, one, ""))
	c.Golden("group-tags-after", c.Must(http.MethodGet, one, ""))
	c.Golden("group-tags-unknown", c.Do(w.Admin, http.MethodGet, groupTags+"/none"+account, ""))
	c.Golden("group-tags-invalid", c.Do(w.Admin, http.MethodPut, one, `{"tags":["a,b",""]}`))
}

func TestTagsOfDelegateGroupsAreForTheirRoles(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	w.Delegate(t, delegate.Delegate{Name: "eks-1"})
	w.Delegate(t, delegate.Delegate{Name: "vm", Scope: scope.Scope{Account: w.Account, Org: "org1", Project: "prj1"}})
	for name, tt := range map[string]struct {
		key, method, path string
		status            int
	}{
		"a viewer reads":                         {w.Viewer, http.MethodGet, "/eks-1" + account, 200},
		"a viewer lists":                         {w.Viewer, http.MethodPost, "/delegate-groups" + account, 200},
		"a viewer does not add":                  {w.Viewer, http.MethodPost, "/eks-1" + account, 403},
		"a viewer does not replace":              {w.Viewer, http.MethodPut, "/eks-1" + account, 403},
		"a viewer does not take away":            {w.Viewer, http.MethodDelete, "/eks-1" + account, 403},
		"an editor adds":                         {w.Editor, http.MethodPost, "/eks-1" + account, 200},
		"a project's editor adds in its project": {w.Project, http.MethodPost, "/vm" + project1, 200},
		"a project's editor adds nowhere else":   {w.Project, http.MethodPost, "/eks-1" + account, 403},
		"another account's sees nothing":         {w.Stranger, http.MethodGet, "/eks-1" + account, 403},
		"nobody":                                 {"", http.MethodGet, "/eks-1" + account, 401},
		"a project's group is not the account's": {w.Admin, http.MethodGet, "/vm" + account, 404},
	} {
		body := ""
		if tt.method == http.MethodPost || tt.method == http.MethodPut {
			body = `{"tags":["x"]}`
		}
		if a := c.Do(tt.key, tt.method, groupTags+tt.path, body); a.Status != tt.status {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}
