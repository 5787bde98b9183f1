package manager_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/secret"
)

// start starts a manager and ends it again.
func start(t *testing.T, c manager.Config) error {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	m, err := manager.New(t.Context(), c)
	if err != nil {
		return err
	}
	return m.Close()
}

// TestMisuse: a mistake of the operator is told as one, and nothing is begun.
func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config manager.Config
		want   string
	}{
		"an address that is none":                {manager.Config{Listen: "nonsense"}, `--listen "nonsense" is not host:port`},
		"a port that cannot be":                  {manager.Config{Listen: "127.0.0.1:99999"}, "no valid port"},
		"plain HTTP for all":                     {manager.Config{Listen: "0.0.0.0:0"}, "keys would travel in plain"},
		"a certificate without its key":          {manager.Config{TLSCert: "cert.pem"}, "both --tls-cert and --tls-key"},
		"an authority without a certificate":     {manager.Config{ClientCA: "ca.pem"}, "both --tls-cert and --tls-key"},
		"a certificate that is not there":        {manager.Config{TLSCert: "/nowhere/cert.pem", TLSKey: "/nowhere/key.pem"}, "/nowhere/cert.pem"},
		"a public address without a scheme":      {manager.Config{PublicURL: "belay.example.com"}, `--public-url "belay.example.com" is not`},
		"a public address that is only a scheme": {manager.Config{PublicURL: "https://"}, "--public-url"},
		"a database of another kind":             {manager.Config{Database: "mysql://u:hidden-word@h/d"}, "does not begin with postgres://"},
		"a database with a typing error":         {manager.Config{Database: "postgress://u:hidden-word@h/d"}, "does not begin with postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.config.Data = filepath.Join(t.TempDir(), "data")
			err := start(t, tt.config)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden-word") {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(tt.config.Data); !errors.Is(err, os.ErrNotExist) {
				t.Error("it has begun to work with the data folder")
			}
		})
	}
}

// TestMasterKey: a manager does not start with another master key than the one that sealed what its database holds,
// unless it is told that the right one is lost.
func TestMasterKey(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	if err := start(t, manager.Config{Data: other}); err != nil {
		t.Fatal(err)
	}
	otherKey, err := os.ReadFile(filepath.Join(other, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, c *manager.Config, path string)
		want   string
	}{
		"the right one":              {func(*testing.T, *manager.Config, string) {}, ""},
		"none":                       {func(t *testing.T, _ *manager.Config, path string) { t.Helper(); remove(t, path) }, "is not there"},
		"another":                    {func(t *testing.T, _ *manager.Config, path string) { t.Helper(); write(t, path, otherKey) }, "is another than"},
		"another in the environment": {func(_ *testing.T, c *manager.Config, _ string) { c.MasterKey = secret.NewValue(string(otherKey)) }, "is another than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := manager.Config{Data: filepath.Join(t.TempDir(), "data")}
			path := filepath.Join(c.Data, "master.key")
			for range 2 { // a second start with the same key is the usual thing
				if err := start(t, c); err != nil {
					t.Fatal(err)
				}
			}
			tt.change(t, &c, path)
			err := start(t, c)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v", err)
			}
			c.KeyLost = true
			if err := start(t, c); err != nil {
				t.Fatalf("the key is lost: %v", err)
			}
			c.KeyLost = false
			if err := start(t, c); err != nil {
				t.Errorf("the start after that: %v", err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedDatabase: a file that is no database, or no longer one, is named, with what to do.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string){
		"another kind of file": func(t *testing.T, path string) {
			t.Helper()
			write(t, path, bytes.Repeat([]byte("no database "), 1000))
		},
		"a page in its middle": func(t *testing.T, path string) {
			t.Helper()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(text[4096:], bytes.Repeat([]byte{0xA5}, len(text)-4096))
			write(t, path, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := manager.Config{Data: filepath.Join(t.TempDir(), "data")}
			if err := start(t, c); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(c.Data, "belay.db")
			damage(t, path)
			if err := start(t, c); err == nil || !strings.Contains(err.Error(), "the database "+path+" is damaged") || !strings.Contains(err.Error(), "restore it from a backup") {
				t.Errorf("%v", err)
			}
		})
	}
}
