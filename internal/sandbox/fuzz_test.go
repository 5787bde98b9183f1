package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belay-dev/belay/internal/sandbox"
)

func FuzzSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE000000000/20261123/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "20261123T120000Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA/20261123/us-east-1/sts/aws4_request&X-Amz-Date=20261123T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		keyID, at, err := sandbox.ParseSignature(r)
		if err == nil && (keyID == "" || strings.Contains(keyID, "/") || at.IsZero() && date != "00010101T000000Z") {
			t.Fatalf("accepted with key %q at %s", keyID, at)
		}
	})
}

// FuzzCanonicalQuery compares with what net/url makes of a query, for those that both can read.
func FuzzCanonicalQuery(f *testing.F) {
	f.Add("b=2&a=1&a=%20&c")
	f.Add("X-Amz-Signature=x&a=%2f~+")
	f.Fuzz(func(t *testing.T, raw string) {
		got := sandbox.CanonicalQuery(raw)
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		values.Del("X-Amz-Signature")
		var pairs []string
		for key, all := range values {
			for _, v := range all {
				pairs = append(pairs, slow(key)+"\x00"+slow(v))
			}
		}
		slices.Sort(pairs)
		if want := strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "="); got != want {
			t.Fatalf("%q: %q, want %q", raw, got, want)
		}
	})
}

// slow encodes as RFC 3986 has it, by net/url and repairs.
func slow(text string) string {
	return strings.NewReplacer("+", "%20").Replace(url.QueryEscape(text))
}

func FuzzForm(f *testing.F) {
	f.Add("Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=c", "Tags")
	f.Add("A.member.1=x&A.member.2=y&A.member.4=z", "A")
	f.Fuzz(func(t *testing.T, raw, name string) {
		items, structs, _ := sandbox.ParseForm(raw, name)
		if len(items) > 1000 || structs > 1000 {
			t.Fatalf("%d items, %d structures", len(items), structs)
		}
	})
}

// FuzzRequest sends anything as anybody: whatever it is, the sandbox answers and keeps running.
func FuzzRequest(f *testing.F) {
	s, err := sandbox.New(sandbox.Config{Now: func() time.Time { return began }})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=ab&WebIdentityToken=a.b.c", "")
	f.Add("/latest/meta-data/", "", "")
	f.Add("/_belay/seed", "accounts: [{id: '111111111111'}]", "")
	f.Add("/oidc/x/keys", "", "AWS4-HMAC-SHA256 x")
	f.Fuzz(func(t *testing.T, path, body, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Fatalf("%s", w.Body)
		}
	})
}

func TestKeyIDsHoldTheirAccount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[0-9]{12}`).Draw(t, "account")
		id := sandbox.NewKeyID(account)
		if got, ok := sandbox.AccountOfKey(id); !ok || got != account || len(id) != 20 {
			t.Fatalf("%s holds %s, not %s", id, got, account)
		}
	})
	for _, id := range []string{"", "AKIA", "AKIA1111111111111111", "AKIAann0000000000000"} {
		if account, ok := sandbox.AccountOfKey(id); ok {
			t.Errorf("%q holds %s", id, account)
		}
	}
	// A key of AWS's documentation of the format.
	if got, _ := sandbox.AccountOfKey("ASIAQNZGKIQY56JQ7WML"); got != "029608264753" {
		t.Errorf("the account is %s", got)
	}
}
