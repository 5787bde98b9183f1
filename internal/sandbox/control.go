package sandbox

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

func joined(problems []string) string { return strings.Join(problems, "; ") }

// control serves what only who runs the sandbox may do. It has no key: it is for this machine, so the request must come
// from it, must have been sent to it by a loopback name, and must not come from a page in a browser.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if text := strangerness(r); text != "" {
		answerJSON(w, http.StatusForbidden, map[string]string{"error": text})
		return
	}
	body, tooLong := readBody(r, maxBody)
	if tooLong {
		answerJSON(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "the body is too long"})
		return
	}
	out, err := s.controlled(r.Method+" "+strings.TrimPrefix(r.URL.Path, "/_belay/"), body)
	if err != nil {
		f := asFailure(err)
		if f.sort == internal {
			s.log.ErrorContext(r.Context(), "control of the sandbox failed", slog.Any("error", err))
			f = fail(http.StatusInternalServerError, "InternalFailure", "the sandbox is broken; its log says why")
		}
		answerJSON(w, f.status, map[string]string{"error": f.message})
		return
	}
	answerJSON(w, http.StatusOK, out)
}

// strangerness says why a request is not from who runs the sandbox, or "".
func strangerness(r *http.Request) string {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopback(from) {
		return "the controls answer on the sandbox's own machine only"
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !loopback(strings.Trim(host, "[]")) {
		return "the controls are reached as localhost or 127.0.0.1 only"
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return "the controls do not answer pages in a browser"
	}
	return ""
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // the client may have gone
}

// controlled does one control.
func (s *Server) controlled(what string, body []byte) (any, error) {
	switch what {
	case "GET health":
		return map[string]string{"status": "ok"}, nil
	case "GET settings":
		return s.Settings(), nil
	case "PUT settings":
		to := s.Settings()
		to.Simulations = nil // what is given replaces them
		had := s.Settings().Simulations
		if err := strictly(body, &to); err != nil {
			return nil, err
		}
		if to.Simulations == nil {
			to.Simulations = had
		}
		if err := s.Set(to); err != nil {
			return nil, err
		}
		return s.Settings(), nil
	case "GET clock":
		return map[string]time.Time{"now": s.now()}, nil
	case "PUT clock":
		return s.setClock(body)
	case "POST seed":
		return s.Seed(body)
	case "POST token":
		var in TokenRequest
		if err := strictly(body, &in); err != nil {
			return nil, err
		}
		token, err := s.Token(in)
		return map[string]string{"token": token}, err
	}
	return nil, fail(http.StatusNotFound, "NotFound", "the controls are GET health, GET and PUT settings, GET and PUT clock, POST seed, POST token")
}

// strictly reads JSON and refuses names that it does not know.
func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fail(http.StatusBadRequest, "InvalidInput", "the body is not what this control takes: %s", err)
	}
	return nil
}

func (s *Server) setClock(body []byte) (any, error) {
	var in struct {
		Now    time.Time `json:"now"`
		Offset *Duration `json:"offset"`
	}
	if err := strictly(body, &in); err != nil {
		return nil, err
	}
	to := s.Settings()
	switch {
	case in.Offset != nil && in.Now.IsZero():
		to.ClockOffset = *in.Offset
	case in.Offset == nil && !in.Now.IsZero():
		to.ClockOffset = Duration(in.Now.Sub(s.config.Now()))
	default:
		return nil, fail(http.StatusBadRequest, "InvalidInput", "give either now, a time, or offset, a time span such as -20m")
	}
	if err := s.Set(to); err != nil {
		return nil, err
	}
	return map[string]time.Time{"now": s.now()}, nil
}
