package e2e_test

import (
	"cmp"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/awsops"
	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// fault is one way in which a connection does not hold. It is put into a sandbox, the connection is tested, the diagnosis
// has to name what is wrong, its remedy is applied as it stands there, and then the connection has to hold.
type fault struct {
	scene string       // beside the accounts that every world has
	set   func(*world) // what a scene cannot say
	// timeout bounds the first test; 0 is long.
	timeout time.Duration
	code    string
	// names are what the diagnosis has to name: in its cause.
	names []string
	// shown has to be in the evidence.
	shown string
	// not may be neither in cause nor in remedy.
	not string
	// apply does what the remedy says. nil runs each command of the remedy with the AWS CLI.
	apply func(*world, *connector.Diagnosis)
}

// The accounts that every world has, each with a user admin who may do everything.
const (
	home       = "111111111111" // where the connectors' keys are from
	elsewhere  = "222222222222" // where roles are assumed
	stranger   = "333333333333"
	gov        = "444444444444"
	china      = "555555555555"
	management = "999999999999" // of the organization, where a scene has one
)

// The key of the user belay.
const (
	belayKey    = "AKIABELAY00000000000"
	belaySecret = "secret-of-belay"
)

// world is a sandbox, the environment of a delegate beside it, and a connector.
type world struct {
	*sandbox.Server

	t         *testing.T
	url       string // the sandbox's
	connector connector.Connector
	secrets   map[scope.Ref]string
	env       map[string]string // of the delegate
	sessions  *awsops.Sessions
	timeout   time.Duration // of a test; 0 is long
	// administrator gives the key of an account's administrator.
	administrator func(account string) (id, secret string)
}

func noProxy(*http.Request) (*url.URL, error) {
	return nil, nil //nolint:nilnil // that is how net/http says "none"
}

// newWorld starts a sandbox. The connector uses the key of the user belay, whom the scene makes.
func newWorld(t *testing.T) *world {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	address := "http://" + listener.Listener.Addr().String()
	s, err := sandbox.New(sandbox.Config{Base: address})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = s
	listener.Start()
	t.Cleanup(listener.Close)
	w := &world{Server: s, t: t, url: address, secrets: map[scope.Ref]string{"account.secret": belaySecret}}
	w.env = map[string]string{"AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true"}
	w.sessions = &awsops.Sessions{
		Env:   func(name string) string { return w.env[name] },
		Proxy: noProxy,
	}
	w.administrator = func(account string) (string, string) { return adminKey(account), adminSecret(account) }
	w.connector = connector.Connector{
		Scope: scope.Scope{Account: "acct"}, ID: "aws", Name: "aws", Revision: 1,
		Credential: connector.ManualConfig{AccessKey: belayKey, SecretKeyRef: "account.secret"},
		Backoff:    backoff.Fixed{Wait: time.Millisecond, Count: 1},
	}
	var accounts strings.Builder
	for id, partition := range map[string]string{home: "aws", elsewhere: "aws", stranger: "aws", management: "aws", gov: "aws-us-gov", china: "aws-cn"} {
		fmt.Fprintf(&accounts, "- {id: %q, partition: %s, users: [{name: admin, attach: [AdministratorAccess], keys: [{id: %s, secret: %s}]}]}\n",
			id, partition, adminKey(id), adminSecret(id))
	}
	w.seed("accounts:\n" + accounts.String())
	return w
}

func adminKey(account string) string    { return "AKIAADMIN" + account }
func adminSecret(account string) string { return "secret-of-admin-" + account }

func (w *world) seed(scene string) {
	w.t.Helper()
	if _, err := w.Seed([]byte(scene)); err != nil {
		w.t.Fatalf("%s\n%s", sandbox.Message(err), scene)
	}
}

func (w *world) settings(change func(*sandbox.Settings)) {
	w.t.Helper()
	s := w.Settings()
	change(&s)
	if err := w.Set(s); err != nil {
		w.t.Fatal(err)
	}
}

// later moves the sandbox's clock.
func (w *world) later(by time.Duration) {
	w.settings(func(s *sandbox.Settings) { s.ClockOffset += sandbox.Duration(by) })
}

// access resolves the connector as the manager does.
func (w *world) access() connector.Access {
	c := w.connector
	a := connector.Access{Key: c.Key(), Revision: c.Revision, Name: c.ID, CrossAccount: c.CrossAccount, Region: c.TestRegion(), Backoff: c.Retry()}
	switch one := c.Credential.(type) {
	case connector.ManualConfig:
		keys := connector.StaticKeys{AccessKey: one.AccessKey, SecretKey: secret.NewValue(w.secrets[one.SecretKeyRef])}
		if one.SessionTokenRef != "" {
			keys.SessionToken = secret.NewValue(w.secrets[one.SessionTokenRef])
		}
		a.Source = keys
	case connector.InheritFromDelegate:
		a.Source = connector.DelegateRole{}
	case connector.IRSA:
		a.Source = connector.WebIdentityFile{}
	case connector.OIDC:
		a.Source = connector.WebIdentityToken{RoleARN: one.RoleARN, Token: secret.NewValue(w.secrets["token"])}
	case connector.Kubernetes: // none of the catalogue is of a cluster
	}
	return a
}

// test tests the connection in this process, as a delegate and its manager do together.
func (w *world) test() (connector.Evidence, *connector.Diagnosis) {
	w.t.Helper()
	evidence := w.sessions.Validate(w.t.Context(), connector.Check{Access: w.access(), Timeout: cmp.Or(w.timeout, 30*time.Second)})
	return evidence, connector.Diagnose(connector.Result{Request: connector.Request{Connector: w.connector}, Evidence: &evidence, Delegate: "eks-1"})
}

// aws runs the AWS CLI as the administrator of an account.
func (w *world) aws(account string, args ...string) string {
	w.t.Helper()
	region := "us-east-1"
	switch account {
	case gov:
		region = "us-gov-west-1"
	case china:
		region = "cn-north-1"
	}
	id, secretKey := w.administrator(account)
	out, err := belaytest.AWSCLI(w.t, []string{
		"AWS_ENDPOINT_URL=" + w.url, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_DEFAULT_REGION=" + region,
	}, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// admin is the SDK as the administrator of an account, for what is no remedy.
func (w *world) admin(account string) awssdk.Config {
	id, secretKey := w.administrator(account)
	return awssdk.Config{
		Region: "us-east-1", BaseEndpoint: &w.url, HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider(id, secretKey, ""),
	}
}

func (w *world) iam(account string) *iam.Client { return iam.NewFromConfig(w.admin(account)) }

// done takes what a call of the administrator's answers.
func (w *world) done(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// grant allows the user belay an action, as a remedy in words has it.
func (w *world) grant(action, resource string) {
	w.t.Helper()
	w.done(w.iam(home).PutUserPolicy(w.t.Context(), &iam.PutUserPolicyInput{
		UserName: awssdk.String("belay"), PolicyName: awssdk.String("granted"), PolicyDocument: awssdk.String(granted(action, resource)),
	}))
}

// grantRole allows a role an action.
func (w *world) grantRole(account, role, action, resource string) {
	w.t.Helper()
	w.done(w.iam(account).PutRolePolicy(w.t.Context(), &iam.PutRolePolicyInput{
		RoleName: &role, PolicyName: awssdk.String("granted"), PolicyDocument: awssdk.String(granted(action, resource)),
	}))
}

func granted(action, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q}]}`, action, resource)
}

// shellWords splits a command as a shell does.
func shellWords(t *testing.T, command string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\0' `+command).Output()
	if err != nil {
		t.Fatalf("the shell cannot read %s: %v", command, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// commands runs every command of the remedy, each as the administrator whom it is for: of the organization, of the account
// of the role, or of the connector's own account.
func commands(w *world, d *connector.Diagnosis) {
	w.t.Helper()
	ran := 0
	for _, remedy := range d.Remedy {
		if !strings.HasPrefix(remedy, "aws ") {
			continue
		}
		args := shellWords(w.t, strings.TrimPrefix(remedy, "aws "))
		account := home
		switch {
		case args[0] == "organizations":
			account = management
		case args[1] == "update-assume-role-policy" || args[1] == "create-role" || strings.Contains(args[1], "open-id-connect"):
			account = w.roleAccount()
		}
		w.aws(account, args...)
		ran++
	}
	if ran == 0 {
		w.t.Fatalf("the remedy has no command:\n%s", strings.Join(d.Remedy, "\n"))
	}
}

// roleAccount is where the role is that the connector needs.
func (w *world) roleAccount() string {
	role := w.env["AWS_ROLE_ARN"]
	if one, ok := w.connector.Credential.(connector.OIDC); ok {
		role = one.RoleARN
	}
	if w.connector.CrossAccount != nil {
		role = w.connector.CrossAccount.RoleARN
	}
	parsed, err := arn.Parse(role)
	if err != nil {
		w.t.Fatal(err)
	}
	return parsed.Account
}

// told does what a remedy in words says, once it is sure that the remedy says so.
func told(part string, do func(*world)) func(*world, *connector.Diagnosis) {
	return func(w *world, d *connector.Diagnosis) {
		w.t.Helper()
		if !strings.Contains(strings.Join(d.Remedy, "\n"), part) {
			w.t.Fatalf("no remedy says %q:\n%s", part, strings.Join(d.Remedy, "\n"))
		}
		do(w)
	}
}

// user is the scene of the user belay, who may read what is his, with more of his own: a line each.
func user(more ...string) string {
	return sceneOf(home, "  users:\n  - name: belay\n    keys: [{id: "+belayKey+", secret: "+belaySecret+"}]\n    "+strings.Join(more, "\n    ")+"\n")
}

// sceneOf is a scene with one account.
func sceneOf(account, more string) string {
	return fmt.Sprintf("accounts:\n- id: %q\n%s", account, more)
}

// statement is a policy document with one statement, in YAML's flow form.
func statement(effect, action, resource string, more ...string) string {
	return fmt.Sprintf(`{Version: "2012-10-17", Statement: [{Effect: %s, Action: %s, Resource: %q%s}]}`, effect, action, resource, strings.Join(append([]string{""}, more...), ", "))
}

const (
	// readsItself lets an identity read its policies; mayRegions lets it list Regions.
	readsItself = "IAMReadOnlyAccess"
	anyRegions  = `"ec2:DescribeRegions"`
)

// inject plays one case: it fails, says why, is mended as it was said, and holds.
func (f fault) inject(t *testing.T, w *world) {
	t.Helper()
	if f.scene != "" {
		w.seed(f.scene)
	}
	if f.set != nil {
		f.set(w)
	}
	w.timeout = f.timeout
	evidence, d := w.test()
	w.timeout = 0
	if d == nil {
		t.Fatalf("the connection holds: %+v", evidence)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %s\n\n%s\n%q", d.Code, d.Cause, strings.Join(d.Remedy, "\n"), d.Evidence)
		}
	})
	if d.Code != f.code {
		t.Fatalf("code %s, want %s", d.Code, f.code)
	}
	for _, name := range f.names {
		if !strings.Contains(strings.ToLower(d.Cause), strings.ToLower(name)) {
			t.Errorf("the cause does not name %q", name)
		}
	}
	if f.shown != "" && !slices.ContainsFunc(d.Evidence, func(e connector.Fact) bool { return strings.Contains(e.Label+": "+e.Text, f.shown) }) {
		t.Errorf("the evidence lacks %q", f.shown)
	}
	if f.not != "" && strings.Contains(d.Cause+strings.Join(d.Remedy, " "), f.not) {
		t.Errorf("it says %q", f.not)
	}
	apply := f.apply
	if apply == nil {
		apply = commands
	}
	apply(w, d)
	if _, d := w.test(); d != nil {
		t.Errorf("mended as it was said, the connection still fails: %s: %s\n%+v", d.Code, d.Cause, d.Evidence)
	}
}

// TestFaults plays the catalogue of faults.
func TestFaults(t *testing.T) {
	t.Parallel()
	const atLeast = 100
	all := map[string]fault{}
	for _, table := range []map[string]fault{permissionFaults(), trustFaults(), keyFaults(), webIdentityFaults(), placeFaults(), networkFaults()} {
		for name, f := range table {
			if _, twice := all[name]; twice {
				t.Fatalf("two faults are called %q", name)
			}
			all[name] = f
		}
	}
	if len(all) < atLeast {
		t.Fatalf("only %d faults", len(all))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all[name].inject(t, newWorld(t))
		})
	}
}

// TestAWrongClockIsAWarning: the SDK corrects for it, so the connection holds, but other programs of that machine will fail.
func TestAWrongClockIsAWarning(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		off  time.Duration
		want string
	}{
		"20 minutes behind AWS": {20 * time.Minute, "behind AWS's"},
		"20 minutes ahead":      {-20 * time.Minute, "ahead of AWS's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.seed(user("inline: {regions: " + statement("Allow", anyRegions, "*") + "}"))
			w.later(tt.off)
			evidence, d := w.test()
			if d != nil {
				t.Fatalf("%s: %s", d.Code, d.Cause)
			}
			if warning := connector.SkewWarning(evidence.ClockSkew, "eks-1"); !strings.Contains(warning, tt.want) || !strings.Contains(warning, "NTP") {
				t.Fatalf("the warning is %q", warning)
			}
			w.later(-tt.off)
			if evidence, d := w.test(); d != nil || evidence.ClockSkew != 0 {
				t.Fatalf("with the right clock: %v, skew %s", d, evidence.ClockSkew)
			}
		})
	}
}

// bundle writes a certificate to a file.
func bundle(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
