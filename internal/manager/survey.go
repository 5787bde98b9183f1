package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/preflight"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

// surveys get preflights done: it is the preflight service's runner, and the queue's handler for their task type. A preflight
// is one task, whose id is the preflight's with another prefix.
type surveys struct {
	*validation // resolves connectors

	Preflights interface {
		Record(ctx context.Context, o preflight.Outcome) error
	}
}

// surveyKind is the task type of a survey. It only reads, so it may be done twice.
func surveyKind() task.Kind {
	return task.Kind{Name: protocol.TypeAWSSurvey, RetrySafe: true, Timeout: preflight.Timeout, Lease: 30 * time.Second}
}

// surveyParams is what a survey's task row holds beside the connector's name. It holds no secret.
type surveyParams struct {
	By           string              `json:"by"`
	Capabilities []string            `json:"capabilities,omitempty"`
	Narrowing    catalogue.Narrowing `json:"narrowing"`
	Fresh        bool                `json:"fresh,omitempty"`
}

func (p surveyParams) options() preflight.Options {
	return preflight.Options{Capabilities: p.Capabilities, Narrowing: p.Narrowing, Fresh: p.Fresh}
}

const preflightPrefix = "pfl_"

func taskOfPreflight(id string) task.ID {
	return task.ID(taskPrefix + strings.TrimPrefix(id, preflightPrefix))
}

// Start queues a survey.
func (s *surveys) Start(ctx context.Context, r preflight.Request) error {
	params, err := json.Marshal(surveyParams{By: r.By, Capabilities: r.Options.Capabilities, Narrowing: r.Options.Narrowing, Fresh: r.Options.Fresh})
	if err != nil {
		return err
	}
	t := connectorTask(r.Connector, protocol.TypeAWSSurvey)
	t.ID, t.Params = taskOfPreflight(r.ID), params
	_, err = s.Queue.Submit(ctx, t)
	return err
}

// Wait returns when the preflight is recorded.
func (s *surveys) Wait(ctx context.Context, id string) error {
	_, err := s.Queue.Wait(ctx, taskOfPreflight(id))
	return err
}

// Prepare resolves the connector as it stands now for the delegate that leased the task.
func (s *surveys) Prepare(ctx context.Context, t task.Task, _ delegate.ID) ([]byte, error) {
	var p surveyParams
	if err := json.Unmarshal(t.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of task %s: %w", t.ID, err)
	}
	stored, err := s.Store.Connector(ctx, t.Scope, t.Subject)
	if err != nil {
		return nil, err
	}
	access, err := s.access(ctx, stored.Connector, purpose{oidc.ConnectorValidation, p.By, t.Deadline})
	if err != nil {
		return nil, err
	}
	asked, err := preflight.Asked(p.options())
	if err != nil {
		return nil, err
	}
	return awstask.EncodeSurvey(connector.Survey{Access: access, Fresh: p.Fresh, Timeout: time.Until(t.Deadline) - answerTime, Ask: asked})
}

// Settle records what came of a survey.
func (s *surveys) Settle(ctx context.Context, t task.Task) error {
	var p surveyParams
	if err := json.Unmarshal(t.Params, &p); err != nil {
		return fmt.Errorf("read the parameters of task %s: %w", t.ID, err)
	}
	stored, err := s.Store.Connector(ctx, t.Scope, t.Subject)
	if fault.KindOf(err) == fault.NotFound {
		return nil // deleted in the meantime: nobody is left to tell
	} else if err != nil {
		return err
	}
	o := preflight.Outcome{
		Request: preflight.Request{
			ID: preflightPrefix + strings.TrimPrefix(string(t.ID), taskPrefix), Connector: stored.Connector, Options: p.options(), By: p.By,
		},
		StartedAt: t.CreatedAt, EndedAt: t.FinishedAt, DelegateID: string(t.LeasedBy), Delegate: s.name(t),
	}
	o.Evidence, o.NotRun = outcome(t)
	return s.Preflights.Record(ctx, o)
}

// outcome is the evidence that a task brought, or why it brought none.
func outcome(t task.Task) (*connector.Evidence, *connector.NotRun) {
	if t.State != task.Succeeded {
		return nil, notRun(t.Failure)
	}
	evidence, err := awstask.DecodeEvidence(t.Result)
	if err != nil {
		return nil, &connector.NotRun{Cause: connector.Reported, Message: "The delegate's answer cannot be read: " + err.Error()}
	}
	return &evidence, nil
}
