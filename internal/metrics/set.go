package metrics

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is what a metric is to Prometheus.
type Kind string

// Kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric is a metric of gray's own.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []string

	desc *prometheus.Desc
}

// Set is the metrics of nodes or of heads, in the order in which they were defined.
type Set struct{ all []*Metric }

// All returns them.
func (s *Set) All() []*Metric { return s.all }

// Counter defines one.
func (s *Set) Counter(name, help string, labels ...string) *Metric {
	return s.add(name, Counter, help, labels)
}

// Gauge defines one.
func (s *Set) Gauge(name, help string, labels ...string) *Metric {
	return s.add(name, Gauge, help, labels)
}

// Histogram defines one.
func (s *Set) Histogram(name, help string, labels ...string) *Metric {
	return s.add(name, Histogram, help, labels)
}

func (s *Set) add(name string, kind Kind, help string, labels []string) *Metric {
	m := &Metric{Name: name, Kind: kind, Help: help, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
	s.all = append(s.all, m)
	return m
}

// Row is the metric as a row of the table in docs/metrics.md; its series have the label of
// where they're from, too.
func (m *Metric) Row(where string) string {
	labels := ""
	for _, l := range append([]string{where}, m.Labels...) {
		if !strings.Contains(labels, "`"+l+"`") {
			labels += " `" + l + "`"
		}
	}
	return fmt.Sprintf("| `%s` | %s |%s | %s |", m.Name, m.Kind, labels, m.Help)
}

// Collector collects what f sends, of any metrics.
func Collector(f func(chan<- prometheus.Metric)) prometheus.Collector { return collector(f) }

type collector func(chan<- prometheus.Metric)

// Describe says nothing: what there is depends on what the cluster does.
func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) { c(out) }

// Send sends the value of a counter or gauge.
func (m *Metric) Send(out chan<- prometheus.Metric, v float64, labels ...string) {
	t := prometheus.GaugeValue
	if m.Kind == Counter {
		t = prometheus.CounterValue
	}
	c, err := prometheus.NewConstMetric(m.desc, t, v, labels...)
	if err != nil {
		c = prometheus.NewInvalidMetric(m.desc, fmt.Errorf("send %s: %w", m.Name, err))
	}
	out <- c
}

// SendHistogram sends a histogram: buckets has by upper bound how many values were at most
// that.
func (m *Metric) SendHistogram(out chan<- prometheus.Metric, count uint64, sum float64, buckets map[float64]uint64, labels ...string) {
	c, err := prometheus.NewConstHistogram(m.desc, count, sum, buckets, labels...)
	if err != nil {
		c = prometheus.NewInvalidMetric(m.desc, fmt.Errorf("send %s: %w", m.Name, err))
	}
	out <- c
}

// Observed makes the histogram one that counts what it's told.
func (m *Metric) Observed(buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
}
