package sandbox

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/arn"
)

// caller is who made a call.
type caller struct {
	account string
	arn     string // of the user or the session
	userID  string
	root    bool
	user    string // id of the user
	role    string // id of the role
	session *session
}

// keyUse is when a key was used last.
type keyUse struct {
	At              time.Time
	Service, Region string
}

func readBody(r *http.Request, most int64) (body []byte, tooLong bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if int64(len(body)) > most {
		return nil, true
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false // the client is gone; the signature will not match
	}
	return body, false
}

// authenticate checks key, session, time and signature, in AWS's order, and finds the caller.
func (c *call) authenticate() error {
	secret, who, over, err := c.s.whose(c.sig, c.now)
	if err != nil {
		return err
	}
	a := c.state().Accounts[who.account]
	// A key of another partition is as unknown as a Region that the account has not enabled.
	if a == nil || a.Partition != c.partition || arn.OptInRegion(c.region) && !slices.Contains(a.OptedIn, c.region) {
		return &failure{sort: unknownKey}
	}
	if over {
		return &failure{sort: expired}
	}
	if text, late := c.sig.checkTime(c.now); text != "" {
		if late && c.protocol == restXML {
			return fail(http.StatusForbidden, "AccessDenied", "Request has expired")
		}
		return &failure{sort: skewed, message: text}
	}
	if text := c.sig.checkSigned(c.r.Header); text != "" {
		return fail(http.StatusForbidden, "AccessDenied", "%s", text)
	}
	if sum := c.r.Header.Get("X-Amz-Content-Sha256"); sum != "" && c.service != "s3" && sum != payload(signature{}, c.r, c.body) {
		return &failure{sort: badSignature}
	}
	if !c.sig.verify(secret, c.r, c.body) {
		return &failure{sort: badSignature}
	}
	if c.service == "sts" && slices.Contains(c.state().Settings.STSDisabled, c.region) {
		return fail(http.StatusForbidden, "RegionDisabledException", "STS is not activated in this region for account:%s. Your account administrator can activate STS in this region using the IAM Console.", who.account)
	}
	c.caller = who
	if who.session == nil {
		c.s.lastUsed.Store(c.sig.KeyID, keyUse{c.now, c.service, c.region})
	}
	return nil
}

// whose finds a key: its secret and its owner. over says that the session is past its end.
func (s *Server) whose(sig signature, now time.Time) (secret string, who *caller, over bool, err error) {
	unknown := &failure{sort: unknownKey}
	if sig.Token != "" {
		session, err := s.sealer.open(sig.Token)
		if err != nil || session.KeyID != sig.KeyID {
			return "", nil, false, unknown
		}
		who := s.sessionCaller(&session)
		if who == nil {
			return "", nil, false, unknown
		}
		return s.sealer.secretOf(session.KeyID), who, !now.Before(session.Expires), nil
	}
	owner := s.current.Load().key(sig.KeyID)
	a, u, key := owner.account, owner.user, owner.key
	if key == nil || key.Inactive {
		return "", nil, false, unknown
	}
	if u == nil {
		return key.Secret, &caller{account: a.ID, arn: a.arn("root"), userID: a.ID, root: true}, false, nil
	}
	return key.Secret, &caller{account: a.ID, arn: a.userARN(u), userID: u.ID, user: u.ID}, false, nil
}

// sessionCaller is who a session stands for, or nil when its user or role is gone.
func (s *Server) sessionCaller(session *session) *caller {
	a := s.current.Load().Accounts[session.Account]
	if a == nil {
		return nil
	}
	if session.Role != "" {
		r := a.roleByID(session.Role)
		if r == nil {
			return nil
		}
		return &caller{account: a.ID, arn: a.sessionARN(r, session.Name), userID: r.ID + ":" + session.Name, role: r.ID, session: session}
	}
	if session.User == "root" {
		return &caller{account: a.ID, arn: a.arn("root"), userID: a.ID, root: true, session: session}
	}
	u := a.userByID(session.User)
	if u == nil {
		return nil
	}
	return &caller{account: a.ID, arn: a.userARN(u), userID: u.ID, user: u.ID, session: session}
}

// sessionARN drops the path of the role, as STS does.
func (a *account) sessionARN(r *role, session string) string {
	return "arn:" + a.Partition + ":sts::" + a.ID + ":assumed-role/" + r.Name + "/" + session
}

func (a *account) roleByID(id string) *role {
	for _, r := range a.Roles {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (a *account) userByID(id string) *user {
	for _, u := range a.Users {
		if u.ID == id {
			return u
		}
	}
	return nil
}
