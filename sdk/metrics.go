package gray

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gray-runtime/gray/sdk/internal/measure"
)

// Counter is a metric that only goes up: rows read, bytes written, cache misses. Declare it
// as a variable of the package:
//
//	var rows = gray.NewCounter("rows_total", "Rows that were read.", "table")
//
//	rows.Inc("users")
//
// Metrics are counted where the code runs, and each second told to the node, which sums
// them up over all processes of the job and shows them to Prometheus with the labels job_id
// and node (docs/metrics.md). Of what a process that is killed did in its last second,
// nothing is known. A job has 1000 series on a node at most. Safe for concurrent use.
type Counter struct {
	m *measure.Metric[prometheus.Counter]
}

// NewCounter declares a counter, whose name should end with _total. It panics if the
// program has a metric of this name already, or nodes wouldn't take it.
func NewCounter(name, help string, labels ...string) *Counter {
	return &Counter{measure.NewCounter(name, help, labels)}
}

// Inc adds 1 to the series with these values of the labels.
func (c *Counter) Inc(values ...string) { c.m.Of(values).Inc() }

// Add adds v, which must not be negative, to the series with these values of the labels.
func (c *Counter) Add(v float64, values ...string) { c.m.Of(values).Add(v) }

// Gauge is a metric that is set: the length of a queue, a learning rate. Each process's has
// series of its own, with the label worker, until it ends. Else it's as Counter.
type Gauge struct {
	m *measure.Metric[prometheus.Gauge]
}

// NewGauge declares a gauge. It panics as NewCounter does.
func NewGauge(name, help string, labels ...string) *Gauge {
	return &Gauge{measure.NewGauge(name, help, labels)}
}

// Set sets the series with these values of the labels.
func (g *Gauge) Set(v float64, values ...string) { g.m.Of(values).Set(v) }

// Add changes the series with these values of the labels by v.
func (g *Gauge) Add(v float64, values ...string) { g.m.Of(values).Add(v) }

// Histogram is a metric that counts values in buckets: how long requests took, how large
// batches were. Else it's as Counter.
type Histogram struct {
	m *measure.Metric[prometheus.Observer]
}

// NewHistogram declares a histogram whose buckets end at these values, which rise; nil: at
// values that fit seconds, from 0.005 to 10. It panics as NewCounter does.
func NewHistogram(name, help string, buckets []float64, labels ...string) *Histogram {
	return &Histogram{measure.NewHistogram(name, help, buckets, labels)}
}

// Observe counts a value in the series with these values of the labels.
func (h *Histogram) Observe(v float64, values ...string) { h.m.Of(values).Observe(v) }
