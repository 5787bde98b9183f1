package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/service"
)

// decisions are what was worked out from a state: it is thrown away with it.
type decisions struct {
	find sync.Once
	keys map[string]keyOwner

	mu   sync.Mutex
	sets map[string]*iam.Set
}

type keyOwner struct {
	account *account
	user    *user // nil for the root user
	key     *accessKey
}

// mostSets bounds the compiled policies of one state: sessions with policies of their own are without number.
const mostSets = 10_000

func newDecisions() *decisions { return &decisions{sets: map[string]*iam.Set{}} }

// key finds an access key.
func (st *state) key(id string) keyOwner {
	d := st.decided
	d.find.Do(func() {
		d.keys = map[string]keyOwner{}
		for _, a := range st.Accounts {
			for _, k := range a.RootKeys {
				d.keys[k.ID] = keyOwner{a, nil, k}
			}
			for _, u := range a.Users {
				for _, k := range u.Keys {
					d.keys[k.ID] = keyOwner{a, u, k}
				}
			}
		}
	})
	return d.keys[id]
}

// question is what the engine is asked.
type question struct {
	who          *caller
	action       string
	resource     string // ARN or *
	account      string // that owns the resource
	resourceless bool
	context      map[string][]string
	trust        *iam.Policy // of the role that is to be assumed
}

// authorize asks whether the caller may do the call.
func (c *call) authorize(op operation) error {
	q := question{who: c.caller, action: c.service + ":" + c.operation, resource: "*", account: c.caller.account, context: map[string][]string{}}
	if op.resource != nil {
		q.resource = op.resource(c)
	}
	if op.context != nil {
		op.context(c, q.context)
	}
	return c.allow(q)
}

// allow refuses the call unless the policies allow the question.
func (c *call) allow(q question) error {
	shown := q.resource
	if resourceless(q.action) {
		// What AWS prints for some of these is the ARN all the same; only "*" in a policy matches.
		q.resource, q.resourceless = "*", true
	}
	st := c.s.effective(c.now)
	c.addContext(st, &q)
	set, err := c.s.compiled(st, q)
	if err != nil {
		return err
	}
	request, err := q.request(st)
	if err != nil {
		return err
	}
	if set.Decide(request) == iam.Allowed {
		return nil
	}
	q.resource = shown
	return c.denial(q, set.Explain(request))
}

// resourceless says that the action supports no permission on a resource.
func resourceless(action string) bool {
	if action == "ec2:DescribeRegions" {
		return true // the call that is made most often needs no table
	}
	data, err := service.Load()
	if err != nil {
		return false
	}
	a, known := data.Action(action)
	return known && a.Resourceless()
}

func (q question) request(st *state) (*iam.Request, error) {
	p, err := principalOf(st, q.who)
	if err != nil {
		return nil, err
	}
	return &iam.Request{
		Principal: p, Action: q.action, Resource: q.resource, ResourceAccount: q.account, Resourceless: q.resourceless, Context: contextOf(q.context),
	}, nil
}

// compiled are the policies that a question is decided by.
func (s *Server) compiled(st *state, q question) (*iam.Set, error) {
	key := ""
	if q.trust == nil {
		key = q.who.account + "/" + q.who.user + q.who.role + "/" + q.account
		if q.who.session != nil && q.who.session.limited() {
			key += "/" + q.who.session.KeyID
		}
		st.decided.mu.Lock()
		set := st.decided.sets[key]
		st.decided.mu.Unlock()
		if set != nil {
			return set, nil
		}
	}
	p, err := s.policies(st, q)
	if err != nil {
		return nil, err
	}
	set, err := iam.Compile(p, iam.Settings{})
	if err != nil {
		return nil, fmt.Errorf("compile the policies of %s: %w", q.who.arn, err)
	}
	if key != "" {
		st.decided.mu.Lock()
		if len(st.decided.sets) >= mostSets {
			clear(st.decided.sets)
		}
		st.decided.sets[key] = set
		st.decided.mu.Unlock()
	}
	return set, nil
}

// limited says that the session has policies of its own.
func (s *session) limited() bool { return s.Policy != "" || len(s.ARNs) > 0 }

// policies collects every policy that has a say.
func (s *Server) policies(st *state, q question) (iam.Policies, error) {
	p := iam.Policies{Resource: q.trust}
	a := st.Accounts[q.who.account]
	if a == nil { // made so lately that it does not count yet
		return p, nil
	}
	var err error
	switch {
	case q.who.root:
		d, err := iam.Parse([]byte(everything))
		if err != nil {
			return p, err
		}
		p.Identity = []iam.Policy{{Name: "the root user", Document: d}}
	case q.who.role != "":
		if r := a.roleByID(q.who.role); r != nil {
			p.Identity, p.Boundary, err = s.held(a, r.holder, "role "+r.Name)
		}
	default:
		if u := a.userByID(q.who.user); u != nil {
			p.Identity, p.Boundary, err = s.userPolicies(a, u)
		}
	}
	if err != nil {
		return p, err
	}
	if q.who.session != nil && q.who.session.limited() {
		if p.Session, err = s.sessionPolicies(a, q.who.session); err != nil {
			return p, err
		}
	}
	p.SCP, p.RCP = st.levels(q.who.account, serviceControl), st.levels(q.account, resourceControl)
	return p, nil
}

// userPolicies are a user's own and those of its groups.
func (s *Server) userPolicies(a *account, u *user) (identity, boundary []iam.Policy, err error) {
	identity, boundary, err = s.held(a, u.holder, "user "+u.Name)
	for _, key := range u.Groups {
		g := a.Groups[key]
		if g == nil || err != nil {
			continue
		}
		var more []iam.Policy
		more, _, err = s.held(a, g.holder, "group "+g.Name)
		identity = append(identity, more...)
	}
	return identity, boundary, err
}

// held are the policies that a holder has, and its boundary.
func (s *Server) held(a *account, h holder, whose string) (identity, boundary []iam.Policy, err error) {
	for _, name := range slices.Sorted(maps.Keys(h.Inline)) {
		identity = append(identity, iam.Policy{Name: name + " of " + whose, Document: h.Inline[name].parsed})
	}
	for _, arn := range h.Attached {
		d, err := s.managed(a, arn)
		if err != nil {
			return nil, nil, err
		}
		identity = append(identity, iam.Policy{Name: arn, Document: d.parsed})
	}
	if h.Boundary != "" {
		d, err := s.managed(a, h.Boundary)
		if err != nil {
			return nil, nil, err
		}
		boundary = []iam.Policy{{Name: h.Boundary, Document: d.parsed}}
	}
	return identity, boundary, nil
}

// sessionPolicies are the inline and the managed policies that a session was made with.
func (s *Server) sessionPolicies(a *account, session *session) ([]iam.Policy, error) {
	var out []iam.Policy
	if session.Policy != "" {
		d, err := iam.Parse([]byte(session.Policy))
		if err != nil {
			return nil, err
		}
		out = append(out, iam.Policy{Name: "the session's inline policy", Document: d})
	}
	for _, arn := range session.ARNs {
		d, err := s.managed(a, arn)
		if err != nil {
			return nil, err
		}
		out = append(out, iam.Policy{Name: arn, Document: d.parsed})
	}
	return out, nil
}

// managed is the document of a managed policy: of the account, or of AWS.
func (s *Server) managed(a *account, arn string) (document, error) {
	if p := a.policyByARN(arn); p != nil {
		return p.current(), nil
	}
	if d, ok := s.ofAWS(arn); ok {
		return d, nil
	}
	// What is attached cannot be deleted, so this is a session policy that has gone: it allows nothing.
	d, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[]}`))
	return document{parsed: d}, err
}

const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

// ofAWS is a policy that AWS manages. Other partitions have them under ARNs of their own.
func (s *Server) ofAWS(arn string) (document, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[4] != "aws" {
		return document{}, false
	}
	parts[1] = "aws"
	arn = strings.Join(parts, ":")
	if d, ok := s.ofAmazon.Load(arn); ok {
		return d.(document), true // only documents are stored
	}
	text := everything
	if arn != administratorAccess { // which needs no table, so that a start is quick
		m, ok := managedOf(arn)
		if !ok {
			return document{}, false
		}
		text = string(m.Document)
	}
	parsed, err := iam.Parse([]byte(text))
	if err != nil {
		return document{}, false
	}
	d := document{text, parsed}
	s.ofAmazon.Store(arn, d)
	return d, true
}

// contextOf tells keys with several values from those with one.
func contextOf(keys map[string][]string) iam.Context {
	var c iam.Context
	for name, values := range keys {
		lower := strings.ToLower(name)
		switch {
		case len(values) != 1, lower == "aws:tagkeys", lower == "sts:transitivetagkeys", strings.HasSuffix(lower, ":amr"), strings.HasSuffix(lower, "orgpaths"):
			c.SetList(name, values)
		default:
			c.Set(name, values[0])
		}
	}
	return c
}

// addContext fills in the condition keys of every request.
func (c *call) addContext(st *state, q *question) {
	set := func(key string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			q.context[key] = values
		}
	}
	set("aws:RequestedRegion", c.region)
	set("aws:CurrentTime", c.now.Format("2006-01-02T15:04:05Z"))
	set("aws:EpochTime", strconv.FormatInt(c.now.Unix(), 10))
	set("aws:SecureTransport", "true") // it stands for an endpoint that is reached over TLS only
	if host, _, err := net.SplitHostPort(c.r.RemoteAddr); err == nil {
		set("aws:SourceIp", host)
	}
	set("aws:UserAgent", c.r.UserAgent())
	set("aws:ViaAWSService", "false")
	if q.account != "" {
		set("aws:ResourceAccount", q.account)
		if o := st.organizationOf(q.account); o != nil {
			set("aws:ResourceOrgID", o.ID)
			set("aws:ResourceOrgPaths", o.path(q.account))
		}
	}
	st.principalContext(q.who, set)
}

// principalContext is what the context tells about a caller.
func (st *state) principalContext(who *caller, set func(string, ...string)) {
	if who == nil || who.account == "" {
		return
	}
	set("aws:PrincipalAccount", who.account)
	set("aws:PrincipalIsAWSService", "false")
	set("aws:userid", who.userID)
	if o := st.organizationOf(who.account); o != nil {
		set("aws:PrincipalOrgID", o.ID)
		set("aws:PrincipalOrgPaths", o.path(who.account))
	}
	kind, principal := "User", who.arn
	labels := tags{}
	a := st.Accounts[who.account]
	switch {
	case who.root:
		kind = "Account"
	case a == nil:
	case who.role != "":
		kind = "AssumedRole"
		if r := a.roleByID(who.role); r != nil {
			principal = a.roleARN(r)
			maps.Copy(labels, r.Tags)
		}
	default:
		if u := a.userByID(who.user); u != nil {
			set("aws:username", u.Name)
			maps.Copy(labels, u.Tags)
		}
	}
	set("aws:PrincipalType", kind)
	set("aws:PrincipalArn", principal)
	if s := who.session; s != nil {
		maps.Copy(labels, s.Tags)
		set("aws:TokenIssueTime", s.Issued.UTC().Format("2006-01-02T15:04:05Z"))
		set("aws:MultiFactorAuthPresent", "false")
		set("aws:SourceIdentity", s.Source)
		if s.Web.Provider != "" {
			_, host, _ := strings.Cut(s.Web.Provider, "oidc-provider/")
			set("aws:FederatedProvider", s.Web.Provider)
			set(host+":aud", s.Web.Audience)
			set(host+":sub", s.Web.Subject)
		}
	}
	for k, v := range labels {
		set("aws:PrincipalTag/"+k, v)
	}
}

// layerNames are how AWS calls what stands in the way, in the order in which it looks.
func layerNames() []struct {
	layer        iam.Layer
	name, denies string
} {
	return []struct {
		layer        iam.Layer
		name, denies string
	}{
		{iam.LayerRCP, "resource control policy", "a resource control policy"},
		{iam.LayerSCP, "service control policy", "a service control policy"},
		{iam.LayerEndpoint, "VPC endpoint policy", "a VPC endpoint policy"},
		{iam.LayerResource, "resource-based policy", "a resource-based policy"},
		{iam.LayerIdentity, "identity-based policy", "an identity-based policy"},
		{iam.LayerBoundary, "permissions boundary", "a permissions boundary"},
		{iam.LayerSession, "session policy", "a sessions policy"},
	}
}

// denial words a refusal as AWS does.
func (c *call) denial(q question, e iam.Explanation) *failure {
	text := "User: " + q.who.arn + " is not authorized to perform: " + q.action
	switch {
	case q.resource == "*" && c.protocol == ec2Query: // EC2 says nothing of a resource that there is not
	case c.service == "s3":
		text += ` on resource: "` + q.resource + `"`
	default:
		text += " on resource: " + q.resource
	}
	text += reason(q, e)
	if c.protocol == ec2Query && !c.state().Settings.PlainDenials {
		text += ". Encoded authorization failure message: " + c.s.encode(q, e)
	}
	return &failure{sort: denied, message: text}
}

// reason says which kind of policy stands in the way: one, though there may be several, as AWS does.
func reason(q question, e iam.Explanation) string {
	if e.Decision == iam.ExplicitlyDenied {
		for _, l := range layerNames() {
			i := slices.IndexFunc(e.Statements, func(r iam.Reference) bool { return r.Layer == l.layer && r.Effect == iam.Deny })
			if i < 0 {
				continue
			}
			name := l.denies
			if l.layer == iam.LayerResource && q.trust != nil {
				name = "the role trust policy"
			}
			if arn := e.Statements[i].Policy; strings.HasPrefix(arn, "arn:") && l.layer != iam.LayerResource {
				name += ": " + arn
			}
			return " with an explicit deny in " + name
		}
		return " with an explicit deny"
	}
	if q.trust != nil {
		return trustReason(e)
	}
	for _, l := range layerNames() {
		if slices.Contains(e.Missing, l.layer) || slices.Contains(e.BlockedBy, l.layer) {
			return " because no " + l.name + " allows the " + q.action + " action"
		}
	}
	return " because no identity-based policy allows the " + q.action + " action"
}

// encode seals what DecodeAuthorizationMessage gives back.
func (s *Server) encode(q question, e iam.Explanation) string {
	type value struct {
		Value string `json:"value"`
	}
	type values struct {
		Items []value `json:"items"`
	}
	type condition struct {
		Key    string `json:"key"`
		Values values `json:"values"`
	}
	type statement struct {
		ID     string `json:"statementId"`
		Effect string `json:"effect"`
		Policy string `json:"policy"`
	}
	var message struct {
		Allowed           bool `json:"allowed"`
		ExplicitDeny      bool `json:"explicitDeny"`
		MatchedStatements struct {
			Items []statement `json:"items"`
		} `json:"matchedStatements"`
		Failures struct {
			Items []string `json:"items"`
		} `json:"failures"`
		Context struct {
			Principal struct {
				ID  string `json:"id"`
				ARN string `json:"arn"`
			} `json:"principal"`
			Action     string `json:"action"`
			Resource   string `json:"resource"`
			Conditions struct {
				Items []condition `json:"items"`
			} `json:"conditions"`
		} `json:"context"`
	}
	message.ExplicitDeny = e.Decision == iam.ExplicitlyDenied
	message.MatchedStatements.Items, message.Failures.Items = []statement{}, []string{}
	message.Context.Conditions.Items = []condition{}
	for _, r := range e.Statements {
		message.MatchedStatements.Items = append(message.MatchedStatements.Items, statement{r.SID, strings.ToUpper(string(r.Effect)), r.Policy})
	}
	message.Context.Principal.ID, message.Context.Principal.ARN = q.who.userID, q.who.arn
	message.Context.Action, message.Context.Resource = q.action, q.resource
	for _, key := range slices.Sorted(maps.Keys(q.context)) {
		c := condition{Key: key}
		for _, v := range q.context[key] {
			c.Values.Items = append(c.Values.Items, value{v})
		}
		message.Context.Conditions.Items = append(message.Context.Conditions.Items, c)
	}
	raw, _ := json.Marshal(message) // texts and lists of texts: it cannot fail
	return seal(s.sealer.messages, raw)
}
