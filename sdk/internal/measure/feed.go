package measure

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"

	dto "github.com/prometheus/client_model/go"

	"github.com/gray-runtime/gray/proto"
)

// Feed tells of the changes of all metrics, each once.
type Feed struct {
	mu   sync.Mutex
	sent map[string]*state
	lost uint64 // of dropped, that were told of
}

// state is a series as it was told of last.
type state struct {
	value  float64
	counts []uint64
}

var feeds atomic.Int64

// NewFeed returns a feed; the first of the program begins with what was counted before.
func NewFeed() *Feed {
	f := &Feed{sent: map[string]*state{}}
	if feeds.Add(1) > 1 {
		f.changes(false)
	}
	return f
}

// Changes returns what has changed since it was called last, nil if nothing has.
func (f *Feed) Changes() *proto.UserMetrics {
	if declared.Load() == 0 {
		return nil
	}
	return f.changes(true)
}

func (f *Feed) changes(gauges bool) *proto.UserMetrics {
	f.mu.Lock()
	defer f.mu.Unlock()
	families, err := registry.Gather()
	if err != nil {
		return nil // can't be: the registry has counters, gauges and histograms of its own only
	}
	out := &proto.UserMetrics{Dropped: dropped.Load() - f.lost}
	f.lost += out.Dropped
	for _, g := range families {
		if g.GetType() == dto.MetricType_GAUGE && !gauges {
			continue
		}
		if changed := f.family(g); len(changed.Series) > 0 {
			out.Families = append(out.Families, changed)
		}
	}
	if len(out.Families) == 0 && out.Dropped == 0 {
		return nil
	}
	return out
}

// family is what has changed of one metric.
func (f *Feed) family(g *dto.MetricFamily) *proto.UserFamily {
	out := &proto.UserFamily{Name: g.GetName(), Help: g.GetHelp()}
	for i, m := range g.Metric {
		s := &proto.UserSeries{}
		var names []string
		for _, l := range m.Label {
			names, s.Labels = append(names, l.GetName()), append(s.Labels, l.GetValue())
		}
		if i == 0 {
			out.Labels = names
		}
		key := out.Name + "\xff" + strings.Join(s.Labels, "\xff")
		was := f.sent[key]
		fresh := was == nil
		if fresh {
			was = &state{}
			f.sent[key] = was
		}
		changed := false
		switch {
		case m.Counter != nil:
			out.Kind = proto.UserFamily_COUNTER
			changed = was.differ(m.Counter.GetValue(), s)
		case m.Gauge != nil:
			out.Kind = proto.UserFamily_GAUGE
			changed = was.differ(m.Gauge.GetValue(), s)
			s.Value = was.value
		case m.Histogram != nil:
			out.Kind = proto.UserFamily_HISTOGRAM
			if out.Bounds == nil {
				for _, b := range m.Histogram.Bucket {
					out.Bounds = append(out.Bounds, b.GetUpperBound())
				}
			}
			changed = was.differ(m.Histogram.GetSampleSum(), s)
			changed = was.count(m.Histogram, s) || changed
		}
		if changed || fresh {
			out.Series = append(out.Series, s)
		}
	}
	return out
}

// differ notes a new value, and in s by how much it's more than the last.
func (was *state) differ(value float64, s *proto.UserSeries) bool {
	if math.Float64bits(value) == math.Float64bits(was.value) {
		return false
	}
	s.Value = value - was.value
	was.value = value
	return true
}

// count notes the counts of a histogram's buckets, and in s by how much they're more.
func (was *state) count(h *dto.Histogram, s *proto.UserSeries) (changed bool) {
	if was.counts == nil {
		was.counts = make([]uint64, len(h.Bucket)+1)
	}
	s.Counts = make([]uint64, len(was.counts))
	var below uint64
	for i := range was.counts {
		upTo := h.GetSampleCount()
		if i < len(h.Bucket) {
			upTo = h.Bucket[i].GetCumulativeCount()
		}
		n := upTo - below
		below = upTo
		s.Counts[i] = n - was.counts[i]
		changed = changed || s.Counts[i] > 0
		was.counts[i] = n
	}
	return changed
}
