package web_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
)

// open opens a stream and gives its lines.
func (b *browser) open(ctx context.Context, path string) (answer, *bufio.Reader) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.pages.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	got, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = got.Body.Close() })
	return answer{status: got.StatusCode, header: got.Header}, bufio.NewReader(got.Body)
}

// until reads lines until one has a word.
func until(t *testing.T, lines *bufio.Reader, word string) string {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before %q: %v", word, err)
		}
		if strings.Contains(line, word) {
			return line
		}
	}
}

// listStream is that of the list of delegates.
const listStream = "/ui/delegates/events"

func TestDelegatesLive(t *testing.T) {
	t.Parallel()
	p := serve(t)
	d := p.Delegate(t, delegate.Delegate{Name: "eks-1", HostName: "h1"})
	b := p.signIn(t, p.Viewer)
	got, lines := b.open(t.Context(), listStream)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	until(t, lines, "retry:")
	began := time.Now()
	if _, err := p.Registry.Seen(p.Account, d.ID, &delegate.Report{Busy: "CPU at 93 %, threshold 80 %"}); err != nil {
		t.Fatal(err)
	}
	row := until(t, lines, "data:")
	t.Logf("a change reached the page in %s", time.Since(began).Round(time.Millisecond))
	for _, want := range []string{`"id":"d-` + string(d.ID) + `"`, "At its limit", "CPU at 93 %"} {
		if !strings.Contains(row, want) {
			t.Errorf("%q is not in %s", want, row)
		}
	}
	p.Delegate(t, delegate.Delegate{Name: "eks-2", HostName: "h2"})
	until(t, lines, "event: list")
	// The manager ends: so does the stream.
	p.server.Stop()
	if _, err := lines.ReadString(0); err == nil {
		t.Error("the stream goes on")
	}
	if again, _ := b.open(t.Context(), listStream); again.status != http.StatusServiceUnavailable {
		t.Errorf("another stream: %d", again.status)
	}
}

func TestStreamsOfNobody(t *testing.T) {
	t.Parallel()
	p := serve(t)
	if got, _ := p.browser(t).open(t.Context(), listStream); got.status != http.StatusNoContent {
		t.Errorf("without a session: %d", got.status)
	}
}
