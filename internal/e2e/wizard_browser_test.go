//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belay-dev/belay/internal/belaytest"
	"github.com/belay-dev/belay/internal/sandbox"
)

// wizardScene is an account in which every way to get credentials is prepared but OIDC, which is prepared with what the wizard
// prints. The key of the user stuck may not list Regions.
const wizardScene = `
issuers: [cluster]
accounts:
- id: "111111111111"
  providers: [{url: "http://{{issuer.cluster}}", clientIDs: [sts.amazonaws.com]}]
  users:
  - {name: admin, attach: [AdministratorAccess], keys: [{id: AKIAADMIN111111111111, secret: secret-of-admin-111111111111}]}
  - name: belay
    keys: [{id: AKIABELAY00000000000, secret: secret-of-belay}]
    inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
  - {name: stuck, attach: [IAMReadOnlyAccess], keys: [{id: AKIASTUCK00000000000, secret: secret-of-stuck}]}
  roles:
  - name: machine
    inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
    trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}
  - name: pod
    inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
    trust:
      Version: "2012-10-17"
      Statement:
      - Effect: Allow
        Principal: {Federated: "arn:aws:iam::111111111111:oidc-provider/{{issuer.cluster}}"}
        Action: sts:AssumeRoleWithWebIdentity
        Condition: {StringEquals: {"{{issuer.cluster}}:aud": sts.amazonaws.com, "{{issuer.cluster}}:sub": "system:serviceaccount:belay:delegate"}}
  profiles: [{name: machine, role: machine}]
instances:
- {id: i-0123456789abcdef0, account: "111111111111", region: eu-central-1, profile: machine}
`

// stage is a manager and a sandbox, each a process, and a browser that is signed in.
type stage struct {
	*manager

	t   *testing.T
	at  string // the sandbox's address
	ctx context.Context
	// said is what the browser complained of.
	said func() []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	scene := filepath.Join(t.TempDir(), "wizard.scene.yaml")
	if err := os.WriteFile(scene, []byte(wizardScene), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := belaytest.Chromium(t, 4*time.Minute)
	box := start(t, clean(), "sandbox", "--listen", "127.0.0.1:0", "-f", scene)
	s := &stage{t: t, ctx: ctx, at: box.find(`AWS_ENDPOINT_URL=(http://127\.0\.0\.1:\d+)`), said: belaytest.Complaints(ctx)}
	s.manager = startManager(t, "AWS_ENDPOINT_URL="+s.at, "AWS_EC2_METADATA_DISABLED=true")
	t.Cleanup(func() {
		for _, one := range s.said() {
			t.Errorf("the browser says: %s", one)
		}
	})
	return s
}

// do does actions in the browser.
func (s *stage) do(steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	if err := chromedp.Do(s.ctx, steps...); err != nil {
		text, _ := chromedp.Run(s.ctx, chromedp.Text("main"))
		s.t.Fatalf("%v\n%s", err, text)
	}
}

// text is what an element says.
func (s *stage) text(selector string) string {
	s.t.Helper()
	text, err := chromedp.Run(s.ctx, chromedp.TextContent(selector))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// comes waits until an expression holds.
func (s *stage) comes(expression string) {
	s.t.Helper()
	if _, err := chromedp.Run(s.ctx, chromedp.Poll[bool](expression)); err != nil {
		s.t.Fatalf("%s: %v", expression, err)
	}
}

// signIn signs in through the form, once a wrong key was refused.
func (s *stage) signIn() {
	s.t.Helper()
	s.do(
		chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.url+"/"), chromedp.SendKeys("#key", s.key+"x"), chromedp.Click("button[type=submit]"),
		chromedp.WaitVisible("#key[aria-invalid=true]"),
	)
	s.do(chromedp.SendKeys("#key", s.key), chromedp.Click("button[type=submit]"), chromedp.WaitVisible(".page h1"))
}

// begin answers the first step.
func (s *stage) begin(name string) {
	s.t.Helper()
	s.do(chromedp.Navigate(s.url+"/ui/new/connector"), chromedp.SendKeys("#name", name), chromedp.Click("#next"), chromedp.WaitVisible("#credential"))
}

// saved goes from the third step to the end, and gives what the last one is headed with.
func (s *stage) saved(selectors string) string {
	s.t.Helper()
	s.do(chromedp.Click("#next"), chromedp.WaitVisible("#region"), chromedp.Click("#next"), chromedp.WaitVisible("#mode"))
	if selectors == "" {
		s.do(chromedp.Click("[name=mode][value=manager]"))
	} else {
		s.do(chromedp.SendKeys("#delegateSelectors", selectors))
		s.comes(`document.querySelector("#beside").textContent.includes("1 delegate matches now")`)
	}
	s.do(chromedp.Click("#next"), chromedp.WaitVisible("#line"), chromedp.Click("#next"), chromedp.WaitVisible("#outcome"))
	return s.text("#h-line")
}

// cli runs a command that a page shows, as the administrator of the account.
func (s *stage) cli(command string) {
	s.t.Helper()
	args := shellWords(s.t, strings.TrimPrefix(strings.TrimSpace(command), "aws "))
	if _, err := belaytest.AWSCLI(s.t, []string{
		"AWS_ENDPOINT_URL=" + s.at, "AWS_ACCESS_KEY_ID=" + adminKey(home), "AWS_SECRET_ACCESS_KEY=" + adminSecret(home), "AWS_DEFAULT_REGION=us-east-1",
	}, args...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) iam() *iam.Client {
	w := world{t: s.t, url: s.at, administrator: func(account string) (string, string) { return adminKey(account), adminSecret(account) }}
	return w.iam(home)
}

// holds fails unless the last step says that the connection holds, with every knot of its line.
func (s *stage) holds(what, says, by string) {
	s.t.Helper()
	if says != "It holds" {
		s.t.Fatalf("%s: %s: %s", what, says, s.text("#outcome"))
	}
	s.comes(`[...document.querySelectorAll("#line .was > .rope > li")].every((li) => li.className === "ok")`)
	if got := s.text("#outcome"); !strings.Contains(got, home) || !strings.Contains(got, by) {
		s.t.Errorf("%s: the outcome is %s", what, got)
	}
}

// The wizard leads to a connection that holds in all four ways: an access key whose secret is stored in place, the role of a
// delegate, IRSA, and OIDC with the provider and the policies that the page prints.
func TestE2EWizardFourWays(t *testing.T) {
	s := newStage(t)
	s.delegate("keys", "AWS_ENDPOINT_URL="+s.at)
	s.delegate("machine", "AWS_ENDPOINT_URL="+s.at, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.at, "AWS_EC2_METADATA_DISABLED=false")
	s.delegate("pod", "AWS_ENDPOINT_URL="+s.at, "AWS_ROLE_ARN=arn:aws:iam::111111111111:role/pod", "AWS_WEB_IDENTITY_TOKEN_FILE="+s.token("system:serviceaccount:belay:delegate"))
	s.signIn()

	s.begin("by key")
	s.do(chromedp.Click("[value=ManualConfig]"), chromedp.SendKeys("#accessKey", belayKey), chromedp.Click("details:has(#newSecret) summary"),
		chromedp.SendKeys("#newSecret", "belay key"), chromedp.SendKeys("#newSecretValue", belaySecret))
	s.holds("access key", s.saved("keys"), "keys")
	if page := s.text("html"); strings.Contains(page, belaySecret) || !strings.Contains(page, "secretKeyRef: account.belay_key") {
		t.Error("the secret is in the page, or the connector does not refer to it")
	}

	s.begin("by role")
	s.do(chromedp.Click("[value=InheritFromDelegate]"))
	s.holds("role of the delegate", s.saved("machine"), "assumed-role/machine/i-0123456789abcdef0")

	s.begin("by irsa")
	s.do(chromedp.Click("[value=Irsa]"))
	s.holds("IRSA", s.saved("pod"), "assumed-role/pod/")

	s.begin("by oidc")
	s.do(chromedp.Click("[value=OidcAuthentication]"), chromedp.SendKeys("#iamRoleArn", "arn:aws:iam::111111111111:role/belay-oidc"), chromedp.WaitVisible("#b-provider"))
	s.cli(s.text("#b-provider code"))
	s.makeRole("belay-oidc")
	s.holds("OIDC", s.saved(""), "assumed-role/belay-oidc/belay-by_oidc")
}

// token makes a token of the cluster's issuer for a service account, in a file.
func (s *stage) token(subject string) string {
	s.t.Helper()
	var answer struct{ Token string }
	s.control("token", sandbox.TokenRequest{Issuer: "cluster", Subject: subject}, &answer)
	file := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(answer.Token), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// makeRole makes a role with the trust policy and the permissions that the page shows.
func (s *stage) makeRole(name string) {
	s.t.Helper()
	trust, permissions := s.text("#b-trust code"), s.text("#b-permissions code")
	if _, err := s.iam().CreateRole(s.ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}); err != nil {
		s.t.Fatalf("%v\n%s", err, trust)
	}
	if _, err := s.iam().PutRolePolicy(s.ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("belay-connection"), PolicyDocument: &permissions}); err != nil {
		s.t.Fatalf("%v\n%s", err, permissions)
	}
}

// A test that fails says in the page what is wrong; the command that it prints mends it, and the button tests again. A role that
// does not trust the connector is told by the same page, and the wizard's own trust policy mends it.
func TestE2EWizardRemedy(t *testing.T) {
	s := newStage(t)
	s.delegate("keys", "AWS_ENDPOINT_URL="+s.at)
	s.signIn()
	s.secret("stuck_key", "secret-of-stuck")
	s.begin("stuck")
	s.do(chromedp.Click("[value=ManualConfig]"), chromedp.SendKeys("#accessKey", "AKIASTUCK00000000000"), chromedp.SendKeys("#secretKeyRef", "account.stuck_key"))
	s.comes(`document.querySelector("#beside").textContent.includes("The secret access key is stored") && document.querySelector("#beside .ok") !== null`)
	if says := s.saved("keys"); says != "Where it breaks" {
		t.Fatalf("it says %q", says)
	}
	if cause := s.text("#outcome"); !strings.Contains(cause, "No policy of the identity allows ec2:DescribeRegions") {
		t.Fatalf("the diagnosis is %s", cause)
	}
	if says := s.text("#line .was .fail"); !strings.Contains(says, "Region") {
		t.Errorf("it breaks at %q", says)
	}
	s.cli(s.command("put-user-policy"))
	s.do(chromedp.Click("#next"), chromedp.WaitNotPresent("#outcome .note.fail"), chromedp.WaitVisible("#h-id"))
	s.holds("mended as the page said", s.text("#h-line"), "keys")

	// The role trusts another connector's subject.
	s.begin("untrusted")
	s.do(chromedp.Click("[value=OidcAuthentication]"), chromedp.SendKeys("#iamRoleArn", "arn:aws:iam::111111111111:role/belay-oidc"), chromedp.WaitVisible("#b-provider"))
	s.cli(s.text("#b-provider code"))
	s.makeRole("belay-oidc")
	right := s.text("#b-trust code")
	wrong := regexp.MustCompile(`org/:project/`).ReplaceAllString(right, "org/other:project/other")
	if wrong == right {
		t.Fatalf("no subject in %s", right)
	}
	update := func(document string) {
		t.Helper()
		if _, err := s.iam().UpdateAssumeRolePolicy(s.ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("belay-oidc"), PolicyDocument: &document}); err != nil {
			t.Fatal(err)
		}
	}
	update(wrong)
	if says := s.saved(""); says != "Where it breaks" {
		t.Fatalf("it says %q", says)
	}
	if cause := s.text("#outcome"); !strings.Contains(cause, "BLY-2110") || !strings.Contains(cause, "trust policy") {
		t.Fatalf("the diagnosis is %s", cause)
	}
	s.do(chromedp.Click(".steps li:nth-child(2) a"), chromedp.WaitVisible("#b-trust"))
	update(s.text("#b-trust code"))
	s.do(chromedp.Click(".steps li:nth-child(5) a"), chromedp.WaitVisible("#outcome"), chromedp.Click("#next"), chromedp.WaitNotPresent("#outcome .note.fail"), chromedp.WaitVisible("#h-id"))
	s.holds("with the trust policy of the page", s.text("#h-line"), "assumed-role/belay-oidc/")
}

// command is the command of the remedy in the page that has a word.
func (s *stage) command(word string) string {
	s.t.Helper()
	all, err := chromedp.Run(s.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#outcome pre code")].map((c) => c.textContent)`))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, one := range all {
		if strings.HasPrefix(strings.TrimSpace(one), "aws ") && strings.Contains(one, word) {
			return one
		}
	}
	s.t.Fatalf("the page prints no command with %s: %q", word, all)
	return ""
}

// Markup in every field that takes free text is shown as text: nothing of it runs, in no step, and the browser has nothing
// to complain of, which it would have of a script that the policy of the pages keeps from running.
func TestE2EWizardInjection(t *testing.T) {
	s := newStage(t)
	s.signIn()
	const evil = `'"></textarea><script>window.hurt=1</script><img src=x onerror="window.hurt=1">`
	unhurt := func(where string) {
		t.Helper()
		s.comes(`document.readyState === "complete"`)
		hurt, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool](`window.hurt !== undefined || document.querySelector('img, script:not([src])') !== null`))
		if err != nil || hurt {
			t.Errorf("%s: markup became part of the page: %v", where, err)
		}
	}
	// fill types into every visible field, in all ways that the step has.
	fill := func(where string, fields ...string) {
		t.Helper()
		for _, f := range fields {
			s.do(chromedp.SendKeys("#"+f, evil))
		}
		s.comes(`document.querySelector(".htmx-request") === null`)
		unhurt(where)
		s.do(chromedp.Click("#next"), chromedp.WaitVisible(".note.fail"))
		unhurt(where + ", refused")
	}
	s.do(chromedp.Navigate(s.url + "/ui/new/connector"))
	fill("name", "name", "identifier", "description", "tags")
	s.begin("evil")
	s.do(chromedp.Click("[value=ManualConfig]"), chromedp.Click("details:has(#newSecret) summary"))
	fill("access key", "accessKey", "secretKeyRef", "accessKeyRef", "sessionTokenRef", "newSecret", "newSecretValue")
	s.do(chromedp.Click("[value=OidcAuthentication]"))
	fill("OIDC", "iamRoleArn")
	s.do(chromedp.Click("[value=Irsa]"), chromedp.WaitVisible("#clusterIssuer"))
	for _, f := range []string{"clusterIssuer", "awsAccount", "namespace", "serviceAccount"} {
		s.do(chromedp.SendKeys("#"+f, evil))
	}
	s.comes(`document.querySelector("#beside").textContent.includes("window.hurt")`)
	unhurt("IRSA")
	s.do(chromedp.Click("#next"), chromedp.WaitVisible("#region"), chromedp.SetValue("#backoff", "EqualJitterBackoffStrategy"))
	fill("role and Region", "crossAccountRoleArn", "externalId", "principal", "region", "baseDelay", "maxBackoffTime", "retryCount")
	s.do(chromedp.SetValue("#backoff", "FixedDelayBackoffStrategy"))
	fill("fixed delay", "fixedBackoff")
	s.begin("evil")
	s.do(chromedp.SendKeys("#iamRoleArn", "arn:aws:iam::111111111111:role/x"), chromedp.Click("#next"), chromedp.WaitVisible("#region"), chromedp.Click("#next"), chromedp.WaitVisible("#delegateSelectors"))
	s.do(chromedp.SendKeys("#delegateSelectors", evil), chromedp.Click("#next"), chromedp.WaitVisible("#line"))
	unhurt("delegates")
	s.do(chromedp.Navigate(s.url+"/ui/new/connector/yaml"), chromedp.SetValue("#yaml", "connector:\n  name: x\n  "+evil+": 1"), chromedp.Click("#next"), chromedp.WaitVisible(".note.fail"))
	unhurt("YAML")
}

// The wizard can be walked without a mouse, from the list to a connection that holds.
func TestE2EWizardByKeyboard(t *testing.T) {
	s := newStage(t)
	s.delegate("machine", "AWS_ENDPOINT_URL="+s.at, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.at, "AWS_EC2_METADATA_DISABLED=false")
	s.signIn()
	// reach tabs until an element has the focus.
	reach := func(selector string) {
		t.Helper()
		const most = 80
		for range most {
			on, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool](fmt.Sprintf("document.activeElement.matches(%q)", selector)))
			if err != nil {
				t.Fatal(err)
			}
			if on {
				return
			}
			s.do(chromedp.KeyEvent(kb.Tab))
		}
		t.Fatalf("%s is not reached by the tabulator", selector)
	}
	press := func(keys string) { t.Helper(); s.do(chromedp.KeyEvent(keys)) }
	s.do(chromedp.Navigate(s.url+"/ui/connectors"), chromedp.WaitVisible(".page h1"))
	reach(`a[href^="/ui/new/connector"]`)
	press(kb.Enter)
	s.do(chromedp.WaitVisible("#name"))
	reach("#name")
	press("by keys alone")
	press(kb.Enter) // the first step lacks nothing else
	s.do(chromedp.WaitVisible("#iamRoleArn"))
	reach("[name=credential]:checked")
	press(kb.ArrowDown)
	press(kb.ArrowDown) // OIDC, IRSA, role of the delegate
	s.comes(`document.querySelector("[value=InheritFromDelegate]").checked`)
	reach("#next")
	press(kb.Enter)
	s.do(chromedp.WaitVisible("#region"))
	reach("#next")
	press(kb.Enter)
	s.do(chromedp.WaitVisible("#delegateSelectors"))
	reach("#delegateSelectors")
	press("machine")
	s.comes(`document.querySelector("#beside").textContent.includes("1 delegate matches now")`)
	reach("#next")
	press(kb.Enter)
	s.do(chromedp.WaitVisible("#line"))
	reach("#next")
	press(kb.Enter)
	s.do(chromedp.WaitVisible("#outcome"))
	s.holds("by keyboard", s.text("#h-line"), "assumed-role/machine/")
	s.comes(`document.getElementById("live").textContent === "by keys alone: Connected"`)
}

// control asks the sandbox for something.
func (s *stage) control(what string, body, into any) {
	s.t.Helper()
	m := manager{t: s.t, url: s.at}
	m.must(http.MethodPost, "/_belay/"+what, body, into)
}
