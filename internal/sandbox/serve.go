package sandbox

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // thumbprints of IAM's OIDC providers are SHA-1
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

// CheckListen refuses an address that others can reach: requests are signed, but answers with keys are in plain.
func CheckListen(address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("--listen %q is not host:port", address)
	case insecure || loopback(host):
		return nil
	}
	return fmt.Errorf("--listen %s can be reached from elsewhere, and the sandbox gives out keys in plain; listen on 127.0.0.1, or give --insecure-http", address)
}

// Serve answers on a listener until the context ends, then waits up to a second for what is being answered.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// authority is the sandbox's own certificate authority: DER of its certificate, and its key.
type authority struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"` // PKCS #8
}

const authorityLife = 10 * 365 * 24 * time.Hour

// authority makes the certificate authority when it is first asked for.
func (s *Server) authority() (*authority, error) {
	if a := s.current.Load().Authority; a != nil {
		return a, nil
	}
	err := s.change(func(d *draft) error {
		if d.Authority != nil {
			return nil
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		now := s.config.Now()
		about := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Belay sandbox"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
		if err != nil {
			return err
		}
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		d.Authority = &authority{der, raw}
		return nil
	})
	return s.current.Load().Authority, err
}

// CA is the certificate of the sandbox's own authority, in PEM.
func (s *Server) CA() ([]byte, error) {
	a, err := s.authority()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate}), nil
}

// Thumbprint is what an OIDC provider of IAM names to trust the sandbox's authority.
func (s *Server) Thumbprint() (string, error) {
	a, err := s.authority()
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(a.Certificate) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:]), nil
}

// TLS is how the sandbox proves itself on this machine's own names, with a certificate of its own authority.
func (s *Server) TLS() (*tls.Config, error) {
	a, err := s.authority()
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's authority: %w", err)
	}
	signer, err := x509.ParsePKCS8PrivateKey(a.Key)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, ca, key.Public(), signer.(crypto.Signer)) // every private key is one
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, a.Certificate}, PrivateKey: key}},
	}, nil
}
