package measure

import (
	"fmt"
	"strings"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// of finds a metric among changes.
func of(m *proto.UserMetrics, name string) *proto.UserFamily {
	for _, f := range m.GetFamilies() {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func TestFeedTellsOfEachChangeOnce(t *testing.T) {
	c := NewCounter("rows_total", "rows", []string{"kind"})
	g := NewGauge("depth", "of the queue", nil)
	h := NewHistogram("took_seconds", "time", []float64{1, 2}, nil)
	c.Of([]string{"a"}).Add(2)
	f := &Feed{sent: map[string]*state{}}
	m := f.Changes()
	if got := of(m, "rows_total"); got.Kind != proto.UserFamily_COUNTER || got.Labels[0] != "kind" || got.Series[0].Labels[0] != "a" || got.Series[0].Value != 2 {
		t.Errorf("the counter: %v", got)
	}
	if got := of(m, "took_seconds"); got == nil || len(got.Bounds) != 2 || len(got.Series) != 1 {
		t.Errorf("a histogram of nothing is to be there: %v", got)
	}
	if again := f.Changes(); again != nil {
		t.Errorf("nothing has changed, but: %v", again)
	}
	later := NewFeed()
	if feeds.Load() == 1 {
		later = NewFeed()
	}
	c.Of([]string{"a"}).Add(1)
	c.Of([]string{"b"}).Add(5)
	g.Of(nil).Set(7)
	h.Of(nil).Observe(1.5)
	h.Of(nil).Observe(9)
	want := &proto.UserMetrics{Families: []*proto.UserFamily{
		{Name: "depth", Help: "of the queue", Kind: proto.UserFamily_GAUGE, Series: []*proto.UserSeries{{Value: 7}}},
		{Name: "rows_total", Help: "rows", Labels: []string{"kind"},
			Series: []*proto.UserSeries{{Labels: []string{"a"}, Value: 1}, {Labels: []string{"b"}, Value: 5}}},
		{Name: "took_seconds", Help: "time", Kind: proto.UserFamily_HISTOGRAM, Bounds: []float64{1, 2},
			Series: []*proto.UserSeries{{Value: 10.5, Counts: []uint64{0, 1, 1}}}},
	}}
	for name, feed := range map[string]*Feed{"the first": f, "a later one": later} {
		if got := feed.Changes(); !protobuf.Equal(got, want) {
			t.Errorf("%s tells of\n%v\nwant\n%v", name, got, want)
		}
	}
	g.Of(nil).Set(-1)
	if got := of(f.Changes(), "depth"); got.Series[0].Value != -1 {
		t.Errorf("the gauge: %v", got)
	}
}

func TestSeriesOfAProgramAreBounded(t *testing.T) {
	c := NewCounter("many_total", "", []string{"i"})
	f := NewFeed()
	for i := range maxSeries + 50 {
		c.Of([]string{fmt.Sprint(i, "\xff")}).Inc()
	}
	m := f.Changes()
	if series.Load() != maxSeries || m.Dropped < 50 || len(of(m, "many_total").Series) > maxSeries {
		t.Errorf("%d series, %d dropped", series.Load(), m.Dropped)
	}
	c.Of([]string{"0\xff"}).Inc() // goes on
	if m := f.Changes(); m.GetDropped() != 0 || of(m, "many_total").GetSeries()[0].Value != 1 {
		t.Errorf("a series that is there: %v", m)
	}
}

func TestWrongDeclarationsPanic(t *testing.T) {
	NewGauge("twice", "", nil)
	for want, f := range map[string]func(){
		"want letters":     func() { NewCounter("a b", "", nil) },
		"gray_":            func() { NewCounter("gray_x", "", nil) },
		"_sum":             func() { NewCounter("x_sum", "", nil) },
		"no name of a":     func() { NewCounter("x", "", []string{"1"}) },
		"given by gray":    func() { NewCounter("x", "", []string{"node"}) },
		"label a twice":    func() { NewCounter("x", "", []string{"a", "a"}) },
		"already":          func() { NewGauge("twice", "", nil) },
		"aren't finite":    func() { NewHistogram("h1", "", []float64{2, 1}, nil) },
		"2 values":         func() { NewCounter("y", "", []string{"a"}).Of([]string{"1", "2"}) },
		"at most 10":       func() { NewCounter("x", "", strings.Split("abcdefghijk", "")) },
		"at most 64 make ": func() { NewHistogram("h2", "", make([]float64, 65), nil) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, want) || !strings.HasPrefix(p, "gray: ") {
					t.Errorf("the panic says %q, want it to say %q", p, want)
				}
			}()
			f()
		}()
	}
}

func BenchmarkCounter(b *testing.B) {
	c := NewCounter("bench_total", "", nil)
	l := NewCounter("bench_labels_total", "", []string{"a"})
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Of(nil).Inc()
		}
	})
	b.Run("labels", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Of([]string{"x"}).Inc()
		}
	})
}
