// Package kube_test checks manifests and charts with Kubernetes' own types and with Helm's own engine. It is a module of its
// own, so that what it needs stays out of the product's: `make kube` runs it.
package kube_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

const root = "../.."

var (
	separator = regexp.MustCompile(`(?m)^---$`)
	comment   = regexp.MustCompile(`(?m)^#.*$`)
)

// decode decodes every object of a text strictly: an unknown field, a field twice or a value of another type fails. Kinds
// of others, such as ServiceMonitor, are passed over. It returns how many it decoded.
func decode(t *testing.T, name, text string) int {
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
	n := 0
	for _, part := range separator.Split(text, -1) {
		if len(bytes.TrimSpace(comment.ReplaceAll([]byte(part), nil))) == 0 || strings.Contains(part, "monitoring.coreos.com/v1") {
			continue
		}
		if _, _, err := decoder.Decode([]byte(part), nil, nil); err != nil {
			t.Errorf("%s: %v\n%s", name, err, part)
			continue
		}
		n++
	}
	return n
}

func TestManifestsDecodeStrictly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "internal/manifest/testdata/golden/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if base := filepath.Base(file); !strings.HasPrefix(base, "kubernetes-") && !strings.HasPrefix(base, "statefulset-") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen += decode(t, file, string(text))
	}
	if seen < 30 {
		t.Errorf("only %d objects", seen)
	}
}

func TestHelmRendersTheCharts(t *testing.T) {
	golden := filepath.Join(root, "internal/manifest/testdata/golden")
	for name, tt := range map[string]struct {
		chart, file string // of values
		values      map[string]any
		least       int
	}{
		"delegate, as little as can be": {"belay-delegate", "helm-plain.yaml", nil, 4},
		"delegate, with all":            {"belay-delegate", "helm-full.yaml", map[string]any{"serviceMonitor": map[string]any{"enabled": true}}, 14},
		"manager": {"belay-manager", "", map[string]any{
			"publicUrl": "https://belay.example.com", "tls": map[string]any{"existingSecret": "tls"}, "serviceMonitor": map[string]any{"enabled": true},
		}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			if tt.file != "" {
				read, err := chartutil.ReadValuesFile(filepath.Join(golden, tt.file))
				if err != nil {
					t.Fatal(err)
				}
				values = read.AsMap()
			}
			text, err := render(t, tt.chart, chartutil.CoalesceTables(tt.values, values))
			if err != nil {
				t.Fatal(err)
			}
			if n := decode(t, name, text); n < tt.least {
				t.Errorf("only %d objects:\n%s", n, text)
			}
		})
	}
	if _, err := render(t, "belay-manager", map[string]any{"publicUrl": 1}); err == nil || !strings.Contains(err.Error(), "publicUrl") {
		t.Errorf("the schema does not hold: %v", err)
	}
}

// render is `helm template`, values checked by the chart's schema.
func render(t *testing.T, name string, values map[string]any) (string, error) {
	t.Helper()
	chart, err := loader.LoadDir(filepath.Join(root, "deploy/helm", name))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "eks-prod", Namespace: "delegates", IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for file, text := range files {
		if !strings.HasPrefix(filepath.Base(file), "_") && strings.TrimSpace(text) != "" {
			b.WriteString("\n---\n" + text)
		}
	}
	return b.String(), nil
}
