package awsops

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/belay-dev/belay/internal/connector"
)

// dialTimeout is how long a connection to AWS may take to come about; the SDK would wait 30 s, half of a whole test.
const dialTimeout = 10 * time.Second

const envCABundle = "AWS_CA_BUNDLE"

// client keeps the HTTP client that all sessions share, as long as its certificate authorities stay the same.
type client struct {
	mu   sync.Mutex
	from string // the file of authorities, its size and date
	made *web
}

// web is one HTTP client in the two forms that are needed.
type web struct {
	// shared has one pool of connections for all that use it.
	shared aws.HTTPClient
	// buildable is for the SDK's loader, which adds AWS_CA_BUNDLE by itself and cannot do so to any other kind.
	buildable *awshttp.BuildableClient
}

// httpClient is the client of the environment: its proxy and, in AWS_CA_BUNDLE, its certificate authorities, which as in
// AWS's own tools take the place of the system's.
func (s *Sessions) httpClient() (*web, error) {
	s.web.mu.Lock()
	defer s.web.mu.Unlock()
	bundle := s.env(envCABundle)
	from := bundle
	if bundle != "" {
		about, err := os.Stat(bundle)
		if err != nil {
			return nil, bundleError(err)
		}
		from = fmt.Sprintf("%s %d %v", bundle, about.Size(), about.ModTime())
	}
	if s.web.made != nil && s.web.from == from {
		return s.web.made, nil
	}
	var roots *x509.CertPool
	if bundle != "" {
		text, err := os.ReadFile(bundle) //nolint:gosec // the environment of the process names the file
		if err != nil {
			return nil, bundleError(err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, bundleError(fmt.Errorf("%s holds no certificate in PEM form", bundle))
		}
	}
	proxy := s.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	buildable := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.Proxy = proxy
			t.OnProxyConnectResponse = refusedByProxy
			if roots != nil {
				if t.TLSClientConfig == nil {
					t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
				}
				t.TLSClientConfig.RootCAs = roots
			}
		})
	s.web.from, s.web.made = from, &web{shared: buildable.Freeze(), buildable: buildable}
	return s.web.made, nil
}

func bundleError(err error) error {
	return &stepError{step: connector.StepPrepare, reason: connector.ReasonConfiguration, err: fmt.Errorf("the certificate authorities named by %s cannot be read: %w", envCABundle, err)}
}

// proxyRefusal is a proxy's answer other than 200 to CONNECT. The transport itself makes an error without a type of it.
type proxyRefusal struct {
	host   string
	status int
}

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s answered CONNECT with %d %s", e.host, e.status, http.StatusText(e.status))
}

func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusal{host: proxy.Host, status: answer.StatusCode}
}
