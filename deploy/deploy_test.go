// Package deploy_test holds the charts and the Dockerfiles to what they promise: values against the schema, what the charts
// render against the lint of manifests, the steps of the image in a folder.
//
// Helm is a large program and no part of the module. The charts use few of its functions, which are written out here, so
// that a test takes no time; tools/kube renders them with Helm's own engine. What Helm adds to that (the order of objects,
// hooks, releases) is not tested.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/manifest"
)

type tree = map[string]any

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text []byte) tree {
	t.Helper()
	out := tree{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// schema is the part of JSON Schema that the charts use; another word in a schema fails the decoding.
type schema struct {
	Schema     string             `json:"$schema"`
	Title      string             `json:"title"`
	Type       string             `json:"type"`
	Enum       []any              `json:"enum"`
	Pattern    string             `json:"pattern"`
	MinLength  int                `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	Minimum    *int               `json:"minimum"`
	Maximum    *int               `json:"maximum"`
	Items      *schema            `json:"items"`
	Unique     bool               `json:"uniqueItems"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Additional json.RawMessage    `json:"additionalProperties"`
}

func schemaOf(t *testing.T, chart string) *schema {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(read(t, "helm", chart, "values.schema.json")))
	d.DisallowUnknownFields()
	var s schema
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// check names what is wrong with a value.
func (s *schema) check(path string, value any) []string {
	wrong := func(format string, args ...any) []string {
		return []string{path + ": " + fmt.Sprintf(format, args...)}
	}
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		return wrong("%v is none of %v", value, s.Enum)
	}
	switch s.Type {
	case "string":
		text, ok := value.(string)
		if !ok || len(text) < s.MinLength || s.MaxLength != nil && len(text) > *s.MaxLength || !regexp.MustCompile(s.Pattern).MatchString(text) {
			return wrong("%q does not fit", fmt.Sprint(value))
		}
	case "integer":
		n, ok := value.(int)
		if !ok || s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum {
			return wrong("%v does not fit", value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrong("%v is not true or false", value)
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			return wrong("%v is no list", value)
		}
		var all []string
		for i, one := range list {
			all = append(all, s.Items.check(fmt.Sprintf("%s[%d]", path, i), one)...)
		}
		return all
	case "object":
		return s.checkObject(path, value)
	}
	return nil
}

func (s *schema) checkObject(path string, value any) []string {
	object, ok := value.(tree)
	if !ok {
		return []string{path + ": is no object"}
	}
	var all []string
	for _, name := range s.Required {
		if _, there := object[name]; !there {
			all = append(all, path+": lacks "+name)
		}
	}
	for name, one := range object {
		property, known := s.Properties[name]
		var other schema
		switch {
		case known:
			all = append(all, property.check(path+"."+name, one)...)
		case string(s.Additional) == "false":
			all = append(all, path+"."+name+": is not known")
		case len(s.Additional) > 0 && json.Unmarshal(s.Additional, &other) == nil:
			all = append(all, other.check(path+"."+name, one)...)
		}
	}
	return all
}

// merged is values over defaults, as Helm does it.
func merged(defaults, over tree) tree {
	out := tree{}
	maps.Copy(out, defaults)
	for name, value := range over {
		below, isTree := value.(tree)
		under, wasTree := out[name].(tree)
		if isTree && wasTree {
			out[name] = merged(under, below)
			continue
		}
		out[name] = value
	}
	return out
}

// render makes the text of a chart with values over its defaults.
func render(t *testing.T, chart, release, namespace string, over tree) (string, error) {
	t.Helper()
	about := parse(t, read(t, "helm", chart, "Chart.yaml"))
	values := merged(parse(t, read(t, "helm", chart, "values.yaml")), over)
	if problems := schemaOf(t, chart).check("values", values); len(problems) > 0 {
		return "", fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	root := template.New(chart).Option("missingkey=error")
	root.Funcs(functions(root))
	files, err := filepath.Glob(filepath.Join("helm", chart, "templates", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no templates", err)
	}
	for _, file := range files {
		if _, err := root.New(filepath.Base(file)).Parse(string(read(t, file))); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "_") {
			continue
		}
		var b strings.Builder
		err := root.ExecuteTemplate(&b, filepath.Base(file), tree{
			"Values":  values,
			"Release": tree{"Name": release, "Namespace": namespace, "Service": "Helm"},
			"Chart":   tree{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
		})
		if err != nil {
			return "", err
		}
		if text := strings.TrimPrefix(strings.TrimSpace(b.String()), "---"); text != "" {
			all.WriteString("---\n" + strings.TrimSpace(text) + "\n")
		}
	}
	return all.String(), nil
}

// functions are those of Helm that the charts use.
func functions(root *template.Template) template.FuncMap {
	empty := func(v any) bool { return v == nil || v == "" || v == false || v == 0 }
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := root.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"toYaml": func(v any) (string, error) {
			var b bytes.Buffer
			e := yaml.NewEncoder(&b)
			e.SetIndent(2)
			err := e.Encode(v)
			return strings.TrimRight(b.String(), "\n"), err
		},
		"nindent": func(n int, text string) string {
			pad := strings.Repeat(" ", n)
			return "\n" + pad + strings.ReplaceAll(text, "\n", "\n"+pad)
		},
		"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"default": func(otherwise, v any) any {
			if empty(v) {
				return otherwise
			}
			return v
		},
		"required": func(why string, v any) (any, error) {
			if empty(v) {
				return nil, fmt.Errorf("%s", why)
			}
			return v, nil
		},
		"fail":       func(why string) (string, error) { return "", fmt.Errorf("%s", why) },
		"trunc":      func(n int, text string) string { return text[:min(n, len(text))] },
		"trimSuffix": func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
		"hasPrefix":  func(prefix, text string) bool { return strings.HasPrefix(text, prefix) },
		"lower":      strings.ToLower,
		"join": func(by string, list []any) string {
			var all []string
			for _, one := range list {
				all = append(all, fmt.Sprint(one))
			}
			return strings.Join(all, by)
		},
		"int": func(v any) (int, error) {
			n, ok := v.(int)
			if !ok {
				return 0, fmt.Errorf("%v is no number", v)
			}
			return n, nil
		},
		"sub": func(a, b int) int { return a - b },
		"max": func(a, b int) int { return max(a, b) },
	}
}

func delegateValues(over tree) tree {
	return merged(tree{"account": "acct", "manager": "https://belay.example.com", "existingSecret": "made-before"}, over)
}

// What the charts render has none of the faults that Lint finds, whatever is switched on.
func TestChartsRenderWithoutFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		chart  string
		values tree
		expect []string
		kinds  []string
	}{
		"delegate": {"belay-delegate", delegateValues(nil), []string{"Secret/made-before"}, []string{"ServiceAccount", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}},
		"delegate with all": {"belay-delegate", delegateValues(tree{
			"existingSecret": "", "token": "0123456789abcdef0123456789abcdef", "name": "eks-prod", "tags": []any{"a", "b"}, "description": `says "hi"`,
			"initScript": "echo \"it's\"\necho $HOME\n", "clusterRole": "view", "insecureHttp": true, "replicas": 2, "podAnnotations": tree{"a": "b"},
			"serviceAccount": tree{"annotations": tree{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/d"}},
			"proxy":          tree{"host": "proxy", "user": "u", "password": "p", "noProxy": ".internal"}, "autoscaling": tree{"enabled": true},
			"upgrader": tree{"enabled": true}, "serviceMonitor": tree{"enabled": true}, "nodeSelector": tree{"x": "y"},
			"env": []any{tree{"name": "LOGGING_LEVEL", "value": "DEBUG"}}, "imagePullSecrets": []any{tree{"name": "pull"}},
		}), []string{"Secret/pull"}, []string{"Secret", "ClusterRoleBinding", "CronJob", "Role", "ConfigMap", "HorizontalPodAutoscaler", "ServiceMonitor", "Service"}},
		"delegate with what exists": {"belay-delegate", delegateValues(tree{
			"serviceAccount": tree{"create": false, "name": "irsa"}, "proxy": tree{"host": "proxy", "existingSecret": "way-out"},
			"clusterRole": "admin", "clusterRoleInNamespace": true, "image": tree{"tag": "sha256:" + strings.Repeat("0", 64)},
		}), []string{"Secret/made-before", "Secret/way-out", "ServiceAccount/irsa"}, []string{"RoleBinding"}},
		"manager": {"belay-manager", tree{"publicUrl": "https://belay.example.com", "insecureHttp": true}, nil, []string{"StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy"}},
		"manager with all": {"belay-manager", tree{
			"publicUrl": "https://belay.example.com", "tls": tree{"existingSecret": "tls"}, "clientCA": tree{"existingSecret": "ca"}, "database": tree{"existingSecret": "db"},
			"masterKey": tree{"existingSecret": "key"}, "serviceMonitor": tree{"enabled": true}, "persistence": tree{"storageClass": "gp3"}, "extraArgs": []any{"--test-every=1h"},
		}, []string{"Secret/tls", "Secret/ca", "Secret/db", "Secret/key"}, []string{"ServiceMonitor"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := render(t, tt.chart, "prod", "belay", tt.values)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := manifest.Lint(name, strings.NewReader(text), tt.expect)
			if err != nil || len(findings) > 0 {
				t.Errorf("%v %v\n%s", findings, err, text)
			}
			for _, kind := range tt.kinds {
				if !strings.Contains(text, "\nkind: "+kind+"\n") {
					t.Errorf("no %s:\n%s", kind, text)
				}
			}
			if strings.Contains(text, "cluster-admin") || strings.Contains(text, "<no value>") {
				t.Errorf("it holds what it should not:\n%s", text)
			}
		})
	}
}

func TestChartsRefuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		chart  string
		values tree
		want   string
	}{
		"a delegate without an account":  {"belay-delegate", tree{"manager": "https://m"}, "values.account"},
		"a delegate without a token":     {"belay-delegate", delegateValues(tree{"existingSecret": ""}), "token or existingSecret is required"},
		"a manager that is no address":   {"belay-delegate", delegateValues(tree{"manager": "belay"}), "values.manager"},
		"a value that is not known":      {"belay-delegate", delegateValues(tree{"replica": 2}), "values.replica: is not known"},
		"replicas as a text":             {"belay-delegate", delegateValues(tree{"replicas": "two"}), "values.replicas"},
		"a token that is none":           {"belay-delegate", delegateValues(tree{"token": "YOUR_TOKEN"}), "values.token"},
		"a pull policy that is none":     {"belay-delegate", delegateValues(tree{"image": tree{"pullPolicy": "Sometimes"}}), "pullPolicy"},
		"a manager without TLS":          {"belay-manager", tree{"publicUrl": "https://belay.example.com"}, "tls.existingSecret is required"},
		"a manager without its address":  {"belay-manager", tree{"insecureHttp": true}, "values.publicUrl"},
		"a manager's flag that is none":  {"belay-manager", tree{"publicUrl": "https://m", "insecureHttp": true, "extraArgs": []any{"x"}}, "extraArgs[0]"},
		"a manager's size that is none":  {"belay-manager", tree{"publicUrl": "https://m", "insecureHttp": true, "persistence": tree{"size": "5"}}, "persistence.size"},
		"a service account with a slash": {"belay-manager", tree{"publicUrl": "https://m", "insecureHttp": true, "serviceAccount": tree{"name": "a/b"}}, "serviceAccount.name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := render(t, tt.chart, "prod", "belay", tt.values); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Every value has its place in the schema and in a template, and no template reads another.
func TestValuesSchemaAndTemplatesAgree(t *testing.T) {
	t.Parallel()
	used := regexp.MustCompile(`\.Values\.([A-Za-z.]+)`)
	for _, chart := range []string{"belay-delegate", "belay-manager"} {
		files, err := filepath.Glob(filepath.Join("helm", chart, "templates", "*"))
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		for _, file := range files {
			for _, found := range used.FindAllStringSubmatch(string(read(t, file)), -1) {
				asked = append(asked, found[1])
			}
		}
		values := parse(t, read(t, "helm", chart, "values.yaml"))
		var walk func(path string, s *schema, v tree)
		walk = func(path string, s *schema, v tree) {
			for name := range s.Properties {
				if _, there := v[name]; !there && name != "global" {
					t.Errorf("%s: the schema has %s%s, values.yaml has not", chart, path, name)
				}
			}
			for name, one := range v {
				property, known := s.Properties[name]
				if !known {
					t.Errorf("%s: values.yaml has %s%s, the schema has not", chart, path, name)
					continue
				}
				below, isTree := one.(tree)
				if isTree && len(property.Properties) > 0 && !slices.Contains(asked, path+name) {
					walk(path+name+".", property, below)
					continue
				}
				if !slices.Contains(asked, path+name) {
					t.Errorf("%s: no template reads %s%s", chart, path, name)
				}
			}
		}
		walk("", schemaOf(t, chart), values)
		for _, one := range asked {
			at := any(values)
			for part := range strings.SplitSeq(one, ".") {
				below, _ := at.(tree)
				var there bool
				if at, there = below[part]; !there {
					t.Errorf("%s: a template reads %s, values.yaml has not", chart, one)
				}
			}
		}
	}
}

// What `belay delegate manifest --kind helm` writes fits the chart, and installs what was asked for.
func TestOurValuesFitTheChart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "internal", "manifest", "testdata", "golden", "helm-*.yaml"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := render(t, "belay-delegate", "eks-prod", "delegates", parse(t, read(t, file)))
		if err != nil {
			t.Fatal(file, err)
		}
		findings, err := manifest.Lint(file, strings.NewReader(text), []string{"Secret/eks-prod-token"})
		if err != nil || len(findings) > 0 {
			t.Errorf("%v %v", findings, err)
		}
	}
	if about := parse(t, read(t, "helm", "belay-delegate", "Chart.yaml")); about["appVersion"] != delegate.Current().String() {
		t.Errorf("the chart's appVersion is %v, the delegate's version %s", about["appVersion"], delegate.Current())
	}
}

// The steps of the delegate's image, in a folder and without its packages.
func TestStepsOfTheDelegatesImage(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the tests need bash")
	}
	root := t.TempDir()
	for range 2 { // a second time changes nothing
		cmd := exec.CommandContext(t.Context(), bash, filepath.Join("docker", "delegate-setup.sh"), root)
		cmd.Env = append(os.Environ(), "BELAY_SETUP_PACKAGES=no")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if got := string(read(t, root, "etc", "passwd")); got != "belay:x:1001:1001:Belay delegate:/home/belay:/bin/bash\n" {
		t.Errorf("passwd is %q", got)
	}
	for path, mode := range map[string]os.FileMode{"home/belay": 0o700, "opt/belay/tools/bin": 0o755} {
		about, err := os.Stat(filepath.Join(root, path))
		if err != nil || about.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, about, err)
		}
	}
}

// Dockerfiles copy what is there, end as a user that is no root, and start the program without a shell.
func TestDockerfiles(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"delegate": "delegate", "manager": "manager"} {
		text := string(read(t, "docker", name+".Dockerfile"))
		var users, entries, commands []string
		for line := range strings.Lines(text) {
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch word {
			case "USER":
				users = append(users, rest)
			case "ENTRYPOINT":
				entries = append(entries, rest)
			case "CMD":
				commands = append(commands, rest)
			case "ADD", "MAINTAINER":
				t.Errorf("%s: %s", name, line)
			case "FROM":
				if strings.Contains(rest, "latest") {
					t.Errorf("%s: %s", name, line)
				}
			case "COPY":
				fields := strings.Fields(rest)
				if strings.HasPrefix(rest, "--from=") {
					continue
				}
				for _, path := range fields[:len(fields)-1] {
					if _, err := os.Stat(filepath.Join("..", path)); err != nil {
						t.Errorf("%s copies %s: %v", name, path, err)
					}
				}
			}
		}
		var entry, command []string
		if len(users) != 1 || users[0] != "1001:1001" || len(entries) != 1 || json.Unmarshal([]byte(entries[0]), &entry) != nil ||
			len(commands) != 1 || json.Unmarshal([]byte(commands[0]), &command) != nil || command[0] != first || filepath.Base(entry[0]) != "belay" {
			t.Errorf("%s: user %v, entry point %v, command %v", name, users, entries, commands)
		}
	}
}
