package sandbox

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/arn"
)

func ec2Operations() map[string]operation {
	return map[string]operation{
		"DescribeRegions":               {run: (*call).describeRegions},
		"ModifyInstanceMetadataOptions": {run: (*call).modifyMetadata, resource: (*call).instanceARN},
	}
}

func (c *call) instanceARN() string {
	return "arn:" + c.partition + ":ec2:" + c.region + ":" + c.caller.account + ":instance/" + c.params.text("InstanceId")
}

// modifyMetadata changes how far the metadata of an instance reaches, and whether there are any. Version 2 is all that the
// sandbox has, so tokens are always required.
func (c *call) modifyMetadata() ([]node, error) {
	id, endpoint, tokens := c.params.text("InstanceId"), c.params.text("HttpEndpoint"), c.params.text("HttpTokens")
	var check checks
	const most = 64
	hops := 0
	if c.params.has("HttpPutResponseHopLimit") {
		hops = check.number(c.params, "HttpPutResponseHopLimit", 1, most, 1)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "enabled", "disabled"}, endpoint) || !slices.Contains([]string{"", "required"}, tokens) {
		return nil, fail(http.StatusBadRequest, "InvalidParameterValue", "HttpEndpoint is enabled or disabled; the sandbox knows HttpTokens as required only.")
	}
	var now instance
	err := c.s.change(func(d *draft) error {
		old := d.Instances[id]
		if old == nil || old.Account != c.caller.account || old.Region != c.region {
			return fail(http.StatusBadRequest, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", clip(id))
		}
		now = *old
		if hops > 0 {
			now.HopLimit = hops
		}
		if endpoint != "" {
			now.Off = endpoint == "disabled"
		}
		d.Instances[id] = &now
		return nil
	})
	if err != nil {
		return nil, err
	}
	state := "enabled"
	if now.Off {
		state = "disabled"
	}
	return []node{
		leaf("instanceId", id),
		tree("instanceMetadataOptions", leaf("state", "applied"), leaf("httpTokens", "required"), number("httpPutResponseHopLimit", now.HopLimit), leaf("httpEndpoint", state)),
	}, nil
}

// describeRegions gives the Regions of the caller's partition. Without AllRegions they are those that the account can
// use.
func (c *call) describeRegions() ([]node, error) {
	if c.params.text("DryRun") == "true" {
		return nil, fail(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	p, _ := arn.PartitionNamed(c.partition)
	optedIn := c.account().OptedIn
	asked := c.params.names("RegionName")
	var unknown []string
	for _, name := range asked {
		if !slices.Contains(p.Regions, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, fail(http.StatusBadRequest, "InvalidParameterValue", "Invalid region names: [%s]", strings.Join(unknown, ", "))
	}
	filters, err := c.filters("endpoint", "opt-in-status", "region-name")
	if err != nil {
		return nil, err
	}
	out := node{name: "regionInfo"}
	for _, name := range p.Regions {
		status := "opt-in-not-required"
		if slices.Contains(p.OptIn, name) {
			status = "not-opted-in"
			if slices.Contains(optedIn, name) {
				status = "opted-in"
			}
		}
		endpoint := "ec2." + name + "." + p.DNSSuffix
		switch {
		case len(asked) > 0 && !slices.Contains(asked, name),
			len(asked) == 0 && status == "not-opted-in" && c.params.text("AllRegions") != "true",
			!filters.match(map[string]string{"endpoint": endpoint, "opt-in-status": status, "region-name": name}):
			continue
		}
		out.children = append(out.children, tree("item", leaf("regionName", name), leaf("regionEndpoint", endpoint), leaf("optInStatus", status)))
	}
	return []node{out}, nil
}

// filter narrows a list: all of them must match, each with one of its values.
type filter map[string][]string

// filters reads Filter.1.Name, Filter.1.Value.1 and so on.
func (c *call) filters(known ...string) (filter, error) {
	out := filter{}
	for i := 1; i <= mostMembers; i++ {
		one := c.params.below("Filter." + number("", i).text)
		if len(one) == 0 {
			break
		}
		name := one.text("Name")
		if !slices.Contains(known, name) {
			return nil, fail(http.StatusBadRequest, "InvalidParameterValue", "The filter '%s' is invalid", clip(name))
		}
		out[name] = one.names("Value")
	}
	return out, nil
}

func (f filter) match(values map[string]string) bool {
	for name, patterns := range f {
		if !slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := path.Match(strings.ReplaceAll(p, "[", `\[`), values[name])
			return err == nil && ok
		}) {
			return false
		}
	}
	return true
}
