package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue/render"
	"github.com/belay-dev/belay/iam/trust"
)

type policyTrust struct {
	Make    policyTrustMake    `cmd:"" default:"withargs" help:"Make a trust policy; this is what happens without a further word."`
	Explain policyTrustExplain `cmd:"" help:"Say whether a trust policy lets a caller in, and why not."`
}

type policyTrustMake struct {
	For string `help:"Who is to assume the role: ec2, ecs-tasks (task and execution roles), ecs (the legacy service role), lambda, cross-account, irsa, pod-identity or oidc." enum:"ec2,ecs-tasks,ecs,lambda,cross-account,irsa,pod-identity,oidc" required:"" placeholder:"KIND"`

	Principal     []string `help:"Account id, or ARN of a role, a user or an account's root. For cross-account." sep:"none" placeholder:"WHO" group:"Who"`
	ExternalID    string   `name:"external-id" help:"What the caller must send. For cross-account." placeholder:"ID" xor:"id" group:"Who"`
	NewExternalID bool     `name:"new-external-id" help:"Make an external id by chance. For cross-account." xor:"id" group:"Who"`

	Provider       string `help:"ARN of the OpenID Connect provider in the role's account. For irsa and oidc." placeholder:"ARN" group:"Who"`
	Issuer         string `help:"The same in other words, with --aws-account: the address of the issuer." placeholder:"URL" group:"Who"`
	AWSAccount     string `name:"aws-account" help:"AWS account of the role, with --issuer." placeholder:"ID" group:"Who"`
	Namespace      string `help:"Kubernetes namespace. For irsa and pod-identity." placeholder:"NAME" group:"Who"`
	ServiceAccount string `help:"Kubernetes service account; * for all of the namespace. For irsa and pod-identity." placeholder:"NAME" group:"Who"`
	Audience       string `help:"Audience of the tokens; sts.amazonaws.com by default. For irsa and oidc." placeholder:"TEXT" group:"Who"`
	Subject        string `help:"Subject of the tokens; * and ? are wildcards. For oidc." placeholder:"TEXT" group:"Who"`
	SourceAccount  string `help:"Only tasks of this AWS account. For ecs-tasks." placeholder:"ID" group:"Who"`

	Partition      string `help:"Partition of the role: aws, aws-cn or aws-us-gov; that of an ARN above, else aws." placeholder:"NAME" group:"Role"`
	Tags           bool   `help:"Let the session have tags." group:"Role"`
	SourceIdentity bool   `help:"Let the session have a source identity." group:"Role"`
	RoleName       string `help:"Name of the role; left open by default." placeholder:"NAME" group:"Role"`

	Format string `help:"What to write: json, terraform, cloudformation or cli (commands of the AWS CLI)." enum:"json,terraform,cloudformation,cli" default:"json" group:"Output"`
}

// Help says what is made.
func (*policyTrustMake) Help() string {
	return "Makes the trust policy of a role: who may assume it. It asks no manager and no AWS account, and changes nothing. " +
		"The trust policy of a connector that uses Belay's own issuer is printed by belay oidc trust-policy.\n\n" +
		"Example: belay policy trust --for cross-account --principal 123456789012 --new-external-id --format terraform"
}

// Run makes a trust policy.
func (cmd *policyTrustMake) Run(a *app) error {
	if cmd.RoleName != "" && !entityName.MatchString(cmd.RoleName) {
		return misusef("--role-name %q: the name of a role is letters, digits and +=,.@_-, without its path", cmd.RoleName)
	}
	ask := trust.Ask{
		For: trust.Kind(cmd.For), Partition: cmd.Partition, Principals: cmd.Principal, ExternalID: cmd.ExternalID,
		Provider: cmd.Provider, Issuer: cmd.Issuer, Account: cmd.AWSAccount, Namespace: cmd.Namespace, ServiceAccount: cmd.ServiceAccount,
		Audience: cmd.Audience, Subject: cmd.Subject, SourceAccount: cmd.SourceAccount, Tags: cmd.Tags, SourceIdentity: cmd.SourceIdentity,
	}
	if cmd.NewExternalID {
		ask.ExternalID = trust.NewExternalID()
	}
	p, err := trust.For(ask)
	if input, wrong := errors.AsType[*trust.InputError](err); wrong {
		for _, problem := range input.Problems {
			a.note("%s", problem)
		}
		return misusef("no trust policy was made; %s to mend first", count(len(input.Problems), "problem", "problems"))
	} else if err != nil {
		return err
	}
	text := render.TrustJSON(p)
	switch cmd.Format {
	case "terraform":
		text = render.TrustTerraform(p, cmd.RoleName)
	case "cloudformation":
		text = render.TrustCloudFormation(p, cmd.RoleName)
	case "cli":
		text = render.TrustShell(p, cmd.RoleName)
	}
	if cmd.NewExternalID {
		a.note("The external id is %s: it belongs into the connector, as externalId.", ask.ExternalID)
	}
	for _, note := range p.Notes {
		a.note("%s", note)
	}
	_, err = a.Out.Write(text)
	return err
}

type policyTrustExplain struct {
	Trust          string            `help:"File with the role's trust policy; - is standard input." required:"" placeholder:"FILE"`
	Principal      string            `help:"Who asks: the ARN of a user, role or session, a service such as ecs-tasks.amazonaws.com, or the ARN of the OpenID Connect provider whose token is shown." required:"" placeholder:"WHO"`
	Role           string            `help:"ARN of the role. Without, it is taken for one of the caller's account." placeholder:"ARN"`
	Policy         []string          `help:"File with a policy of the caller. Without any, they are not known." sep:"none" placeholder:"FILE" xor:"own"`
	NoPolicy       bool              `help:"The caller has no policy." xor:"own"`
	ExternalID     string            `name:"external-id" help:"External id that the caller sends." placeholder:"ID"`
	Claim          map[string]string `help:"Claim of the token and its value, such as sub=system:serviceaccount:ci:delegate; several methods of amr with commas between them." placeholder:"KEY=VALUE" mapsep:"none"`
	Tag            map[string]string `help:"Tag of the session." placeholder:"KEY=VALUE" mapsep:"none"`
	SourceIdentity string            `help:"Source identity of the session." placeholder:"NAME"`
	Context        map[string]string `help:"Further condition key and its value." placeholder:"KEY=VALUE" mapsep:"none"`
}

// Help says what the answer means.
func (*policyTrustExplain) Help() string {
	return `Decides sts:AssumeRole, or sts:AssumeRoleWithWebIdentity for a token, by the policies that are given. No manager and no AWS account is asked.

The exit code is 0 when it succeeds; 3 when it fails, or depends on policies of the caller that are not given; 2 when a policy is malformed.

Example: belay policy trust explain --trust trust.json --role arn:aws:iam::111111111111:role/deploy --principal arn:aws:iam::222222222222:role/ci --external-id abc`
}

// Run explains a trust policy.
func (cmd *policyTrustExplain) Run(a *app) error {
	q := trust.Question{
		Role: cmd.Role, ExternalID: cmd.ExternalID, Claims: cmd.Claim, Tags: cmd.Tag, SourceIdentity: cmd.SourceIdentity, Keys: cmd.Context,
	}
	var problems []error
	var err error
	if q.Caller, err = trust.ParseCaller(cmd.Principal); err != nil {
		problems = append(problems, fmt.Errorf("--principal: %w", err))
	}
	read := func(name string) *iam.Document {
		text, err := a.readFile(name)
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		d, err := iam.Parse(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", named(name), err))
		}
		return d
	}
	q.Trust = read(cmd.Trust)
	for _, name := range cmd.Policy {
		q.Policies = append(q.Policies, iam.Policy{Name: policyName(name), Document: read(name)})
	}
	if cmd.NoPolicy {
		q.Policies = []iam.Policy{}
	}
	if len(problems) > 0 {
		return misuse(errors.Join(problems...))
	}
	answer, err := trust.Explain(q)
	if err != nil {
		return misuse(err)
	}
	if err := a.print(answer, func() { a.trusted(q, answer) }); err != nil {
		return err
	}
	if answer.Outcome != trust.Succeeds {
		return exit{Different}
	}
	return nil
}

// trusted shows an answer.
func (a *app) trusted(q trust.Question, answer trust.Answer) {
	word := map[trust.Outcome]cell{
		trust.Succeeds: {"succeeds", holds}, trust.Fails: {"fails", breaks}, trust.Depends: {"depends", warns},
	}[answer.Outcome]
	a.line("%s by %s %s", strings.Join(answer.Actions, " and "), q.Caller.String(), a.painted(word.paint, word.text))
	for _, r := range answer.Reasons {
		a.line("  %s", r.Text)
	}
	for _, n := range answer.Notes {
		a.line("  %s", n)
	}
	for _, f := range answer.Findings {
		a.line("  %s statement %s: %s", a.painted(warns, "Attention:"), strconv.Itoa(f.Statement), f.Text)
	}
}
