package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/belay-dev/belay/iam"
)

// metadataTokens are the session tokens of instance metadata v2. They end with the sandbox.
type metadataTokens struct {
	mu  sync.Mutex
	all map[string]metadataToken
}

type metadataToken struct {
	instance string
	ends     time.Time
}

// The headers of instance metadata.
const (
	headerTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	headerToken = "X-Aws-Ec2-Metadata-Token" //nolint:gosec // a header's name
)

const (
	longestToken  = 21600 // seconds
	instanceLife  = 6 * time.Hour
	mostTokens    = 10_000
	credentialURL = "meta-data/iam/security-credentials/" //nolint:gosec // a path
)

func (m *metadataTokens) issue(instance string, ends, now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= mostTokens {
		fresh := map[string]metadataToken{}
		for token, t := range m.all {
			if now.Before(t.ends) && len(fresh) < mostTokens/2 {
				fresh[token] = t
			}
		}
		m.all = fresh
	}
	token := rand.Text() + rand.Text()
	m.all[token] = metadataToken{instance, ends}
	return token
}

func (m *metadataTokens) valid(token, instance string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.all[token]
	return ok && t.instance == instance && now.Before(t.ends)
}

// Instance answers as 169.254.169.254 does inside the instance with that id, for a listener of its own: the SDKs take no
// address with a path.
func (s *Server) Instance(id string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Belay-Sandbox", "true")
		s.answerMetadata(w, r, s.current.Load().Instances[id], strings.TrimPrefix(r.URL.Path, "/"))
	})
}

// serveMetadata finds the instance that is meant: below /latest the only one, or the first by id; below
// /metadata/ID/latest any of them.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	st := s.current.Load()
	path := strings.TrimPrefix(r.URL.Path, "/")
	var i *instance
	if rest, named := strings.CutPrefix(path, "metadata/"); named {
		var id string
		id, path, _ = strings.Cut(rest, "/")
		i = st.Instances[id]
	} else if len(st.Instances) > 0 {
		i = st.Instances[slices.Min(slices.Collect(maps.Keys(st.Instances)))]
	}
	s.answerMetadata(w, r, i, path)
}

// answerMetadata is version 2; version 1, without tokens, is off.
func (s *Server) answerMetadata(w http.ResponseWriter, r *http.Request, i *instance, path string) {
	st, now := s.current.Load(), s.now()
	plain := func(status int, text string) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text)) // the client may have gone
	}
	item, isLatest := strings.CutPrefix(path, "latest/")
	switch {
	case i == nil, !isLatest:
		plain(http.StatusNotFound, "")
	case i.Off:
		plain(http.StatusForbidden, "")
	case r.Method == http.MethodPut && item == "api/token" && i.Distance > i.HopLimit:
		<-r.Context().Done() // the answer is lost on its way
	case r.Method == http.MethodPut && item == "api/token":
		seconds, err := strconv.Atoi(r.Header.Get(headerTTL))
		switch {
		case r.Header.Get("X-Forwarded-For") != "":
			plain(http.StatusForbidden, "")
		case err != nil || seconds < 1 || seconds > longestToken:
			plain(http.StatusBadRequest, "")
		default:
			w.Header().Set(headerTTL, strconv.Itoa(seconds))
			plain(http.StatusOK, s.metadata.issue(i.ID, now.Add(time.Duration(seconds)*time.Second), now))
		}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		plain(http.StatusMethodNotAllowed, "")
	case !s.metadata.valid(r.Header.Get(headerToken), i.ID, now):
		plain(http.StatusUnauthorized, "")
	default:
		text, ok := s.metadataItem(st, i, item, now)
		if !ok {
			plain(http.StatusNotFound, "")
			return
		}
		plain(http.StatusOK, text)
	}
}

// metadataItem is the text of one item.
func (s *Server) metadataItem(st *state, i *instance, item string, now time.Time) (string, bool) {
	a := st.Accounts[i.Account]
	if a == nil {
		return "", false
	}
	p := a.Profiles[i.Profile]
	var r *role
	if p != nil {
		r = a.Roles[p.Role]
	}
	if name, ok := strings.CutPrefix(item, credentialURL); ok && r != nil {
		switch name {
		case "":
			return r.Name, true
		case r.Name:
			return s.instanceCredentials(a, r, i, now), true
		}
		return "", false
	}
	switch item {
	case strings.TrimSuffix(credentialURL, "/"):
		if r == nil {
			return "", false
		}
		return r.Name, true
	case "meta-data/iam/info":
		if p == nil {
			return "", false
		}
		return object(map[string]any{"Code": "Success", "LastUpdated": now.Format(isoTime), "InstanceProfileArn": a.profileARN(p), "InstanceProfileId": p.ID}), true
	case "meta-data/instance-id":
		return i.ID, true
	case "meta-data/placement/region":
		return i.Region, true
	case "meta-data/placement/availability-zone":
		return i.Region + "a", true
	case "meta-data/services/partition":
		return a.Partition, true
	case "dynamic/instance-identity/document":
		return object(map[string]any{
			"accountId": a.ID, "architecture": "x86_64", "availabilityZone": i.Region + "a", "billingProducts": nil, "devpayProductCodes": nil, "imageId": "ami-0123456789abcdef0",
			"instanceId": i.ID, "instanceType": "t3.micro", "kernelId": nil, "marketplaceProductCodes": nil, "pendingTime": i.Started.UTC().Format(isoTime), "privateIp": "10.0.0.10",
			"ramdiskId": nil, "region": i.Region, "version": "2017-09-30",
		}), true
	}
	return "", false
}

const isoTime = "2006-01-02T15:04:05Z"

func object(fields map[string]any) string {
	raw, _ := json.Marshal(fields) // texts: it cannot fail
	return string(raw)
}

// instanceCredentials are those of the instance's role, or in the same form that EC2 may not assume it.
func (s *Server) instanceCredentials(a *account, r *role, i *instance, now time.Time) string {
	st := s.effective(now)
	context := map[string][]string{"aws:CurrentTime": {now.Format(isoTime)}, "aws:SecureTransport": {"true"}, "aws:SourceAccount": {a.ID}, "sts:RoleSessionName": {i.ID}}
	service := "ec2.amazonaws.com"
	ok, err := st.trusts(a, r, iam.ServicePrincipal(service), "sts:AssumeRole", context)
	if err == nil && !ok && a.Partition == "aws-cn" {
		ok, err = st.trusts(a, r, iam.ServicePrincipal(service+".cn"), "sts:AssumeRole", context)
	}
	if err != nil || !ok {
		return object(map[string]any{
			"Code": "AssumeRoleUnauthorizedAccess", "LastUpdated": now.Format(isoTime),
			"Message": "EC2 cannot assume the role " + r.Name + ". Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc.",
		})
	}
	keys, err := s.sealer.issue(session{Account: a.ID, Role: r.ID, Name: i.ID, Issued: now, Expires: now.Add(instanceLife)})
	if err != nil {
		return object(map[string]any{"Code": "Failed", "LastUpdated": now.Format(isoTime), "Message": "internal error"})
	}
	return object(map[string]any{
		"Code": "Success", "LastUpdated": now.Format(isoTime), "Type": "AWS-HMAC", "AccessKeyId": keys.KeyID, "SecretAccessKey": keys.Secret, "Token": keys.Token,
		"Expiration": keys.Expires.UTC().Format(isoTime),
	})
}
