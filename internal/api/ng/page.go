package ng

import (
	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/nextgen"
)

// The bounds of a page.
const (
	defaultPageSize = 50
	mostOnPage      = 1000
	mostPages       = 1_000_000
)

// cut is which page of a list is wanted.
type cut struct{ index, size int }

func (p cut) offset() int { return p.index * p.size }

func page(c api.Call) (cut, error) { return pageNamed(c, "pageIndex", "pageSize") }

// pageNamed reads which page is wanted: the words for it differ.
func pageNamed(c api.Call, number, length string) (cut, error) {
	index, err := c.Number(number, 0, 0, mostPages)
	if err != nil {
		return cut{}, err
	}
	size, err := c.Number(length, defaultPageSize, 1, mostOnPage)
	return cut{index, size}, err
}

// dressed makes a page of what a service found.
func dressed[From, To any](list []From, total int, p cut, dress func(From) To) nextgen.Page[To] {
	content := make([]To, len(list))
	for i, one := range list {
		content[i] = dress(one)
	}
	return nextgen.NewPage(content, total, p.index, p.size)
}
