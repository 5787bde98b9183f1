package awstask_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/protocol"
	"github.com/belay-dev/belay/internal/secret"
)

func policies(vias ...string) *rapid.Generator[[]connector.PolicyText] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) connector.PolicyText {
		return connector.PolicyText{
			Name: rapid.String().Draw(t, "name"), ARN: rapid.String().Draw(t, "arn"), Via: rapid.SampledFrom(vias).Draw(t, "via"), Version: rapid.String().Draw(t, "version"), Document: rapid.String().Draw(t, "document"),
		}
	}), 0, 5)
}

// nilIfEmpty makes one of the two forms of an empty list: JSON does not tell them apart.
func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func permissions() *rapid.Generator[*connector.Permissions] {
	return rapid.Custom(func(t *rapid.T) *connector.Permissions {
		p := &connector.Permissions{
			Principal: rapid.String().Draw(t, "principal"), Role: rapid.String().Draw(t, "role"), Decoded: rapid.String().Draw(t, "decoded"),
			Identity: nilIfEmpty(policies("inline", "managed", "group g").Draw(t, "identity")),
		}
		if list := policies("boundary").Draw(t, "boundary"); len(list) > 0 {
			p.Boundary = &list[0]
		}
		for range rapid.IntRange(0, 3).Draw(t, "levels") {
			p.SCP = append(p.SCP, connector.PolicyLevel{Name: rapid.String().Draw(t, "level"), Policies: nilIfEmpty(policies("organization").Draw(t, "policies"))})
		}
		if rapid.Bool().Draw(t, "target") {
			p.Target = &connector.RoleTrust{ARN: rapid.String().Draw(t, "arn"), Document: rapid.String().Draw(t, "document")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "unread") {
			p.Unread = append(p.Unread, connector.Unread{What: connector.Part(rapid.String().Draw(t, "what")), Action: rapid.String().Draw(t, "action"), Code: rapid.String().Draw(t, "code")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "probes") {
			p.Probed = append(p.Probed, connector.Probe{
				Action: rapid.String().Draw(t, "action"), Resource: rapid.String().Draw(t, "resource"), Context: rapid.String().Draw(t, "context"), How: rapid.String().Draw(t, "how"),
				Allowed: rapid.Bool().Draw(t, "allowed"), Code: rapid.String().Draw(t, "code"), Message: rapid.String().Draw(t, "message"),
				Lacks: nilIfEmpty(rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "lacks")),
			})
		}
		return p
	})
}

// TestCallsRoundTrip: the times that a delegate took are those that are shown, and not more of them than there are steps.
func TestCallsRoundTrip(t *testing.T) {
	t.Parallel()
	want := []connector.Call{{Step: connector.StepCredentials, Kept: true}, {Step: connector.StepRegions, Took: 96 * time.Millisecond}}
	wire, err := awstask.EncodeEvidence(connector.Evidence{Calls: want})
	if err != nil {
		t.Fatal(err)
	}
	got, err := awstask.DecodeEvidence(wire)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Calls); diff != "" {
		t.Error(diff)
	}
	wire, err = awstask.EncodeEvidence(connector.Evidence{Calls: make([]connector.Call, 5000)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := awstask.DecodeEvidence(wire); err != nil || len(got.Calls) > 100 {
		t.Errorf("%d calls %v", len(got.Calls), err)
	}
}

// TestPermissionsRoundTrip: what a delegate read is what the manager judges.
func TestPermissionsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := permissions().Draw(t, "permissions")
		wire, err := awstask.EncodeEvidence(connector.Evidence{Permissions: want})
		if err != nil {
			t.Fatal(err)
		}
		got, err := awstask.DecodeEvidence(wire)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Permissions); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSurveyRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := connector.Survey{
			Access:  connector.Access{Key: "a/o/p/c", Revision: 3, Name: "c", Region: "eu-west-1", Source: connector.StaticKeys{AccessKey: "AKIA", SecretKey: secret.NewValue("s")}},
			Fresh:   rapid.Bool().Draw(t, "fresh"),
			Timeout: time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond,
		}
		for range rapid.IntRange(0, 5).Draw(t, "asked") {
			want.Ask = append(want.Ask, connector.Asked{Action: rapid.String().Draw(t, "action"), Resource: rapid.String().Draw(t, "resource"), Context: rapid.String().Draw(t, "context")})
		}
		wire, err := awstask.EncodeSurvey(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := awstask.DecodeSurvey(wire)
		if err != nil {
			t.Fatal(err)
		}
		if got.Fresh != want.Fresh || got.Timeout != want.Timeout || !slices.Equal(got.Ask, want.Ask) || got.Access.Key != want.Access.Key {
			t.Fatalf("%+v, want %+v", got, want)
		}
		if keys, ok := got.Access.Source.(connector.StaticKeys); !ok || keys.SecretKey.Reveal() != "s" {
			t.Fatalf("%+v", got.Access.Source)
		}
	})
}

// TestSurveyThatIsNone: a payload that cannot be read is not quoted: it could hold a secret.
func TestSurveyThatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := awstask.DecodeSurvey([]byte(`{"access": "canary-4f1d"`)); err == nil || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}

// TestTooManyDocuments: what a delegate leaves out is said to be unread, and a level of the organization is whole or not there.
func TestTooManyDocuments(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 100<<10)
	one := func(name string) connector.PolicyText {
		return connector.PolicyText{Name: name, Via: "inline", Document: big}
	}
	wire, err := awstask.EncodeEvidence(connector.Evidence{Permissions: &connector.Permissions{
		Identity: []connector.PolicyText{one("a"), one("b")},
		SCP:      []connector.PolicyLevel{{Name: "r", Policies: []connector.PolicyText{one("c"), one("d")}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := awstask.DecodeEvidence(wire)
	if err != nil {
		t.Fatal(err)
	}
	p := got.Permissions
	if len(p.Identity) != 2 || p.Unknown(connector.PartIdentity) != "" || p.SCP != nil || !strings.Contains(p.Unknown(connector.PartSCP), "policy d") {
		t.Errorf("%d policies, %d levels, unread %+v", len(p.Identity), len(p.SCP), p.Unread)
	}
}

// TestResultOutOfBounds: a result comes from a delegate. What is more than Belay keeps is said to be unread.
func TestResultOutOfBounds(t *testing.T) {
	t.Parallel()
	decode := func(w protocol.AWSPermissions) *connector.Permissions {
		text, err := json.Marshal(protocol.AWSEvidence{Permissions: &w})
		if err != nil {
			t.Fatal(err)
		}
		got, err := awstask.DecodeEvidence(text)
		if err != nil {
			t.Fatal(err)
		}
		return got.Permissions
	}
	many := make([]protocol.AWSPolicy, 1000)
	p := decode(protocol.AWSPermissions{
		Identity: many, SCP: []protocol.AWSPolicyLevel{{Policies: many}}, Probed: make([]protocol.AWSProbe, 6000), Decoded: strings.Repeat("x", 100<<10),
	})
	if len(p.Identity) != 200 || p.Unknown(connector.PartIdentity) == "" || p.SCP != nil || p.Unknown(connector.PartSCP) == "" || len(p.Probed) != 5000 || len(p.Decoded) != 32<<10 {
		t.Errorf("%d policies, %d levels, %d probes, unread %+v", len(p.Identity), len(p.SCP), len(p.Probed), p.Unread)
	}
	p = decode(protocol.AWSPermissions{Unread: make([]protocol.AWSUnread, 1000), Probed: []protocol.AWSProbe{{Action: strings.Repeat("a", 20<<10), Lacks: make([]string, 100)}}})
	if len(p.Unread) != 200 || len(p.Probed[0].Action) != 12<<10 || len(p.Probed[0].Lacks) != 50 {
		t.Errorf("%d unread, probe %d %d", len(p.Unread), len(p.Probed[0].Action), len(p.Probed[0].Lacks))
	}
	if _, err := awstask.DecodeEvidence([]byte(`{"region":"` + strings.Repeat("x", 1<<20) + `"}`)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a result of a MiB was read: %v", err)
	}
}
