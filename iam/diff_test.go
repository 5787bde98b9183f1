package iam_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
)

func document(tb testing.TB, text string) *iam.Document {
	tb.Helper()
	d, err := iam.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// statements makes a document of the current version.
func statements(tb testing.TB, text ...string) *iam.Document {
	tb.Helper()
	return document(tb, `{"Version":"2012-10-17","Statement":[`+strings.Join(text, ",")+`]}`)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	const (
		read      = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a/*"}`
		readAll   = `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`
		readTLS   = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`
		but       = `{"Effect":"Allow","Action":"s3:GetObject","NotResource":"arn:aws:s3:::secret/*"}`
		notIAM    = `{"Effect":"Allow","NotAction":["iam:*","s3:*"],"Resource":"*"}`
		denySub   = `{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::a/private/*"}`
		denyAll   = `{"Effect":"Deny","Action":"*","Resource":"*"}`
		oneObject = `{"Effect":"Allow","Action":"S3:getobject","Resource":"arn:aws:s3:::a/b?/c"}`
	)
	actions := []string{"iam:GetUser", "s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "sqs:SendMessage"}
	for name, tt := range map[string]struct {
		a, b []string
		want []string
	}{
		"the same":                        {[]string{read}, []string{read}, nil},
		"another order and letter case":   {[]string{notIAM, read}, []string{`{"Effect":"Allow","Action":"s3:getOBJECT","Resource":"arn:aws:s3:::a/*"}`, notIAM}, nil},
		"nothing before":                  {nil, []string{read}, []string{"s3:GetObject arn:aws:s3:::a/*: no statement allows s3:GetObject"}},
		"wider before":                    {[]string{readAll}, []string{read}, nil},
		"an object of a bucket":           {[]string{read}, []string{oneObject}, nil},
		"wider now":                       {[]string{read}, []string{readAll}, []string{"s3:GetObject *: statement 1 of p allows it on arn:aws:s3:::a/* only", "s3:GetObjectAcl *: no statement allows s3:GetObjectAcl"}},
		"a condition falls":               {[]string{readTLS}, []string{read}, []string{"s3:GetObject arn:aws:s3:::a/*: statement 1 of p allows it under a condition only: Bool of aws:SecureTransport is true"}},
		"a condition comes":               {[]string{read}, []string{readTLS}, nil},
		"a denial falls":                  {[]string{read, denySub}, []string{read}, []string{"s3:GetObject arn:aws:s3:::a/*: statement 2 of p denies it"}},
		"a denial stays":                  {[]string{read, denySub}, []string{denySub, read}, nil},
		"all is denied now":               {nil, []string{read, denyAll}, nil},
		"what is left out is not allowed": {[]string{but}, []string{read}, nil},
		"what was left out":               {[]string{but}, []string{`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`}, []string{"s3:GetObject *: statement 1 of p allows it on all but arn:aws:s3:::secret/* only"}},
		"more is left out":                {[]string{but}, []string{`{"Effect":"Allow","Action":"s3:GetObject","NotResource":["arn:aws:s3:::secret/*","arn:aws:s3:::other/*"]}`}, nil},
		"actions by what they are not":    {[]string{`{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`}, []string{notIAM}, nil},
		"actions that were left out":      {[]string{notIAM}, []string{`{"Effect":"Allow","Action":"*","Resource":"*"}`}, []string{"iam:GetUser *: no statement allows iam:GetUser", "s3:GetObject *: no statement allows s3:GetObject", "s3:GetObjectAcl *: no statement allows s3:GetObjectAcl", "s3:PutObject *: no statement allows s3:PutObject"}},
		"in another bucket":               {[]string{read}, []string{`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`}, []string{"s3:GetObject arn:aws:s3:::b/*: statement 1 of p allows it on arn:aws:s3:::a/*"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := iam.Diff(
				[]iam.Policy{{Name: "p", Document: statements(t, tt.a...)}}, []iam.Policy{{Name: "q", Document: statements(t, tt.b...)}}, actions)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range found {
				got = append(got, d.Action+" "+d.Resource+strings.Join(d.Except, ",")+": "+d.Why)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
