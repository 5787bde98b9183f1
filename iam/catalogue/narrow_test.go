package catalogue_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-dev/belay/iam"
	"github.com/belay-dev/belay/iam/catalogue"
)

func TestNarrow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy    string // its statements
		narrowing catalogue.Narrowing
		want      string
	}{
		"nothing is named": {
			policy: `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`,
			want:   `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`,
		},
		"a narrower statement stays": {
			policy:    `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/public/*"}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/public/*"}`,
		},
		"a statement on something else goes": {
			policy:    `{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::c/*","arn:aws:s3:::*"]}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`,
		},
		"an overlap stays as it was": {
			policy:    `{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/*-task"}`,
			narrowing: catalogue.Narrowing{Roles: []string{"prod-*"}},
			want:      `{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/*-task"}`,
		},
		"an action on a bucket never gets an object, nor the reverse": {
			policy:    `{"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":"*"}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`,
		},
		"an action without a resource is only allowed by a star": {
			policy:    `{"Effect":"Allow","Action":["s3:ListA*"],"Resource":"arn:aws:s3:::*"},{"Effect":"Allow","Action":["s3:ListAllM*"],"Resource":"*"}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"s3:ListAllM*","Resource":"*"}`,
		},
		"what an action needs besides is written out": {
			policy:    `{"Effect":"Allow","Action":"iam:GenerateServiceLast*","Resource":"*"}`,
			narrowing: catalogue.Narrowing{Roles: []string{"r"}},
			want: `{"Effect":"Allow","Action":"iam:GenerateServiceLastAccessedDetails","Resource":["arn:aws:iam::*:group/*","arn:aws:iam::*:policy/*","arn:aws:iam::*:user/*"]},
				{"Effect":"Allow","Action":"iam:GenerateServiceLast*","Resource":"arn:aws:iam::*:role/r"}`,
		},
		"a function has versions and aliases": {
			policy:    `{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}`,
			narrowing: catalogue.Narrowing{Functions: []string{"f"}},
			want:      `{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":["arn:aws:lambda:*:*:function:f","arn:aws:lambda:*:*:function:f:*"]}`,
		},
		"an action in other letters": {
			policy:    `{"Effect":"Allow","Action":"ECR:batchgetimage","Resource":"*"}`,
			narrowing: catalogue.Narrowing{Repositories: []string{"r"}},
			want:      `{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:*:*:repository/r"}`,
		},
		"everything stays everything": {
			policy:    `{"Effect":"Allow","Action":"*","Resource":"*"}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"*","Resource":"*"}`,
		},
		"denials and negations stay": {
			policy: `{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","NotAction":"iam:*","Resource":"*"},
				{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::c/*"},{"Sid":"Twice","Effect":"Deny","Action":"s3:*","Resource":"*"}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want: `{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","NotAction":"iam:*","Resource":"*"},
				{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::c/*"}`,
		},
		"a statement with a variable stays: without its value nothing of it is allowed": {
			policy:    `{"Effect":"Allow","Action":"s3:GetObject","Resource":["*","arn:aws:s3:::b/${aws:username}/*"]}`,
			narrowing: catalogue.Narrowing{Buckets: []string{"b"}},
			want:      `{"Effect":"Allow","Action":"s3:GetObject","Resource":["*","arn:aws:s3:::b/${aws:username}/*"]}`,
		},
		"ARNs move to another partition": {
			policy:    `{"Effect":"Deny","NotAction":"s3:*","Resource":"arn:aws:s3:::b","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:t"}}}`,
			narrowing: catalogue.Narrowing{Partition: "aws-cn"},
			want:      `{"Effect":"Deny","NotAction":"s3:*","Resource":"arn:aws-cn:s3:::b","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws-cn:sns:*:*:t"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[` + tt.policy + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := catalogue.Narrow(d.Statements, tt.narrowing)
			if err != nil {
				t.Fatal(err)
			}
			want := jsonValue(t, `{"Statement":[`+tt.want+`]}`)
			if diff := cmp.Diff(want, jsonValue(t, text(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := catalogue.Narrow(nil, catalogue.Narrowing{Account: "x"}); !errors.Is(err, catalogue.ErrInput) {
		t.Errorf("the error is %v", err)
	}
}
