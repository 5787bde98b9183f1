// Package awsops is the one place where Belay meets AWS: it turns a connector.Access into an aws.Config, tests a
// connection with it, and says as facts what failed.
//
// The path of credentials, for every caller alike:
//
//	connector.Access
//	   │  checks before any call: Region, partitions, role ARNs, empty keys
//	   ▼
//	source          StaticKeys │ DelegateRole (the chain) │ WebIdentityFile │ WebIdentityToken
//	   ▼
//	CrossAccount    sts:AssumeRole with external id and session name, if the connector names a role
//	   ▼
//	session         kept under the connector's key for five minutes at most
//	   ▼
//	aws.Config      with the connector's backoff as retryer, the endpoints, proxy and CA of the environment
//
// The delegate's chain has the order of the AWS SDKs: environment keys, web identity variables, profile files, container
// endpoint, instance metadata. It is written out here, link by link, instead of being left to the SDK's own loader, since
// a connection test must say which sources were tried and what each answered. As in the SDK, the first source that is
// configured decides: when it fails, the later ones are not tried.
//
// Every failure becomes a connector.Failure by FailureOf. It holds what was seen (step, operation, code, status, host),
// never a judgement, which is the domain's, and never a secret: texts are cleaned and clipped.
package awsops
