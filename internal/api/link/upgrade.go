package link

import (
	"fmt"
	"net/http"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
)

// upgradeCheck says which version suits: the manager's own. A newer delegate is left alone, because it comes from a manager
// that is being updated and has answered already; a tag that is no version is somebody's own image.
func upgradeCheck(r *http.Request, _ caller) (any, error) {
	target := delegate.Current()
	tag := clean(r.URL.Query().Get("currentDelegateImageTag"), 128)
	out := protocol.UpgradeCheck{TargetVersion: target.String()}
	current, err := delegate.ParseVersion(tag)
	switch {
	case err != nil:
		out.Reason = fmt.Sprintf("the tag %q is not a version of the delegate", tag)
	case current.Before(target):
		out.ShouldUpgrade, out.Reason = true, fmt.Sprintf("%s is older than the manager's %s", current, target)
	case target.Before(current):
		out.Reason = fmt.Sprintf("%s is newer than the manager's %s; update the manager", current, target)
	default:
		out.Reason = "it is the manager's version"
	}
	return out, nil
}
