package link

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"unicode/utf8"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/task"
)

const (
	maxMessage  = 4 << 10 // bytes of the reason of a failure
	maxLogLines = 1000    // in one call
	maxLogLine  = 8 << 10 // bytes
)

// acquire leases a task to a delegate and hands its payload over. The answer may hold secrets.
func (s *Server) acquire(r *http.Request, who caller) (any, error) {
	d, err := s.own(who, delegate.ID(r.PathValue("delegate")))
	if err != nil {
		return nil, err
	}
	id := task.ID(r.PathValue("task"))
	lease, payload, err := s.Queue.Acquire(r.Context(), who.account, id, d.ID)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		s.metrics.acquires.WithLabelValues(acquireLost).Inc()
		return nil, refuse(http.StatusConflict, "%s", fault.Sentence(err)) // 204 would read as an empty task
	case err != nil:
		return nil, notNow(err, "the task cannot be leased now")
	}
	s.metrics.acquires.WithLabelValues(acquireWon).Inc()
	t := lease.Task
	out := protocol.Task{
		ID: string(t.ID), Type: t.Kind, Async: true, Fence: lease.Fence, Timeout: max(t.Deadline.Sub(s.Now()).Milliseconds(), 1),
		Logging: protocol.Logging{Abstractions: map[string]string{
			"accountId": t.Scope.Account, "orgIdentifier": t.Scope.Org, "projectIdentifier": t.Scope.Project, "taskId": string(t.ID),
		}},
		Delegate: protocol.TaskDelegate{ID: string(d.ID), InstanceID: string(d.ID)},
	}
	if len(payload) > 0 {
		out.Data = payload
	}
	return out, nil
}

// result takes the end of a task from clients whose data is JSON as it is.
func (s *Server) result(r *http.Request, who caller) (any, error) {
	return s.finish(r, who, r.PathValue("delegate"), func(data json.RawMessage) json.RawMessage { return data })
}

// runnerResult takes it from runners, whose data is base64 in a JSON string.
func (s *Server) runnerResult(r *http.Request, who caller) (any, error) {
	q := r.URL.Query()
	by := q.Get("delegateId")
	if by == "" {
		by = q.Get("runnerId")
	}
	return s.finish(r, who, by, unpack)
}

// finish records a result. Sending it again is fine, since the first answer may have been lost.
func (s *Server) finish(r *http.Request, who caller, by string, data func(json.RawMessage) json.RawMessage) (any, error) {
	d, err := s.own(who, delegate.ID(by))
	if err != nil {
		return nil, err
	}
	var said protocol.Result
	if err := read(r, &said); err != nil {
		return nil, err
	}
	id := r.PathValue("task")
	if said.ID != "" && said.ID != id {
		return nil, fault.New(fault.Invalid, "the result is of task %s, the path names %s", clean(said.ID, 100), clean(id, 100))
	}
	said.Data = data(said.Data)
	report := task.Report{Fence: said.Fence}
	switch said.Code {
	case protocol.CodeOK:
		report.OK, report.Result = true, said.Data
	case protocol.CodeRetry:
		report.GivenBack, report.Message = true, reason(said, "the delegate gave no reason")
	case protocol.CodeFailed:
		report.Message = reason(said, "the delegate gave no reason")
	case protocol.CodeTimeout:
		report.Message = reason(said, "the task ran out of time on the delegate")
	case protocol.CodeUnknown:
		report.Message = reason(said, "the delegate does not know how the task ended")
	default:
		return nil, fault.New(fault.Invalid, "code %q of the result is none of OK, FAILED, RETRY_ON_OTHER_DELEGATE, TIMEOUT and UNKNOWN", clean(said.Code, 50))
	}
	err = s.Queue.Finish(r.Context(), who.account, task.ID(id), d.ID, report)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil, refuse(http.StatusConflict, "the result of task %s comes too late: its lease ended, and the task was ended or offered again", clean(id, 100))
	case err != nil:
		return nil, notNow(err, "the result cannot be kept now")
	}
	return nil, nil //nolint:nilnil // 204
}

// unpack takes base64 out of a JSON string; anything else stays as it is.
func unpack(data json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return data
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil || len(plain) == 0:
		return data
	case json.Valid(plain):
		return plain
	case utf8.Valid(plain):
		quoted, err := json.Marshal(string(plain))
		if err == nil {
			return quoted
		}
	}
	return data
}

// reason is why a task failed, as the delegate says it.
func reason(said protocol.Result, otherwise string) string {
	if said.Error != "" {
		return clean(said.Error, maxMessage)
	}
	var text string
	if json.Unmarshal(said.Data, &text) == nil && text != "" {
		return clean(text, maxMessage)
	}
	var fields struct {
		ErrorMessage string `json:"errorMessage"`
		Error        string `json:"error"`
		Message      string `json:"message"`
	}
	if json.Unmarshal(said.Data, &fields) == nil {
		for _, one := range []string{fields.ErrorMessage, fields.Error, fields.Message} {
			if one != "" {
				return clean(one, maxMessage)
			}
		}
	}
	return otherwise
}

// taskLogs takes the lines that a task writes, as NDJSON.
func (s *Server) taskLogs(r *http.Request, who caller) (any, error) {
	d, err := s.own(who, delegate.ID(r.URL.Query().Get("delegateId")))
	if err != nil {
		return nil, err
	}
	var lines []protocol.LogLine
	scan := bufio.NewScanner(r.Body)
	scan.Buffer(nil, 4*maxLogLine)
	for scan.Scan() {
		if len(scan.Bytes()) == 0 {
			continue
		}
		var line protocol.LogLine
		if json.Unmarshal(scan.Bytes(), &line) != nil {
			return nil, fault.New(fault.Invalid, "line %d of the body is not a log line in JSON", len(lines)+1)
		}
		if len(lines) == maxLogLines {
			return nil, fault.New(fault.Invalid, "the body has more than %d lines; send the rest in another call", maxLogLines)
		}
		line.Level, line.Message = clean(line.Level, 20), clean(line.Message, maxLogLine)
		lines = append(lines, line)
	}
	var long *http.MaxBytesError
	switch err := scan.Err(); {
	case errors.As(err, &long):
		return nil, tooLong()
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fault.New(fault.Invalid, "line %d of the body is longer than %d bytes", len(lines)+1, 4*maxLogLine)
	case err != nil:
		return nil, errHungUp
	}
	id := task.ID(r.PathValue("task"))
	if s.Logs != nil {
		return nil, s.Logs.Append(r.Context(), who.account, id, d.ID, lines)
	}
	if s.Log.Enabled(r.Context(), slog.LevelDebug) {
		for _, line := range lines {
			s.Log.DebugContext(r.Context(), "task says", slog.String("task", clean(string(id), 100)), slog.String("delegate", d.Name),
				slog.String("line_level", line.Level), slog.String("line", line.Message))
		}
	}
	return nil, nil //nolint:nilnil // 204
}
