package upgrader

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/fault"
)

// maxSettings is the most that is read of a settings file, in bytes.
const maxSettings = 64 << 10

// Settings are what an upgrader is told by its config.yaml, whose words are those of upgraders before it.
type Settings struct {
	DryRun         bool
	Kind           string // of the workload: Deployment, unless it is said, or StatefulSet
	Workload       string // its name
	Namespace      string
	Container      string // "delegate" unless it is said
	RegistryMirror string // registry, with a path or without, that takes the place of the image's own; empty: none
	Warnings       []string

	variables map[string]string // as the delegate's own configuration calls them
}

// file is config.yaml.
type file struct {
	Mode              string `yaml:"mode"`
	DryRun            bool   `yaml:"dryRun"`
	WorkloadKind      string `yaml:"workloadKind"` // our own word: upgraders before this one knew Deployments only
	WorkloadName      string `yaml:"workloadName"`
	Namespace         string `yaml:"namespace"`
	ContainerName     string `yaml:"containerName"`
	RegistryMirror    string `yaml:"registryMirror"`
	ClientCertificate string `yaml:"clientCertificateFilePath"`
	ClientKey         string `yaml:"clientCertificateKeyFilePath"`
	ProxyHost         string `yaml:"proxyHost"`
	ProxyPort         port   `yaml:"proxyPort"`
	ProxyScheme       string `yaml:"proxyScheme"`
	ProxyUser         string `yaml:"proxyUser"`
	NoProxy           string `yaml:"noProxy"`
	Delegate          inner  `yaml:"delegateConfig"`
}

// port is a number that files also write as a text.
type port string

// UnmarshalYAML takes both.
func (p *port) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: proxyPort must be a number", n.Line)
	}
	if n.Tag != "!!null" {
		*p = port(n.Value)
	}
	return nil
}

type inner struct {
	AccountID   string `yaml:"accountId"`
	ManagerHost string `yaml:"managerHost"`
}

var (
	kubeName = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)
	registry = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?$`)
)

// Read reads settings. The error is Invalid and names every problem; keys that are not known become warnings, since files
// for other upgraders have some.
func Read(r io.Reader) (Settings, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSettings+1))
	switch {
	case err != nil:
		return Settings{}, fault.Because(fault.Invalid, err, "the settings cannot be read: %v", err)
	case len(text) > maxSettings:
		return Settings{}, fault.New(fault.Invalid, "the settings are larger than %d KiB", maxSettings>>10)
	}
	f, unknown, err := decode(text)
	if err != nil {
		return Settings{}, err
	}
	var p fault.Problems
	if !strings.EqualFold(f.Mode, "Delegate") {
		p.Add("mode", fmt.Sprintf("is %.40q; it must be Delegate", f.Mode))
	}
	f.ContainerName, f.WorkloadKind = cmp.Or(f.ContainerName, "delegate"), cmp.Or(f.WorkloadKind, "Deployment")
	if resource(f.WorkloadKind) == "" {
		p.Add("workloadKind", fmt.Sprintf("is %.40q; it must be Deployment or StatefulSet", f.WorkloadKind))
	}
	for _, one := range []struct{ path, text string }{{"workloadName", f.WorkloadName}, {"namespace", f.Namespace}, {"containerName", f.ContainerName}} {
		if !kubeName.MatchString(one.text) || len(one.text) > 253 {
			p.Add(one.path, fmt.Sprintf("is %.80q; it must be the name of something in Kubernetes", one.text))
		}
	}
	if f.RegistryMirror != "" && !registry.MatchString(f.RegistryMirror) {
		p.Add("registryMirror", fmt.Sprintf("is %.80q; it must be a registry, such as mirror.example.com/delegates", f.RegistryMirror))
	}
	if f.Delegate.AccountID == "" {
		p.Add("delegateConfig.accountId", "is required")
	}
	if f.Delegate.ManagerHost == "" {
		p.Add("delegateConfig.managerHost", "is required: the address of the manager")
	}
	s := Settings{DryRun: f.DryRun, Kind: f.WorkloadKind, Workload: f.WorkloadName, Namespace: f.Namespace, Container: f.ContainerName, RegistryMirror: f.RegistryMirror}
	if unknown != "" {
		s.Warnings = append(s.Warnings, unknown)
	}
	s.variables = map[string]string{
		"ACCOUNT_ID": f.Delegate.AccountID, "MANAGER_HOST_AND_PORT": f.Delegate.ManagerHost, "DELEGATE_NAME": "upgrader",
		"DELEGATE_CLIENT_CERTIFICATE_PATH": f.ClientCertificate, "DELEGATE_CLIENT_CERTIFICATE_KEY_PATH": f.ClientKey,
		"PROXY_HOST": f.ProxyHost, "PROXY_PORT": string(f.ProxyPort), "PROXY_SCHEME": f.ProxyScheme, "PROXY_USER": f.ProxyUser, "NO_PROXY": f.NoProxy,
	}
	return s, p.Err()
}

// decode reads the file strictly first, and again without what it does not know.
func decode(text []byte) (f file, unknown string, err error) {
	defer func() {
		// The library gives up with a panic on a few odd inputs. They are the input's fault, not the program's.
		if r := recover(); r != nil {
			err = fault.New(fault.Invalid, "the settings are not YAML that can be read")
		}
	}()
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	first := strict.Decode(&f)
	if first == nil || errors.Is(first, io.EOF) {
		return f, "", nil
	}
	f = file{}
	if err := yaml.Unmarshal(text, &f); err != nil {
		return f, "", fault.New(fault.Invalid, "the settings cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return f, "has no effect: " + strings.Join(strings.Fields(strings.TrimPrefix(first.Error(), "yaml: unmarshal errors:")), " "), nil
}

// Lookup is the environment as the delegate's own configuration reads it: what the settings say, the upgrader's token as the
// delegate's, and the rest as it is.
func (s Settings) Lookup(environment func(name string) string) func(name string) string {
	return func(name string) string {
		if value := s.variables[name]; value != "" {
			return value
		}
		if name == "DELEGATE_TOKEN" {
			if value := environment("UPGRADER_TOKEN"); value != "" {
				return value
			}
		}
		if name == "INIT_SCRIPT" || name == "DELEGATE_HTTP_PORT" {
			return ""
		}
		return environment(name)
	}
}
