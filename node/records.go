package node

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxCountedJobs = 10_000
	// maxCounted is how many functions of ended processes have counts of their own, of all
	// jobs together: 37 MiB. The oldest jobs' are counted together then, a row a job.
	maxCounted  = 64 << 10
	maxNames    = 64 << 10 // of functions, of all jobs
	maxFailures = 4096     // of attempts, with what they failed with
	maxScans    = 2        // at once
)

// recordArchive is what the node keeps of the records of processes that have ended, and what
// is needed to read those of all. Its lock comes after the node's.
type recordArchive struct {
	names functionNames

	mu      sync.RWMutex // held for reading by who reads a process's ring: it isn't unmapped meanwhile
	records keptRecords
	kinds   map[uint64]recorder.Kind
	jobs    map[uint32]map[uint64]*recorder.Counts
	order   []uint32 // keys of jobs, the one whose process ended last at the end
	counted int      // functions in jobs
	gone    uint64   // jobs that were forgotten
	ended   uint64   // attempts, those of forgotten jobs, too

	// scanning has a place for each scan that runs: more at once would only slow down all else.
	scanning chan struct{}

	failing      sync.Mutex // for the rest: who tells of a failure doesn't wait for a scan
	failures     map[failureKey]failure
	failureOrder []failureKey // once they are maxFailures, a ring
	nextFailure  int
}

func newArchive() *recordArchive {
	return &recordArchive{
		kinds: map[uint64]recorder.Kind{}, jobs: map[uint32]map[uint64]*recorder.Counts{},
		failures: map[failureKey]failure{}, scanning: make(chan struct{}, maxScans),
	}
}

type failureKey struct {
	owner   ids.ProcessID
	number  uint64
	attempt uint32
}

// failure is what an attempt failed with.
type failure struct {
	job uint32
	err *proto.Error
}

// retireRecords keeps the newest records of a process that has ended, and its counts.
func (n *Node) retireRecords(p *process) {
	a := n.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.records == nil || p.retired {
		return
	}
	p.retired = true
	defer p.records.Close()
	if p.job == nil {
		return
	}
	job := uint32(p.job.id)
	list := make([]recorder.Record, 0, min(p.records.Written(), recorder.DriverRecords))
	p.records.Read(0, func(_ uint64, r *recorder.Record) bool {
		list = append(list, *r)
		a.learn(r.Function, r.Kind)
		return true
	})
	a.records.add(p.id, job, list)
	a.count(job, p.records.Counts())
}

// learn keeps what a function is.
func (a *recordArchive) learn(function uint64, kind recorder.Kind) {
	if _, known := a.kinds[function]; !known && len(a.kinds) < maxNames {
		a.kinds[function] = kind
	}
}

// functionNames are those of all jobs' functions by hash, for who has no lock.
type functionNames struct {
	m     sync.Map // of uint64: string
	count atomic.Int64
}

func (f *functionNames) add(function uint64, name string) {
	if f.count.Load() >= maxNames {
		return
	}
	if _, known := f.m.LoadOrStore(function, name); !known {
		f.count.Add(1)
	}
}

func (f *functionNames) of(function uint64) string {
	if name, known := f.m.Load(function); known {
		return name.(string)
	}
	if function == 0 {
		return ""
	}
	return fmt.Sprintf("function %016x", function)
}

// keepNamesLocked keeps the names of a process's functions, of which there may be more by now.
func (n *Node) keepNamesLocked(p *process) {
	if len(p.functions) == p.namesKept {
		return
	}
	p.namesKept = len(p.functions)
	for function, name := range p.functions {
		n.archive.names.add(function, name)
	}
}

// count adds an ended process's counts to its job's.
func (a *recordArchive) count(job uint32, counts []recorder.Counts) {
	if len(counts) == 0 {
		return
	}
	of := a.jobs[job]
	if of == nil {
		of = map[uint64]*recorder.Counts{}
		a.jobs[job] = of
		a.order = append(a.order, job)
	} else if last := len(a.order) - 1; a.order[last] != job {
		a.order = append(slices.DeleteFunc(a.order, func(j uint32) bool { return j == job }), job)
	}
	for i := range counts {
		c := &counts[i]
		a.ended += c.Total()
		if have := of[c.Function]; have != nil {
			have.Add(c)
			continue
		}
		own := *c
		of[c.Function] = &own
		a.counted++
	}
	for _, old := range a.order[:max(0, len(a.order)-maxCountedJobs)] {
		a.counted -= len(a.jobs[old])
		delete(a.jobs, old)
		a.gone++
	}
	a.order = a.order[max(0, len(a.order)-maxCountedJobs):]
	if a.counted > maxCounted {
		for i := 0; a.counted > maxCounted*3/4 && i < len(a.order); i++ {
			a.fold(a.order[i])
		}
	}
}

// fold counts all functions of a job together.
func (a *recordArchive) fold(job uint32) {
	of := a.jobs[job]
	if len(of) < 2 {
		return
	}
	all := &recorder.Counts{}
	for _, c := range of {
		all.Add(c)
	}
	a.counted -= len(of) - 1
	a.jobs[job] = map[uint64]*recorder.Counts{0: all}
}

// fail keeps what an attempt failed with.
func (a *recordArchive) fail(k failureKey, f failure) {
	a.failing.Lock()
	defer a.failing.Unlock()
	if _, again := a.failures[k]; !again {
		if len(a.failureOrder) < maxFailures {
			a.failureOrder = append(a.failureOrder, k)
		} else {
			delete(a.failures, a.failureOrder[a.nextFailure])
			a.failureOrder[a.nextFailure] = k
			a.nextFailure = (a.nextFailure + 1) % maxFailures
		}
	}
	a.failures[k] = f
}

// failure is what an attempt failed with, nil if that isn't known.
func (a *recordArchive) failure(k failureKey) *proto.Error {
	a.failing.Lock()
	defer a.failing.Unlock()
	return a.failures[k].err
}

// failuresOf counts the attempts of a job, 0 for all, of which it's known what they failed with.
func (a *recordArchive) failuresOf(job uint32) (n uint64) {
	a.failing.Lock()
	defer a.failing.Unlock()
	for _, f := range a.failures {
		if (job == 0 || f.job == job) && (f.err.GetKind() != proto.Error_DEADLINE || f.err.GetOfInput()) { // else it's cancelled
			n++
		}
	}
	return n
}

// scope says whose records are meant; zero values are all.
type scope struct {
	job   uint32
	owner ids.ProcessID
}

func (s scope) holds(owner ids.ProcessID, job uint32) bool {
	return (s.job == 0 || job == s.job) && (s.owner.IsZero() || owner == s.owner)
}

// recording lists the processes here that have records, oldest first.
func (n *Node) recording(s scope) []*process {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []*process
	for _, p := range n.processes {
		if p.records != nil && p.job != nil && s.holds(p.id, uint32(p.job.id)) {
			n.keepNamesLocked(p)
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(p, q *process) int { return int(p.id.Number) - int(q.id.Number) })
	return list
}

// scan calls take with the ended attempts that are still known, each once, of each process
// the newest first, more or less. What it's given
// is take's until it returns; it may not call for the archive.
func (n *Node) scan(s scope, take func(owner ids.ProcessID, job uint32, name string, r *recorder.Record)) {
	a := n.archive
	a.scanning <- struct{}{}
	defer func() { <-a.scanning }()
	living := n.recording(s)
	a.mu.RLock()
	defer a.mu.RUnlock()
	var function uint64
	name := a.names.of(function)
	nameOf := func(f uint64) string { // mostly that of the one before
		if f != function {
			function, name = f, a.names.of(f)
		}
		return name
	}
	for _, p := range slices.Backward(living) {
		if p.retired { // meanwhile: they are in the archive
			continue
		}
		job := uint32(p.job.id)
		newestFirst(p.records, func(r *recorder.Record) { take(p.id, job, nameOf(r.Function), r) })
	}
	a.records.newestFirst(s, func(run *recordRun, r *recorder.Record) { take(run.owner, run.job, nameOf(r.Function), r) })
}

// newestFirst reads a ring's records, more or less the newest first: who wants only those
// has rejected little that way.
func newestFirst(ring *recorder.Ring, take func(*recorder.Record)) {
	const stretch = 1024
	for end := ring.Written(); end > 0; {
		begin, some := end-min(end, stretch), false
		ring.Read(begin, func(i uint64, r *recorder.Record) bool {
			if i >= end {
				return false
			}
			some = true
			take(r)
			return true
		})
		if !some { // later ones have replaced them
			return
		}
		end = begin
	}
}

// eachRecord calls take with the ended attempts of a job, 0 for all jobs, that are still
// known, and with their owners and functions' names.
func (n *Node) eachRecord(job uint32, take func(owner ids.ProcessID, name string, r *recorder.Record)) {
	n.scan(scope{job: job}, func(owner ids.ProcessID, _ uint32, name string, r *recorder.Record) { take(owner, name, r) })
}

// jobCounts is what became of the attempts of a job's function.
type jobCounts struct {
	job      uint32
	function string // empty: of all that found no place of their own
	kind     recorder.Kind
	known    bool // kind is
	recorder.Counts
}

// taskCounts counts the ended attempts of a job, 0 for all, since the node began, a row a
// job and function. It says how many jobs' counts were forgotten.
func (n *Node) taskCounts(job uint32) (rows []jobCounts, forgotten uint64) {
	type key struct {
		job      uint32
		function uint64
	}
	living := n.recording(scope{job: job})
	a := n.archive
	a.mu.RLock()
	defer a.mu.RUnlock()
	jobs, most := a.jobs, a.counted
	if job != 0 {
		jobs, most = map[uint32]map[uint64]*recorder.Counts{job: a.jobs[job]}, len(a.jobs[job])
	}
	at := make(map[key]int, most)
	rows = make([]jobCounts, 0, most)
	add := func(job uint32, c *recorder.Counts) {
		k := key{job, c.Function}
		i, known := at[k]
		if !known {
			i = len(rows)
			at[k] = i
			row := jobCounts{job: job, function: a.names.of(c.Function), Counts: recorder.Counts{Function: c.Function}}
			row.kind, row.known = a.kinds[c.Function]
			rows = append(rows, row)
		}
		rows[i].Add(c)
	}
	for id, of := range jobs {
		for _, c := range of {
			add(id, c)
		}
	}
	for _, p := range living {
		if p.retired {
			continue
		}
		for _, c := range p.records.Counts() {
			add(uint32(p.job.id), &c)
		}
	}
	return rows, a.gone
}

// countedJobs are those of which attempts have ended, as far as that's known, the newest first.
func (n *Node) countedJobs() []uint32 {
	var jobs []uint32
	for _, p := range n.recording(scope{}) {
		jobs = append(jobs, uint32(p.job.id))
	}
	n.archive.mu.RLock()
	jobs = slices.AppendSeq(jobs, maps.Keys(n.archive.jobs))
	n.archive.mu.RUnlock()
	slices.Sort(jobs)
	jobs = slices.Compact(jobs)
	slices.Reverse(jobs)
	return jobs
}

// learnKinds has the archive know what the functions of living processes are.
func (n *Node) learnKinds(job uint32) {
	found := map[uint64]recorder.Kind{}
	n.eachRecord(job, func(_ ids.ProcessID, _ string, r *recorder.Record) { found[r.Function] = r.Kind })
	n.archive.mu.Lock()
	defer n.archive.mu.Unlock()
	for function, kind := range found {
		n.archive.learn(function, kind)
	}
}

// keepFailure keeps what an attempt of a process's task failed with.
func (n *Node) keepFailure(p *process, f *proto.TaskFailure) {
	if id, err := ids.ObjectIDFrom(f.GetId()); err == nil && id.Owner == p.id {
		n.archive.fail(failureKey{p.id, id.Number, f.GetAttempt()}, failure{uint32(p.job.id), f.GetError()})
	}
}
