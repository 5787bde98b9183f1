// Package forms has what Belay writes for Kubernetes, with everything that changes its objects: files of
// `belay delegate manifest`, and the charts with values. The strict tests decode all of it with Kubernetes' own types, and
// the tests of e2e apply it to a real API server.
package forms

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What the files hold.
const (
	Account    = "Hue1lBsaSx2APlXjzVEPIg"
	Token      = "0123456789abcdef0123456789abcdef"
	Role       = "arn:aws:iam::123456789012:role/belay-delegate"
	expression = `says "hi": # $HOME`
)

// Build builds the program from the tree at root into a folder, and returns its path.
func Build(ctx context.Context, root, folder string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, "belay"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path, "./cmd/belay") //nolint:gosec // the path is the test's
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}

// Manifest is a file of `belay delegate manifest`.
type Manifest struct {
	Kind string // --kind
	Name string // what is special about it
	Args []string
}

// Write is what the program writes for it in a namespace.
func (m Manifest) Write(ctx context.Context, program, namespace string) (string, error) {
	args := []string{"delegate", "manifest", "--kind", m.Kind, "--account", Account, "--manager", "https://belay.example.com", "--namespace", namespace}
	cmd := exec.CommandContext(ctx, program, append(args, m.Args...)...) //nolint:gosec // the program is the one that Build built
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("belay %s: %w: %s", strings.Join(cmd.Args[1:], " "), err, &said)
	}
	return out.String(), nil
}

// Manifests are those of some kinds: with nothing, with everything, with what exists already, at the limits. What their
// flags read is written into a folder.
func Manifests(folder string, kinds ...string) ([]Manifest, error) {
	files := map[string]string{"token": Token, "password": "it's $ecret", "script": "echo \"it's ready\"\n"}
	for name, text := range files {
		files[name] = filepath.Join(folder, name)
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	digest := "registry.example.com:5000/a/delegate@sha256:" + strings.Repeat("0", 64)
	var all []Manifest
	for _, kind := range kinds {
		longest := strings.Repeat("n", 43) // with an upgrader
		for name, args := range map[string][]string{
			"as little as can be": {},
			"everything": {
				"--name", "eks-prod", "--token-file", files["token"], "--tag", "eks", "--tag", "frankfurt", "--description", expression, "--replicas", "2",
				"--role-arn", Role, "--cluster-role", "view", "--tool", "serverless", "--tool", "aws-iam-authenticator", "--tool", "awscli", "--tool", "kubectl",
				"--init-script", files["script"], "--proxy", "http://proxy.internal:3128", "--no-proxy", ".internal,10.0.0.0/8",
				"--proxy-user", "belay", "--proxy-password-file", files["password"], "--autoscale-max", "6", "--upgrader",
			},
			"what exists": {
				"--service-account", "made-before", "--token-secret", "a-token", "--proxy", "https://proxy.internal:3128", "--proxy-secret", "way-out",
				"--cluster-role", "admin", "--role-in-namespace", "--upgrader",
			},
			"a proxy for everybody, an autoscaler with a goal": {
				"--token-file", files["token"], "--proxy", "socks5://10.1.2.3:1080", "--autoscale-max", "3", "--autoscale-cpu", "55", "--image", digest, "--upgrader",
			},
			"the longest names": {
				"--name", longest, "--token-file", files["token"], "--cluster-role", "view", "--proxy", "http://p:1", "--proxy-user", "u", "--autoscale-max", "2", "--upgrader",
			},
			"a name that YAML takes for a truth": {"--name", "on", "--token-file", files["token"], "--cluster-role", "view", "--proxy", "http://p:1", "--proxy-user", "u", "--upgrader"},
			"a manager without TLS":              {"--token-file", files["token"], "--manager", "http://belay.internal:7990", "--upgrader"},
		} {
			all = append(all, Manifest{kind, name, args})
		}
		if kind != "helm" {
			all = append(all, Manifest{kind, "the longest name without an upgrader", []string{"--name", strings.Repeat("n", 52), "--token-file", files["token"]}})
		}
	}
	slices.SortFunc(all, func(a, b Manifest) int { return strings.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	return all, nil
}

// values are those of a chart.
type values = map[string]any

// Chart is one with values.
type Chart struct {
	Name   string
	Title  string // what is special about it
	Values map[string]any
	Expect []string // Kind/name of what must be there before
}

// Charts are both charts with all their switches.
func Charts() []Chart {
	least := func(more values) values {
		all := values{"account": Account, "manager": "https://belay.example.com", "existingSecret": "made-before"}
		maps.Copy(all, more)
		return all
	}
	return []Chart{
		{"belay-delegate", "all switches on", values{
			"account": Account, "manager": "http://belay.internal:7990", "insecureHttp": true, "token": Token, "name": "eks-prod", "tags": []any{"a", "b"},
			"description": expression, "initScript": "echo \"it's\"\necho $HOME\n", "clusterRole": "view", "replicas": 2, "podAnnotations": values{"a": "b"},
			"serviceAccount": values{"annotations": values{"eks.amazonaws.com/role-arn": Role}}, "upgrader": values{"enabled": true},
			"proxy": values{"host": "proxy", "user": "u", "password": "p", "noProxy": ".internal"}, "autoscaling": values{"enabled": true},
			"serviceMonitor": values{"enabled": true}, "nodeSelector": values{"x": "y"}, "env": []any{values{"name": "LOGGING_LEVEL", "value": "DEBUG"}},
			"imagePullSecrets": []any{values{"name": "pull"}}, "tolerations": []any{values{"key": "k", "operator": "Exists"}},
			"affinity": values{"nodeAffinity": values{"requiredDuringSchedulingIgnoredDuringExecution": values{"nodeSelectorTerms": []any{
				values{"matchExpressions": []any{values{"key": "a", "operator": "In", "values": []any{"b"}}}},
			}}}},
		}, nil},
		{"belay-delegate", "what exists", least(values{
			"serviceAccount": values{"create": false, "name": "irsa"}, "proxy": values{"host": "proxy", "existingSecret": "way-out"}, "clusterRole": "admin",
			"clusterRoleInNamespace": true, "image": values{"tag": "sha256:" + strings.Repeat("0", 64)}, "upgrader": values{"enabled": true, "dryRun": true},
		}), []string{"Secret/made-before", "Secret/way-out", "ServiceAccount/irsa"}},
		{"belay-delegate", "all switches off", least(values{
			"podDisruptionBudget": values{"enabled": false}, "networkPolicy": values{"enabled": false},
		}), []string{"Secret/made-before"}},
		{"belay-manager", "something before it does TLS", values{"publicUrl": "https://belay.example.com", "insecureHttp": true}, nil},
		{"belay-manager", "all switches on", values{
			"publicUrl": "https://belay.example.com", "tls": values{"existingSecret": "tls"}, "clientCA": values{"existingSecret": "ca"},
			"database": values{"existingSecret": "db"}, "masterKey": values{"existingSecret": "key"}, "serviceMonitor": values{"enabled": true},
			"persistence": values{"storageClass": "gp3", "size": "20Gi"}, "extraArgs": []any{"--test-every=1h"}, "podAnnotations": values{"a": "b"},
			"service":        values{"type": "LoadBalancer", "port": 443, "annotations": values{"a": "b"}},
			"serviceAccount": values{"name": "manager", "annotations": values{"eks.amazonaws.com/role-arn": Role}}, "nodeSelector": values{"x": "y"},
			"imagePullSecrets": []any{values{"name": "pull"}}, "tolerations": []any{values{"key": "k", "operator": "Exists"}},
		}, []string{"Secret/db", "Secret/key", "Secret/tls", "Secret/ca"}},
		{"belay-manager", "all switches off", values{
			"publicUrl": "https://belay.example.com", "insecureHttp": true, "podDisruptionBudget": values{"enabled": false}, "networkPolicy": values{"enabled": false},
			"serviceAccount": values{"create": false, "name": "made-before"},
		}, []string{"ServiceAccount/made-before"}},
	}
}

// Delegates are the chart of the delegate with the values that the program writes.
func Delegates(ctx context.Context, program, folder string) ([]Chart, error) {
	manifests, err := Manifests(folder, "helm")
	if err != nil {
		return nil, err
	}
	var all []Chart
	for _, m := range manifests {
		text, err := m.Write(ctx, program, "any")
		if err != nil {
			return nil, err
		}
		read, err := readValues(text)
		if err != nil {
			return nil, fmt.Errorf("values for %s: %w", m.Name, err)
		}
		c := Chart{"belay-delegate", "our values for " + m.Name, read, nil}
		if name, _ := read["existingSecret"].(string); name != "" {
			c.Expect = append(c.Expect, "Secret/"+name)
		}
		if m.Name == "what exists" {
			c.Expect = append(c.Expect, "Secret/way-out", "ServiceAccount/made-before")
		}
		all = append(all, c)
	}
	return all, nil
}
