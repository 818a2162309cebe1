package tally

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/proto"
)

func process(n uint32) ids.ProcessID { return ids.ProcessID{Node: 1, Number: n} }

func text(t testing.TB, b *Book) string {
	t.Helper()
	e := metrics.New()
	e.Merge(b.Families())
	if e.LeftOut() > 0 {
		t.Errorf("%d series are there twice, or of two kinds", e.LeftOut())
	}
	var out strings.Builder
	if err := e.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func of(kind proto.UserFamily_Kind, name string, labels []string, series ...*proto.UserSeries) *proto.UserMetrics {
	f := &proto.UserFamily{Name: name, Kind: kind, Labels: labels, Series: series}
	if kind == proto.UserFamily_HISTOGRAM {
		f.Bounds = []float64{1, 2}
	}
	return &proto.UserMetrics{Families: []*proto.UserFamily{f}}
}

func TestProcessesOfAJobAreSummedUp(t *testing.T) {
	b := New()
	for p := range uint32(2) {
		b.Push(7, process(p), of(proto.UserFamily_COUNTER, "rows_total", []string{"kind"}, &proto.UserSeries{Labels: []string{"a"}, Value: 2}))
		b.Push(7, process(p), of(proto.UserFamily_GAUGE, "depth", nil, &proto.UserSeries{Value: float64(p)}))
		b.Push(7, process(p), of(proto.UserFamily_HISTOGRAM, "took_seconds", nil, &proto.UserSeries{Value: 3, Counts: []uint64{1, 0, 2}}))
	}
	b.Ended(7, process(0)) // what it counted stays
	const want = "# HELP depth \n# TYPE depth gauge\ndepth{job_id=\"j7\",worker=\"n1.p1\"} 1\n" +
		"# HELP rows_total \n# TYPE rows_total counter\nrows_total{job_id=\"j7\",kind=\"a\"} 4\n" +
		"# HELP took_seconds \n# TYPE took_seconds histogram\ntook_seconds_bucket{job_id=\"j7\",le=\"1\"} 2\n" +
		"took_seconds_bucket{job_id=\"j7\",le=\"2\"} 2\ntook_seconds_bucket{job_id=\"j7\",le=\"+Inf\"} 6\n" +
		"took_seconds_sum{job_id=\"j7\"} 6\ntook_seconds_count{job_id=\"j7\"} 6\n"
	if got := text(t, b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	b := New()
	told := 0
	for i := range MaxSeries + 10 {
		s := &proto.UserSeries{Labels: []string{fmt.Sprint(i)}, Value: 1}
		if b.Push(1, process(1), of(proto.UserFamily_COUNTER, "x_total", []string{"i"}, s)) != "" {
			told++
		}
	}
	if b.Series() != MaxSeries || b.Dropped()[1] != 10 || told != 1 {
		t.Errorf("%d series, %d updates dropped, told %d times", b.Series(), b.Dropped()[1], told)
	}
	for id := range ids.JobID(maxEnded + 5) {
		b.Push(id+2, process(1), of(proto.UserFamily_COUNTER, "y_total", nil, &proto.UserSeries{Value: 1}))
		b.JobEnded(id + 2)
	}
	if n := len(b.jobs); n != 1+maxEnded {
		t.Errorf("%d jobs are kept, want the living one and %d", n, maxEnded)
	}
	b.JobEnded(1)
	for b.makeRoom() {
	}
	if len(b.jobs)+len(b.kinds)+b.series != 0 {
		t.Errorf("all jobs were forgotten, but %d names and %d series are left", len(b.kinds), b.series)
	}
}

func TestWhatDoesNotFitIsDropped(t *testing.T) {
	b := New()
	b.Push(1, process(1), of(proto.UserFamily_COUNTER, "x", []string{"a"}, &proto.UserSeries{Labels: []string{"1"}}))
	for name, m := range map[string]*proto.UserMetrics{
		"gray's own":        of(proto.UserFamily_COUNTER, "gray_tasks_total", nil, &proto.UserSeries{}),
		"no name":           of(proto.UserFamily_COUNTER, "1 x", nil, &proto.UserSeries{}),
		"a reserved label":  of(proto.UserFamily_COUNTER, "y", []string{"node"}, &proto.UserSeries{Labels: []string{"1"}}),
		"a label twice":     of(proto.UserFamily_COUNTER, "y", []string{"a", "a"}, &proto.UserSeries{Labels: []string{"1", "2"}}),
		"labels missing":    of(proto.UserFamily_COUNTER, "x", []string{"a"}, &proto.UserSeries{}),
		"other labels":      of(proto.UserFamily_COUNTER, "x", []string{"b"}, &proto.UserSeries{Labels: []string{"1"}}),
		"another kind":      of(proto.UserFamily_GAUGE, "x", []string{"a"}, &proto.UserSeries{Labels: []string{"1"}}),
		"buckets missing":   of(proto.UserFamily_HISTOGRAM, "h", nil, &proto.UserSeries{Counts: []uint64{1}}),
		"an unknown kind":   of(7, "y", nil, &proto.UserSeries{}),
		"buckets unordered": {Families: []*proto.UserFamily{{Name: "h", Kind: proto.UserFamily_HISTOGRAM, Bounds: []float64{2, 1}, Series: []*proto.UserSeries{{}}}}},
		"a bucket of NaN":   {Families: []*proto.UserFamily{{Name: "h", Kind: proto.UserFamily_HISTOGRAM, Bounds: []float64{math.NaN()}, Series: []*proto.UserSeries{{}}}}},
	} {
		before := b.Dropped()[1]
		if b.Push(1, process(1), m); b.Dropped()[1] != before+1 {
			t.Errorf("%s: it was taken", name)
		}
	}
	if problem := b.Push(2, process(1), of(proto.UserFamily_GAUGE, "x", nil, &proto.UserSeries{})); !strings.Contains(problem, "another job") {
		t.Errorf("a name of another kind to another job: %q", problem)
	}
}

// TestTotalsAreThoseOfAModel: whatever processes say, and whichever end.
func TestTotalsAreThoseOfAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	b := New()
	want := map[string]float64{}
	for range 2000 {
		id, from, label := ids.JobID(1+r.IntN(3)), process(uint32(r.IntN(4))), string('a'+rune(r.IntN(5)))
		switch r.IntN(5) {
		case 0:
			b.Ended(id, from)
		default:
			v := float64(r.IntN(10))
			b.Push(id, from, of(proto.UserFamily_COUNTER, "x_total", []string{"l"}, &proto.UserSeries{Labels: []string{label}, Value: v}))
			want[id.String()+label] += v
			b.Push(id, from, of(proto.UserFamily_GAUGE, "g", []string{"l"}, &proto.UserSeries{Labels: []string{label}, Value: v}))
		}
	}
	series := 0
	for _, f := range b.Families() {
		series += len(f.Metric)
		for _, m := range f.Metric {
			if key := m.Label[0].GetValue() + m.Label[1].GetValue(); f.GetName() == "x_total" && m.Counter.GetValue() != want[key] {
				t.Errorf("%s is %v, want %v", key, m.Counter.GetValue(), want[key])
			}
		}
	}
	if series != b.Series() {
		t.Errorf("%d series, counted as %d", series, b.Series())
	}
}

func FuzzPush(f *testing.F) {
	seed, err := protobuf.Marshal(of(proto.UserFamily_HISTOGRAM, "h", []string{"a"}, &proto.UserSeries{Labels: []string{"x"}, Value: 1, Counts: []uint64{1, 2, 3}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m proto.UserMetrics
		if protobuf.Unmarshal(data, &m) != nil {
			return
		}
		b := New()
		b.Push(1, process(1), &m)
		b.Push(1, process(2), &m)
		again := metrics.New()
		if err := again.Read(strings.NewReader(text(t, b))); err != nil {
			t.Fatalf("what is written can't be read: %v", err)
		}
	})
}
