package awsops

import (
	"context"
	"net/url"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// endpoints is what the environment says of endpoints: AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT. It is part of the
// configuration itself, so that every client heeds it, also the STS clients inside providers, which the SDK's own loader
// makes before it has read AWS_ENDPOINT_URL.
type endpoints struct{ env func(string) string }

// of is the endpoint of one service, by the SDK's id of it, such as "Auto Scaling".
func (e endpoints) of(service string) (string, bool) {
	if strings.EqualFold(e.env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return "", false
	}
	configured := e.env("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_")))
	if configured == "" {
		configured = e.env("AWS_ENDPOINT_URL")
	}
	return configured, configured != ""
}

// apply sets the endpoint of a client when it is made. The options of each service are a type of their own, with the
// same field in it.
func (e endpoints) apply(service string, options any) {
	configured, ok := e.of(service)
	if !ok {
		return
	}
	field := reflect.Indirect(reflect.ValueOf(options)).FieldByName("BaseEndpoint")
	if field.CanSet() && field.Type() == reflect.TypeFor[*string]() {
		field.Set(reflect.ValueOf(&configured))
	}
}

// GetUseFIPSEndpoint answers a client that is being made.
func (e endpoints) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	switch strings.ToLower(e.env("AWS_USE_FIPS_ENDPOINT")) {
	case "true":
		return aws.FIPSEndpointStateEnabled, true, nil
	case "false":
		return aws.FIPSEndpointStateDisabled, true, nil
	}
	return aws.FIPSEndpointStateUnset, false, nil
}

// GetUseDualStackEndpoint answers a client that is being made.
func (e endpoints) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	switch strings.ToLower(e.env("AWS_USE_DUALSTACK_ENDPOINT")) {
	case "true":
		return aws.DualStackEndpointStateEnabled, true, nil
	case "false":
		return aws.DualStackEndpointStateDisabled, true, nil
	}
	return aws.DualStackEndpointStateUnset, false, nil
}

// redirect is the same for clients that the SDK's loader makes for a profile: it sends each request to the configured
// endpoint, after the SDK has chosen its own and before it signs.
func (e endpoints) redirect(stack *middleware.Stack) error {
	const chosen = "ResolveEndpointV2"
	if _, ok := stack.Finalize.Get(chosen); !ok {
		return nil
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("BelayEndpoint", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error,
	) {
		service := awsmiddleware.GetServiceID(ctx) // none: instance metadata or a container endpoint
		to, ok := e.of(service)
		request, isHTTP := in.Request.(*smithyhttp.Request)
		if target, err := url.Parse(to); service != "" && ok && isHTTP && err == nil && target.Host != "" {
			request.URL.Scheme, request.URL.Host, request.Host = target.Scheme, target.Host, target.Host
		}
		return next.HandleFinalize(ctx, in)
	}), chosen, middleware.After)
}
