// Package upgrader keeps the Deployment or StatefulSet of a delegate at the version that suits its manager. One run is one
// look:
//
//	settings ─► workload's image ─► manager: which version? ─► patch of the image, or the reason for none
//
// It runs as a CronJob beside the delegate with two rights, get and patch on that one workload, and speaks to the API
// server with the pod's service account. An image whose tag is no version of the delegate is somebody's own, and stays.
package upgrader

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/belay-dev/belay/internal/delegate"
	"github.com/belay-dev/belay/internal/fault"
	"github.com/belay-dev/belay/internal/manifest"
	"github.com/belay-dev/belay/internal/protocol"
)

type manager interface {
	UpgradeCheck(ctx context.Context, tag string) (protocol.UpgradeCheck, error)
}

// Upgrader is one run's parts.
type Upgrader struct {
	Settings Settings
	Manager  manager
	Cluster  *Cluster
	Log      *slog.Logger
}

// Outcome is what a run found and did.
type Outcome struct {
	Image   string // as it was
	Target  string // as it is now, or would be; empty when it stays
	Patched bool   // false in a dry run, and when it stays
	Reason  string // why
}

// Run looks once. It fails when the workload cannot be read or patched, or the manager does not answer.
func (u *Upgrader) Run(ctx context.Context) (Outcome, error) {
	s := u.Settings
	w, err := u.Cluster.workload(ctx, s.Kind, s.Namespace, s.Workload)
	if err != nil {
		return Outcome{}, err
	}
	image, found := w.image(s.Container)
	if !found {
		return Outcome{}, fault.New(fault.NotFound, "%s %q in namespace %q has no container %q; it has %s. Set containerName to the delegate's",
			s.Kind, s.Workload, s.Namespace, s.Container, strings.Join(w.names(), ", "))
	}
	out := Outcome{Image: image}
	repository, tag := manifest.SplitImage(image)
	if !isVersion(tag) {
		out.Reason = fmt.Sprintf("the image %s has no tag that is a version of the delegate: it is somebody's own, and stays", image)
		u.Log.WarnContext(ctx, "image stays", slog.String("image", image), slog.String("reason", out.Reason))
		return out, nil
	}
	answer, err := u.Manager.UpgradeCheck(ctx, tag)
	if err != nil {
		return out, fmt.Errorf("ask the manager which version suits: %w", err)
	}
	out.Reason = answer.Reason
	if !answer.ShouldUpgrade {
		u.Log.InfoContext(ctx, "image stays", slog.String("image", image), slog.String("reason", answer.Reason))
		return out, nil
	}
	// The tag becomes part of an image's name: it must be a version and nothing else, whoever answers.
	target, err := delegate.ParseVersion(answer.TargetVersion)
	if err != nil {
		return out, fmt.Errorf("the manager's answer: %w", err)
	}
	out.Target = mirrored(repository, s.RegistryMirror) + ":" + target.String()
	if err := u.Cluster.setImage(ctx, w, s.Container, out.Target, s.DryRun); err != nil {
		return out, err
	}
	out.Patched = !s.DryRun
	u.Log.InfoContext(ctx, "image set", slog.String("image", image), slog.String("target", out.Target), slog.Bool("dry_run", s.DryRun), slog.String("reason", answer.Reason))
	return out, nil
}

func isVersion(tag string) bool {
	_, err := delegate.ParseVersion(tag)
	return err == nil
}

// mirrored is a repository at another registry: the first part of a name is one when it looks like a host.
func mirrored(repository, mirror string) string {
	if mirror == "" {
		return repository
	}
	first, rest, found := strings.Cut(repository, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		repository = rest
	}
	return strings.TrimRight(mirror, "/") + "/" + repository
}

func (w workload) image(container string) (string, bool) {
	i := slices.IndexFunc(w.Spec.Template.Spec.Containers, func(c containerImage) bool { return c.Name == container })
	if i < 0 {
		return "", false
	}
	return w.Spec.Template.Spec.Containers[i].Image, true
}

func (w workload) names() []string {
	var all []string
	for _, c := range w.Spec.Template.Spec.Containers {
		all = append(all, c.Name)
	}
	return all
}
