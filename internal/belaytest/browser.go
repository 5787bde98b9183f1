//go:build e2e

package belaytest

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Chromium starts a headless browser, found on PATH, that ends with the test, or after that time. Where there is none the test
// fails: make e2e installs one.
func Chromium(tb testing.TB, within time.Duration) context.Context {
	tb.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		tb.Fatal("no chromium on PATH; scripts/install-chromium.sh installs Debian's package")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("disable-back-forward-cache", true)) // a page that comes from there is not seen to have come
	ctx, cancel := chromedp.NewExecAllocator(tb.Context(), options...)
	tb.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	tb.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, within)
	tb.Cleanup(cancel)
	return ctx
}

// Complaints are what a browser says against pages: scripts that throw, breaches of the content security policy. Call it
// before the first page, and what it gives after the last.
func Complaints(ctx context.Context) func() []string {
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(ctx)
	ctx, stop := context.WithCancel(ctx)
	go func() {
		for m, err := range messages {
			if err != nil || ctx.Err() != nil {
				return
			}
			if text := m.String(); (m.Type == chromedp.ConsoleError || m.IsException()) && !wanted(text) {
				mu.Lock()
				all = append(all, text)
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		stop()
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// wanted are messages of what is no fault: that a page answers 404, and that htmx broke a request off because the page was left.
func wanted(message string) bool {
	for _, text := range []string{"Failed to load resource", "htmx:sendAbort", "htmx:afterRequest"} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}
