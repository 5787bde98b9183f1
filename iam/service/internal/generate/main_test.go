package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example is a source of two services.
func example() map[string]string {
	return map[string]string{
		"LICENSE.txt":                    "Some licence\r\n",
		"data/services.json":             `["y", "x"]`,
		"data/serviceNames.json":         `{"x": "Service X", "y": "Service Y"}`,
		"data/rcpSupportedServices.json": `["x"]`,
		"data/conditionKeys/x.json": `{"x:b": {"key": "x:b", "type": "ArrayOfString"}, "aws:TagKeys": {"key": "aws:TagKeys", "type": "ArrayOfString"},
			"x:A": {"key": "x:A", "type": "IPAddress"}}`,
		"data/resourceTypes/x.json": `{"two": {"key": "two", "arn": "arn:${Partition}:x:::two/${B}"},
			"one": {"key": "One", "arn": "arn:${Partition}:x:::one/${A}", "conditionKeys": ["x:b", "x:A"]}}`,
		"data/actions/x.json": `{
			"do": {"name": "Do", "accessLevel": "Tagging, Write", "conditionKeys": ["x:b"], "resourceTypes": [
				{"name": "two", "required": false, "conditionKeys": ["x:b"]}, {"name": "One", "required": true, "conditionKeys": []},
				{"name": "two", "required": true, "conditionKeys": ["x:A"]}]},
			"be": {"name": "Be", "accessLevel": "List", "conditionKeys": [], "resourceTypes": [], "dependentActions": ["y:Own"]}}`,
		"data/conditionKeys/y.json": `{}`,
		"data/resourceTypes/y.json": `{}`,
		"data/actions/y.json":       `{"own": {"name": "Own", "accessLevel": "Permissions management, Write", "conditionKeys": [], "resourceTypes": []}}`,
	}
}

const exampleTable = "belay services 1\n" +
	"source\treference 2\n" +
	"counts\t2\t3\t2\t3\n" +
	"s\tx\tService X\trcp\n" +
	"k\taws:TagKeys\tstring*\n" +
	"k\tx:A\tip\n" +
	"k\tx:b\tstring*\n" +
	"t\tOne\tarn:${Partition}:x:::one/${A}\t1,2\n" +
	"t\ttwo\tarn:${Partition}:x:::two/${B}\t\n" +
	"a\tBe\tList\t\t\ty:Own\n" +
	"a\tDo\tTagging\t2\t1!:1,2;0!\tiam:PassRole,y:Own\n" +
	"s\ty\tService Y\t-\n" +
	"a\tOwn\tPermissions management\t\t\t\n"

// older holds dependent actions, of one service only.
func older() map[string]string {
	return map[string]string{
		"data/actions/x.json": `{"do": {"name": "Do", "dependentActions": ["y:Own"], "resourceTypes": [{"name": "two", "dependentActions": ["iam:PassRole", "y:Own"]}]}}`,
	}
}

// packed is a tarball as npm makes it, and its sum.
func packed(t *testing.T, files map[string]string) (tarball []byte, sum string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + path, Mode: 0o644, Size: int64(len(files[path]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum512(b.Bytes())
	return b.Bytes(), "sha512-" + base64.StdEncoding.EncodeToString(digest[:])
}

func unpacked(t *testing.T, name, version string, files map[string]string) archive {
	t.Helper()
	tarball, sum := packed(t, files)
	a, err := unpack(name, version, sum, tarball)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func text(t *testing.T, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !r.ModTime.IsZero() || r.Name != "" {
		t.Errorf("the file holds the time %v and the name %q", r.ModTime, r.Name)
	}
	return string(all)
}

func TestServiceTable(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 20 { // maps would show by now
		got, n, err := serviceTable(unpacked(t, "reference", "2", example()), unpacked(t, "reference", "1", older()))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
			if diff := cmp.Diff(exampleTable, text(t, got)); diff != "" {
				t.Error(diff)
			}
			if want := (counts{2, 3, 2, 3}); n != want {
				t.Errorf("it counts %s", n)
			}
		}
		if !bytes.Equal(first, got) {
			t.Fatal("the same source gives other bytes")
		}
	}
}

func TestServiceTableRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, old, new, want string }{
		"an access level that is not known":   {"data/actions/y.json", "Permissions management, Write", "Guess", `y: action Own: the access level "Guess" is not known`},
		"a type of key that is not known":     {"data/conditionKeys/x.json", "IPAddress", "Colour", `x: condition key x:A: the type "Colour" is not known`},
		"a key that no service has":           {"data/actions/x.json", `"conditionKeys": ["x:b"], "resourceTypes"`, `"conditionKeys": ["x:q"], "resourceTypes"`, "x: there is no condition key x:q"},
		"a resource type that is not there":   {"data/actions/x.json", `{"name": "One"`, `{"name": "Three"`, "x: there is no resource type Three"},
		"a name that would break the table":   {"data/serviceNames.json", "Service X", `Service\tX`, `"Service\tX" would break the table`},
		"a policy that reaches no service":    {"data/rcpSupportedServices.json", `"x"`, `"z"`, "resource control policies reach z, which is no service"},
		"a file that is not JSON":             {"data/actions/y.json", "{", "", "y: reference 2: data/actions/y.json: "},
		"a service without a file of its own": {"data/services.json", `"x"]`, `"x", "z"]`, "z: reference 2 holds no data/conditionKeys/z.json: its layout has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := example()
			changed := strings.Replace(files[tt.path], tt.old, tt.new, 1)
			if changed == files[tt.path] {
				t.Fatalf("%s does not hold %q", tt.path, tt.old)
			}
			files[tt.path] = changed
			_, _, err := serviceTable(unpacked(t, "reference", "2", files), unpacked(t, "reference", "1", older()))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, not %q", err, tt.want)
			}
		})
	}
}

// policy is a policy of the source with two versions.
func policy(name, arn string) string {
	return fmt.Sprintf(`%q: {"arn": %q, "latestVersionId": "v2", "versions": {"v1": {"document": {}}, "v2": {"document": {"b": 1, "a": "<>"}}}}`, name, arn)
}

func TestManagedTable(t *testing.T) {
	t.Parallel()
	files := map[string]string{"dist/managedPolicies.json": "{" + policy("b", "arn:aws:iam::aws:policy/b") + "," + policy("A", "arn:aws:iam::aws:policy/service-role/A") + "}"}
	got, n, err := managedTable(unpacked(t, "managed", "1", files))
	if err != nil {
		t.Fatal(err)
	}
	want := "belay managed policies 1\nsource\tmanaged 1\ncount\t2\np\tA\t/service-role/\tv2\t16\np\tb\t/\tv2\t16\n" + `{"b":1,"a":"<>"}{"b":1,"a":"<>"}`
	if diff := cmp.Diff(want, text(t, got)); diff != "" || n != 2 {
		t.Error(n, diff)
	}
	for name, tt := range map[string]struct{ policies, want string }{
		"another account":           {policy("a", "arn:aws:iam::1:policy/a"), "a has the ARN arn:aws:iam::1:policy/a"},
		"another name":              {policy("a", "arn:aws:iam::aws:policy/b"), "a has the ARN arn:aws:iam::aws:policy/b"},
		"no path":                   {policy("a", "arn:aws:iam::aws:policya"), "a has the ARN arn:aws:iam::aws:policya"},
		"no latest version":         {strings.ReplaceAll(policy("a", "arn:aws:iam::aws:policy/a"), `"v2": `, `"v3": `), "a lacks its latest version v2"},
		"names in both letter case": {policy("a", "arn:aws:iam::aws:policy/a") + "," + policy("A", "arn:aws:iam::aws:policy/A"), "differ in letter case only"},
	} {
		files := map[string]string{"dist/managedPolicies.json": "{" + tt.policies + "}"}
		if _, _, err := managedTable(unpacked(t, "managed", "1", files)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, not %q", name, err, tt.want)
		}
	}
}

func TestUnpackRefusesAnotherSum(t *testing.T) {
	t.Parallel()
	tarball, sum := packed(t, example())
	other, _ := packed(t, older())
	if _, err := unpack("x", "1", sum, other); err == nil || !strings.Contains(err.Error(), "it is not what was reviewed") {
		t.Errorf("the error is %v", err)
	}
	if _, err := unpack("x", "1", sum, tarball[:len(tarball)-1]); err == nil {
		t.Error("a tarball that is cut short was unpacked")
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	got, err := notices(unpacked(t, "one", "1", example()), unpacked(t, "two", "2", map[string]string{"LICENSE": "Another licence"}))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n---\n\none 1\n\nSome licence\n\n---\n\ntwo 2\n\nAnother licence\n"; !strings.HasSuffix(string(got), want) {
		t.Errorf("the notices end with %q", got)
	}
	if _, err := notices(unpacked(t, "one", "1", older())); err == nil {
		t.Error("a package without a licence was taken")
	}
}
