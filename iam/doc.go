// Package iam reads AWS policy documents, decides requests by them as AWS documents it, and explains each decision by
// the statements that made it. It needs no account, no network and nothing but the standard library.
//
// A document is read by [Parse], strictly: every problem is reported at once, with its place. [Compile] turns all the
// policies that bear on a principal and a resource (identity, resource, permissions boundary, session, service control,
// resource control and VPC endpoint policies) into a [Set], which is immutable and may be used by many goroutines.
// [Set.Decide] answers one request, without allocating; [Set.Explain] says which statements decided, which layers block
// and, for a denial, which statements missed it narrowly.
//
//	document, err := iam.Parse(text)
//	set, err := iam.Compile(iam.Policies{Identity: []iam.Policy{{Name: "deployer", Document: document}}}, iam.Settings{})
//	decision := set.Decide(&iam.Request{Principal: user, Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/key"})
//
// The rules are those of the IAM User Guide, "Policy evaluation logic"
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html) and of the pages on the
// elements, the condition operators, the variables and the kinds of policy that it links to. A request's context is the
// whole truth, nothing is derived from the principal or the resource; see [Settings] for the mode in which what the
// context does not state is unknown instead.
package iam
