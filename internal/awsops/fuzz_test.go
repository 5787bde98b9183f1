package awsops_test

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belay-dev/belay/internal/awsops"
)

// Whatever the body, straightening does not fail, leaves what holds no error alone, keeps code and message of what does,
// and does it once: what is straight stays as it is.
func FuzzStraighten(f *testing.F) {
	for _, body := range []string{
		`<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
		`<Response><Errors><Error><Code>AuthFailure</Code><Message>a &lt; b &amp; c</Message></Error></Errors><RequestID>1</RequestID></Response>`,
		`<ErrorResponse><Errors><Error><Code>X</Code></Error></Errors></ErrorResponse>`,
		`<?xml version="1.0" encoding="ISO-8859-1"?><Response><Errors><Error><Code>A</Code></Error></Errors></Response>`,
		`<html><body>503</body></html>`, `{"message":"Forbidden"}`, ``, `<`, "\x00\xff",
	} {
		f.Add("sts", body)
		f.Add("ec2", body)
	}
	type one struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	// The obvious reader of the two shapes, as the SDK reads them.
	read := func(service string, body []byte) one {
		var query struct {
			Error one `xml:"Error"`
		}
		var ec2 struct {
			Error one `xml:"Errors>Error"`
		}
		if service == "ec2" {
			_ = xml.Unmarshal(body, &ec2)
			return ec2.Error
		}
		_ = xml.Unmarshal(body, &query)
		return query.Error
	}
	f.Fuzz(func(t *testing.T, service, body string) {
		got := awsops.Straighten(service, []byte(body))
		if service != "sts" && service != "ec2" && service != "iam" && string(got) != body {
			t.Fatalf("the body of %q was changed", service)
		}
		if string(got) == body {
			return
		}
		if again := awsops.Straighten(service, got); string(again) != string(got) {
			t.Fatalf("straightened again, %q becomes %q", got, again)
		}
		if read(service, got).Code == "" {
			t.Fatalf("%q became %q, which has no code for %s", body, got, service)
		}
	})
}

// Whatever the text, it comes out short, printable, on one line and without what was said to be secret.
func FuzzClean(f *testing.F) {
	f.Add("Authorization: Bearer abcdef", "abcdef")
	f.Add("https://user:pass@proxy:3128 \x00 eyJhbGciOi.eyJz.c2ln", "hunter22")
	f.Add(strings.Repeat("é€𝄞", 2000), "€𝄞")
	f.Fuzz(func(t *testing.T, text, hidden string) {
		got := awsops.Clean(text, []string{hidden})
		switch {
		case len(got) > 2<<10:
			t.Fatalf("%d bytes", len(got))
		case !utf8.ValidString(got), strings.ContainsAny(got, "\n\r\t\x00"):
			t.Fatalf("not fit to be shown: %q", got)
		case len(hidden) >= 4 && utf8.ValidString(hidden) && strings.Contains(got, hidden) && !strings.Contains("[secret]", hidden):
			t.Fatalf("%q is still in %q", hidden, got)
		}
	})
}
