package agent

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/secret"
)

const (
	// DefaultCapacity is how many tasks a delegate does at once when nothing says otherwise.
	DefaultCapacity = 400
	// DefaultDrain leaves a margin inside the 600 s that install forms give a delegate to stop.
	DefaultDrain = 580 * time.Second

	defaultPort = 3460
)

// Levels of LOGGING_LEVEL that slog has no name for.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelOff   = slog.Level(1 << 20)
)

// Config is how a delegate runs. Account, Token, Manager and Name are needed; the zero value of every other field works.
type Config struct {
	Account string
	Token   secret.Value // 32 hex digits, or base64 of them
	Manager *url.URL

	Name        string
	HostName    string // empty: the machine's
	Type        string // KUBERNETES, HELM_DELEGATE, DOCKER
	Namespace   string
	Description string
	Tags        []string

	// InitScript is run by bash before the delegate registers; when it fails, the delegate does not start.
	InitScript string
	// Precheck asks the manager for the account before the delegate registers, and ends the start when that fails.
	Precheck bool
	// CPUThreshold and MemoryThreshold, in percent, are above which the delegate takes no new task; 0 means none.
	CPUThreshold    int
	MemoryThreshold int
	// Capacity is how many tasks are done at once; 0 means DefaultCapacity.
	Capacity int
	// HTTPAddr is where /api/health and /api/metrics are served; empty means nowhere.
	HTTPAddr string
	LogLevel slog.Level
	// Drain is how long running tasks may go on after the delegate was told to stop; 0 means DefaultDrain, less than 0
	// ends them at once.
	Drain time.Duration

	Proxy Proxy
	// Roots are the authorities that may vouch for the manager; nil means the system's.
	Roots *x509.CertPool
	// ClientCert and ClientKey are the files of the certificate that the delegate shows to the manager; empty: none.
	// They are read at each connection, so they may be renewed while the delegate runs.
	ClientCert string
	ClientKey  string

	// Warnings are sentences about settings that have no effect; they are logged at start.
	Warnings []string
}

// Files that install forms mount without naming them in a variable.
const (
	mountedCert = "/etc/mtls/client.crt"
	mountedKey  = "/etc/mtls/client.key"
	mountedCAs  = "/opt/harness-delegate/ca-bundle"
)

// ConfigFromEnv reads the environment of a delegate, with the names that install forms have always set and a few of
// Belay's own. lookup gives a variable's value, "" when it is absent: os.Getenv. The error names every problem, each with
// its variable.
func ConfigFromEnv(lookup func(name string) string) (Config, error) {
	e := env{lookup: lookup}
	c := Config{
		Account: e.text("ACCOUNT_ID"), Token: e.token(), Manager: e.manager(),
		Name: e.text("DELEGATE_NAME"), Type: e.text("DELEGATE_TYPE"), Namespace: e.text("DELEGATE_NAMESPACE"),
		Description: e.text("DELEGATE_DESCRIPTION"), Tags: list(e.text("DELEGATE_TAGS")),
		InitScript: lookup("INIT_SCRIPT"), Precheck: e.yes("PRECHECK_CONN"),
		CPUThreshold: e.percent("DELEGATE_CPU_THRESHOLD"), MemoryThreshold: e.percent("DELEGATE_MEMORY_THRESHOLD"),
		Capacity: e.number("DELEGATE_TASK_CAPACITY", 1, 10_000, DefaultCapacity),
		HTTPAddr: e.httpAddr(), LogLevel: e.logLevel(), Drain: e.drain(),
	}
	if c.Account == "" {
		e.problems.Add("ACCOUNT_ID", "is required: the account that the delegate belongs to")
	}
	if host, err := os.Hostname(); err == nil {
		c.HostName = host
	}
	if c.Name == "" {
		c.Name = c.HostName
	}
	if c.Name == "" {
		e.problems.Add("DELEGATE_NAME", "is required, since the machine has no host name to take its place")
	}
	c.Proxy = e.proxy(c.Manager)
	c.Roots = e.roots()
	c.ClientCert, c.ClientKey = e.clientCertificate()
	if e.yes("TRUST_ALL_CERTIFICATES") {
		e.problems.Add("TRUST_ALL_CERTIFICATES", "is not honoured, since anybody in between could read what the manager sends; "+
			"name the file of your certificate authority in BELAY_CA_FILE instead")
	}
	if e.text("POLL_FOR_TASKS") == "false" {
		e.warn("POLL_FOR_TASKS=false has no effect: this delegate always polls")
	}
	c.Warnings = e.warnings
	return c, e.problems.Err()
}

// env reads variables and collects what is wrong with them.
type env struct {
	lookup   func(string) string
	problems fault.Problems
	warnings []string
}

func (e *env) text(name string) string { return strings.TrimSpace(e.lookup(name)) }

func (e *env) warn(sentence string) { e.warnings = append(e.warnings, sentence) }

func (e *env) yes(name string) bool {
	text := e.text(name)
	if text == "" {
		return false
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		e.problems.Add(name, fmt.Sprintf("is %q; it must be true or false", text))
	}
	return yes
}

func (e *env) number(name string, least, most, otherwise int) int {
	text := e.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.problems.Add(name, fmt.Sprintf("is %q; it must be a whole number from %d to %d", text, least, most))
		return otherwise
	}
	return n
}

func (e *env) percent(name string) int {
	text := strings.TrimSpace(strings.TrimSuffix(e.text(name), "%"))
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 1 || n > 100 {
		e.problems.Add(name, fmt.Sprintf("is %q; it must be a percentage from 1 to 100", text))
		return 0
	}
	return int(n)
}

func (e *env) token() secret.Value {
	const name, oldName = "DELEGATE_TOKEN", "ACCOUNT_SECRET"
	from := name
	value := secret.NewValue(e.text(name))
	if value.IsZero() {
		from, value = oldName, secret.NewValue(e.text(oldName))
	}
	if value.IsZero() {
		e.problems.Add(name, "is required: the delegate token of the account, 32 hex digits or base64 of them")
		return value
	}
	if _, err := delegate.ParseToken(value); err != nil {
		e.problems.Add(from, "is neither 32 hex digits nor base64 of them; copy the value of the delegate token again")
	}
	return value
}

func (e *env) manager() *url.URL {
	const name = "MANAGER_HOST_AND_PORT"
	text := strings.TrimRight(e.text(name), "/")
	if text == "" {
		e.problems.Add(name, "is required: the address of the manager, such as https://belay.example.com")
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		e.problems.Add(name, "is not an address; one looks like https://belay.example.com:7990")
		return nil
	case u.Scheme != "https" && u.Scheme != "http":
		e.problems.Add(name, fmt.Sprintf("begins with %s://; it must be https://", u.Scheme))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		e.problems.Add(name, "must hold a host, a port and a path only")
	case u.Scheme == "http" && !loopback(u.Hostname()) && !e.yes("BELAY_INSECURE_HTTP"):
		e.problems.Add(name, fmt.Sprintf("is %s: without TLS anybody in between could read what the manager sends, secrets too; "+
			"use https, or set BELAY_INSECURE_HTTP=true where that is no danger", u.Redacted()))
	}
	return u
}

func (e *env) httpAddr() string {
	if addr := e.text("BELAY_DELEGATE_HTTP_ADDR"); addr != "" {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			e.problems.Add("BELAY_DELEGATE_HTTP_ADDR", fmt.Sprintf("is %q; it must be host:port", addr))
		}
		return addr
	}
	return ":" + strconv.Itoa(e.number("DELEGATE_HTTP_PORT", 0, 65535, defaultPort))
}

func (e *env) logLevel() slog.Level {
	switch text := strings.ToUpper(e.text("LOGGING_LEVEL")); text {
	case "", "INFO":
		return slog.LevelInfo
	case "ALL", "TRACE":
		return LevelTrace
	case "DEBUG":
		return slog.LevelDebug
	case "WARN", "WARNING":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	case "OFF":
		return LevelOff
	default:
		e.warn(fmt.Sprintf("LOGGING_LEVEL is %q, which is none of TRACE, DEBUG, INFO, WARN, ERROR and OFF; DEBUG is taken", text))
		return slog.LevelDebug
	}
}

func (e *env) drain() time.Duration {
	seconds := e.number("BELAY_DRAIN_SECONDS", 0, 24*60*60, int(DefaultDrain/time.Second))
	if seconds == 0 {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// list splits a comma list and drops what is empty or there twice.
func list(text string) []string {
	var out []string
	seen := map[string]bool{}
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if one != "" && !seen[one] {
			out, seen[one] = append(out, one), true
		}
	}
	return out
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
