package connector

// Diagnosis is why a connection does not hold, and the smallest change that mends it.
type Diagnosis struct {
	Code     string // BLY-2104; its page is docs/errors/BLY-2104.md
	Cause    string // one or two sentences: the cause, then the fact
	Evidence []Fact // what was seen, quotable
	Remedy   []string
	// Finding is what a refusal was judged by; nil where no policy could be judged. Tests that are read from a store have
	// none: Service.Finding reads that of a connector's last test.
	Finding *Finding
}

// Fact is one piece of evidence.
type Fact struct {
	Label string
	Text  string
}

// The diagnoses. Each has a page of its name under docs/errors.
const (
	AccessKeyUnknown     = "BLY-2101"
	SecretKeyWrong       = "BLY-2102"
	SessionExpired       = "BLY-2103"
	PermissionMissing    = "BLY-2104"
	RoleNotAssumable     = "BLY-2105"
	WrongPartition       = "BLY-2106"
	RegionUnavailable    = "BLY-2107"
	NoCredentials        = "BLY-2108"
	IRSAVariablesAbsent  = "BLY-2109"
	WebIdentityRefused   = "BLY-2110"
	Throttled            = "BLY-2111"
	ClockSkew            = "BLY-2112"
	MetadataHopLimit     = "BLY-2113"
	ConfigurationRefused = "BLY-2114"
	SecretUnavailable    = "BLY-2115"
	AccountNotReady      = "BLY-2116"
	TokenFileUnreadable  = "BLY-2117"
	RequestAltered       = "BLY-2118"

	HostNotFound   = "BLY-2201"
	HostUnreached  = "BLY-2202"
	TLSNotTrusted  = "BLY-2203"
	ProxyRefused   = "BLY-2204"
	NoAnswerInTime = "BLY-2205"
	NotAWS         = "BLY-2206"
	AWSUnavailable = "BLY-2207"

	FeatureOff = "BLY-2301"
	NoToken    = "BLY-2302"

	Unclassified = "BLY-2999"

	NoEligibleDelegate = "BLY-3101"
	NoDelegateTookIt   = "BLY-3102"
	DelegateWasLost    = "BLY-3103"
	TaskTimedOut       = "BLY-3104"
	DelegateReported   = "BLY-3105"
)

// Codes lists every diagnosis, for the pages and for the tests that compare them.
func Codes() []string {
	return []string{
		AccessKeyUnknown, SecretKeyWrong, SessionExpired, PermissionMissing, RoleNotAssumable, WrongPartition,
		RegionUnavailable, NoCredentials, IRSAVariablesAbsent, WebIdentityRefused, Throttled, ClockSkew, MetadataHopLimit,
		ConfigurationRefused, SecretUnavailable, AccountNotReady, TokenFileUnreadable, RequestAltered,
		HostNotFound, HostUnreached, TLSNotTrusted, ProxyRefused, NoAnswerInTime, NotAWS, AWSUnavailable,
		FeatureOff, NoToken, Unclassified,
		NoEligibleDelegate, NoDelegateTookIt, DelegateWasLost, TaskTimedOut, DelegateReported,
	}
}
