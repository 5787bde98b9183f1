package awstask_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/internal/awstask"
	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/scope"
)

func TestWhatAConnectorAsksOfADelegate(t *testing.T) {
	t.Parallel()
	at := scope.Scope{Account: "a", Org: "o"}
	for name, tt := range map[string]struct {
		credential connector.Credential
		version    delegate.Version
		reason     string
	}{
		"the delegate's role asks for no version": {connector.InheritFromDelegate{}, delegate.Version{}, ""},
		"so does an access key":                   {connector.ManualConfig{AccessKey: "AKIA"}, delegate.Version{}, ""},
		"a session token does":                    {connector.ManualConfig{SessionTokenRef: "t"}, delegate.SessionTokenSince(), "a session token"},
		"OIDC does":                               {connector.OIDC{}, delegate.OIDCSince(), "OIDC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := awstask.NeedOf(connector.Connector{Scope: at, Selectors: []string{"eks"}, Credential: tt.credential}, "KIND")
			want := delegate.Need{Scope: at, Selectors: []string{"eks"}, Kind: "KIND", MinVersion: tt.version, MinReason: tt.reason}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
