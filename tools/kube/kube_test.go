// Package kube_test decodes what Belay writes for Kubernetes with Kubernetes' own types, strictly, and renders its charts
// with Helm's own engine. It is a module of its own, so that what it needs stays out of the product's.
package kube_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"

	"github.com/belay-dev/belay/tools/kube/forms"
)

const root = "../.."

// Names that YAML takes for numbers where they are not in quotes.
const namespace, release = "123", "1e3"

var (
	separator = regexp.MustCompile(`(?m)^---$`)
	comment   = regexp.MustCompile(`(?m)^#.*$`)
)

// decode decodes every object of a text strictly: an unknown field, a field twice, a value of another type and data that
// is not base64 are errors. The kind ServiceMonitor, which is not Kubernetes' own, is passed over. It returns the kinds.
func decode(t *testing.T, text string) ([]string, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var kinds []string
	for _, part := range separator.Split(text, -1) {
		if strings.TrimSpace(comment.ReplaceAllString(part, "")) == "" || strings.Contains(part, "\nkind: ServiceMonitor\n") {
			continue
		}
		object, kind, err := decoder.Decode([]byte(part), nil, nil)
		if err == nil {
			err = kept([]byte(part), object)
		}
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, part)
		}
		kinds = append(kinds, kind.Kind)
	}
	return kinds, nil
}

// kept reports what Kubernetes would write otherwise than the text does, such as 1024Mi, which becomes 1Gi: a client-side
// apply would find a change each time.
func kept(text []byte, object runtime.Object) error {
	again, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var before, after any
	if err := errors.Join(yaml.Unmarshal(text, &before), yaml.Unmarshal(again, &after)); err != nil {
		return err
	}
	return same("", before, after)
}

// same reports where a value differs from the one that was made of it; that one may have more.
func same(path string, before, after any) error {
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any)
		for name, value := range b {
			if err := same(path+"."+name, value, a[name]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		a, _ := after.([]any)
		if len(a) != len(b) {
			return fmt.Errorf("%s has %d items, and then %d", path, len(b), len(a))
		}
		for i, value := range b {
			if err := same(fmt.Sprintf("%s[%d]", path, i), value, a[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if before != after {
		return fmt.Errorf("%s is %v, and Kubernetes writes %v", path, before, after)
	}
	return nil
}

// has fails for a kind that is not among those.
func has(t *testing.T, kinds []string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+one+" ") {
			t.Errorf("no %s among %v", one, kinds)
		}
	}
}

func TestManifestsDecodeStrictly(t *testing.T) {
	t.Parallel()
	belay, err := forms.Build(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all, err := forms.Manifests(t.TempDir(), "kubernetes", "statefulset")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		text, err := m.Write(t.Context(), belay, namespace)
		if err != nil {
			t.Fatal(err)
		}
		kinds, err := decode(t, text)
		if err != nil {
			t.Errorf("%s, %s: %v", m.Kind, m.Name, err)
		}
		has(t, kinds, "Namespace", map[string]string{"kubernetes": "Deployment", "statefulset": "StatefulSet"}[m.Kind], "PodDisruptionBudget")
		if m.Name == "everything" {
			has(t, kinds, "ServiceAccount", "Secret", "ClusterRoleBinding", "HorizontalPodAutoscaler")
		}
	}
	charts, err := forms.Delegates(t.Context(), belay, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		text, err := c.Render(root, release, namespace)
		if err == nil {
			_, err = decode(t, text)
		}
		if err != nil {
			t.Errorf("%s, %s: %v", c.Name, c.Title, err)
		}
	}
}

func TestChartsDecodeStrictly(t *testing.T) {
	t.Parallel()
	seen := []string{}
	for _, c := range forms.Charts() {
		text, err := c.Render(root, release, namespace)
		if err != nil {
			t.Errorf("%s, %s: %v", c.Name, c.Title, err)
			continue
		}
		kinds, err := decode(t, text)
		if err != nil {
			t.Errorf("%s, %s: %v", c.Name, c.Title, err)
		}
		seen = append(seen, kinds...)
	}
	has(t, seen, "Deployment", "StatefulSet", "CronJob", "HorizontalPodAutoscaler", "NetworkPolicy", "ClusterRoleBinding", "RoleBinding", "Service", "ConfigMap")
}

// What the decoder is there for, and what it lets pass, which is the lint's part.
func TestWhatStrictMeans(t *testing.T) {
	t.Parallel()
	const sound = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"
	for name, tt := range map[string]struct{ old, now, want string }{
		"sound":                      {"", "", ""},
		"a field that is not there":  {"stringData", "stringdata", `unknown field "stringdata"`},
		"a field twice":              {"stringData: {a: b}", "type: a\ntype: b", `already set`},
		"a number for a text":        {"{a: b}", "{a: 1}", "json"},
		"data that is not base64":    {"stringData: {a: b}", `data: {a: "YOUR_TOKEN"}`, "illegal base64"},
		"a version that is not":      {"v1", "v9", "no kind"},
		"a name that points nowhere": {"stringData: {a: b}", "type: kubernetes.io/tls", ""},
	} {
		_, err := decode(t, strings.Replace(sound, tt.old, tt.now, 1))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "internal/manifest/testdata/lint/sample.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(t, string(text)); err == nil {
		t.Error("the sample that is copied most decodes")
	}
}

func TestHelmHoldsValuesToTheSchema(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		chart  string
		values map[string]any
		want   string
	}{
		"an address that is a number": {"belay-manager", map[string]any{"publicUrl": 1}, "publicUrl"},
		"a value that is not known":   {"belay-delegate", map[string]any{"account": "a", "manager": "https://m", "existingSecret": "s", "replica": 2}, "replica"},
		"no TLS":                      {"belay-manager", map[string]any{"publicUrl": "https://m"}, "tls.existingSecret is required"},
	} {
		if _, err := (forms.Chart{Name: tt.chart, Values: tt.values}).Render(root, "r", "n"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
