package sandbox

import (
	"errors"
	"fmt"
	"net/http"
)

// protocol is how a service speaks.
type protocol int

const (
	query    protocol = iota // STS, IAM, CloudFormation
	ec2Query                 // EC2
	jsonRPC                  // Organizations, ECS, ECR
	restJSON                 // Lambda, EKS
	restXML                  // S3
)

// sort is a failure that every protocol has under a name of its own.
type sort int

const (
	modelled     sort = iota // the operation's own: code and status are given
	unknownKey               // no such key, an inactive one, or one of another partition
	badSignature             // the secret is another one
	skewed                   // the clock is off
	expired                  // the session is over
	unsigned                 // no signature
	incomplete               // the signature is not one
	denied                   // the policies do not allow it
	throttled                // too many requests
	internal                 // the sandbox is broken
)

// failure is an answer that is an error.
type failure struct {
	sort    sort
	code    string // of a modelled one
	status  int    // of a modelled one
	message string // "" stands for the usual text
}

// Error is code and message.
func (f *failure) Error() string { return fmt.Sprintf("%s: %s", f.code, f.message) }

// Message is what an error of the sandbox says, without its code.
func Message(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.message
	}
	return err.Error()
}

// fail makes an operation's own failure.
func fail(status int, code, format string, args ...any) *failure {
	return &failure{code: code, status: status, message: fmt.Sprintf(format, args...)}
}

// invalid is the failure of a parameter that breaks the model.
func invalid(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "ValidationError", format, args...)
}

func noSuchEntity(format string, args ...any) *failure {
	return fail(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func alreadyExists(format string, args ...any) *failure {
	return fail(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func deleteConflict(message string) *failure {
	return fail(http.StatusConflict, "DeleteConflict", "%s", message)
}

func quota(name string, limit int) *failure {
	return fail(http.StatusConflict, "LimitExceeded", "Cannot exceed quota for %s: %d", name, limit)
}

func malformed(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "MalformedPolicyDocument", format, args...)
}

// answer is a code, a status and a text.
type answer struct {
	status  int
	code    string
	message string
}

const (
	invalidToken     = "The security token included in the request is invalid."
	expiredToken     = "The security token included in the request is expired"
	wrongSignature   = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	notValidated     = "AWS was not able to validate the provided access credentials"
	notAuthorizedEC2 = "You are not authorized to perform this operation. "
)

// answer says a failure in the words of a protocol.
func (f *failure) answer(p protocol) answer {
	if f.sort == modelled {
		return answer{f.status, f.code, f.message}
	}
	a := usual(f.sort, p)
	switch {
	case f.message == "":
	case f.sort == denied && p == ec2Query:
		a.message = notAuthorizedEC2 + f.message
	case f.sort == skewed && p == ec2Query: // EC2 does not say that it is the clock
	default:
		a.message = f.message
	}
	return a
}

// usual is what AWS answers for a failure of a sort, by protocol.
func usual(s sort, p protocol) answer {
	const bad, unauthorized, forbidden = http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden
	table := map[sort][5]answer{ // query, EC2, JSON, REST with JSON, S3
		unknownKey: {
			{forbidden, "InvalidClientTokenId", invalidToken},
			{unauthorized, "AuthFailure", notValidated},
			{bad, "UnrecognizedClientException", invalidToken},
			{forbidden, "UnrecognizedClientException", invalidToken},
			{forbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."},
		},
		badSignature: {
			{forbidden, "SignatureDoesNotMatch", wrongSignature},
			{unauthorized, "AuthFailure", notValidated},
			{bad, "InvalidSignatureException", wrongSignature},
			{forbidden, "InvalidSignatureException", wrongSignature},
			{forbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		},
		skewed: {
			{forbidden, "SignatureDoesNotMatch", ""},
			{unauthorized, "AuthFailure", notValidated},
			{bad, "InvalidSignatureException", ""},
			{forbidden, "InvalidSignatureException", ""},
			{forbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."},
		},
		expired: {
			{forbidden, "ExpiredToken", expiredToken},
			{bad, "RequestExpired", "Request has expired."},
			{bad, "ExpiredTokenException", expiredToken},
			{forbidden, "ExpiredTokenException", expiredToken},
			{bad, "ExpiredToken", "The provided token has expired."},
		},
		unsigned: {
			{forbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"},
			{unauthorized, "AuthFailure", notValidated},
			{bad, "MissingAuthenticationTokenException", "Missing Authentication Token"},
			{forbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"},
			{forbidden, "AccessDenied", "Access Denied"},
		},
		incomplete: {
			{bad, "IncompleteSignature", ""},
			{unauthorized, "AuthFailure", notValidated},
			{bad, "IncompleteSignatureException", ""},
			{forbidden, "IncompleteSignatureException", ""},
			{bad, "AuthorizationHeaderMalformed", "The authorization header is malformed"},
		},
		denied: {
			{forbidden, "AccessDenied", ""},
			{forbidden, "UnauthorizedOperation", "You are not authorized to perform this operation."},
			{bad, "AccessDeniedException", ""},
			{forbidden, "AccessDeniedException", ""},
			{forbidden, "AccessDenied", "Access Denied"},
		},
		throttled: {
			{bad, "Throttling", "Rate exceeded"},
			{http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."},
			{bad, "ThrottlingException", "Rate exceeded"},
			{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded."},
			{http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."},
		},
	}
	if row, ok := table[s]; ok {
		return row[p]
	}
	const text = "The request processing has failed because of an unknown error, exception or failure."
	return answer{http.StatusInternalServerError, "InternalFailure", text}
}
