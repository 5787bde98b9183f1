package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/internal/arn"
	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/document"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/nextgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// draft is a connector that is being made, field by field.
type draft struct {
	v           *visit
	Values      map[string]string
	Errors      map[string]string // by field
	Summary     []problem
	YAML        []codeLine
	Policy      []codeLine
	Needs       []string // prerequisites of the chosen way
	SecretNames []string
}

// problem is what is wrong with a field, or with the whole when Field is "".
type problem struct{ Field, Text string }

// Value is what stands in a field.
func (d draft) Value(name string) string { return d.Values[name] }

// way is one way to get credentials, as its card shows it.
type way struct{ Value, Class, Title, Mark, Text, Needs string }

func ways() []way {
	return []way{
		{nextgen.CredentialInherit, "inherit", "Role of the delegate", "", "EC2 instance profile, ECS task role or EKS Pod Identity.", "Needs a delegate in AWS"},
		{nextgen.CredentialIRSA, "irsa", "IRSA", "", "The service account of a delegate in EKS carries the role.", "Needs a delegate in EKS"},
		{nextgen.CredentialOIDC, "oidc", "OIDC", "No stored keys", "Belay signs a short token, AWS trades it for a session.", "Needs an identity provider in the account"},
		{nextgen.CredentialManual, "manual", "Access key", "Long-lived", "Key id and secret of an IAM user, optional session token.", "Needs a secret, and somebody who rotates it"},
	}
}

func needsOf(credential string) []string {
	switch credential {
	case nextgen.CredentialOIDC:
		return []string{
			"The account has an OpenID Connect provider for this manager's issuer, with the audience `sts.amazonaws.com`. `belay oidc show` prints the issuer.",
			"The role's trust policy lets the connector's token in. Once the connector is saved, `belay oidc trust-policy` prints the policy.",
			"AWS reaches the issuer's discovery document over https. `belay oidc check` tells.",
			"The feature flag `CDS_AWS_OIDC_AUTHENTICATION` is on, and a delegate that is used has version 24.03.82603 or later.",
		}
	case nextgen.CredentialIRSA:
		return []string{
			"A delegate runs in EKS, under a service account that is annotated with `eks.amazonaws.com/role-arn`.",
			"The role's trust policy lets that service account in, by the cluster's OpenID Connect provider.",
			"EKS sets `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` when the pod starts, so restart it after the annotation.",
		}
	case nextgen.CredentialManual:
		return []string{
			"The secret access key is kept as a secret first: `belay secret set NAME`. The connector refers to it by name.",
			"Keys of AWS GovCloud and China work in their own Regions only.",
			"A session token needs a delegate of version 24.09.84100 or later, and ends with its session.",
		}
	}
	return []string{
		"A delegate runs where AWS gives it a role: an instance profile, a task role, Pod Identity, or its environment.",
		"In a container on EC2 the instance's metadata hop limit is 2 or more.",
	}
}

// newConnector shows the form.
func (s *Server) newConnector(ctx context.Context, v *visit) (reply, error) {
	if err := denied(v.may(audit.ConnectorCreate, v.at), "make connectors", v.at); err != nil {
		return reply{}, err
	}
	return s.draftReply(ctx, draft{v: v, Values: map[string]string{"credential": nextgen.CredentialInherit, "mode": "delegate"}}, 200)
}

func (s *Server) draftReply(ctx context.Context, d draft, status int) (reply, error) {
	list, _, err := s.Secrets.Secrets(ctx, d.v.who, secret.Filter{Scope: d.v.at, Limit: 100})
	if err != nil && fault.KindOf(err) != fault.Denied {
		return reply{}, err
	}
	for _, one := range list {
		name := one.ID
		if one.Scope.Level() == scope.Account {
			name = "account." + name
		}
		d.SecretNames = append(d.SecretNames, name)
	}
	if err := d.fill(); err != nil {
		return reply{}, err
	}
	return reply{title: "New connector", here: "Connectors", body: newView(d), status: status}, nil
}

// fill makes what stands beside the form: the YAML, what the chosen way needs, and the policy.
func (d *draft) fill() error {
	body, err := json.Marshal(d.wire())
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := document.Write(&text, document.Connector, body); err != nil {
		return err
	}
	d.YAML, d.Needs = linesOf(text.String()), needsOf(d.Value("credential"))
	capabilities := []string{catalogue.Connection}
	narrowing := catalogue.Narrowing{}
	if arn := d.Value("crossAccountRoleArn"); arn != "" {
		capabilities, narrowing.Roles = append(capabilities, "cross-account-role"), []string{arn}
	}
	result, err := catalogue.For(capabilities, narrowing, catalogue.Placement{Expand: true})
	if err != nil { // the role is not typed to its end yet
		result, err = catalogue.For(capabilities[:1], catalogue.Narrowing{}, catalogue.Placement{Expand: true})
	}
	if err != nil {
		return err
	}
	for _, one := range result.Documents {
		d.Policy = append(d.Policy, linesOf(string(one.Document.Indent()))...)
	}
	return nil
}

// wire is the draft as a file has it.
func (d *draft) wire() nextgen.Connector {
	c := nextgen.Connector{
		Name: d.Value("name"), Identifier: d.Value("identifier"), Description: d.Value("description"), OrgIdentifier: d.v.at.Org, ProjectIdentifier: d.v.at.Project,
		Type: nextgen.TypeAWS,
	}
	if c.Identifier == "" {
		c.Identifier = scope.IdentifierFromName(c.Name)
	}
	if tags := names(d.Value("delegateSelectors")); len(tags) > 0 {
		c.Spec.DelegateSelectors = tags
	}
	credential := nextgen.Credential{Type: d.Value("credential"), Region: d.Value("region")}
	switch credential.Type {
	case nextgen.CredentialManual:
		credential.Spec = &nextgen.CredentialSpec{
			AccessKey: d.Value("accessKey"), SecretKeyRef: d.Value("secretKeyRef"), SessionTokenRef: d.Value("sessionTokenRef"),
		}
	case nextgen.CredentialOIDC:
		credential.Spec = &nextgen.CredentialSpec{IAMRoleARN: d.Value("iamRoleArn")}
	}
	if arn := d.Value("crossAccountRoleArn"); arn != "" {
		credential.CrossAccountAccess = &nextgen.CrossAccountAccess{CrossAccountRoleARN: arn, ExternalID: d.Value("externalId")}
	}
	c.Spec.Credential = credential
	if manual := credential.Type == nextgen.CredentialManual || credential.Type == nextgen.CredentialOIDC; manual && d.Value("mode") == "manager" {
		here := false
		c.Spec.ExecuteOnDelegate = &here
	}
	return c
}

func draftFields() []string {
	return []string{
		"name", "identifier", "description", "credential", "accessKey", "secretKeyRef", "sessionTokenRef", "iamRoleArn", "crossAccountRoleArn", "externalId",
		"region", "delegateSelectors", "mode",
	}
}

// createConnector saves a connector and tests it, or, for a preview, only shows what the file would say.
func (s *Server) createConnector(ctx context.Context, v *visit) (reply, error) {
	if err := v.r.ParseForm(); err != nil {
		return reply{}, badForm(err)
	}
	if err := denied(v.may(audit.ConnectorCreate, v.at), "make connectors", v.at); err != nil {
		return reply{}, err
	}
	d := draft{v: v, Values: map[string]string{}}
	for _, name := range draftFields() {
		text := strings.TrimSpace(v.r.PostForm.Get(name))
		d.Values[name] = text[:min(len(text), longestField)]
	}
	if v.r.PostForm.Get("do") == "preview" {
		return s.draftReply(ctx, d, http.StatusOK)
	}
	c, problems := d.wire().Domain(v.who.Account)
	problems = append(problems, wrongRoles(c)...)
	if len(problems) > 0 { // the others are said as well
		problems = append(problems, c.Check()...)
	}
	err := problems.Err()
	var made connector.Stored
	if err == nil {
		made, err = s.Connectors.Create(ctx, v.who, c)
	}
	if err != nil {
		return s.refusedDraft(ctx, d, err)
	}
	// It is saved. When the test cannot be done, its page says that it was not tested.
	if _, err := s.Connectors.Test(ctx, v.who, made.Scope, made.ID, connector.Options{Trigger: connector.OnSave}); err != nil && fault.KindOf(err) == "" {
		return reply{}, err
	}
	return reply{to: connectorURL(v, "", made.Scope, made.ID)}, nil
}

// wrongRoles finds roles that cannot be. The APIs save them with a warning, for clients that fill in what comes later; who
// types one here means it as it stands.
func wrongRoles(c connector.Connector) fault.Problems {
	var problems fault.Problems
	check := func(field, text string) {
		if p := arn.CheckRole(text); p != "" && text != "" {
			problems.Add(field, p)
		}
	}
	if o, ok := c.Credential.(connector.OIDC); ok {
		check("iamRoleArn", o.RoleARN)
	}
	if c.CrossAccount != nil {
		check("crossAccountRoleArn", c.CrossAccount.RoleARN)
	}
	return problems
}

// refusedDraft shows the form again with what is wrong beside each field.
func (s *Server) refusedDraft(ctx context.Context, d draft, err error) (reply, error) {
	status, _ := statusOf(err)
	if status != http.StatusBadRequest && status != http.StatusConflict {
		return reply{}, err
	}
	d.Errors = map[string]string{}
	problems, ok := errors.AsType[fault.Problems](err)
	if !ok {
		d.Summary = []problem{{"", sentence(fault.Sentence(err))}}
		return s.draftReply(ctx, d, status)
	}
	for _, p := range problems {
		field := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		field, _, _ = strings.Cut(field, "[")
		text := sentence(p.Message)
		if _, known := d.Values[field]; known {
			d.Errors[field] = strings.TrimSpace(d.Errors[field] + " " + text)
		} else {
			text = sentence(p.Path + ": " + p.Message)
			field = ""
		}
		d.Summary = append(d.Summary, problem{field, text})
	}
	return s.draftReply(ctx, d, status)
}

// described are the attributes that tie a field to its help, or to what is wrong with it. The first wrong one has the focus.
func (d draft) described(name string) templ.Attributes {
	if d.Errors[name] == "" {
		return templ.Attributes{"aria-describedby": name + "-h"}
	}
	return templ.Attributes{
		"aria-describedby": name + "-e", "aria-invalid": "true",
		"autofocus": slices.IndexFunc(d.Summary, func(p problem) bool { return p.Field != "" }) == slices.IndexFunc(d.Summary, func(p problem) bool { return p.Field == name }),
	}
}
