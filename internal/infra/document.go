package infra

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/scope"
)

// The bounds of a definition.
const (
	maxYAML        = 512 << 10 // bytes
	maxDescription = 1024      // characters
	maxText        = 256       // bytes of a colour, a type, a reference
)

// Root is the outer key of a kind's document.
func (k Kind) Root() string {
	if k == Infrastructure {
		return "infrastructureDefinition"
	}
	return string(k)
}

// said is what a document says that Belay reads. Values are nodes where expressions may stand for them.
type said struct {
	Name        string               `yaml:"name"`
	ID          string               `yaml:"identifier"`
	Description string               `yaml:"description"`
	Org         string               `yaml:"orgIdentifier"`
	Project     string               `yaml:"projectIdentifier"`
	Environment string               `yaml:"environmentRef"`
	Type        string               `yaml:"type"`
	Deployment  string               `yaml:"deploymentType"`
	Color       string               `yaml:"color"`
	Tags        map[string]string    `yaml:"tags"`
	Spec        map[string]yaml.Node `yaml:"spec"`
}

// parse reads a document. What other fields it has is nobody's business here.
func (d Definition) parse() (said, fault.Problems) {
	var out said
	switch {
	case d.YAML == "":
		return out, nil
	case len(d.YAML) > maxYAML:
		return out, fault.Problems{{Path: "yaml", Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(d.YAML), maxYAML)}}
	}
	var root map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(d.YAML), &root); err != nil {
		return out, fault.Problems{{Path: "yaml", Message: "cannot be read: " + clip(err.Error())}}
	}
	body, ok := root[d.Kind.Root()]
	if !ok || body.Kind != yaml.MappingNode {
		return out, fault.Problems{{Path: "yaml", Message: fmt.Sprintf("has no fields under %s; its first line is %s:", d.Kind.Root(), d.Kind.Root())}}
	}
	if err := body.Decode(&out); err != nil {
		return out, fault.Problems{{Path: "yaml", Message: "cannot be read: " + clip(err.Error())}}
	}
	return out, nil
}

func clip(text string) string {
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// Complete takes from the document what the fields do not say, and makes an identifier where neither does. The problems
// are those of the document.
func (d *Definition) Complete() fault.Problems {
	from, problems := d.parse()
	for _, one := range []struct {
		field *string
		other string
	}{
		{&d.Name, from.Name}, {&d.ID, from.ID}, {&d.Description, from.Description}, {&d.Scope.Org, from.Org}, {&d.Scope.Project, from.Project},
	} {
		if *one.field == "" {
			*one.field = one.other
		}
	}
	if d.Tags == nil {
		d.Tags = from.Tags
	}
	switch d.Kind {
	case Infrastructure:
		fill(&d.Environment, from.Environment)
		fill(&d.Type, from.Type)
		fill(&d.Deployment, from.Deployment)
	case Environment:
		fill(&d.Type, from.Type)
		fill(&d.Color, from.Color)
	case Service:
	}
	if d.ID == "" {
		d.ID = scope.IdentifierFromName(d.Name)
	}
	if d.Kind == Infrastructure && len(problems) == 0 && d.YAML != "" {
		checkAWS(d.Type, d.Deployment, from.Spec, &problems)
	}
	return problems
}

func fill(field *string, other string) {
	if *field == "" {
		*field = other
	}
}

// Check finds every reason in the fields why a definition cannot be saved. References may lead nowhere yet.
func (d Definition) Check() fault.Problems {
	var problems fault.Problems
	switch p := scope.CheckIdentifier(d.ID); {
	case d.ID == "" && d.Name != "":
		problems.Add("identifier", fmt.Sprintf("is required: none can be made from the name %.60q", d.Name))
	case p != "":
		problems.Add("identifier", p)
	}
	if p := scope.CheckName(d.Name); p != "" {
		problems.Add("name", p)
	}
	if n := len([]rune(d.Description)); n > maxDescription {
		problems.Add("description", fmt.Sprintf("has %d characters, at most %d are allowed", n, maxDescription))
	}
	if d.Scope.Project != "" && d.Scope.Org == "" {
		problems.Add("orgIdentifier", fmt.Sprintf("is required: project %.60q belongs to an organization", d.Scope.Project))
	}
	if len(d.Tags) > scope.MaxTags {
		problems.Add("tags", fmt.Sprintf("has %d tags, at most %d are allowed", len(d.Tags), scope.MaxTags))
	}
	texts := map[string]string{"description": d.Description, "yaml": d.YAML}
	for field, text := range map[string]string{"color": d.Color, "type": d.Type, "deploymentType": d.Deployment, "environmentRef": d.Environment} {
		if texts[field] = text; len(text) > maxText {
			problems.Add(field, fmt.Sprintf("is longer than %d bytes", maxText))
		}
	}
	for _, field := range slices.Sorted(mapKeys(texts)) {
		if strings.ContainsRune(texts[field], 0) {
			problems.Add(field, "holds a NUL character")
		}
	}
	switch d.Kind {
	case Environment:
		if d.Type != "Production" && d.Type != "PreProduction" && !expression(d.Type) {
			problems.Add("type", fmt.Sprintf("%.40q is not a type of environment; use PreProduction or Production", d.Type))
		}
	case Infrastructure:
		if d.Environment == "" {
			problems.Add("environmentRef", "is required: the environment that it belongs to")
		}
		if d.Type == "" {
			problems.Add("type", "is required: what it runs on, such as ECS")
		}
	case Service:
	}
	return problems
}

func mapKeys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// expression reports whether a value is settled only when it is used: <+input>, <+pipeline.name>.
func expression(text string) bool { return strings.Contains(text, "<+") }

// awsType is what one type of infrastructure definition needs (the public entity schema).
type awsType struct {
	deployments []string // nil: any, because their spelling is not certain
	required    []string
}

func awsTypes() map[string]awsType {
	return map[string]awsType{
		"KubernetesAws":       {[]string{"Kubernetes", "NativeHelm"}, []string{"connectorRef", "cluster", "namespace", "releaseName"}},
		"ECS":                 {[]string{"ECS"}, []string{"connectorRef", "region", "cluster"}},
		"AwsLambda":           {[]string{"AwsLambda"}, []string{"connectorRef", "region"}},
		"ServerlessAwsLambda": {[]string{"ServerlessAwsLambda"}, []string{"connectorRef", "region", "stage"}},
		"AWS_SAM":             {nil, []string{"connectorRef", "region"}},
		"Asg":                 {nil, []string{"connectorRef", "region"}},
		"SshWinRmAws":         {[]string{"Ssh", "WinRm"}, []string{"connectorRef", "credentialsRef", "region", "hostConnectionType"}},
	}
}

// checkAWS asks of an infrastructure definition of an AWS type what that type needs. Types that are not AWS's are kept.
func checkAWS(kind, deployment string, spec map[string]yaml.Node, problems *fault.Problems) {
	const path = "yaml.infrastructureDefinition."
	t, known := awsTypes()[kind]
	if !known {
		return
	}
	if t.deployments != nil && deployment != "" && !expression(deployment) && !slices.Contains(t.deployments, deployment) {
		problems.Add(path+"deploymentType", fmt.Sprintf("is %.60q; type %s goes with %s", deployment, kind, strings.Join(t.deployments, " or ")))
	}
	value := func(field string) string {
		node := spec[field]
		if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
			return ""
		}
		return node.Value
	}
	for _, field := range t.required {
		if value(field) == "" {
			problems.Add(path+"spec."+field, "is required for type "+kind)
		}
	}
	namespace := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	if v := value("namespace"); kind == "KubernetesAws" && v != "" && !expression(v) && !namespace.MatchString(v) {
		problems.Add(path+"spec.namespace", fmt.Sprintf("%.60q is not a name of a namespace: a-z, digits and hyphens", v))
	}
	if v := value("hostConnectionType"); v != "" && !expression(v) && v != "PublicIP" && v != "PrivateIP" {
		problems.Add(path+"spec.hostConnectionType", fmt.Sprintf("is %.60q; use PublicIP or PrivateIP", v))
	}
}
