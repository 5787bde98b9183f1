package awsops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
)

const (
	envMetadataURL      = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	envMetadataMode     = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
	envMetadataDisabled = "AWS_EC2_METADATA_DISABLED"
	envMetadataNoV1     = "AWS_EC2_METADATA_V1_DISABLED"

	// The service answers from the same machine in a millisecond, or not at all. The SDK alone would look for 5 s.
	metadataTime = 1500 * time.Millisecond
	metadataDial = 250 * time.Millisecond
	metadataWait = 400 * time.Millisecond

	// maxLocalBody bounds the answer of an endpoint on the machine, in bytes.
	maxLocalBody = 64 << 10
)

// metadataLink asks the instance metadata service, version 2, for the role of the instance.
func (s *source) metadataLink() link {
	target := s.env(envMetadataURL)
	switch {
	case target != "":
	case strings.EqualFold(s.env(envMetadataMode), "ipv6"):
		target = "http://[fd00:ec2::254]"
	default:
		target = "http://169.254.169.254"
	}
	return link{name: "instance metadata v2", asked: clean(target, nil), try: func(ctx context.Context) found {
		if strings.EqualFold(s.env(envMetadataDisabled), "true") {
			return absent("turned off by %s", envMetadataDisabled)
		}
		return s.metadata(ctx, target)
	}}
}

func (s *source) metadata(ctx context.Context, target string) found {
	short, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	rec := &recorder{client: localClient(metadataDial, metadataWait)}
	fallback := aws.UnknownTernary
	if strings.EqualFold(s.env(envMetadataNoV1), "true") {
		fallback = aws.FalseTernary
	}
	client := imds.New(imds.Options{
		Endpoint: target, ClientEnableState: imds.ClientEnabled, HTTPClient: rec, EnableFallback: fallback, Logger: s.sdkLog(),
		Retryer:                  s.retryer(backoff.Fixed{Wait: 50 * time.Millisecond, Count: 1}),
		DisableDefaultMaxBackoff: true, // it would replace the wait by a random one of up to a second
	})
	creds, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(short)
	if err == nil {
		return found{creds: creds}
	}
	failed := &stepError{
		step: connector.StepCredentials, reason: connector.ReasonNoCredentials, host: hostPart(target), status: rec.last().status,
		err: err,
	}
	if ctx.Err() != nil { // not our short time, the caller's
		failed.reason, failed.err = connector.ReasonNone, contextError(ctx)
	}
	answer, hops := rec.metadataAnswer(err)
	if hops && ctx.Err() == nil {
		failed.reason = connector.ReasonMetadataHopLimit
	}
	return found{answer: answer, err: failed}
}

func hostPart(target string) string {
	parsed, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// exchange is one request to an endpoint on the machine and what came of it.
type exchange struct {
	method    string
	connected bool // the connection came about
	status    int  // 0: no answer
	err       error
}

// recorder sends requests and remembers what came of each. The errors of the SDK's metadata client do not tell: they
// lose the status of an answer, and whether a time-out came before or after the connection.
type recorder struct {
	client aws.HTTPClient

	mu   sync.Mutex
	seen []exchange
}

// Do sends a request.
func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	connected := false
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}
	answer, err := r.client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	now := exchange{method: request.Method, connected: connected, err: err}
	if err == nil {
		now.status = answer.StatusCode
		var body []byte
		body, err = io.ReadAll(io.LimitReader(answer.Body, maxLocalBody))
		_ = answer.Body.Close()
		now.err = err
		if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
			body = []byte("{}") // the SDK's container client takes null for a document and panics
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.mu.Lock()
	r.seen = append(r.seen, now)
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// last is the last exchange that was answered, or else the last one.
func (r *recorder) last() exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last exchange
	for _, one := range r.seen {
		if one.status != 0 || last.status == 0 {
			last = one
		}
	}
	return last
}

// metadataAnswer says what the metadata service answered. hops reports the sign of a hop limit that is too low for a
// container: the service is there and wants a token, but the request for the token has no good answer.
func (r *recorder) metadataAnswer(err error) (answer string, hops bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var put, get *exchange
	for i, one := range r.seen {
		switch {
		case one.method == http.MethodPut && (put == nil || put.status == 0):
			put = &r.seen[i]
		case one.method == http.MethodGet && (get == nil || one.status != 0):
			get = &r.seen[i]
		}
	}
	said := lastOf[smithyAPIError](err)
	switch {
	case said != nil && said.ErrorCode() == "":
		return "HTTP 200, but no credentials", false
	case said != nil:
		return clean(fmt.Sprintf("%s: %s", said.ErrorCode(), said.ErrorMessage()), nil), false
	case put == nil:
		return plainly(err), false
	case get != nil && get.status == http.StatusUnauthorized:
		return fmt.Sprintf("it wants a token (HTTP 401), and the request for one had %s", put.inWords()), true
	case (get == nil || !get.connected) && put.connected && put.status == 0 && timedOut(put.err):
		return "the request for a token was not answered", true
	case get == nil && put.status != 0 && put.status != http.StatusOK:
		return fmt.Sprintf("HTTP %d to the request for a token", put.status), false
	case get != nil && get.status == http.StatusNotFound:
		return "HTTP 404: the instance has no role", false
	case get != nil && get.status == http.StatusForbidden:
		return "HTTP 403: the service is turned off", false
	case get != nil && get.status == http.StatusOK:
		return "HTTP 200, but no credentials: " + plainly(err), false
	case get != nil:
		return get.inWords(), false
	}
	return put.inWords(), false
}

func (e exchange) inWords() string {
	if e.status != 0 {
		return fmt.Sprintf("HTTP %d", e.status)
	}
	return plainly(e.err)
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
