package awsops

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/belay-dev/belay/internal/connector"
)

// link is one place where the delegate's own credentials may be.
type link struct {
	name  string // as people know it
	asked string // what is looked at: variables, files, an address
	try   func(context.Context) found
}

// found is what a link answered.
type found struct {
	// absent: nothing is configured there, so the next link is tried.
	absent bool
	answer string // in few words, for people
	creds  aws.Credentials
	err    error // what is configured there failed
}

func absent(format string, args ...any) found {
	return found{absent: true, answer: fmt.Sprintf(format, args...)}
}

// chain asks the links in the SDKs' order and stops at the first that is configured.
func (s *source) chain(ctx context.Context) (aws.Credentials, error) {
	var tried []connector.SourceTried
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tried = tried
	}()
	for _, one := range s.links() {
		if ctx.Err() != nil {
			return aws.Credentials{}, &stepError{step: connector.StepCredentials, sources: tried, err: contextError(ctx)}
		}
		got := one.try(ctx)
		if got.err == nil && !got.absent && !got.creds.HasKeys() {
			got.err, got.answer = errNoKeys, errNoKeys.Error()
		}
		switch {
		case got.absent:
			tried = append(tried, connector.SourceTried{Name: one.name, Asked: one.asked, Answer: got.answer})
		case got.err != nil:
			tried = append(tried, connector.SourceTried{Name: one.name, Asked: one.asked, Answer: got.answer})
			return aws.Credentials{}, s.failed(one, got, tried)
		default:
			tried = append(tried, connector.SourceTried{Name: one.name, Asked: one.asked, Answer: "gave credentials"})
			got.creds.Source = one.name
			return got.creds, nil
		}
	}
	return aws.Credentials{}, &stepError{
		step: connector.StepCredentials, reason: connector.ReasonNoCredentials, sources: tried,
		err: errors.New("no source of credentials is configured"),
	}
}

// failed gives the error of a link the sources that were tried up to it.
func (s *source) failed(one link, got found, tried []connector.SourceTried) error {
	step := lastOf[*stepError](got.err)
	if step == nil {
		step = &stepError{step: connector.StepCredentials, reason: connector.ReasonNoCredentials, err: got.err}
		got.err = step
	}
	step.sources = tried
	return fmt.Errorf("%s: %w", one.name, got.err)
}

func (s *source) links() []link {
	return []link{
		{"environment", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", s.environment},
		{"web identity", envRoleARN + ", " + envTokenFile, s.webIdentityLink},
		s.profileLink(),
		s.containerLink(),
		s.metadataLink(),
	}
}

// environment is the link of the variables that hold a key itself.
func (s *source) environment(context.Context) found {
	first := func(names ...string) string {
		for _, name := range names {
			if text := s.env(name); text != "" {
				return text
			}
		}
		return ""
	}
	// The second names are of old SDKs; this one still takes them.
	id, key := first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
	switch {
	case id == "" && key == "":
		return absent("not set")
	case id == "":
		return absent("AWS_ACCESS_KEY_ID is not set, though AWS_SECRET_ACCESS_KEY is")
	case key == "":
		return absent("AWS_SECRET_ACCESS_KEY is not set, though AWS_ACCESS_KEY_ID is")
	}
	return found{creds: aws.Credentials{AccessKeyID: id, SecretAccessKey: key, SessionToken: s.env("AWS_SESSION_TOKEN")}}
}

// webIdentityLink is the link of IRSA, as the delegate's chain takes it too: the token file turns it on.
func (s *source) webIdentityLink(ctx context.Context) found {
	if s.env(envTokenFile) == "" {
		return absent("not set")
	}
	creds, err := s.webIdentityFile(ctx)
	return found{creds: creds, err: err, answer: inBrief(err)}
}

// inBrief is an error as the answer of a source.
func inBrief(err error) string {
	if err == nil {
		return ""
	}
	f := FailureOf(err, "", connector.StepCredentials)
	switch {
	case f.Code != "":
		return strings.TrimSpace(f.Code + ": " + f.Message)
	case f.Operation != "" && f.Reason != connector.ReasonNone:
		return f.Operation + ": " + plainly(err)
	}
	return f.Text
}
