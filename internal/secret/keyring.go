package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyring seals and opens values: AES-256-GCM with a fresh data key for each, wrapped by the master key (Tink's envelope
// format). It may hold several master keys; the primary one seals, all of them open, so a key can be replaced without
// sealing everything anew.
type Keyring struct{ envelope tink.AEAD }

// MasterKey is a Tink keyset in JSON, the text of the master key's file or variable.
type MasterKey struct{ text Value }

// NewMasterKey makes a random master key.
func NewMasterKey() (MasterKey, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return MasterKey{}, fmt.Errorf("make a master key: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return MasterKey{}, fmt.Errorf("write the master key: %w", err)
	}
	return MasterKey{NewValue(text.String())}, nil
}

// ParseMasterKey reads a master key as it stands in a file or, in base64, in an environment variable.
func ParseMasterKey(text Value) MasterKey {
	if decoded, err := base64.StdEncoding.DecodeString(text.Reveal()); err == nil {
		return MasterKey{NewValue(string(decoded))}
	}
	return MasterKey{text}
}

// LoadMasterKey reads the master key from a file, and makes one when the file is not there. A file that others than its
// owner may read is refused.
func LoadMasterKey(path string) (MasterKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createMasterKey(path)
	}
	if err != nil {
		return MasterKey{}, fmt.Errorf("read the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return MasterKey{}, fmt.Errorf("the master key %s can be read by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return MasterKey{}, fmt.Errorf("read the master key: %w", err)
	}
	return MasterKey{NewValue(string(text))}, nil
}

// createMasterKey writes the file under another name first, so that a crash leaves a whole key or none.
func createMasterKey(path string) (MasterKey, error) {
	key, err := NewMasterKey()
	if err != nil {
		return MasterKey{}, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return MasterKey{}, fmt.Errorf("make the folder of the master key: %w", err)
	}
	file, err := os.CreateTemp(dir, ".master-key-*") // CreateTemp gives mode 0600
	if err != nil {
		return MasterKey{}, fmt.Errorf("write the master key: %w", err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone after the link below, and harmless otherwise
	_, err = file.WriteString(key.text.Reveal())
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return MasterKey{}, fmt.Errorf("write the master key: %w", err)
	}
	// A link fails when another process made the key meanwhile; then that one is the key.
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		return LoadMasterKey(path)
	} else if err != nil {
		return MasterKey{}, fmt.Errorf("write the master key: %w", err)
	}
	return key, nil
}

// NewKeyring makes a keyring of a master key.
func NewKeyring(key MasterKey) (*Keyring, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewBufferString(key.text.Reveal())))
	if err != nil {
		return nil, errors.New("the master key is not a keyset of Tink in JSON; restore the file that `belay` made") // the cause could quote the key
	}
	master, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("the master key cannot encrypt; restore the file that `belay` made")
	}
	envelope := aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), master)
	if envelope == nil {
		return nil, errors.New("the master key cannot wrap data keys")
	}
	return &Keyring{envelope}, nil
}

// Seal encrypts a value for the row that label names, as base64 text.
func (k *Keyring) Seal(v Value, label string) (string, error) {
	sealed, err := k.envelope.Encrypt([]byte(v.Reveal()), []byte(label))
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", label, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal made for the same label.
func (k *Keyring) Open(sealed, label string) (Value, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return Value{}, fmt.Errorf("open %s: %w", label, err)
	}
	plain, err := k.envelope.Decrypt(raw, []byte(label))
	if err != nil {
		return Value{}, fmt.Errorf("open %s: %w", label, err)
	}
	return NewValue(string(plain)), nil
}
