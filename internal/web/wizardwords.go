package web

import (
	"slices"

	"github.com/belay-dev/belay/internal/audit"
	"github.com/belay-dev/belay/internal/connector"
)

// Refused is the head of what is wrong.
func (w wizard) Refused() string {
	if w.Step == stepTest || w.Step == stepYAML {
		return "Not saved"
	}
	return "This step lacks something"
}

// FileName is the name of the file beside the form.
func (w wizard) FileName() string {
	if w.conn.ID == "" {
		return "connector.yaml"
	}
	return w.conn.ID + ".yaml"
}

// Label is what a field is called, with the hint that only the page needs.
func (w wizard) Label(name string) string {
	if label := map[string]string{
		"clusterIssuer": "Cluster's issuer", "roleName": "Role name", "awsAccount": "AWS account", "namespace": "Namespace", "serviceAccount": "Service account", "principal": "Assumed by",
	}[name]; label != "" {
		return label
	}
	return fieldLabel(name)
}

// Mono reports whether a field holds what machines read.
func (w wizard) Mono(name string) bool {
	return !slices.Contains([]string{"name", "description", "retryCount"}, name)
}

// MayStore reports whether the caller may make a secret here.
func (w wizard) MayStore() bool { return w.v.may(audit.SecretCreate, w.v.at) }

// NewSecret is the name of the secret that was typed and not stored.
func (w wizard) NewSecret() string {
	return bounded(w.v.r.PostForm.Get("newSecret"))
}

// MayManage reports whether the manager itself could call AWS with these credentials.
func (w wizard) MayManage() bool {
	switch w.conn.Credential.(type) {
	case connector.ManualConfig, connector.OIDC:
		return true
	case connector.InheritFromDelegate, connector.IRSA, connector.Kubernetes, nil:
	}
	return false
}

// Tested reports whether the last test is one of what the page shows.
func (w wizard) Tested() bool {
	return w.Outcome != nil && w.Outcome.Test != nil && !w.Outcome.Old && !w.Changed
}

// Verb is what the main button of the last step does.
func (w wizard) Verb() string {
	if w.Stored != nil && !w.Changed {
		return "retest"
	}
	return "save"
}

// VerbTitle is what that button says.
func (w wizard) VerbTitle() string {
	switch {
	case w.Stored == nil:
		return "Save and test"
	case w.Changed || w.Step == stepYAML:
		return "Change and test"
	case w.Tested():
		return "Test again"
	}
	return "Test now"
}

// ReviewTitle is the head of the answers.
func (w wizard) ReviewTitle() string {
	switch {
	case w.Stored == nil:
		return "What will be saved"
	case w.Changed:
		return "What will be changed"
	}
	return "What is saved"
}

// Hidden reports whether the file beside the form leaves the external id out.
func (w wizard) Hidden() bool {
	had := externalOf(w.draft.Base)
	return had != "" && w.conn.CrossAccount != nil && w.conn.CrossAccount.ExternalID == had && w.Value("externalId") == ""
}

// ChangeTo is where the connector is changed: step by step, or as YAML where there is no form for it.
func (p connectorPage) ChangeTo() string {
	if p.Kept {
		return p.To("/edit/" + stepYAML)
	}
	return p.To("/edit")
}
