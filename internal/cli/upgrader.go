package cli

import (
	"context"
	"log/slog"
	"os"

	"github.com/belay-dev/belay/internal/agent"
	"github.com/belay-dev/belay/internal/upgrader"
)

type upgraderCmd struct {
	Settings string `help:"File that says what to keep." type:"path" default:"/etc/config/config.yaml" placeholder:"FILE"`
	DryRun   bool   `help:"Let the API server check the change without keeping it, whatever the file says."`
	Folder   string `help:"Folder of the pod's service account." name:"service-account-folder" default:"${service_account}" hidden:""`
}

// Help says where it runs.
func (*upgraderCmd) Help() string {
	return "The file has mode: Delegate, workloadKind, workloadName, namespace, containerName, dryRun, registryMirror, and delegateConfig with accountId and managerHost. " +
		"UPGRADER_TOKEN is the delegate token. It runs in a pod of the cluster with the rights get and patch on that one workload; " +
		"`belay delegate manifest --upgrader` writes all of it. An image whose tag is no version of the delegate stays as it is."
}

// Run looks once.
func (cmd *upgraderCmd) Run(ctx context.Context, a *app) error {
	log := slog.New(slog.NewJSONHandler(a.Err, &slog.HandlerOptions{Level: a.level()}))
	f, err := os.Open(cmd.Settings)
	if err != nil {
		return misusef("the settings cannot be read: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	settings, err := upgrader.Read(f)
	if err != nil {
		return misuse(err)
	}
	settings.DryRun = settings.DryRun || cmd.DryRun
	for _, warning := range settings.Warnings {
		log.WarnContext(ctx, "a setting has no effect", slog.String("setting", warning))
	}
	config, err := agent.ConfigFromEnv(settings.Lookup(os.Getenv))
	if err != nil {
		return misuse(err)
	}
	manager, err := agent.NewLink(config)
	if err != nil {
		return misuse(err)
	}
	cluster, err := upgrader.InCluster(os.Getenv, cmd.Folder)
	if err != nil {
		return misuse(err)
	}
	u := &upgrader.Upgrader{Settings: settings, Manager: manager, Cluster: cluster, Log: log}
	out, err := u.Run(ctx)
	if err != nil {
		return err
	}
	return a.print(upgradeBody(out), func() {
		switch {
		case out.Target == "":
			a.line("%s stays: %s", out.Image, out.Reason)
		case out.Patched:
			a.line("%s is now %s: %s", out.Image, out.Target, out.Reason)
		default:
			a.line("%s would be %s: %s", out.Image, out.Target, out.Reason)
		}
	})
}

// upgradeBody is an outcome as it is printed.
type upgradeBody struct {
	Image   string `json:"image" yaml:"image"`
	Target  string `json:"target" yaml:"target"`
	Patched bool   `json:"patched" yaml:"patched"`
	Reason  string `json:"reason" yaml:"reason"`
}
