package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/scenario"
)

// textIn is the text of the element with an id, without its markup.
func textIn(tb testing.TB, page, id string) string {
	tb.Helper()
	_, rest, ok := strings.Cut(page, `id="`+id+`"`)
	if !ok {
		tb.Fatalf("no element %s in %.300s", id, page)
	}
	_, rest, _ = strings.Cut(rest, ">")
	text, _, _ := strings.Cut(rest, "</textarea>")
	return html.UnescapeString(text)
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	list := b.get("/ui/permissions").body
	for _, c := range catalogue.Capabilities() {
		inOrder(t, list, `href="/ui/permissions/capabilities/`+c.ID+`"`, c.Title)
		got := b.get("/ui/permissions/capabilities/" + c.ID)
		if got.status != http.StatusOK {
			t.Errorf("%s: %d", c.ID, got.status)
		}
		for _, problem := range faults(got.body) {
			t.Errorf("%s: %s", c.ID, problem)
		}
		inOrder(t, got.body, c.Title, "Build policy", "Actions", c.ID)
	}
	inOrder(t, b.get("/ui/permissions/capabilities/s3-read-write").body, "12 actions", "s3:GetAccountPublicAccessBlock", "needs *", "s3:GetObject", "object", "Narrowed to", "Buckets")
	found := b.get("/ui/permissions?search=REGISTRY+ecr").body
	if strings.Contains(found, "capabilities/s3-read\"") || !strings.Contains(found, "capabilities/ecr-pull\"") {
		t.Error("the search does not narrow the catalogue")
	}
	inOrder(t, b.get("/ui/permissions?search=nothing-has-this").body, "Nothing matches “nothing-has-this”", "Clear the search")
	if got := b.get("/ui/permissions/capabilities/absent"); got.status != http.StatusNotFound {
		t.Errorf("a capability that there is not: %d", got.status)
	}
}

func TestBuilder(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	for _, c := range catalogue.Capabilities() {
		for _, format := range []string{"json", "terraform", "cloudformation", "cli"} {
			to := "capability=" + c.ID + "&account=111122223333&region=eu-central-1&format=" + format
			if got := b.get("/ui/permissions/builder?" + to); got.status != http.StatusOK || !strings.Contains(got.body, "btn ghost sm copy") || !strings.Contains(got.body, "of 33 chosen") {
				t.Errorf("%s as %s: %d, nothing was made", c.ID, format, got.status)
			}
			if got := b.get("/ui/permissions/builder/file?" + to); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Disposition"), `attachment; filename="belay-policy.`) || got.body == "" {
				t.Errorf("%s as %s: %d, no file", c.ID, format, got.status)
			}
		}
	}
	page := b.get("/ui/permissions/builder?capability=s3-read-write&capability=eks&buckets=payments-artifacts&clusters=checkout&account=444455556666&region=eu-central-1").body
	inOrder(t, page, "2 of 33 chosen", "Build policy", "1 document, ", " of 6,144 characters", "Simulate this policy", "arn:aws:eks:eu-central-1:444455556666:cluster/checkout", "must stay", "support resources")
}

// A line is marked where its resource must stay a star, and it is the line that the note names.
func TestLinesThatStay(t *testing.T) {
	t.Parallel()
	p := serve(t)
	page := p.signIn(t, p.Viewer).get("/ui/permissions/builder?capability=s3-objects&buckets=a-bucket").body
	number := regexp.MustCompile(`Line ([0-9]+) must stay`).FindStringSubmatch(page)
	if number == nil {
		t.Fatal("no line is named")
	}
	_, code, _ := strings.Cut(page, "<pre")
	code, _, _ = strings.Cut(code, "</pre>")
	lines := strings.SplitAfter(code, "\n")
	marked := 0
	for i, l := range lines {
		if strings.Contains(l, `<mark class="l warn">`) && strings.Contains(html.UnescapeString(l), `"*"`) {
			marked = i + 1
		}
	}
	if got := number[1]; marked == 0 || got != strconv.Itoa(marked) {
		t.Errorf("line %s is named, and line %d is marked", got, marked)
	}
}

// Only fields count that a chosen capability uses; what is wrong stands beside its field, and the first has the focus.
func TestBuilderFields(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	if got := b.get("/ui/permissions/builder?capability=connection&account=12&buckets=NO").body; strings.Contains(got, "No policy was made") {
		t.Error("fields that are not shown count")
	}
	got := b.get("/ui/permissions/builder?capability=s3-read&capability=ecr-pull&capability=eks&account=12&buckets=NO")
	inOrder(t, got.body, `id="buckets"`, `value="NO"`, `aria-invalid="true"`, `id="buckets-e"`, `id="account"`, `aria-invalid="true"`, `id="account-e"`, "No policy was made")
	if n := strings.Count(got.body, "autofocus"); n != 1 {
		t.Errorf("%d fields have the focus", n)
	}
	if got := b.get("/ui/permissions/builder/file?capability=s3-read&buckets=NO"); got.status != http.StatusBadRequest || got.header.Get("Content-Disposition") != "" {
		t.Errorf("a file of nothing: %d", got.status)
	}
	for _, c := range []struct{ id, fields string }{{"s3-read", "buckets managed"}, {"ecs-autoscaling", "clusters account region"}, {"connection", ""}} {
		if !strings.Contains(got.body, `value="`+c.id+`"`) {
			t.Fatalf("no %s", c.id)
		}
		_, tag, _ := strings.Cut(got.body, `value="`+c.id+`"`)
		tag, _, _ = strings.Cut(tag, ">")
		if !strings.Contains(tag, `data-n="`+c.fields+`"`) {
			t.Errorf("%s is narrowed by %q", c.id, tag)
		}
	}
}

// What was built goes over to the simulator with a question that it allows, and one document after another.
func TestBuiltPolicyIsSimulated(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	for _, built := range []string{
		"capability=s3-read-write&buckets=payments-artifacts", "capability=ecr-pull&repositories=team/app", "capability=ecs&capability=lambda&capability=s3-read&account=444455556666", "capability=lambda-execution-sqs",
	} {
		page := b.get("/ui/permissions/builder?" + built + "&simulate=built").body
		question := url.Values{"identity": {textIn(t, page, "identity")}}
		for _, field := range []string{"principal", "action", "resource"} {
			found := regexp.MustCompile(`id="` + field + `" name="` + field + `" value="([^"]*)"`).FindStringSubmatch(page)
			if found == nil || found[1] == "" {
				t.Fatalf("%s: no %s", built, field)
			}
			question.Set(field, html.UnescapeString(found[1]))
		}
		question.Set("builder", built)
		answer := b.post("/ui/permissions/simulate", question).body
		inOrder(t, answer, "Allowed.", "Identity policies")
		if t.Failed() {
			t.Fatalf("%s: %s %s", built, question.Get("action"), question.Get("resource"))
		}
		if !strings.Contains(answer, "of 33 chosen") || strings.Contains(answer, "0 of 33 chosen") {
			t.Errorf("%s: the builder lost what was chosen", built)
		}
		// The policy is not spelt out in the link, since the builder makes it again.
		link := regexp.MustCompile(`<a href="([^"]+)">Link to this question`).FindStringSubmatch(answer)
		if link == nil {
			t.Fatalf("%s: no link", built)
		}
		to := html.UnescapeString(link[1])
		if !strings.Contains(to, "simulate=built") || strings.Contains(to, "Statement") {
			t.Errorf("the link is %s", to)
		}
		inOrder(t, b.get(to).body, "Allowed.", "Identity policies")
	}
}

const (
	objects = `{"Version":"2012-10-17","Statement":{"Sid":"Objects","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::artifacts/*"}}`
	bucket  = "arn:aws:s3:::artifacts"
	caller  = "arn:aws:iam::111122223333:role/deployer"
)

func allow(action, resource string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}}`
}

// The layers are drawn in the order in which AWS asks them, up to the one that decides, with the statement that came nearest,
// and what would allow the request.
func TestSimulator(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	for name, tt := range map[string]struct {
		question url.Values
		want     []string
		lacks    []string
	}{
		"allowed by one statement": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {objects}},
			[]string{"Allowed.", "Explicit denies", "none denies it", "Identity policies", "Objects", "allows it", "Not given, so not asked", "permissions boundary"},
			[]string{"What would allow it", "Stops here"},
		},
		"the bucket instead of its objects": {
			url.Values{"action": {"s3:ListBucket"}, "resource": {bucket}, "identity": {objects}},
			[]string{
				"Denied: no statement allows it.", "One statement comes close", "Objects", "Identity policies", "none allows it", "nearest miss", `<mark class="l">`, "Resource", "What would allow it",
				"Resource of statement 1", `<mark class="l add">`, "With it the request is allowed.",
			},
			nil,
		},
		"the line that is replaced has its number": {
			url.Values{"action": {"s3:ListBucket"}, "resource": {bucket}, "identity": {"{\n\"Statement\": {\n\"Effect\": \"Allow\", \"Action\": \"s3:ListBucket\",\n\"Resource\": \"arn:aws:s3:::artifacts/*\"\n}}"}},
			[]string{"Replace line 4 of identity policy", `<mark class="l add">`},
			nil,
		},
		"a boundary that lacks it": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {objects}, "boundary": {allow("ec2:*", "*")}, "session": {allow("s3:*", "*")}},
			[]string{"Denied: permissions boundary does not allow it.", "Identity policies", "Permissions boundary", "none allows it", "Session policies", "not consulted", "What would allow it", "Add to boundary", "With it the request is allowed."},
			nil,
		},
		"nothing is attached": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}},
			[]string{"Denied: no statement allows it.", "Identity policies", "none is given", "An identity policy", "With it the request is allowed."},
			nil,
		},
		"two layers lack it": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "scp": {allow("ec2:*", "*") + "\n" + allow("*", "*")}, "identity": {allow("ec2:*", "*")}},
			[]string{"Service control policies", "none allows it at root", "Identity policies", "not consulted", "Add to ", "Add to service control policy 1", "With all of them the request is allowed."},
			nil,
		},
		"a statement denies it": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {objects}, "boundary": {`{"Version":"2012-10-17","Statement":{"Sid":"No","Effect":"Deny","Action":"s3:*","Resource":"*"}}`}},
			[]string{"Denied: a statement forbids it.", "No allow overrides it.", "Explicit denies", `("No") of boundary denies it`, `<mark class="l">`, "Identity policies", "not consulted"},
			[]string{"What would allow it"},
		},
		"a condition on a key that is absent": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}}}`}},
			[]string{"Denied", "nearest miss", "The policies ask for keys that the request does not have", "aws:SourceVpce", "What would allow it", "In the request", "aws:SourceVpce=vpce-1", "With it the request is allowed."},
			nil,
		},
		"context, several values": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "context": {"aws:TagKeys=a\naws:TagKeys=b"}, "identity": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":"b"}}}}`}},
			[]string{"Allowed."},
			nil,
		},
		"keys of the principal are filled in": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}}}`}},
			[]string{"Allowed."},
			nil,
		},
		"a bucket of another account": {
			url.Values{"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "owner": {"444455556666"}, "identity": {objects}},
			[]string{"Denied: resource policy does not allow it.", "Resource policy", "none is given, and one must allow it", "A resource policy", "Principal", "With it the request is allowed."},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.question.Set("principal", caller)
			got := b.post("/ui/permissions/simulate", tt.question)
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			_, answer, _ := strings.Cut(got.body, `id="decision"`)
			inOrder(t, strings.NewReplacer(`<span class="k">`, "", `<span class="s">`, "", "</span>", "").Replace(answer), tt.want...)
			for _, no := range tt.lacks {
				if strings.Contains(answer, no) {
					t.Errorf("%q is there", no)
				}
			}
			for _, problem := range faults(got.body) {
				t.Error(problem)
			}
		})
	}
}

// All that is wrong with a question is said at once, beside its field, and nothing that was typed is lost.
func TestQuestionRefused(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.post("/ui/permissions/simulate", url.Values{"principal": {"arn:aws:iam::1:role"}, "action": {"s3:*"}, "identity": {"{"}, "context": {"no sign"}, "resource_policy": {objects + objects}})
	if got.status != http.StatusBadRequest {
		t.Errorf("%d", got.status)
	}
	for _, field := range []string{"principal", "action", "identity", "context", "resource_policy"} {
		if !strings.Contains(got.body, `id="`+field+`-e"`) || !strings.Contains(got.body, `href="#`+field+`"`) {
			t.Errorf("%s is not said to be wrong", field)
		}
	}
	if n := strings.Count(got.body, "autofocus"); n != 1 {
		t.Errorf("%d fields have the focus", n)
	}
	inOrder(t, got.body, "s3:*", "no sign", "The question cannot be answered.")
	if got := b.post("/ui/permissions/simulate", url.Values{"principal": {caller}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, "The action is missing.") {
		t.Errorf("no action: %d", got.status)
	}
}

// A question becomes a file that belay policy simulate takes, with the answer of today.
func TestSavedScenario(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	for name, question := range map[string]url.Values{
		"allowed": {"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {objects}},
		"every layer": {
			"action": {"s3:PutObject"}, "resource": {bucket + "/x"}, "identity": {objects + objects}, "boundary": {allow("*", "*")}, "session": {allow("*", "*")}, "scp": {allow("*", "*") + allow("*", "*")},
			"rcp": {allow("*", "*")}, "endpoint": {allow("*", "*")}, "resource_policy": {allow("s3:GetObject", "*")}, "context": {"aws:SourceVpce=vpce-1"},
		},
		"without a resource": {"action": {"ec2:DescribeRegions"}, "identity": {allow("ec2:DescribeRegions", "*")}},
		"denied":             {"action": {"s3:ListBucket"}, "resource": {bucket}, "identity": {objects}},
	} {
		question.Set("principal", caller)
		question.Set("do", "save")
		got := b.post("/ui/permissions/simulate", question)
		if got.status != http.StatusOK || got.header.Get("Content-Disposition") != `attachment; filename="scenario.json"` {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		f, err := scenario.Parse([]byte(got.body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		result, err := f.Run(t.Context())
		if err != nil || result.Summary != (scenario.Summary{Scenarios: 1, Passed: 1}) {
			t.Errorf("%s: %+v %v", name, result.Summary, err)
		}
		if allowed := result.Results[0].Decision == iam.Allowed; allowed != (name != "denied") {
			t.Errorf("%s: %s", name, result.Results[0].Decision)
		}
	}
}

// A question has an address, unless its policies make it too long.
func TestLinkToAQuestion(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	question := url.Values{"principal": {caller}, "action": {"s3:ListBucket"}, "resource": {bucket}, "identity": {objects}, "context": {"aws:SourceVpce=vpce-1"}, "boundary": {allow("*", "*")}}
	link := regexp.MustCompile(`<a href="([^"]+)">Link to this question`).FindStringSubmatch(b.post("/ui/permissions/simulate", question).body)
	if link == nil {
		t.Fatal("no link")
	}
	again := b.get(html.UnescapeString(link[1]))
	inOrder(t, again.body, "aws:SourceVpce=vpce-1", "Denied: no statement allows it.", "nearest miss")
	question.Set("identity", strings.ReplaceAll(objects, `"s3:*"`, `["`+strings.Repeat(`s3:GetObject","`, 400)+`s3:*"]`))
	long := b.post("/ui/permissions/simulate", question).body
	if strings.Contains(long, "Link to this question") {
		t.Error("a link that is too long is offered")
	}
	inOrder(t, long, "No link: with its policies it would have", "Save it as a scenario instead")
}

// The keys that requests for an action carry are told, with their types.
func TestKnownKeys(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	inOrder(t, b.get("/ui/permissions/simulate?action=s3:ListBucket").body, "Keys that requests for", "s3:ListBucket", "s3:prefix", "string", "of every request", "aws:SourceIp", "ip")
	inOrder(t, b.get("/ui/permissions/simulate?action=s3:ListBuckett").body, "The service reference has no action", "s3:ListBuckett")
}

// Findings stand below their lines, with icon and word, what to copy, and the page of the rule.
func TestLint(t *testing.T) {
	t.Parallel()
	p := serve(t)
	b := p.signIn(t, p.Viewer)
	got := b.post("/ui/permissions/lint", url.Values{"policy": {"{\n \"Statement\": {\"Effect\": \"Allow\",\n \"Action\": [\"s3:GetObjekt\", \"s3:ListBucket\"],\n \"Resource\": \"arn:aws:s3:::x/*\"}\n}"}})
	inOrder(t, got.body,
		"3 findings", `href="#finding-1"`, "The document", "Version is missing", "2012-10-17", "BLP-101 explained", // of the whole, before the lines
		`aria-label="Lines 1 to 3"`, `<mark class="l"`, "s3:GetObjekt", "Warning", "Did you mean", "To copy", "s3:GetObject", `href="/ui/docs/lint/BLP-203"`, "Error", "arn:aws:s3:::x", `href="/ui/docs/lint/BLP-301"`, `aria-label="Lines 4 to 5"`,
	)
	for _, problem := range faults(got.body) {
		t.Error(problem)
	}
	if got := b.post("/ui/permissions/lint", url.Values{"policy": {"{"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, "no policy document") || !strings.Contains(got.body, `aria-invalid`) {
		t.Errorf("no document: %d", got.status)
	}
	inOrder(t, b.post("/ui/permissions/lint", url.Values{"policy": {objects}}).body, "Nothing is wrong with it")
}
