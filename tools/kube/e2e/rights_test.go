//go:build e2e

package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/tools/kube/forms"
)

// allowed is one rule of what an account may do.
type allowed struct {
	Verbs     []string `json:"verbs"`
	Groups    []string `json:"apiGroups"`
	Resources []string `json:"resources"`
	Names     []string `json:"resourceNames"`
	URLs      []string `json:"nonResourceURLs"`
}

func (r allowed) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// rights are all that the server lets an account do in a namespace.
func (a account) rights(t *testing.T, namespace string) []string {
	t.Helper()
	var review struct {
		Status struct {
			Incomplete bool      `json:"incomplete"`
			Resource   []allowed `json:"resourceRules"`
			Other      []allowed `json:"nonResourceRules"`
		} `json:"status"`
	}
	text := `{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "` + namespace + `"}}`
	into(t, &review, text, "create", "--raw", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "-f", "-", "--as", a.user(), "--as-group", "system:serviceaccounts", "--as-group", "system:authenticated")
	var all []string
	for _, r := range slices.Concat(review.Status.Resource, review.Status.Other) {
		all = append(all, r.String())
	}
	return all
}

// What every account may do comes from the cluster. Beyond that the delegate may do nothing, and the upgrader two things to
// one object: the server is asked for all that is allowed, not only for what we thought of.
func TestE2ERights(t *testing.T) {
	t.Parallel()
	namespace := namespaceOf(t)
	text := written(t, "kubernetes", namespace, "--name", "eks-prod", "--token-file", file(t, forms.Token), "--role-arn", forms.Role, "--upgrader")
	does(t, text, serverSide.args()...)
	does(t, "", "create", "serviceaccount", "nobody", "--namespace", namespace)
	does(t, strings.ReplaceAll(text, "eks-prod", "another"), serverSide.args()...)

	everybody := account{namespace, "nobody"}.rights(t, namespace)
	more := func(a account, in string) []string {
		return slices.DeleteFunc(a.rights(t, in), func(one string) bool { return slices.Contains(everybody, one) })
	}
	upgrader := account{namespace, "eks-prod-upgrader"}
	if got := more(account{namespace, "eks-prod"}, namespace); len(got) > 0 {
		t.Errorf("the delegate may do %s", got)
	}
	want := allowed{[]string{"get", "patch"}, []string{"apps"}, []string{"deployments"}, []string{"eks-prod"}, nil}.String()
	if got := more(upgrader, namespace); len(got) != 1 || got[0] != want {
		t.Errorf("the upgrader may do %s, want %s", got, want)
	}
	if got := more(upgrader, "default"); len(got) > 0 {
		t.Errorf("in another namespace the upgrader may do %s", got)
	}

	const image = `{"spec":{"template":{"spec":{"containers":[{"name":"delegate","image":"x:1"}]}}}}`
	in := []string{"--namespace", namespace}
	for name, tt := range map[string]struct {
		args []string
		want string // of the refusal; empty: it may
	}{
		"read its Deployment":    {append([]string{"get", "deployment", "eks-prod"}, in...), ""},
		"patch its Deployment":   {append([]string{"patch", "deployment", "eks-prod", "--patch", image}, in...), ""},
		"patch another":          {append([]string{"patch", "deployment", "another", "--patch", image}, in...), "cannot get resource"},
		"list Deployments":       {append([]string{"get", "deployments"}, in...), "cannot list resource"},
		"delete its Deployment":  {append([]string{"delete", "deployment", "eks-prod"}, in...), "cannot delete resource"},
		"scale its Deployment":   {append([]string{"scale", "deployment", "eks-prod", "--replicas=0"}, in...), "deployments/scale"},
		"list Secrets":           {append([]string{"get", "secrets"}, in...), "cannot list resource"},
		"read the token's":       {append([]string{"get", "secret", "eks-prod-token"}, in...), "cannot get resource"},
		"make a pod":             {append([]string{"run", "x", "--image=x"}, in...), "cannot create resource"},
		"patch its CronJob":      {append([]string{"patch", "cronjob", "eks-prod-upgrader", "--patch", "{}"}, in...), "cannot get resource"},
		"give itself more":       {append([]string{"create", "rolebinding", "x", "--clusterrole=admin", "--serviceaccount=" + namespace + ":eks-prod-upgrader"}, in...), "cannot create resource"},
		"become the delegate":    {append([]string{"create", "token", "eks-prod"}, in...), "cannot create resource"},
		"look into another":      {[]string{"get", "deployment", "eks-prod", "--namespace", "default"}, "cannot get resource"},
		"list namespaces":        {[]string{"get", "namespaces"}, "cannot list resource"},
		"make a cluster binding": {[]string{"create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--serviceaccount=" + namespace + ":eks-prod-upgrader"}, "cannot create resource"},
	} {
		a := kubectl(t, "", append(tt.args, "--as", upgrader.user())...)
		switch {
		case tt.want == "" && (a.code != 0 || a.err != ""):
			t.Errorf("%s: it may not: %s", name, a.err)
		case tt.want != "" && (a.code == 0 || !strings.Contains(a.err, "is forbidden") || !strings.Contains(a.err, tt.want)):
			t.Errorf("%s: code %d %s%s", name, a.code, a.err, a.out)
		}
	}
}
