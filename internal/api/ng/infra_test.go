package ng_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belay-dev/belay/internal/nextgen"
)

const (
	ecsYAML = `infrastructureDefinition:\n  name: ecs\n  identifier: ecs\n  orgIdentifier: org1\n  projectIdentifier: prj1\n  environmentRef: dev\n  deploymentType: ECS\n  type: ECS\n  spec: {connectorRef: prod_aws, region: us-east-1, cluster: c1}\n  allowSimultaneousDeployments: false  # as it is\n\n`
	ecs     = `{"identifier":"ecs","orgIdentifier":"org1","projectIdentifier":"prj1","environmentRef":"dev","name":"ecs","description":"","tags":{"a":"b"},"type":"ECS","yaml":"` + ecsYAML + `"}`
	dev     = `{"orgIdentifier":"org1","projectIdentifier":"prj1","identifier":"dev","tags":{},"name":"dev","description":"","color":"","type":"PreProduction","yaml":"environment:\n  name: dev\n  identifier: dev\n  type: PreProduction\n"}`
	service = `{"identifier":"svc","orgIdentifier":"org1","projectIdentifier":"prj1","name":"svc","description":"d","tags":{"team":"core"},"yaml":"service:\r\n  name: svc\n  serviceDefinition:\n    type: ECS\n    spec: {}\n"}`
)

func TestDefinitionAnswers(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Golden("service-created", c.Must(http.MethodPost, "/ng/api/servicesV2"+account, service))
	c.Golden("service-bare", c.Must(http.MethodPost, "/ng/api/servicesV2"+account, `{"identifier":"bare","name":"bare","junk":1}`))
	c.Golden("environment-created", c.Must(http.MethodPost, "/ng/api/environmentsV2"+account, dev))
	c.Golden("infrastructure-created", c.Must(http.MethodPost, "/ng/api/infrastructures"+account, ecs))
	w.Clock.Move(time.Minute)
	c.Golden("service-updated", c.Must(http.MethodPut, "/ng/api/servicesV2"+account, strings.Replace(service, `"name":"svc"`, `"name":"svc two"`, 1)))
	c.Golden("infrastructure", c.Must(http.MethodGet, "/gateway/ng/api/infrastructures/ecs"+project1+"&environmentIdentifier=dev", ""))
	c.Golden("infrastructures", c.Must(http.MethodGet, "/ng/api/infrastructures"+project1+"&environmentIdentifier=dev&page=0&size=2&searchTerm=ecs&deploymentType=ECS", ""))
	c.Golden("services-past-the-end", c.Must(http.MethodGet, "/ng/api/servicesV2"+project1+"&page=2&size=2&searchTerm=svc", ""))
	c.Golden("environments", c.Must(http.MethodGet, "/ng/api/environmentsV2"+project1+"&envIdentifiers=dev&sort=lastModifiedAt,DESC", ""))
	c.Golden("environment-deleted", c.Must(http.MethodDelete, "/ng/api/environmentsV2/dev"+project1+"&forceDelete=true", ""))
	c.Golden("infrastructure-gone", c.Do(w.Admin, http.MethodGet, "/ng/api/infrastructures/ecs"+project1+"&environmentIdentifier=dev", ""))
}

// What a client does not send is in the document that it sends.
func TestADocumentSaysWhatTheFieldsDoNot(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	got := data[nextgen.DefinitionResponse](t, c.Must(http.MethodPost, "/ng/api/infrastructures"+account, `{"yaml":"`+ecsYAML+`"}`)).Infrastructure
	if got.Identifier != "ecs" || got.OrgIdentifier != "org1" || got.ProjectIdentifier != "prj1" || got.EnvironmentRef != "dev" || got.Type != "ECS" || got.DeploymentType != "ECS" {
		t.Errorf("%+v", got)
	}
	if want := strings.ReplaceAll(ecsYAML, `\n`, "\n"); got.YAML != want {
		t.Errorf("the document came back as %q", got.YAML)
	}
}

func TestDefinitionsThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/servicesV2"+account, service)
	infrastructure := func(old, replacement string) string {
		if !strings.Contains(ecs, old) {
			t.Fatal(old)
		}
		return strings.Replace(ecs, old, replacement, 1)
	}
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		code, field        string
	}{
		"the same service":                  {http.MethodPost, "/servicesV2", service, 400, "DUPLICATE_FIELD", ""},
		"an update of none":                 {http.MethodPut, "/servicesV2", strings.ReplaceAll(service, "svc", "none"), 404, nextgen.NotFoundCode, ""},
		"nothing":                           {http.MethodPost, "/servicesV2", `{}`, 400, "INVALID_REQUEST", "identifier"},
		"no YAML":                           {http.MethodPost, "/servicesV2", `{"name":"n","yaml":"service: [unclosed"}`, 400, "INVALID_REQUEST", "yaml"},
		"YAML of another kind":              {http.MethodPost, "/servicesV2", `{"name":"n","yaml":"pipeline:\n  name: n\n"}`, 400, "INVALID_REQUEST", "yaml"},
		"an organization that is not there": {http.MethodPost, "/servicesV2", `{"name":"n","orgIdentifier":"none"}`, 400, "INVALID_REQUEST", "orgIdentifier"},
		"an environment of an odd type":     {http.MethodPost, "/environmentsV2", strings.Replace(dev, `"PreProduction"`, `"Odd"`, 1), 400, "INVALID_REQUEST", "type"},
		"no environment":                    {http.MethodPost, "/infrastructures", `{"name":"n","type":"ECS"}`, 400, "INVALID_REQUEST", "environmentRef"},
		"ECS without a cluster":             {http.MethodPost, "/infrastructures", infrastructure(", cluster: c1", ""), 400, "INVALID_REQUEST", "yaml.infrastructureDefinition.spec.cluster"},
		"ECS with another deployment":       {http.MethodPost, "/infrastructures", infrastructure("deploymentType: ECS", "deploymentType: AwsLambda"), 400, "INVALID_REQUEST", "yaml.infrastructureDefinition.deploymentType"},
		"one that lies in no environment":   {http.MethodGet, "/infrastructures/ecs", "", 400, "INVALID_REQUEST", "environmentIdentifier"},
		"a page that is none":               {http.MethodGet, "/servicesV2", "&page=x", 400, "INVALID_REQUEST", "page"},
	} {
		t.Run(name, func(t *testing.T) {
			path, body := "/ng/api"+tt.path+account, tt.body
			if tt.method == http.MethodGet {
				path, body = path+body, ""
			}
			a := c.Do(w.Admin, tt.method, path, body)
			got := failure(t, a)
			if a.Status != tt.status || got.Code != tt.code || tt.field != "" && (len(got.Errors) == 0 || got.Errors[0].FieldID != tt.field) {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
}

// Types that are not AWS's have a meaning that Belay does not know, and expressions have one only when they are used.
func TestInfrastructureThatIsKeptUnread(t *testing.T) {
	t.Parallel()
	_, c := serve(t)
	for name, yaml := range map[string]string{
		"another cloud's type": `infrastructureDefinition:\n  type: KubernetesGcp\n  spec: {anything: [1]}\n`,
		"an expression":        `infrastructureDefinition:\n  type: KubernetesAws\n  deploymentType: <+input>\n  spec: {connectorRef: <+input>, cluster: <+input>, namespace: <+env.name>, releaseName: r-<+x>}\n`,
		"an AWS type":          `infrastructureDefinition:\n  type: KubernetesAws\n  deploymentType: NativeHelm\n  spec: {connectorRef: a, cluster: us-east-1/c, namespace: n, releaseName: r, more: {x: y}}\n`,
	} {
		id := strings.ReplaceAll(name, " ", "_")
		id = strings.ReplaceAll(id, "'", "")
		c.Must(http.MethodPost, "/ng/api/infrastructures"+account, `{"identifier":"`+id+`","name":"n","environmentRef":"dev","yaml":"`+yaml+`"}`)
		got := data[nextgen.DefinitionResponse](t, c.Must(http.MethodGet, "/ng/api/infrastructures/"+id+account+"&environmentIdentifier=dev", ""))
		if got.Infrastructure.YAML != strings.ReplaceAll(yaml, `\n`, "\n") {
			t.Errorf("%s: %q", name, got.Infrastructure.YAML)
		}
	}
}

func TestDefinitionsAreForTheirRoles(t *testing.T) {
	t.Parallel()
	w, c := serve(t)
	c.Must(http.MethodPost, "/ng/api/servicesV2"+account, service)
	for who, status := range map[string]int{w.Viewer: 403, w.Project: 400, w.Editor: 400, w.Stranger: 403, w.Revoked: 401} { // 400: it is there already
		if a := c.Do(who, http.MethodPost, "/ng/api/servicesV2"+account, service); a.Status != status {
			t.Errorf("%d, want %d: %s", a.Status, status, a.Body)
		}
	}
	if a := c.Do(w.Viewer, http.MethodGet, "/ng/api/servicesV2/svc"+project1, ""); a.Status != http.StatusOK {
		t.Error(a.Body)
	}
	if a := c.Do(w.Project, http.MethodGet, "/ng/api/servicesV2"+account, ""); a.Status != http.StatusForbidden {
		t.Error(a.Body)
	}
}
