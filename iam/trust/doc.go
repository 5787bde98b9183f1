// Package trust makes the trust policies of roles, and says why one lets a caller in or does not. It needs no account, no
// network and nothing but the standard library.
//
// [For] makes a policy for who is to assume the role: EC2 instances, ECS tasks, Lambda functions, other accounts with an
// external id, Kubernetes service accounts by IRSA or EKS Pod Identity, and tokens of any OpenID Connect issuer.
//
//	policy, err := trust.For(trust.Ask{For: trust.CrossAccount, Principals: []string{"111111111111"}, ExternalID: trust.NewExternalID()})
//
// [Explain] decides an sts:AssumeRole or sts:AssumeRoleWithWebIdentity by package iam and says, for a refusal, in which
// element each statement misses the caller and how near it is: a role with another path, an external id with a blank at its
// end, another audience. [Findings] names what in a trust policy lets in more than was meant, or nobody.
//
// Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html,
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html (the confused deputy),
// https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html (IRSA),
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html (Pod Identity),
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html (ECS).
package trust
