package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxState bounds the file that is read at the start.
const maxState = 256 << 20

// load reads the state file, or makes a blank state where there is none.
func (s *Server) load() (*state, error) {
	if s.config.StateFile == "" {
		return blank(), nil
	}
	about, err := os.Stat(s.config.StateFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return blank(), nil
	case err != nil:
		return nil, fmt.Errorf("read the sandbox's state: %w", err)
	case about.Size() > maxState:
		return nil, fmt.Errorf("the sandbox's state %s has %d bytes; more than %d are not read", s.config.StateFile, about.Size(), maxState)
	}
	raw, err := os.ReadFile(s.config.StateFile)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's state: %w", err)
	}
	st := blank()
	if err := json.Unmarshal(raw, st); err != nil {
		return nil, fmt.Errorf("the sandbox's state %s cannot be read; move it away to begin anew: %w", s.config.StateFile, err)
	}
	if len(st.Seal) < 32 {
		return nil, fmt.Errorf("the sandbox's state %s has no key for its sessions; move it away to begin anew", s.config.StateFile)
	}
	return st, nil
}

// save writes the state beside the file and puts it in its place, so that a crash leaves the old one or the new one.
func (s *Server) save(st *state) (err error) {
	if s.config.StateFile == "" {
		return nil
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("write the sandbox's state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.config.StateFile), filepath.Base(s.config.StateFile)+".*") // mode 0600: it holds keys
	if err != nil {
		return fmt.Errorf("write the sandbox's state: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the sandbox's state: %w", err)
	}
	if err := os.Rename(f.Name(), s.config.StateFile); err != nil {
		return fmt.Errorf("write the sandbox's state: %w", err)
	}
	return nil
}
