package preflight_test

import (
	"testing"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/preflight"
)

// broad is a role that may do most of what the catalogue asks for.
const broad = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","s3:*","ecs:*","ecr:*","lambda:*","autoscaling:*","elasticloadbalancing:*","cloudwatch:*","logs:*"],"Resource":"*"}]}`

func role(documents ...string) *connector.Permissions {
	p := &connector.Permissions{Principal: "arn:aws:sts::123456789012:assumed-role/deploy/belay", Role: "arn:aws:iam::123456789012:role/deploy"}
	for _, d := range documents {
		p.Identity = append(p.Identity, connector.PolicyText{Name: "p", Via: "inline", Document: d})
	}
	return p
}

// BenchmarkEvaluation is the whole catalogue for one role, from its policies to the answers and the remedies.
func BenchmarkEvaluation(b *testing.B) {
	all, err := preflight.Questions(preflight.Options{})
	if err != nil {
		b.Fatal(err)
	}
	simulated := role(broad)
	asked, err := preflight.Asked(preflight.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range asked {
		simulated.Probed = append(simulated.Probed, connector.Probe{Action: a.Action, Resource: a.Resource, Context: a.Context, How: connector.Simulated, Allowed: true})
	}
	for name, found := range map[string]*connector.Permissions{
		"all_allowed":     role(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
		"most_allowed":    role(broad),
		"nothing_allowed": role(),
		"simulated":       simulated,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				all.Judge(found, "eu-west-1")
			}
			b.ReportMetric(float64(all.Len()), "questions")
		})
	}
}

// BenchmarkQuestions is working out what the whole catalogue asks.
func BenchmarkQuestions(b *testing.B) {
	for b.Loop() {
		if _, err := preflight.Questions(preflight.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
