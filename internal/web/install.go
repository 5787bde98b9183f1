package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/secret"
)

// installFields are the choices that an address or a form may hold, in the order of the page. None is a secret: the token's
// value is written into the file by the manager, and the password of a proxy is kept where the delegate runs.
func installFields() []string {
	return []string{
		"kind", "name", "tags", "token", "replicas", "namespace", "roleArn", "executionRoleArn", "tokenSecret", "upgrader", "autoscaleMax", "autoscaleCpu",
		"serviceAccount", "clusterRole", "inNamespace", "initScript", "proxy", "noProxy", "proxySecret", "manager", "image", "description",
	}
}

// mostInitScript is the longest INIT_SCRIPT that the page takes, in bytes: it travels in an address.
const mostInitScript = 2000

// installation is a delegate that is to be installed, as a form or an address says it.
type installation struct {
	v       *visit
	Values  map[string]string
	Tools   []string
	Errors  map[string]string // by field
	Summary []problem
	Missing []problem // what was not asked for yet and the file needs
	asked   url.Values

	Address, Image string // by default
	TokenNames     []string
	Token          delegate.Token // the chosen one, when there is one
	Inside         bool           // the caller may have its value written into the file
	Create         bool           // the caller may make a token
	NewToken       string         // the name that was asked for
	NewError       string
	File           string     // its name
	Text           []codeLine // of the file; none when something is wrong
	Plain          []byte
	Findings       []manifest.Finding
	Linted         bool
	Apply          []codeLine
	Look           []codeLine // where to look when nothing comes
	Revealed       bool       // the file holds the token's value
	Made           bool       // the token was made just now
	Listen         listening
}

// Value is what stands in a field.
func (i installation) Value(name string) string { return i.Values[name] }

// Is says whether the form is one of some.
func (i installation) Is(forms ...manifest.Form) bool {
	return slices.Contains(forms, manifest.Form(i.Value("kind")))
}

// Cluster says whether the form belongs to Kubernetes.
func (i installation) Cluster() bool {
	return i.Is(manifest.Kubernetes, manifest.StatefulSet, manifest.Helm)
}

// TokenHelp says what the file has of the token that is chosen.
func (i installation) TokenHelp() string {
	if i.Cluster() {
		return "The file refers to a Secret that holds it."
	}
	return "The file does not hold its value."
}

// Any says whether one of some fields was filled in, or is wrong.
func (i installation) Any(fields ...string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { return i.Values[f] != "" || i.Errors[f] != "" })
}

// newTokenNote ties the name of a new token to what is wrong with it.
func (i installation) newTokenNote() templ.Attributes {
	if i.NewError == "" {
		return nil
	}
	return tied("newToken", true, true)
}

// Has says whether a program is to be installed.
func (i installation) Has(tool string) bool { return slices.Contains(i.Tools, tool) }

// To is the address of these choices under a path; defaults are left out.
func (i installation) To(path string) string {
	q := url.Values{}
	for _, name := range installFields() {
		if text := i.Values[name]; text != "" && text != installDefaults()[name] {
			q.Set(name, text)
		}
	}
	for _, t := range i.Tools {
		q.Add("tool", t)
	}
	if slices.Contains(i.TokenNames, delegate.DefaultToken) { // which is chosen where the address names none
		switch i.Values["token"] {
		case delegate.DefaultToken:
			q.Del("token")
		case "":
			q.Set("token", "")
		}
	}
	return withQuery(i.v.url(path), q)
}

func installDefaults() map[string]string {
	return map[string]string{"kind": string(manifest.Kubernetes), "name": "delegate", "replicas": "1"}
}

// formWord is a form as people say it.
func formWord(f manifest.Form) string {
	switch f {
	case manifest.Kubernetes:
		return "Kubernetes"
	case manifest.StatefulSet:
		return "StatefulSet"
	case manifest.Helm:
		return "Helm"
	case manifest.Docker:
		return "Docker"
	case manifest.ECS:
		return "ECS"
	case manifest.Shell:
		return "Shell script"
	}
	return string(f)
}

// installation reads the choices of an address or of a form.
func (s *Server) installation(ctx context.Context, v *visit, from url.Values) (installation, error) {
	i := installation{v: v, asked: from, Values: map[string]string{}, Address: s.URL(), Image: defaultImage(), Inside: v.may(audit.DelegateTokenReveal, v.at), Create: v.may(audit.DelegateTokenCreate, v.at)}
	for _, name := range installFields() {
		text := strings.TrimSpace(from.Get(name))
		if name == "initScript" {
			text = strings.ReplaceAll(text, "\r\n", "\n")
		}
		i.Values[name] = cut(text, longestField)
	}
	for name, text := range installDefaults() {
		if i.Values[name] == "" && !from.Has(name) {
			i.Values[name] = text
		}
	}
	for _, t := range from["tool"] {
		if len(i.Tools) < 20 && !slices.Contains(i.Tools, t) {
			i.Tools = append(i.Tools, cut(t, 100))
		}
	}
	if _, err := s.Delegates.List(ctx, v.who, v.at); err != nil { // it decides whether the caller may see delegates at all
		return i, err
	}
	list, err := s.Tokens.Tokens(ctx, v.who, v.at)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return i, err
	}
	for _, t := range list {
		if t.Active() {
			i.TokenNames = append(i.TokenNames, t.Name)
			if t.Name == i.Values["token"] {
				i.Token = t
			}
		}
	}
	const mostTokens = 200
	if len(i.TokenNames) > mostTokens {
		i.TokenNames = i.TokenNames[:mostTokens]
	}
	return i, nil
}

// fieldOf is the field of the page for a path of the model.
func fieldOf(path string) string {
	field, _, _ := strings.Cut(path, "[")
	switch {
	case field == "proxy.secret":
		return "proxySecret"
	case strings.HasPrefix(field, "proxy."):
		return "proxy"
	case field == "autoscale.cpu":
		return "autoscaleCpu"
	case field == "autoscale" || field == "autoscale.max":
		return "autoscaleMax"
	}
	return field
}

// labels are the fields as people read them.
func labels() map[string]string {
	return map[string]string{
		"kind": "Kind", "name": "Name", "namespace": "Namespace", "tags": "Tags", "description": "Description", "replicas": "Replicas", "image": "Image",
		"manager": "Address of the manager", "token": "Token", "tokenSecret": "Secret with the token", "roleArn": "Role for its work",
		"executionRoleArn": "Execution role", "serviceAccount": "Service account", "clusterRole": "ClusterRole", "initScript": "INIT_SCRIPT",
		"proxy": "Proxy", "noProxy": "Hosts without it", "proxySecret": "Secret for it", "autoscaleMax": "Replicas at most", "autoscaleCpu": "CPU to aim at, %",
		"tools": "Programs", "upgrader": "Upgrade automatically",
	}
}

func labelOf(field string) string { return cmp.Or(labels()[field], field) }

// wrong notes what is wrong, each beside its field.
func (i *installation) wrong(problems fault.Problems) {
	i.Errors = map[string]string{}
	for _, p := range problems {
		field, text := fieldOf(p.Path), sentence(p.Message)
		said := problem{field, labelOf(field), strings.TrimSuffix(p.Message, ".") + "."}
		if !i.asked.Has(field) && i.Values[field] == "" && strings.HasPrefix(p.Message, "is required") {
			i.Missing = append(i.Missing, said) // the form that has this field was not shown yet
			continue
		}
		if i.Errors[field] != "" {
			text = i.Errors[field] + " " + text
		}
		i.Errors[field] = text
		i.Summary = append(i.Summary, said)
	}
	place := func(p problem) int {
		if p.Field == "tools" { // they stand there
			return slices.Index(installFields(), "initScript")
		}
		return slices.Index(installFields(), p.Field)
	}
	slices.SortStableFunc(i.Summary, func(a, b problem) int { return place(a) - place(b) })
}

// described are the attributes that tie a field to its help, or to what is wrong with it. The first wrong one has the focus.
func (i installation) described(name string) templ.Attributes {
	wrong := i.Errors[name] != ""
	return tied(name, wrong, wrong && i.Summary[0].Field == name)
}

// render makes the file and all that stands beside it. value is written into it; zero leaves the token where it is kept.
func (s *Server) render(ctx context.Context, i *installation, value secret.Value) error {
	spec, problems := i.spec(s.URL())
	spec.Token = value
	if err := spec.Check(); err != nil {
		found, ok := errors.AsType[fault.Problems](err)
		if !ok {
			return err
		}
		for _, p := range found {
			said := slices.ContainsFunc(problems, func(q fault.Problem) bool { return fieldOf(q.Path) == fieldOf(p.Path) })
			follows := p.Path == "tokenSecret" && i.Value("tokenSecret") == "" && spec.Form != manifest.ECS // from a wrong name
			if !said && !follows {
				problems = append(problems, p)
			}
		}
	}
	if len(problems) > 0 {
		i.wrong(problems)
		return nil
	}
	text, err := manifest.Render(spec)
	if err != nil {
		return err
	}
	i.Plain, i.File, i.Revealed = text, fileName(spec), !value.IsZero()
	plain := spec
	plain.Tags, plain.Description, plain.Replicas, plain.RoleARN, plain.Tools, plain.InitScript = nil, "", 1, "", nil, ""
	plain.ClusterRole, plain.InNamespace, plain.Proxy, plain.Autoscale, plain.Upgrader = "", false, nil, nil, false
	if spec.ServiceAccount != "" {
		plain.ServiceAccount = ""
	}
	base, err := manifest.Render(plain)
	if err != nil {
		return err
	}
	i.Text = choicesMarked(string(text), string(base))
	if i.Is(manifest.Kubernetes, manifest.StatefulSet) {
		i.Linted = true
		if i.Findings, err = manifest.Lint(i.File, bytes.NewReader(text), nil); err != nil {
			return err
		}
		for _, f := range i.Findings {
			if f.Line > 0 && f.Line <= len(i.Text) {
				i.Text[f.Line-1].Class = "bad"
			}
		}
	}
	i.Apply, i.Look = linesOf(i.commands(spec)), linesOf(lookAt(spec))
	i.Listen, err = s.listening(ctx, i.v, spec.Name)
	return err
}

// install shows the form and the file in step with it.
func (s *Server) install(ctx context.Context, v *visit) (reply, error) {
	i, err := s.installation(ctx, v, v.query)
	if err != nil {
		return reply{}, err
	}
	if !v.query.Has("token") && slices.Contains(i.TokenNames, delegate.DefaultToken) {
		i.Values["token"] = delegate.DefaultToken
		i.Token, err = s.Tokens.Token(ctx, v.who, v.at, delegate.DefaultToken)
		if err != nil {
			return reply{}, err
		}
	}
	if err := s.render(ctx, &i, secret.Value{}); err != nil {
		return reply{}, err
	}
	return i.reply(http.StatusOK), nil
}

func (i installation) reply(status int) reply {
	return reply{title: "Install a delegate", here: "Delegates", body: installView(i), status: status, at: i.To("/ui/delegates/install")}
}

// installFile sends the file, which refers to where the token is kept.
func (s *Server) installFile(ctx context.Context, v *visit) (reply, error) {
	i, err := s.installation(ctx, v, v.query)
	if err != nil {
		return reply{}, err
	}
	if err := s.render(ctx, &i, secret.Value{}); err != nil {
		return reply{}, err
	}
	return i.sent(), nil
}

// refused says whether something keeps the file from being written.
func (i installation) refused() bool { return len(i.Summary)+len(i.Missing) > 0 || i.NewError != "" }

// sent is the file, or the page when something is wrong.
func (i installation) sent() reply {
	if i.refused() {
		return i.reply(http.StatusBadRequest)
	}
	kind := "application/yaml"
	if i.Is(manifest.Shell) {
		kind = "text/x-shellscript"
	}
	return reply{file: &file{i.File, kind, i.Plain}}
}

// installWithToken shows the file with the token's value in it: that of the chosen token, or of a new one.
func (s *Server) installWithToken(ctx context.Context, v *visit) (reply, error) {
	i, err := s.withToken(ctx, v)
	if err != nil {
		return reply{}, err
	}
	if i.refused() {
		return i.reply(http.StatusBadRequest), nil
	}
	return i.reply(http.StatusOK), nil
}

// installFileWithToken sends that file.
func (s *Server) installFileWithToken(ctx context.Context, v *visit) (reply, error) {
	i, err := s.withToken(ctx, v)
	if err != nil {
		return reply{}, err
	}
	return i.sent(), nil
}

// withToken renders the file with a token's value. The choices are looked at before a token is made or its value is read,
// which is audited.
func (s *Server) withToken(ctx context.Context, v *visit) (installation, error) {
	if err := v.r.ParseForm(); err != nil {
		return installation{}, badForm(err)
	}
	form := v.r.PostForm
	form.Set("token", form.Get("chosen")) // token is that of the form itself here
	i, err := s.installation(ctx, v, form)
	if err != nil {
		return i, err
	}
	fresh := form.Get("do") == "make"
	if fresh {
		i.Values["token"], i.Token = "", delegate.Token{}
		i.NewToken = bounded(form.Get("newToken"))
		if err := denied(i.Create, "make delegate tokens", v.at); err != nil {
			return i, err
		}
	} else if err := denied(i.Inside, "see the value of a delegate token", v.at); err != nil {
		return i, err
	}
	trial := i
	if err := s.render(ctx, &trial, secret.NewValue("0")); err != nil {
		return i, err
	}
	if !fresh && i.Token.ID == "" && !trial.refused() {
		trial.wrong(fault.Problems{{Path: "token", Message: "is required: choose the one whose value the file is to hold"}})
	}
	if trial.refused() {
		trial.Plain, trial.Text, trial.Revealed = nil, nil, false
		return trial, nil
	}
	var value secret.Value
	if fresh {
		i.Token, value, err = s.Tokens.Create(ctx, v.who, v.at, i.NewToken, time.Time{})
		if err != nil {
			status, text := refusedToken(err)
			if status == 0 {
				return i, err
			}
			i.NewError = text
			return i, s.render(ctx, &i, secret.Value{})
		}
		i.Values["token"], i.Made, i.NewToken = i.Token.Name, true, ""
		i.TokenNames = append(i.TokenNames, i.Token.Name)
		slices.Sort(i.TokenNames)
	} else if value, err = s.Tokens.Reveal(ctx, v.who, i.Token); err != nil { //nolint:forbidigo // authorized and audited there
		return i, err
	}
	return i, s.render(ctx, &i, value)
}

// listening is whether a delegate of a name was heard here.
type listening struct {
	Name   string
	Live   []delegateRow
	Silent []delegateRow
	Late   bool
	Stream string
}

// lateAfter is when a page that waits for a delegate says where to look.
const lateAfter = time.Minute

// sum changes when the delegates do.
func (l listening) sum() string {
	var keys []string
	for _, r := range slices.Concat(l.Live, l.Silent) {
		keys = append(keys, r.Key+r.Mark.Word)
	}
	return sumOf(keys)
}

const mostListened = 10

func (s *Server) listening(ctx context.Context, v *visit, name string) (listening, error) {
	v.now = s.Now()
	l := listening{Name: name}
	all, err := s.Delegates.List(ctx, v.who, v.at)
	if err != nil {
		return l, err
	}
	for _, d := range all {
		if d.Name != name {
			continue
		}
		if row := delegateRowOf(v, d); d.Alive(v.now) && !d.Revoked {
			l.Live = append(l.Live, row)
		} else {
			l.Silent = append(l.Silent, row)
		}
	}
	l.Live, l.Silent = l.Live[:min(len(l.Live), mostListened)], l.Silent[:min(len(l.Silent), mostListened)]
	l.Stream = v.url("/ui/delegates/events", "listen", name, "v", l.sum())
	return l, nil
}

// Words say how many are live.
func (l listening) Words() string {
	if len(l.Live) == 1 {
		return l.Name + " is live."
	}
	return fmt.Sprintf("%d delegates named %s are live.", len(l.Live), l.Name)
}
