package fg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/firstgen"
	"github.com/belay-dev/belay/internal/scope"
	"github.com/belay-dev/belay/internal/secret"
)

// encryptedText is the only type of secret that Belay has.
const encryptedText = "ENCRYPTED_TEXT"

// root answers the fields of one question. GraphQL finds its methods and the fields of what they return by name.
type root struct {
	server *Server
	call   api.Call
}

func (r *root) account() scope.Scope { return scope.Scope{Account: r.call.At.Account} }

// said is an error as clients may read it: the sentence, without what only the log should have.
func said(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(fault.Sentence(err))
}

// Long is a time in milliseconds since 1970.
type Long int64

// ImplementsGraphQLType names the scalar.
func (Long) ImplementsGraphQLType(name string) bool { return name == "Long" }

// UnmarshalGraphQL refuses it as input: no call takes one.
func (*Long) UnmarshalGraphQL(any) error {
	return errors.New("a Long cannot be sent")
}

type usageScope struct {
	AppEnvScopes *[]*appEnvScope `json:"appEnvScopes,omitempty"`
}

type appEnvScope struct {
	Application *appFilter `json:"application,omitempty"`
	Environment *envFilter `json:"environment,omitempty"`
}

type appFilter struct {
	FilterType *string `json:"filterType,omitempty"`
	AppID      *string `json:"appId,omitempty"`
}

type envFilter struct {
	FilterType *string `json:"filterType,omitempty"`
	EnvID      *string `json:"envId,omitempty"`
}

type usageScopeInput struct {
	AppEnvScopes *[]appEnvScope
}

// remembered is what only FirstGen knows of a secret. It has no meaning for Belay, and is given back as it was sent.
type remembered struct {
	UsageScope *usageScope `json:"usageScope,omitempty"`
	Inherit    bool        `json:"inherit,omitempty"`
	Scoped     bool        `json:"scoped,omitempty"`
}

type secretView struct {
	ID                  *string
	Name                *string
	SecretType          *string
	UsageScope          *usageScope
	SecretManagerID     *string
	InheritScopesFromSM *bool
	ScopedToAccount     *bool
}

// anySecret is the interface Secret of the schema.
type anySecret struct{ *secretView }

// ToEncryptedText says that the secret is one.
func (s *anySecret) ToEncryptedText() (*secretView, bool) { return s.secretView, true }

func view(s secret.Secret, kept map[string]firstgen.Text) *anySecret {
	var r remembered
	if t, ok := kept[s.ID]; ok {
		_ = json.Unmarshal([]byte(t.Text), &r) // what cannot be read says nothing
	}
	return &anySecret{&secretView{
		ID: &s.ID, Name: &s.Name, SecretType: new(encryptedText), SecretManagerID: &s.Manager, UsageScope: r.UsageScope,
		InheritScopesFromSM: &r.Inherit, ScopedToAccount: &r.Scoped,
	}}
}

func (r *root) view(ctx context.Context, s secret.Secret) (*anySecret, error) {
	kept, err := r.server.Texts.FirstGen(ctx, firstgen.Secret, r.call.At.Account)
	return view(s, kept), said(err)
}

type secretByID struct {
	SecretID   string
	SecretType string
}

func onlyText(kind string) error {
	if kind != encryptedText {
		return fmt.Errorf("secrets of type %s are not supported: Belay keeps those of type %s", kind, encryptedText)
	}
	return nil
}

// Secret reads one by its id.
func (r *root) Secret(ctx context.Context, in secretByID) (*anySecret, error) {
	if err := onlyText(in.SecretType); err != nil {
		return nil, err
	}
	if len(in.SecretID) > scope.MaxIdentifier {
		return nil, fmt.Errorf("No secret exists with the id %.40s", in.SecretID) //nolint:staticcheck // clients look for these words
	}
	s, err := r.server.Secrets.Secret(ctx, r.call.Who, r.account(), in.SecretID)
	if fault.KindOf(err) == fault.NotFound {
		return nil, fmt.Errorf("No secret exists with the id %s", in.SecretID) //nolint:staticcheck // clients look for these words
	}
	if err != nil {
		return nil, said(err)
	}
	return r.view(ctx, s)
}

// SecretByName reads one by its name.
func (r *root) SecretByName(ctx context.Context, in struct{ Name, SecretType string }) (*anySecret, error) {
	if err := onlyText(in.SecretType); err != nil {
		return nil, err
	}
	list, _, err := r.server.Secrets.Secrets(ctx, r.call.Who, secret.Filter{Scope: r.account(), Search: in.Name, Limit: 1}) // exact names come first
	if err != nil {
		return nil, said(err)
	}
	if len(list) == 0 || list[0].Name != in.Name {
		return nil, fmt.Errorf("No secret exists with the name %.200s", in.Name) //nolint:staticcheck // clients look for these words
	}
	return r.view(ctx, list[0])
}

type managerView struct{ ID, Name *string }

func manager() *managerView {
	return &managerView{new(secret.BuiltInManager), new(secret.BuiltInManager)}
}

// SecretManager knows the built-in one.
func (r *root) SecretManager(in struct{ SecretManagerID string }) (*managerView, error) {
	if in.SecretManagerID != secret.BuiltInManager {
		return nil, fmt.Errorf("no secret manager exists with the id %.200s", in.SecretManagerID)
	}
	return manager(), nil
}

// SecretManagerByName knows the built-in one.
func (r *root) SecretManagerByName(in struct{ Name string }) (*managerView, error) {
	if in.Name != secret.BuiltInManager {
		return nil, fmt.Errorf("no secret manager exists with the name %.200s", in.Name)
	}
	return manager(), nil
}

type textInput struct {
	Name                *string
	Value               *string
	SecretReference     *string
	SecretManagerID     *string
	ScopedToAccount     *bool
	InheritScopesFromSM *bool
	UsageScope          *usageScopeInput
}

type createSecretInput struct {
	ClientMutationID *string
	SecretType       string
	EncryptedText    *textInput
}

type updateSecretInput struct {
	ClientMutationID *string
	SecretID         string
	SecretType       string
	EncryptedText    *textInput
}

type secretPayload struct {
	ClientMutationID *string
	Secret           *anySecret
}

type deletePayload struct{ ClientMutationID *string }

// into puts what was sent into a secret and gives its value.
func (in *textInput) into(s *secret.Secret) secret.Value {
	if in.Name != nil && *in.Name != "" {
		s.Name = *in.Name
	}
	if in.SecretManagerID != nil && *in.SecretManagerID != "" {
		s.Manager = *in.SecretManagerID
	}
	if in.SecretReference != nil && *in.SecretReference != "" {
		s.Kind, s.Path = secret.Reference, *in.SecretReference
	}
	if in.Value != nil {
		return secret.NewValue(*in.Value)
	}
	return secret.Value{}
}

func (r *root) remember(ctx context.Context, s secret.Secret, in *textInput) error {
	var kept remembered
	if in.UsageScope != nil {
		kept.UsageScope = &usageScope{}
		if list := in.UsageScope.AppEnvScopes; list != nil {
			all := []*appEnvScope{}
			for i := range *list {
				all = append(all, &(*list)[i])
			}
			kept.UsageScope.AppEnvScopes = &all
		}
	}
	kept.Inherit = in.InheritScopesFromSM != nil && *in.InheritScopesFromSM
	kept.Scoped = in.ScopedToAccount != nil && *in.ScopedToAccount
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return r.server.Texts.SaveFirstGen(ctx, firstgen.Secret, r.call.At.Account, firstgen.Text{ID: s.ID, Text: string(text)})
}

// CreateSecret adds a text secret.
func (r *root) CreateSecret(ctx context.Context, in struct{ Input createSecretInput }) (*secretPayload, error) {
	if err := onlyText(in.Input.SecretType); err != nil {
		return nil, err
	}
	sent := in.Input.EncryptedText
	if sent == nil {
		return nil, errors.New("encryptedText is required")
	}
	s := secret.Secret{Scope: r.account(), Manager: secret.BuiltInManager, Kind: secret.Inline}
	value := sent.into(&s)
	s.ID = firstgen.SecretID(s.Name)
	s, err := r.server.Secrets.Create(ctx, r.call.Who, s, value)
	if err != nil {
		return nil, said(err)
	}
	if err := r.remember(ctx, s, sent); err != nil {
		return nil, said(err)
	}
	out, err := r.view(ctx, s)
	return &secretPayload{in.Input.ClientMutationID, out}, err
}

// UpdateSecret changes a text secret; what was not sent stays as it is.
func (r *root) UpdateSecret(ctx context.Context, in struct{ Input updateSecretInput }) (*secretPayload, error) {
	if err := onlyText(in.Input.SecretType); err != nil {
		return nil, err
	}
	sent := in.Input.EncryptedText
	if sent == nil || len(in.Input.SecretID) > scope.MaxIdentifier {
		return nil, errors.New("secretId and encryptedText are required")
	}
	s, err := r.server.Secrets.Secret(ctx, r.call.Who, r.account(), in.Input.SecretID)
	if err != nil {
		return nil, said(err)
	}
	s, err = r.server.Secrets.Update(ctx, r.call.Who, s, sent.into(&s))
	if err != nil {
		return nil, said(err)
	}
	if err := r.remember(ctx, s, sent); err != nil {
		return nil, said(err)
	}
	out, err := r.view(ctx, s)
	return &secretPayload{in.Input.ClientMutationID, out}, err
}

// DeleteSecret removes a text secret that nothing refers to.
func (r *root) DeleteSecret(ctx context.Context, in struct {
	Input struct {
		ClientMutationID     *string
		SecretID, SecretType string
	}
},
) (*deletePayload, error) {
	if err := onlyText(in.Input.SecretType); err != nil {
		return nil, err
	}
	if len(in.Input.SecretID) > scope.MaxIdentifier {
		return nil, errors.New("secretId is too long")
	}
	err := r.server.Secrets.Delete(ctx, r.call.Who, r.account(), in.Input.SecretID, false)
	return &deletePayload{in.Input.ClientMutationID}, said(err)
}

type user struct{ ID, Name *string }

type clusterHealth struct {
	ClusterID, ClusterName *string
	Errors, Messages       *[]*string
	LastEventTimestamp     *Long
}

type health struct {
	IsHealthy, IsCEConnector *bool
	Messages                 *[]*string
	ClusterHealthStatusList  *[]*clusterHealth
}

type providerView struct {
	ID, Name, Description         *string
	CreatedAt                     *Long
	CreatedBy                     *user
	Type                          *string
	IsContinuousEfficiencyEnabled *bool
	CEHealthStatus                *health
}

// anyProvider is the interface CloudProvider of the schema.
type anyProvider struct{ *providerView }

// ToAwsCloudProvider says that the cloud provider is one.
func (p *anyProvider) ToAwsCloudProvider() (*providerView, bool) { return p.providerView, true }

func viewOf(p provider) *anyProvider {
	return &anyProvider{&providerView{
		ID: &p.ID, Name: &p.Name, Description: &p.Description, CreatedAt: new(Long(p.CreatedAt.UnixMilli())), Type: new(firstgen.TypeAWS),
		IsContinuousEfficiencyEnabled: new(false),
	}}
}

func (r *root) find(ctx context.Context, is func(provider) bool, what, word string) (*anyProvider, error) {
	list, err := r.server.providers(ctx, r.call.Who, r.call.At.Account)
	if err != nil {
		return nil, said(err)
	}
	i := slices.IndexFunc(list, is)
	if i < 0 {
		return nil, fmt.Errorf("no cloud provider exists with the %s %s", what, strings.ToValidUTF8(word[:min(len(word), 200)], ""))
	}
	return viewOf(list[i]), nil
}

// CloudProvider reads one by its id.
func (r *root) CloudProvider(ctx context.Context, in struct{ CloudProviderID string }) (*anyProvider, error) {
	return r.find(ctx, func(p provider) bool { return p.ID == in.CloudProviderID }, "id", in.CloudProviderID)
}

// CloudProviderByName reads one by its name.
func (r *root) CloudProviderByName(ctx context.Context, in struct{ Name string }) (*anyProvider, error) {
	return r.find(ctx, func(p provider) bool { return p.Name == in.Name }, "name", in.Name)
}

type pageInfo struct {
	Limit, Offset, Total *int32
	HasMore              *bool
}

type connection struct {
	Nodes    *[]*anyProvider
	PageInfo *pageInfo
}

// CloudProviders lists a page of them by name.
func (r *root) CloudProviders(ctx context.Context, in struct {
	Limit  int32
	Offset *int32
},
) (*connection, error) {
	list, err := r.server.providers(ctx, r.call.Who, r.call.At.Account)
	if err != nil {
		return nil, said(err)
	}
	total, offset := len(list), 0
	if in.Offset != nil {
		offset = min(max(int(*in.Offset), 0), total)
	}
	end := min(offset+max(int(in.Limit), 0), total)
	nodes := []*anyProvider{}
	for _, p := range list[offset:end] {
		nodes = append(nodes, viewOf(p))
	}
	number := func(n int) *int32 { return new(int32(n)) } //nolint:gosec // not longer than what was read
	return &connection{&nodes, &pageInfo{&in.Limit, number(offset), number(total), new(end < total)}}, nil
}

// DeleteCloudProvider removes a cloud provider, which is its connector.
func (r *root) DeleteCloudProvider(ctx context.Context, in struct {
	Input struct {
		ClientMutationID *string
		CloudProviderID  string
	}
},
) (*deletePayload, error) {
	list, err := r.server.providers(ctx, r.call.Who, r.call.At.Account)
	if err != nil {
		return nil, said(err)
	}
	if !slices.ContainsFunc(list, func(p provider) bool { return p.ID == in.Input.CloudProviderID }) {
		return nil, fmt.Errorf("no cloud provider exists with the id %.100s", in.Input.CloudProviderID)
	}
	err = r.server.Connectors.Delete(ctx, r.call.Who, r.account(), in.Input.CloudProviderID)
	return &deletePayload{in.Input.ClientMutationID}, said(err)
}
