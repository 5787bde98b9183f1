package arn

import (
	"maps"
	"slices"
	"strings"
)

// DefaultRegion is where a connection is tested when the connector names no Region.
const DefaultRegion = "us-east-1"

// Partition is a group of Regions with credentials of its own: a key of one never works in another.
type Partition struct {
	ID         string // aws, aws-us-gov, aws-cn, …
	Name       string // as people say it
	DNSSuffix  string
	HomeRegion string // where its global services live
	Regions    []string
	OptIn      []string // those of Regions that an account must enable first
}

// partitions is AWS's published list. A Region launched later is placed by its prefix, see PartitionOf.
//
//nolint:gochecknoglobals // a table of facts
var partitions = map[string]Partition{
	"aws": {
		ID: "aws", Name: "standard AWS", DNSSuffix: "amazonaws.com", HomeRegion: "us-east-1",
		Regions: []string{
			"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
			"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
			"ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2",
			"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
			"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2",
			"il-central-1", "me-central-1", "me-south-1", "mx-central-1",
		},
		OptIn: []string{
			"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
			"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2",
			"il-central-1", "me-central-1", "me-south-1", "mx-central-1",
		},
	},
	"aws-us-gov": {
		ID: "aws-us-gov", Name: "AWS GovCloud (US)", DNSSuffix: "amazonaws.com", HomeRegion: "us-gov-west-1",
		Regions: []string{"us-gov-west-1", "us-gov-east-1"},
	},
	"aws-cn": {
		ID: "aws-cn", Name: "AWS China", DNSSuffix: "amazonaws.com.cn", HomeRegion: "cn-northwest-1",
		Regions: []string{"cn-north-1", "cn-northwest-1"},
	},
	"aws-eusc": {
		ID: "aws-eusc", Name: "AWS European Sovereign Cloud", DNSSuffix: "amazonaws.eu", HomeRegion: "eusc-de-east-1",
		Regions: []string{"eusc-de-east-1"},
	},
	"aws-iso": {
		ID: "aws-iso", Name: "AWS ISO", DNSSuffix: "c2s.ic.gov", HomeRegion: "us-iso-east-1",
		Regions: []string{"us-iso-east-1", "us-iso-west-1"},
	},
	"aws-iso-b": {
		ID: "aws-iso-b", Name: "AWS ISOB", DNSSuffix: "sc2s.sgov.gov", HomeRegion: "us-isob-east-1",
		Regions: []string{"us-isob-east-1", "us-isob-west-1"},
	},
	"aws-iso-e": {
		ID: "aws-iso-e", Name: "AWS ISOE", DNSSuffix: "cloud.adc-e.uk", HomeRegion: "eu-isoe-west-1",
		Regions: []string{"eu-isoe-west-1"},
	},
	"aws-iso-f": {
		ID: "aws-iso-f", Name: "AWS ISOF", DNSSuffix: "csp.hci.ic.gov", HomeRegion: "us-isof-south-1",
		Regions: []string{"us-isof-east-1", "us-isof-south-1"},
	},
}

// prefixes place Regions that are newer than the table. The longest match decides.
//
//nolint:gochecknoglobals // a table of facts
var prefixes = []struct{ prefix, partition string }{
	{"us-gov-", "aws-us-gov"},
	{"us-isob-", "aws-iso-b"},
	{"us-isof-", "aws-iso-f"},
	{"us-iso-", "aws-iso"},
	{"eu-isoe-", "aws-iso-e"},
	{"eusc-", "aws-eusc"},
	{"cn-", "aws-cn"},
	{"us-", "aws"},
	{"eu-", "aws"},
	{"ap-", "aws"},
	{"sa-", "aws"},
	{"ca-", "aws"},
	{"me-", "aws"},
	{"af-", "aws"},
	{"il-", "aws"},
	{"mx-", "aws"},
}

// PartitionNamed is the partition with that id, as it stands in an ARN.
func PartitionNamed(id string) (Partition, bool) {
	p, ok := partitions[id]
	return p, ok
}

// PartitionOf is the partition of a Region. A Region that the table does not know is placed by its prefix, when it has
// the form of a Region at all.
func PartitionOf(region string) (Partition, bool) {
	for _, p := range partitions {
		if slices.Contains(p.Regions, region) {
			return p, true
		}
	}
	if !regionForm(region) {
		return Partition{}, false
	}
	for _, p := range prefixes {
		if strings.HasPrefix(region, p.prefix) {
			return partitions[p.partition], true
		}
	}
	return Partition{}, false
}

// KnownRegion reports whether the table holds the Region itself.
func KnownRegion(region string) bool {
	p, ok := PartitionOf(region)
	return ok && slices.Contains(p.Regions, region)
}

// OptInRegion reports whether an account must enable the Region before it can be used.
func OptInRegion(region string) bool {
	p, ok := PartitionOf(region)
	return ok && slices.Contains(p.OptIn, region)
}

// regionForm accepts words of letters joined by hyphens and a number at the end: ap-southeast-7.
func regionForm(region string) bool {
	parts := strings.Split(region, "-")
	if len(parts) < 3 || !digits(parts[len(parts)-1]) {
		return false
	}
	for _, p := range parts[:len(parts)-1] {
		for _, r := range p {
			if r < 'a' || r > 'z' {
				return false
			}
		}
		if p == "" {
			return false
		}
	}
	return true
}

// Regions are the Regions that the table knows, those of standard AWS first, each partition's by name.
func Regions() []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(partitions)) { // aws is the first in this order too
		all = append(all, slices.Sorted(slices.Values(partitions[id].Regions))...)
	}
	return all
}
