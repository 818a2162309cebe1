package measure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

const (
	maxMetrics = 1000
	maxSeries  = 1000 // of all metrics
	maxName    = 200  // bytes
	maxLabels  = 10
	maxBuckets = 64
)

var (
	registry = prometheus.NewRegistry()
	declared atomic.Int64 // metrics
	series   atomic.Int64
	dropped  atomic.Uint64
	names    sync.Map              // of those declared
	some     = make(chan struct{}) // closed when something is declared
	first    sync.Once
)

// Declared is closed once the program has a metric.
func Declared() <-chan struct{} { return some }

// Metric is one metric: its series by the values of its labels.
type Metric[M any] struct {
	name   string
	labels int
	make   func(values ...string) (M, error)
	plain  M // without labels
	spare  M // takes what has no place

	mu    sync.RWMutex
	known map[string]M
}

// Of returns the series with these values of the labels.
func (m *Metric[M]) Of(values []string) M {
	if len(values) != m.labels {
		panic(fmt.Sprintf("gray: metric %s has %d labels, but %d values were given: %s", m.name, m.labels, len(values), strings.Join(values, ", ")))
	}
	if m.labels == 0 {
		return m.plain
	}
	key := strings.Join(values, "\xff")
	m.mu.RLock()
	s, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return s
	}
	return m.begin(key, values)
}

func (m *Metric[M]) begin(key string, values []string) M {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.known[key]; ok {
		return s
	}
	if series.Add(1) > maxSeries {
		series.Add(-1)
		dropped.Add(1)
		return m.spare
	}
	valid := make([]string, len(values))
	for i, v := range values {
		valid[i] = strings.ToValidUTF8(v, "\uFFFD")
	}
	s, err := m.make(valid...)
	if err != nil { // can't be: number and encoding of the values are right
		panic(fmt.Sprintf("gray: metric %s: %v", m.name, err))
	}
	m.known[key] = s
	return s
}

// NewCounter declares a counter.
func NewCounter(name, help string, labels []string) *Metric[prometheus.Counter] {
	check(name, labels)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	return declare(name, labels, vec, vec.GetMetricWithLabelValues, prometheus.NewCounter(prometheus.CounterOpts{Name: name}))
}

// NewGauge declares a gauge.
func NewGauge(name, help string, labels []string) *Metric[prometheus.Gauge] {
	check(name, labels)
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	return declare(name, labels, vec, vec.GetMetricWithLabelValues, prometheus.NewGauge(prometheus.GaugeOpts{Name: name}))
}

// NewHistogram declares a histogram; without buckets it has those that client_golang thinks
// fit for seconds.
func NewHistogram(name, help string, buckets []float64, labels []string) *Metric[prometheus.Observer] {
	check(name, labels)
	if len(buckets) == 0 {
		buckets = prometheus.DefBuckets
	}
	if len(buckets) > maxBuckets {
		panic(fmt.Sprintf("gray: metric %s has %d buckets: at most %d make sense", name, len(buckets), maxBuckets))
	}
	for i, b := range buckets {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= buckets[i-1] {
			panic(fmt.Sprintf("gray: the buckets of metric %s aren't finite numbers that rise: %v", name, buckets))
		}
	}
	o := prometheus.HistogramOpts{Name: name, Help: help, Buckets: slices.Clone(buckets)}
	vec := prometheus.NewHistogramVec(o, labels)
	return declare(name, labels, vec, vec.GetMetricWithLabelValues, prometheus.Observer(prometheus.NewHistogram(o)))
}

func declare[M any](name string, labels []string, c prometheus.Collector, create func(...string) (M, error), spare M) *Metric[M] {
	m := &Metric[M]{name: name, labels: len(labels), make: create, spare: spare, known: map[string]M{}}
	if declared.Add(1) > maxMetrics {
		panic(fmt.Sprintf("gray: metric %s: over %d metrics are declared; is one declared again and again?", name, maxMetrics))
	}
	if err := registry.Register(c); err != nil {
		panic(fmt.Sprintf("gray: metric %s can't be declared: %v", name, err))
	}
	if len(labels) == 0 {
		m.plain = m.begin("", nil)
	}
	first.Do(func() { close(some) })
	return m
}

// check panics if nodes wouldn't take a metric of this name with these labels.
func check(name string, labels []string) {
	fault := ""
	for _, p := range []string{"gray_", "go_", "process_", "promhttp_"} {
		if strings.HasPrefix(name, p) {
			fault = "names that begin with " + p + " are taken"
		}
	}
	for _, s := range []string{"_bucket", "_count", "_sum"} {
		if strings.HasSuffix(name, s) {
			fault = "names that end with " + s + " are of histograms' series"
		}
	}
	if len(name) > maxName || !model.LegacyValidation.IsValidMetricName(name) {
		fault = fmt.Sprintf("want letters, digits, _ and :, no digit first, %d in all at most", maxName)
	}
	if len(labels) > maxLabels {
		fault = fmt.Sprintf("it has %d labels: at most %d make sense", len(labels), maxLabels)
	}
	for i, l := range labels {
		switch {
		case len(l) > maxName || !model.LegacyValidation.IsValidLabelName(l) || strings.HasPrefix(l, "__"):
			fault = fmt.Sprintf("%q is no name of a label: want letters, digits and _, neither a digit nor two _ first", l)
		case slices.Contains([]string{"job_id", "node", "worker", "le"}, l):
			fault = fmt.Sprintf("the label %s is given by gray", l)
		case slices.Contains(labels[:i], l):
			fault = fmt.Sprintf("it has the label %s twice", l)
		}
	}
	if fault == "" {
		if _, twice := names.LoadOrStore(name, true); twice {
			fault = "it's declared already"
		}
	}
	if fault != "" {
		panic(fmt.Sprintf("gray: metric %q can't be declared: %s", name, fault))
	}
}
