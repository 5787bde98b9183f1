// Package sandbox is an AWS access plane on one's own machine: STS, IAM, Organizations, EC2's DescribeRegions and instance
// metadata. It exists so that connectors, trust policies and permissions can be rehearsed, and broken on purpose, with no
// AWS account.
//
// It is no mock: signatures are verified, sessions end, clocks that are off are refused, and Belay's own policy engine
// decides over identity policies, groups, boundaries, session policies, trust policies, service control policies and
// resource control policies. Codes, statuses and texts of its errors are those of AWS, each in the envelope of its
// protocol.
//
// # A request
//
//	structure → key id → session → time → scope → signature → throttle → permission → operation
//
// One listener serves every service: the credential scope of the signature says which is meant, as does the partition of
// the scope's Region. Paths below /latest are instance metadata, below /oidc the issuers of clusters, and below /_belay
// the controls: clock, settings and scenes.
//
// # State
//
// The state is immutable: a change copies the account that it concerns and puts the new state in the old one's place. So
// readers need no lock, a decision sees one state from beginning to end, compiled policies are kept as long as their
// state is, and a propagation delay is nothing but looking at an older state.
//
// A session is not part of the state. It travels sealed in its own token, so that thousands cost nothing and a restart
// with --state forgets none.
package sandbox
