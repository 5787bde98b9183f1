package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/secret"
)

func TestValueMasksItselfHoweverItIsPrinted(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1e"
	v := secret.NewValue(canary)
	type holder struct{ Inner secret.Value }
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("saved", slog.Any("value", v), slog.Any("holder", holder{v}))
	encoded, err := json.Marshal(map[string]any{"v": v, "h": holder{v}})
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	printed.WriteString(log.String() + string(encoded))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%08b"} {
		fmt.Fprintf(&printed, verb+verb+verb, v, &v, holder{v})
	}
	hex := fmt.Sprintf("%x", canary)
	if strings.Contains(printed.String(), canary) || strings.Contains(printed.String(), hex) {
		t.Fatalf("the value leaks: %s", &printed)
	}
	if v.Reveal() != canary {
		t.Fatal("Reveal does not give the value")
	}
}

func keyring(t interface{ Fatal(...any) }) *secret.Keyring {
	key, err := secret.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestOpenIsTheInverseOfSeal(t *testing.T) {
	t.Parallel()
	ring := keyring(t)
	rapid.Check(t, func(t *rapid.T) {
		plain, label := rapid.String().Draw(t, "plain"), rapid.String().Draw(t, "label")
		sealed, err := ring.Seal(secret.NewValue(plain), label)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := ring.Open(sealed, label)
		if err != nil || opened.Reveal() != plain {
			t.Fatalf("got %q, %v", opened.Reveal(), err)
		}
		if _, err := ring.Open(sealed, label+"x"); err == nil {
			t.Fatal("opened for another row")
		}
	})
}

func TestAnotherMasterKeyOpensNothing(t *testing.T) {
	t.Parallel()
	sealed, err := keyring(t).Seal(secret.NewValue("canary"), "row")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyring(t).Open(sealed, "row"); err == nil {
		t.Fatal("opened with another key")
	}
}

func TestMasterKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	first, err := secret.LoadMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	second, err := secret.LoadMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	one, err := secret.NewKeyring(first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := secret.NewKeyring(second)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := one.Seal(secret.NewValue("v"), "row")
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := two.Open(sealed, "row"); err != nil || opened.Reveal() != "v" {
		t.Fatalf("a second start does not open what the first sealed: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadMasterKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a key that all may read is taken: %v", err)
	}
}

func TestBrokenMasterKeyIsNotQuoted(t *testing.T) {
	t.Parallel()
	const canary = "canary-not-a-key"
	_, err := secret.NewKeyring(secret.ParseMasterKey(secret.NewValue(canary)))
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Fatalf("got %v", err)
	}
}
