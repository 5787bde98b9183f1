//go:build e2e

package web_test

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// pictured is one address of every kind of page, by the name of its picture.
func pictured() map[string]string {
	const connector, in = "/ui/connectors/payments_prod", "?at=org1/prj1"
	return map[string]string{
		"overview": "/ui/", "scope": "/ui/scope", "missing": "/ui/nowhere",
		"connectors": "/ui/connectors", "connector": connector + in, "connector-preflight": connector + "/preflight" + in, "connector-settings": connector + "/settings" + in,
		"connector-used": connector + "/used" + in, "connector-audit": connector + "/audit" + in, "connector-yaml": connector + "/yaml" + in,
		"connector-delete": connector + "/delete" + in, "connector-asked": "/ui/connectors/risk_batch/delegates", "connector-cluster": "/ui/connectors/shop_cluster",
		"new": "/ui/new/connector", "edit-credentials": connector + "/edit/credentials" + in, "edit-access": connector + "/edit/access" + in,
		"edit-connectivity": connector + "/edit/connectivity" + in, "edit-test": connector + "/edit/test" + in, "edit-yaml": connector + "/edit/yaml" + in,
		"delegates": "/ui/delegates", "delegate": "/ui/delegates/eks-prod-1", "tokens": "/ui/delegates/tokens", "install": "/ui/delegates/install?kind=kubernetes&name=eks-prod&tags=eks,prod",
		"catalogue": "/ui/permissions", "capability": "/ui/permissions/capabilities/lambda",
		"builder":  "/ui/permissions/builder?capability=s3-read-write&capability=ecr-pull&buckets=payments-artifacts",
		"decision": "/ui/permissions/simulate?ask=1&capability=s3-read-write&buckets=artifacts&simulate=built&principal=arn:aws:iam::111122223333:role/x&action=s3:ListBucket&resource=arn:aws:s3:::other",
		"lint":     "/ui/permissions/lint", "trust": "/ui/permissions/trust?for=irsa&make=1", "trust-explain": "/ui/permissions/trust/explain?connector=org1/prj1/payments_prod",
		"evidence": "/ui/permissions/evidence?connector=org1/prj1/payments_prod", "error": "/ui/docs/errors/BLY-2105",
		"secrets": "/ui/secrets", "secret": "/ui/secrets/deploy_key", "new-secret": "/ui/new/secret", "audit": "/ui/audit",
		"settings-organizations": "/ui/settings/organizations", "settings-organization": "/ui/settings/organizations/org1", "settings-delete": "/ui/settings/organizations/org1/delete",
		"settings-keys": "/ui/settings/keys", "new-key": "/ui/new/key", "settings-roles": "/ui/settings/roles", "settings-flags": "/ui/settings/flags",
		"settings-oidc": "/ui/settings/oidc", "settings-about": "/ui/settings/about",
	}
}

// Screenshots of every page, light and dark, on a desktop and on a phone, are written to the folder that SCREENSHOTS names;
// make screenshots does. It empties the folder of pictures first, so that none stays of a page that is gone.
func TestE2EScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("SCREENSHOTS names no folder")
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	p := serve(t)
	p.populate(t)
	ctx := chromium(t)
	shoot := func(name, path string) {
		for _, theme := range []string{"light", "dark"} {
			for form, width := range map[string]int64{"": 1280, "-phone": 390} {
				drive(ctx, t, chromedp.EmulateViewport(width, 820), chromedp.Navigate(p.url+path))
				ask(ctx, t, chromedp.Evaluate[string](`document.documentElement.dataset.theme = "`+theme+`"`))
				picture, err := fewColours(ask(ctx, t, chromedp.CaptureScreenshot()))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, name+"-"+theme+form+".png"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	shoot("signin", "/ui/signin")
	p.enter(ctx, t, p.Admin)
	pages := pictured()
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		shoot(name, pages[name])
	}
}

// fewColours makes a picture of a page a third as large: it keeps the 128 colours that are seen most, and paints what has
// another in the nearest of them.
func fewColours(text []byte) ([]byte, error) {
	const kept = 128
	full, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the screenshot: %w", err)
	}
	area := full.Bounds()
	pixels := image.NewRGBA(area)
	draw.Draw(pixels, area, full, area.Min, draw.Src)
	seen := map[color.RGBA]int{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			seen[pixels.RGBAAt(x, y)]++
		}
	}
	byCount := slices.SortedFunc(maps.Keys(seen), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(seen[b], seen[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range byCount[:min(kept, len(byCount))] {
		palette = append(palette, c)
	}
	place := map[color.RGBA]uint8{}
	for c := range seen {
		place[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			few.SetColorIndex(x, y, place[pixels.RGBAAt(x, y)])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&out, few)
	return out.Bytes(), err
}
