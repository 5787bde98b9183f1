package manager

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
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
		return certificate{}, errors.New("TLS needs both --tls-cert and --tls-key")
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return certificate{}, fmt.Errorf("read the certificate %s and its key: %w", c.TLSCert, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return certificate{}, fmt.Errorf("read the authority of client certificates: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return certificate{}, fmt.Errorf("%s holds no certificate in PEM", c.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return certificate{config}, nil
}

// checkListen refuses plain HTTP where others could listen in.
func checkListen(c Config) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not host:port", c.Listen)
	}
	if c.TLSCert != "" || c.Insecure || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s can be reached from elsewhere, and keys would travel in plain; give --tls-cert and --tls-key, or --insecure-http behind a proxy that does TLS", c.Listen)
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
