//go:build e2e

// Package e2e_test applies what Belay writes for Kubernetes to a real API server, and runs the upgrader against it. The
// server, kubectl and Helm are built from their source by scripts/install-kubernetes.sh: `make e2e-k8s` does all.
//
// There is an API server and no more: no controller makes pods of a Deployment, and no node runs one. What a controller
// would ask of the server is asked by the tests, in a dry run: the pods that each workload would make.
package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/belay-dev/belay/tools/kube/forms"
)

const root = "../../.."

// belay is the built program, and programs the folder with kube-apiserver, etcd, kubectl and helm.
var belay, programs string

// cluster is the API server that all tests share; each works in namespaces of its own.
var cluster *server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "belay-e2e-k8s-")
	if err != nil {
		return failed("%v", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	var said bytes.Buffer
	install := exec.Command("scripts/install-kubernetes.sh")
	install.Dir, install.Stdout, install.Stderr = root, &said, os.Stderr
	if err := install.Run(); err != nil {
		return failed("scripts/install-kubernetes.sh: %v", err)
	}
	programs = strings.TrimSpace(said.String())
	if belay, err = forms.Build(context.Background(), root, folder); err != nil {
		return failed("%v", err)
	}
	cluster = &server{folder: folder}
	defer cluster.stop()
	if err := cluster.start(); err != nil {
		return failed("start an API server: %v", err)
	}
	return m.Run()
}

func failed(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// clean is the environment without what would change how Belay, kubectl or the servers behave.
func clean(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "BELAY_"), strings.HasPrefix(name, "DELEGATE_"), strings.HasPrefix(name, "KUBE"),
			strings.HasPrefix(name, "ETCD_"), strings.HasSuffix(strings.ToUpper(name), "_PROXY"):
		default:
			env = append(env, e)
		}
	}
	return append(env, more...)
}
