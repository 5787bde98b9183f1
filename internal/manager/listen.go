package manager

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/belay-dev/belay/internal/fault"
)

// certificate is how the listener proves itself, and whom it asks for proof.
type certificate struct{ tls *tls.Config } // nil: plain HTTP

// loadCertificate reads the PEM files. A delegate's certificate is asked for, not demanded, at this level: people and
// their tools come without one, and the delegates' paths refuse whoever has none.
func loadCertificate(c Config) (certificate, error) {
	switch {
	case c.TLSCert == "" && c.TLSKey == "" && c.ClientCA == "":
		return certificate{}, nil
	case c.TLSCert == "" || c.TLSKey == "":
		return certificate{}, fault.New(fault.Invalid, "TLS needs both --tls-cert and --tls-key")
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return certificate{}, fault.New(fault.Invalid, "the certificate %s and its key cannot be read: %v", c.TLSCert, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return certificate{}, fault.New(fault.Invalid, "the file of --client-ca cannot be read: %v", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return certificate{}, fault.New(fault.Invalid, "%s holds no certificate in PEM", c.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return certificate{config}, nil
}

// checkAddresses refuses addresses that are none, and plain HTTP where others could listen in.
func checkAddresses(ctx context.Context, c Config) error {
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fault.New(fault.Invalid, "--public-url %q is not the address of a manager; one looks like https://belay.example.com", c.PublicURL)
		}
	}
	if kind, _, _ := strings.Cut(c.Database, "://"); c.Database != "" && kind != "postgres" && kind != "postgresql" { // not repeated: it may hold a password
		return fault.New(fault.Invalid, "--database does not begin with postgres://; without it the database is a SQLite file in the data folder")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fault.New(fault.Invalid, "--listen %q is not host:port", c.Listen)
	}
	if _, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil {
		return fault.New(fault.Invalid, "--listen %q has no valid port; 0 to 65535 are", c.Listen)
	}
	if c.TLSCert != "" || c.Insecure || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fault.New(fault.Invalid, "--listen %s can be reached from elsewhere, and keys would travel in plain; give --tls-cert and --tls-key, or --insecure-http behind a proxy that does TLS", c.Listen)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program, perhaps another manager; stop it or choose another address with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}
