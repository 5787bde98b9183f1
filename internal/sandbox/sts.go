package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/internal/arn"
)

func stsOperations() map[string]operation {
	return map[string]operation{
		"GetCallerIdentity":          {free: true, run: (*call).getCallerIdentity}, // it cannot be denied
		"GetSessionToken":            {free: true, run: (*call).getSessionToken},   // nor can this
		"AssumeRole":                 {free: true, run: (*call).assumeRole},        // which asks by itself, with the trust policy
		"AssumeRoleWithWebIdentity":  {free: true, anonymous: true, run: (*call).assumeRoleWithWebIdentity},
		"GetAccessKeyInfo":           {run: (*call).getAccessKeyInfo},
		"DecodeAuthorizationMessage": {run: (*call).decodeAuthorizationMessage},
	}
}

func (c *call) getCallerIdentity() ([]node, error) {
	return []node{leaf("Arn", c.caller.arn), leaf("UserId", c.caller.userID), leaf("Account", c.caller.account)}, nil
}

func (c *call) getAccessKeyInfo() ([]node, error) {
	id := c.params.text("AccessKeyId")
	account, ok := accountOfKey(id)
	if !ok {
		return nil, invalid("The access key id %s is not one", clip(id))
	}
	return []node{leaf("Account", account)}, nil
}

func (c *call) decodeAuthorizationMessage() ([]node, error) {
	raw, err := unseal(c.s.sealer.messages, c.params.text("EncodedMessage"))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "InvalidAuthorizationMessageException", "The message is not one that this sandbox encoded.")
	}
	return []node{leaf("DecodedMessage", string(raw))}, nil
}

func (c *call) getSessionToken() ([]node, error) {
	if c.caller.session != nil {
		return nil, &failure{sort: denied, message: "Cannot call GetSessionToken with session credentials"}
	}
	const hour = 3600
	most, usual := 129600, 43200
	if c.caller.root {
		most, usual = hour, hour
	}
	var check checks
	seconds := check.number(c.params, "DurationSeconds", 900, 129600, usual)
	if err := check.err(); err != nil {
		return nil, err
	}
	s := session{Account: c.caller.account, User: c.caller.user, Issued: c.now, Expires: c.now.Add(time.Duration(min(seconds, most)) * time.Second)}
	if c.caller.root {
		s.User = "root"
	}
	keys, err := c.s.sealer.issue(s)
	if err != nil {
		return nil, err
	}
	return []node{keys.node()}, nil
}

func (k credentials) node() node {
	return tree("Credentials", leaf("AccessKeyId", k.KeyID), leaf("SecretAccessKey", k.Secret), leaf("SessionToken", k.Token), moment("Expiration", k.Expires))
}

// The forms of STS's parameters.
const (
	nameForm       = `^[\w+=,.@-]*$`
	externalIDForm = `^[\w+=,.@:\/-]*$`
)

// wish is what both ways of assuming a role ask for.
type wish struct {
	roleARN, name string
	seconds       int
	policy        string
	policyARNs    []string
	tags          tags
	lasting       []string // transitive tag keys
	source        string
}

// wish reads and checks the parameters that both ways have.
func (c *call) wish(check *checks) wish {
	p := c.params
	w := wish{
		roleARN: check.text(p, "RoleArn", 20, 2048, nil),
		name:    check.text(p, "RoleSessionName", 2, 64, regexp.MustCompile(nameForm)),
		seconds: check.number(p, "DurationSeconds", 900, 43200, 3600),
		policy:  check.optional(p, "Policy", 1, 2048, nil),
	}
	for _, one := range p.structs("PolicyArns") {
		w.policyARNs = append(w.policyARNs, one.text("arn"))
	}
	if len(w.policyARNs) > 10 {
		check.member("[…]", "PolicyArns", "have length less than or equal to 10")
	}
	return w
}

// session makes a session of a role, once everything is allowed.
func (c *call) session(a *account, r *role, w wish) (session, int, error) {
	if w.policy != "" {
		if _, err := readPolicy(identityPolicy, w.policy); err != nil {
			return session{}, 0, err
		}
	}
	size := len(w.policy)
	for _, one := range w.policyARNs {
		if a.policyByARN(one) == nil {
			if _, ok := c.s.ofAWS(one); !ok {
				return session{}, 0, noSuchEntity("Policy %s does not exist or is not attachable.", clip(one))
			}
		}
		size += len(one)
	}
	for k, v := range w.tags {
		size += 2 * (len(k) + len(v)) // tags take more than their text
	}
	// How AWS packs is its own secret. This share is right at the ends: nothing, and far too much.
	const allotted = 4096
	packed := 0
	if size > 0 {
		packed = max(1, size*100/allotted)
	}
	if packed > 100 {
		return session{}, 0, fail(http.StatusBadRequest, "PackedPolicyTooLarge", "Packed size of session tags consumes %d%% of allotted space.", packed)
	}
	if w.seconds > r.MaxSession {
		return session{}, 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return session{
		Account: a.ID, Role: r.ID, Name: w.name, Source: w.source, Tags: w.tags, Lasting: w.lasting, Policy: w.policy, ARNs: w.policyARNs,
		Issued: c.now, Expires: c.now.Add(time.Duration(w.seconds) * time.Second),
	}, packed, nil
}

// assumed are the nodes that tell of a session.
func assumed(a *account, r *role, w wish, keys credentials, packed int) []node {
	out := []node{
		keys.node(),
		tree("AssumedRoleUser", leaf("AssumedRoleId", r.ID+":"+w.name), leaf("Arn", a.sessionARN(r, w.name))),
	}
	if packed > 0 {
		out = append(out, number("PackedPolicySize", packed))
	}
	return append(out, optional("SourceIdentity", w.source)...)
}

func (c *call) assumeRole() ([]node, error) {
	var check checks
	w := c.wish(&check)
	p := c.params
	external := check.optional(p, "ExternalId", 2, 1224, regexp.MustCompile(externalIDForm))
	w.source = check.optional(p, "SourceIdentity", 2, 64, regexp.MustCompile(nameForm))
	w.tags, w.lasting = p.tags(), p.list("TransitiveTagKeys")
	if len(w.tags) > 50 {
		check.member("[…]", "Tags", "have length less than or equal to 50")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if c.caller.root {
		return nil, &failure{sort: denied, message: "Roles may not be assumed by root accounts."}
	}
	if p.has("TokenCode") {
		return nil, &failure{sort: denied, message: "MultiFactorAuthentication failed with invalid MFA one time pass code. "}
	}
	asked := maps.Clone(w.tags)
	if err := w.inherit(c.caller.session); err != nil {
		return nil, err
	}

	a, r, err := c.s.roleToAssume(c.s.effective(c.now), w.roleARN, c.partition)
	if err != nil {
		return nil, err
	}
	q := question{who: c.caller, action: "sts:AssumeRole", resource: w.roleARN, account: accountIn(w.roleARN), context: assumeContext(w, asked, external, r)}
	if r == nil { // it says nothing of the role not being there
		return nil, &failure{sort: denied, message: "User: " + c.caller.arn + " is not authorized to perform: sts:AssumeRole on resource: " + w.roleARN}
	}
	q.trust = &iam.Policy{Name: "trust policy of " + r.Name, Document: r.Trust.parsed}
	actions := []string{"sts:AssumeRole"}
	if len(asked) > 0 || len(w.lasting) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if w.source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, q.action = range actions {
		if err := c.allow(q); err != nil {
			return nil, err
		}
	}
	if c.caller.session != nil && w.seconds > 3600 {
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	s, packed, err := c.session(a, r, w)
	if err != nil {
		return nil, err
	}
	s.Chained = c.caller.session != nil
	keys, err := c.s.sealer.issue(s)
	if err != nil {
		return nil, err
	}
	return assumed(a, r, w, keys, packed), nil
}

// inherit takes over what lasts from the session that assumes the role.
func (w *wish) inherit(from *session) error {
	if from == nil {
		return nil
	}
	for _, key := range from.Lasting {
		if _, both := w.tags[key]; both {
			return fail(http.StatusBadRequest, "InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		w.tags[key] = from.Tags[key]
		w.lasting = append(w.lasting, key)
	}
	if from.Source != "" {
		if w.source != "" && w.source != from.Source {
			return &failure{sort: denied, message: "SourceIdentity cannot be changed once it is set in a session."}
		}
		w.source = from.Source
	}
	return nil
}

// assumeContext are the condition keys of AssumeRole. ExternalId is absent unless it was sent.
func assumeContext(w wish, asked tags, external string, r *role) map[string][]string {
	out := map[string][]string{"sts:RoleSessionName": {w.name}}
	if external != "" {
		out["sts:ExternalId"] = []string{external}
	}
	if w.source != "" {
		out["sts:SourceIdentity"] = []string{w.source}
	}
	tagContext(out, asked)
	if len(w.lasting) > 0 {
		out["sts:TransitiveTagKeys"] = w.lasting
	}
	if r != nil {
		for k, v := range r.Tags {
			out["aws:ResourceTag/"+k], out["iam:ResourceTag/"+k] = []string{v}, []string{v}
		}
	}
	return out
}

// tagContext are the condition keys of tags that a request brings.
func tagContext(context map[string][]string, given tags) {
	if len(given) == 0 {
		return
	}
	context["aws:TagKeys"] = slices.Sorted(maps.Keys(given))
	for k, v := range given {
		context["aws:RequestTag/"+k] = []string{v}
	}
}

// roleToAssume finds the role of an ARN. That there is none is no error: AWS does not tell.
func (s *Server) roleToAssume(st *state, text, partition string) (*account, *role, error) {
	parsed, err := arn.Parse(text)
	if err != nil {
		return nil, nil, invalid("%s is invalid", clip(text))
	}
	name, isRole := strings.CutPrefix(parsed.Resource, "role/")
	if parsed.Service != "iam" || !isRole {
		return nil, nil, invalid("Request ARN is invalid")
	}
	a := st.Accounts[parsed.Account]
	if a == nil || a.Partition != partition || parsed.Partition != partition {
		return nil, nil, nil
	}
	r := a.Roles[strings.ToLower(name[strings.LastIndexByte(name, '/')+1:])]
	if r == nil || a.roleARN(r) != text {
		return nil, nil, nil
	}
	return a, r, nil
}

func accountIn(text string) string {
	parsed, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	return parsed.Account
}

// trustReason is what AWS says of a role that cannot be assumed: most often nothing, so that a wrong trust policy, a
// wrong external id and a role that is not there look alike. What the caller's own side lacks is said.
func trustReason(e iam.Explanation) string {
	if slices.Contains(e.Missing, iam.LayerResource) {
		return ""
	}
	for _, l := range layerNames() {
		if slices.Contains(e.Missing, l.layer) || slices.Contains(e.BlockedBy, l.layer) {
			return fmt.Sprintf(" because no %s allows the sts:AssumeRole action", l.name)
		}
	}
	return ""
}

// principalOf is the caller in the engine's words.
func principalOf(st *state, who *caller) (iam.Principal, error) {
	p, err := iam.ParsePrincipal(who.arn)
	if err != nil {
		return iam.Principal{}, fmt.Errorf("the caller %s: %w", who.arn, err)
	}
	if a := st.Accounts[who.account]; a != nil && who.role != "" && p.Kind() == iam.KindSession {
		if r := a.roleByID(who.role); r != nil {
			return p.WithRole(a.roleARN(r)) // the session's ARN lacks the path
		}
	}
	return p, nil
}

// trusts asks a trust policy about a principal that has no policies of its own: a service or an identity provider.
func (st *state) trusts(a *account, r *role, p iam.Principal, action string, context map[string][]string) (bool, error) {
	policies := iam.Policies{Resource: &iam.Policy{Name: "trust policy of " + r.Name, Document: r.Trust.parsed}, RCP: st.levels(a.ID, resourceControl)}
	set, err := iam.Compile(policies, iam.Settings{})
	if err != nil {
		return false, err
	}
	return set.Decide(&iam.Request{Principal: p, Action: action, Resource: a.roleARN(r), ResourceAccount: a.ID, Context: contextOf(context)}) == iam.Allowed, nil
}
