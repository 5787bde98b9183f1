package manifest_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/secret"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

const tokenValue = "0123456789abcdef0123456789abcdef"

// plain is the least that a form needs.
func plain(form manifest.Form) manifest.Spec {
	s := manifest.Spec{
		Form: form, Name: "eks-prod", Account: "Hue1lBsaSx2APlXjzVEPIg", Manager: "https://belay.example.com/", Image: "belay/delegate:26.11.90000",
	}
	if form == manifest.ECS {
		s.TokenSecret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:belay/delegate-AbCdEf"
		s.ExecutionRoleARN = "arn:aws:iam::123456789012:role/ecs-execution"
	}
	return s
}

// full asks for everything that a form has.
func full(form manifest.Form) manifest.Spec {
	s := plain(form)
	s.Namespace, s.Description, s.Tags, s.Replicas = "delegates", `says "hi": # $HOME`, []string{"eks", "frankfurt"}, 2
	s.Manager = "http://belay.internal:7990"
	s.Token = secret.NewValue(tokenValue)
	s.Tools = []string{"serverless", "aws-iam-authenticator", "awscli", "kubectl"}
	s.InitScript = "echo \"it's ready\"\n"
	s.Proxy = &manifest.Proxy{Host: "proxy.internal", Port: 3128, NoProxy: ".internal,10.0.0.0/8", User: "belay", Password: secret.NewValue("it's $ecret")}
	switch form {
	case manifest.Kubernetes, manifest.Helm:
		s.Autoscale, s.Upgrader = &manifest.Autoscale{Max: 6}, true
	case manifest.StatefulSet:
		s.Autoscale, s.Upgrader = &manifest.Autoscale{Max: 6, CPU: 70}, true
	case manifest.Docker, manifest.ECS, manifest.Shell:
	}
	switch form {
	case manifest.Kubernetes, manifest.StatefulSet, manifest.Helm:
		s.RoleARN, s.ClusterRole = "arn:aws:iam::123456789012:role/belay-delegate", "view"
	case manifest.ECS:
		s.RoleARN = "arn:aws:iam::123456789012:role/belay-delegate"
	case manifest.Docker, manifest.Shell:
	}
	return s
}

func render(t *testing.T, s manifest.Spec) []byte {
	t.Helper()
	text, err := manifest.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it:\n%s", path, diff)
	}
}

func fileName(form manifest.Form, which string) string {
	if form == manifest.Shell {
		return string(form) + "-" + which + ".sh"
	}
	return string(form) + "-" + which + ".yaml"
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, form := range manifest.Forms() {
		golden(t, fileName(form, "plain"), render(t, plain(form)))
		golden(t, fileName(form, "full"), render(t, full(form)))
	}
}

// What we write has none of the faults that we find in others.
func TestOurOwnHasNoFaults(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*manifest.Spec){
		"with all":                     func(*manifest.Spec) {},
		"with rights in its namespace": func(s *manifest.Spec) { s.InNamespace = true },
		"with an account that exists":  func(s *manifest.Spec) { s.RoleARN, s.ServiceAccount = "", "made-before" },
		"with secrets that exist": func(s *manifest.Spec) {
			s.Token, s.Proxy.User, s.Proxy.Password, s.Proxy.Secret = secret.Value{}, "", secret.Value{}, "way-out"
		},
		"with a proxy for everybody":   func(s *manifest.Spec) { s.Proxy.User, s.Proxy.Password = "", secret.Value{} },
		"without anything to be asked": func(s *manifest.Spec) { *s = plain(s.Form) },
	} {
		for _, form := range []manifest.Form{manifest.Kubernetes, manifest.StatefulSet} {
			t.Run(name+" as "+string(form), func(t *testing.T) {
				t.Parallel()
				s := full(form)
				change(&s)
				findings, err := manifest.Lint("ours.yaml", bytes.NewReader(render(t, s)), nil)
				if err != nil || len(findings) > 0 {
					t.Errorf("%v %v", findings, err)
				}
			})
		}
	}
}

// The token is in a file only where it was given, and then as text that decodes to it.
func TestTheTokenIsWhereItBelongs(t *testing.T) {
	t.Parallel()
	for _, form := range manifest.Forms() {
		if text := render(t, plain(form)); bytes.Contains(text, []byte(tokenValue)) {
			t.Errorf("%s: a token from nowhere", form)
		}
		if text := string(render(t, full(form))); strings.Count(text, tokenValue) != 1 {
			t.Errorf("%s holds the token %d times", form, strings.Count(text, tokenValue))
		}
	}
}

// Whatever texts go in come out of YAML as they were.
func TestTextsSurviveYAML(t *testing.T) {
	t.Parallel()
	s := full(manifest.Docker)
	s.Description = `: - "x" 'y' # {a: b} %d \ yes`
	var file struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := yaml.Unmarshal(render(t, s), &file); err != nil {
		t.Fatal(err)
	}
	env := file.Services["eks-prod"].Environment
	if env["DELEGATE_DESCRIPTION"] != s.Description || env["PROXY_PASSWORD"] != "it's $$ecret" || !strings.Contains(env["INIT_SCRIPT"], `"$$tools/bin"`) {
		t.Errorf("got %q", env)
	}
}

// The scripts are run by a real bash: in a bare environment the program that is started sees what was asked for.
func TestTheShellScriptRuns(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the tests need bash")
	}
	folder := t.TempDir()
	stub := "#!/bin/sh\necho \"$*\"\nenv\n"
	if err := os.WriteFile(filepath.Join(folder, "belay"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(folder, "start.sh")
	if err := os.WriteFile(script, render(t, full(manifest.Shell)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bash, script)
	cmd.Env = []string{"PATH=" + folder + ":/usr/bin:/bin", "HOME=" + folder}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"delegate run\n", "DELEGATE_TOKEN=" + tokenValue, "PROXY_PASSWORD=it's $ecret", `DELEGATE_DESCRIPTION=says "hi": # $HOME`,
		"DELEGATE_TAGS=eks,frankfurt", "BELAY_INSECURE_HTTP=true",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("lacks %s:\n%s", want, out)
		}
	}
	if err := os.WriteFile(script, render(t, plain(manifest.Shell)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), bash, script)
	cmd.Env = []string{"PATH=" + folder + ":/usr/bin:/bin", "HOME=" + folder}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "set DELEGATE_TOKEN") {
		t.Errorf("without a token: %v\n%s", err, out)
	}
}

// The presets are run by a real bash against programs of the test that stand in for curl, uname and what is unpacked: on
// both architectures each asks for files of its own, and a program that is there already is not fetched again.
func TestToolsInstallForBothArchitectures(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the tests need bash")
	}
	for machine, want := range map[string][]string{
		"x86_64": {
			"aws-iam-authenticator_0.7.13_linux_amd64", "bin/linux/amd64/kubectl", "awscli-exe-linux-x86_64.zip", "-linux-x64.tar.gz",
		},
		"aarch64": {
			"aws-iam-authenticator_0.7.13_linux_arm64", "bin/linux/arm64/kubectl", "awscli-exe-linux-aarch64.zip", "-linux-arm64.tar.gz",
		},
	} {
		t.Run(machine, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			log := filepath.Join(folder, "log")
			for name, text := range map[string]string{
				"uname":     "echo " + machine,
				"curl":      `while [ $# -gt 1 ]; do [ "$1" = --output ] && out=$2; shift; done; echo "$1" >> ` + log + `; : > "$out"`,
				"sha256sum": "cat > /dev/null",
				"unzip":     `mkdir -p "$5/aws"; printf '#!/bin/sh\n: > "$4/aws"; chmod +x "$4/aws"\n' > "$5/aws/install"; chmod +x "$5/aws/install"`,
				"tar":       `mkdir -p "$4/bin"; for f in node npm npx; do printf '#!/bin/sh\necho npm "$@" >> ` + log + `\n: > "$4/bin/serverless"; chmod +x "$4/bin/serverless"\n' > "$4/bin/$f"; chmod +x "$4/bin/$f"; done`,
			} {
				if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			// Nothing else is on PATH: the machine may have the tools, and the network, itself.
			for _, name := range []string{"cat", "chmod", "ln", "mkdir", "mv", "rm", "sh"} {
				path, err := exec.LookPath(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(folder, name)); err != nil {
					t.Fatal(err)
				}
			}
			s := plain(manifest.Docker)
			s.Tools = manifest.Tools()
			var file struct {
				Services map[string]struct{ Environment map[string]string }
			}
			if err := yaml.Unmarshal(render(t, s), &file); err != nil {
				t.Fatal(err)
			}
			script := strings.ReplaceAll(file.Services["eks-prod"].Environment["INIT_SCRIPT"], "$$", "$")
			for range 2 { // the second time everything is there
				cmd := exec.CommandContext(t.Context(), bash, "-c", script)
				cmd.Env = []string{"PATH=" + folder, "BELAY_TOOLS=" + filepath.Join(folder, "tools")}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			asked, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range want {
				if n := strings.Count(string(asked), one+"\n"); n != 1 {
					t.Errorf("%s was fetched %d times:\n%s", one, n, asked)
				}
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*manifest.Spec)
		want   string
	}{
		"no form":                        {func(s *manifest.Spec) { s.Form = "rpm" }, `kind: "rpm" is not known`},
		"a name with capitals":           {func(s *manifest.Spec) { s.Name = "Prod" }, "name: "},
		"a name that ends the comment":   {func(s *manifest.Spec) { s.Name = "a\nb" }, "name: "},
		"a name too long to upgrade":     {func(s *manifest.Spec) { s.Name, s.Upgrader = strings.Repeat("a", 44), true }, "43 characters at most"},
		"a name too long for the chart":  {func(s *manifest.Spec) { s.Form, s.Name = manifest.Helm, strings.Repeat("a", 44) }, "43 characters at most"},
		"a Service that begins with 1":   {func(s *manifest.Spec) { s.Form, s.Name = manifest.StatefulSet, "1prod" }, "must begin with a letter"},
		"no account":                     {func(s *manifest.Spec) { s.Account = "" }, "account: is required"},
		"a manager on this machine":      {func(s *manifest.Spec) { s.Manager = "http://127.0.0.1:7990" }, "--public-url"},
		"a manager with a password":      {func(s *manifest.Spec) { s.Manager = "https://u:p@belay.example.com" }, "manager: must hold"},
		"a manager that is none":         {func(s *manifest.Spec) { s.Manager = "belay" }, "manager: "},
		"an image that is none":          {func(s *manifest.Spec) { s.Image = "Belay Delegate" }, "image: "},
		"a tag with a comma":             {func(s *manifest.Spec) { s.Tags = []string{"a,b"} }, "tags[0]: "},
		"a description of two lines":     {func(s *manifest.Spec) { s.Description = "a\nb" }, "description: "},
		"no replica":                     {func(s *manifest.Spec) { s.Replicas = -1 }, "replicas: is -1"},
		"a role that is a user":          {func(s *manifest.Spec) { s.RoleARN = "arn:aws:iam::123456789012:user/x" }, "roleArn: "},
		"a role for another's account":   {func(s *manifest.Spec) { s.RoleARN, s.ServiceAccount = full(s.Form).RoleARN, "x" }, "exists already"},
		"a role for a Compose file":      {func(s *manifest.Spec) { *s = plain(manifest.Docker); s.RoleARN = full(manifest.ECS).RoleARN }, "cannot give a role"},
		"an unknown tool":                {func(s *manifest.Spec) { s.Tools = []string{"emacs"} }, `tools[0]: "emacs" is not known; there are aws-iam-authenticator, `},
		"a proxy without a port":         {func(s *manifest.Spec) { s.Proxy = &manifest.Proxy{Host: "p"} }, "proxy.port: is 0"},
		"a proxy with a user and all":    {func(s *manifest.Spec) { s.Proxy = &manifest.Proxy{Host: "p", Port: 1, User: "u", Secret: "s"} }, "proxy.secret: "},
		"an autoscaler that cannot":      {func(s *manifest.Spec) { s.Autoscale = &manifest.Autoscale{Max: 1} }, "autoscale.max: is 1"},
		"an autoscaler of a container":   {func(s *manifest.Spec) { *s = plain(manifest.Docker); s.Autoscale = &manifest.Autoscale{Max: 3} }, "has no autoscaler"},
		"an upgrader of a container":     {func(s *manifest.Spec) { *s = plain(manifest.Docker); s.Upgrader = true }, "works in Kubernetes"},
		"ECS without its execution role": {func(s *manifest.Spec) { *s = plain(manifest.ECS); s.ExecutionRoleARN = "" }, "executionRoleArn: is required"},
		"ECS with a secret's name":       {func(s *manifest.Spec) { *s = plain(manifest.ECS); s.TokenSecret = "token" }, "tokenSecret: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := plain(manifest.Kubernetes)
			tt.change(&s)
			_, err := manifest.Render(s)
			if !errors.Is(err, fault.Invalid) && fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	all := manifest.Spec{Form: "rpm", Name: "A", Image: "B"}
	_, err := manifest.Render(all)
	var problems fault.Problems
	if !errors.As(err, &problems) || len(problems) < 5 {
		t.Errorf("not all at once: %v", err)
	}
}
