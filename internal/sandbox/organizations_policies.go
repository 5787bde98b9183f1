package sandbox

import (
	"maps"
	"slices"
)

// policyKind checks the kind of policy that a call names.
func (in request) kind() (string, error) {
	for _, k := range []string{in.Filter, in.Type, in.PolicyType} {
		switch k {
		case serviceControl, resourceControl:
			return k, nil
		case "":
		default:
			return "", orgFail("InvalidInputException", "The sandbox serves %s and %s; it does not serve %s.", serviceControl, resourceControl, clip(k))
		}
	}
	return "", orgFail("InvalidInputException", "The kind of policy is missing.")
}

func (o *organization) summary(m *account, p *controlled) map[string]any {
	return map[string]any{"Id": p.ID, "Arn": o.policyARN(m, p), "Name": p.Name, "Description": p.Description, "Type": p.Kind, "AwsManaged": p.AWS}
}

func (o *organization) policyBody(m *account, p *controlled) map[string]any {
	return map[string]any{"Policy": map[string]any{"PolicySummary": o.summary(m, p), "Content": p.Content.text}}
}

func noControlPolicy() *failure {
	return orgFail("PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func listControlPolicies(c *call, o *organization, in request) (any, error) {
	kind, err := in.kind()
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, id := range slices.Sorted(maps.Keys(o.Policies)) {
		if p := o.Policies[id]; p.Kind == kind {
			out = append(out, o.summary(c.state().Accounts[o.Master], p))
		}
	}
	return map[string]any{"Policies": out}, nil
}

func describeControlPolicy(c *call, o *organization, in request) (any, error) {
	p := o.Policies[in.PolicyID]
	if p == nil {
		return nil, noControlPolicy()
	}
	return o.policyBody(c.state().Accounts[o.Master], p), nil
}

// isTarget refuses what no policy can be attached to.
func (o *organization) isTarget(id string) error {
	if _, member := o.Members[id]; member || o.isParent(id) == nil {
		return nil
	}
	return orgFail("TargetNotFoundException", "You specified a target that doesn't exist.")
}

func listPoliciesForTarget(c *call, o *organization, in request) (any, error) {
	kind, err := in.kind()
	if err != nil {
		return nil, err
	}
	if err := o.isTarget(in.TargetID); err != nil {
		return nil, err
	}
	out := []any{}
	for _, id := range o.Attached[in.TargetID] {
		if p := o.Policies[id]; p != nil && p.Kind == kind {
			out = append(out, o.summary(c.state().Accounts[o.Master], p))
		}
	}
	return map[string]any{"Policies": out}, nil
}

func listTargetsForPolicy(c *call, o *organization, in request) (any, error) {
	if o.Policies[in.PolicyID] == nil {
		return nil, noControlPolicy()
	}
	st := c.state()
	m := st.Accounts[o.Master]
	out := []any{}
	for _, target := range slices.Sorted(maps.Keys(o.Attached)) {
		if !slices.Contains(o.Attached[target], in.PolicyID) {
			continue
		}
		body := map[string]any{"TargetId": target}
		switch {
		case target == o.Root:
			body["Name"], body["Type"], body["Arn"] = "Root", "ROOT", o.arn(m, "root/"+o.ID+"/"+target)
		case o.Units[target] != nil:
			body["Name"], body["Type"], body["Arn"] = o.Units[target].Name, "ORGANIZATIONAL_UNIT", o.arn(m, "ou/"+o.ID+"/"+target)
		default:
			body["Name"], body["Type"], body["Arn"] = st.Accounts[target].Name, "ACCOUNT", o.arn(m, "account/"+o.ID+"/"+target)
		}
		out = append(out, body)
	}
	return map[string]any{"Targets": out}, nil
}

func enablePolicyType(c *call, o *organization, in request) (any, error) {
	kind, err := in.kind()
	switch {
	case err != nil:
		return nil, err
	case in.RootID != o.Root:
		return nil, orgFail("RootNotFoundException", "You specified a root that doesn't exist.")
	case slices.Contains(o.Enabled, kind):
		return nil, orgFail("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled in the specified root.")
	}
	o.Enabled = append(o.Enabled, kind)
	if kind == resourceControl { // as AWS does it, RCPFullAWSAccess is attached everywhere
		for target := range o.Attached {
			if !slices.Contains(o.Attached[target], fullResource) {
				o.Attached[target] = append(o.Attached[target], fullResource)
			}
		}
	}
	return map[string]any{"Root": o.rootBody(c.state().Accounts[o.Master])}, nil
}

func disablePolicyType(c *call, o *organization, in request) (any, error) {
	kind, err := in.kind()
	if err != nil {
		return nil, err
	}
	i := slices.Index(o.Enabled, kind)
	switch {
	case in.RootID != o.Root:
		return nil, orgFail("RootNotFoundException", "You specified a root that doesn't exist.")
	case i < 0:
		return nil, orgFail("PolicyTypeNotEnabledException", "The specified policy type isn't currently enabled in this root.")
	}
	o.Enabled = slices.Delete(o.Enabled, i, i+1)
	return map[string]any{"Root": o.rootBody(c.state().Accounts[o.Master])}, nil
}

// controlContent reads a control policy. An RCP only denies.
func controlContent(kind, text string) (document, error) {
	d, err := readPolicy(controlPolicy, text)
	if err != nil {
		return d, orgFail("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type. %s", asFailure(err).message)
	}
	for _, s := range d.parsed.Statements {
		if kind == resourceControl && (s.Effect != "Deny" || s.Principal == nil) || kind == serviceControl && s.Principal != nil {
			return d, orgFail("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type.")
		}
	}
	if d.size() > 5120 {
		return d, orgFail("ConstraintViolationException", "You have exceeded the allowed size of a policy, 5120 characters.")
	}
	return d, nil
}

func (o *organization) nameTaken(kind, name, except string) error {
	for id, p := range o.Policies {
		if id != except && p.Kind == kind && p.Name == name {
			return orgFail("DuplicatePolicyException", "A policy with the same name already exists.")
		}
	}
	return nil
}

func createControlPolicy(c *call, o *organization, in request) (any, error) {
	kind, err := in.kind()
	if err != nil {
		return nil, err
	}
	d, err := controlContent(kind, in.Content)
	if err != nil {
		return nil, err
	}
	if err := o.nameTaken(kind, in.Name, ""); err != nil {
		return nil, err
	}
	p := &controlled{ID: "p-" + random(8), Kind: kind, Name: in.Name, Description: in.Description, Content: d}
	o.Policies[p.ID] = p
	return o.policyBody(c.state().Accounts[o.Master], p), nil
}

// ownPolicy is a policy that may be changed.
func (o *organization) ownPolicy(id string) (*controlled, error) {
	p := o.Policies[id]
	switch {
	case p == nil:
		return nil, noControlPolicy()
	case p.AWS:
		return nil, orgFail("PolicyChangesInProgressException", "Policies that AWS manages cannot be changed.")
	}
	return p, nil
}

func updateControlPolicy(c *call, o *organization, in request) (any, error) {
	p, err := o.ownPolicy(in.PolicyID)
	if err != nil {
		return nil, err
	}
	if in.Content != "" {
		if p.Content, err = controlContent(p.Kind, in.Content); err != nil {
			return nil, err
		}
	}
	if in.Name != "" {
		if err := o.nameTaken(p.Kind, in.Name, p.ID); err != nil {
			return nil, err
		}
		p.Name = in.Name
	}
	if in.Description != "" {
		p.Description = in.Description
	}
	return o.policyBody(c.state().Accounts[o.Master], p), nil
}

func deleteControlPolicy(_ *call, o *organization, in request) (any, error) {
	p, err := o.ownPolicy(in.PolicyID)
	if err != nil {
		return nil, err
	}
	for _, ids := range o.Attached {
		if slices.Contains(ids, p.ID) {
			return nil, orgFail("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
		}
	}
	delete(o.Policies, p.ID)
	return nil, nil //nolint:nilnil // the call answers nothing
}

// attachment checks a policy and its target.
func (o *organization) attachment(in request) (*controlled, error) {
	p := o.Policies[in.PolicyID]
	if p == nil {
		return nil, noControlPolicy()
	}
	if err := o.isTarget(in.TargetID); err != nil {
		return nil, err
	}
	if !slices.Contains(o.Enabled, p.Kind) {
		return nil, orgFail("PolicyTypeNotEnabledException", "The specified policy type isn't currently enabled in this root.")
	}
	return p, nil
}

func attachControlPolicy(_ *call, o *organization, in request) (any, error) {
	p, err := o.attachment(in)
	if err != nil {
		return nil, err
	}
	if slices.Contains(o.Attached[in.TargetID], p.ID) {
		return nil, orgFail("DuplicatePolicyAttachmentException", "The selected policy is already attached to the specified target.")
	}
	o.Attached[in.TargetID] = append(o.Attached[in.TargetID], p.ID)
	return nil, nil //nolint:nilnil // the call answers nothing
}

func detachControlPolicy(_ *call, o *organization, in request) (any, error) {
	p, err := o.attachment(in)
	if err != nil {
		return nil, err
	}
	have := o.Attached[in.TargetID]
	i := slices.Index(have, p.ID)
	left := 0
	for _, id := range have {
		if other := o.Policies[id]; other != nil && other.Kind == p.Kind {
			left++
		}
	}
	switch {
	case i < 0:
		return nil, orgFail("PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
	case p.ID == fullResource:
		return nil, orgFail("ConstraintViolationException", "RCPFullAWSAccess cannot be detached.")
	case left == 1 && p.Kind == serviceControl:
		return nil, orgFail("ConstraintViolationException", "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	}
	o.Attached[in.TargetID] = slices.Delete(have, i, i+1)
	return nil, nil //nolint:nilnil // the call answers nothing
}
