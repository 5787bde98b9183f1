package iam_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belay-dev/belay/iam"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const text = `{
  "Version": "2012-10-17",
  "Statement": {"Sid": "one", "Effect": "Deny", "NotPrincipal": {"AWS": "111111111111", "Service": ["ec2.amazonaws.com"]},
    "NotAction": ["s3:*", "iam:Get*"], "Resource": "*",
    "Condition": {"foranyvalue:stringlikeifexists": {"aws:TagKeys": ["a", "b"]}, "Bool": {"aws:SecureTransport": false}, "NumericLessThan": {"s3:max-keys": 10}}}
}`
	d, err := iam.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &iam.Document{
		Version: "2012-10-17",
		Statements: []iam.Statement{{
			SID: "one", Effect: iam.Deny,
			Principal: &iam.Principals{Negated: true, AWS: []string{"111111111111"}, Service: []string{"ec2.amazonaws.com"}},
			Action:    iam.Patterns{Negated: true, Values: []string{"s3:*", "iam:Get*"}},
			Resource:  iam.Patterns{Values: []string{"*"}},
			Conditions: []iam.Condition{
				{Quantifier: iam.ForAnyValue, Operator: "StringLike", IfExists: true, Key: "aws:TagKeys", Values: []string{"a", "b"}},
				{Operator: "Bool", Key: "aws:SecureTransport", Values: []string{"false"}},
				{Operator: "NumericLessThan", Key: "s3:max-keys", Values: []string{"10"}},
			},
		}},
	}
	noPlaces := cmpopts.IgnoreTypes(iam.Position{}, []iam.Position{})
	if diff := cmp.Diff(want, d, noPlaces); diff != "" {
		t.Fatal(diff)
	}
	one := d.Statements[0]
	for _, tt := range []struct {
		at   iam.Position
		want string
		line int
	}{
		{d.VersionPos, `"2012-10-17"`, 2},
		{one.Pos, `{"Sid"`, 3},
		{one.Principal.Pos, `{"AWS"`, 3},
		{one.Action.Pos[1], `"iam:Get*"]`, 4},
		{one.Resource.Pos[0], `"*",`, 4},
		{one.Conditions[1].Pos, `"aws:SecureTransport"`, 5},
		{one.End, "\n}", 5},
	} {
		lines := strings.Split(text, "\n")
		if !strings.HasPrefix(text[tt.at.Offset:], tt.want) || tt.at.Line != tt.line || !strings.HasPrefix(lines[tt.line-1][tt.at.Column-1:]+"\n}", tt.want) {
			t.Errorf("%+v is not the place of %s", tt.at, tt.want)
		}
	}
	printed, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	const compact = `{"Version":"2012-10-17","Statement":[{"Sid":"one","Effect":"Deny","NotPrincipal":{"AWS":"111111111111","Service":"ec2.amazonaws.com"},"NotAction":["s3:*","iam:Get*"],"Resource":"*","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a","b"]},"Bool":{"aws:SecureTransport":"false"},"NumericLessThan":{"s3:max-keys":"10"}}}]}`
	if diff := cmp.Diff(compact, string(printed)); diff != "" {
		t.Fatal(diff)
	}
	again, err := iam.Parse(printed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, again, noPlaces); diff != "" {
		t.Fatal(diff)
	}
}

func TestParseReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	const good = `"Effect":"Allow","Action":"s3:*"`
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"no JSON":                       {`{"Statement": [}`, []string{"(line 1, column 16): this is not JSON"}},
		"cut off":                       {`{"Statement": [{"Effect": "Al`, []string{"it ends too early"}},
		"empty":                         {``, []string{"it ends too early"}},
		"something behind":              {`{"Statement":[]} {}`, []string{"something stands behind the end"}},
		"not an object":                 {`[]`, []string{"a policy document is an object, not an array"}},
		"no statement":                  {`{"Version":"2012-10-17"}`, []string{"Statement is missing"}},
		"a statement that is text":      {`{"Statement":["x"]}`, []string{"Statement[0] (line 1, column 15): a statement is an object, not a string"}},
		"an unknown element":            {`{"Statement":{` + good + `,"Resources":"*"}}`, []string{"Statement.Resources (line 1, column 48): the policy language has no such element here; did you mean Resource?"}},
		"a wrong letter case":           {`{"Statement":{` + good + `,"condition":{}}}`, []string{"did you mean Condition?"}},
		"an element twice":              {`{"Statement":{` + good + `,"Action":"*"}}`, []string{"Statement.Action", "is there twice"}},
		"effect and action are wrong":   {`{"Statement":[{"Effect":"allow"},{"Action":"*"}]}`, []string{"Statement[0].Effect", `not "allow"`, "Statement[0] (line 1, column 15): Action or NotAction is missing", "Statement[1] (line 1, column 34): Effect is missing"}},
		"both of each":                  {`{"Statement":{"Effect":"Deny","Action":"*","NotAction":"*","Resource":"*","NotResource":"*","Principal":"*","NotPrincipal":"*"}}`, []string{"Action and NotAction exclude", "Resource and NotResource exclude", "Principal and NotPrincipal exclude"}},
		"a principal that is an ARN":    {`{"Statement":{` + good + `,"Principal":"arn:aws:iam::111111111111:root"}}`, []string{`is "*" or an object`}},
		"an unknown kind of principal":  {`{"Statement":{` + good + `,"Principal":{"Aws":"*"}}}`, []string{"Statement.Principal.Aws", "did you mean AWS?"}},
		"an unknown operator":           {`{"Statement":{` + good + `,"Condition":{"StringSame":{"a":"b"},"ForEach:StringEquals":{},"NullIfExists":{}}}}`, []string{"Condition.StringSame", "ForEach:StringEquals", "NullIfExists"}},
		"a condition that is no object": {`{"Statement":{` + good + `,"Condition":{"StringEquals":"x"}}}`, []string{"is an object of condition keys, not a string"}},
		"a value that is an object":     {`{"Statement":{` + good + `,"Condition":{"StringEquals":{"a":[{}, null]}}}}`, []string{"a[0]", "not an object", "a[1]", "not null"}},
		"too deep":                      {strings.Repeat(`{"Statement":[`, 20), []string{"nests deeper than 16 levels"}},
		"an action that is a number":    {`{"Statement":{"Effect":"Allow","Action":[1]}}`, []string{"Statement.Action[0]", "is a string, not a number"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := iam.Parse([]byte(tt.text))
			if !errors.Is(err, iam.ErrMalformed) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}
