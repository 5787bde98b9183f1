package awsops_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A key that the Region's partition does not know is looked for in the others: AWS's answer there is proof, where its
// refusal here could mean anything.
func TestAKeyOfAnotherPartitionIsFound(t *testing.T) {
	t.Parallel()
	refuse := stsError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	knownIn := func(region, arn string) answers {
		return answers{"GetCallerIdentity": func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Authorization"), "/"+region+"/sts/") {
				refuse(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, identity(arn))
		}}
	}
	for name, tt := range map[string]struct {
		aws    answers
		region string // of the connector
		want   string
	}{
		"a GovCloud key in a standard Region": {knownIn("us-gov-west-1", "arn:aws-us-gov:iam::123456789012:user/ci"), "us-east-1", "aws-us-gov"},
		"a China key in a standard Region":    {knownIn("cn-northwest-1", "arn:aws-cn:iam::123456789012:user/ci"), "us-east-1", "aws-cn"},
		"a standard key in GovCloud":          {knownIn("us-east-1", "arn:aws:iam::123456789012:user/ci"), "us-gov-west-1", "aws"},
		"a key that nobody knows":             {knownIn("nowhere-1", ""), "us-east-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := check(keys())
			one.Access.Region = tt.region
			if f := failed(t, sessions(newStub(t, tt.aws).env(nil)), one); f.Partition != tt.want || f.Code != "InvalidClientTokenId" {
				t.Fatalf("partition %q, want %q: %s", f.Partition, tt.want, f.Text)
			}
		})
	}
}
