package service_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/belay-dev/belay/iam/service"
)

const small = "belay services 1\n" +
	"source\ttest 1\n" +
	"counts\t1\t1\t1\t1\n" +
	"s\tx\tX\trcp\n" +
	"k\tx:key\tstring*\n" +
	"t\tthing\tarn:${Partition}:x:::thing/${Name}\t0\n" +
	"a\tDo\tWrite\t0\t0!:0\tx:Other,y:Other\n"

func TestDecode(t *testing.T) {
	t.Parallel()
	r, err := service.Decode(small)
	if err != nil {
		t.Fatal(err)
	}
	a, ok := r.Action("x:Do")
	if !ok || len(a.Resources) != 1 || a.Resources[0].ConditionKeys[0] != "x:key" || !a.Resources[0].Required || len(a.DependentActions) != 2 {
		t.Errorf("the action is %+v", a)
	}
	for name, change := range map[string][2]string{
		"another form":          {"services 1", "services 2"},
		"no source":             {"source\t", "from\t"},
		"no counts":             {"counts\t1\t1\t1\t1\n", ""},
		"a count is no number":  {"counts\t1\t1", "counts\t1\tx"},
		"a negative count":      {"counts\t1\t1", "counts\t1\t-1"},
		"a huge count":          {"counts\t1\t1", "counts\t1\t9999999999"},
		"more services":         {"counts\t1", "counts\t2"},
		"fewer resource types":  {"counts\t1\t1\t1\t1", "counts\t1\t1\t0\t1"},
		"no service":            {"s\tx\tX\trcp\n", ""},
		"a field is missing":    {"\tx:Other,y:Other", ""},
		"a field too many":      {"s\tx", "s\tx\tx"},
		"an unknown line":       {"k\tx:key", "q\tx:key"},
		"an empty line":         {"k\tx:key\tstring*\n", "\n"},
		"a key that is not":     {"\t0!:0\t", "\t0!:1\t"},
		"a type that is not":    {"\t0!:0\t", "\t1!:0\t"},
		"a key that is no key":  {"thing/${Name}\t0", "thing/${Name}\tx"},
		"keys after they count": {"k\tx:key\tstring*\n", ""},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatalf("%s: there is no %q", name, change[0])
		}
		if _, err := service.Decode(text); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestDecodeManaged(t *testing.T) {
	t.Parallel()
	const small = "belay managed policies 1\nsource\ttest 1\ncount\t2\np\tA\t/\tv1\t2\np\tB\t/x/\tv2\t3\n{}[1]"
	m, err := service.DecodeManaged(small)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := m.Policy("B"); !ok || string(p.Document) != "[1]" || p.Path != "/x/" {
		t.Errorf("the policy is %+v", p)
	}
	for name, change := range map[string][2]string{
		"another form":           {"policies 1", "policies 2"},
		"fewer than it says":     {"count\t2", "count\t3"},
		"more than it says":      {"count\t2", "count\t1"},
		"none":                   {"count\t2", "count\t0"},
		"a length is no number":  {"v1\t2", "v1\tx"},
		"a length of too much":   {"v1\t2", "v1\t99"},
		"the documents are cut":  {"{}[1]", "{}["},
		"something is behind":    {"{}[1]", "{}[1] "},
		"a field is missing":     {"p\tA\t/\t", "p\tA\t"},
		"documents of no length": {"v2\t3\n{}[1]", "v2\t0\n{}"},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatalf("%s: there is no %q", name, change[0])
		}
		if _, err := service.DecodeManaged(text); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestGunzip(t *testing.T) {
	t.Parallel()
	for name, packed := range map[string]string{
		"nothing":            "",
		"cut short":          "\x1f\x8b\x08",
		"not packed":         strings.Repeat("text ", 5) + "\x00\x00\x00\x00",
		"of a gigantic size": strings.Repeat("text ", 5) + "\xff\xff\xff\xff",
		"damaged inside":     "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
	} {
		if text, err := service.Gunzip(packed); err == nil {
			t.Errorf("%s: %q was read", name, text)
		}
	}
}

// held reports what reading leaves in memory.
func held[T any](b *testing.B, read func() (T, error)) {
	b.Helper()
	b.ReportAllocs()
	var kept T
	for b.Loop() {
		var err error
		if kept, err = read(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	runtime.KeepAlive(kept)
	runtime.GC() // kept is used no more
	runtime.ReadMemStats(&without)
	b.ReportMetric(float64(with.HeapAlloc)-float64(without.HeapAlloc), "held-B")
}

func BenchmarkLoad(b *testing.B)        { held(b, service.ReadServices) }
func BenchmarkLoadManaged(b *testing.B) { held(b, service.ReadManaged) }

func BenchmarkAction(b *testing.B) {
	r := load(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.Action("s3:GetObject"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkActionsOfAll(b *testing.B) {
	r := load(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Actions("*")
	}
}

func BenchmarkActionsByPattern(b *testing.B) {
	r := load(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Actions("s3:Get*")
	}
}

func BenchmarkConditionKeys(b *testing.B) {
	r := load(b)
	a, _ := r.Action("ec2:RunInstances")
	b.ReportAllocs()
	for b.Loop() {
		r.ConditionKeys(a)
	}
}

func BenchmarkFits(b *testing.B) {
	a, _ := load(b).Action("s3:GetObject")
	b.ReportAllocs()
	for b.Loop() {
		if !a.Fits("arn:aws:s3:::logs/2026/11/26/0a1b2c3d.gz") {
			b.Fatal("it does not fit")
		}
	}
}

func BenchmarkManagedPolicy(b *testing.B) {
	m := managed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := m.Policy("arn:aws:iam::aws:policy/ReadOnlyAccess"); !ok {
			b.Fatal("not found")
		}
	}
}
