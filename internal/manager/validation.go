package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
	"github.com/belay-dev/belay/internal/task"
)

// validation gets connection tests done: it is the connector service's runner, and the queue's handler for their task
// type. A test is one task, whose id is the test's with another prefix, so that either can be found from the other.
type validation struct {
	Queue      *task.Queue
	Connectors interface {
		Record(ctx context.Context, r connector.Result) error
	}
	Store interface {
		Connector(ctx context.Context, at scope.Scope, id string) (connector.Stored, error)
	}
	Secrets interface {
		Resolve(ctx context.Context, from scope.Scope, ref scope.Ref) (secret.Value, error)
	}
	Issuer interface {
		Mint(ctx context.Context, u oidc.Use) (oidc.Token, error)
	}
	Fleet interface {
		Delegate(account string, id delegate.ID) (delegate.Delegate, error)
	}
	Log *slog.Logger
}

// validationKind is the task type of a connection test. Testing twice does no harm. Its lease is short, because a test
// lasts seconds: a delegate that dies with it must be replaced within the test's minute.
func validationKind() task.Kind {
	return task.Kind{Name: protocol.TypeAWSValidate, RetrySafe: true, Timeout: connector.TestTimeout, Lease: 20 * time.Second}
}

// validationParams is what a test's task row holds beside the connector's name. It holds no secret.
type validationParams struct {
	By           string `json:"by"`
	Trigger      string `json:"trigger"`
	IdentityOnly bool   `json:"identityOnly,omitempty"`
	Fresh        bool   `json:"fresh,omitempty"`
	Prove        bool   `json:"proveExternalId,omitempty"`
}

const testPrefix, taskPrefix = "tst_", "tsk_"

func taskOf(testID string) task.ID {
	return task.ID(taskPrefix + strings.TrimPrefix(testID, testPrefix))
}

func testOf(id task.ID) string { return testPrefix + strings.TrimPrefix(string(id), taskPrefix) }

// Start queues a test.
func (v *validation) Start(ctx context.Context, r connector.Request) error {
	c := r.Connector
	params, err := json.Marshal(validationParams{
		By: r.By, Trigger: string(r.Options.Trigger), IdentityOnly: r.Options.IdentityOnly, Fresh: r.Options.Fresh,
		Prove: r.Options.ProveExternalID,
	})
	if err != nil {
		return err
	}
	t := connectorTask(c, protocol.TypeAWSValidate)
	t.ID, t.Params = taskOf(r.TestID), params
	_, err = v.Queue.Submit(ctx, t)
	return err
}

// connectorTask is a task that uses a connector.
func connectorTask(c connector.Connector, kind string) task.Task {
	need := awstask.NeedOf(c, kind)
	return task.Task{
		Scope: need.Scope, Kind: kind, Subject: c.ID, Selectors: need.Selectors, MinVersion: need.MinVersion, MinReason: need.MinReason,
		Platform: !c.OnDelegate(),
	}
}

// Wait returns when the test is recorded.
func (v *validation) Wait(ctx context.Context, testID string) error {
	_, err := v.Queue.Wait(ctx, taskOf(testID))
	return err
}

// Prepare resolves the connector as it stands now for the delegate that leased the task.
func (v *validation) Prepare(ctx context.Context, t task.Task, _ delegate.ID) ([]byte, error) {
	var p validationParams
	if err := json.Unmarshal(t.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of task %s: %w", t.ID, err)
	}
	stored, err := v.Store.Connector(ctx, t.Scope, t.Subject)
	if err != nil {
		return nil, err
	}
	access, err := v.access(ctx, stored.Connector, purpose{validationContext(connector.Trigger(p.Trigger)), p.By, t.Deadline})
	if err != nil {
		return nil, err
	}
	return awstask.EncodeCheck(connector.Check{
		Access: access, IdentityOnly: p.IdentityOnly, Fresh: p.Fresh, ProveExternalID: p.Prove, Timeout: time.Until(t.Deadline) - answerTime,
	})
}

// purpose is what a connector is resolved for: it stands in the tokens that are minted for it.
type purpose struct {
	context oidc.Context
	by      string
	until   time.Time
}

func validationContext(t connector.Trigger) oidc.Context {
	if t == connector.Periodic {
		return oidc.PerpetualTask
	}
	return oidc.ConnectorValidation
}

// answerTime is kept back from a test's time-out, so that a delegate that ran into it can still say where.
const answerTime = 5 * time.Second

// access resolves a connector's references, and mints its token, for one task.
func (v *validation) access(ctx context.Context, c connector.Connector, p purpose) (connector.Access, error) {
	a := connector.Access{
		Key: c.Key(), Revision: c.Revision, Name: c.ID, CrossAccount: c.CrossAccount, Region: c.TestRegion(), Backoff: c.Retry(),
	}
	switch credential := c.Credential.(type) {
	case connector.ManualConfig:
		keys := connector.StaticKeys{AccessKey: credential.AccessKey}
		resolve := func(field string, ref scope.Ref, into *secret.Value) error {
			if ref == "" {
				return nil
			}
			value, err := v.Secrets.Resolve(ctx, c.Scope, ref)
			if err != nil {
				return &fault.Error{Kind: fault.KindOf(err), Message: fmt.Sprintf("%s: %s", field, fault.Sentence(err)), Cause: err}
			}
			*into = value
			return nil
		}
		var id secret.Value
		for _, one := range []struct {
			field string
			ref   scope.Ref
			into  *secret.Value
		}{
			{"accessKeyRef", credential.AccessKeyRef, &id},
			{"secretKeyRef", credential.SecretKeyRef, &keys.SecretKey},
			{"sessionTokenRef", credential.SessionTokenRef, &keys.SessionToken},
		} {
			if err := resolve(one.field, one.ref, one.into); err != nil {
				return connector.Access{}, err
			}
		}
		if credential.AccessKeyRef != "" {
			keys.AccessKey = awstask.AccessKeyID(id)
		}
		a.Source = keys
	case connector.Kubernetes:
		return connector.Access{}, fault.New(fault.Invalid, "connector %s is one of a Kubernetes cluster, which gives no access to AWS", c.ID)
	case connector.InheritFromDelegate:
		a.Source = connector.DelegateRole{}
	case connector.IRSA:
		a.Source = connector.WebIdentityFile{}
	case connector.OIDC:
		use, _ := oidc.UseOf(c, p.context, p.by, p.until)
		token, err := v.Issuer.Mint(ctx, use)
		if err != nil {
			return connector.Access{}, err
		}
		a.Source = connector.WebIdentityToken{RoleARN: credential.RoleARN, Token: token.Text, Says: token.Says}
	}
	return a, nil
}

// Settle records what came of a test.
func (v *validation) Settle(ctx context.Context, t task.Task) error {
	var p validationParams
	if err := json.Unmarshal(t.Params, &p); err != nil {
		return fmt.Errorf("read the parameters of task %s: %w", t.ID, err)
	}
	stored, err := v.Store.Connector(ctx, t.Scope, t.Subject)
	if fault.KindOf(err) == fault.NotFound {
		return nil // deleted while it was tested: nobody is left to tell
	} else if err != nil {
		return err
	}
	r := connector.Result{
		Request: connector.Request{
			TestID: testOf(t.ID), Connector: stored.Connector, By: p.By,
			Options: connector.Options{IdentityOnly: p.IdentityOnly, Fresh: p.Fresh, ProveExternalID: p.Prove, Trigger: connector.Trigger(p.Trigger)},
		},
		StartedAt: t.CreatedAt, EndedAt: t.FinishedAt, DelegateID: string(t.LeasedBy), Delegate: v.name(t),
	}
	r.Evidence, r.NotRun = outcome(t)
	return v.Connectors.Record(ctx, r)
}

func (v *validation) name(t task.Task) string {
	switch t.LeasedBy {
	case "":
		return ""
	case delegate.PlatformID:
		return delegate.PlatformName
	}
	if d, err := v.Fleet.Delegate(t.Scope.Account, t.LeasedBy); err == nil {
		return d.Name
	}
	return string(t.LeasedBy)
}

func notRun(f task.Failure) *connector.NotRun {
	n := &connector.NotRun{Message: f.Message, Reasons: f.Reasons}
	switch f.Cause {
	case task.CauseNoDelegate:
		n.Cause = connector.NoDelegate
	case task.CauseNotTaken:
		n.Cause = connector.NotTaken
	case task.CauseDelegateLost:
		n.Cause = connector.DelegateLost
	case task.CauseTimeout:
		n.Cause = connector.TookTooLong
	case task.CausePrepare:
		n.Cause = connector.NotPrepared
	case task.CauseReported, task.CauseCancelled, task.CauseNone:
		n.Cause = connector.Reported
	}
	return n
}
