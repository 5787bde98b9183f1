package web

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
)

// spec is the typed model of the choices, and what is wrong with their spelling.
func (i installation) spec(address string) (manifest.Spec, fault.Problems) {
	var p fault.Problems
	number := func(field string, fallback int) int {
		text := i.Value(field)
		if text == "" {
			return fallback
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			p.Add(field, fmt.Sprintf("%.20q is not a whole number", text))
			return fallback
		}
		return n
	}
	s := manifest.Spec{
		Form: manifest.Form(i.Value("kind")), Name: i.Value("name"), Description: i.Value("description"), Tags: tagList(i.Value("tags")),
		Account: i.v.who.Account, Manager: i.Value("manager"), Image: i.Value("image"), Replicas: number("replicas", 1),
		InitScript: i.Value("initScript"), Tools: i.Tools,
	}
	s.Manager, s.Image = cmp.Or(s.Manager, address), cmp.Or(s.Image, defaultImage())
	// What a form has no place for is not shown in the page, and does not count.
	if i.Cluster() {
		s.Namespace, s.TokenSecret, s.RoleARN = i.Value("namespace"), i.Value("tokenSecret"), i.Value("roleArn")
		s.ServiceAccount, s.ClusterRole, s.InNamespace = i.Value("serviceAccount"), i.Value("clusterRole"), i.Value("inNamespace") != ""
		most, cpu := number("autoscaleMax", 0), number("autoscaleCpu", 0)
		if most != 0 || cpu != 0 {
			s.Autoscale = &manifest.Autoscale{Max: most, CPU: cpu}
		}
		s.Upgrader = i.Value("upgrader") != ""
	}
	if i.Is(manifest.ECS) {
		s.TokenSecret, s.RoleARN, s.ExecutionRoleARN = i.Value("tokenSecret"), i.Value("roleArn"), i.Value("executionRoleArn")
	}
	if len(s.InitScript) > mostInitScript {
		p.Add("initScript", fmt.Sprintf("has %d bytes; this page takes %d, and belay delegate manifest --init-script takes more", len(s.InitScript), mostInitScript))
	}
	i.proxy(&s, &p)
	if i.Value("token") != "" && i.Token.ID == "" {
		p.Add("token", fmt.Sprintf("%.80q is not an active token at %s", i.Value("token"), i.v.at))
	}
	return s, p
}

func defaultImage() string { return manifest.Repository + ":" + delegate.Current().String() }

// tagList are the tags of a field, parted by commas.
func tagList(text string) []string {
	var out []string
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// proxy reads http://host:port. User and password have no place in an address: they are kept in a Secret.
func (i installation) proxy(s *manifest.Spec, p *fault.Problems) {
	text := i.Value("proxy")
	if text == "" {
		if i.Value("noProxy") != "" || i.Value("proxySecret") != "" {
			p.Add("proxy", "is required beside the other fields about it")
		}
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !strings.Contains(text, "://"):
		p.Add("proxy", fmt.Sprintf("needs its scheme, as in http://%.100s", text))
		return
	case u.User != nil:
		p.Add("proxy", "must hold neither user nor password: put them into a Secret with the keys PROXY_USER and PROXY_PASSWORD")
		return
	case u.Path != "" && u.Path != "/" || u.RawQuery != "":
		p.Add("proxy", "must hold a scheme, a host and a port only")
		return
	}
	host, digits, err := net.SplitHostPort(u.Host)
	if err != nil {
		p.Add("proxy", "needs its port, as in http://proxy.example.com:3128")
		return
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		p.Add("proxy", "has a port that is no number")
		return
	}
	s.Proxy = &manifest.Proxy{Host: host, Port: port, Scheme: u.Scheme, NoProxy: i.Value("noProxy"), Secret: i.Value("proxySecret")}
}

// choicesMarked marks the lines that the choices made: those that the same file without them has not.
func choicesMarked(text, base string) []codeLine {
	has := map[string]int{}
	for line := range strings.SplitSeq(base, "\n") {
		has[line]++
	}
	lines := linesOf(text)
	for n := range lines {
		line := lines[n].Text
		switch {
		case has[line] > 0:
			has[line]--
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			lines[n].Class = "new"
		}
	}
	return lines
}

// fileName is the name that the file gets.
func fileName(spec manifest.Spec) string {
	switch spec.Form {
	case manifest.Helm:
		return spec.Name + "-values.yaml"
	case manifest.Docker:
		return spec.Name + "-compose.yaml"
	case manifest.ECS:
		return spec.Name + "-task.yaml"
	case manifest.Shell:
		return spec.Name + ".sh"
	case manifest.Kubernetes, manifest.StatefulSet:
	}
	return spec.Name + ".yaml"
}

// commands are what installs the file, as a shell takes them.
func (i installation) commands(spec manifest.Spec) string {
	ns := spec.Namespace
	if ns == "" {
		ns = "belay-delegate"
	}
	held := spec.TokenSecret
	if held == "" {
		held = spec.Name + "-token"
	}
	show := "belay delegate token show " + shellWord(i.tokenName()) + scopeWords(i.v)
	var lines []string
	switch spec.Form {
	case manifest.Kubernetes, manifest.StatefulSet, manifest.Helm:
		if !i.Revealed {
			lines = append(lines, "kubectl create namespace "+ns,
				fmt.Sprintf("kubectl create secret generic %s --namespace %s \\\n  --from-literal=%s=\"$(%s)\"", held, ns, manifest.TokenKey, show))
		}
		if spec.Form == manifest.Helm {
			lines = append(lines, fmt.Sprintf("helm upgrade --install %s deploy/helm/belay-delegate \\\n  --namespace %s --create-namespace -f %s", spec.Name, ns, i.File))
		} else {
			lines = append(lines, "kubectl apply --server-side -f "+i.File)
		}
	case manifest.Docker:
		if !i.Revealed {
			lines = append(lines, "export "+manifest.TokenKey+"=\"$("+show+")\"")
		}
		lines = append(lines, "docker compose -f "+i.File+" up -d")
	case manifest.ECS:
		lines = append(lines, "aws ecs register-task-definition --cli-input-yaml file://"+i.File,
			fmt.Sprintf("aws ecs create-service --cluster CLUSTER --service-name %s --task-definition %s \\\n  --desired-count %d --launch-type FARGATE \\\n  --network-configuration 'awsvpcConfiguration={subnets=[SUBNET]}'", spec.Name, spec.Name, spec.Replicas))
	case manifest.Shell:
		if !i.Revealed {
			lines = append(lines, "export "+manifest.TokenKey+"=\"$("+show+")\"")
		}
		lines = append(lines, "bash "+i.File)
	}
	return strings.Join(lines, "\n")
}

func (i installation) tokenName() string {
	if i.Token.Name != "" {
		return i.Token.Name
	}
	return "TOKEN"
}

// scopeWords are the flags that lead a command to the scope of the page.
func scopeWords(v *visit) string {
	text := ""
	if v.at.Org != "" {
		text += " --org " + shellWord(v.at.Org)
	}
	if v.at.Project != "" {
		text += " --project " + shellWord(v.at.Project)
	}
	return text
}

// shellWord is a text as one word of a shell.
func shellWord(text string) string {
	plain := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/") == ""
	if plain && text != "" && !strings.HasPrefix(text, "-") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// lookAt are the commands that tell why no delegate comes.
func lookAt(spec manifest.Spec) string {
	ns := spec.Namespace
	if ns == "" {
		ns = "belay-delegate"
	}
	reach := "curl -sS " + shellWord(strings.TrimRight(spec.Manager, "/")+"/healthz") + "   # from where the delegate runs"
	switch spec.Form {
	case manifest.Kubernetes, manifest.StatefulSet, manifest.Helm:
		pods := "--namespace " + ns + " --selector app.kubernetes.io/instance=" + spec.Name
		return "kubectl get pods " + pods + "\nkubectl describe pods " + pods + " | tail -n 20\nkubectl logs " + pods + " --tail 20\n" + reach
	case manifest.Docker:
		return "docker compose -f " + fileName(spec) + " logs --tail 20\n" + reach
	case manifest.ECS:
		return "aws logs tail /belay/" + spec.Name + " --since 10m\n" + reach
	case manifest.Shell:
	}
	return reach
}
