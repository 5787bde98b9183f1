package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// algorithm is the only one that is verified. SigV4A, the asymmetric one, is for S3's multi-Region access points.
const algorithm = "AWS4-HMAC-SHA256"

// amzTime is the form of x-amz-date.
const amzTime = "20060102T150405Z"

// tolerance is how far a client's clock may be off. AWS allows five minutes in most services and more in some; the text
// of the refusal names the bound.
const tolerance = 5 * time.Minute

// presignedLife is how long a presigned request counts that does not say it: the SDKs' presigned STS calls do not.
const presignedLife = 15 * time.Minute

// signature is the proof of a request, taken apart.
type signature struct {
	KeyID     string
	Day       string // 20060102
	Region    string
	Service   string
	Signed    []string // names of the signed headers, in lower case
	Sum       string   // hex
	Token     string   // session token, or ""
	At        time.Time
	Presigned bool
	Life      time.Duration // of a presigned one
}

var errUnsigned = errors.New("the request has no signature")

// parseSignature reads the proof from the header or the query of a request. Errors say what is wrong with it in AWS's
// words; errUnsigned says that there is none.
func parseSignature(r *http.Request) (signature, error) {
	header := r.Header.Get("Authorization")
	params := r.URL.Query()
	switch {
	case params.Get("X-Amz-Algorithm") != "" && header != "":
		return signature{}, errors.New("a request carries its signature in the header or in the query, not in both")
	case params.Get("X-Amz-Algorithm") != "":
		return parsePresigned(params)
	case header == "":
		return signature{}, errUnsigned
	}
	return parseAuthorization(header, r.Header)
}

func parseAuthorization(header string, h http.Header) (signature, error) {
	kind, rest, _ := strings.Cut(header, " ")
	if kind != algorithm {
		return signature{}, fmt.Errorf("Unsupported AWS 'algorithm': '%s'.", clip(kind)) //nolint:revive,staticcheck // AWS's words
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return signature{}, fmt.Errorf("'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", clip(part), clip(rest)) //nolint:revive,staticcheck // AWS's words
		}
		fields[key] = value
	}
	var missing []string
	for _, key := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[key] == "" {
			missing = append(missing, "Authorization header requires '"+key+"' parameter.")
		}
	}
	at := h.Get("X-Amz-Date")
	if at == "" {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			at = date.UTC().Format(amzTime)
		} else {
			missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
	}
	if len(missing) > 0 {
		return signature{}, errors.New(strings.Join(missing, " "))
	}
	s := signature{Sum: fields["Signature"], Token: h.Get("X-Amz-Security-Token")}
	return s.complete(fields["Credential"], fields["SignedHeaders"], at)
}

func parsePresigned(params url.Values) (signature, error) {
	if kind := params.Get("X-Amz-Algorithm"); kind != algorithm {
		return signature{}, fmt.Errorf("Unsupported AWS 'algorithm': '%s'.", clip(kind)) //nolint:revive,staticcheck // AWS's words
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if params.Get(name) == "" {
			return signature{}, fmt.Errorf("AWS query-string parameters must include '%s'.", name) //nolint:revive,staticcheck // AWS's words
		}
	}
	s := signature{Sum: params.Get("X-Amz-Signature"), Token: params.Get("X-Amz-Security-Token"), Presigned: true, Life: presignedLife}
	if text := params.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		const week = 604800
		if err != nil || seconds < 1 || seconds > week {
			return signature{}, fmt.Errorf("X-Amz-Expires is %s; it is a number of seconds from 1 to %d", clip(text), week)
		}
		s.Life = time.Duration(seconds) * time.Second
	}
	return s.complete(params.Get("X-Amz-Credential"), params.Get("X-Amz-SignedHeaders"), params.Get("X-Amz-Date"))
}

// complete fills in what both forms write alike.
func (s signature) complete(credential, signed, at string) (signature, error) {
	// The key id comes first, and might hold a slash in somebody's imagination; the other four parts cannot.
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || slices.Contains(parts, "") {
		return signature{}, fmt.Errorf("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", clip(credential)) //nolint:staticcheck // AWS's words
	}
	s.KeyID, s.Day, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	if parts[4] != "aws4_request" {
		return signature{}, errors.New("Credential should be scoped with a valid terminator: 'aws4_request', not '" + clip(parts[4]) + "'.")
	}
	when, err := time.Parse(amzTime, at)
	if err != nil {
		return signature{}, fmt.Errorf("Date must be in ISO-8601 'basic format'. Got '%s'.", clip(at)) //nolint:revive,staticcheck // AWS's words
	}
	s.At = when
	s.Signed = strings.Split(signed, ";")
	if !slices.Contains(s.Signed, "host") {
		return signature{}, errors.New("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.") //nolint:revive,staticcheck // AWS's words
	}
	if raw, err := hex.DecodeString(s.Sum); err != nil || len(raw) != sha256.Size {
		return signature{}, errors.New("Signature is not 64 hexadecimal digits") //nolint:staticcheck // a field's name
	}
	return s, nil
}

// clip shortens what a client sent before it is repeated.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// checkTime says in AWS's words how the clock is off, or that a presigned request is too old; "" when it is right. over
// tells apart a presigned request that has had its time from a clock that is off.
func (s signature) checkTime(now time.Time) (text string, over bool) {
	minutes := fmt.Sprintf("%d min.", int(tolerance.Minutes()))
	at, is := s.At.Format(amzTime), now.UTC().Format(amzTime)
	life := tolerance
	if s.Presigned {
		life = s.Life
	}
	switch {
	case s.At.After(now.Add(tolerance)):
		return fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s)", at, now.Add(tolerance).UTC().Format(amzTime), is, minutes), false
	case s.At.Before(now.Add(-life)) && s.Presigned:
		return fmt.Sprintf("Signature expired: %s is now earlier than %s", s.At.Add(life).Format(amzTime), is), true
	case s.At.Before(now.Add(-life)):
		return fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)", at, now.Add(-tolerance).UTC().Format(amzTime), is, minutes), false
	case s.At.Format("20060102") != s.Day:
		return fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", clip(s.Day), s.At.Format("20060102"), at), false
	}
	return "", false
}

// checkSigned says which headers had to be signed and are not, or "". A header of AWS that is not covered could have
// been put in by anybody.
func (s signature) checkSigned(h http.Header) string {
	for name := range h {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.Signed, name) {
			return "There were headers present in the request which were not signed: " + clip(name)
		}
	}
	return ""
}

// verify compares the signature with the one that the secret gives, in constant time.
func (s signature) verify(secret string, r *http.Request, body []byte) bool {
	want := s.sum(secret, canonical(s, r, body))
	got, err := hex.DecodeString(s.Sum)
	return err == nil && hmac.Equal(want, got)
}

// sum signs a canonical request.
func (s signature) sum(secret, canonical string) []byte {
	hashed := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.Day, s.Region, s.Service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Day, s.Region, s.Service, "aws4_request"} {
		key = mac(key, part)
	}
	return mac(key, strings.Join([]string{algorithm, s.At.Format(amzTime), scope, hex.EncodeToString(hashed[:])}, "\n"))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonical is the request in the form that is signed.
func canonical(s signature, r *http.Request, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r, s.Service) + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range s.Signed {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.Signed, ";") + "\n" + payload(s, r, body))
	return b.String()
}

// payload is the hash of the body, or what S3 lets stand in its place.
func payload(s signature, r *http.Request, body []byte) string {
	if s.Service == "s3" {
		if s.Presigned {
			return "UNSIGNED-PAYLOAD"
		}
		if text := r.Header.Get("X-Amz-Content-Sha256"); text == "UNSIGNED-PAYLOAD" || strings.HasPrefix(text, "STREAMING-") {
			return text
		}
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// canonicalPath is the path, encoded once more than it was sent: twice in all, but for S3.
func canonicalPath(r *http.Request, service string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		return "/"
	}
	if service == "s3" {
		return escape(r.URL.Path, true)
	}
	return escape(path, true)
}

// canonicalQuery is the parameters sorted by their encoded names, then values, without the signature itself.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs [][2]string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, value = reescape(key), reescape(value)
		if key != "X-Amz-Signature" {
			pairs = append(pairs, [2]string{key, value})
		}
	}
	slices.SortStableFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String()
}

// reescape encodes as SigV4 does what was encoded somehow.
func reescape(text string) string {
	plain, err := url.QueryUnescape(text)
	if err != nil {
		plain = text
	}
	return escape(plain, false)
}

// canonicalHeader is a header's values, trimmed, their runs of blanks made one, joined by commas.
func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' }), " ")
	}
	return strings.Join(values, ",")
}

// escape encodes everything but the unreserved characters of RFC 3986, and slashes where they are kept.
func escape(text string, slashes bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '/' && slashes:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
