package awsops

import "strings"

// Straighten and Clean are what the fuzz tests need of the inside.
var (
	Straighten  = straighten
	Clean       = clean
	SessionName = sessionName
)

// Harmless are the actions of the harmless calls, and whether each is on a bucket.
func Harmless() map[string]bool {
	all := map[string]bool{}
	for _, c := range calls {
		all[c.action] = strings.Contains(c.path, "{bucket}")
	}
	return all
}
