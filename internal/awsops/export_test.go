package awsops

// Straighten and Clean are what the fuzz tests need of the inside.
var (
	Straighten  = straighten
	Clean       = clean
	SessionName = sessionName
)
