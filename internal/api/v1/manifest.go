package v1

import (
	"cmp"
	"context"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/secret"
)

// ManifestRequest is a delegate whose install file is wanted. The fields are those of manifest.Spec; what is left out has
// its default.
type ManifestRequest struct {
	Kind             string             `json:"kind"` // kubernetes, statefulset, helm, docker, ecs, shell
	Name             string             `json:"name"`
	Namespace        string             `json:"namespace"`
	Description      string             `json:"description"`
	Tags             []string           `json:"tags"`
	Manager          string             `json:"manager"` // the manager's own address by default
	Image            string             `json:"image"`
	Replicas         int                `json:"replicas"`
	Token            string             `json:"token"`       // name of a delegate token, whose value is then in the file
	TokenSecret      string             `json:"tokenSecret"` // instead: what holds it already
	RoleARN          string             `json:"roleArn"`
	ExecutionRoleARN string             `json:"executionRoleArn"`
	ServiceAccount   string             `json:"serviceAccount"`
	ClusterRole      string             `json:"clusterRole"`
	InNamespace      bool               `json:"roleInNamespace"`
	Tools            []string           `json:"tools"`
	InitScript       string             `json:"initScript"`
	Proxy            *ManifestProxy     `json:"proxy"`
	Autoscale        *ManifestAutoscale `json:"autoscale"`
	Upgrader         bool               `json:"upgrader"`
}

// ManifestProxy is the way out.
type ManifestProxy struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Scheme   string `json:"scheme"`
	NoProxy  string `json:"noProxy"`
	User     string `json:"user"`
	Password string `json:"password"`
	Secret   string `json:"secret"`
}

// ManifestAutoscale is how replicas follow their load.
type ManifestAutoscale struct {
	Max int `json:"max"`
	CPU int `json:"cpu"`
}

// manifest writes an install file. Whoever sees delegates may have one; a token in it needs the right to see tokens.
func (s *Server) manifest(ctx context.Context, c api.Call, in ManifestRequest) (api.Text, error) {
	if _, err := s.Delegates.List(ctx, c.Who, c.At); err != nil { // it decides whether the caller may know
		return api.Text{}, err
	}
	spec := manifest.Spec{
		Form: manifest.Form(in.Kind), Name: in.Name, Namespace: in.Namespace, Description: in.Description, Tags: in.Tags,
		Account: c.At.Account, Manager: in.Manager, Image: cmp.Or(in.Image, manifest.Repository+":"+delegate.Current().String()), Replicas: in.Replicas,
		TokenSecret: in.TokenSecret, RoleARN: in.RoleARN, ExecutionRoleARN: in.ExecutionRoleARN, ServiceAccount: in.ServiceAccount,
		ClusterRole: in.ClusterRole, InNamespace: in.InNamespace, Tools: in.Tools, InitScript: in.InitScript, Upgrader: in.Upgrader,
	}
	if spec.Manager == "" {
		spec.Manager = s.URL()
	}
	if p := in.Proxy; p != nil {
		spec.Proxy = &manifest.Proxy{Host: p.Host, Port: p.Port, Scheme: p.Scheme, NoProxy: p.NoProxy, User: p.User, Password: secret.NewValue(p.Password), Secret: p.Secret}
	}
	if a := in.Autoscale; a != nil {
		spec.Autoscale = &manifest.Autoscale{Max: a.Max, CPU: a.CPU}
	}
	if in.Token != "" {
		spec.Token = secret.NewValue("0") // looked at below in the place of the one that is revealed after the check
	}
	if err := spec.Check(); err != nil {
		return api.Text{}, err
	}
	if in.Token != "" {
		t, err := s.Tokens.Token(ctx, c.Who, c.At, in.Token)
		if err != nil {
			return api.Text{}, err
		}
		if spec.Token, err = s.Tokens.Reveal(ctx, c.Who, t); err != nil { //nolint:forbidigo // authorized and audited there
			return api.Text{}, err
		}
	}
	text, err := manifest.Render(spec)
	kind := "application/yaml"
	if spec.Form == manifest.Shell {
		kind = "text/x-shellscript; charset=utf-8"
	}
	return api.Text{Type: kind, Text: text}, err
}
