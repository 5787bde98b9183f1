package awsops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"github.com/belay-dev/belay/internal/connector"
)

// profileLink reads the profile of AWS's configuration files: keys, a role with its source, SSO, a process.
func (s *source) profileLink() link {
	home := s.env("HOME")
	if home == "" {
		home = s.env("USERPROFILE")
	}
	file := func(variable, name string) string {
		if set := s.env(variable); set != "" {
			return set
		}
		if home == "" {
			return ""
		}
		return filepath.Join(home, ".aws", name)
	}
	var files []string
	configFile, keysFile := file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")
	for _, name := range []string{configFile, keysFile} {
		if name != "" {
			files = append(files, name)
		}
	}
	named := s.env("AWS_PROFILE")
	if named == "" {
		named = s.env("AWS_DEFAULT_PROFILE")
	}
	name := named
	if name == "" {
		name = "default"
	}
	return link{
		name: "profile " + clip(name, 64), asked: strings.Join(files, ", "),
		try: func(ctx context.Context) found { return s.profile(ctx, name, named != "", configFile, keysFile) },
	}
}

// profile gives the credentials of one profile. A profile that was asked for by name must be there; the default one
// need not be.
func (s *source) profile(ctx context.Context, name string, asked bool, configFile, keysFile string) found {
	refused := func(err error) found {
		return found{answer: clean(err.Error(), nil), err: &stepError{step: connector.StepCredentials, reason: connector.ReasonNoCredentials, err: err}}
	}
	if !exists(configFile) && !exists(keysFile) {
		if asked {
			return refused(fmt.Errorf("AWS_PROFILE names the profile %q, but there is no such file", name))
		}
		return absent("not set up: no such file")
	}
	read, err := config.LoadSharedConfigProfile(ctx, name, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles, o.Logger = []string{configFile}, []string{keysFile}, s.sdkLog()
	})
	var none config.SharedConfigProfileNotExistError
	switch {
	case errors.As(err, &none) && !asked:
		return absent("not set up: the files have no profile %q", name)
	case err != nil:
		return refused(err)
	case !holdsCredentials(read):
		return absent("not set up: the profile holds no credentials")
	}
	endpoints := endpoints{env: s.env}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithSharedConfigProfile(name),
		config.WithSharedConfigFiles([]string{configFile}), config.WithSharedCredentialsFiles([]string{keysFile}),
		config.WithRegion(s.base.Region), config.WithLogger(s.sdkLog()),
		config.WithHTTPClient(s.web.buildable),
		config.WithRetryer(func() aws.Retryer { return s.retryer(s.access.access().Backoff) }),
		config.WithAPIOptions([]func(*middleware.Stack) error{observe, endpoints.redirect}),
	)
	if err != nil {
		return refused(err)
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		failed := &stepError{step: connector.StepCredentials, err: err}
		for from := &read; from != nil; from = from.Source {
			failed.hide = append(failed.hide, secretsOf(from.Credentials)...)
		}
		if codeOf(err) == "" && lastOf[*call](err) == nil && !ended(err) {
			failed.reason = connector.ReasonNoCredentials // no service of AWS was asked: a process, a missing token
		}
		return found{answer: inBrief(failed), err: failed}
	}
	return found{creds: creds}
}

// holdsCredentials reports whether the profile is one from which the SDK would take credentials itself.
func holdsCredentials(p config.SharedConfig) bool {
	return p.Source != nil || p.Credentials.HasKeys() || p.CredentialSource != "" || p.WebIdentityTokenFile != "" ||
		p.SSOSession != nil || p.SSOStartURL != "" || p.SSOSessionName != "" || p.LoginSession != "" || p.CredentialProcess != ""
}

func exists(name string) bool {
	if name == "" {
		return false
	}
	about, err := os.Stat(name)
	return err == nil && !about.IsDir()
}
