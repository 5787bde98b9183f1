package document_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/document"
)

const ecs = "infrastructureDefinition:\n  name: ecs one\n  identifier: ecs\n  orgIdentifier: o\n  projectIdentifier: p\n  environmentRef: dev\n  deploymentType: ECS\n  type: ECS\n  spec: {connectorRef: a, region: us-east-1, cluster: c} # as it is\n  more: [1, {}]\n"

func TestDefinitionsAreTheirOwnDocuments(t *testing.T) {
	t.Parallel()
	const service = "# of the team\r\nservice:\r\n  name: svc\r\n\r\n"
	const environment = "environment: {name: dev, type: PreProduction, tags: {a: b}}\n"
	entities, problems := document.Read("f.yaml", strings.NewReader(service+"---\n"+environment+"---\n"+ecs))
	if len(problems) > 0 || len(entities) != 3 {
		t.Fatal(problems, entities)
	}
	for i, want := range []struct{ key, name, yaml string }{
		{"service///svc", "svc", service}, {"environment///dev", "dev", environment}, {"infrastructureDefinition/o/p/dev/ecs", "ecs one", ecs},
	} {
		var body struct {
			YAML string `json:"yaml"`
			ID   string `json:"identifier"`
		}
		if err := json.Unmarshal(entities[i].Body, &body); err != nil {
			t.Fatal(err)
		}
		if entities[i].Key() != want.key || entities[i].Name != want.name || body.YAML != want.yaml || body.ID != entities[i].ID {
			t.Errorf("%s %q %q", entities[i].Key(), entities[i].Name, body.YAML)
		}
	}
}

// What is written is read back as what it was: as its own document where that says everything, else as the API's fields.
func TestDefinitionsAreWrittenSoThatTheyComeBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind document.Kind
		body map[string]any
		want string // its beginning
	}{
		"its own document":             {document.Infrastructure, map[string]any{"identifier": "ecs", "name": "ecs one", "orgIdentifier": "o", "projectIdentifier": "p", "environmentRef": "dev", "type": "ECS", "deploymentType": "ECS", "yaml": ecs}, "infrastructureDefinition:\n  name: ecs one\n"},
		"another name than it says":    {document.Infrastructure, map[string]any{"identifier": "ecs", "name": "renamed", "orgIdentifier": "o", "projectIdentifier": "p", "environmentRef": "dev", "type": "ECS", "deploymentType": "ECS", "yaml": ecs}, "infrastructureDefinition:\n  name: renamed\n"},
		"no document":                  {document.Service, map[string]any{"identifier": "a", "name": "b"}, "service:\n  name: b\n"},
		"no line break at the end":     {document.Service, map[string]any{"identifier": "a", "name": "a", "yaml": "service:\n  name: a"}, "service:\n"},
		"odd line breaks and blanks":   {document.Service, map[string]any{"identifier": "a", "name": "a", "description": "d", "yaml": "service:\r\n  name: a \t\r\n\n\n  "}, "service:\n"},
		"a line that parts documents":  {document.Service, map[string]any{"identifier": "a", "name": "a", "yaml": "---\nservice:\n  name: a\n"}, "service:\n"},
		"an environment with a colour": {document.Environment, map[string]any{"identifier": "dev", "name": "dev", "type": "Production", "color": "#123456"}, "environment:\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := document.Write(&out, tt.kind, body); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(out.String(), tt.want) {
				t.Errorf("written as\n%s", &out)
			}
			read, problems := document.Read("f.yaml", &out)
			if len(problems) > 0 || len(read) != 1 {
				t.Fatal(problems)
			}
			got, err := document.Canonical(tt.kind, read[0].Body)
			if err != nil {
				t.Fatal(err)
			}
			want, err := document.Canonical(tt.kind, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemsOfDefinitions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"no name":                {"service:\n  description: d\n", []string{"f.yaml:1:1: service.identifier: is required", "f.yaml:1:1: service.name: is required"}},
		"an AWS type incomplete": {strings.Replace(ecs, ", cluster: c", "", 1), []string{"f.yaml:1:1: infrastructureDefinition.spec.cluster: is required for type ECS"}},
		"an environment's type":  {"environment:\n  name: a\n  type: Odd\n", []string{`f.yaml:1:1: environment.type: "Odd" is not a type of environment; use PreProduction or Production`}},
		"a field beside yaml":    {"service:\n  nam: a\n  yaml: \"service: {name: a}\"\n", []string{"f.yaml:2:3: service.nam: is not known; did you mean name?"}},
		"another organization":   {strings.Replace(ecs, "orgIdentifier: o", "orgIdentifier: 9", 1), nil},
	} {
		_, problems := document.Read("f.yaml", strings.NewReader(tt.text))
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCloudProvidersOfFirstGenAreConnectors(t *testing.T) {
	t.Parallel()
	const text = "harnessApiVersion: '1.0'\ntype: AWS\naccessKeySecretId: secretName:key id\nsecretKey: secretName:my-key\ntag: vm\nusageRestrictions: {appEnvRestrictions: []}\n"
	entities, problems := document.Read("Setup/Cloud Providers/prod aws.yaml", strings.NewReader(text))
	if len(problems) > 0 || len(entities) != 1 {
		t.Fatal(problems)
	}
	got, err := document.Canonical(document.Connector, entities[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"identifier": "prod_aws", "name": "prod aws", "type": "Aws", "spec": map[string]any{
			"credential":        map[string]any{"type": "ManualConfig", "spec": map[string]any{"accessKeyRef": "account.key_id", "secretKeyRef": "account.my-key"}},
			"delegateSelectors": []any{"vm"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"harnessApiVersion: '1.0'\ntype: GCP\nuseIRSA: true\n":                   "GCP",
		"harnessApiVersion: '1.0'\ntype: AWS\n":                                  "one way to get credentials",
		"harnessApiVersion: '1.0'\ntype: AWS\nuseIRSA: true\nuseIrsaToo: true\n": "useIrsaToo",
	} {
		if _, problems := document.Read("a.yaml", strings.NewReader(text)); !strings.Contains(problems.Error(), want) {
			t.Errorf("%q: %v", text, problems)
		}
	}
}
