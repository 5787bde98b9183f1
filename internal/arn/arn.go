// Package arn knows how Amazon names things: resource names, partitions and their Regions.
//
// Source: the IAM user guide's page "Identify AWS resources with Amazon Resource Names (ARNs)", and the partition data
// that AWS publishes with its SDKs.
package arn

import (
	"fmt"
	"strings"
)

// ARN is a parsed Amazon resource name: arn:partition:service:region:account:resource.
type ARN struct {
	Partition string
	Service   string
	Region    string
	Account   string
	Resource  string // all that follows the fifth colon
}

// Parse reads a resource name. It checks the form only, not whether the partition or service exists.
func Parse(text string) (ARN, error) {
	parts := strings.SplitN(text, ":", 6)
	switch {
	case len(parts) < 6 || parts[0] != "arn":
		return ARN{}, fmt.Errorf("%q is not an ARN; one looks like arn:aws:iam::123456789012:role/name", clip(text))
	case parts[1] == "" || parts[2] == "" || parts[5] == "":
		return ARN{}, fmt.Errorf("%q lacks its partition, service or resource", clip(text))
	}
	return ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}, nil
}

// String writes the name as it was parsed.
func (a ARN) String() string {
	return strings.Join([]string{"arn", a.Partition, a.Service, a.Region, a.Account, a.Resource}, ":")
}

// CheckRole says what is wrong with the ARN of an IAM role, or "" when it is right.
func CheckRole(text string) string {
	a, err := Parse(text)
	switch {
	case err != nil:
		return err.Error()
	case a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/"):
		return fmt.Sprintf("%q names no IAM role; one looks like arn:aws:iam::123456789012:role/name", clip(text))
	case a.Region != "":
		return fmt.Sprintf("%q has a Region; IAM is global, so that part is empty", clip(text))
	case !digits(a.Account):
		return fmt.Sprintf("the account id %q of the role is not a number of 12 digits", clip(a.Account))
	case len(a.Account) != accountDigits:
		return fmt.Sprintf("the account id %s has %d digits, AWS uses %d", clip(a.Account), len(a.Account), accountDigits)
	case strings.TrimPrefix(a.Resource, "role/") == "" || strings.HasSuffix(a.Resource, "/"):
		return fmt.Sprintf("%q lacks the name of the role", clip(text))
	}
	if _, known := partitions[a.Partition]; !known {
		return fmt.Sprintf("the partition %q is not one of AWS's", clip(a.Partition))
	}
	return ""
}

const accountDigits = 12

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
