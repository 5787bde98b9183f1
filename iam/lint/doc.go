// Package lint finds what is wrong, or unwise, with IAM policy documents that are well formed: actions that never match
// their resources, names that AWS does not know, conditions that never hold, statements without effect, grants that are
// wider than they look, and trust that lets strangers in.
//
//	document, err := iam.Parse(text)
//	findings, err := lint.Document(document, lint.Subject{Kind: lint.Identity})
//
// Each [Finding] names its [Rule] by an identifier that never changes its meaning: BLP and three digits, of which the
// first is the group (1 structure, 2 actions, 3 resources, 4 conditions, 5 grants, 6 trust, 7 reach). An identifier whose
// rule is given up is not used again.
//
// What AWS has is looked up in package service, which is a copy of AWS's reference of some day: a name that is newer is
// not known to it, so unknown names are warnings and no errors.
package lint
