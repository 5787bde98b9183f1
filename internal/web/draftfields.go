package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
)

// The steps of the wizard, as their addresses name them.
const (
	stepName         = "name"
	stepCredentials  = "credentials"
	stepAccess       = "access"
	stepConnectivity = "connectivity"
	stepTest         = "test"
	stepYAML         = "yaml" // all of it, in another form
)

// wizardStep is one knot of the wizard's line.
type wizardStep struct {
	ID, Title string
	// Fields are the answers of the step. Those of Hints shape what the page shows beside, and are not part of the connector.
	Fields, Hints []string
}

func wizardSteps() []wizardStep {
	return []wizardStep{
		{stepName, "Name", []string{"name", "identifier", "description", "tags"}, nil},
		{
			stepCredentials, "Credentials",
			[]string{"credential", "accessKey", "accessKeyRef", "secretKeyRef", "sessionTokenRef", "iamRoleArn", "oidcSessionTagKeys"},
			[]string{"runsOn", "roleName", "clusterIssuer", "awsAccount", "namespace", "serviceAccount"},
		},
		{
			stepAccess, "Role and Region",
			[]string{
				"crossAccountRoleArn", "externalId", "dropExternalId", "assumeRoleSessionDuration", "region",
				"backoff", "fixedBackoff", "fixedBackoffUnit", "baseDelay", "baseDelayUnit", "maxBackoffTime", "maxBackoffTimeUnit", "retryCount",
			},
			[]string{"principal"},
		},
		{stepConnectivity, "Connectivity", []string{"mode", "delegateSelectors", "periodic"}, nil},
		{stepTest, "Save and test", nil, nil},
	}
}

func stepIndex(id string) int {
	return slices.IndexFunc(wizardSteps(), func(s wizardStep) bool { return s.ID == id })
}

// stepOfField is the step that asks for a field.
func stepOfField(field string) string {
	for _, s := range wizardSteps() {
		if slices.Contains(s.Fields, field) || slices.Contains(s.Hints, field) {
			return s.ID
		}
	}
	return ""
}

// fieldLabel is what a page calls a field.
func fieldLabel(field string) string {
	return cmp.Or(map[string]string{
		"name": "Name", "identifier": "Identifier", "description": "Description", "tags": "Tags", "credential": "Credentials",
		"accessKey": "Access key id", "accessKeyRef": "Id from a secret", "secretKeyRef": "Secret access key", "sessionTokenRef": "Session token",
		"newSecret": "Name of the new secret", "newSecretValue": "Secret access key",
		"iamRoleArn": "Role to assume", "oidcSessionTagKeys": "Session tags", "crossAccountRoleArn": "Role in another account", "externalId": "External id",
		"assumeRoleSessionDuration": "Session length", "region": "Test Region", "backoff": "Backoff", "fixedBackoff": "Delay", "baseDelay": "First delay",
		"maxBackoffTime": "Longest delay", "retryCount": "Retries", "mode": "Connect through", "delegateSelectors": "Tags of the delegate", "periodic": "Tests",
	}[field], field)
}

// draftField is the field that a problem's path means, "" when the form has none for it.
func draftField(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	name, _, _ = strings.Cut(name, "[")
	switch {
	case name == "type" && strings.Contains(path, "BackOff"):
		return "backoff"
	case name == "type" && strings.Contains(path, "credential"):
		return "credential"
	case stepOfField(name) == "" && name != "newSecret" && name != "newSecretValue":
		return ""
	}
	return name
}

// fileOf is a connector as a file has it.
func fileOf(c nextgen.Connector) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	if err := document.Write(&text, document.Connector, body); err != nil {
		return "", err
	}
	return text.String(), nil
}

// valuesOf are the answers that describe a connector. An external id is none of them: it is not shown, and stays as it is.
func valuesOf(c nextgen.Connector) map[string]string {
	s, credential := c.Spec, c.Spec.Credential
	values := map[string]string{
		"name": c.Name, "identifier": c.Identifier, "description": c.Description, "tags": tagsText(c.Tags), "credential": credential.Type,
		"region": cmp.Or(credential.Region, s.Region), "delegateSelectors": strings.Join(s.DelegateSelectors, ", "), "mode": "delegate",
	}
	if k := credential.Spec; k != nil {
		values["region"] = cmp.Or(credential.Region, k.Region, s.Region)
		values["accessKey"], values["accessKeyRef"], values["secretKeyRef"], values["sessionTokenRef"] = k.AccessKey, k.AccessKeyRef, k.SecretKeyRef, k.SessionTokenRef
		values["iamRoleArn"], values["oidcSessionTagKeys"] = k.IAMRoleARN, strings.Join(k.OIDCSessionTagKeys, " ")
	}
	if x := credential.CrossAccountAccess; x != nil {
		values["crossAccountRoleArn"] = x.CrossAccountRoleARN
		if x.AssumeRoleSessionDuration != 0 {
			values["assumeRoleSessionDuration"] = strconv.FormatInt(x.AssumeRoleSessionDuration, 10)
		}
	}
	if b := s.Backoff; b != nil {
		values["backoff"], values["retryCount"] = b.Type, strconv.Itoa(b.Spec.RetryCount)
		for name, n := range map[string]*int64{"fixedBackoff": b.Spec.FixedBackoff, "baseDelay": b.Spec.BaseDelay, "maxBackoffTime": b.Spec.MaxBackoffTime} {
			if n != nil {
				values[name], values[name+"Unit"] = delayText(*n)
			}
		}
	}
	if s.ExecuteOnDelegate != nil && !*s.ExecuteOnDelegate {
		values["mode"] = "manager"
	}
	if s.IgnoreTestConnection {
		values["periodic"] = "off"
	}
	return values
}

// delayText is a delay in the largest unit that it fills.
func delayText(ms int64) (text, unit string) {
	const second = 1000
	if ms >= second && ms%second == 0 {
		return strconv.FormatInt(ms/second, 10), "s"
	}
	return strconv.FormatInt(ms, 10), "ms"
}

func tagsText(tags map[string]string) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		lines = append(lines, strings.TrimSuffix(key+": "+tags[key], ": "))
	}
	return strings.Join(lines, "\n")
}

// parts are the texts of a field that are parted by commas or lines.
func parts(text string) []string {
	var out []string
	for one := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

func tagsIn(text string) map[string]string {
	var tags map[string]string
	for _, one := range parts(text) {
		if tags == nil {
			tags = map[string]string{}
		}
		key, value, _ := strings.Cut(one, ":")
		tags[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return tags
}

// wire is the draft as a file has it. The problems are those of answers that a file cannot hold.
func (d draft) wire(at scope.Scope) (nextgen.Connector, fault.Problems) {
	value := func(name string) string { return d.Values[name] }
	var problems fault.Problems
	c := d.Base
	if c.Type == nextgen.TypeKubernetes {
		return c, nil
	}
	was := valuesOf(c)
	c.Name, c.Identifier, c.Description, c.Type = value("name"), value("identifier"), value("description"), nextgen.TypeAWS
	c.OrgIdentifier, c.ProjectIdentifier = at.Org, at.Project
	if d.Revision > 0 {
		c.Identifier = d.Base.Identifier
	}
	if c.Identifier == "" {
		c.Identifier = scope.IdentifierFromName(c.Name)
	}
	// What a field cannot say, such as a tag with a line break, stays as it is unless the field was changed.
	if value("tags") != was["tags"] {
		c.Tags = tagsIn(value("tags"))
	}
	if value("delegateSelectors") != was["delegateSelectors"] {
		c.Spec.DelegateSelectors = parts(value("delegateSelectors"))
	}
	c.Spec.Region = ""
	c.Spec.Credential = d.credential(&problems)
	c.Spec.Backoff = d.backoff(&problems)
	c.Spec.IgnoreTestConnection = value("periodic") == "off"
	given := c.Spec.Credential.Type == nextgen.CredentialManual || c.Spec.Credential.Type == nextgen.CredentialOIDC
	switch on := c.Spec.ExecuteOnDelegate; {
	case given && value("mode") == "manager":
		c.Spec.ExecuteOnDelegate = new(false)
	case on != nil && !*on:
		c.Spec.ExecuteOnDelegate = new(true)
	}
	return c, problems
}

func (d draft) credential(problems *fault.Problems) nextgen.Credential {
	value := func(name string) string { return d.Values[name] }
	c := nextgen.Credential{Type: value("credential"), Region: value("region")}
	switch c.Type {
	case nextgen.CredentialManual:
		c.Spec = &nextgen.CredentialSpec{
			AccessKey: value("accessKey"), AccessKeyRef: value("accessKeyRef"), SecretKeyRef: value("secretKeyRef"), SessionTokenRef: value("sessionTokenRef"),
		}
	case nextgen.CredentialOIDC:
		c.Spec = &nextgen.CredentialSpec{IAMRoleARN: value("iamRoleArn"), OIDCSessionTagKeys: strings.Fields(value("oidcSessionTagKeys"))}
		if had := d.Base.Spec.Credential.Spec; had != nil && sameWords(had.OIDCSessionTagKeys, c.Spec.OIDCSessionTagKeys) {
			c.Spec.OIDCSessionTagKeys = had.OIDCSessionTagKeys // boxes have no order of their own
		}
	}
	external, had := value("externalId"), d.Base.Spec.Credential.CrossAccountAccess
	if external == "" && value("dropExternalId") == "" && had != nil && value("crossAccountRoleArn") != "" {
		external = had.ExternalID
	}
	length := number(value("assumeRoleSessionDuration"), "connector.spec.credential.crossAccountAccess.assumeRoleSessionDuration", problems)
	if role := value("crossAccountRoleArn"); role != "" || external != "" {
		c.CrossAccountAccess = &nextgen.CrossAccountAccess{CrossAccountRoleARN: role, ExternalID: external, AssumeRoleSessionDuration: length}
	}
	return c
}

func sameWords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (d draft) backoff(problems *fault.Problems) *nextgen.Backoff {
	const path = "connector.spec.awsSdkClientBackOffStrategyOverride.spec."
	delay := func(name string) *int64 {
		n := number(d.Values[name], path+name, problems)
		if d.Values[name] == "" {
			problems.Add(path+name, "is required")
		}
		if d.Values[name+"Unit"] == "s" {
			const second = 1000
			n = min(n, 1<<40) * second
		}
		return &n
	}
	b := nextgen.Backoff{Type: d.Values["backoff"]}
	switch b.Type {
	case "":
		return nil
	case nextgen.BackoffFixed:
		b.Spec.FixedBackoff = delay("fixedBackoff")
	case nextgen.BackoffEqualJitter, nextgen.BackoffFullJitter:
		b.Spec.BaseDelay, b.Spec.MaxBackoffTime = delay("baseDelay"), delay("maxBackoffTime")
	default:
		return &b // the domain says what is wrong with it
	}
	b.Spec.RetryCount = int(min(number(cmp.Or(d.Values["retryCount"], "3"), path+"retryCount", problems), 1<<20))
	return &b
}

func number(text, path string, problems *fault.Problems) int64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		problems.Add(path, fmt.Sprintf("%.40q is not a whole number", text))
		return 0
	}
	return n
}
