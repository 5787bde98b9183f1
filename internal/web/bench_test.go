package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
)

// BenchmarkPages measures what a page takes on the server, with 10,000 connectors of which every tenth fails, and 1,000 delegates. It reports
// the 99th percentile of each.
func BenchmarkPages(b *testing.B) {
	p := serve(b)
	for i := range 10_000 {
		c := p.add(b, connector.Connector{ID: fmt.Sprintf("connector_%05d", i), Selectors: []string{"eks", fmt.Sprintf("team-%d", i%100)}})
		switch {
		case i%10 == 0:
			p.test(b, c, p.breaks)
		case i%10 < 8:
			p.test(b, c, p.holds)
		}
	}
	for i := range 1000 {
		p.Delegate(b, delegate.Delegate{Name: fmt.Sprintf("delegate-%04d", i), HostName: "host", Tags: []string{"eks", fmt.Sprintf("team-%d", i%90)}})
	}
	visitor := p.signIn(b, p.Admin)
	one := string(p.Delegate(b, delegate.Delegate{Name: "none-asks", HostName: "host", Tags: []string{"eks"}}).ID)
	for name, path := range map[string]string{
		"overview": "/ui/", "list": "/ui/connectors", "search": "/ui/connectors?search=or_NNNN", // another one each time
		"search of many": "/ui/connectors?search=connector_0",
		"last page":      "/ui/connectors?page=400",
		"connector":      "/ui/connectors/connector_00010", "catalogue": "/ui/permissions", "audit": "/ui/audit", "settings": "/ui/settings", "keys": "/ui/settings/keys", "secrets": "/ui/secrets",
		"wizard": "/ui/connectors/connector_00010/edit/credentials", "last step": "/ui/connectors/connector_00010/edit/test",
		"builder": "/ui/permissions/builder?capability=s3-read-write&capability=ecs&capability=lambda&buckets=artifacts&simulate=built", "capability": "/ui/permissions/capabilities/serverless-framework",
		"trust": "/ui/permissions/trust?account=444455556666", "evidence": "/ui/permissions/evidence", "documentation": "/ui/docs/errors/BLY-2104",
		"decision":  "/ui/permissions/simulate?ask=1&capability=s3-read-write&buckets=artifacts&simulate=built&principal=arn:aws:iam::111122223333:role/x&action=s3:ListBucket&resource=arn:aws:s3:::other",
		"delegates": "/ui/delegates", "delegate": "/ui/delegates/" + one, "asked": "/ui/connectors/connector_00010/delegates", "install": "/ui/delegates/install",
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				asked := strings.Replace(path, "NNNN", fmt.Sprintf("%04d", i%1000), 1)
				began := time.Now()
				if got := visitor.get(asked); got.status != http.StatusOK {
					b.Fatal(got.status)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
