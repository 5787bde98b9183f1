//go:build linux || darwin

package store

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/belay-dev/belay/internal/fault"
)

// lockFile takes a file for this process until unlock, or until the process ends however it does. The file stays: to
// remove it would let two processes hold two files of one name.
func lockFile(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "the lock file of the database cannot be opened; choose a folder that this user may write to")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(file, 20))
		err = errors.Join(err, file.Close())
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		return nil, fault.Because(fault.Conflict, err,
			"another manager (process %s) works with this data folder; stop it, or give this one a folder of its own", strings.TrimSpace(string(holder)))
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	unlock = func() error {
		// Closing alone would not do: a process that is just being started has a copy of the descriptor until its program
		// runs, and the lock would last as long.
		return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}
