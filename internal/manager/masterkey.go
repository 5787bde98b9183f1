package manager

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/secret"
)

// sqlite is the database's file where no other database is named.
func (c Config) sqlite() string { return filepath.Join(c.Data, "belay.db") }

// lost is what there is to do about a master key that is not the right one.
const lost = "Restore the right one from your backup, as the file %s or in BELAY_MASTER_KEY. " +
	"If it is lost for good, start once with --master-key-lost; every secret must then be set anew, and delegates need new tokens"

// openKeyring finds the master key, and makes one at the first start. Beside a database it makes none: that would look
// like a start that went well, and what the database holds would not open.
func openKeyring(c Config) (*secret.Keyring, error) {
	path := filepath.Join(c.Data, "master.key")
	key, err := secret.ParseMasterKey(c.MasterKey), error(nil)
	if c.MasterKey.IsZero() {
		if c.Database == "" && !c.KeyLost && missing(path) && !missing(c.sqlite()) {
			return nil, fault.New(fault.Invalid, "the master key of the database %s is not there. "+lost, c.sqlite(), path)
		}
		key, err = secret.LoadMasterKey(path)
	}
	if err != nil {
		return nil, err
	}
	return secret.NewKeyring(key)
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// checkKey refuses a master key that does not open what the database holds. It knows by a text of its own, which it
// seals at every start, so that a primary key that was added later can stand alone one day.
func (m *Manager) checkKey(ctx context.Context, keyring *secret.Keyring) error {
	const fact, text = "master_key_check", "belay"
	sealed, err := m.Store.Meta(ctx, fact)
	if err == nil && !m.config.KeyLost {
		if _, err := keyring.Open(sealed, fact); err != nil {
			return fault.Because(fault.Invalid, err, "the master key is another than the one that sealed what the database holds. "+lost, filepath.Join(m.config.Data, "master.key"))
		}
	}
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if sealed, err = keyring.Seal(secret.NewValue(text), fact); err != nil {
		return err
	}
	return m.Store.SetMeta(ctx, fact, sealed)
}
