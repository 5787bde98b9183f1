package nextgen

import (
	"cmp"
	"encoding/base64"
	"slices"
	"time"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
)

// States of a delegate token.
const (
	TokenActive  = "ACTIVE"
	TokenRevoked = "REVOKED"
)

// DelegateToken is a delegate token.
type DelegateToken struct {
	UUID            string       `json:"uuid"`
	AccountID       string       `json:"accountId"`
	Name            string       `json:"name"`
	CreatedBy       *string      `json:"createdBy"` // always null
	CreatedByNgUser *TokenAuthor `json:"createdByNgUser"`
	CreatedAt       int64        `json:"createdAt"`
	Status          string       `json:"status"`
	// Value is base64 of the 32 hex digits, or null where it is not shown.
	Value           *Hidden `json:"value"`
	OwnerIdentifier *string `json:"ownerIdentifier"` // org1, org1/prj1, or null at account scope
	RevokeAfter     int64   `json:"revokeAfter"`     // 0: never
}

// TokenAuthor is who made a token. Clients look for email among the claims; Belay knows names, so it gives the name there.
type TokenAuthor struct {
	Type   string            `json:"type"`
	Name   string            `json:"name"`
	Claims map[string]string `json:"jwtclaims"`
}

// FromToken is a token without its value.
func FromToken(t delegate.Token) DelegateToken {
	out := DelegateToken{
		UUID: t.ID, AccountID: t.Scope.Account, Name: t.Name, CreatedAt: millis(t.CreatedAt), Status: TokenRevoked, RevokeAfter: millis(t.RevokeAfter),
		CreatedByNgUser: &TokenAuthor{Type: "SERVICE_ACCOUNT", Name: t.CreatedBy, Claims: map[string]string{"email": t.CreatedBy}},
	}
	if t.Active() {
		out.Status = TokenActive
	}
	if t.Scope.Level() != scope.Account {
		out.OwnerIdentifier = new(t.Scope.String())
	}
	return out
}

// WithValue is the token with its value, given as 32 hex digits.
func (t DelegateToken) WithValue(hex string) DelegateToken {
	t.Value = new(Hidden(base64.StdEncoding.EncodeToString([]byte(hex))))
	return t
}

// DelegateFilter narrows a list of delegates. Empty fields do not narrow.
type DelegateFilter struct {
	Status                  string   `json:"status,omitempty"` // CONNECTED, DISCONNECTED, …
	DelegateName            string   `json:"delegateName,omitempty"`
	DelegateType            string   `json:"delegateType,omitempty"`
	DelegateGroupIdentifier string   `json:"delegateGroupIdentifier,omitempty"`
	DelegateTags            []string `json:"delegateTags,omitempty"`
	DelegateInstanceFilter  string   `json:"delegateInstanceFilter,omitempty"` // AVAILABLE, EXPIRED
	AutoUpgrade             string   `json:"autoUpgrade,omitempty"`            // ON, OFF, …
	VersionStatus           string   `json:"versionStatus,omitempty"`          // ACTIVE, EXPIRED, EXPIRING, UNSUPPORTED
	HostName                string   `json:"hostName,omitempty"`
	FilterType              string   `json:"filterType,omitempty"`
}

// DelegateGroup is the delegates of one name.
type DelegateGroup struct {
	Type             string            `json:"type"`
	Name             string            `json:"name"`
	Description      string            `json:"description"`
	Tags             []string          `json:"tags"`
	LastHeartBeat    int64             `json:"lastHeartBeat"`
	Connected        bool              `json:"connected"`
	DelegateReplicas []DelegateReplica `json:"delegateReplicas"`
	AutoUpgrade      string            `json:"autoUpgrade"`
	Legacy           bool              `json:"legacy"` // always false
	OrgName          *string           `json:"orgName"`
	ProjectName      *string           `json:"projectName"`
}

// DelegateReplica is one running delegate.
type DelegateReplica struct {
	UUID          string `json:"uuid"`
	LastHeartbeat int64  `json:"lastHeartbeat"`
	Connected     bool   `json:"connected"`
	HostName      string `json:"hostName"`
	Version       string `json:"version"`
	ExpiringAt    int64  `json:"expiringAt"` // 0: unknown
}

// DelegateGroupListing is the delegates that registered with a token.
type DelegateGroupListing struct {
	Groups []DelegateGroupDetails `json:"delegateGroupDetails"`
}

// DelegateGroupDetails is a DelegateGroup in the words of that older listing.
type DelegateGroupDetails struct {
	Name            string             `json:"groupName"`
	Type            string             `json:"delegateType"`
	Description     string             `json:"delegateDescription"`
	Tags            []string           `json:"groupCustomSelectors"`
	LastHeartBeat   int64              `json:"lastHeartBeat"`
	ActivelyConnect bool               `json:"activelyConnected"`
	Status          string             `json:"connectivityStatus"` // connected, disconnected
	AutoUpgrade     string             `json:"autoUpgrade"`
	Instances       []DelegateInstance `json:"delegateInstanceDetails"`
}

// DelegateInstance is one running delegate in that listing.
type DelegateInstance struct {
	UUID          string `json:"uuid"`
	LastHeartbeat int64  `json:"lastHeartbeat"`
	Connected     bool   `json:"activelyConnected"`
	HostName      string `json:"hostName"`
	Version       string `json:"version"`
}

// FromGroup is a group in the words of the older listing.
func FromGroup(g DelegateGroup) DelegateGroupDetails {
	out := DelegateGroupDetails{
		Name: g.Name, Type: g.Type, Description: g.Description, Tags: g.Tags, LastHeartBeat: g.LastHeartBeat,
		ActivelyConnect: g.Connected, Status: map[bool]string{true: "connected", false: "disconnected"}[g.Connected],
		AutoUpgrade: g.AutoUpgrade, Instances: []DelegateInstance{},
	}
	for _, r := range g.DelegateReplicas {
		out.Instances = append(out.Instances, DelegateInstance{r.UUID, r.LastHeartbeat, r.Connected, r.HostName, r.Version})
	}
	return out
}

// DelegateGroupTags are the tags that a group of delegates is given.
type DelegateGroupTags struct {
	Tags []string `json:"tags"`
}

// DelegateGroupDTO is a group of delegates with its tags.
type DelegateGroupDTO struct {
	AccountIdentifier string   `json:"accountIdentifier"`
	OrgIdentifier     *string  `json:"orgIdentifier"`
	ProjectIdentifier *string  `json:"projectIdentifier"`
	Name              string   `json:"name"`
	Identifier        string   `json:"identifier"` // the name too, by which the calls find the group
	Tags              []string `json:"tags"`
}

// FromDelegateGroup is a group with some tags.
func FromDelegateGroup(g delegate.Group, tags []string) DelegateGroupDTO {
	return DelegateGroupDTO{
		AccountIdentifier: g.Scope.Account, OrgIdentifier: notEmpty(g.Scope.Org), ProjectIdentifier: notEmpty(g.Scope.Project),
		Name: g.Name, Identifier: g.Name, Tags: append([]string{}, tags...),
	}
}

// LatestVersion is the newest delegate version that the manager knows.
type LatestVersion struct {
	LatestSupportedVersion        string `json:"latestSupportedVersion"`
	LatestSupportedMinimalVersion string `json:"latestSupportedMinimalVersion"`
}

// FromDelegates groups delegates by name and scope, in that order, replicas by host.
func FromDelegates(list []delegate.Delegate, now time.Time) []DelegateGroup {
	list = slices.SortedFunc(slices.Values(list), func(a, b delegate.Delegate) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Scope.Org, b.Scope.Org), cmp.Compare(a.Scope.Project, b.Scope.Project),
			cmp.Compare(a.HostName, b.HostName), cmp.Compare(a.ID, b.ID),
		)
	})
	groups := []DelegateGroup{}
	for i, d := range list {
		if i == 0 || d.Name != list[i-1].Name || d.Scope != list[i-1].Scope {
			groups = append(groups, DelegateGroup{
				Type: d.Type, Name: d.Name, Description: d.Description, Tags: []string{}, AutoUpgrade: "OFF",
				OrgName: notEmpty(d.Scope.Org), ProjectName: notEmpty(d.Scope.Project),
			})
		}
		g := &groups[len(groups)-1]
		for _, tag := range d.Tags {
			if !slices.Contains(g.Tags, tag) {
				g.Tags = append(g.Tags, tag)
			}
		}
		g.LastHeartBeat = max(g.LastHeartBeat, millis(d.LastSeen))
		g.Connected = g.Connected || d.Alive(now)
		g.DelegateReplicas = append(g.DelegateReplicas, DelegateReplica{
			UUID: string(d.ID), LastHeartbeat: millis(d.LastSeen), Connected: d.Alive(now), HostName: d.HostName,
			Version: d.Version.String(), ExpiringAt: millis(expiry(d.Version)),
		})
	}
	return groups
}

// supportedFor is how many months a delegate version is supported.
const supportedFor = 6

// expiry is when the support of a version ends, counted from its month; zero when the version is unknown.
func expiry(v delegate.Version) time.Time {
	if v == (delegate.Version{}) {
		return time.Time{}
	}
	return time.Date(2000+v.Year, time.Month(v.Month)+supportedFor, 1, 0, 0, 0, 0, time.UTC)
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
