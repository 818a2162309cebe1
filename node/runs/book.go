package runs

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	// MaxRuns is how many runs a node keeps.
	MaxRuns = 1000

	maxSeries = 2048 // of all runs together: 24 bytes a point, so 48 MiB
	maxKeys   = 64   // of a run
	maxPoints = 1000 // of a series
	maxText   = 128  // bytes of a name or key
)

// counted are the keys whose values are counted in buckets, too, with their bounds.
var counted = map[string][]float64{"staleness": {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}}

// Book is the runs that processes of a node have reported of.
type Book struct {
	mu      sync.Mutex
	runs    map[string]*run
	series  int
	dropped uint64 // runs
}

type run struct {
	info    *proto.RunInfo // without series
	heard   int64          // Unix time, ms
	series  map[string]*series
	dropped uint64 // values
}

// New returns an empty book.
func New() *Book { return &Book{runs: map[string]*run{}} }

// Report takes what a process of a job says of a run at a time, Unix time in ms.
func (b *Book) Report(job ids.JobID, r *proto.RunReport, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	given := r.GetRun()
	id := given.GetId()
	if id == "" || id != clean(id) {
		return
	}
	have := b.runs[id]
	if have == nil {
		if len(b.runs) >= MaxRuns && !b.makeRoom() {
			b.dropped++
			return
		}
		have = &run{series: map[string]*series{}, info: &proto.RunInfo{
			Id: id, Name: clean(given.Name), Kind: clean(given.Kind), Job: uint32(job), BegunUnixMs: now,
		}}
		b.runs[id] = have
	}
	if have.info.Job != uint32(job) {
		return
	}
	have.heard = now
	have.info.TotalSteps = max(have.info.TotalSteps, given.TotalSteps)
	if given.BegunUnixMs > 0 {
		have.info.BegunUnixMs = min(have.info.BegunUnixMs, given.BegunUnixMs)
	}
	for _, p := range r.Points {
		b.add(have, p)
	}
	if r.Ended && have.info.EndedUnixMs == 0 {
		have.info.EndedUnixMs = now
	}
}

func (b *Book) add(r *run, p *proto.RunPoint) {
	r.info.Step = max(r.info.Step, p.Step)
	for i, key := range p.Keys {
		if i >= len(p.Values) {
			return
		}
		key = clean(key)
		s := r.series[key]
		if s == nil {
			if key == "" || len(r.series) >= maxKeys || !b.seriesFits() || b.runs[r.info.Id] != r {
				r.dropped++
				continue
			}
			s = &series{bounds: counted[key]}
			if s.bounds != nil {
				s.counts = make([]uint64, len(s.bounds)+1)
			}
			r.series[key] = s
			b.series++
		}
		s.add(point{p.Step, p.TimeUnixMs, p.Values[i]})
	}
}

// seriesFits makes room for a series.
func (b *Book) seriesFits() bool {
	for b.series >= maxSeries {
		if !b.makeRoom() {
			return false
		}
	}
	return true
}

// makeRoom forgets the ended run that was silent longest, if there is one.
func (b *Book) makeRoom() bool {
	var oldest *run
	for _, r := range b.runs {
		if r.info.EndedUnixMs > 0 && (oldest == nil || cmp.Or(cmp.Compare(r.heard, oldest.heard), cmp.Compare(r.info.Id, oldest.info.Id)) < 0) {
			oldest = r
		}
	}
	if oldest == nil {
		return false
	}
	delete(b.runs, oldest.info.Id)
	b.series -= len(oldest.series)
	b.dropped++
	return true
}

// JobEnded ends the runs of a job at a time, Unix time in ms.
func (b *Book) JobEnded(job ids.JobID, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		if r.info.Job == uint32(job) && r.info.EndedUnixMs == 0 {
			r.info.EndedUnixMs = now
		}
	}
}

// List describes all runs, each series by its last point, or one with all its points.
func (b *Book) List(id string) *proto.RunList {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &proto.RunList{Dropped: b.dropped}
	for _, name := range slices.Sorted(maps.Keys(b.runs)) {
		if id == "" || id == name {
			out.Runs = append(out.Runs, b.runs[name].describe(id != ""))
		}
	}
	return out
}

func (r *run) describe(whole bool) *proto.RunInfo {
	out := &proto.RunInfo{
		Id: r.info.Id, Name: r.info.Name, Kind: r.info.Kind, Job: r.info.Job, TotalSteps: r.info.TotalSteps,
		BegunUnixMs: r.info.BegunUnixMs, EndedUnixMs: r.info.EndedUnixMs, Step: r.info.Step, Dropped: r.dropped,
	}
	for _, key := range slices.Sorted(maps.Keys(r.series)) {
		out.Series = append(out.Series, r.series[key].describe(key, whole))
	}
	return out
}

// Len is how many runs there are, and how many were dropped or forgotten.
func (b *Book) Len() (runs int, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.runs), b.dropped
}

// clean makes a process's text one that can be shown and stored.
func clean(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD")
}
