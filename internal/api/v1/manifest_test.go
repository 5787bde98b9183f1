package v1_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/manifest"
)

func TestInstallFiles(t *testing.T) {
	t.Parallel()
	w := serve(t)
	if _, _, err := w.Tokens.Bootstrap(t.Context(), w.Account); err != nil {
		t.Fatal(err)
	}
	const path = "/belay/v1/delegates/manifest"
	a := w.Must(http.MethodPost, path, `{"kind":"kubernetes","name":"eks","token":"default_token","upgrader":true,"replicas":2,"autoscale":{"max":4},
		"proxy":{"host":"proxy.internal","port":3128,"user":"u","password":"p"},"tools":["awscli"],"roleArn":"arn:aws:iam::123456789012:role/d"}`)
	findings, err := manifest.Lint("ours", strings.NewReader(a.Body), nil)
	if err != nil || len(findings) > 0 || a.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%v %v %v", findings, err, a.Header)
	}
	for _, want := range []string{"https://belay.example.com", "kind: CronJob", "kind: HorizontalPodAutoscaler", "PROXY_PASSWORD: p", "installing awscli", "DELEGATE_TOKEN: "} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("lacks %q:\n%s", want, a.Body)
		}
	}
	if a := w.Must(http.MethodPost, path, `{"kind":"shell","name":"eks"}`); !strings.HasPrefix(a.Body, "#!/usr/bin/env bash\n") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/x-shellscript") {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	for name, tt := range map[string]struct {
		key, body string
		status    int
	}{
		"a viewer":                     {w.Viewer, `{"kind":"helm","name":"eks"}`, http.StatusOK},
		"a viewer who wants the token": {w.Viewer, `{"kind":"helm","name":"eks","token":"default_token"}`, http.StatusForbidden},
		"nobody":                       {"", `{"kind":"helm","name":"eks"}`, http.StatusUnauthorized},
		"no kind":                      {w.Admin, `{"name":"eks"}`, http.StatusBadRequest},
		"a token that is not there":    {w.Admin, `{"kind":"helm","name":"eks","token":"none"}`, http.StatusNotFound},
	} {
		if a := w.Do(tt.key, http.MethodPost, path, tt.body); a.Status != tt.status {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if p := problem(t, w.Do(w.Admin, http.MethodPost, path, `{"kind":"rpm","name":"E","image":"!"}`)); len(p.Problems) < 3 {
		t.Errorf("not all at once: %+v", p)
	}
}
