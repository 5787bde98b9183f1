package awsops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go/middleware"

	"github.com/belay-dev/belay/internal/connector"
)

// The container endpoint of ECS tasks and of EKS Pod Identity.
const (
	envContainerPath      = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	envContainerURL       = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envContainerToken     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"      //nolint:gosec // the name of a variable
	envContainerTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" //nolint:gosec // the name of a variable

	ecsEndpoint = "http://169.254.170.2"

	// containerDial and containerWait bound one try: the endpoint is on the same machine.
	containerDial = time.Second
	containerWait = 5 * time.Second
)

// containerLink asks the endpoint that ECS or EKS gave the container.
func (s *source) containerLink() link {
	path, full := s.env(envContainerPath), s.env(envContainerURL)
	one := link{name: "container endpoint", asked: envContainerPath + ", " + envContainerURL}
	switch {
	case path != "":
		one.asked = ecsEndpoint + path
	case full != "":
		one.asked = full
	default:
		one.try = func(context.Context) found { return absent("not set") }
		return one
	}
	target := one.asked
	one.asked = clean(target, nil)
	one.try = func(ctx context.Context) found { return s.container(ctx, target) }
	return one
}

func (s *source) container(ctx context.Context, target string) found {
	asked, err := url.Parse(target)
	if err != nil {
		err = errors.New("it is no URL") // the error of url.Parse would repeat it
	} else {
		err = allowedHost(ctx, asked)
	}
	if err != nil {
		return found{answer: err.Error(), err: &stepError{
			step: connector.StepCredentials, reason: connector.ReasonNoCredentials, err: err,
		}}
	}
	token := s.env(envContainerToken)
	if file := s.env(envContainerTokenFile); file != "" {
		read, err := readToken(file)
		if err != nil {
			return found{answer: "its authorization token cannot be read: " + err.Error(), err: &stepError{
				step: connector.StepCredentials, reason: connector.ReasonNoCredentials, host: asked.Host, err: fmt.Errorf("authorization token: %w", err),
			}}
		}
		token = string(read)
	}
	rec := &recorder{client: s.containerClient(asked)}
	creds, err := endpointcreds.New(target, func(o *endpointcreds.Options) {
		o.HTTPClient = rec
		o.AuthorizationToken = token
		o.Retryer = s.retryer(s.access.access().Backoff)
		o.APIOptions = []func(*middleware.Stack) error{observe}
	}).Retrieve(ctx)
	if err == nil && creds.HasKeys() {
		return found{creds: creds}
	}
	if err == nil {
		err = errNoKeys
	}
	last := rec.last()
	answer := plainly(err)
	if last.status != 0 {
		answer = fmt.Sprintf("HTTP %d", last.status)
		if said := lastOf[smithyAPIError](err); said != nil {
			answer = strings.TrimSpace(fmt.Sprintf("%s: %s %s", answer, said.ErrorCode(), said.ErrorMessage()))
		} else if errors.Is(err, errNoKeys) {
			answer += ", without credentials"
		}
	}
	hide := []string{token}
	failed := &stepError{
		step: connector.StepCredentials, reason: connector.ReasonNoCredentials, host: asked.Host, status: last.status, hide: hide,
		err: err,
	}
	if ended(err) && !errors.Is(err, context.DeadlineExceeded) {
		failed.reason = connector.ReasonNone // the caller gave up
	}
	return found{answer: clean(answer, hide), err: failed}
}

// containerClient asks plain HTTP endpoints directly: they are on the machine, where no proxy leads. Others are asked as
// AWS is.
func (s *source) containerClient(asked *url.URL) aws.HTTPClient {
	if asked.Scheme != "http" {
		return s.web.shared
	}
	return localClient(containerDial, containerWait)
}

// allowedHost refuses to send the token in plain text anywhere but to this machine and the two agents, as the SDKs do.
func allowedHost(ctx context.Context, asked *url.URL) error {
	host := asked.Hostname()
	switch {
	case asked.Scheme != "http" && asked.Scheme != "https":
		return fmt.Errorf("the scheme %q is neither http nor https", asked.Scheme)
	case host == "":
		return errors.New("it names no host")
	case asked.Scheme == "https":
		return nil
	}
	addresses := []string{host}
	if net.ParseIP(host) == nil {
		resolved, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return fmt.Errorf("%s: %s", host, plainly(err))
		}
		addresses = resolved
	}
	for _, address := range addresses {
		ip := net.ParseIP(address)
		agent := address == "169.254.170.2" || address == "169.254.170.23" || ip != nil && ip.Equal(net.ParseIP("fd00:ec2::23"))
		if ip == nil || !ip.IsLoopback() && !agent {
			return fmt.Errorf("the host %s is not allowed over plain HTTP: only this machine and the endpoints of ECS and EKS are", host)
		}
	}
	return nil
}

// smithyAPIError is smithy.APIError, or the SDK's unexported error of the container endpoint, which is alike.
type smithyAPIError interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// localClient talks to the machine itself: never through a proxy, and without keeping connections.
func localClient(dial, wait time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dial}).DialContext,
			ResponseHeaderTimeout: wait,
			DisableKeepAlives:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
