package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// profiles is the file with managers and keys: $XDG_CONFIG_HOME/belay/config.yaml, for its owner only.
type profiles struct {
	Current  string              `yaml:"current"`
	Profiles map[string]*profile `yaml:"profiles"`
}

// profile is one manager and a key for it.
type profile struct {
	Endpoint string `yaml:"endpoint"`
	Account  string `yaml:"account,omitempty"`
	APIKey   string `yaml:"apiKey"`
	CACert   string `yaml:"caCert,omitempty"` // as --ca-cert
}

// folder is where the user's files of a kind live: the variable of the XDG base directory specification, or its default.
func folder(variable, underHome string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "belay"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", misusef("this user has no home folder; set %s", variable)
	}
	return filepath.Join(home, underHome, "belay"), nil
}

// configFile is where the profiles are.
func (a *app) configFile() (string, error) {
	if a.Config != "" {
		return a.Config, nil
	}
	dir, err := folder("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "config.yaml"), nil
}

// profile is the one in use, nil when there is no file and none was asked for.
func (a *app) profile() (*profile, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, err
	}
	all, err := readProfiles(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.Profile == "" && a.Config == "":
		return nil, nil //nolint:nilnil // no profile is not an error until one is needed
	case errors.Is(err, fs.ErrNotExist):
		return nil, misusef("there is no file %s with profiles", path)
	case err != nil:
		return nil, err
	}
	name := a.Profile
	if name == "" {
		name = all.Current
	}
	p := all.Profiles[name]
	switch {
	case p == nil && name == "":
		return nil, nil //nolint:nilnil // as above
	case p == nil:
		return nil, misusef("%s holds no profile %q", path, name)
	}
	return p, nil
}

// readProfiles refuses a file that others may read, since it holds keys.
func readProfiles(path string) (profiles, error) {
	var all profiles
	about, err := os.Stat(path)
	if err != nil {
		return all, err
	}
	if mode := about.Mode().Perm(); mode&0o077 != 0 {
		return all, misusef("%s holds an API key, and others may read it (mode %04o). Run: chmod 600 %s", path, mode, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the path is the user's
	if err != nil {
		return all, err
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		return all, misusef("%s is not a file with profiles; move it away, and `belay up` makes a new one", path) // the cause could quote a key
	}
	return all, nil
}

// localProfile is the one that `belay up` writes.
const localProfile = "local"

// saveProfile writes the profile of `belay up`, keeps the others, and says what it did about the current one.
func saveProfile(path string, p profile) (note string, err error) {
	all, err := readProfiles(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if all.Profiles == nil {
		all.Profiles = map[string]*profile{}
	}
	if before := all.Profiles[localProfile]; before != nil && before.Account != p.Account {
		// Another manager of this machine: its key was shown once, so it is kept.
		kept := localProfile + "-" + before.Account[:min(len(before.Account), 6)]
		all.Profiles[kept] = before
		note = fmt.Sprintf("The profile %q belonged to the manager at %s; it is now called %q.", localProfile, before.Endpoint, kept)
	}
	all.Profiles[localProfile] = &p
	switch all.Current {
	case localProfile:
	case "":
		all.Current = localProfile
	default:
		note = fmt.Sprintf("Your current profile stays %q; add --profile %s to commands for this manager.", all.Current, localProfile)
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return note, writeFile(path, text)
}

// writeFile replaces a file at once, for its owner only.
func writeFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".belay-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
