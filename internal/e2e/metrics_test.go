package e2e_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/belaytest"
)

// What manager and delegate show to Prometheus is what docs/metrics.md says, name by name and type by type.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	moto := belaytest.SharedMoto(t)
	m := startManager(t)
	d := m.delegate("d1", "AWS_ENDPOINT_URL="+moto.URL, "AWS_ACCESS_KEY_ID=AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY=s", "DELEGATE_CPU_THRESHOLD=100", "DELEGATE_MEMORY_THRESHOLD=100")
	m.connector("own", map[string]any{"type": "InheritFromDelegate"}, nil)
	green(t, m.test("own", nil))

	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	managers, delegates, found := strings.Cut(string(page), "\n## Delegate\n")
	if !found {
		t.Fatal("docs/metrics.md has no section for the delegate")
	}
	for name, tt := range map[string]struct{ page, url string }{
		"manager":  {managers, m.url + "/metrics"},
		"delegate": {delegates, "http://" + d.find(`"address":"([^"]+)"`) + "/api/metrics"},
	} {
		shown, documented := exposed(t, tt.url), documentedMetrics(tt.page)
		for metric, kind := range shown {
			if documented[metric] != kind {
				t.Errorf("%s shows the %s %s; the page says %q", name, kind, metric, documented[metric])
			}
		}
		for metric := range documented {
			// A counter by label shows itself with its first event; nothing failed here.
			if _, ok := shown[metric]; !ok && !slices.Contains([]string{"belay_delegate_link_failures_total"}, metric) {
				t.Errorf("the page has %s, and %s does not show it", metric, name)
			}
		}
	}
}

// exposed are the types of Belay's own metrics at an address.
func exposed(t *testing.T, url string) map[string]string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	types := map[string]string{}
	for line := range strings.Lines(readAll(t, answer)) {
		fields := strings.Fields(line)
		if len(fields) != 4 || fields[1] != "TYPE" {
			continue
		}
		if strings.HasPrefix(fields[2], "belay_") || strings.HasPrefix(fields[2], "io_harness_") {
			types[fields[2]] = fields[3]
		}
	}
	return types
}

// documentedMetrics are the types that a table says.
func documentedMetrics(page string) map[string]string {
	types := map[string]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		name, ok := strings.CutPrefix(strings.TrimSpace(cells[1]), "`")
		if ok && strings.HasSuffix(name, "`") && !strings.Contains(name, "{") {
			types[strings.TrimSuffix(name, "`")] = strings.TrimSpace(cells[2])
		}
	}
	return types
}
