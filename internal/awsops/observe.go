package awsops

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/logging"
	smithy "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxErrorBody bounds how much of an error's body is read, in bytes. AWS's own are far below it.
const maxErrorBody = 64 << 10

// call is what was seen of one operation, and its error when it failed. The SDK's error chain alone does not tell how
// often an operation was tried, which host was asked, nor what came before a time-out.
type call struct {
	service   string // sts, ec2
	operation string
	attempts  int           // how often it was tried
	host      string        // of the last attempt that was sent
	last      error         // of the last attempt
	skew      time.Duration // how far the clock is behind the server's, by the last answer
	body      string        // the beginning of an answer that was no success, as it came
	kind      string        // its content type
	err       error
}

// Error is the text of the failure.
func (c *call) Error() string { return c.err.Error() }

// Unwrap is the failure.
func (c *call) Unwrap() error { return c.err }

type callKey struct{}

// observe adds to an operation what sees it from outside (the whole), in between (each attempt) and inside (each
// answer).
func observe(stack *smithy.Stack) error {
	if err := stack.Initialize.Add(smithy.InitializeMiddlewareFunc("BelayCall", observeCall), smithy.Before); err != nil {
		return err
	}
	const retry = "Retry"
	if _, ok := stack.Finalize.Get(retry); ok {
		if err := stack.Finalize.Insert(smithy.FinalizeMiddlewareFunc("BelayAttempt", observeAttempt), retry, smithy.After); err != nil {
			return err
		}
	}
	return stack.Deserialize.Add(smithy.DeserializeMiddlewareFunc("BelayAnswer", observeAnswer), smithy.After)
}

func observeCall(ctx context.Context, in smithy.InitializeInput, next smithy.InitializeHandler) (
	out smithy.InitializeOutput, metadata smithy.Metadata, err error,
) {
	seen := &call{
		service:   strings.ToLower(strings.ReplaceAll(middleware.GetServiceID(ctx), " ", "")),
		operation: middleware.GetOperationName(ctx),
	}
	out, metadata, err = next.HandleInitialize(context.WithValue(ctx, callKey{}, seen), in)
	if err == nil {
		return out, metadata, nil
	}
	seen.skew, _ = middleware.GetAttemptSkew(metadata)
	seen.err = err
	return out, metadata, seen
}

func observeAttempt(ctx context.Context, in smithy.FinalizeInput, next smithy.FinalizeHandler) (
	smithy.FinalizeOutput, smithy.Metadata, error,
) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	if seen, ok := ctx.Value(callKey{}).(*call); ok {
		seen.attempts++
		seen.last = err
	}
	return out, metadata, err
}

func observeAnswer(ctx context.Context, in smithy.DeserializeInput, next smithy.DeserializeHandler) (
	smithy.DeserializeOutput, smithy.Metadata, error,
) {
	seen, known := ctx.Value(callKey{}).(*call)
	if request, ok := in.Request.(*smithyhttp.Request); ok && known {
		seen.host = request.URL.Host
		seen.body, seen.kind = "", ""
	}
	out, metadata, err := next.HandleDeserialize(ctx, in)
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || !known {
		return out, metadata, err
	}
	page := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") // AWS never answers with one, a captive portal does
	if answer.StatusCode < http.StatusMultipleChoices && !page {
		return out, metadata, nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxErrorBody))
	_ = answer.Body.Close()
	if err != nil {
		return out, metadata, fmt.Errorf("read the answer: %w", err)
	}
	seen.body, seen.kind = string(body), answer.Header.Get("Content-Type")
	answer.Body = io.NopCloser(bytes.NewReader(straighten(seen.service, body)))
	return out, metadata, nil
}

// sdkLog passes the SDK's warnings on, such as that it fell back to version 1 of instance metadata.
func (s *Sessions) sdkLog() logging.Logger {
	if s.Log == nil {
		return logging.Nop{}
	}
	return logging.LoggerFunc(func(kind logging.Classification, format string, args ...any) {
		if kind == logging.Warn {
			s.Log.Debug("the aws sdk warns", slog.String("warning", clean(fmt.Sprintf(format, args...), nil)))
		}
	})
}
