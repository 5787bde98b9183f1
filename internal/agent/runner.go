package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/protocol"
)

// Runner does one kind of task. It must come back soon after ctx ends. payload may hold secrets; the result is JSON and
// must not hold any, nor may the error, whose text is shown to whoever waits for the task.
type Runner interface {
	Run(ctx context.Context, payload []byte, log LineWriter) (result []byte, err error)
}

// LineWriter takes the lines of a task's log. They are shown to users: no secrets.
type LineWriter interface {
	Line(level, message string)
}

// Levels of a log line.
const (
	LineInfo  = "INFO"
	LineWarn  = "WARN"
	LineError = "ERROR"
)

// PingRunner answers protocol.TypePing.
type PingRunner struct{ HostName string }

// Run answers with the text that it was sent.
func (p PingRunner) Run(_ context.Context, payload []byte, _ LineWriter) ([]byte, error) {
	var ping protocol.Ping
	if len(payload) > 0 && json.Unmarshal(payload, &ping) != nil {
		return nil, errors.New("the payload of the ping is not the JSON that was expected")
	}
	return json.Marshal(protocol.Pong{Text: ping.Text, HostName: p.HostName, Version: delegate.Current().String()})
}

type validator interface {
	// Validate tries a connector and says what it saw; a failure is in the evidence.
	Validate(ctx context.Context, c connector.Check) connector.Evidence
}

// AWSRunner does protocol.TypeAWSValidate: it tests a connection. A connection that fails is a result, not an error.
type AWSRunner struct{ Validator validator }

// Run tests the connection that the payload describes.
func (a AWSRunner) Run(ctx context.Context, payload []byte, log LineWriter) ([]byte, error) {
	check, err := awstask.DecodeCheck(payload)
	if err != nil {
		return nil, err
	}
	if check.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, check.Timeout, fmt.Errorf("the connection test took longer than %s", check.Timeout))
		defer cancel()
	}
	log.Line(LineInfo, fmt.Sprintf("testing connector %s in %s", check.Access.Name, check.Access.Region))
	evidence := a.Validator.Validate(ctx, check)
	switch f := evidence.Failure; {
	case f != nil:
		log.Line(LineWarn, fmt.Sprintf("the step %s failed", f.Step))
	case evidence.Identity != nil:
		log.Line(LineInfo, "AWS knows the credentials as "+evidence.Identity.ARN)
	}
	return awstask.EncodeEvidence(evidence)
}

type surveyor interface {
	// Survey learns what a connector's identity may do; what failed or is unknown is in the evidence.
	Survey(ctx context.Context, s connector.Survey) connector.Evidence
}

// AWSSurveyRunner does protocol.TypeAWSSurvey: it reads the policies of a connector's identity.
type AWSSurveyRunner struct{ Surveyor surveyor }

// Run makes the survey that the payload describes.
func (a AWSSurveyRunner) Run(ctx context.Context, payload []byte, log LineWriter) ([]byte, error) {
	survey, err := awstask.DecodeSurvey(payload)
	if err != nil {
		return nil, err
	}
	log.Line(LineInfo, fmt.Sprintf("reading the policies of connector %s", survey.Access.Name))
	evidence := a.Surveyor.Survey(ctx, survey)
	if f := evidence.Failure; f != nil {
		log.Line(LineWarn, fmt.Sprintf("the step %s failed", f.Step))
	}
	return awstask.EncodeEvidence(evidence)
}
