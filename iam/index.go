package iam

import "strings"

// statement is a compiled Statement.
type statement struct {
	from       *Statement
	layer      Layer
	policy     string
	level      string
	index      int
	order      int // unique in the set, in the order in which policies were given
	effect     Effect
	actions    []actionPattern
	notAction  bool
	listed     *actionList // of a NotAction
	resources  []pattern
	notRes     bool
	badRes     bool        // NotResource holds an invalid pattern, so that it matches nothing
	who        *principals // nil where the principal does not count
	conditions []condition
	variables  []string // in small letters: what the request must have
}

// actionPattern is a pattern of an action, in small letters, cut at its colon. A star does not cross the colon; "*" alone
// matches every action.
type actionPattern struct {
	service glob
	name    glob
	text    string // encoded, both with the colon
	bare    bool   // there is no colon
}

func newActionPattern(s string) actionPattern {
	text := encodeGlob(lowerASCII(s))
	service, name, colon := strings.Cut(text, ":")
	if !colon && onlyStars(service) {
		return actionPattern{service: newGlob("\xff"), name: newGlob("\xff"), text: text}
	}
	return actionPattern{service: newGlob(service), name: newGlob(name), text: text, bare: !colon}
}

func (a *actionPattern) match(service, name []byte) bool {
	return !a.bare && a.service.matchBytes(service) && a.name.matchBytes(name)
}

// index finds the statements whose action may match, so that a decision does not look at those of other services.
type index struct {
	exact   map[string][]*statement // by action
	service map[string][]entry      // patterns of one service's actions
	loose   []entry                 // patterns with a star in the service, and "*"
	not     []*statement            // NotAction
}

type entry struct {
	pattern   actionPattern
	statement *statement
}

func (x *index) add(s *statement) {
	if s.notAction {
		x.not = append(x.not, s)
		return
	}
	alone := []*statement{s} // most actions stand in one statement
	for _, a := range s.actions {
		switch {
		case a.bare:
		case a.service.kind != literalGlob:
			x.loose = append(x.loose, entry{a, s})
		case a.name.kind == literalGlob:
			if x.exact == nil {
				x.exact = make(map[string][]*statement, len(s.actions))
			}
			if others, ok := x.exact[a.text]; ok {
				x.exact[a.text] = append(others, s)
			} else {
				x.exact[a.text] = alone[:1:1] // append copies it
			}
		default:
			if x.service == nil {
				x.service = map[string][]entry{}
			}
			x.service[a.service.text] = append(x.service[a.service.text], entry{a, s})
		}
	}
}

// empty reports whether no statement is in it.
func (x *index) empty() bool {
	return len(x.exact) == 0 && len(x.service) == 0 && len(x.loose) == 0 && len(x.not) == 0
}

// candidates walks the statements of an index whose action matches a request's. A statement with several patterns may
// come more than once.
type candidates struct {
	exact   []*statement
	service []entry
	loose   []entry
	not     []*statement
}

func (x *index) candidates(e *evaluation) candidates {
	c := candidates{loose: x.loose, not: x.not}
	if len(x.exact) > 0 {
		c.exact = x.exact[string(e.action[:e.length])]
	}
	if len(x.service) > 0 {
		c.service = x.service[string(e.service())]
	}
	return c
}

// next is the next statement, or nil.
func (c *candidates) next(e *evaluation) *statement {
	if len(c.exact) > 0 {
		s := c.exact[0]
		c.exact = c.exact[1:]
		return s
	}
	for _, list := range [...]*[]entry{&c.service, &c.loose} {
		for len(*list) > 0 {
			one := &(*list)[0]
			*list = (*list)[1:]
			if one.pattern.match(e.service(), e.name()) {
				return one.statement
			}
		}
	}
	for len(c.not) > 0 {
		s := c.not[0]
		c.not = c.not[1:]
		if s.matchesAction(e) {
			return s
		}
	}
	return nil
}

// actionList finds an action among many patterns, which a NotAction may have by the hundred.
type actionList struct {
	exact   map[string]bool
	service map[string][]actionPattern
	loose   []actionPattern
}

func newActionList(patterns []actionPattern) *actionList {
	l := &actionList{exact: map[string]bool{}, service: map[string][]actionPattern{}}
	for _, a := range patterns {
		switch {
		case a.bare:
		case a.service.kind != literalGlob:
			l.loose = append(l.loose, a)
		case a.name.kind == literalGlob:
			l.exact[a.text] = true
		default:
			l.service[a.service.text] = append(l.service[a.service.text], a)
		}
	}
	return l
}

func (l *actionList) has(e *evaluation) bool {
	if l.exact[string(e.action[:e.length])] {
		return true
	}
	for _, list := range [...][]actionPattern{l.service[string(e.service())], l.loose} {
		for i := range list {
			if list[i].match(e.service(), e.name()) {
				return true
			}
		}
	}
	return false
}

func (s *statement) matchesAction(e *evaluation) bool {
	if s.listed != nil {
		return !s.listed.has(e)
	}
	for i := range s.actions {
		if s.actions[i].match(e.service(), e.name()) {
			return !s.notAction
		}
	}
	return s.notAction
}
