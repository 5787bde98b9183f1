package manager

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/identity"
	"github.com/belay-dev/belay/internal/task"
	"github.com/belay-dev/belay/internal/web"
)

// about is what the pages say of this manager. Addresses of databases hold passwords, so only their kind is said.
func (m *Manager) about() web.About {
	c := m.config
	a := web.About{
		Store: "SQLite, in the data folder", Bell: "within this process", TestEvery: max(cmp.Or(c.TestEvery, connector.DefaultTestEvery), 0),
		KeepTests: cmp.Or(c.Keep.Tests, connector.KeepTestsFor), KeepTasks: cmp.Or(c.Keep.Tasks, task.KeepFinished), KeepAudit: cmp.Or(c.Keep.Audit, keepAudit),
	}
	if strings.HasPrefix(c.Database, "postgres") {
		a.Store = "PostgreSQL"
	}
	switch r := cmp.Or(c.RateLimit, identity.DefaultRate); {
	case r < 0:
		a.RateLimit = "no limit"
	default:
		a.RateLimit = fmt.Sprintf("%g a second, with bursts of twice as many", r)
	}
	return a
}
