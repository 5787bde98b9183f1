package agent_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/fault"
)

const token = "00112233445566778899aabbccddeeff"

func environ(changes map[string]string) func(string) string {
	all := map[string]string{"ACCOUNT_ID": "acc", "DELEGATE_TOKEN": token, "MANAGER_HOST_AND_PORT": "https://belay.example.com", "DELEGATE_NAME": "d1"}
	maps.Copy(all, changes)
	return func(name string) string { return all[name] }
}

func TestEveryProblemOfTheEnvironmentIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := agent.ConfigFromEnv(environ(map[string]string{
		"ACCOUNT_ID": "", "DELEGATE_TOKEN": "canary-not-hex", "MANAGER_HOST_AND_PORT": "http://belay.example.com", "DELEGATE_CPU_THRESHOLD": "many",
		"DELEGATE_MEMORY_THRESHOLD": "101", "DELEGATE_TASK_CAPACITY": "0", "DELEGATE_HTTP_PORT": "99999", "TRUST_ALL_CERTIFICATES": "true",
		"PROXY_HOST": "proxy.example.com", "PROXY_SCHEME": "ftp", "PROXY_PASSWORD": "canary-password", "BELAY_CA_FILE": "/does/not/exist",
		"DELEGATE_CLIENT_CERTIFICATE_PATH": "/does/not/exist", "BELAY_DRAIN_SECONDS": "soon", "PRECHECK_CONN": "perhaps",
		"DESTINATION_CA_PATH": "/may/be/absent",
	}))
	var problems fault.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v", err)
	}
	got := map[string]bool{}
	for _, p := range problems {
		got[p.Path] = true
	}
	want := map[string]bool{
		"ACCOUNT_ID": true, "DELEGATE_TOKEN": true, "MANAGER_HOST_AND_PORT": true, "DELEGATE_CPU_THRESHOLD": true, "DELEGATE_MEMORY_THRESHOLD": true,
		"DELEGATE_TASK_CAPACITY": true, "DELEGATE_HTTP_PORT": true, "TRUST_ALL_CERTIFICATES": true, "PROXY_PORT": true, "PROXY_SCHEME": true,
		"BELAY_CA_FILE": true, "DELEGATE_CLIENT_CERTIFICATE_KEY_PATH": true, "BELAY_DRAIN_SECONDS": true, "PRECHECK_CONN": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error quotes a secret: %v", err)
	}
}

func TestTheEnvironmentOfTheSampleManifest(t *testing.T) {
	t.Parallel()
	c, err := agent.ConfigFromEnv(environ(map[string]string{
		"JAVA_OPTS": "-Xms64M", "DEPLOY_MODE": "KUBERNETES_ONPREM", "DELEGATE_NAME": "eks-test-new", "DELEGATE_TYPE": "KUBERNETES", "DELEGATE_NAMESPACE": "ns",
		"INIT_SCRIPT": "", "DELEGATE_DESCRIPTION": "", "DELEGATE_TAGS": "", "NEXT_GEN": "true", "CLIENT_TOOLS_DOWNLOAD_DISABLED": "true",
		"LOG_STREAMING_SERVICE_URL": "https://belay.example.com/log-service/", "DELEGATE_CPU_THRESHOLD": "80",
		"MANAGER_HOST_AND_PORT": "https://belay.example.com/",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Manager.String() != "https://belay.example.com" || c.CPUThreshold != 80 || c.HTTPAddr != ":3460" || c.LogLevel != slog.LevelInfo ||
		c.Capacity != agent.DefaultCapacity || c.Drain != agent.DefaultDrain || c.Namespace != "ns" || len(c.Tags) != 0 {
		t.Errorf("config %+v", c)
	}
	if text := fmt.Sprintf("%+v %#v", c, c); strings.Contains(text, token) {
		t.Error("a printed configuration shows the token")
	}
}

func TestFormsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env map[string]string
		ok  func(agent.Config) bool
	}{
		"the token in base64":       {map[string]string{"DELEGATE_TOKEN": base64.StdEncoding.EncodeToString([]byte(token))}, nil},
		"the token's old name":      {map[string]string{"DELEGATE_TOKEN": "", "ACCOUNT_SECRET": token}, nil},
		"http to this machine":      {map[string]string{"MANAGER_HOST_AND_PORT": "http://127.0.0.1:7990"}, nil},
		"http where it is wanted":   {map[string]string{"MANAGER_HOST_AND_PORT": "http://manager:7990", "BELAY_INSECURE_HTTP": "true"}, nil},
		"a host without scheme":     {map[string]string{"MANAGER_HOST_AND_PORT": "manager:7990"}, func(c agent.Config) bool { return c.Manager.Scheme == "https" }},
		"any free port":             {map[string]string{"DELEGATE_HTTP_PORT": "0"}, func(c agent.Config) bool { return c.HTTPAddr == ":0" }},
		"a threshold with its sign": {map[string]string{"DELEGATE_CPU_THRESHOLD": "75.5%"}, func(c agent.Config) bool { return c.CPUThreshold == 75 }},
		"no time to drain":          {map[string]string{"BELAY_DRAIN_SECONDS": "0"}, func(c agent.Config) bool { return c.Drain < 0 }},
		"two minutes to drain":      {map[string]string{"BELAY_DRAIN_SECONDS": "120"}, func(c agent.Config) bool { return c.Drain == 2*time.Minute }},
		"a level that is none":      {map[string]string{"LOGGING_LEVEL": "loud"}, func(c agent.Config) bool { return c.LogLevel == slog.LevelDebug && len(c.Warnings) == 1 }},
		"tags twice": {
			map[string]string{"DELEGATE_TAGS": " a,b ,,a"},
			func(c agent.Config) bool { return cmp.Equal(c.Tags, []string{"a", "b"}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := agent.ConfigFromEnv(environ(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			if tt.ok != nil && !tt.ok(c) {
				t.Errorf("config %+v", c)
			}
		})
	}
}

func TestWhichCallsGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	own := map[string]string{
		"PROXY_HOST": "proxy.example.com", "PROXY_PORT": "3128", "PROXY_USER": "me", "PROXY_PASSWORD": "p@ss",
		"NO_PROXY": "internal.example.com,.corp,10.0.0.0/8,*.svc,192.0.2.7,host.test:8443", "KUBERNETES_SERVICE_HOST": "172.20.0.1", "PROXY_MANAGER": "false",
	}
	c, err := agent.ConfigFromEnv(environ(own))
	if err != nil {
		t.Fatal(err)
	}
	const through, directly = "http://me:p%40ss@proxy.example.com:3128", ""
	for target, want := range map[string]string{
		"https://sts.eu-central-1.amazonaws.com/": through,
		"http://example.org/":                     through,
		"https://belay.example.com/api":           directly, // PROXY_MANAGER=false
		"https://172.20.0.1/":                     directly, // KUBERNETES_SERVICE_HOST
		"https://internal.example.com/":           directly,
		"https://a.internal.example.com/":         directly,
		"https://notinternal.example.com/":        through,
		"https://a.corp/":                         directly,
		"https://x.y.svc/":                        directly,
		"https://10.1.2.3/":                       directly,
		"https://11.1.2.3/":                       through,
		"https://192.0.2.7/":                      directly,
		"https://host.test:8443/":                 directly,
		"https://host.test/":                      through,
		"http://127.0.0.1:9/":                     directly,
		"http://localhost/":                       directly,
		"http://[::1]/":                           directly,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Proxy.For(&http.Request{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		if got != nil {
			text = got.String()
		}
		if text != want {
			t.Errorf("%s goes by %q, want %q", target, text, want)
		}
	}
	lookup := c.AWSEnv(environ(own))
	if got := lookup("HTTPS_PROXY"); got != through {
		t.Errorf("HTTPS_PROXY %q", got)
	}
	if got := lookup("no_proxy"); !strings.HasSuffix(got, ",172.20.0.1,belay.example.com") {
		t.Errorf("no_proxy %q", got)
	}
	if got := lookup("ACCOUNT_ID"); got != "acc" {
		t.Errorf("ACCOUNT_ID %q", got)
	}
	if text := fmt.Sprintf("%+v %#v %v", c, c, c.Proxy); strings.Contains(text, "p@ss") || strings.Contains(text, "p%40ss") {
		t.Error("a printed configuration shows the proxy's password")
	}
}

func TestTheCommonProxyVariablesCountToo(t *testing.T) {
	t.Parallel()
	env := environ(map[string]string{"https_proxy": "http://u:canary@proxy:1", "NO_PROXY": "*.x"})
	c, err := agent.ConfigFromEnv(env)
	if err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "https", Host: "sts.amazonaws.com"}
	if got, err := c.Proxy.For(&http.Request{URL: u}); err != nil || got == nil || got.String() != "http://u:canary@proxy:1" {
		t.Errorf("%v %v", got, err)
	}
	u.Scheme = "http"
	if got, err := c.Proxy.For(&http.Request{URL: u}); err != nil || got != nil {
		t.Errorf("%v %v", got, err)
	}
	if _, err := agent.ConfigFromEnv(environ(map[string]string{"HTTPS_PROXY": "http://u:canary@ bad"})); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}
