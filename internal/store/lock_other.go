//go:build !linux && !darwin

package store

// lockFile does nothing here: SQLite's own locks keep the file whole, and that two managers share a folder is not seen.
func lockFile(string) (unlock func() error, err error) {
	return func() error { return nil }, nil
}
