package audit

// Actions are all actions, those on one kind of thing beside one another.
func Actions() []Action {
	return []Action{
		ConnectorRead, ConnectorCreate, ConnectorUpdate, ConnectorDelete, ConnectorTest, ConnectorUse, ConnectorPreflight,
		SecretRead, SecretCreate, SecretUpdate, SecretDelete,
		OrganizationRead, OrganizationCreate, OrganizationUpdate, OrganizationDelete,
		ProjectRead, ProjectCreate, ProjectUpdate, ProjectDelete,
		ServiceRead, ServiceCreate, ServiceUpdate, ServiceDelete,
		EnvironmentRead, EnvironmentCreate, EnvironmentUpdate, EnvironmentDelete,
		InfrastructureRead, InfrastructureCreate, InfrastructureUpdate, InfrastructureDelete,
		DelegateRead, DelegatePing, DelegateTag,
		DelegateTokenRead, DelegateTokenCreate, DelegateTokenRevoke, DelegateTokenDelete, DelegateTokenReveal,
		KeyRead, KeyCreate, KeyRevoke,
		FlagRead, FlagSet, AuditRead, TaskRead,
		OIDCRead, OIDCSet, OIDCRotate, OIDCToken,
	}
}

// Needs is the weakest role that may do the action.
func (a Action) Needs() Role { return needs(a) }
