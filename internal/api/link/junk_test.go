package link_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/api/apitest"
	"github.com/belay-dev/belay/internal/protocol"
)

// Clients of the protocol try for long what is answered with 5xx, so no body of theirs may be.
func TestJunkInEveryCallIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join("one")
	beat := w.registration("one")
	beat.DelegateID, beat.RunningTasks, beat.Busy = id, []string{"tsk_none"}, "CPU at 93 %"
	text := func(v any) string {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	proof, sent := w.proof(), 0
	for path, good := range map[string]string{
		protocol.PathRegister:                     text(w.registration("one")),
		protocol.PathHeartbeat:                    text(beat),
		work(protocol.PathResult, id, "tsk_none"): `{"id":"tsk_none","type":"PING","code":"OK","data":{"a":[1]}}`,
		work(protocol.PathRunnerResult, id, "tsk_none") + "?delegateId=" + id: `{"id":"tsk_none","type":"PING","code":"FAILED","error":"e","data":"e30="}`,
		work(protocol.PathRunnerResultV2, id, "tsk_none") + "?runnerId=" + id: `{"id":"tsk_none","type":"PING","code":"TIMEOUT","data":"e30="}`,
		work(protocol.PathCapacity, id, ""):                                   `{"maximumNumberOfBuilds":4}`,
		work(protocol.PathLogs, id, "tsk_none") + "?delegateId=" + id:         `{"level":"INFO","message":"m","time":"2026-11-23T10:00:00Z"}`,
	} {
		for _, body := range apitest.Junk(good) {
			sent++
			join := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path+join+"accountId="+w.account, strings.NewReader(body))
			r.Header.Set("Authorization", proof)
			a := httptest.NewRecorder()
			w.http.Config.Handler.ServeHTTP(a, r)
			if a.Code >= http.StatusInternalServerError || a.Code >= http.StatusMultipleChoices && a.Body.Len() == 0 {
				t.Errorf("%s %.200q: %d %s", path, body, a.Code, a.Body)
			}
		}
	}
	if sent < 500 {
		t.Errorf("only %d bodies were sent", sent)
	}
	if a := w.call(http.MethodPost, protocol.PathHeartbeat, text(beat)); a.status != http.StatusOK {
		t.Errorf("a good heartbeat after all that: %d %s", a.status, a.text)
	}
}
