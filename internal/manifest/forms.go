package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/arn"
)

// values are those of the chart deploy/helm/belay-delegate; a test compares them with its schema.
type values struct {
	Account        string            `yaml:"account"`
	Manager        string            `yaml:"manager"`
	Name           string            `yaml:"name"`
	Description    string            `yaml:"description,omitempty"`
	Tags           []string          `yaml:"tags,omitempty"`
	Image          valuesImage       `yaml:"image"`
	Replicas       int               `yaml:"replicas"`
	Token          string            `yaml:"token,omitempty"`
	ExistingSecret string            `yaml:"existingSecret,omitempty"`
	InsecureHTTP   bool              `yaml:"insecureHttp,omitempty"`
	InitScript     string            `yaml:"initScript,omitempty"`
	ServiceAccount valuesAccount     `yaml:"serviceAccount"`
	ClusterRole    string            `yaml:"clusterRole,omitempty"`
	InNamespace    bool              `yaml:"clusterRoleInNamespace,omitempty"`
	Resources      resources         `yaml:"resources"`
	Proxy          *valuesProxy      `yaml:"proxy,omitempty"`
	Autoscaling    *valuesAutoscaler `yaml:"autoscaling,omitempty"`
	Upgrader       valuesUpgrader    `yaml:"upgrader"`
}

type valuesImage struct {
	Repository string `yaml:"repository"`
	Tag        string `yaml:"tag,omitempty"`
}

type valuesAccount struct {
	Create      bool              `yaml:"create"`
	Name        string            `yaml:"name,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type valuesProxy struct {
	Host           string `yaml:"host"`
	Port           int    `yaml:"port"`
	Scheme         string `yaml:"scheme"`
	NoProxy        string `yaml:"noProxy,omitempty"`
	User           string `yaml:"user,omitempty"`
	Password       string `yaml:"password,omitempty"`
	ExistingSecret string `yaml:"existingSecret,omitempty"`
}

type valuesAutoscaler struct {
	Enabled     bool `yaml:"enabled"`
	MaxReplicas int  `yaml:"maxReplicas"`
	TargetCPU   int  `yaml:"targetCPUUtilizationPercentage"`
}

type valuesUpgrader struct {
	Enabled  bool   `yaml:"enabled"`
	Schedule string `yaml:"schedule,omitempty"`
}

func (s Spec) values() values {
	repository, tag := SplitImage(s.Image)
	v := values{
		Account: s.Account, Manager: strings.TrimRight(s.Manager, "/"), Name: s.Name, Description: s.Description, Tags: s.Tags,
		Image: valuesImage{repository, tag}, Replicas: s.Replicas, InsecureHTTP: s.plainHTTP(), InitScript: s.initScript(),
		ServiceAccount: valuesAccount{Create: s.ServiceAccount == "", Name: s.serviceAccount()}, ClusterRole: s.ClusterRole, InNamespace: s.InNamespace,
		Resources: s.container().Resources, Upgrader: valuesUpgrader{Enabled: s.Upgrader},
	}
	if s.RoleARN != "" {
		v.ServiceAccount.Annotations = map[string]string{roleAnnotation: s.RoleARN}
	}
	if s.Token.IsZero() {
		v.ExistingSecret = s.TokenSecret
	} else {
		v.Token = s.Token.Reveal() //nolint:forbidigo // what the file is for
	}
	if x := s.Proxy; x != nil {
		v.Proxy = &valuesProxy{
			Host: x.Host, Port: x.Port, Scheme: cmp.Or(x.Scheme, "http"), NoProxy: x.NoProxy, ExistingSecret: x.Secret, User: x.User,
			Password: x.Password.Reveal(), //nolint:forbidigo // what the file is for
		}
	}
	if a := s.Autoscale; a != nil {
		v.Autoscaling = &valuesAutoscaler{true, a.Max, cmp.Or(a.CPU, 80)}
	}
	if s.Upgrader {
		v.Upgrader.Schedule = fmt.Sprintf("%d * * * *", s.minute())
	}
	return v
}

// SplitImage takes an image's name apart: the repository with its registry, and what follows it, a tag or a digest.
func SplitImage(name string) (repository, tag string) {
	if before, digest, found := strings.Cut(name, "@"); found {
		return before, digest
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon], name[colon+1:]
	}
	return name, ""
}

type compose struct {
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Command     []string          `yaml:"command"`
	Restart     string            `yaml:"restart"`
	StopGrace   string            `yaml:"stop_grace_period"`
	User        string            `yaml:"user"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	MemLimit    string            `yaml:"mem_limit"`
	Environment map[string]string `yaml:"environment"`
	Healthcheck composeHealth     `yaml:"healthcheck"`
	Deploy      *composeDeploy    `yaml:"deploy,omitempty"`
}

type composeHealth struct {
	Test        []string `yaml:"test"`
	Interval    string   `yaml:"interval"`
	Timeout     string   `yaml:"timeout"`
	Retries     int      `yaml:"retries"`
	StartPeriod string   `yaml:"start_period"`
}

type composeDeploy struct {
	Replicas int `yaml:"replicas"`
}

// healthByBash asks the delegate for its health with what the image has: bash alone.
const healthByBash = `exec 3<>/dev/tcp/127.0.0.1/3460 && printf 'GET ` + healthPath + ` HTTP/1.0\r\n\r\n' >&3 && read -r _ status _ <&3 && [ "$status" = 200 ]`

func (s Spec) compose() compose {
	env := map[string]string{}
	for _, p := range s.environment() {
		env[p.name] = dollars(p.value)
	}
	env[TokenKey] = "${DELEGATE_TOKEN:?set DELEGATE_TOKEN to the value of the delegate token}"
	if !s.Token.IsZero() {
		env[TokenKey] = s.Token.Reveal() //nolint:forbidigo // what the file is for
	}
	if x := s.Proxy; x != nil {
		switch {
		case x.User != "":
			env["PROXY_USER"], env["PROXY_PASSWORD"] = dollars(x.User), dollars(x.Password.Reveal()) //nolint:forbidigo // what the file is for
		case x.Secret != "":
			env["PROXY_USER"], env["PROXY_PASSWORD"] = "${PROXY_USER:?}", "${PROXY_PASSWORD:?}"
		}
	}
	one := composeService{
		Image: s.Image, Command: []string{"delegate", "run"}, Restart: "unless-stopped", StopGrace: "600s", User: strconv.Itoa(user),
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}, MemLimit: strconv.Itoa(s.memory()) + "m", Environment: env,
		Healthcheck: composeHealth{[]string{"CMD", "bash", "-c", dollars(healthByBash)}, "20s", "5s", 3, "60s"},
	}
	if s.Replicas > 1 {
		one.Deploy = &composeDeploy{s.Replicas}
	}
	return compose{map[string]composeService{s.Name: one}}
}

// dollars keeps Compose from taking what follows a $ for a variable of its own.
func dollars(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// ecsStop is the longest that Fargate lets a task take to stop, in seconds.
const ecsStop = 120

type taskDefinition struct {
	Family        string         `yaml:"family"`
	Compatibility []string       `yaml:"requiresCompatibilities"`
	NetworkMode   string         `yaml:"networkMode"`
	CPU           string         `yaml:"cpu"`
	Memory        string         `yaml:"memory"`
	TaskRole      string         `yaml:"taskRoleArn,omitempty"`
	ExecutionRole string         `yaml:"executionRoleArn"`
	Platform      taskPlatform   `yaml:"runtimePlatform"`
	Containers    []ecsContainer `yaml:"containerDefinitions"`
}

type taskPlatform struct {
	CPU string `yaml:"cpuArchitecture"`
	OS  string `yaml:"operatingSystemFamily"`
}

type ecsContainer struct {
	Name        string      `yaml:"name"`
	Image       string      `yaml:"image"`
	Essential   bool        `yaml:"essential"`
	Command     []string    `yaml:"command"`
	User        string      `yaml:"user"`
	StopTimeout int         `yaml:"stopTimeout"`
	Environment []ecsPair   `yaml:"environment"`
	Secrets     []ecsSecret `yaml:"secrets,omitempty"`
	Ports       []ecsPort   `yaml:"portMappings"`
	Linux       ecsLinux    `yaml:"linuxParameters"`
	Log         ecsLog      `yaml:"logConfiguration"`
	Health      ecsHealth   `yaml:"healthCheck"`
}

type ecsPair struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

type ecsSecret struct {
	Name      string `yaml:"name"`
	ValueFrom string `yaml:"valueFrom"`
}

type ecsPort struct {
	ContainerPort int    `yaml:"containerPort"`
	Protocol      string `yaml:"protocol"`
}

type ecsLinux struct {
	Capabilities       capabilities `yaml:"capabilities"`
	InitProcessEnabled bool         `yaml:"initProcessEnabled"`
}

type ecsLog struct {
	Driver  string            `yaml:"logDriver"`
	Options map[string]string `yaml:"options"`
}

type ecsHealth struct {
	Command     []string `yaml:"command"`
	Interval    int      `yaml:"interval"`
	Timeout     int      `yaml:"timeout"`
	Retries     int      `yaml:"retries"`
	StartPeriod int      `yaml:"startPeriod"`
}

// taskDefinition fits Fargate, whose least size is a quarter of a CPU with 512 MiB.
func (s Spec) taskDefinition() taskDefinition {
	var env []ecsPair
	for _, p := range s.environment() {
		env = append(env, ecsPair{p.name, p.value})
	}
	var secrets []ecsSecret
	if s.Token.IsZero() {
		secrets = append(secrets, ecsSecret{TokenKey, s.TokenSecret})
	} else {
		env = append(env, ecsPair{TokenKey, s.Token.Reveal()}) //nolint:forbidigo // what the file is for
	}
	if x := s.Proxy; x != nil && x.User != "" {
		env = append(env, ecsPair{"PROXY_USER", x.User}, ecsPair{"PROXY_PASSWORD", x.Password.Reveal()}) //nolint:forbidigo // what the file is for
	}
	memory := max(512, s.memory())
	return taskDefinition{
		Family: s.Name, Compatibility: []string{"FARGATE"}, NetworkMode: "awsvpc", CPU: "256", Memory: strconv.Itoa(memory),
		TaskRole: s.RoleARN, ExecutionRole: s.ExecutionRoleARN, Platform: taskPlatform{"X86_64", "LINUX"},
		Containers: []ecsContainer{{
			Name: "delegate", Image: s.Image, Essential: true, Command: []string{"delegate", "run"}, User: strconv.Itoa(user), StopTimeout: ecsStop,
			Environment: env, Secrets: secrets, Ports: []ecsPort{{healthPort, "tcp"}},
			Linux: ecsLinux{Capabilities: capabilities{[]string{"ALL"}}, InitProcessEnabled: true},
			Log: ecsLog{"awslogs", map[string]string{
				"awslogs-group": "/belay/" + s.Name, "awslogs-region": s.region(), "awslogs-stream-prefix": "delegate", "awslogs-create-group": "true",
			}},
			Health: ecsHealth{[]string{"CMD", "bash", "-c", healthByBash}, 20, 5, 3, 60},
		}},
	}
}

// region is that of the token's secret, which must be the task's own.
func (s Spec) region() string {
	a, err := arn.Parse(s.TokenSecret)
	if err != nil || a.Region == "" {
		return "us-east-1"
	}
	return a.Region
}

// shell is a script that a service manager or a person starts.
func (s Spec) shell() []byte {
	var b bytes.Buffer
	b.WriteString("#!/usr/bin/env bash\n")
	for _, line := range s.head() {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	b.WriteString("#\n# Start:    bash FILE\n# Ctrl-C or SIGTERM lets running tasks finish, up to 580 seconds.\nset -euo pipefail\n\n")
	if s.Token.IsZero() {
		b.WriteString(": \"${DELEGATE_TOKEN:?set DELEGATE_TOKEN to the value of the delegate token}\"\n")
	} else {
		b.WriteString("DELEGATE_TOKEN=" + quoteShell(s.Token.Reveal()) + "\n") //nolint:forbidigo // what the file is for
	}
	b.WriteString("export DELEGATE_TOKEN\n")
	for _, p := range s.environment() {
		b.WriteString("export " + p.name + "=" + quoteShell(p.value) + "\n")
	}
	if x := s.Proxy; x != nil {
		switch {
		case x.User != "":
			b.WriteString("export PROXY_USER=" + quoteShell(x.User) + "\nexport PROXY_PASSWORD=" + quoteShell(x.Password.Reveal()) + "\n") //nolint:forbidigo // what the file is for
		case x.Secret != "":
			b.WriteString(": \"${PROXY_USER:?}\" \"${PROXY_PASSWORD:?}\"\nexport PROXY_USER PROXY_PASSWORD\n")
		}
	}
	if len(s.sortedTools()) > 0 {
		b.WriteString("export BELAY_TOOLS=\"${BELAY_TOOLS:-$HOME/.local/share/belay/tools}\"\nexport PATH=\"$BELAY_TOOLS/bin:$PATH\"\n")
	}
	b.WriteString("\nexec belay delegate run\n")
	return b.Bytes()
}

// quoteShell is a text as one word of a shell.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
