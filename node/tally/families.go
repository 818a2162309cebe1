package tally

import (
	"cmp"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Families are all metrics, as Prometheus' own types, with the labels job_id and, of
// gauges, worker.
func (b *Book) Families() []*dto.MetricFamily {
	b.mu.Lock()
	defer b.mu.Unlock()
	byName := map[string]*dto.MetricFamily{}
	for _, id := range slices.Sorted(maps.Keys(b.jobs)) {
		for name, f := range b.jobs[id].families {
			out := byName[name]
			if out == nil {
				out = &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: typeOf(f.kind).Enum()}
				byName[name] = out
			}
			for _, key := range slices.Sorted(maps.Keys(f.series)) {
				out.Metric = append(out.Metric, f.metric(id, f.series[key]))
			}
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
}

func typeOf(k proto.UserFamily_Kind) dto.MetricType {
	switch k {
	case proto.UserFamily_GAUGE:
		return dto.MetricType_GAUGE
	case proto.UserFamily_HISTOGRAM:
		return dto.MetricType_HISTOGRAM
	}
	return dto.MetricType_COUNTER
}

func (f *family) metric(id ids.JobID, s *series) *dto.Metric {
	m := &dto.Metric{Label: []*dto.LabelPair{pair("job_id", id.String())}}
	for i, name := range f.labels {
		m.Label = append(m.Label, pair(name, s.labels[i]))
	}
	value := s.value
	switch f.kind {
	case proto.UserFamily_COUNTER:
		m.Counter = &dto.Counter{Value: &value}
	case proto.UserFamily_GAUGE:
		m.Gauge = &dto.Gauge{Value: &value}
		m.Label = append(m.Label, pair("worker", s.worker.String()))
	case proto.UserFamily_HISTOGRAM:
		m.Histogram = f.histogram(s)
	}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return m
}

func (f *family) histogram(s *series) *dto.Histogram {
	sum, count := s.value, uint64(0)
	h := &dto.Histogram{SampleSum: &sum, SampleCount: &count}
	for i, bound := range f.bounds {
		count += at(s.counts, i)
		upTo := count
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &upTo})
	}
	count += at(s.counts, len(f.bounds))
	return h
}

// at is a count of a series that may not have been told of any yet.
func at(counts []uint64, i int) uint64 {
	if i >= len(counts) {
		return 0
	}
	return counts[i]
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// Dropped is how many updates of each job had no place.
func (b *Book) Dropped() map[ids.JobID]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[ids.JobID]uint64{}
	for id, j := range b.jobs {
		out[id] = j.dropped
	}
	return out
}

// Series is how many there are.
func (b *Book) Series() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.series
}
