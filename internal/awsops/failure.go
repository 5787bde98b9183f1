package awsops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/belay-dev/belay/internal/connector"
)

// stepError says which step an error belongs to, and what its step knows about it. They nest: assuming a role fails
// because the first credentials do; then the innermost one counts.
type stepError struct {
	step      connector.Step
	reason    connector.Reason
	host      string
	partition string
	missing   []string
	sources   []connector.SourceTried
	role      string                 // that a web identity token was for
	token     *connector.TokenClaims // what it says of itself
	status    int                    // where the answer is not in the chain
	hide      []string               // secrets that the text must not hold
	err       error
}

// Error is the text of the failure.
func (e *stepError) Error() string { return e.err.Error() }

// Unwrap is the failure.
func (e *stepError) Unwrap() error { return e.err }

// FailureOf gives the facts of an error that a client of ours, or Config, returned; nil for nil. region is where the
// client calls, step where the error counts if it happened in the call itself and not on the way to its credentials.
//
// The facts are those of the innermost failed operation: when GetCallerIdentity fails because a role cannot be assumed,
// the operation is AssumeRole. Texts are cleaned of secrets and at most 2 KiB long.
func FailureOf(err error, region string, step connector.Step) *connector.Failure {
	if err == nil {
		return nil
	}
	f := &connector.Failure{Step: step, Region: region}
	var hide []string
	inside := err
	for _, e := range chain(err) {
		one, ok := e.(*stepError) //nolint:errorlint // the chain is walked by hand, the innermost counts
		if !ok {
			continue
		}
		inside = one
		f.Step, f.Reason, f.Host, f.Status = one.step, one.reason, one.host, one.status
		f.Missing, f.Sources, f.Partition = one.missing, slices.Clone(one.sources), one.partition
		f.Role, f.Token = one.role, one.token
		hide = append(hide, one.hide...)
	}
	seen := lastOf[*call](inside)
	if seen == nil {
		seen = &call{err: inside}
	}
	f.Service, f.Operation, f.Attempts = seen.service, seen.operation, seen.attempts
	if operation := lastOf[*smithy.OperationError](inside); operation != nil && f.Operation == "" && operation.Service() != "ec2imds" {
		f.Service, f.Operation = strings.ToLower(strings.ReplaceAll(operation.Service(), " ", "")), operation.Operation()
	}
	if most := lastOf[*retry.MaxAttemptsError](inside); most != nil && f.Attempts == 0 {
		f.Attempts = most.Attempt
	}
	cause := inside
	interrupted := ended(inside)
	if interrupted && seen.last != nil && !ended(seen.last) {
		// The time was up while the SDK waited for its next try: what the last one met is the better fact.
		cause = seen.last
	}
	answer(f, cause, hide)
	if f.Reason == connector.ReasonNone {
		f.Reason = reasonOf(f, cause, seen)
	}
	if f.Host == "" && f.Reason != connector.ReasonNone {
		f.Host = hostOf(f.Reason, cause, seen)
	}
	text := err.Error()
	if cause != inside { //nolint:errorlint // the same value is meant
		text += "; the last try: " + cause.Error()
	}
	if f.Reason == connector.ReasonNotAWS {
		text += "; " + describe(seen)
	}
	f.Text = clean(text, hide)
	switch f.Reason {
	case connector.ReasonPartition, connector.ReasonRegion, connector.ReasonConfiguration:
		if f.Message == "" { // no call was made, so these words are our own
			f.Message = clean(cause.Error(), hide)
		}
	default:
	}
	for i := range f.Sources {
		f.Sources[i].Answer, f.Sources[i].Asked = clean(f.Sources[i].Answer, hide), clean(f.Sources[i].Asked, hide)
	}
	return f
}

// answer takes over what AWS said.
func answer(f *connector.Failure, cause error, hide []string) {
	if said := lastOf[smithy.APIError](cause); said != nil && said.ErrorCode() != unknownError {
		f.Code, f.Message = clip(said.ErrorCode(), 128), clean(said.ErrorMessage(), hide)
	}
	if status := statusOf(cause); status != 0 {
		f.Status = status
	}
	var identified interface{ ServiceRequestID() string }
	if errors.As(cause, &identified) {
		f.RequestID = clip(identified.ServiceRequestID(), 128)
	}
}

// reasonOf is what happened when AWS's code does not say it.
func reasonOf(f *connector.Failure, cause error, seen *call) connector.Reason {
	var (
		refused  *proxyRefusal
		dns      *net.DNSError
		timeout  net.Error
		answered *smithy.DeserializationError
		params   smithy.InvalidParamsError
	)
	switch {
	case errors.As(cause, &refused), proxyDown(cause):
		return connector.ReasonProxy
	case errors.As(cause, &dns):
		return connector.ReasonDNS
	case tlsError(cause):
		return connector.ReasonTLS
	case ended(cause):
		if errors.Is(cause, context.DeadlineExceeded) {
			return connector.ReasonTimeout
		}
		return connector.ReasonNone // the caller gave up
	case f.Code != "":
		return connector.ReasonNone
	case f.Status < http.StatusMultipleChoices && errors.As(cause, &timeout) && timeout.Timeout():
		return connector.ReasonTimeout
	case f.Status < http.StatusMultipleChoices && networkError(cause):
		return connector.ReasonConnect
	case f.Status >= http.StatusMultipleChoices && f.RequestID == "",
		f.Status != 0 && errors.As(cause, &answered), errors.Is(cause, errNoKeys), errors.Is(cause, errNoIdentity):
		return connector.ReasonNotAWS
	case errors.As(cause, &params), seen.operation != "" && seen.host == "":
		return connector.ReasonConfiguration // nothing was sent: the SDK refused it
	}
	return connector.ReasonNone
}

// errNoIdentity means that GetCallerIdentity was answered with a success that names nobody.
var errNoIdentity = errors.New("the answer names no identity")

// hostOf is the host that the reason is about.
func hostOf(reason connector.Reason, cause error, seen *call) string {
	var (
		refused *proxyRefusal
		dns     *net.DNSError
		dial    *net.OpError
		request *url.Error
	)
	switch {
	case errors.As(cause, &refused):
		return refused.host
	case errors.As(cause, &dns):
		return dns.Name
	case reason == connector.ReasonProxy:
		for _, e := range chain(cause) {
			if errors.As(e, &dial) && dial.Addr != nil {
				return dial.Addr.String()
			}
		}
	case errors.As(cause, &request):
		if asked, err := url.Parse(request.URL); err == nil && asked.Host != "" {
			return asked.Host
		}
	}
	return seen.host
}

var pageTitle = regexp.MustCompile(`(?i)<title[^>]*>([^<]+)`)

// describe tells what something that is not AWS answered.
func describe(seen *call) string {
	if seen.body == "" {
		return "the answer has no body"
	}
	begins := seen.body
	if title := pageTitle.FindStringSubmatch(seen.body); title != nil {
		begins = title[1]
	}
	return fmt.Sprintf("the answer is %q and begins %q", seen.kind, clip(begins, 200))
}

// ended reports whether the caller's context ended the call. The time-out of a connection claims to be
// context.DeadlineExceeded too, so that error itself is looked for.
func ended(err error) bool {
	var canceled *smithy.CanceledError
	var waiting *aws.RequestCanceledError
	return errors.As(err, &canceled) || errors.As(err, &waiting) || errors.Is(err, errEnded) ||
		slices.ContainsFunc(chain(err), func(e error) bool { return e == context.DeadlineExceeded || e == context.Canceled }) //nolint:errorlint // see above
}

// errEnded marks the end of a context where no error of the SDK does.
var errEnded = errors.New("the context ended")

// contextError is the end of a context with its cause.
func contextError(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w: %w", errEnded, ctx.Err(), cause)
	}
	return fmt.Errorf("%w: %w", errEnded, ctx.Err())
}

// proxyDown reports that the connection failed on its way to the proxy.
func proxyDown(err error) bool {
	for _, e := range chain(err) {
		if operation, ok := e.(*net.OpError); ok && operation.Op == "proxyconnect" { //nolint:errorlint // the chain is walked by hand
			return true
		}
	}
	return false
}

// plainly says in few words why there was no answer.
func plainly(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "no such host: " + dns.Name
	case tlsError(err):
		return "the TLS certificate is not trusted"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to host"
	case errors.Is(err, syscall.ENETUNREACH):
		return "network is unreachable"
	case ended(err), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return clean(err.Error(), nil)
}

// chain is err and all that it wraps, outer before inner.
func chain(err error) []error {
	var all []error
	for open := []error{err}; len(open) > 0; open = open[1:] {
		all = append(all, open[0])
		switch wrapper := open[0].(type) { //nolint:errorlint // this is what walks the chain
		case interface{ Unwrap() error }:
			if inner := wrapper.Unwrap(); inner != nil {
				open = append(open, inner)
			}
		case interface{ Unwrap() []error }:
			open = append(open, wrapper.Unwrap()...)
		}
	}
	return all
}

// lastOf is the innermost error of a type, or that type's zero. errors.As would find the outermost.
func lastOf[E error](err error) (found E) {
	for _, e := range chain(err) {
		if one, ok := e.(E); ok { //nolint:errorlint // the innermost is wanted
			found = one
		}
	}
	return found
}
