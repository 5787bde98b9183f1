package e2e_test

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/belay-dev/belay/internal/connector"
	"github.com/belay-dev/belay/internal/sandbox"
)

// keyFaults are those of access keys and sessions that are stored in the connector.
func keyFaults() map[string]fault {
	regions := "inline: {regions: " + statement("Allow", anyRegions, "*") + "}"
	good := user(regions)
	manual := func(change func(*connector.ManualConfig)) func(*world) {
		return func(w *world) {
			m, _ := w.connector.Credential.(connector.ManualConfig)
			change(&m)
			w.connector.Credential = m
		}
	}
	store := func(text string) func(*world) {
		return func(w *world) { w.secrets["account.secret"] = text }
	}
	abroad := func(account, partition string) string {
		return fmt.Sprintf("accounts:\n- id: %q\n  partition: %s\n  users: [{name: belay, keys: [{id: %s, secret: %s}], %s}]\n", account, partition, belayKey, belaySecret, regions)
	}
	in := func(region string) func(*world) { return func(w *world) { w.connector.Region = region } }
	session := sessionScene(statement("Allow", anyRegions, "*"))
	return map[string]fault{
		"an inactive key": {
			scene: sceneOf(home, fmt.Sprintf("  users: [{name: belay, keys: [{id: %s, secret: %s, inactive: true}], %s}]\n", belayKey, belaySecret, regions)),
			code:  connector.AccessKeyUnknown,
			names: []string{belayKey, "made inactive"},
			apply: told("activate it there if it is inactive", func(w *world) {
				w.done(w.iam(home).UpdateAccessKey(w.t.Context(), &iam.UpdateAccessKeyInput{UserName: aws.String("belay"), AccessKeyId: aws.String(belayKey), Status: types.StatusTypeActive}))
			}),
		},
		"a deleted key": {
			scene: sceneOf(home, "  users: [{name: belay, "+regions+"}]\n"),
			code:  connector.AccessKeyUnknown,
			names: []string{belayKey, "deleted"},
			apply: told("if it is gone make a new one and store it", func(w *world) {
				made, err := w.iam(home).CreateAccessKey(w.t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("belay")})
				w.done(made, err)
				w.secrets["account.secret"] = *made.AccessKey.SecretAccessKey
				manual(func(m *connector.ManualConfig) { m.AccessKey = *made.AccessKey.AccessKeyId })(w)
			}),
		},
		"a mistyped key id": {
			scene: good,
			set:   manual(func(m *connector.ManualConfig) { m.AccessKey = "AKIABELAYO0000000000" }),
			code:  connector.AccessKeyUnknown,
			names: []string{"AKIABELAYO0000000000", "mistyped"},
			apply: told("Compare the access key id", manual(func(m *connector.ManualConfig) { m.AccessKey = belayKey })),
		},
		"the secret of another key": {
			scene: good,
			set:   store(adminSecret(home)),
			code:  connector.SecretKeyWrong,
			names: []string{"does not belong to this access key id"},
			apply: told("Store the secret access key again", store(belaySecret)),
		},
		"a line break in the secret": {
			scene: good,
			set:   store(belaySecret + "\n"),
			code:  connector.ConfigurationRefused,
			names: []string{"the secret key holds a blank, a line break"},
			apply: told("Correct that setting", store(belaySecret)),
		},
		"an empty secret": {
			scene: good,
			set:   store(""),
			code:  connector.ConfigurationRefused,
			names: []string{"the secret key is empty"},
			apply: told("Correct that setting", store(belaySecret)),
		},
		"a temporary key without its session token": {
			scene: session,
			set: func(w *world) {
				w.session()
				manual(func(m *connector.ManualConfig) { m.SessionTokenRef = "" })(w)
			},
			code:  connector.AccessKeyUnknown,
			names: []string{"ASIA", "no session token"},
			apply: told("Set sessionTokenRef too", manual(func(m *connector.ManualConfig) { m.SessionTokenRef = "account.token" })),
		},
		"a session token that is none": {
			scene: session,
			set: func(w *world) {
				w.session()
				w.secrets["account.token"] = "FwoGZXIvYXdzEBEaDBogus"
			},
			code:  connector.AccessKeyUnknown,
			names: []string{"with this session token"},
			apply: told("Store a new access key, secret key and session token together", func(w *world) { w.session() }),
		},
		"the session token of another session": {
			scene: session,
			set: func(w *world) {
				w.session()
				token := w.secrets["account.token"]
				w.session()
				w.secrets["account.token"] = token
			},
			code:  connector.AccessKeyUnknown,
			names: []string{"the token is of another key"},
			apply: told("the three belong to each other", func(w *world) { w.session() }),
		},
		"a session token beside a lasting key": {
			scene: good,
			set: func(w *world) {
				w.secrets["account.token"] = "FwoGZXIvYXdzEBEaDBogus"
				manual(func(m *connector.ManualConfig) { m.SessionTokenRef = "account.token" })(w)
			},
			code:  connector.AccessKeyUnknown,
			names: []string{belayKey, "with this session token"},
			apply: told("leave sessionTokenRef out", manual(func(m *connector.ManualConfig) { m.SessionTokenRef = "" })),
		},
		"an expired session": {
			scene: session,
			set: func(w *world) {
				w.settings(func(s *sandbox.Settings) { s.ClockOffset = sandbox.Duration(-2 * time.Hour) })
				w.session()
				w.settings(func(s *sandbox.Settings) { s.ClockOffset = 0 })
			},
			code:  connector.SessionExpired,
			names: []string{"session token is a temporary one, and its time is over"},
			apply: told("Store a new access key, secret key and session token together", func(w *world) { w.session() }),
		},
		"a key of GovCloud in a Region of the standard partition": {
			scene: abroad(gov, "aws-us-gov"),
			code:  connector.WrongPartition,
			names: []string{"GovCloud", "us-east-1"},
			apply: told("us-gov-west-1", in("us-gov-west-1")),
		},
		"a standard key in a Region of GovCloud": {
			scene: good,
			set:   in("us-gov-west-1"),
			code:  connector.WrongPartition,
			names: []string{"us-gov-west-1", "GovCloud"},
			apply: told("us-east-1", in("us-east-1")),
		},
		"a key of China in a Region of the standard partition": {
			scene: abroad(china, "aws-cn"),
			set:   in("eu-west-1"),
			code:  connector.WrongPartition,
			names: []string{"China", "eu-west-1"},
			apply: told("cn-north", in("cn-north-1")),
		},
		"a standard key in a Region of China": {
			scene: good,
			set:   in("cn-northwest-1"),
			code:  connector.WrongPartition,
			names: []string{"China", "cn-northwest-1"},
			apply: told("us-east-1", in("us-east-1")),
		},
		"a Region that does not exist": {
			scene: good,
			set:   in("us-east-9x"),
			code:  connector.RegionUnavailable,
			names: []string{`"us-east-9x"`},
			apply: told("Set the test region to one that exists", in("us-east-1")),
		},
		"a Region that the account has not enabled": {
			scene: good,
			set:   in("af-south-1"),
			code:  connector.RegionUnavailable,
			names: []string{"has not enabled af-south-1"},
			apply: told("Enable af-south-1 for the account", func(w *world) { w.seed(sceneOf(home, "  regions: [af-south-1]\n")) }),
		},
		"STS is deactivated in the Region": {
			scene: good,
			set: func(w *world) {
				in("eu-west-3")(w)
				w.settings(func(s *sandbox.Settings) { s.STSDisabled = []string{"eu-west-3"} })
			},
			code:  connector.RegionUnavailable,
			names: []string{"STS is deactivated in eu-west-3"},
			apply: told("Activate it in that account", func(w *world) { w.settings(func(s *sandbox.Settings) { s.STSDisabled = nil }) }),
		},
	}
}
