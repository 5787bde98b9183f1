package web

import (
	"context"
	"strings"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/oidc"
)

// signingKeyRow is a signing key of the issuer.
type signingKeyRow struct {
	ID, Algorithm string
	Mark          mark
	Made, Signs   ago
	Gone          ago
	Goes          bool
}

type issuerPage struct {
	v                 *visit
	URL, Own          string
	Audience, Subject string
	Discovery, KeySet string
	Hosted            bool
	Problem           string // why AWS cannot use it
	Keys              []signingKeyRow
	Rotate            string // address; "" when the caller may not
	Commands          []codeLine
	Provider          []codeLine
}

func (s *Server) issuerPage(ctx context.Context, v *visit) (reply, error) {
	view, err := s.Issuer.View(ctx, v.who)
	if err != nil {
		return reply{}, err
	}
	i := view.Issuer
	p := issuerPage{
		v: v, URL: i.URL, Own: i.Own, Audience: i.Audience, Subject: "the account", Hosted: i.Hosted(),
		Discovery: i.URL + oidc.DiscoveryPath, KeySet: i.URL + oidc.KeySetPath, Problem: oidc.CheckIssuer(i.URL),
		Commands: linesOf("belay oidc check\nbelay oidc trust-policy CONNECTOR\nbelay oidc export oidc/"),
		Provider: linesOf("aws iam create-open-id-connect-provider \\\n  --url " + shellWord(i.URL) + " \\\n  --client-id-list " + shellWord(i.Audience)),
	}
	if i.Enhanced {
		p.Subject = "account, organization and project"
	}
	if v.may(audit.OIDCRotate, v.account()) {
		p.Rotate = v.url("/ui/settings/oidc/rotate")
	}
	for _, k := range view.Keys {
		row := signingKeyRow{
			ID: k.Key.ID, Algorithm: string(k.Key.Algorithm), Made: since(v.now, k.Key.CreatedAt), Signs: since(v.now, k.Key.SignsFrom),
			Gone: since(v.now, k.Until), Goes: !k.Until.IsZero(), Mark: mark{"idle", "Next"},
		}
		switch k.State {
		case oidc.Active:
			row.Mark = mark{"ok", "Active"}
		case oidc.Retiring:
			row.Mark = mark{"warn", "Retiring"}
		case oidc.Next, oidc.Gone:
		}
		p.Keys = append(p.Keys, row)
	}
	return reply{title: "OIDC issuer", here: "Settings", body: issuerView(p)}, nil
}

func (s *Server) confirmRotation(_ context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.OIDCRotate, v.account()), "rotate signing keys", v.account()); err != nil {
		return reply{}, err
	}
	return reply{title: "Rotate signing keys", here: "Settings", body: rotateView(v)}, nil
}

func (s *Server) rotateKeys(ctx context.Context, v *visit) (reply, error) {
	_, err := s.Issuer.Rotate(ctx, v.who, oidc.Rotation{
		Algorithm: oidc.Algorithm(strings.TrimSpace(v.r.PostFormValue("algorithm"))), Revoke: v.r.PostFormValue("how") == "revoke",
	})
	return reply{to: v.url("/ui/settings/oidc")}, err
}
