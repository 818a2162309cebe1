package timeline

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/newest"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// maxLanes is how many rows a process or a node's own doings may have.
const maxLanes = 128

// Timeline is what ran, and where.
type Timeline struct {
	cluster ids.ClusterID
	job     ids.JobID // 0: all

	mu        sync.Mutex
	keep      *newest.Keeper[*attempt]
	keepSpans *newest.Keeper[*span]
	running   []*attempt
	processes map[ids.ProcessID]*process
	dropped   uint64

	// Set by Arrange.
	base     int64 // Unix time, ns, of moment 0
	end      int64 // of the last
	attempts []*attempt
	spans    []*span
	rows     []*row
	bySlice  map[task][]*attempt // those that ran
}

type task struct {
	owner  ids.ProcessID
	number uint64
}

// attempt is a record as it's drawn.
type attempt struct {
	recorder.Record
	owner   ids.ProcessID
	name    string
	running bool
	row     *row // of its run; nil: it never ran, or has none
}

type span struct {
	node ids.NodeID
	*proto.Span
	object ids.ObjectID
	row    *row
}

type process struct {
	pid   int32
	kind  string
	class string
	job   uint32
	lanes []*row
	first int64 // when, as an owner, it submitted something first; 0: never
	last  int64 // and had the last answer
}

// row is a thread of the trace.
type row struct {
	node  ids.NodeID
	id    ids.ProcessID // zero: one of the node's own
	lane  int
	label string
	index int   // among all
	until int64 // its last slice's end
}

// New returns an empty timeline of a job, of all if it's 0, that keeps as many attempts
// and as many spans as limit says.
func New(cluster ids.ClusterID, job ids.JobID, limit int) *Timeline {
	return &Timeline{
		cluster: cluster, job: job, keep: newest.New[*attempt](limit), keepSpans: newest.New[*span](limit),
		processes: map[ids.ProcessID]*process{}, bySlice: map[task][]*attempt{},
	}
}

// From returns what takes the parts of a node's answer, in their order. Those of
// several nodes may be taken at the same time.
func (t *Timeline) From(node ids.NodeID) func(*proto.TimelinePart) {
	var names []string
	return func(p *proto.TimelinePart) {
		t.mu.Lock()
		defer t.mu.Unlock()
		names = append(names, p.Names...)
		t.dropped += p.Dropped
		for _, x := range p.Processes {
			t.processes[ids.ProcessID{Node: node, Number: x.Process}] = &process{pid: x.Pid, kind: x.Kind, class: x.Class, job: x.Job}
		}
		for _, a := range p.Attempts {
			t.take(a, names)
		}
		for _, s := range p.Spans {
			object, err := ids.ObjectIDFrom(s.Object)
			if _, known := spanKinds[s.Kind]; !known || err != nil || s.DurationNs > uint64(year) || s.BeginUnixNs < 0 {
				continue
			}
			t.keepSpans.Add(s.BeginUnixNs, &span{node: node, Span: s, object: object})
		}
	}
}

// year bounds durations, so that sums of a few of them don't overflow.
const year = 365 * 24 * time.Hour

func (t *Timeline) take(m *proto.Attempt, names []string) {
	a := &attempt{owner: ids.ProcessID{Node: ids.NodeID(m.OwnerNode), Number: m.OwnerProcess}, running: m.Running, name: "?"}
	if int64(m.Name) < int64(len(names)) {
		a.name = names[m.Name]
	}
	if m.SubmittedUnixNs < 0 {
		return
	}
	a.Record = recorder.Record{
		Number: m.Number, Attempt: uint16(m.Attempt), Worker: ids.ProcessID{Node: ids.NodeID(m.WorkerNode), Number: m.WorkerProcess},
		Parent: m.Parent, ParentOwner: ids.ProcessID{Node: ids.NodeID(m.ParentNode), Number: m.ParentProcess},
		Submitted: m.SubmittedUnixNs, InBytes: m.InputBytes, OutBytes: m.OutputBytes,
		Kind: recorder.Kind(m.Kind), Outcome: recorder.Outcome(m.Outcome), Error: proto.Error_Kind(m.Error),
	}
	a.Ready, a.Pushed, a.Began, a.Ended, a.Done = moment(m.Ready), moment(m.Pushed), moment(m.Began), moment(m.Ended), max(moment(m.Done), 0)
	a.order()
	if a.running {
		t.running = append(t.running, a)
		return
	}
	t.keep.Add(a.Submitted+int64(a.Done), a)
}

// moment reads a duration as messages have it.
func moment(x uint64) time.Duration {
	if x == 0 {
		return recorder.Never
	}
	return time.Duration(min(x-1, uint64(year)))
}

// order gives the moments that there were an order, if they have none.
func (a *attempt) order() {
	var last time.Duration
	for _, m := range []*time.Duration{&a.Ready, &a.Pushed, &a.Began, &a.Ended, &a.Done} {
		if *m >= 0 {
			*m = max(*m, last)
			last = *m
		}
	}
}

// ran reports whether the function was called.
func (a *attempt) ran() bool { return a.Began >= 0 && !a.Worker.IsZero() }

// begin and end are those of its run.
func (a *attempt) begin() int64 { return a.Submitted + int64(a.Began) }
func (a *attempt) end() int64 {
	if a.Ended < 0 { // its process died under it
		return a.Submitted + int64(a.Done)
	}
	return a.Submitted + int64(a.Ended)
}

// Arrange puts everything in its row. begin is the job's, in Unix ns; 0: that of the first
// that there is. Nothing may be added any more.
func (t *Timeline) Arrange(begin int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped += t.keep.Dropped() + t.keepSpans.Dropped()
	t.attempts = t.keep.Take()
	t.addRunning()
	for _, s := range t.keepSpans.Take() {
		if p := t.processes[s.object.Owner]; t.job == 0 || p != nil && p.job == uint32(t.job) {
			t.spans = append(t.spans, s)
		}
	}
	t.base = begin
	for _, a := range t.attempts {
		t.cover(a.Submitted, a.Submitted+int64(a.Done))
		if p := t.process(a.owner); !a.running {
			if p.first == 0 || a.Submitted < p.first {
				p.first = a.Submitted
			}
			p.last = max(p.last, a.Submitted+int64(a.Done))
		}
		if a.ran() {
			t.process(a.Worker)
			key := task{a.owner, a.Number}
			t.bySlice[key] = append(t.bySlice[key], a)
		}
	}
	for _, s := range t.spans {
		t.cover(s.BeginUnixNs, s.BeginUnixNs+int64(s.DurationNs))
	}
	t.layOut()
}

func (t *Timeline) cover(begin, end int64) {
	if t.base == 0 || begin < t.base {
		t.base = begin
	}
	t.end = max(t.end, end)
}

func (t *Timeline) process(id ids.ProcessID) *process {
	p := t.processes[id]
	if p == nil { // its node has forgotten it, or is dead
		p = &process{}
		t.processes[id] = p
	}
	return p
}

// addRunning adds what still runs: what has ended since it was looked at is known.
func (t *Timeline) addRunning() {
	ended := map[task]int64{}
	for _, a := range t.attempts {
		if a.ran() {
			key := task{a.owner, a.Number}
			ended[key] = max(ended[key], a.end())
		}
	}
	for _, a := range t.running {
		if ended[task{a.owner, a.Number}] <= a.Submitted {
			t.attempts = append(t.attempts, a)
		}
	}
	t.running = nil
}

// layOut makes the rows.
func (t *Timeline) layOut() {
	ran := make([]*attempt, 0, len(t.attempts))
	for _, a := range t.attempts {
		if a.ran() {
			ran = append(ran, a)
		}
	}
	slices.SortFunc(ran, func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(a.begin(), b.begin()), cmp.Compare(a.end(), b.end()), cmp.Compare(a.Number, b.Number))
	})
	for id, p := range t.processes {
		p.lanes = append(p.lanes, &row{node: id.Node, id: id})
	}
	for _, a := range ran {
		p := t.processes[a.Worker]
		a.row = place(&p.lanes, row{node: a.Worker.Node, id: a.Worker}, a.begin(), a.end())
	}
	type own struct {
		node ids.NodeID
		kind proto.Span_Kind
	}
	nodes := map[own][]*row{}
	for _, s := range t.spans {
		lanes := nodes[own{s.node, s.Kind}]
		s.row = place(&lanes, row{node: s.node, label: spanRows[s.Kind]}, s.BeginUnixNs, s.BeginUnixNs+int64(s.DurationNs))
		nodes[own{s.node, s.Kind}] = lanes
	}
	for id, p := range t.processes {
		for _, r := range p.lanes {
			if r.until != 0 || p.first != 0 {
				r.label = p.label(id)
				t.rows = append(t.rows, r)
			}
		}
	}
	for _, lanes := range nodes {
		t.rows = append(t.rows, lanes...)
	}
	slices.SortFunc(t.rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.node, b.node), before(b.id.IsZero(), a.id.IsZero()), cmp.Compare(a.id.Number, b.id.Number),
			cmp.Compare(a.label, b.label), cmp.Compare(a.lane, b.lane))
	})
	for i, r := range t.rows {
		r.index = i
	}
}

// before orders what isn't so before what is.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// place finds the first lane that is free from begin on; nil: all are taken.
func place(lanes *[]*row, like row, begin, end int64) *row {
	for _, r := range *lanes {
		if r.until <= begin {
			r.until = max(end, 1)
			return r
		}
	}
	if len(*lanes) == maxLanes {
		return nil
	}
	like.lane, like.until = len(*lanes), end
	*lanes = append(*lanes, &like)
	return &like
}

var spanRows = map[proto.Span_Kind]string{
	proto.Span_TRANSFER: "transfers to here", proto.Span_SPILL: "spills", proto.Span_RESTORE: "restores", proto.Span_EVICTION: "evictions",
}

// Dropped is how many attempts and spans there were that it doesn't have.
func (t *Timeline) Dropped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}
