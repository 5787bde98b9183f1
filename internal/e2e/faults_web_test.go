package e2e_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

const (
	podRole = "arn:aws:iam::" + home + ":role/pod"
	podSub  = "system:serviceaccount:default:app"
)

// cluster is a scene with a cluster's issuer, an account that trusts it, and a role for one of its service accounts.
// PROVIDER, TRUSTED and SUBJECT stand for what a fault changes.
const cluster = `
issuers: [cluster, another]
accounts:
- id: "111111111111"
  providers: [PROVIDER]
  roles:
  - name: pod
    inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
    trust:
      Version: "2012-10-17"
      Statement:
      - Effect: Allow
        Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/TRUSTED"}
        Action: sts:AssumeRoleWithWebIdentity
        Condition: {StringEquals: {"TRUSTED:aud": sts.amazonaws.com, "TRUSTED:sub": "SUBJECT"}}
`

func clusterWith(pairs ...string) string {
	given := append(pairs, "PROVIDER", `{url: "http://{{issuer.cluster}}", clientIDs: [sts.amazonaws.com]}`, "TRUSTED", "{{issuer.cluster}}", "SUBJECT", podSub)
	return strings.NewReplacer(given...).Replace(cluster)
}

// pod puts the delegate into a pod with a token of its service account.
func (w *world) pod(in sandbox.TokenRequest) {
	w.t.Helper()
	if in.Issuer == "" {
		in.Issuer = "cluster"
	}
	if in.Subject == "" {
		in.Subject = podSub
	}
	token, err := w.Token(in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.podToken(token)
}

func (w *world) podToken(token string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env["AWS_ROLE_ARN"], w.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = podRole, file
	w.connector.Credential = connector.IRSA{}
}

func inPod(w *world) { w.pod(sandbox.TokenRequest{}) }

// issued gives the connector a token as the manager's own issuer would: the cluster's issuer stands for it.
func (w *world) issued() {
	w.t.Helper()
	token, err := w.Token(sandbox.TokenRequest{Issuer: "cluster", Subject: podSub})
	if err != nil {
		w.t.Fatal(err)
	}
	w.secrets["token"] = token
	w.connector.Credential = connector.OIDC{RoleARN: podRole}
}

// outside is an issuer apart from the sandbox, with the key of the sandbox's cluster, which can be broken.
type outside struct {
	url    string
	broken atomic.Bool
	handle http.HandlerFunc // answers while it is broken
}

func newOutside(w *world, broken http.HandlerFunc) *outside {
	w.t.Helper()
	o := &outside{handle: broken}
	o.broken.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		switch {
		case o.broken.Load():
			o.handle(answer, r)
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			_ = json.NewEncoder(answer).Encode(map[string]string{"issuer": o.url, "jwks_uri": o.url + "/keys"})
		default:
			r.URL.Path = "/oidc/cluster/keys"
			w.ServeHTTP(answer, r)
		}
	}))
	w.t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// brokenIssuer is a fault of an issuer that does not answer as it should.
func brokenIssuer(f fault, broken http.HandlerFunc, remedy string) fault {
	var o *outside
	f.set = func(w *world) {
		o = newOutside(w, broken)
		host := strings.TrimPrefix(o.url, "http://")
		w.seed(clusterWith("PROVIDER", `{url: "`+o.url+`", clientIDs: [sts.amazonaws.com]}`, "TRUSTED", host))
		w.pod(sandbox.TokenRequest{Claims: map[string]any{"iss": o.url}})
	}
	f.apply = func(w *world, d *connector.Diagnosis) { told(remedy, func(*world) { o.broken.Store(false) })(w, d) }
	return f
}

// webIdentityFaults are those of IRSA and of Belay's own tokens.
func webIdentityFaults() map[string]fault {
	refused := func(scene string, set func(*world), names ...string) fault {
		return fault{scene: scene, set: set, code: connector.WebIdentityRefused, names: names}
	}
	mended := func(f fault, part string, do func(*world)) fault {
		f.apply = told(part, do)
		return f
	}
	const twoProviders = `{url: "http://{{issuer.cluster}}", clientIDs: [sts.amazonaws.com]}, {url: "http://{{issuer.another}}", clientIDs: [sts.amazonaws.com]}`
	without := func(then func(*world)) func(*world) { // IAM takes no trust policy with a provider that is not there
		return func(w *world) {
			provider := "arn:aws:iam::" + home + ":oidc-provider/" + strings.TrimPrefix(w.url, "http://") + "/oidc/cluster"
			w.done(w.iam(home).DeleteOpenIDConnectProvider(w.t.Context(), &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: &provider}))
			then(w)
		}
	}
	const otherAudience = `{url: "http://{{issuer.cluster}}", clientIDs: [belay]}`
	return map[string]fault{
		"the account has no provider for the issuer": refused(clusterWith(), without(inPod), "account "+home, "no OpenID Connect provider for the issuer http://127.0.0.1", "/oidc/cluster"),
		"the provider lacks the audience":            refused(clusterWith("PROVIDER", otherAudience), inPod, "does not list the token's audience sts.amazonaws.com"),
		"the trust policy names another service account": refused(clusterWith("SUBJECT", "system:serviceaccount:default:other"), inPod,
			podRole, "the token of "+podSub, "its conditions on aud and sub"),
		"the trust policy names another provider": refused(clusterWith("PROVIDER", twoProviders, "TRUSTED", "{{issuer.another}}"), inPod, podRole, "its trust policy names another provider"),
		"the variable names a role that is not there": mended(refused(clusterWith(), func(w *world) {
			inPod(w)
			w.env["AWS_ROLE_ARN"] = podRole + "s"
		}, podRole+"s", "the role is absent"), "Check that AWS_ROLE_ARN names a role that exists", func(w *world) { w.env["AWS_ROLE_ARN"] = podRole }),
		"the token has expired": mended(refused(clusterWith(), func(w *world) { w.pod(sandbox.TokenRequest{Life: sandbox.Duration(-time.Hour)}) },
			"The web identity token has expired, at 20"), "Restart the pod, so that EKS writes a new token", inPod),
		"the token is signed by another issuer's key": mended(refused(clusterWith(), func(w *world) {
			w.pod(sandbox.TokenRequest{Issuer: "another", Claims: map[string]any{"iss": w.url + "/oidc/cluster"}})
		}, "the key set lacks the key that signed", "/oidc/cluster"), "get a new token", inPod),
		"the token was tampered with": mended(refused(clusterWith(), func(w *world) {
			inPod(w)
			token, err := os.ReadFile(w.env["AWS_WEB_IDENTITY_TOKEN_FILE"])
			if err != nil {
				w.t.Fatal(err)
			}
			parts := strings.Split(string(token), ".")
			other, err := w.Token(sandbox.TokenRequest{Issuer: "cluster", Subject: "system:serviceaccount:kube-system:root"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.podToken(parts[0] + "." + strings.Split(other, ".")[1] + "." + parts[2])
		}, "signature is not by the key that the issuer"), "Get a new token", inPod),
		"the file holds no token": mended(refused(clusterWith(), func(w *world) { w.podToken("not-a-token") }, "no web identity token"), "restart the pod", inPod),
		"the issuer cannot be reached": brokenIssuer(refused("", nil, "AWS could not reach the issuer http://127.0.0.1"), func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, "make the issuer reachable from the internet"),
		"the issuer has no discovery document": brokenIssuer(refused("", nil, "AWS found no signing key", "http://127.0.0.1"), http.NotFound, "Make the issuer's discovery document and key set reachable"),
		"the role does not allow so long a session": {
			scene: clusterWith(), set: func(w *world) {
				inPod(w)
				w.connector.CrossAccount = &connector.CrossAccount{RoleARN: "arn:aws:iam::" + elsewhere + ":role/deploy", SessionDuration: 2 * time.Hour}
				w.seed(sceneOf(elsewhere, `  roles: [{name: deploy, maxSession: 4h, trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}]}, inline: {regions: `+statement("Allow", anyRegions, "*")+"}}]\n"))
				w.grantRole(home, "pod", "sts:AssumeRole", "*")
			},
			code: connector.ConfigurationRefused, names: []string{"role chaining"},
			apply: told("3600 or less", func(w *world) { w.connector.CrossAccount.SessionDuration = time.Hour }),
		},
		"no provider for Belay's issuer":           refused(clusterWith(), without((*world).issued), "no OpenID Connect provider for Belay's issuer"),
		"the provider lacks Belay's audience":      refused(clusterWith("PROVIDER", otherAudience), (*world).issued, "does not list the audience of Belay's tokens"),
		"the role trusts another subject of Belay": mended(refused(clusterWith("SUBJECT", "account/acct/else"), (*world).issued, "its conditions on aud and sub do not hold"), "Compare the role's trust policy with what `belay oidc trust-policy aws` prints", func(w *world) { w.seed(clusterWith()) }),
	}
}

// TestAnIssuersCertificate: over TLS, with an authority that nobody knows, only the provider's thumbprint vouches for it.
func TestAnIssuersCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secure := httptest.NewUnstartedServer(nil)
	config, err := w.TLS()
	if err != nil {
		t.Fatal(err)
	}
	secure.TLS = config
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // the sandbox turns away from a certificate that it does not trust
	o := &outside{}
	secure.Config.Handler = http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			_ = json.NewEncoder(answer).Encode(map[string]string{"issuer": o.url, "jwks_uri": o.url + "/keys"})
			return
		}
		r.URL.Path = "/oidc/cluster/keys"
		w.ServeHTTP(answer, r)
	})
	secure.StartTLS()
	t.Cleanup(secure.Close)
	o.url = secure.URL
	thumbprint, err := w.Thumbprint()
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(o.url, "https://")
	fault{
		scene: clusterWith("PROVIDER", `{url: "`+o.url+`", clientIDs: [sts.amazonaws.com], thumbprints: ["0123456789012345678901234567890123456789"]}`, "TRUSTED", host),
		set:   func(w *world) { w.pod(sandbox.TokenRequest{Claims: map[string]any{"iss": o.url}}) },
		code:  connector.WebIdentityRefused,
		names: []string{"The certificate of the issuer " + o.url, "thumbprint"},
		apply: told("update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn arn:aws:iam::111111111111:oidc-provider/"+host, func(w *world) {
			w.done(w.iam(home).UpdateOpenIDConnectProviderThumbprint(w.t.Context(), &iam.UpdateOpenIDConnectProviderThumbprintInput{
				OpenIDConnectProviderArn: aws.String("arn:aws:iam::111111111111:oidc-provider/" + host), ThumbprintList: []string{thumbprint},
			}))
		}),
	}.inject(t, w)
}
