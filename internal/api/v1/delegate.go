package v1

import (
	"context"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/task"
)

// Delegate is one running delegate.
type Delegate struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	HostName     string    `json:"hostName"`
	IP           string    `json:"ip"`
	Type         string    `json:"type"`
	Description  string    `json:"description"`
	Tags         []string  `json:"tags"`
	Version      string    `json:"version"`
	Org          string    `json:"org"`
	Project      string    `json:"project"`
	Token        string    `json:"token"` // id of the token that it registered with
	Connected    bool      `json:"connected"`
	LastSeen     time.Time `json:"lastSeen"`
	RegisteredAt time.Time `json:"registeredAt"`
	TokenRevoked bool      `json:"tokenRevoked"` // it is cut off, because its token was revoked or is gone
	Draining     bool      `json:"draining"`
	Busy         string    `json:"busy"` // why it takes nothing now, or empty
}

func (s *Server) listDelegates(ctx context.Context, c api.Call) (List[Delegate], error) {
	list, err := s.Delegates.List(ctx, c.Who, c.At)
	now := s.Now()
	return listed(list, func(d delegate.Delegate) Delegate {
		return Delegate{
			ID: string(d.ID), Name: d.Name, HostName: d.HostName, IP: d.IP, Type: d.Type, Description: d.Description, Tags: orEmpty(d.Tags),
			Version: d.Version.String(), Org: d.Scope.Org, Project: d.Scope.Project, Token: d.TokenID, Connected: d.Alive(now),
			LastSeen: d.LastSeen.UTC(), RegisteredAt: d.RegisteredAt.UTC(), TokenRevoked: d.Revoked, Draining: d.Draining, Busy: d.Busy,
		}
	}), err
}

// Choice is which delegates may take a piece of work, and why the others may not.
type Choice struct {
	Sentence string    `json:"sentence"` // why nobody can, or empty
	Eligible []string  `json:"eligible"` // names, each once
	Opinions []Opinion `json:"opinions"`
}

// Opinion is the verdict on one delegate.
type Opinion struct {
	Delegate string `json:"delegate"`
	HostName string `json:"hostName"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
}

// choiceOf leaves out the delegates that the caller may not see.
func choiceOf(who audit.Caller, c delegate.Choice) Choice {
	out := Choice{Sentence: c.Sentence(), Eligible: []string{}, Opinions: []Opinion{}}
	for _, o := range c.VisibleTo(who).Opinions {
		d := o.Delegate
		if o.Verdict == delegate.Eligible && !slices.Contains(out.Eligible, d.Name) {
			out.Eligible = append(out.Eligible, d.Name)
		}
		out.Opinions = append(out.Opinions, Opinion{Delegate: d.Name, HostName: d.HostName, Verdict: string(o.Verdict), Reason: o.Reason})
	}
	return out
}

// choice explains which delegates would take a task with some selectors.
func (s *Server) choice(ctx context.Context, c api.Call) (Choice, error) {
	if _, err := s.Delegates.List(ctx, c.Who, c.At); err != nil { // it decides whether the caller may know
		return Choice{}, err
	}
	return choiceOf(c.Who, s.Delegates.Choose(delegate.Need{Scope: c.At, Selectors: c.QueryAll("selector")})), nil
}

// Pong is a delegate's answer.
type Pong struct {
	Delegate    string `json:"delegate"`
	HostName    string `json:"hostName"`
	Version     string `json:"version"`
	RoundTripMS int64  `json:"roundTripMs"`
}

func (s *Server) ping(ctx context.Context, c api.Call) (Pong, error) {
	name := c.Path("name")
	pong, took, err := s.Pinger.Ping(ctx, c.Who, c.At, name)
	return Pong{Delegate: name, HostName: pong.HostName, Version: pong.Version, RoundTripMS: took.Milliseconds()}, err
}

// TokenValue is a delegate token as a delegate is configured with it.
type TokenValue struct {
	Name  string `json:"name"`
	Value string `json:"value"` // 32 hex digits
}

func (s *Server) tokenValue(ctx context.Context, c api.Call) (TokenValue, error) {
	t, err := s.Tokens.Token(ctx, c.Who, c.At, c.Path("name"))
	if err != nil {
		return TokenValue{}, err
	}
	value, err := s.Tokens.Reveal(ctx, c.Who, t) //nolint:forbidigo // authorized and audited there
	if err != nil {
		return TokenValue{}, err
	}
	return TokenValue{Name: t.Name, Value: value.Reveal()}, nil //nolint:forbidigo // what the call is for
}

// Task is a piece of work for a delegate.
type Task struct {
	ID         string       `json:"id"`
	Type       string       `json:"type"`
	Subject    string       `json:"subject"`
	State      string       `json:"state"`
	Delegate   string       `json:"delegate"` // name of the one that has it or had it, or empty
	Attempts   int          `json:"attempts"`
	CreatedAt  time.Time    `json:"createdAt"`
	FinishedAt *time.Time   `json:"finishedAt"`
	Failure    *TaskFailure `json:"failure"`
	Waiting    *Choice      `json:"waiting"` // who could take it, while it is queued
}

// TaskFailure is why a task did not succeed.
type TaskFailure struct {
	Cause   string   `json:"cause"`
	Message string   `json:"message"`
	Reasons []string `json:"reasons"` // every delegate with its reason
}

func (s *Server) task(ctx context.Context, c api.Call) (Task, error) {
	t, err := s.Tasks.Task(ctx, c.Who, task.ID(c.Path("id")))
	if err != nil {
		return Task{}, err
	}
	out := Task{
		ID: string(t.ID), Type: t.Kind, Subject: t.Subject, State: string(t.State), Delegate: s.name(t.Scope, t.LeasedBy),
		Attempts: t.Attempts, CreatedAt: t.CreatedAt.UTC(), FinishedAt: moment(t.FinishedAt),
	}
	if t.Failure.Cause != task.CauseNone {
		out.Failure = &TaskFailure{Cause: string(t.Failure.Cause), Message: t.Failure.Message, Reasons: orEmpty(t.Failure.Reasons)}
	}
	if t.State == task.Queued && !t.Platform {
		out.Waiting = new(choiceOf(c.Who, s.Delegates.Choose(t.Need())))
	}
	return out, nil
}

// name is a delegate's name, or its id when it is known no more.
func (s *Server) name(at scope.Scope, id delegate.ID) string {
	switch id {
	case "":
		return ""
	case delegate.PlatformID:
		return delegate.PlatformName
	}
	if d, err := s.Delegates.Delegate(at.Account, id); err == nil {
		return d.Name
	}
	return string(id)
}
