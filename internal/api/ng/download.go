package ng

import (
	"context"
	"fmt"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/nextgen"
)

// permissions are the rights in the cluster that clients ask for, as a ClusterRole and where it is bound. Without a word
// there are none, which is what work in AWS needs.
func permissions(word string) (role string, inNamespace bool, err error) {
	switch word {
	case "":
		return "", false, nil
	case "CLUSTER_ADMIN":
		return "cluster-admin", false, nil
	case "CLUSTER_VIEWER":
		return "view", false, nil
	case "NAMESPACE_ADMIN":
		return "admin", true, nil
	}
	return "", false, fault.Problems{{Path: "clusterPermissionType", Message: fmt.Sprintf("%.40q is not known; use CLUSTER_ADMIN, CLUSTER_VIEWER, NAMESPACE_ADMIN, or none", word)}}
}

// download writes an install file of one form. The token is in it when it is named and the caller may see it.
func (s *Server) download(form manifest.Form) func(context.Context, api.Call, nextgen.DelegateSetup) (api.Text, error) {
	return func(ctx context.Context, c api.Call, in nextgen.DelegateSetup) (api.Text, error) {
		if _, err := s.Delegates.List(ctx, c.Who, c.At); err != nil { // it decides whether the caller may know
			return api.Text{}, err
		}
		role, inNamespace, err := permissions(in.ClusterPermissionType)
		if err != nil {
			return api.Text{}, err
		}
		spec := manifest.Spec{
			Form: form, Name: in.Name, Namespace: in.CustomClusterNamespace, Description: in.Description, Tags: in.Tags,
			Account: c.At.Account, Manager: s.URL(), Image: manifest.Repository + ":" + delegate.Current().String(),
		}
		if form != manifest.Docker {
			spec.ClusterRole, spec.InNamespace = role, inNamespace
		}
		if err := spec.Check(); err != nil { // before the token is revealed, which is audited
			return api.Text{}, err
		}
		if in.TokenName != "" {
			t, err := s.Tokens.Token(ctx, c.Who, c.At, in.TokenName)
			if err != nil {
				return api.Text{}, err
			}
			if spec.Token, err = s.Tokens.Reveal(ctx, c.Who, t); err != nil { //nolint:forbidigo // authorized and audited there
				return api.Text{}, err
			}
		}
		text, err := manifest.Render(spec)
		return api.Text{Type: "application/yaml", Text: text}, err
	}
}
