package arn_test

import (
	"strings"
	"testing"

	"github.com/belay-dev/belay/internal/arn"
)

func TestCheckRole(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"a role":                  {"arn:aws:iam::123456789012:role/deploy", ""},
		"a role with a path":      {"arn:aws-us-gov:iam::123456789012:role/team/deploy", ""},
		"eleven digits":           {"arn:aws:iam::12345678901:role/deploy", "has 11 digits, AWS uses 12"},
		"letters in the account":  {"arn:aws:iam::12345678901x:role/deploy", "not a number"},
		"a user":                  {"arn:aws:iam::123456789012:user/me", "names no IAM role"},
		"an assumed role":         {"arn:aws:sts::123456789012:assumed-role/r/s", "names no IAM role"},
		"a Region":                {"arn:aws:iam:us-east-1:123456789012:role/r", "IAM is global"},
		"a name":                  {"deploy", "is not an ARN"},
		"no name":                 {"arn:aws:iam::123456789012:role/", "lacks the name"},
		"an unknown partition":    {"arn:aws-mars:iam::123456789012:role/r", "not one of AWS's"},
		"a provider by a mistake": {"arn:aws:iam::123456789012:oidc-provider/x", "names no IAM role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := arn.CheckRole(tt.text)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPartitionOf(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"us-east-1": "aws", "eu-central-1": "aws", "us-gov-west-1": "aws-us-gov", "cn-north-1": "aws-cn", "eusc-de-east-1": "aws-eusc",
		"us-isob-east-1": "aws-iso-b", "us-iso-west-1": "aws-iso", "eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f",
		"us-gov-north-9": "aws-us-gov", "ap-middle-12": "aws", // not in the table: placed by their prefix
		"us east 1": "", "us-east": "", "moon-base-1": "", "": "", "US-EAST-1": "",
	} {
		p, ok := arn.PartitionOf(region)
		if ok != (want != "") || p.ID != want {
			t.Errorf("%q lies in %q (%v), want %q", region, p.ID, ok, want)
		}
	}
	if !arn.OptInRegion("af-south-1") || arn.OptInRegion("eu-west-1") || arn.KnownRegion("ap-middle-12") || !arn.KnownRegion("ap-northeast-3") {
		t.Error("the table of Regions is wrong")
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	all := arn.Regions()
	seen := map[string]bool{}
	for _, r := range all {
		if !arn.KnownRegion(r) || seen[r] {
			t.Errorf("%s is not known, or there twice", r)
		}
		seen[r] = true
	}
	if p, ok := arn.PartitionOf(all[0]); !ok || p.ID != "aws" || !seen["us-gov-west-1"] || !seen["cn-north-1"] {
		t.Errorf("the Regions are %v", all)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:iam::123456789012:role/a:b")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := arn.Parse(text); err == nil && a.String() != text {
			t.Fatalf("%q is written as %q", text, a)
		}
		_ = arn.CheckRole(text)
	})
}
