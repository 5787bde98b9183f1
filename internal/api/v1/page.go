package v1

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
)

// page serves the page of an error code.
func (s *Server) page(_ context.Context, c api.Call) (api.Text, error) {
	name := c.Path("page")
	if !isCode(name) {
		return api.Text{}, noPage(name)
	}
	text, err := fs.ReadFile(s.Pages, name+".md")
	if errors.Is(err, fs.ErrNotExist) {
		return api.Text{}, noPage(name)
	}
	return api.Text{Type: "text/markdown; charset=utf-8", Text: text}, err
}

func noPage(name string) error {
	return fault.New(fault.NotFound, "there is no page about %.40q; codes look like BLY-2104", name)
}

// isCode reports whether a name is that of an error code: BLY- and four digits.
func isCode(name string) bool {
	digits, found := strings.CutPrefix(name, "BLY-")
	return found && len(digits) == 4 && strings.Trim(digits, "0123456789") == ""
}
