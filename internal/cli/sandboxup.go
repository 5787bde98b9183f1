package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/belay-dev/belay/internal/manager"
	"github.com/belay-dev/belay/internal/oidc"
	"github.com/belay-dev/belay/internal/sandbox"
)

// upScene is what `belay up --sandbox` begins with: what the examples need, and no more. The delegate has a key and, as
// in a Kubernetes cluster, a web identity; either may assume the role of the other account with its external id.
//
//nolint:gosec // its keys open nothing but the sandbox
const upScene = `
issuers: [cluster]
accounts:
  - id: "123456789012"
    policies:
      - name: belay-delegate
        document:
          Version: "2012-10-17"
          Statement:
            - {Sid: Regions, Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}
            - {Sid: OtherAccounts, Effect: Allow, Action: "sts:AssumeRole", Resource: "arn:aws:iam::210987654321:role/belay-deploy"}
    providers:
      - {url: "http://{{issuer.cluster}}", clientIDs: [sts.amazonaws.com]}
    users:
      - {name: belay-delegate, attach: [belay-delegate], keys: [{id: AKIASTANDIN0DELEGATE, secret: stand-in}]}
      - {name: example, attach: [belay-delegate], keys: [{id: AKIAEXAMPLE000000001, secret: stand-in}]}
    roles:
      - name: belay-delegate
        attach: [belay-delegate]
        trust:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Principal: {Federated: "arn:aws:iam::123456789012:oidc-provider/{{issuer.cluster}}"}
              Action: "sts:AssumeRoleWithWebIdentity"
              Condition:
                StringEquals:
                  "{{issuer.cluster}}:aud": sts.amazonaws.com
                  "{{issuer.cluster}}:sub": "system:serviceaccount:belay:delegate"
  - id: "210987654321"
    name: workloads
    roles:
      - name: belay-deploy
        inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
        trust:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Principal: {AWS: "arn:aws:iam::123456789012:root"}
              Action: "sts:AssumeRole"
              Condition: {StringEquals: {"sts:ExternalId": example-external-id}}
  - id: "345678901234"
    name: government
    partition: aws-us-gov
    users:
      - name: example
        inline: {deploy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}}
        keys: [{id: AKIAEXAMPLE000000002, secret: stand-in}]
    roles:
      - name: belay-deploy
        inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
        trust: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws-us-gov:iam::345678901234:root"}, Action: "sts:AssumeRole"}]}
`

// oidcScene is a role that trusts the manager's own issuer, in the form in which IAM writes its address.
const oidcScene = `
accounts:
  - id: "123456789012"
    providers: [{url: "ISSUER", clientIDs: [sts.amazonaws.com]}]
    roles:
      - name: belay-oidc
        inline: {regions: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:DescribeRegions", Resource: "*"}]}}
        trust:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Principal: {Federated: "arn:aws:iam::123456789012:oidc-provider/NAME"}
              Action: ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
              Condition: {StringEquals: {"NAME:aud": sts.amazonaws.com, "NAME:sub": "account/ACCOUNT:org/:project/"}}
`

// ownIssuer is oidcScene for a manager, or "" for one at an address that IAM would not take.
func ownIssuer(public, account string) string {
	u, err := url.Parse(public)
	if err != nil || u.Scheme == "https" && u.Port() != "" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && (ip == nil || !ip.IsLoopback()) {
		return ""
	}
	issuer := strings.TrimRight(public, "/") + oidc.Path(account)
	return strings.NewReplacer("ISSUER", issuer, "NAME", strings.TrimPrefix(issuer, u.Scheme+"://"), "ACCOUNT", account).Replace(oidcScene)
}

// webToken is what the delegate's web identity is made from.
func webToken() sandbox.TokenRequest {
	return sandbox.TokenRequest{Issuer: "cluster", Subject: "system:serviceaccount:belay:delegate", Life: sandbox.Duration(24 * time.Hour)}
}

// ownSandbox runs a sandbox beside the manager, and gives the variables that lead the delegate to it.
func ownSandbox(ctx context.Context, a *app, m manager.Started, data, logs string, beside func(func(context.Context))) (map[string]string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", sandboxListen)
	if errors.Is(err, syscall.EADDRINUSE) { // of another `up`, or of a sandbox that runs for itself
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, err
	}
	file, err := openLog(filepath.Join(logs, "sandbox.log"))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	abandon := func(err error) (map[string]string, error) { return nil, errors.Join(err, l.Close(), file.Close()) }
	at := "http://" + l.Addr().String()
	s, err := sandbox.New(sandbox.Config{Base: at, Log: slog.New(slog.NewJSONHandler(file, nil))})
	if err != nil {
		return abandon(err)
	}
	if _, err := s.Seed([]byte(upScene)); err != nil {
		return abandon(err)
	}
	if scene := ownIssuer(m.URL, m.Account); scene != "" {
		if _, err := s.Seed([]byte(scene)); err != nil {
			return abandon(err)
		}
	}
	path := filepath.Join(data, "stand-in-token")
	if err := renewToken(s, path); err != nil {
		return abandon(err)
	}
	beside(func(ctx context.Context) {
		if err := errors.Join(sandbox.Serve(ctx, l, s), file.Close()); err != nil {
			a.note("The sandbox ended: %s", err)
		}
	})
	beside(func(ctx context.Context) {
		tick := time.NewTicker(12 * time.Hour) // half of a token's life
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := renewToken(s, path); err != nil {
				a.note("The delegate's web identity token was not renewed: %s", err)
			}
		}
	})
	a.line("Belay's sandbox stands in for AWS at %s. It checks signatures, trust policies, external ids,", at)
	a.line("permissions and expiry as AWS does, and forgets all at its end. A green test against it is a rehearsal:")
	a.line("it does not show that your AWS account is set up. To work on it with the AWS CLI, as its administrator:")
	if key, ok := s.Admin(); ok {
		for _, pair := range sandboxVariables(at, key) {
			a.line("  export %s=%s", pair[0], pair[1])
		}
	}
	return map[string]string{
		"AWS_ENDPOINT_URL": at, "AWS_ACCESS_KEY_ID": standInKey, "AWS_SECRET_ACCESS_KEY": standInSecret,
		"AWS_ROLE_ARN": standInRole, "AWS_WEB_IDENTITY_TOKEN_FILE": path, "AWS_EC2_METADATA_DISABLED": "true",
	}, nil
}

func renewToken(s *sandbox.Server, path string) error {
	token, err := s.Token(webToken())
	if err != nil {
		return err
	}
	return writeFile(path, []byte(token))
}
