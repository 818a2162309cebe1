package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func read(t *testing.T, e *Exposition, text string) {
	t.Helper()
	if err := e.Read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, e *Exposition) string {
	t.Helper()
	var b strings.Builder
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExpositionsOfSeveralSourcesAreOne(t *testing.T) {
	e := New()
	for _, node := range []string{"n1", "n2"} {
		one := New()
		read(t, one, "# HELP a_total what\n# TYPE a_total counter\na_total{x=\"1\"} 3\n# TYPE b gauge\nb 2\n")
		one.Label("node", node)
		read(t, e, write(t, one))
	}
	const want = "# HELP a_total what\n# TYPE a_total counter\na_total{node=\"n1\",x=\"1\"} 3\na_total{node=\"n2\",x=\"1\"} 3\n" +
		"# TYPE b gauge\nb{node=\"n1\"} 2\nb{node=\"n2\"} 2\n"
	if got := write(t, e); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	read(t, e, "# TYPE b counter\nb{node=\"n3\"} 1\n")                     // of another kind
	read(t, e, "# TYPE a_total counter\na_total{node=\"n1\",x=\"1\"} 9\n") // there already
	if got := write(t, e); got != want || e.LeftOut() != 2 {
		t.Errorf("%d series were left out of\n%s", e.LeftOut(), got)
	}
}

func TestMetricsOfASetAreSentByTheirKind(t *testing.T) {
	var s Set
	n, g, h := s.Counter("n_total", "counts", "x"), s.Gauge("g", "is"), s.Histogram("h_seconds", "lasts")
	r := prometheus.NewRegistry()
	r.MustRegister(Collector(func(out chan<- prometheus.Metric) {
		n.Send(out, 2, "a")
		g.Send(out, 3)
		h.SendHistogram(out, 3, 1.5, map[float64]uint64{0.5: 1, 1: 2})
	}))
	e := New()
	if err := e.Gather(r); err != nil {
		t.Fatal(err)
	}
	const want = "# HELP g is\n# TYPE g gauge\ng 3\n# HELP h_seconds lasts\n# TYPE h_seconds histogram\n" +
		"h_seconds_bucket{le=\"0.5\"} 1\nh_seconds_bucket{le=\"1\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 1.5\nh_seconds_count 3\n" +
		"# HELP n_total counts\n# TYPE n_total counter\nn_total{x=\"a\"} 2\n"
	if got := write(t, e); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(s.All()) != 3 {
		t.Errorf("the set has %d metrics", len(s.All()))
	}
}

// FuzzRead: an exposition comes from a node, whose jobs' names are anybody's.
func FuzzRead(f *testing.F) {
	f.Add("# TYPE b counter\nb{node=\"n3\"} 1\n")
	f.Add("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n")
	f.Add("a{b=\"\\\"\xff\"} NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		e := New()
		if e.Read(strings.NewReader(text)) != nil {
			return
		}
		e.Label("node", "n1")
		var b strings.Builder
		if err := e.Write(&b); err != nil {
			return
		}
		again := New()
		if err := again.Read(strings.NewReader(b.String())); err != nil {
			t.Fatalf("%q was written as %q: %v", text, b.String(), err)
		}
	})
}
