package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuer stands for whatever makes web identity tokens outside of AWS: a Kubernetes cluster, a build system.
type issuer struct {
	Name string `json:"name"`
	Key  []byte `json:"key"` // PKCS #8, an elliptic key of P-256: quick to make
}

func newIssuer(name string) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &issuer{Name: name, Key: raw}, nil
}

// jwk is the key pair with an id that follows from it.
func (i *issuer) jwk() (jose.JSONWebKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(i.Key)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	k := jose.JSONWebKey{Key: key, Algorithm: string(jose.ES256), Use: "sig"}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	k.KeyID = base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
	return k, nil
}

// issuerURL is the address of an issuer.
func (s *Server) issuerURL(name string) string { return s.config.Base + "/oidc/" + name }

// serveIssuer serves discovery and keys.
func (s *Server) serveIssuer(w http.ResponseWriter, r *http.Request) {
	name, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/oidc/"), "/")
	i := s.current.Load().Issuers[name]
	if i == nil || r.Method != http.MethodGet {
		answerJSON(w, http.StatusNotFound, map[string]string{"error": "there is no such issuer"})
		return
	}
	switch what {
	case ".well-known/openid-configuration":
		at := s.issuerURL(name)
		answerJSON(w, http.StatusOK, map[string]any{
			"issuer": at, "jwks_uri": at + "/keys", "authorization_endpoint": "urn:kubernetes:programmatic_authorization", "response_types_supported": []string{"id_token"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{string(jose.ES256)}, "claims_supported": []string{"sub", "iss"},
		})
	case "keys":
		k, err := i.jwk()
		if err != nil {
			answerJSON(w, http.StatusInternalServerError, map[string]string{"error": "the issuer's key cannot be read"})
			return
		}
		answerJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.Public()}})
	default:
		answerJSON(w, http.StatusNotFound, map[string]string{"error": "an issuer has .well-known/openid-configuration and keys"})
	}
}

// TokenRequest is what a web identity token is made from.
type TokenRequest struct {
	Issuer   string         `json:"issuer"`             // name of one of the sandbox's issuers
	Subject  string         `json:"subject"`            // such as system:serviceaccount:default:app
	Audience string         `json:"audience,omitempty"` // sts.amazonaws.com by default
	Life     Duration       `json:"life,omitzero"`      // a day by default, as in EKS; negative makes one that has expired
	Claims   map[string]any `json:"claims,omitempty"`   // put over the usual ones
}

// Token makes a web identity token, signed by one of the sandbox's issuers.
func (s *Server) Token(in TokenRequest) (string, error) {
	i := s.current.Load().Issuers[in.Issuer]
	if i == nil {
		return "", fail(http.StatusNotFound, "NotFound", "there is no issuer %q; a scene makes one", clip(in.Issuer))
	}
	key, err := i.jwk()
	if err != nil {
		return "", fmt.Errorf("read the key of issuer %s: %w", i.Name, err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	audience, life, now := in.Audience, in.Life.std(), s.now()
	if audience == "" {
		audience = "sts.amazonaws.com"
	}
	if life == 0 {
		life = 24 * time.Hour
	}
	claims := map[string]any{
		"iss": s.issuerURL(i.Name), "sub": in.Subject, "aud": []string{audience}, "iat": now.Add(min(0, life)).Unix(), "nbf": now.Add(min(0, life)).Unix(), "exp": now.Add(life).Unix(),
	}
	maps.Copy(claims, in.Claims)
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
