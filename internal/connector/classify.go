package connector

import (
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/backoff"
)

// classify decides on service, code, message and step, never on a status alone: the same cause has different codes in
// different services, and the same code different causes.
func classify(f Failure, c Connector) string {
	if code := byReason(f.Reason); code != "" {
		return code
	}
	switch {
	case clockText(f.Message):
		return ClockSkew
	case backoff.Classify(f.Code, 0) == backoff.RetrySlowly, f.Code == "" && f.Status == 429:
		return Throttled
	}
	if code := byCode(f, c); code != "" {
		return code
	}
	switch {
	case f.Status >= 500:
		return AWSUnavailable
	case f.Step == StepCredentials:
		return NoCredentials
	}
	return Unclassified
}

func byReason(r Reason) string {
	switch r {
	case ReasonNoCredentials:
		return NoCredentials
	case ReasonVariablesAbsent:
		return IRSAVariablesAbsent
	case ReasonTokenFile:
		return TokenFileUnreadable
	case ReasonPartition:
		return WrongPartition
	case ReasonRegion:
		return RegionUnavailable
	case ReasonConfiguration:
		return ConfigurationRefused
	case ReasonDNS:
		return HostNotFound
	case ReasonConnect:
		return HostUnreached
	case ReasonTLS:
		return TLSNotTrusted
	case ReasonProxy:
		return ProxyRefused
	case ReasonTimeout:
		return NoAnswerInTime
	case ReasonNotAWS:
		return NotAWS
	case ReasonMetadataHopLimit:
		return MetadataHopLimit
	case ReasonNone:
	}
	return ""
}

func byCode(f Failure, c Connector) string {
	switch f.Code {
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "InvalidToken":
		return unknownKey(f, c)
	case "SignatureDoesNotMatch", "InvalidSignatureException":
		return SecretKeyWrong
	case "ExpiredToken", "ExpiredTokenException":
		if f.Step == StepWebIdentity {
			return WebIdentityRefused
		}
		return SessionExpired
	case "RequestExpired": // EC2's word for an expired session, and for a clock that is behind
		if m, ok := c.Credential.(ManualConfig); ok && m.SessionTokenRef == "" && c.CrossAccount == nil {
			return ClockSkew
		}
		return SessionExpired
	case "RequestTimeTooSkewed", "RequestInTheFuture":
		return ClockSkew
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation":
		switch f.Step {
		case StepAssumeRole:
			return RoleNotAssumable
		case StepWebIdentity:
			return WebIdentityRefused
		case StepCredentials:
			return NoCredentials
		case StepPrepare, StepIdentity, StepRegions:
		}
		return PermissionMissing
	case "InvalidIdentityToken", "IDPRejectedClaim", "IDPCommunicationError":
		return WebIdentityRefused
	case "RegionDisabledException":
		return RegionUnavailable
	case "OptInRequired", "PendingVerification", "Blocked":
		return AccountNotReady
	case "ValidationError", "PackedPolicyTooLarge", "MalformedPolicyDocument", "InvalidParameterValue", "MissingParameter":
		return ConfigurationRefused
	case "MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature":
		return RequestAltered
	}
	return ""
}

// unknownKey tells apart what AWS answers with one code: a key that is unknown, a key of another partition, and a Region
// that the account has not enabled.
func unknownKey(f Failure, c Connector) string {
	region := f.Region
	if region == "" {
		region = c.TestRegion()
	}
	here, _ := arn.PartitionOf(region)
	switch {
	case f.Partition != "" && f.Partition != here.ID:
		return WrongPartition
	case f.Step == StepRegions, slices.Contains([]Step{StepIdentity, StepAssumeRole}, f.Step) && arn.OptInRegion(region):
		return RegionUnavailable // STS took the key a moment ago, or the Region must be enabled first
	case here.ID != "aws" && here.ID != "" && f.Partition == "":
		return WrongPartition
	}
	return AccessKeyUnknown
}

func clockText(message string) bool {
	for _, part := range []string{"Signature expired:", "Signature not yet current:"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}
