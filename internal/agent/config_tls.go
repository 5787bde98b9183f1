package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// roots are the system's authorities and those that the environment names; nil when it names none.
func (e *env) roots() *x509.CertPool {
	var pool *x509.CertPool
	add := func(name, path string, needed bool) {
		found, err := certificates(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !needed:
			return // the path may be meant for a container that the delegate starts
		case err != nil:
			e.problems.Add(name, err.Error())
			return
		}
		if pool == nil {
			if pool, err = x509.SystemCertPool(); err != nil {
				pool = x509.NewCertPool() // a system without authorities of its own
			}
		}
		for _, one := range found {
			pool.AddCert(one)
		}
	}
	for _, name := range []string{"BELAY_CA_FILE", "ADDITIONAL_CERTS_PATH"} {
		for _, path := range list(e.text(name)) {
			add(name, path, true)
		}
	}
	for _, name := range []string{"DESTINATION_CA_PATH", "SHARED_CA_CERTS_PATH"} {
		for _, path := range list(e.text(name)) {
			add(name, path, false)
		}
	}
	add(mountedCAs, mountedCAs, false)
	return pool
}

// certificates reads a file, or each file of a folder: PEM with any number of certificates, or one in DER.
func certificates(path string) ([]*x509.Certificate, error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("names %s, which cannot be read: %w", path, err)
	}
	paths := []string{path}
	if about.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("names %s, which cannot be read: %w", path, err)
		}
		paths = nil
		for _, one := range entries {
			// Mounted secrets and maps have folders and links that begin with two dots.
			if ext := strings.ToLower(filepath.Ext(one.Name())); slices.Contains([]string{".pem", ".crt", ".cer", ".der"}, ext) && !strings.HasPrefix(one.Name(), ".") {
				paths = append(paths, filepath.Join(path, one.Name()))
			}
		}
	}
	var all []*x509.Certificate
	for _, one := range paths {
		text, err := os.ReadFile(one) //nolint:gosec // the environment of the process names the file
		if err != nil {
			return nil, fmt.Errorf("names %s, which cannot be read: %w", one, err)
		}
		found, err := parseCertificates(text)
		if err != nil {
			return nil, fmt.Errorf("names %s, which holds no certificate in PEM or DER form", one)
		}
		all = append(all, found...)
	}
	return all, nil
}

// clientCertificate are the files of the delegate's own certificate. They are looked at now, so that a wrong one ends the
// start with a sentence and not with a handshake that fails.
func (e *env) clientCertificate() (cert, key string) {
	const certName, keyName = "DELEGATE_CLIENT_CERTIFICATE_PATH", "DELEGATE_CLIENT_CERTIFICATE_KEY_PATH"
	cert, key = e.text(certName), e.text(keyName)
	switch {
	case cert == "" && key == "":
		if !exists(mountedCert) || !exists(mountedKey) {
			return "", ""
		}
		cert, key = mountedCert, mountedKey
	case cert == "":
		e.problems.Add(certName, "is required, since "+keyName+" is set")
		return "", ""
	case key == "":
		e.problems.Add(keyName, "is required, since "+certName+" is set")
		return "", ""
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		e.problems.Add(certName, fmt.Sprintf("names %s, which with the key %s is no certificate: %v", cert, key, err))
	}
	return cert, key
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tls is the configuration of connections to the manager.
func (c Config) tls() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}
	if c.ClientCert != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
			if err != nil {
				return nil, fmt.Errorf("read the delegate's client certificate %s: %w", c.ClientCert, err)
			}
			return &pair, nil
		}
	}
	return config
}

// parseCertificates reads PEM with any number of certificates, or one certificate in DER.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(all) > 0 {
		return all, nil
	}
	one, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, errors.New("neither PEM nor DER")
	}
	return append(all, one), nil
}
