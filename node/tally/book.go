package tally

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// MaxSeries is how many series a job may have on a node.
	MaxSeries = 1000

	maxAll     = 100_000
	maxEnded   = 100
	maxText    = 256  // bytes of a name or of a label's value
	maxHelp    = 1024 // bytes
	maxLabels  = 10
	maxBuckets = 64
)

// Reserved are the labels that nodes give to the series of jobs.
var Reserved = []string{"job_id", "node", "worker"}

// Book is the metrics of all jobs that have something on a node.
type Book struct {
	mu     sync.Mutex
	jobs   map[ids.JobID]*job
	kinds  map[string]*use
	ended  []ids.JobID // in order
	series int
}

// use is how many jobs have metrics of a name, and of which kind.
type use struct {
	kind proto.UserFamily_Kind
	jobs int
}

type job struct {
	families map[string]*family
	series   int
	dropped  uint64
	told     bool // somebody was told that some were dropped
	ended    bool
}

type family struct {
	name, help string
	kind       proto.UserFamily_Kind
	labels     []string
	bounds     []float64
	series     map[string]*series
}

type series struct {
	labels []string
	worker ids.ProcessID // of a gauge
	value  float64       // of a histogram: the sum
	counts []uint64
}

// New returns an empty book.
func New() *Book { return &Book{jobs: map[ids.JobID]*job{}, kinds: map[string]*use{}} }

// Push adds what a process says. The first time that something of a job has no place, it
// says why.
func (b *Book) Push(id ids.JobID, from ids.ProcessID, m *proto.UserMetrics) (problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.jobs[id]
	if j == nil {
		j = &job{families: map[string]*family{}}
		b.jobs[id] = j
	}
	drop := func(n uint64, format string, args ...any) {
		j.dropped += n
		if problem == "" && !j.told {
			problem, j.told = fmt.Sprintf(format, args...), true
		}
	}
	if m.Dropped > 0 {
		drop(m.Dropped, tooMany)
	}
	for _, f := range m.Families {
		if b.jobs[id] != j {
			return problem // it made room for its own
		}
		have, why := b.family(j, f)
		if have == nil {
			drop(uint64(len(f.Series)), "the metric %.100q is dropped: %s", f.Name, why)
			continue
		}
		for _, s := range f.Series {
			if len(s.Labels) != len(have.labels) || have.kind == proto.UserFamily_HISTOGRAM && len(s.Counts) != len(have.bounds)+1 {
				drop(1, "a series of the metric %s is dropped: it isn't as the metric was declared", have.name)
				continue
			}
			if !b.add(id, have, from, s) {
				drop(1, tooMany)
			}
		}
	}
	return problem
}

const tooMany = "a job has at most 1000 series of metrics on a node, and this one more: others are dropped; do its labels have too many values?"

// family finds or makes the family that f is of; else it says why there can't be one.
func (b *Book) family(j *job, f *proto.UserFamily) (*family, string) {
	if have := j.families[f.Name]; have != nil {
		if have.kind != f.Kind || !slices.Equal(have.labels, f.Labels) || !slices.Equal(have.bounds, f.Bounds) {
			return nil, "another process of the job declares it otherwise"
		}
		return have, ""
	}
	if why := misfit(f); why != "" {
		return nil, why
	}
	u := b.kinds[f.Name]
	switch {
	case u != nil && u.kind != f.Kind:
		return nil, "to another job it's a " + strings.ToLower(u.kind.String())
	case len(j.families) >= MaxSeries:
		return nil, tooMany
	case u == nil:
		u = &use{kind: f.Kind}
		b.kinds[f.Name] = u
	}
	u.jobs++
	have := &family{
		name: f.Name, help: strings.ToValidUTF8(f.Help[:min(len(f.Help), maxHelp)], "\uFFFD"), kind: f.Kind,
		labels: f.Labels, bounds: f.Bounds, series: map[string]*series{},
	}
	j.families[f.Name] = have
	return have, ""
}

// misfit says what is wrong with a family that a process declares; "": nothing.
func misfit(f *proto.UserFamily) string {
	const name = model.LegacyValidation
	switch {
	case len(f.Name) > maxText || !name.IsValidMetricName(f.Name):
		return "that's no name of a metric"
	case Taken(f.Name):
		return "that name is gray's own, or of a histogram's series"
	case len(f.Labels) > maxLabels:
		return "it has too many labels"
	case f.Kind < 0 || f.Kind > proto.UserFamily_HISTOGRAM:
		return "it's of no known kind"
	case f.Kind != proto.UserFamily_HISTOGRAM && len(f.Bounds) > 0, len(f.Bounds) > maxBuckets:
		return "it has too many buckets"
	}
	for i, l := range f.Labels {
		if len(l) > maxText || !name.IsValidLabelName(l) || l == "le" || strings.HasPrefix(l, "__") ||
			slices.Contains(Reserved, l) || slices.Contains(f.Labels[:i], l) {
			return fmt.Sprintf("it can't have a label %.100q", l)
		}
	}
	for i, bound := range f.Bounds {
		if bound != bound || i > 0 && bound <= f.Bounds[i-1] {
			return "its buckets aren't in order"
		}
	}
	return ""
}

// Taken reports whether a name could be of one of gray's own metrics, or of a series of a
// histogram.
func Taken(name string) bool {
	begins := func(p string) bool { return strings.HasPrefix(name, p) }
	ends := func(s string) bool { return strings.HasSuffix(name, s) }
	return slices.ContainsFunc([]string{"gray_", "go_", "process_", "promhttp_"}, begins) ||
		slices.ContainsFunc([]string{"_bucket", "_count", "_sum"}, ends)
}

// add takes what a process says of one series, if there is a place for it.
func (b *Book) add(id ids.JobID, f *family, from ids.ProcessID, s *proto.UserSeries) bool {
	labels := make([]string, len(s.Labels))
	for i, v := range s.Labels {
		labels[i] = strings.ToValidUTF8(v[:min(len(v), maxText)], "\uFFFD")
	}
	key := strings.Join(labels, "\xff")
	if f.kind == proto.UserFamily_GAUGE {
		key += "\xff" + from.String()
	}
	have := f.series[key]
	if have == nil {
		j := b.jobs[id]
		if j == nil || j.series >= MaxSeries || !b.fits() || b.jobs[id] != j {
			return false
		}
		have = &series{labels: labels}
		f.series[key] = have
		j.series++
		b.series++
	}
	switch f.kind {
	case proto.UserFamily_COUNTER:
		have.value += max(s.Value, 0)
	case proto.UserFamily_GAUGE:
		have.value, have.worker = s.Value, from
	case proto.UserFamily_HISTOGRAM:
		have.value += s.Value
		if have.counts == nil {
			have.counts = make([]uint64, len(f.bounds)+1)
		}
		for i, n := range s.Counts {
			have.counts[i] += n
		}
	}
	return true
}

// Ended drops the gauges of a process that has ended.
func (b *Book) Ended(id ids.JobID, p ids.ProcessID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.jobs[id]
	if j == nil {
		return
	}
	for _, f := range j.families {
		for key, s := range f.series {
			if f.kind == proto.UserFamily_GAUGE && s.worker == p {
				delete(f.series, key)
				j.series--
				b.series--
			}
		}
	}
}

// JobEnded says that a job may be forgotten when there are enough newer ones.
func (b *Book) JobEnded(id ids.JobID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.jobs[id]
	if j == nil || j.ended {
		return
	}
	j.ended = true
	b.ended = append(b.ended, id)
	if len(b.ended) > maxEnded {
		b.makeRoom()
	}
}

// fits makes room for a series.
func (b *Book) fits() bool {
	for b.series >= maxAll {
		if !b.makeRoom() {
			return false
		}
	}
	return true
}

// makeRoom forgets the job that ended first, if one has.
func (b *Book) makeRoom() bool {
	if len(b.ended) == 0 {
		return false
	}
	id := b.ended[0]
	b.ended = slices.Delete(b.ended, 0, 1)
	j := b.jobs[id]
	delete(b.jobs, id)
	b.series -= j.series
	for name := range j.families {
		if b.kinds[name].jobs--; b.kinds[name].jobs == 0 {
			delete(b.kinds, name)
		}
	}
	return true
}
