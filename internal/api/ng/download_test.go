package ng_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/manifest"
)

func TestInstallFilesAreDownloaded(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/delegate-token-ng"+account+"&tokenName=tok1", "")
	const body = `{"name":"eks-prod","description":"two of them","size":"LAPTOP","tags":["eks"],"tokenName":"tok1","clusterPermissionType":"NAMESPACE_ADMIN","customClusterNamespace":"delegates","unheardOf":1}`
	for path, want := range map[string][]string{
		"/download-delegates/kubernetes":       {"kind: Deployment", "namespace: delegates", "kind: RoleBinding", "value: https://belay.example.com"},
		"/download-delegates/docker":           {"services:", "restart: unless-stopped", "DELEGATE_TAGS: eks"},
		"/delegate-setup/generate-helm-values": {"account: ", "clusterRole: admin", "clusterRoleInNamespace: true"},
	} {
		a := c.Must(http.MethodPost, "/ng/api"+path+account, body)
		if got := a.Header.Get("Content-Type"); got != "application/yaml" {
			t.Errorf("%s is %s", path, got)
		}
		for _, one := range append(want, "eks-prod") {
			if !strings.Contains(a.Body, one) {
				t.Errorf("%s lacks %q:\n%s", path, one, a.Body)
			}
		}
		if path == "/download-delegates/kubernetes" {
			findings, err := manifest.Lint("downloaded", strings.NewReader(a.Body), nil)
			if err != nil || len(findings) > 0 {
				t.Errorf("%v %v", findings, err)
			}
		}
		if bare := c.Do(w.Viewer, http.MethodPost, "/ng/api"+path+account, `{"name":"eks"}`); bare.Status != http.StatusOK {
			t.Errorf("%s for a viewer: %d %s", path, bare.Status, bare.Body)
		}
		for name, tt := range map[string]struct {
			key, body string
			status    int
		}{
			"a viewer who wants the token":  {w.Viewer, body, http.StatusForbidden},
			"nobody":                        {"", body, http.StatusUnauthorized},
			"a token that is not there":     {w.Admin, `{"name":"eks","tokenName":"none"}`, http.StatusNotFound},
			"a name that is none":           {w.Admin, `{"name":"EKS prod"}`, http.StatusBadRequest},
			"rights that nobody has":        {w.Admin, `{"name":"eks","clusterPermissionType":"ROOT"}`, http.StatusBadRequest},
			"no body":                       {w.Admin, "", http.StatusBadRequest},
			"a namespace that is not one":   {w.Admin, `{"name":"eks","customClusterNamespace":"a\nb"}`, http.StatusBadRequest},
			"a description of several line": {w.Admin, `{"name":"eks","description":"a\nb"}`, http.StatusBadRequest},
		} {
			if a := c.Do(tt.key, http.MethodPost, "/ng/api"+path+account, tt.body); a.Status != tt.status {
				t.Errorf("%s, %s: %d %s", path, name, a.Status, a.Body)
			}
		}
	}
}
