package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// forwarder passes calls that the sandbox has authorized on to a server that does them, such as moto. That server must
// take any signature: the one of the call is replaced.
//
// Only what the tables know is passed on, since for anything else the sandbox would have to guess which permission it
// needs. Policies of resources, such as a bucket's, are kept by that server, so they have no say here.
type forwarder struct {
	to     *url.URL
	client *http.Client
}

// maxForwarded is the most that a call to S3 or Lambda may carry.
const maxForwarded = 64 << 20

// forwardTimeout bounds a call that is passed on.
const forwardTimeout = 2 * time.Minute

func newForwarder(address string) (*forwarder, error) {
	if address == "" {
		return &forwarder{}, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fmt.Errorf("--forward %q is not an address such as http://127.0.0.1:5000", address)
	}
	return &forwarder{to: u, client: &http.Client{
		Timeout: forwardTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// bodyLimit is how much a call of a service may carry.
func (f *forwarder) bodyLimit(service string) int64 {
	if f.to != nil && (service == "s3" || service == "lambda") {
		return maxForwarded
	}
	return maxBody
}

// permission is one that a call needs.
type permission struct {
	action, resource string
	context          map[string][]string
}

// serve authorizes a call and passes it on.
func (f *forwarder) serve(c *call) error {
	if f.to == nil || !slices.Contains([]string{"s3", "lambda", "ecs", "ecr", "eks", "cloudformation"}, c.service) {
		return fail(http.StatusBadRequest, "UnknownOperationException", "The sandbox does not serve %s.", clip(c.service))
	}
	needs, err := c.permissions()
	if err != nil {
		return err
	}
	for _, p := range needs {
		q := question{who: c.caller, action: p.action, resource: p.resource, account: c.caller.account, context: p.context}
		if q.context == nil {
			q.context = map[string][]string{}
		}
		if err := c.allow(q); err != nil {
			return err
		}
	}
	return f.pass(c)
}

// pass sends the call on and gives back what comes.
func (f *forwarder) pass(c *call) error {
	to := *f.to
	to.Path, to.RawPath, to.RawQuery = c.r.URL.Path, c.r.URL.RawPath, unsignedQuery(c.r.URL.RawQuery)
	req, err := http.NewRequestWithContext(c.ctx(), c.r.Method, to.String(), bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	for name, values := range c.r.Header {
		if !slices.Contains([]string{"Authorization", "X-Amz-Security-Token", "Connection", "Accept-Encoding"}, name) {
			req.Header[name] = values
		}
	}
	// moto finds service and Region in the scope, and takes the account from a header of its own.
	req.Header.Set("Authorization", algorithm+" Credential=AKIAFORWARDED0000000/"+c.now.Format("20060102")+"/"+c.region+"/"+c.service+"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	req.Header.Set("X-Moto-Account-Id", c.caller.account)
	req.Host = c.r.Host
	res, err := f.client.Do(req)
	if err != nil {
		c.s.log.ErrorContext(c.ctx(), "a call could not be passed on", slog.String("to", f.to.String()), slog.Any("error", err))
		return fail(http.StatusServiceUnavailable, "ServiceUnavailable", "The sandbox passes this on to %s, which does not answer.", f.to)
	}
	defer func() { _ = res.Body.Close() }()
	for name, values := range res.Header {
		if name != "Date" && name != "Connection" {
			c.w.Header()[name] = values
		}
	}
	c.w.WriteHeader(res.StatusCode)
	c.outcome = res.StatusCode
	_, _ = io.Copy(c.w, res.Body) // the client may have gone, or the server; nothing can be said any more
	return nil
}

// unsignedQuery is a query without the parts of a signature.
func unsignedQuery(raw string) string {
	var keep []string
	for part := range strings.SplitSeq(raw, "&") {
		if part != "" && !strings.HasPrefix(part, "X-Amz-") {
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, "&")
}

// permissions are those that the call needs, by the tables.
func (c *call) permissions() ([]permission, error) {
	if c.service == "s3" {
		p, err := s3Permissions(c.r)
		if err != nil {
			return nil, err
		}
		c.operation = p[0].action[len("s3:"):]
		for i := range p {
			p[i].resource = strings.Replace(p[i].resource, "arn:aws:", "arn:"+c.partition+":", 1)
		}
		return p, nil
	}
	fields := map[string]any{}
	if c.protocol != query && len(c.body) > 0 && json.Unmarshal(c.body, &fields) != nil && c.operation != "Invoke" {
		fields = map[string]any{} // the payload of an invocation may be anything
	}
	for name, values := range c.params {
		fields[name] = values[0]
	}
	var r rule
	var ok bool
	if c.protocol == restJSON {
		r, ok = routed(c.service, c.r.Method, c.r.URL.Path, fields)
		c.operation = r.operation
	} else {
		i := slices.IndexFunc(rules(c.service), func(r rule) bool { return r.operation == c.operation })
		if ok = i >= 0; ok {
			r = rules(c.service)[i]
		}
	}
	if !ok {
		return nil, c.unknownOperation()
	}
	return r.permissions(c.partition, c.region, c.caller.account, fields), nil
}

// permissions fills in the templates of a rule.
func (r rule) permissions(partition, region, account string, fields map[string]any) []permission {
	service, _, _ := strings.Cut(r.action, ":")
	var out []permission
	for _, resource := range expandResource(r.resource, fields) {
		if resource != "*" && !strings.HasPrefix(resource, "arn:") {
			resource = strings.Join([]string{"arn", partition, service, region, account, resource}, ":")
		}
		out = append(out, permission{action: r.action, resource: resource})
	}
	for _, field := range slices.Sorted(maps.Keys(r.passes)) {
		to := r.passes[field]
		if role, ok := fields[field].(string); ok && role != "" {
			if !strings.HasPrefix(role, "arn:") {
				role = "arn:" + partition + ":iam::" + account + ":role/" + role
			}
			out = append(out, permission{"iam:PassRole", role, map[string][]string{"iam:PassedToService": {to}}})
		}
	}
	return out
}

// expandResource fills {field} and {field|otherwise} of a template; a field that is a list gives a resource for each.
// A value that is an ARN stands for the whole resource when it ends the template, and gives its last part elsewhere.
func expandResource(template string, fields map[string]any) []string {
	before, rest, ok := strings.Cut(template, "{")
	if !ok {
		return []string{template}
	}
	name, after, _ := strings.Cut(rest, "}")
	name, otherwise, _ := strings.Cut(name, "|")
	var values []string
	switch v := fields[name].(type) {
	case string:
		values = []string{v}
	case []any:
		for _, one := range v {
			if text, ok := one.(string); ok {
				values = append(values, text)
			}
		}
	}
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	if len(values) == 0 {
		values = []string{otherwise}
	}
	if len(values) == 1 && values[0] == "" {
		values = []string{"*"}
	}
	var out []string
	for _, v := range values {
		if strings.HasPrefix(v, "arn:") {
			if strings.Trim(after, ":/*") == "" {
				out = append(out, v)
				continue
			}
			v = lastPart(v)
		}
		out = append(out, expandResource(before+strings.NewReplacer("{", "%7B", "}", "%7D").Replace(v)+after, fields)...)
	}
	return out
}

// routed finds the rule of a REST call, and puts what its path names into the fields.
func routed(service, method, path string, fields map[string]any) (rule, bool) {
	have := strings.Split(strings.Trim(path, "/"), "/")
	for _, r := range rules(service) {
		verb, pattern, _ := strings.Cut(r.route, " ")
		want := strings.Split(strings.Trim(pattern, "/"), "/")
		if verb != method || len(want) != len(have) {
			continue
		}
		found := map[string]any{}
		for i, part := range want {
			if name, ok := strings.CutPrefix(part, "{"); ok && have[i] != "" {
				found[strings.TrimSuffix(name, "}")] = have[i]
			} else if part != have[i] {
				found = nil
				break
			}
		}
		if found != nil {
			maps.Copy(fields, found)
			return r, true
		}
	}
	return rule{}, false
}
