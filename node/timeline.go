package node

import (
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/newest"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxTimeline bounds the attempts, and the spans, of an answer.
	maxTimeline = 500_000
	// timelinePart is how many of them travel together.
	timelinePart = 2000
)

// recorded is an attempt's record with what it doesn't say itself.
type recorded struct {
	record recorder.Record
	owner  ids.ProcessID
	name   string
	goes   bool // it goes on: the record is as if it were ending now
}

// Timeline sends what the node keeps of a job.
func (s *service) Timeline(r *proto.TimelineRequest, stream grpc.ServerStreamingServer[proto.TimelinePart]) error {
	limit := maxTimeline
	if r.Limit > 0 {
		limit = min(int(r.Limit), maxTimeline)
	}
	t := &timeline{stream: stream, names: map[string]uint32{}, part: &proto.TimelinePart{}}
	t.part.Processes = s.n.timelineProcesses(r.Job)
	wanted := func(begin, end int64) bool { return end >= r.FromUnixNs && (r.ToUnixNs == 0 || begin <= r.ToUnixNs) }

	attempts, kept := newest.New[recorded](limit), uint64(0)
	s.n.eachRecord(r.Job, func(owner ids.ProcessID, name string, record *recorder.Record) {
		kept++
		if end := record.Submitted + int64(max(record.Done, 0)); wanted(record.Submitted, end) {
			attempts.Add(end, recorded{*record, owner, name, false})
		}
	})
	running := s.n.runningAttempts(r.Job, time.Now())
	spans := newest.New[span](limit)
	all, forgotten := s.n.spans.all()
	for _, x := range all {
		if wanted(x.begin, x.begin+int64(x.took)) {
			spans.Add(x.begin, x)
		}
	}
	t.part.Dropped = attempts.Dropped() + spans.Dropped() + forgotten
	if ended := s.n.endedAttempts(r.Job); ended > kept {
		t.part.Dropped += ended - kept // later ones have taken their place
	}
	for _, a := range attempts.Take() {
		t.attempt(a)
	}
	for _, a := range running {
		t.attempt(a)
	}
	for _, x := range spans.Take() {
		t.span(x)
	}
	return t.send()
}

// timeline sends an answer in parts, up to the first error.
type timeline struct {
	stream grpc.ServerStreamingServer[proto.TimelinePart]
	names  map[string]uint32
	part   *proto.TimelinePart
	full   int // of part
	err    error
}

func (t *timeline) send() error {
	if t.err == nil {
		t.err = t.stream.Send(t.part)
	}
	t.part, t.full = &proto.TimelinePart{}, 0
	return t.err
}

func (t *timeline) added() {
	if t.full++; t.full >= timelinePart {
		_ = t.send()
	}
}

// maxName is how much of a function's name is told, in bytes.
const maxName = 256

func (t *timeline) name(s string) uint32 {
	s = strings.ToValidUTF8(s[:min(len(s), maxName)], "\uFFFD")
	i, ok := t.names[s]
	if !ok {
		i = uint32(len(t.names))
		t.names[s] = i
		t.part.Names = append(t.part.Names, s)
	}
	return i
}

// moment is a duration as messages have it: 0 is never.
func moment(d time.Duration) uint64 {
	if d < 0 {
		return 0
	}
	return uint64(d) + 1
}

func (t *timeline) attempt(a recorded) {
	r := &a.record
	t.part.Attempts = append(t.part.Attempts, &proto.Attempt{
		OwnerNode: uint32(a.owner.Node), OwnerProcess: a.owner.Number, Number: r.Number, Name: t.name(a.name), Attempt: uint32(r.Attempt),
		WorkerNode: uint32(r.Worker.Node), WorkerProcess: r.Worker.Number,
		ParentNode: uint32(r.ParentOwner.Node), ParentProcess: r.ParentOwner.Number, Parent: r.Parent,
		SubmittedUnixNs: r.Submitted, Ready: moment(r.Ready), Pushed: moment(r.Pushed), Began: moment(r.Began), Ended: moment(r.Ended), Done: moment(r.Done),
		InputBytes: r.InBytes, OutputBytes: r.OutBytes, Kind: uint32(r.Kind), Outcome: uint32(r.Outcome), Error: uint32(r.Error), Running: a.goes,
	})
	t.added()
}

func (t *timeline) span(x span) {
	t.part.Spans = append(t.part.Spans, &proto.Span{
		Kind: x.kind, BeginUnixNs: x.begin, DurationNs: uint64(max(x.took, 0)), Bytes: x.bytes,
		Object: x.object.Bytes(), Objects: x.objects, From: uint32(x.from),
	})
	t.added()
}

// endedAttempts is how many there ever were of a job, 0 for all, as far as the node knows.
func (n *Node) endedAttempts(job uint32) (all uint64) {
	living := n.recording(scope{job: job})
	a := n.archive
	a.mu.RLock()
	defer a.mu.RUnlock()
	if job == 0 {
		all = a.ended
	}
	for _, c := range a.jobs[job] {
		all += c.Total()
	}
	for _, p := range living {
		if !p.retired {
			all += p.records.Ended()
		}
	}
	return all
}

// runningAttempts are the tasks and constructors that workers here have begun last, of which
// some may just have ended. Which calls run in actors isn't known.
func (n *Node) runningAttempts(job uint32, now time.Time) []recorded {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []recorded
	for _, p := range n.processes {
		if p.state != leased && !p.constructing() || p.job == nil || job != 0 && uint32(p.job.id) != job {
			continue
		}
		at, _ := n.progress.began(p.slot)
		number, owner := n.progress.lastStarted(p.slot), n.progress.owner(p.slot)
		if began := time.Unix(0, int64(at)); number != 0 && !owner.IsZero() && at != 0 && began.Before(now) {
			took := now.Sub(began)
			all = append(all, recorded{
				recorder.Record{Number: number, Worker: p.id, Submitted: int64(at), Ready: 0, Pushed: 0, Began: 0, Ended: took, Done: took},
				owner, n.runsLocked(p), true,
			})
		}
	}
	return all
}

// timelineProcesses are the processes of a job that live here or did of late.
func (n *Node) timelineProcesses(job uint32) []*proto.TimelineProcess {
	n.mu.Lock()
	defer n.mu.Unlock()
	var rows []*proto.TimelineProcess
	for _, p := range n.processes {
		if p.job != nil && (job == 0 || uint32(p.job.id) == job) {
			rows = append(rows, timelineRow(p.id, n.workerInfoLocked(p)))
		}
	}
	for id, w := range n.past.m {
		if job == 0 || w.Job == job {
			rows = append(rows, timelineRow(id, w))
		}
	}
	return rows
}

func timelineRow(id ids.ProcessID, w *proto.WorkerInfo) *proto.TimelineProcess {
	return &proto.TimelineProcess{Process: id.Number, Pid: w.Pid, Kind: w.Kind, Class: w.Class, Job: w.Job}
}
