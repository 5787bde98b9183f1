package document_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/backoff"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

const whole = `connector:
  name: prod aws
  description: the one
  tags: {team: core, solo: "", cost: 0123, yes: true}
  type: Aws
  spec:
    credential:
      type: ManualConfig
      spec:
        accessKey: AKIAEXAMPLE
        secretKeyRef: account.sk
      crossAccountAccess:
        crossAccountRoleArn: arn:aws:iam::123456789012:role/deploy
        externalId: 0042
      region: eu-central-1
    awsSdkClientBackOffStrategyOverride:
      type: FixedDelayBackoffStrategy
      spec: {fixedBackoff: 100, retryCount: 5}
    delegateSelectors: [eks, 7]
    executeOnDelegate: false
`

func TestReadConnector(t *testing.T) {
	t.Parallel()
	got, problems := document.Read("a.yaml", strings.NewReader(whole))
	if len(problems) > 0 || len(got) != 1 {
		t.Fatalf("%d entities, problems: %v", len(got), problems)
	}
	no := false
	want := connector.Connector{
		ID: "prod_aws", Name: "prod aws", Description: "the one", Tags: map[string]string{"team": "core", "solo": "", "cost": "0123", "yes": "true"},
		Credential:   connector.ManualConfig{AccessKey: "AKIAEXAMPLE", SecretKeyRef: "account.sk"},
		CrossAccount: &connector.CrossAccount{RoleARN: "arn:aws:iam::123456789012:role/deploy", ExternalID: "0042"},
		Region:       "eu-central-1", Backoff: backoff.Fixed{Wait: 100e6, Count: 5}, Selectors: []string{"eks", "7"}, ExecuteOnDelegate: &no,
	}
	if diff := cmp.Diff(&want, got[0].Connector); diff != "" {
		t.Error(diff)
	}
	if got[0].Key() != "connector///prod_aws" || got[0].Line != 1 {
		t.Errorf("key %s, line %d", got[0].Key(), got[0].Line)
	}
}

// Each input is wrong in one or more ways; all of them are found, each at its place.
func TestProblems(t *testing.T) {
	t.Parallel()
	const head = "connector:\n  name: a\n  type: Aws\n  spec:\n"
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                 {"", []string{"f: holds no document"}},
		"only comments":           {"# a\n---\n# b\n", []string{"f: holds no document"}},
		"not YAML":                {"connector: [", []string{"f:1: is not YAML: did not find expected node content"}},
		"two colons":              {"connector:\n  name: a: b\n", []string{"f:2: is not YAML: a colon follows a value that has ended; check the indentation, and quote text that holds a colon"}},
		"a tab":                   {"connector:\n\tname: a\n", []string{"f:2: is not YAML: a tab indents this line or the next; use blanks"}},
		"not UTF-8":               {"connector:\n  name: \xff\n", []string{"f: is not UTF-8 text"}},
		"a list":                  {"- a\n", []string{"f:1:1: is a list; a document has one of the keys connector, secret, organization, project, service, environment or infrastructureDefinition"}},
		"a text":                  {"hello\n", []string{`f:1:1: is the text "hello"; a document has one of the keys connector, secret, organization, project, service, environment or infrastructureDefinition`}},
		"another kind":            {"conector:\n  name: a\n", []string{"f:1:1: conector: is not known; a document has one of the keys connector, secret, organization, project, service, environment or infrastructureDefinition; did you mean connector?"}},
		"FirstGen without a name": {"harnessApiVersion: '1.0'\ntype: AWS\nuseIRSA: true\n", []string{"f:1:1: a FirstGen document has the name of its file, NAME.yaml"}},
		"two kinds":               {"connector:\n  name: a\nsecret:\n  name: b\n", []string{"f:3:1: secret: stands beside connector on line 1; put each in a document of its own, with --- between"}},
		"empty":                   {"connector:\n", []string{"f:1:1: connector: is empty; name is required"}},
		"a key twice":             {"organization:\n  name: a\n  name: b\n", []string{"f:3:3: organization.name: is there twice; the first is on line 2"}},
		"a merge key":             {"organization:\n  <<: {name: a}\n  name: b\n", []string{"f:2:3: organization: << is not supported; write the keys out, or use an alias for the whole value"}},
		"a key that is a list":    {"organization:\n  ? [a]\n  : b\n  name: b\n", []string{"f:2:5: organization: a key must be text"}},
		"misspelt": {
			head + "    credential:\n      type: ManualConfig\n      spec: {acessKey: A, secretKeyRef: account.s}\n",
			[]string{"f:7:14: connector.spec.credential.spec.acessKey: is not known; did you mean accessKey?"},
		},
		"a field of another type of credential": {
			head + "    credential:\n      type: OidcAuthentication\n      spec: {iamRoleArn: r, secretKeyRef: account.s}\n",
			[]string{"f:7:29: connector.spec.credential.spec.secretKeyRef: is not known; what belongs here: iamRoleArn, oidcSessionTagKeys"},
		},
		"a field where there is none": {
			head + "    credential:\n      type: Irsa\n      spec: {accessKey: A}\n",
			[]string{"f:7:14: connector.spec.credential.spec.accessKey: is not known; nothing belongs here"},
		},
		"an unknown type of credential": {
			head + "    credential:\n      type: Manual\n",
			[]string{`f:6:13: connector.spec.credential.type: "Manual" is not known; use ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication`},
		},
		"no type": {
			head + "    credential:\n      region: us-east-1\n",
			[]string{"f:6:7: connector.spec.credential.type: is required: ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication"},
		},
		"no credential": {head + "    proxy: true\n", []string{"f:4:3: connector.spec.credential: is required: how the connector gets its credentials"}},
		"no spec":       {"connector:\n  name: a\n  type: Aws\n", []string{"f:1:1: connector.spec: is required: it holds the credential"}},
		"another connector": {
			"connector:\n  name: a\n  type: Gcp\n  spec: {}\n",
			[]string{`f:3:9: connector.type: "Gcp" is not known; use Aws or K8sCluster`, "f:4:3: connector.spec.credential: is required: how the connector gets its credentials"},
		},
		"wrong types, all of them at once": {
			"connector:\n  name: true\n  tags: [a]\n  type: Aws\n  spec:\n    credential: {type: Irsa, region: [x]}\n" +
				"    delegateSelectors: eks\n    executeOnDelegate: \"yes\"\n" +
				"    awsSdkClientBackOffStrategyOverride:\n      type: FixedDelayBackoffStrategy\n      spec: {fixedBackoff: 1.5, retryCount: 99999999999999999999}\n",
			[]string{
				"f:2:9: connector.name: is the value true of type boolean; text is expected",
				"f:3:9: connector.tags: is a list; keys with a text each are expected",
				"f:6:38: connector.spec.credential.region: is a list; text is expected",
				"f:7:24: connector.spec.delegateSelectors: is the text \"eks\"; a list is expected",
				"f:8:24: connector.spec.executeOnDelegate: is the text \"yes\"; true or false is expected",
				"f:11:28: connector.spec.awsSdkClientBackOffStrategyOverride.spec.fixedBackoff: is the number 1.5; a whole number is expected",
				"f:11:45: connector.spec.awsSdkClientBackOffStrategyOverride.spec.retryCount: is the number 99999999999999999999; a whole number is expected",
			},
		},
		"what the domain finds": {
			"connector:\n  name: a\n  identifier: 1a\n  type: Aws\n  spec:\n    credential:\n      type: ManualConfig\n      spec:\n        accessKey: A\n        secretKeyRef: org.sk\n      region: moon\n    delegateSelectors:\n      - a\n      - a\n",
			[]string{
				`f:3:15: connector.identifier: "1a" starts with "1"; start with a letter or _`,
				`f:10:23: connector.spec.credential.spec.secretKeyRef: "org.sk" refers to an organization, and an entity at account scope has none; write account.sk`,
				`f:11:15: connector.spec.credential.region: "moon" is not an AWS Region; one looks like eu-central-1`,
				`f:14:9: connector.spec.delegateSelectors[1]: "a" is there twice`,
			},
		},
		"an absent field is reported where it belongs": {
			head + "    credential:\n      type: ManualConfig\n      spec:\n        accessKey: A\n",
			[]string{"f:7:7: connector.spec.credential.spec.secretKeyRef: is required: the secret that holds the value, such as account.my_secret"},
		},
		"a name without a letter": {
			"connector:\n  name: 生産\n  type: Aws\n  spec: {credential: {type: Irsa}}\n",
			[]string{`f:1:1: connector.identifier: is required: none can be made from the name "生産", which has no letter a-z or digit`},
		},
		"a region in two places": {
			head + "    region: us-east-1\n    credential: {type: Irsa, region: us-east-1}\n",
			[]string{"f:5:13: connector.spec.region: stands beside connector.spec.credential.region; keep that one"},
		},
		"a region in three places": {
			head + "    region: us-east-1\n    credential:\n      type: OidcAuthentication\n      region: us-east-1\n      spec: {iamRoleArn: r, region: us-east-1}\n",
			[]string{
				"f:5:13: connector.spec.region: stands beside connector.spec.credential.region; keep that one",
				"f:9:37: connector.spec.credential.spec.region: stands beside connector.spec.credential.region; keep that one",
			},
		},
		"a wrong region is shown where it stands": {
			head + "    credential:\n      type: OidcAuthentication\n      spec: {iamRoleArn: r, region: moon}\n",
			[]string{`f:7:37: connector.spec.credential.region: "moon" is not an AWS Region; one looks like eu-central-1`},
		},
		"the credential broker": {
			head + "    credential:\n      type: CredentialBroker\n",
			[]string{"f:6:13: connector.spec.credential.type: CredentialBroker is not supported: Belay gets credentials itself; use ManualConfig, InheritFromDelegate, Irsa or OidcAuthentication"},
		},
		"a project without its organization": {
			"connector:\n  name: a\n  projectIdentifier: p\n  type: Aws\n  spec: {credential: {type: Irsa}}\n",
			[]string{`f:1:1: connector.orgIdentifier: is required: project "p" belongs to an organization`},
		},
		"a project of no organization": {"project:\n  name: p\n", []string{"f:1:1: project.orgIdentifier: is required: a project belongs to an organization, such as default"}},
		"a secret with its value": {
			"secret:\n  name: s\n  type: SecretText\n  spec: {valueType: Inline, value: hunter2}\n",
			[]string{"f:4:36: secret.spec.value: a secret's value does not belong in a file; remove it, and set it with `belay secret set`"},
		},
		"a reference without its path": {
			"secret:\n  name: s\n  type: SecretText\n  spec: {valueType: Reference}\n",
			[]string{"f:4:3: secret.spec.value: is required: the path in the other secret manager"},
		},
		"the problems of all documents": {
			"organization:\n  nam: a\n---\n- x\n---\norganization: {name: fine}\n---\nsecret: [\n",
			[]string{
				"f:2:3: organization.nam: is not known; did you mean name?",
				"f:4:1: is a list; a document has one of the keys connector, secret, organization, project, service, environment or infrastructureDefinition",
				"f:8: is not YAML: did not find expected node content",
			},
		},
		"a second document without a line between": {"{organization: {name: a}}\n{organization: {name: b}}\n", []string{"f:2: is not YAML: did not find expected <document start>"}},
		"an alias to nowhere":                      {"organization:\n  name: *a\n", []string{"f:1: is not YAML: unknown anchor 'a' referenced, which must stand before its use, in the same document"}},
		"a tag":                                    {"organization:\n  name: !vault a\n", []string{"f:2:9: organization.name: has the tag !vault; text is expected"}},
		"an unprintable name":                      {"organization:\n  name: \"a\\eb\"\n  identifier: a\n", []string{"f:2:9: organization.name: holds the unprintable character U+001B"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entities, problems := document.Read("f", strings.NewReader(tt.text))
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s\n%s", diff, tt.text)
			}
			if len(tt.want) > 0 && !errors.Is(problems.Err(), fault.Invalid) {
				t.Error("problems are not of kind invalid")
			}
			for _, e := range entities {
				if e.Name != "fine" {
					t.Errorf("%s came out", e.Key())
				}
			}
		})
	}
}

func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"JSON":                                 {"{\n\t\"connector\": {\"name\": \"a\", \"type\": \"Aws\", \"_\": null, \"spec\": {\"connectorType\": \"\", \"credential\": {\"type\": \"Irsa\", \"spec\": null}}}}", []string{"connector///a"}},
		"a byte order mark":                    {"\xef\xbb\xbforganization: {name: a}", []string{"organization///a"}},
		"Windows line ends":                    {"organization:\r\n  name: a\r\n---\r\norganization:\r\n  name: b\r\n", []string{"organization///a", "organization///b"}},
		"documents, some empty":                {"---\n---\norganization: {name: a}\n---\n# nothing\n---\nproject: {name: p, orgIdentifier: a}\n...\n", []string{"organization///a", "project/a//p"}},
		"a directive":                          {"%YAML 1.2\n---\norganization: {name: a}\n", []string{"organization///a"}},
		"--- inside a text":                    {"organization:\n  name: a\n  description: |\n    ---\n    b\n", []string{"organization///a"}},
		"an alias":                             {"connector:\n  name: &n a\n  description: *n\n  type: Aws\n  spec: {credential: {type: Irsa}}\n", []string{"connector///a"}},
		"what the API answers beside":          {"createdAt: 1\nstatus: {status: SUCCESS}\nharnessManaged: false\norganization: {name: a}\n", []string{"organization///a"}},
		"a Unicode name":                       {"organization: {name: \"Größe 大\", identifier: g}", []string{"organization///g"}},
		"a region under the credential's spec": {"connector: {name: a, type: Aws, spec: {credential: {type: OidcAuthentication, spec: {iamRoleArn: r, region: eu-west-1}}}}", []string{"connector///a"}},
		"a region under spec":                  {"connector: {name: a, type: Aws, spec: {region: eu-west-1, credential: {type: Irsa}}}", []string{"connector///a"}},
		"a secret in another manager":          {"secret: {name: s, type: SecretText, spec: {secretManagerIdentifier: vault, valueType: Reference, value: a/b}}", []string{"secret///s"}},
		"a hyphen in a secret":                 {"secret: {name: s, identifier: a-b, type: SecretText}", []string{"secret///a-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entities, problems := document.Read("f", strings.NewReader(tt.text))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var got []string
			for _, e := range entities {
				got = append(got, e.Key())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScopeFromOutside(t *testing.T) {
	t.Parallel()
	r := document.Reader{Scope: scope.Scope{Org: "o", Project: "p"}}
	got, problems := r.Read("f", strings.NewReader("connector: {name: a, type: Aws, spec: {credential: {type: Irsa}}}\n---\nproject: {name: q}\n---\norganization: {name: z}\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []string{"connector/o/p/a", "project/o//q", "organization///z"}
	for i, e := range got {
		if e.Key() != want[i] {
			t.Errorf("%s, want %s", e.Key(), want[i])
		}
	}
	if !bytes.Contains(got[0].Body, []byte(`"orgIdentifier":"o","projectIdentifier":"p"`)) {
		t.Errorf("the scope is not in the body: %s", got[0].Body)
	}
	_, problems = r.Read("f", strings.NewReader("project: {name: q, orgIdentifier: other}\n"))
	const say = "f:1:35: project.orgIdentifier: is other, but o was asked for outside of the file"
	if len(problems) != 1 || problems[0].String() != say {
		t.Errorf("%v", problems)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	a, _ := document.Read("a", strings.NewReader("organization: {name: x}\n---\nsecret: {name: x, type: SecretText}\n"))
	b, _ := document.Read("b", strings.NewReader("# again\norganization: {name: y, identifier: x}\n"))
	got := document.Duplicates(append(a, b...))
	const want = "b:2:1: organization.identifier: organization x is described twice; the first time at a:1"
	if len(got) != 1 || got[0].String() != want {
		t.Errorf("%v", got)
	}
}

// Files are bounded in every way in which they can grow.
func TestBounds(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("secret:\n  name: s\n  type: SecretText\n  spec:\n    additionalMetadata:\n      a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		p := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&bomb, "      a%d: &a%d [%s]\n", i, i, strings.Join([]string{p, p, p, p, p, p, p, p, p}, ","))
	}
	for name, tt := range map[string]struct {
		text, want string
		reader     document.Reader
	}{
		"an alias bomb":        {bomb.String(), "the document has more than 20000 values, aliases counted by what they stand for", document.Reader{}},
		"an alias of itself":   {"secret:\n  name: s\n  type: SecretText\n  spec:\n    additionalMetadata: &a\n      b: *a\n", "lies more than 32 levels deep", document.Reader{}},
		"a deep document":      {"secret: {name: s, type: SecretText, spec: {additionalMetadata: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}", "lies more than 32 levels deep", document.Reader{}},
		"a long document":      {"organization: {name: a, description: " + strings.Repeat("x", 300) + "}", "at most 200 are read", document.Reader{MaxDocument: 200}},
		"many problems":        {strings.Repeat("- a\n---\n", 1000), "has more than 200 problems", document.Reader{}},
		"a very deep document": {strings.Repeat("[", 100_000), "is not YAML", document.Reader{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := tt.reader.Read("f", strings.NewReader(tt.text))
			if !strings.Contains(problems.Error(), tt.want) {
				t.Errorf("%d problems: %.300s", len(problems), problems.Error())
			}
		})
	}
	_, problems := document.Read("f", iotest.ErrReader(errors.New("the disk is gone")))
	if problems.Error() != "f: cannot be read: the disk is gone" {
		t.Error(problems)
	}
}

// What is written is read again as the same, in an order of its own.
func TestWrite(t *testing.T) {
	t.Parallel()
	entities, _ := document.Read("a", strings.NewReader(whole))
	var out bytes.Buffer
	if err := document.Write(&out, document.Connector, entities[0].Body); err != nil {
		t.Fatal(err)
	}
	const want = `connector:
  name: prod aws
  identifier: prod_aws
  description: the one
  tags:
    cost: "0123"
    solo: ""
    team: core
    yes: "true"
  type: Aws
  spec:
    credential:
      type: ManualConfig
      spec:
        accessKey: AKIAEXAMPLE
        secretKeyRef: account.sk
      crossAccountAccess:
        crossAccountRoleArn: arn:aws:iam::123456789012:role/deploy
        externalId: "0042"
      region: eu-central-1
    awsSdkClientBackOffStrategyOverride:
      type: FixedDelayBackoffStrategy
      spec:
        fixedBackoff: 100
        retryCount: 5
    delegateSelectors:
      - eks
      - "7"
    executeOnDelegate: false
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	again, problems := document.Read("b", &out)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(entities[0].Connector, again[0].Connector); diff != "" {
		t.Error(diff)
	}
}

func TestWriteYAML(t *testing.T) {
	t.Parallel()
	value := json.RawMessage(`{"z":1,"a":[{"b":null,"c":1.5e3}],"e":[],"o":{},"t":"a: b","n":"12","m":"x\ny\n","big":12345678901234567890}`)
	var out strings.Builder
	if err := document.WriteYAML(&out, value); err != nil {
		t.Fatal(err)
	}
	const want = "z: 1\na:\n  - b: null\n    c: 1.5e3\ne: []\no: {}\nt: 'a: b'\nn: \"12\"\nm: |\n  x\n  y\nbig: 12345678901234567890\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Two forms of the same connector compare equal, and a real difference stays.
func TestCanonical(t *testing.T) {
	t.Parallel()
	same := []string{
		`{"name":"a","identifier":"a","type":"Aws","spec":{"credential":{"type":"Irsa"}}}`,
		`{"name":"a","identifier":"a","description":"","tags":{},"type":"Aws","_":null,"spec":{"credential":{"type":"Irsa","spec":null},"proxy":false,"delegateSelectors":[],"connectorType":""}}`,
	}
	var forms []map[string]any
	for _, text := range append(same, `{"name":"a","identifier":"a","type":"Aws","spec":{"credential":{"type":"Irsa"},"executeOnDelegate":false}}`) {
		form, err := document.Canonical(document.Connector, json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		forms = append(forms, form)
	}
	if diff := cmp.Diff(forms[0], forms[1]); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(forms[0], forms[2]) {
		t.Error("executeOnDelegate is lost")
	}
}

// Every example in the repository can be read, and has no warning.
func TestExamples(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d examples, %v", len(paths), err)
	}
	var all []document.Entity
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		entities, problems := document.Read(path, f)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			t.Error(p)
		}
		for _, e := range entities {
			if want := strings.TrimSuffix(filepath.Base(path), ".yaml"); e.ID != want {
				t.Errorf("%s holds %s", path, e.ID)
			}
			for _, w := range e.Warnings {
				t.Errorf("%s: %s", path, w)
			}
		}
		all = append(all, entities...)
	}
	for _, p := range document.Duplicates(all) {
		t.Error(p)
	}
}

// FuzzRead: whatever the text, Read comes back; what it took for an entity can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(whole)
	f.Add("---\n- a\n---\nsecret: {name: s, type: SecretText}\n")
	f.Add("organization:\n  name: &a x\n  description: *a\n  <<: *a\n")
	f.Add("{\"project\": {\"name\": \"p\", \"orgIdentifier\": \"o\"}}")
	f.Add("a:\n  - b\n # c\n  # d\n\n#e\n")
	f.Fuzz(func(t *testing.T, text string) {
		entities, problems := document.Read("f", strings.NewReader(text))
		for _, p := range problems {
			if p.Line < 0 || p.Column < 0 || p.Message == "" {
				t.Errorf("%+v", p)
			}
		}
		for _, e := range entities {
			var out bytes.Buffer
			if err := document.Write(&out, e.Kind, e.Body); err != nil {
				t.Fatalf("%s: %v", e.Key(), err)
			}
			written := out.String()
			again, problems := document.Read("g", &out)
			if len(problems) > 0 || len(again) != 1 {
				t.Fatalf("%s\n%s", problems, written)
			}
			if again[0].Key() != e.Key() {
				t.Errorf("%s became %s", e.Key(), again[0].Key())
			}
			before, err := document.Canonical(e.Kind, e.Body)
			if err != nil {
				t.Fatal(err)
			}
			after, err := document.Canonical(e.Kind, again[0].Body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s\n%s", diff, written)
			}
		}
	})
}
