package awsops

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/belay-dev/belay/internal/secret"
)

// maxText bounds every text of a Failure, in bytes.
const maxText = 2 << 10

// What a secret looks like where it is not known: in the answer of an endpoint, a proxy's page that repeats the request,
// a URL. The groups stay.
var secretShapes = []*regexp.Regexp{ //nolint:gochecknoglobals // compiled once
	regexp.MustCompile(`(://)[^/\s@]+(@)`),                         // user:password@ of a URL
	regexp.MustCompile(`eyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?`),        // a JSON web token
	regexp.MustCompile(`(AWS4-HMAC-SHA256)[^\n]*Signature=[\w-]+`), // a signature of AWS
	regexp.MustCompile(`(?i)((?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|negotiate)\s+)?[^\s"'<>,;]+`),
	regexp.MustCompile(`(?i)((?:x-aws-ec2-metadata-token|x-amz-(?:security-token|signature)|secret_?access_?key|secret_?key|session_?token|web_?identity_?token|password|"token")["']?\s*[:=]\s*["']?)[^\s"'&<>,;]+`),
}

// clean makes a text fit to be shown: secrets masked, one line, printable, at most maxText bytes long.
func clean(text string, secrets []string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for _, one := range secrets {
		if len(one) < 4 { // that is no secret, and would mask half the text
			continue
		}
		text = strings.ReplaceAll(text, one, secret.Mask)
		text = strings.ReplaceAll(text, url.QueryEscape(one), secret.Mask)
	}
	for _, shape := range secretShapes {
		text = shape.ReplaceAllString(text, "${1}"+secret.Mask+"${2}")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	return clip(text, maxText)
}

// clip cuts a text at a number of bytes, between characters.
func clip(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(mark)], "") + mark
}

// secretsOf are the parts of credentials that must not be seen.
func secretsOf(creds aws.Credentials) []string {
	return []string{creds.SecretAccessKey, creds.SessionToken}
}
