package forms

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Render is what `helm template` writes for the chart in the tree at root, by Helm's own engine: values over the chart's,
// checked by its schema. It fails where Helm would refuse the values, and where a template reads one that is not there.
func (c Chart) Render(root, release, namespace string) (string, error) {
	loaded, err := loader.LoadDir(filepath.Join(root, "deploy", "helm", c.Name))
	if err != nil {
		return "", fmt.Errorf("load the chart %s: %w", c.Name, err)
	}
	all, err := chartutil.ToRenderValues(loaded, c.Values, chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, nil)
	if err != nil {
		return "", fmt.Errorf("values of the chart %s: %w", c.Name, err)
	}
	files, err := engine.Engine{Strict: true}.Render(loaded, all)
	if err != nil {
		return "", fmt.Errorf("render the chart %s: %w", c.Name, err)
	}
	var b strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if text := strings.TrimSpace(files[file]); !strings.HasPrefix(filepath.Base(file), "_") && text != "" {
			b.WriteString("---\n" + strings.TrimSpace(strings.TrimPrefix(text, "---\n")) + "\n")
		}
	}
	return b.String(), nil
}

func readValues(text string) (map[string]any, error) { return chartutil.ReadValues([]byte(text)) }
