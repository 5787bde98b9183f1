package backoff

import "slices"

// NonThrottled are the error codes that are tried again with full jitter under Default (AWS connector settings reference).
func NonThrottled() []string {
	return []string{
		"TransactionInProgressException", "RequestTimeout", "RequestTimeoutException", "IDPCommunicationError",
		"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",
		"RequestInTheFuture", "IOException",
	}
}

// NonThrottledStatus are the HTTP status codes of the same list.
func NonThrottledStatus() []int { return []int{500, 502, 503, 504} }

// Throttled are the error codes that are tried again with equal jitter under Default (AWS connector settings reference).
func Throttled() []string {
	return []string{
		"Throttling", "ThrottlingException", "ThrottledException", "ProvisionedThroughputExceededException", "SlowDown",
		"TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "RequestThrottled",
		"RequestThrottledException", "EC2ThrottledException", "PriorRequestNotComplete",
	}
}

// ThrottledStatus is the HTTP status of the same list: 429 Too Many Requests.
func ThrottledStatus() []int { return []int{429} }

// IOException is how the list names a request that got no answer: refused, reset, timed out, no such host.
const IOException = "IOException"

// Class says how an error is treated.
type Class int

// The classes.
const (
	Final       Class = iota // not tried again
	Retry                    // on the non-throttled list
	RetrySlowly              // on the throttled list
)

// Classify places an error by its code and HTTP status; either may be empty. A code decides before a status does: a
// RequestLimitExceeded that came with 503 is throttling.
func Classify(code string, status int) Class {
	switch {
	case slices.Contains(Throttled(), code):
		return RetrySlowly
	case slices.Contains(NonThrottled(), code):
		return Retry
	case slices.Contains(ThrottledStatus(), status):
		return RetrySlowly
	case slices.Contains(NonThrottledStatus(), status):
		return Retry
	}
	return Final
}
