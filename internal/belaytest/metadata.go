package belaytest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

// Metadata is a running amazon-ec2-metadata-mock that speaks IMDSv2 only.
type Metadata struct {
	URL string // the value of AWS_EC2_METADATA_SERVICE_ENDPOINT
}

// MetadataMock starts an instance metadata service of the test's own. Its role is baskinc-role, with fixed credentials
// that expired in 2020; the SDK takes them nevertheless.
func MetadataMock(tb testing.TB) *Metadata {
	tb.Helper()
	const name = "ec2-metadata-mock"
	path, err := program(name)
	if err != nil {
		Require(tb, name, err)
	}
	folder, err := folderFor("metadata", nil)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := start(tb.Context(), spec{
		name: name, signal: "KILL", folder: folder, env: cleanEnv(folder),
		args: func(port int) []string {
			return []string{path, "--hostname", "127.0.0.1", "--port", strconv.Itoa(port), "--imdsv2"}
		},
		ready: metadataReady,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.stop(); err != nil {
			tb.Errorf("stop %s: %v", name, err)
		}
	})
	version := ""
	if reporting() {
		version = " " + versionOf(tb.Context(), path, "--version")
	}
	Require(tb, name+version, nil)
	return &Metadata{URL: "http://" + p.address()}
}

// metadataReady wants the refusal that IMDSv2 gives to a request without a token.
func metadataReady(ctx context.Context, port int) error {
	status, _, err := call(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/latest/meta-data/", port), "")
	if err == nil && status != http.StatusUnauthorized {
		err = fmt.Errorf("it answered %d to a request without a token", status)
	}
	return err
}
