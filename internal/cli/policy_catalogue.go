package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/belay-dev/belay/iam/catalogue"
	"github.com/belay-dev/belay/iam/catalogue/render"
)

type policyList struct{}

// Help says where the capabilities come from.
func (*policyList) Help() string {
	return "A capability is something that a connection is used for. The catalogue is embedded: no manager and no AWS account is asked."
}

// Run lists the capabilities.
func (*policyList) Run(a *app) error {
	all := catalogue.Capabilities()
	return a.print(all, func() {
		var rows [][]cell
		for _, c := range all {
			managed, own := 0, 0
			for _, p := range c.Policies {
				if p.Kind == catalogue.AWSManaged {
					managed++
				} else {
					own++
				}
			}
			rows = append(rows, []cell{
				{text: c.ID, paint: bold},
				{text: c.Title},
				{text: string(c.Holder)},
				{text: number(managed)},
				{text: number(own)},
				{text: strings.Join(sources(c), " "), paint: faint},
			})
		}
		a.table("", []string{"Capability", "What it is", "Role of", "AWS-managed", "Own", "Sources"}, rows)
	})
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// sources are the ids of the pages that a capability rests on, in order.
func sources(c catalogue.Capability) []string {
	asked := map[string]bool{}
	for _, p := range append(append(append([]catalogue.Policy{}, c.Policies...), c.Trust...), c.Resource...) {
		for _, at := range append(append([]catalogue.Citation{}, p.Printed...), p.Mentions...) {
			asked[at.Source] = true
		}
	}
	var all []string
	for _, s := range catalogue.Sources() {
		if asked[s.ID] {
			all = append(all, s.ID)
		}
	}
	return all
}

type policyShow struct {
	ID string `arg:"" name:"capability" help:"Capability; belay policy list has them all."`
}

// Run shows a capability with its policies.
func (cmd *policyShow) Run(a *app) error {
	c, ok := catalogue.Find(cmd.ID)
	if !ok {
		return misusef("there is no capability %q. `belay policy list` shows them.", cmd.ID)
	}
	return a.print(c, func() {
		a.fields(
			[2]string{"Capability", c.ID}, [2]string{"What it is", c.Title}, [2]string{"Use", c.Use},
			[2]string{"Role of", "the " + string(c.Holder)}, [2]string{"Notes", strings.Join(c.Notes, "\n")},
		)
		for _, group := range []struct {
			title    string
			policies []catalogue.Policy
		}{{"Policy", c.Policies}, {"Trust policy", c.Trust}, {"Policy of the resource", c.Resource}} {
			for _, p := range group.policies {
				a.line("")
				a.policy(group.title, p)
			}
		}
		a.line("")
		var pages []string
		for _, s := range catalogue.Sources() {
			if slices.Contains(sources(c), s.ID) {
				pages = append(pages, fmt.Sprintf("%s is %q, %s", s.ID, s.Title, s.Publisher))
			}
		}
		a.fields([2]string{"Sources", strings.Join(pages, "\n")})
	})
}

func (a *app) policy(title string, p catalogue.Policy) {
	var from []string
	for _, at := range p.Printed {
		from = append(from, fmt.Sprintf("%s, lines %s: %s", at.Source, at.Lines, at.Section))
	}
	for _, at := range p.Mentions {
		from = append(from, fmt.Sprintf("%s, in words: %s", at.Source, at.Section))
	}
	kind := map[catalogue.Kind]string{catalogue.AWSManaged: "kept by AWS", catalogue.CustomerManaged: "to be made in the account"}[p.Kind]
	a.fields(
		[2]string{title, p.ID}, [2]string{"For", p.Title}, [2]string{"Kind", kind}, [2]string{"ARN", p.ARN},
		[2]string{"From", strings.Join(from, "\n")}, [2]string{"Mended", strings.Join(p.Mended, "\n")},
	)
	if p.Document != nil {
		a.line("%s", string(p.Document.Indent()))
	}
}

type policyFor struct {
	Capabilities []string `arg:"" name:"capability" help:"Capabilities; belay policy list has them all."`

	Bucket     []string `help:"S3 bucket that is meant, by name or ARN; * and ? are wildcards in all of these." placeholder:"NAME" group:"Narrow to"`
	Cluster    []string `help:"ECS or EKS cluster." placeholder:"NAME" group:"Narrow to"`
	Repository []string `help:"ECR repository." placeholder:"NAME" group:"Narrow to"`
	Function   []string `help:"Lambda function." placeholder:"NAME" group:"Narrow to"`
	Role       []string `help:"IAM role that may be passed, changed or assumed, with its path." placeholder:"NAME" group:"Narrow to"`
	AWSAccount string   `name:"aws-account" help:"AWS account of what is named; any by default." placeholder:"ID" group:"Narrow to"`
	Region     string   `help:"Region of what is named; any by default." placeholder:"REGION" group:"Narrow to"`
	Partition  string   `help:"Partition; that of the Region, else aws." placeholder:"NAME" group:"Narrow to"`
	Principal  string   `help:"ARN of who uses the resources, for policies on the resource's side." placeholder:"ARN" group:"Narrow to"`

	Managed     string `help:"AWS-managed policies: attach them as they are, or expand their statements, which narrows them too." enum:"attach,expand" default:"attach" group:"Place"`
	To          string `help:"What the policies are attached to: role, user or group." enum:"role,user,group" default:"role" group:"Place"`
	AttachTo    string `help:"Its name; left open by default." placeholder:"NAME" group:"Place"`
	Inline      bool   `help:"One inline policy instead of managed ones." group:"Place"`
	Name        string `help:"Name of the policy; further ones get a number." default:"belay" placeholder:"NAME" group:"Place"`
	MaxAttached int    `help:"How many managed policies may be attached." default:"10" placeholder:"N" group:"Place"`

	Format string `help:"What to write: json, terraform, cloudformation or cli (commands of the AWS CLI)." enum:"json,terraform,cloudformation,cli" default:"json" group:"Output"`
}

// Help says what is made.
func (*policyFor) Help() string {
	return "Makes the policies that capabilities need, narrowed to what is named, joined, and in as few documents as IAM's quotas allow. " +
		"It asks no manager and no AWS account, and changes nothing."
}

var awsAccount = regexp.MustCompile(`^[0-9]{12}$`)

var entityName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// Run makes policies.
func (cmd *policyFor) Run(a *app) error {
	if cmd.AttachTo != "" && !entityName.MatchString(cmd.AttachTo) {
		return misusef("--attach-to %q: the name of a %s is letters, digits and +=,.@_-, without its path", cmd.AttachTo, cmd.To)
	}
	if cmd.AWSAccount == "" && awsAccount.MatchString(a.Account) {
		a.note("--account is an account of Belay's; the AWS account is given by --aws-account.")
	}
	result, err := catalogue.For(cmd.Capabilities, catalogue.Narrowing{
		Buckets: cmd.Bucket, Clusters: cmd.Cluster, Repositories: cmd.Repository, Functions: cmd.Function, Roles: cmd.Role,
		Principal: cmd.Principal, Account: cmd.AWSAccount, Region: cmd.Region, Partition: cmd.Partition,
	}, catalogue.Placement{
		To: catalogue.Entity(cmd.To), Inline: cmd.Inline, Name: cmd.Name, Expand: cmd.Managed == "expand", MaxAttached: cmd.MaxAttached,
	})
	switch input, wrong := errors.AsType[*catalogue.InputError](err); {
	case wrong:
		for _, p := range input.Problems {
			a.note("%s", p)
		}
		return misusef("no policy was made; %s to mend first", count(len(input.Problems), "problem", "problems"))
	case errors.Is(err, catalogue.ErrDoesNotFit):
		return fmt.Errorf("no policy was made, since it does not fit: %w", err)
	case err != nil:
		return err
	}
	text, err := cmd.render(result)
	switch {
	case errors.Is(err, render.ErrAttachments):
		return misusef("%w. Use --managed expand, or another --format", err)
	case err != nil:
		return err
	}
	for _, note := range result.Notes {
		a.note("%s", note)
	}
	_, err = a.Out.Write(text)
	return err
}

func (cmd *policyFor) render(r catalogue.Result) ([]byte, error) {
	switch cmd.Format {
	case "terraform":
		return render.Terraform(r, cmd.AttachTo), nil
	case "cloudformation":
		return render.CloudFormation(r, cmd.AttachTo)
	case "cli":
		return render.Shell(r, cmd.AttachTo), nil
	}
	return render.JSON(r)
}
