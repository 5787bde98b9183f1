package connector_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/connector"
)

const (
	onlyEurope = `{"Version":"2012-10-17","Statement":[{"Sid":"All","Effect":"Allow","Action":"*","Resource":"*"},` +
		`{"Sid":"Europe","Effect":"Deny","NotAction":"iam:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-central-1","us-gov-west-1","eu-west-1"]}}}]}`
	targetRole = "arn:aws:iam::210987654321:role/deploy-target"
)

// finding diagnoses a refusal whose policies were read.
func finding(t *testing.T, p connector.Permissions, f connector.Failure, change func(*connector.Connector)) (*connector.Diagnosis, *connector.Finding) {
	t.Helper()
	c := with(func(c *connector.Connector) { change(c) })
	f.Status = 403
	d := connector.Diagnose(connector.Result{Request: connector.Request{Connector: c}, Evidence: &connector.Evidence{Failure: &f, Permissions: &p}, Delegate: "eks-1"})
	if d == nil {
		t.Fatal("no diagnosis")
	}
	return d, d.Finding
}

func regionsRefused(because string) connector.Failure {
	return connector.Failure{
		Step: connector.StepRegions, Service: "ec2", Operation: "DescribeRegions", Code: "UnauthorizedOperation", Region: "us-east-1", RequestID: "req-1",
		Message: "You are not authorized to perform this operation. User: " + deploySession + " is not authorized to perform: ec2:DescribeRegions" + because,
	}
}

func same(*connector.Connector) {}

// said are the changes of a finding, in a line each.
func saidChanges(f *connector.Finding) []string {
	var out []string
	for _, c := range f.Changes {
		out = append(out, string(c.Setting)+c.Policy.Via+": "+c.What)
	}
	return out
}

func TestFindingOfADenialThatHangsOnTheRegion(t *testing.T) {
	t.Parallel()
	p := but(ofRole(allowAll), boundary(onlyEurope))
	_, f := finding(t, p, regionsRefused(" with an explicit deny in a permissions boundary"), same)
	if f == nil {
		t.Fatal("no finding")
	}
	if !f.Explicit || f.Layer != iam.LayerBoundary || f.Said != "explicit deny in a permissions boundary" || f.RequestID != "req-1" || f.Region != "us-east-1" {
		t.Errorf("got %+v", f)
	}
	if len(f.Quotes) != 1 || !slices.Equal(f.Quotes[0].Deciding, []int{1}) || f.Quotes[0].Policy.Name != "B" {
		t.Errorf("quotes %+v", f.Quotes)
	}
	want := []string{`region: Test in eu-central-1 instead.`, `boundary: Exempt this identity from statement 2 ("Europe") of arn:aws:iam::123456789012:policy/B.`}
	if diff := cmp.Diff(want, saidChanges(f)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// What the connector becomes holds, by the same policies.
	c, ok := f.Changes[0].Apply(with(same))
	if !ok || p.Judge(c.TestRegion()).May(connector.Asked{Action: "ec2:DescribeRegions", Resource: "*"}).Answer != connector.MayDo {
		t.Errorf("in %s it is not allowed", c.TestRegion())
	}
	if _, ok := f.Changes[1].Apply(c); ok {
		t.Error("a change of a policy was applied to the connector")
	}
	// So does the policy that the second change writes.
	p.Boundary.Document = f.Changes[1].After
	if got := p.Judge("us-east-1").May(connector.Asked{Action: "ec2:DescribeRegions", Resource: "*"}); got.Answer != connector.MayDo {
		t.Errorf("with the new boundary: %+v", got)
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	cross := func(external string) func(*connector.Connector) {
		return func(c *connector.Connector) {
			c.CrossAccount = &connector.CrossAccount{RoleARN: targetRole, ExternalID: external}
		}
	}
	assume := connector.Failure{
		Step: connector.StepAssumeRole, Service: "sts", Operation: "AssumeRole", Code: "AccessDenied",
		Message: "User: " + deploySession + " is not authorized to perform: sts:AssumeRole on resource: " + targetRole,
	}
	trust := func(document string) func(*connector.Permissions) {
		return func(p *connector.Permissions) { p.Target = &connector.RoleTrust{ARN: targetRole, Document: document} }
	}
	for name, tt := range map[string]struct {
		known   connector.Permissions
		failure connector.Failure
		change  func(*connector.Connector)
		quotes  []string // name, and the statements that decide or are near
		changes []string
		rest    string // part of what is left
	}{
		"nothing allows it": {
			ofRole(allowObjects), regionsRefused(""), same, nil,
			[]string{"inline: Allow ec2:DescribeRegions in an inline policy of the identity."},
			"--identity-only",
		},
		"a statement in its own policies denies it": {
			ofRole(allowAll, `{"Statement":{"Effect":"Deny","Action":["ec2:DescribeRegions","ec2:RunInstances"],"Resource":"*"}}`), regionsRefused(""), same,
			[]string{"p2 [0] []"},
			[]string{"inline: Take ec2:DescribeRegions out of statement 1 of the inline policy p2."},
			"--fresh",
		},
		"the trust policy names another": {
			but(ofRole(allowAll), trust(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}}`)), assume, cross(""),
			[]string{"deploy-target [] [0]"},
			[]string{"trust: Let the identity in by the role's trust policy: a statement more."},
			"",
		},
		"the trust policy asks for an external id": {
			but(ofRole(allowAll), trust(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"right"}}}}`)), assume, cross("wrong"),
			[]string{"deploy-target [] [0]"},
			[]string{"externalId: Send the external id that the trust policy asks for.", "trust: Let the identity in by the role's trust policy: a statement more."},
			"",
		},
		"the role has another path": {
			but(ofRole(allowAll), func(p *connector.Permissions) {
				p.Target = &connector.RoleTrust{ARN: "arn:aws:iam::210987654321:role/team/deploy-target", Document: allowAll}
			}), assume, cross(""),
			nil,
			[]string{"crossAccountRoleArn: Use the role of that name that is there, arn:aws:iam::210987654321:role/team/deploy-target."},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, f := finding(t, tt.known, tt.failure, tt.change)
			if f == nil {
				t.Fatalf("no finding: %+v", d)
			}
			var quotes []string
			for _, q := range f.Quotes {
				quotes = append(quotes, fmt.Sprint(q.Policy.Name, " ", q.Deciding, " ", q.Near))
			}
			if diff := cmp.Diff(tt.quotes, quotes); diff != "" {
				t.Errorf("quotes (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.changes, saidChanges(f)); diff != "" {
				t.Errorf("changes (-want +got)\n%s", diff)
			}
			if all := strings.Join(f.Rest, "\n"); !strings.Contains(all, tt.rest) {
				t.Errorf("the rest is %q", all)
			}
			for _, c := range f.Changes {
				if c.After != "" {
					if _, err := iam.Parse([]byte(c.After)); err != nil {
						t.Errorf("%s: %v", c.What, err)
					}
				}
			}
		})
	}
}

// What was not read, or does not explain a refusal, is no finding: nothing is proposed by guess.
func TestNoFinding(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]connector.Permissions{
		"the policies allow it": ofRole(allowAll),
		"the policies could not be read": but(ofRole(), func(p *connector.Permissions) {
			p.Unread = append(p.Unread, unread(connector.PartIdentity, "iam:ListRolePolicies"))
		}),
	} {
		if d, f := finding(t, known, regionsRefused(""), same); f != nil {
			t.Errorf("%s: %+v of %+v", name, f, d)
		}
	}
	long := `{"Statement":[{"Effect":"Deny","Action":"ec2:DescribeRegions","Resource":"*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + strings.Repeat("x", 30_000) + `"}]}`
	if _, f := finding(t, ofRole(allowAll, long), regionsRefused(""), same); f != nil {
		for _, q := range f.Quotes {
			if len(q.Policy.Document) > 24<<10 {
				t.Errorf("a document of %d bytes is kept", len(q.Policy.Document))
			}
		}
	}
}
