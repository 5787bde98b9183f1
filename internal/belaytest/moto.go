package belaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// MotoServer is a running moto_server: AWS services with their state in memory.
//
// A green test proves nothing about what moto fakes: it never checks token expiry, the trust policy of a role in
// another account, a web identity token, or a condition in an identity policy.
type MotoServer struct {
	URL string // http://127.0.0.1:port, an endpoint for every service

	process *process // kept: once collected, its lifeline closes and the server ends
}

// Moto starts a moto_server of the test's own, for a test that changes its state or its enforcement.
func Moto(tb testing.TB) *MotoServer {
	tb.Helper()
	m, err := startMoto()
	requireMoto(tb, err)
	tb.Cleanup(func() {
		if err := m.process.stop(); err != nil {
			tb.Errorf("stop moto_server: %v", err)
		}
	})
	return m
}

// SharedMoto is one moto_server for the whole test binary, for tests that leave its state alone. It ends with the test
// binary.
func SharedMoto(tb testing.TB) *MotoServer {
	tb.Helper()
	m, err := sharedMoto()
	requireMoto(tb, err)
	return m
}

var sharedMoto = sync.OnceValues(startMoto) //nolint:gochecknoglobals // one a test binary

// requireMoto tells a moto that is not installed from one that does not start.
func requireMoto(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		Require(tb, "moto_server", err)
	case err != nil:
		tb.Fatal(err)
	default:
		Require(tb, strings.TrimSpace("moto_server "+motoVersion()), nil)
	}
}

// motoVersion asks the Python beside moto_server, which cannot tell its own version.
var motoVersion = sync.OnceValue(func() string { //nolint:gochecknoglobals // it costs a process, so it is asked once
	path, err := program("moto_server")
	if err != nil || !reporting() {
		return ""
	}
	return versionOf(context.Background(), filepath.Join(filepath.Dir(path), "python3"),
		"-c", `from importlib.metadata import version; print(version("moto"))`)
})

func startMoto() (*MotoServer, error) {
	path, err := program("moto_server")
	if err != nil {
		return nil, err
	}
	folder, err := folderFor("moto", nil)
	if err != nil {
		return nil, err
	}
	p, err := start(context.Background(), spec{
		name: "moto_server", signal: "KILL", folder: folder, env: cleanEnv(folder),
		args: func(port int) []string { return []string{path, "-H", "127.0.0.1", "-p", strconv.Itoa(port)} },
		ready: func(ctx context.Context, port int) error {
			status, text, err := call(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/moto-api/data.json", port), "")
			return errors.Join(err, wantOK(status, text))
		},
	})
	if err != nil {
		return nil, err
	}
	return &MotoServer{URL: "http://" + p.address(), process: p}, nil
}

// Enforce makes moto check signatures and IAM policies from the next request on.
func (m *MotoServer) Enforce(tb testing.TB) {
	tb.Helper()
	m.post(tb, "/moto-api/reset-auth", "0")
}

// NoEnforce makes moto accept any key again, as it does at its start.
func (m *MotoServer) NoEnforce(tb testing.TB) {
	tb.Helper()
	m.post(tb, "/moto-api/reset-auth", "inf")
}

// Reset empties every service.
func (m *MotoServer) Reset(tb testing.TB) {
	tb.Helper()
	m.post(tb, "/moto-api/reset", "")
}

func (m *MotoServer) post(tb testing.TB, path, body string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), callTimeout) // cleanups may call this too
	defer cancel()
	status, text, err := call(ctx, http.MethodPost, m.URL+path, body)
	if err = errors.Join(err, wantOK(status, text)); err != nil {
		tb.Fatalf("tell moto: POST %s: %v", path, err)
	}
}

func wantOK(status int, text string) error {
	if status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("status %d: %s", status, text)
}

// call makes one request to a counterpart. It keeps no connection, so that a test which looks for leaked goroutines
// finds none. The body goes as plain text: moto answers a form with 500.
func call(ctx context.Context, method, url, body string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "text/plain")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	all, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return 0, "", err
	}
	return res.StatusCode, string(all), nil
}
