package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/secret"
)

type manifestCmd struct {
	Write manifestWrite `cmd:"" default:"withargs" help:"Write the file that installs a delegate."`
	Lint  manifestLint  `cmd:"" help:"Find what is wrong with files of Kubernetes objects. Exit code 3 when something is."`
}

type manifestWrite struct {
	Kind        string   `help:"What to write: kubernetes, statefulset, helm, docker, ecs or shell." enum:"kubernetes,statefulset,helm,docker,ecs,shell" required:""`
	Name        string   `help:"Name of the delegate, and of all that is made for it." default:"delegate"`
	Namespace   string   `help:"Namespace; it is made." default:"belay-delegate"`
	Tag         []string `help:"Tag of the delegate. May be given more than once." placeholder:"TAG"`
	Description string   `help:"Text for people."`
	Manager     string   `help:"Address of the manager as the delegate reaches it; that of --endpoint by default." placeholder:"URL"`
	Image       string   `help:"Image; belay/delegate in the delegate's version by default." placeholder:"NAME"`
	Replicas    int      `help:"How many." default:"1"`

	Token       string `help:"Name of a delegate token, whose value is asked of the manager and written into the file." xor:"token" placeholder:"NAME"`
	TokenFile   string `help:"File with the value of a delegate token, or - for standard input; it is written into the file." xor:"token" placeholder:"FILE"`
	TokenSecret string `help:"Secret that has the token under DELEGATE_TOKEN already; on ECS the ARN of a secret. By default NAME-token." xor:"token" placeholder:"NAME"`

	RoleARN          string `help:"IAM role of the delegate's work: IRSA on EKS, the task role on ECS." name:"role-arn" placeholder:"ARN"`
	ExecutionRoleARN string `help:"IAM role with which ECS starts the task." name:"execution-role-arn" placeholder:"ARN"`
	ServiceAccount   string `help:"Service account that exists; one is made by default." placeholder:"NAME"`
	ClusterRole      string `help:"ClusterRole to bind to the service account; none by default, and work in AWS needs none." placeholder:"NAME"`

	InNamespace bool `help:"Bind it in the delegate's namespace only." name:"role-in-namespace"`

	Tool       []string `help:"Program that the delegate installs when it starts: ${tools}. May be given more than once." placeholder:"NAME"`
	InitScript string   `help:"File with what INIT_SCRIPT does after that." placeholder:"FILE"`

	Proxy             string `help:"HTTP proxy, as http://host:port." placeholder:"URL"`
	NoProxy           string `help:"Hosts that are reached without it." placeholder:"LIST"`
	ProxyUser         string `help:"User for the proxy."`
	ProxyPasswordFile string `help:"File with the password for the proxy." placeholder:"FILE"`
	ProxySecret       string `help:"Secret that has PROXY_USER and PROXY_PASSWORD already." placeholder:"NAME"`

	AutoscaleMax int  `help:"Replicas at most; with it an autoscaler is written." placeholder:"N"`
	AutoscaleCPU int  `help:"Percent of the requested CPU that the autoscaler aims at; 80 by default." placeholder:"N"`
	Upgrader     bool `help:"Write the CronJob that keeps the workload at the manager's version."`
}

// Help says where the token is from.
func (*manifestWrite) Help() string {
	return "The file goes to standard output. It refers to a Secret that you make, as its head says, unless --token or --token-file puts the token into it. " +
		"With --manager and --account no manager is asked."
}

// Run writes the file.
func (cmd *manifestWrite) Run(ctx context.Context, a *app) error {
	s := manifest.Spec{
		Form: manifest.Form(cmd.Kind), Name: cmd.Name, Namespace: cmd.Namespace, Tags: cmd.Tag, Description: cmd.Description,
		Manager: cmd.Manager, Account: a.Account, Image: cmd.Image, Replicas: cmd.Replicas, TokenSecret: cmd.TokenSecret,
		RoleARN: cmd.RoleARN, ExecutionRoleARN: cmd.ExecutionRoleARN, ServiceAccount: cmd.ServiceAccount, ClusterRole: cmd.ClusterRole, InNamespace: cmd.InNamespace,
		Tools: cmd.Tool, Upgrader: cmd.Upgrader,
	}
	if s.Image == "" {
		s.Image = manifest.Repository + ":" + delegate.Current().String()
	}
	if cmd.AutoscaleMax != 0 || cmd.AutoscaleCPU != 0 {
		s.Autoscale = &manifest.Autoscale{Max: cmd.AutoscaleMax, CPU: cmd.AutoscaleCPU}
	}
	if cmd.InitScript != "" {
		text, err := a.readFile(cmd.InitScript)
		if err != nil {
			return err
		}
		s.InitScript = string(text)
	}
	if err := errors.Join(cmd.proxy(&s), cmd.where(ctx, a, &s)); err != nil {
		return err
	}
	text, err := manifest.Render(s)
	if err != nil {
		return misuse(err)
	}
	_, err = a.Out.Write(text)
	return err
}

// where finds the manager, the account and the token.
func (cmd *manifestWrite) where(ctx context.Context, a *app, s *manifest.Spec) error {
	if cmd.TokenFile != "" {
		text, err := a.readFile(cmd.TokenFile)
		if err != nil {
			return err
		}
		s.Token = secret.NewValue(strings.TrimSpace(string(text)))
		if _, err := delegate.ParseToken(s.Token); err != nil {
			return misusef("%s: %w", cmd.TokenFile, err)
		}
	}
	if s.Manager != "" && s.Account != "" && cmd.Token == "" {
		return nil
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	if s.Manager == "" {
		s.Manager = c.endpoint
	}
	if s.Account == "" {
		s.Account = c.account
	}
	if cmd.Token == "" {
		return nil
	}
	var t struct {
		Value nextgen.Hidden `json:"value"`
	}
	if err := c.v1(ctx, http.MethodGet, "/delegate-tokens/"+url.PathEscape(cmd.Token)+"/value", a.at(), nil, &t); err != nil {
		return err
	}
	s.Token = secret.NewValue(string(t.Value))
	return nil
}

func (cmd *manifestWrite) proxy(s *manifest.Spec) error {
	if cmd.Proxy == "" {
		if cmd.NoProxy != "" || cmd.ProxyUser != "" || cmd.ProxyPasswordFile != "" || cmd.ProxySecret != "" {
			return misusef("--proxy is required beside the other flags about a proxy")
		}
		return nil
	}
	text := cmd.Proxy
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return misusef("--proxy must look like http://proxy.example.com:3128; user and password have flags of their own")
	}
	host, digits, err := net.SplitHostPort(u.Host)
	if err != nil {
		return misusef("--proxy has no port")
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return misusef("--proxy has no port that is a number")
	}
	s.Proxy = &manifest.Proxy{Host: host, Port: port, Scheme: u.Scheme, NoProxy: cmd.NoProxy, User: cmd.ProxyUser, Secret: cmd.ProxySecret}
	if cmd.ProxyPasswordFile != "" {
		password, err := os.ReadFile(cmd.ProxyPasswordFile)
		if err != nil {
			return misuse(err)
		}
		s.Proxy.Password = secret.NewValue(strings.TrimRight(string(password), "\r\n"))
	}
	return nil
}

type manifestLint struct {
	Files  []string `arg:"" optional:"" name:"file" help:"Files with Kubernetes objects, or - for standard input."`
	Expect []string `help:"Object that is there although no file holds it, as Secret/name. May be given more than once." placeholder:"KIND/NAME"`
	Rules  bool     `help:"List the rules instead."`
}

// ruleBody is a rule as JSON and YAML.
type ruleBody struct {
	ID     string `json:"id" yaml:"id"`
	Title  string `json:"title" yaml:"title"`
	Server bool   `json:"server" yaml:"server"`
}

// findingBody is a finding as JSON and YAML.
type findingBody struct {
	File   string `json:"file" yaml:"file"`
	Line   int    `json:"line" yaml:"line"`
	Object string `json:"object" yaml:"object"`
	Rule   string `json:"rule" yaml:"rule"`
	Text   string `json:"text" yaml:"text"`
	Remedy string `json:"remedy" yaml:"remedy"`
}

// Run reads each file by itself: objects of one do not count as there for another.
func (cmd *manifestLint) Run(a *app) error {
	if cmd.Rules {
		var all []ruleBody
		for _, r := range manifest.Rules() {
			all = append(all, ruleBody(r))
		}
		return a.print(all, func() {
			var rows [][]cell
			for _, r := range all {
				who := "Belay only"
				if r.Server {
					who = "API server too"
				}
				rows = append(rows, plain(r.ID, r.Title, who))
			}
			a.table("", []string{"Rule", "Finds", "Found by"}, rows)
		})
	}
	if len(cmd.Files) == 0 {
		return misusef("name a file, or - for standard input")
	}
	all := []findingBody{}
	for _, name := range cmd.Files {
		text, err := a.readFile(name)
		if err != nil {
			return err
		}
		findings, err := manifest.Lint(named(name), bytes.NewReader(text), cmd.Expect)
		if err != nil {
			return misusef("%s", fault.Sentence(err))
		}
		for _, f := range findings {
			all = append(all, findingBody(f))
		}
	}
	err := a.print(all, func() {
		for _, f := range all {
			where := fmt.Sprintf("%s:%d", f.File, f.Line)
			what := strings.TrimPrefix(f.Object+": ", ": ")
			a.line("%s  %s  %s%s\n    %s.", where, a.painted(breaks, f.Rule), what, f.Text, f.Remedy)
		}
		if len(all) == 0 {
			a.note("Nothing is wrong with %s.", count(len(cmd.Files), "file", "files"))
		} else {
			a.note("%s.", count(len(all), "finding", "findings"))
		}
	})
	if err == nil && len(all) > 0 {
		return exit{Different}
	}
	return err
}
