// Package protocol is the words that manager and delegate exchange, as JSON. Paths, names and codes are those of the
// existing delegate protocol, so that clients written for it work unchanged; fields marked "ours" are additions that such
// clients neither send nor miss.
//
// A delegate registers, sends a heartbeat every ten seconds, and keeps a long poll for events open. An event offers a
// task; acquiring leases it and gives its payload; the result ends it. Every call carries the header
// "Authorization: Delegate <JWE>", whose claims are encrypted with the delegate's token (see Claims).
package protocol

import "encoding/json"

// Paths, with the placeholders of net/http patterns. All take the query accountId.
const (
	PathRegister       = "/api/agent/delegates/register"
	PathHeartbeat      = "/api/agent/delegates/heartbeat-with-polling"
	PathEvents         = "/api/agent/delegates/{delegate}/task-events"
	PathAcquire        = "/api/agent/v2/delegates/{delegate}/tasks/{task}/acquire"
	PathResult         = "/api/agent/v2/tasks/{task}/delegates/{delegate}"
	PathRunnerResult   = "/api/executions/{task}/response"
	PathRunnerResultV2 = "/api/executions/{task}/task-response"
	PathCapacity       = "/api/agent/delegates/register-delegate-capacity/{delegate}"
	PathLogs           = "/api/agent/v2/tasks/{task}/logs"   // ours: NDJSON of LogLine
	PathUnregister     = "/api/agent/delegates/{delegate}"   // ours: DELETE when a delegate has drained
	PathUpgradeCheck   = "/api/agent/upgrade-check/delegate" // ours: asked by `belay upgrader`, with currentDelegateImageTag
	PathAccountStatus  = "/api/account/{account}/status"     // asked by start scripts with PRECHECK_CONN=true
)

// UpgradeCheck is which version of the delegate suits the manager.
type UpgradeCheck struct {
	TargetVersion string `json:"targetVersion"` // yy.mm.build, which is the tag of the image
	ShouldUpgrade bool   `json:"shouldUpgrade"`
	Reason        string `json:"reason"` // why, or why not
}

// AuthScheme begins the Authorization header.
const AuthScheme = "Delegate "

// Claims are what a delegate says of itself under its token: a compact JWE of five parts with the protected header
// {"alg":"dir","enc":"A128GCM","typ":"JWT"}, whose key is the 16 bytes of the token.
type Claims struct {
	Audience []string `json:"aud,omitempty"`
	Expires  int64    `json:"exp"` // seconds
	Issued   int64    `json:"iat"`
	Issuer   string   `json:"iss,omitempty"`
	ID       string   `json:"jti,omitempty"`
	Subject  string   `json:"sub"` // the account
}

// Registration is a delegate that introduces itself. The heartbeat sends the same object again.
type Registration struct {
	AccountID           string   `json:"accountId,omitempty"`
	DelegateName        string   `json:"delegateName,omitempty"`
	DelegateRandomToken string   `json:"delegateRandomToken,omitempty"` // existing clients send the token itself: never log this object
	LastHeartbeat       int64    `json:"lastHeartBeat,omitempty"`
	DelegateID          string   `json:"delegateId,omitempty"`
	DelegateType        string   `json:"delegateType,omitempty"`
	NG                  bool     `json:"ng,omitempty"`
	PollingModeEnabled  bool     `json:"pollingModeEnabled,omitempty"`
	HostName            string   `json:"hostName,omitempty"`
	Connected           bool     `json:"connected,omitempty"`
	KeepAlivePacket     bool     `json:"keepAlivePacket,omitempty"`
	SequenceNum         int      `json:"sequenceNum,omitempty"`
	IP                  string   `json:"ip,omitempty"`
	SupportedTaskTypes  []string `json:"supportedTaskTypes,omitempty"`
	Tags                []string `json:"tags,omitempty"`
	HeartbeatAsObject   bool     `json:"heartbeatAsObject,omitempty"`
	Version             string   `json:"version,omitempty"`
	Description         string   `json:"description,omitempty"`

	RunningTasks []string `json:"runningTasks,omitempty"` // ours: whose leases to renew; absent: all that it holds
	Idle         bool     `json:"idle,omitempty"`         // ours: it runs nothing, so there is no lease to renew
	Draining     bool     `json:"draining,omitempty"`     // ours: it takes nothing new
	Busy         string   `json:"busy,omitempty"`         // ours: why it takes nothing now
	Load         *Load    `json:"load,omitempty"`         // ours: how much it does
}

// Load is how much a delegate does at the time of a heartbeat.
type Load struct {
	CPU    *int `json:"cpu,omitempty"`    // percent of what it may use; absent where it cannot be measured
	Memory *int `json:"memory,omitempty"` // the same
	Tasks  int  `json:"tasks"`
	Limit  int  `json:"limit"` // of tasks at once
}

// Registered answers a registration.
type Registered struct {
	Resource RegisteredResource `json:"resource"`
}

// RegisteredResource is the delegate as the manager knows it now.
type RegisteredResource struct {
	DelegateID     string `json:"delegateId"`
	HeartbeatEvery int64  `json:"heartbeatIntervalMillis,omitempty"` // ours
	Version        string `json:"managerVersion,omitempty"`          // ours: newest delegate version that the manager knows
}

// Events answers a poll.
type Events struct {
	DelegateTaskEvents []Event `json:"delegateTaskEvents"`
}

// Event offers a task.
type Event struct {
	AccountID      string `json:"accountId"`
	DelegateTaskID string `json:"delegateTaskId"`
	Sync           bool   `json:"sync"`
	TaskType       string `json:"taskType"`
}

// Task answers an acquire: the work, with all that it needs.
type Task struct {
	ID             string          `json:"id"`
	Type           string          `json:"type"`
	Data           json.RawMessage `json:"data"`
	Async          bool            `json:"async"`
	RunnerResponse bool            `json:"runnerResponse,omitempty"`
	Timeout        int64           `json:"timeout"` // milliseconds
	Logging        Logging         `json:"logging"`
	Delegate       TaskDelegate    `json:"delegate"`
	Capabilities   json.RawMessage `json:"capabilities,omitempty"`

	Fence int64 `json:"fence,omitempty"` // ours: sent back with the result
}

// Logging says where the task's log lines go.
type Logging struct {
	Token        string            `json:"token"`
	Abstractions map[string]string `json:"abstractions"`
}

// TaskDelegate names the delegate that the task was leased to.
type TaskDelegate struct {
	ID         string `json:"id"`
	InstanceID string `json:"instance_id"`
	Token      string `json:"token"`
}

// Codes of a result.
const (
	CodeOK      = "OK"
	CodeFailed  = "FAILED"
	CodeRetry   = "RETRY_ON_OTHER_DELEGATE"
	CodeTimeout = "TIMEOUT" // of runners
	CodeUnknown = "UNKNOWN" // of runners
)

// Result ends a task.
type Result struct {
	ID    string          `json:"id"`
	Type  string          `json:"type"`
	Code  string          `json:"code"`
	Data  json.RawMessage `json:"data,omitempty"`
	Error string          `json:"error,omitempty"` // of runners, and ours: why it failed
	Fence int64           `json:"fence,omitempty"` // ours
}

// LogLine is one line of a task's log.
type LogLine struct {
	Time    int64  `json:"time"` // milliseconds
	Level   string `json:"level"`
	Message string `json:"message"`
}

// Headers that are ours.
const (
	// HeaderRetryAfter is in milliseconds: when to come back after 429 or 503, spread by the manager.
	HeaderRetryAfter = "Belay-Retry-After-Ms"
)

// Task types.
const (
	TypeAWSValidate = "BELAY_AWS_VALIDATE" // test a connection: AWSValidate → AWSEvidence
	TypeAWSSurvey   = "BELAY_AWS_SURVEY"   // what may the identity do: AWSSurvey → AWSEvidence
	TypePing        = "BELAY_PING"         // answer: Ping → Pong
)

// Ping asks a delegate to answer.
type Ping struct {
	Text string `json:"text,omitempty"`
}

// Pong is the answer.
type Pong struct {
	Text     string `json:"text,omitempty"`
	HostName string `json:"hostName"`
	Version  string `json:"version"`
}
