package awsops

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/smithy-go"

	"github.com/belay-dev/belay/internal/backoff"
)

// retryer makes the SDK wait as a connector's strategy says. It has no bucket of retry tokens: the SDK's own is empty
// after about a hundred retries, and a connector may ask for more.
type retryer struct {
	strategy backoff.Strategy
	random   func() float64
	// fromZero: the SDK counts the attempts given to RetryDelay from 0 instead of 1, as it does with AWS_NEW_RETRIES_2026.
	fromZero bool
}

// MaxAttempts is the first try and the strategy's retries. It is never 0, which the SDK takes for endless.
func (r retryer) MaxAttempts() int { return max(r.strategy.Retries(), 0) + 1 }

// IsErrorRetryable reports whether err is on one of the lists of package backoff.
func (r retryer) IsErrorRetryable(err error) bool { return classify(err) != backoff.Final }

// RetryDelay is how long to wait after that attempt.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	if !r.fromZero {
		attempt--
	}
	return r.strategy.Delay(max(attempt, 0), classify(err) == backoff.RetrySlowly, r.random), nil
}

// GetRetryToken always grants a retry.
func (retryer) GetRetryToken(context.Context, error) (func(error) error, error) {
	return released, nil
}

// GetInitialToken always grants the first try.
func (retryer) GetInitialToken() func(error) error { return released }

// GetAttemptToken always grants an attempt.
func (retryer) GetAttemptToken(context.Context) (func(error) error, error) { return released, nil }

func released(error) error { return nil }

// classify places the error of one attempt.
//
// Final are, besides what neither list has: the end of the caller's context, credentials that could not be had (they
// were retried where they are fetched), and network failures that do not heal in seconds: a name that does not exist,
// a certificate that is not trusted, a proxy that refuses.
func classify(err error) backoff.Class {
	var step *stepError
	var canceled *smithy.CanceledError
	if errors.As(err, &step) || errors.As(err, &canceled) {
		return backoff.Final
	}
	// The SDK marks what it found out by itself: a clock that it corrected for the next try.
	var marked interface{ RetryableError() bool }
	if errors.As(err, &marked) {
		if marked.RetryableError() {
			return backoff.Retry
		}
		return backoff.Final
	}
	code, status := codeOf(err), statusOf(err)
	if code == "" && (status == 0 || status < http.StatusMultipleChoices) {
		if lasting(err) || !networkError(err) {
			return backoff.Final
		}
		return backoff.Classify(backoff.IOException, 0)
	}
	return backoff.Classify(code, status)
}

// unknownError is what the SDK calls an answer without a code.
const unknownError = "UnknownError"

// codeOf is AWS's code in the chain, or "".
func codeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() == unknownError {
		return ""
	}
	return coded.ErrorCode()
}

// statusOf is the HTTP status of the answer in the chain, or 0 when there was no answer.
func statusOf(err error) int {
	var answered interface{ HTTPStatusCode() int }
	if !errors.As(err, &answered) {
		return 0
	}
	return answered.HTTPStatusCode()
}

// lasting reports network failures that another try will not cure.
func lasting(err error) bool {
	var dns *net.DNSError
	var refused *proxyRefusal
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &refused) || tlsError(err)
}

func tlsError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
}

func networkError(err error) bool {
	var (
		operation *net.OpError
		request   *url.Error
		timeout   net.Error
	)
	return errors.As(err, &operation) || errors.As(err, &request) || errors.As(err, &timeout) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}
