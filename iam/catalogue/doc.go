// Package catalogue knows which IAM policies a use of AWS needs, and makes them for the resources that are meant.
//
// A [Capability] is something that people do with a connection to AWS, such as reading from S3 or deploying to ECS. It
// lists AWS-managed policies by ARN, customer-managed documents, the trust policies of the role that holds them and the
// resource-based policies on the other side, each with the page that it was taken from. The documents are as those
// pages print them, except where one is broken: then it is mended, [Policy.Mended] says how, and [Policy.AsWritten]
// keeps what the page has.
//
//	result, err := catalogue.For([]string{"s3-read-write", "ecr-pull"}, catalogue.Narrowing{Buckets: []string{"artifacts"}}, catalogue.Placement{})
//
// [For] narrows the documents to the resources that are named, joins what says the same, and spreads the statements
// over as few documents as the quotas of IAM allow
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html). What it makes allows nothing that the
// capabilities without narrowing do not. Package render writes a [Result] for Terraform, CloudFormation and the AWS CLI.
package catalogue
