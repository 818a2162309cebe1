package timeline

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/internal/traceevent"
	"github.com/gray-runtime/gray/proto"
)

// start is some time, in Unix ns.
const start = int64(1_700_000_000_000_000_000)

// one is a job of a driver, n1.p1, whose task 1 ran on n1.p2 and submitted task 2, which ran
// on n2.p1, and whose task 3 never ran.
func one() map[ids.NodeID][]*proto.TimelinePart {
	at := func(d time.Duration) uint64 { return uint64(d) + 1 }
	return map[ids.NodeID][]*proto.TimelinePart{
		1: {
			{Names: []string{"main.a"}, Processes: []*proto.TimelineProcess{
				{Process: 1, Pid: 100, Kind: "driver", Job: 1}, {Process: 2, Pid: 101, Kind: "worker", Job: 1}, {Process: 9, Kind: "driver", Job: 2},
			}},
			{Names: []string{"main.b"}, Attempts: []*proto.Attempt{
				{OwnerNode: 1, OwnerProcess: 1, Number: 1, Name: 0, WorkerNode: 1, WorkerProcess: 2, SubmittedUnixNs: start,
					Ready: at(0), Pushed: at(10), Began: at(2000), Ended: at(9001), Done: at(9500)},
				{OwnerNode: 1, OwnerProcess: 2, Number: 1, Name: 1, WorkerNode: 2, WorkerProcess: 1, SubmittedUnixNs: start + 3000,
					ParentNode: 1, ParentProcess: 1, Parent: 1,
					Ready: at(100), Pushed: at(200), Began: at(300), Ended: at(2300), Done: at(2400), Outcome: uint32(recorder.Failed), Error: uint32(proto.Error_PANIC)},
				{OwnerNode: 1, OwnerProcess: 1, Number: 3, Name: 0, SubmittedUnixNs: start + 1, Ready: at(5), Done: at(50), Outcome: uint32(recorder.Cancelled)},
			}},
		},
		2: {{
			Dropped: 7, Processes: []*proto.TimelineProcess{{Process: 1, Pid: 200, Kind: "actor", Class: "main.<b>", Job: 1}},
			Spans: []*proto.Span{
				{Kind: proto.Span_TRANSFER, BeginUnixNs: start + 100, DurationNs: 50, Bytes: 8, Object: object(1, 1, 5), Objects: 1, From: 1},
				{Kind: proto.Span_TRANSFER, BeginUnixNs: start + 120, DurationNs: 50, Bytes: 9, Object: object(1, 1, 6), Objects: 1, From: 1},
				{Kind: proto.Span_EVICTION, BeginUnixNs: start + 200, Bytes: 9, Object: object(1, 1, 6), Objects: 1},
				{Kind: proto.Span_SPILL, BeginUnixNs: start + 100, DurationNs: 50, Object: object(1, 9, 5), Objects: 1}, // another job's
			},
		}},
	}
}

func object(node ids.NodeID, process uint32, number uint64) []byte {
	return ids.ObjectID{Cluster: 7, Owner: ids.ProcessID{Node: node, Number: process}, Number: number}.Bytes()
}

func drawn(parts map[ids.NodeID][]*proto.TimelinePart, limit int) *Timeline {
	t := New(7, 1, limit)
	for node, all := range parts {
		take := t.From(node)
		for _, p := range all {
			take(p)
		}
	}
	t.Arrange(start - 1000)
	return t
}

func written(t testing.TB, l *Timeline) *traceevent.Trace {
	t.Helper()
	var b bytes.Buffer
	if err := l.WriteTrace(&b); err != nil {
		t.Fatal(err)
	}
	trace, err := traceevent.Read(&b)
	if err != nil {
		t.Fatalf("%v in\n%.4000s", err, b.String())
	}
	return trace
}

func TestTrace(t *testing.T) {
	trace := written(t, drawn(one(), 100))
	var runs float64
	for _, e := range trace.Of("X", "run") {
		runs += *e.Dur
	}
	if math.Abs(runs-9.001) > 1e-6 {
		t.Errorf("runs of %v µs in all, want 7.001 + 2", runs)
	}
	waits := map[string]float64{}
	open := map[any]*traceevent.Event{}
	for _, e := range trace.Events {
		if e.Phase == "b" && strings.HasPrefix(e.Name, "wait: ") {
			open[e.ID] = &e
		} else if e.Phase == "e" && open[e.ID] != nil && open[e.ID].Name == e.Name {
			waits[e.Name] += math.Round((*e.TS-*open[e.ID].TS)*1000) / 1000
		}
	}
	for cause, want := range map[string]float64{
		"wait: inputs": .105, "wait: place": .010 + .1 + .045, "wait: line": 1.99 + .1, "wait: result": .499 + .1,
	} {
		if math.Abs(waits[cause]-want) > 1e-6 {
			t.Errorf("%s: %v µs, want %v", cause, waits[cause], want)
		}
	}
	if n := len(trace.Of("s", "")); n != 2 {
		t.Errorf("%d arrows, want one to each run", n)
	}
	threads := map[string]bool{}
	for _, e := range trace.Of("M", "") {
		if name, ok := e.Args["name"].(string); ok {
			threads[name] = true
		}
	}
	for _, want := range []string{
		"n1", "n2", "n1.p1 driver pid 100", "n1.p2 worker pid 101", "n2.p1 actor main.<b> pid 200", "transfers to here", "transfers to here (2)", "evictions",
	} {
		if !threads[want] {
			t.Errorf("no row %q among %v", want, threads)
		}
	}
	if threads["spills"] || len(trace.Of("X", "transfer")) != 2 || len(trace.Of("i", "eviction")) != 1 || len(trace.Of("i", "submit")) != 3 {
		t.Error("spans of another job, or not all of this one's")
	}
	if trace.Other["dropped"] != "7" || trace.Other["job"] != "j1" {
		t.Errorf("%v", trace.Other)
	}
	for _, e := range trace.Of("X", "run") {
		if e.Name == "main.b" && (e.Args["error"] != "PANIC" || e.Args["state"] != "FAILED") {
			t.Errorf("%v", e.Args)
		}
	}
}

func TestRows(t *testing.T) {
	l := drawn(one(), 100)
	got := l.Rows()
	if len(got.Rows) != 2 || got.Rows[0].ID != "n1.p2" || got.Rows[1].NodeID != "n2" || got.Rows[1].PID != 200 {
		t.Errorf("rows %+v", got.Rows)
	}
	if len(got.Slices) != 2 || len(got.Spans) != 3 || got.Dropped != 7 {
		t.Fatalf("%d slices, %d spans, %d dropped", len(got.Slices), len(got.Spans), got.Dropped)
	}
	for _, s := range got.Slices {
		if name := got.Names[s.Name]; name == "main.b" && (s.Row != 1 || s.DurUs != 2 || s.WaitedUs != .3 || s.Outcome != "FAILED") {
			t.Errorf("%+v", s)
		}
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back api.Timeline
	if err := json.Unmarshal(b, &back); err != nil || back.Slices[1] != got.Slices[1] || !strings.Contains(string(b), `"slices":[[`) {
		t.Errorf("%v: %s", err, b)
	}
}

// TestTheNewestAreKept, and the others counted.
func TestTheNewestAreKept(t *testing.T) {
	l := drawn(one(), 1)
	if got := l.Rows(); len(got.Slices) != 1 || got.Names[0] != "main.a" || len(got.Spans) != 1 || got.Dropped != 7+2+3 {
		t.Errorf("%+v", got)
	}
	written(t, l)
}

// TestRunning: what runs is shown until now, unless it has ended in the meantime.
func TestRunning(t *testing.T) {
	parts := one()
	parts[1] = append(parts[1], &proto.TimelinePart{Attempts: []*proto.Attempt{
		{OwnerNode: 1, OwnerProcess: 1, Number: 1, WorkerNode: 1, WorkerProcess: 2, SubmittedUnixNs: start + 2000, Ready: 1, Pushed: 1, Began: 1, Ended: 100, Done: 100, Running: true},
		{OwnerNode: 1, OwnerProcess: 1, Number: 4, WorkerNode: 1, WorkerProcess: 2, SubmittedUnixNs: start + 9001, Ready: 1, Pushed: 1, Began: 1, Ended: 1001, Done: 1001, Running: true},
	}})
	running := 0
	for _, e := range written(t, drawn(parts, 100)).Of("X", "run") {
		if e.Args["state"] == "RUNNING" {
			running++
			if *e.Dur != 1 {
				t.Errorf("for %v µs", *e.Dur)
			}
		}
	}
	if running != 1 {
		t.Errorf("%d run", running)
	}
}

// TestRandom: whatever nodes say, the trace is one, and what runs at the same time has
// rows of its own.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 10 {
		l := New(7, ids.JobID(rng.IntN(2)), 1+rng.IntN(400))
		for node := range ids.NodeID(3) {
			take := l.From(node + 1)
			for range 3 {
				take(randomPart(rng))
			}
		}
		l.Arrange(int64(rng.IntN(2)) * start)
		written(t, l)
		l.Rows()
	}
}

func randomPart(rng *rand.Rand) *proto.TimelinePart {
	moment := func() uint64 {
		if rng.IntN(8) == 0 {
			return rng.Uint64() >> rng.IntN(64)
		}
		return uint64(rng.IntN(5000))
	}
	p := &proto.TimelinePart{Names: []string{"f", "<b>\"\x1b[31m\n"}}
	for i := range uint32(4) {
		p.Processes = append(p.Processes, &proto.TimelineProcess{Process: i, Job: uint32(rng.IntN(3)), Kind: []string{"driver", "worker", ""}[rng.IntN(3)]})
	}
	for range rng.IntN(300) {
		p.Attempts = append(p.Attempts, &proto.Attempt{
			OwnerNode: uint32(rng.IntN(4)), OwnerProcess: uint32(rng.IntN(5)), Number: uint64(rng.IntN(40)), Name: uint32(rng.IntN(9)), Attempt: uint32(rng.IntN(3)),
			WorkerNode: uint32(rng.IntN(4)), WorkerProcess: uint32(rng.IntN(5)), ParentNode: uint32(rng.IntN(4)), ParentProcess: uint32(rng.IntN(5)), Parent: uint64(rng.IntN(40)),
			SubmittedUnixNs: start + int64(rng.IntN(10_000)) - 5000, Ready: moment(), Pushed: moment(), Began: moment(), Ended: moment(), Done: moment(),
			Kind: uint32(rng.IntN(9)), Outcome: uint32(rng.IntN(9)), Error: uint32(rng.IntN(99)), Running: rng.IntN(9) == 0,
		})
	}
	for range rng.IntN(300) {
		p.Spans = append(p.Spans, &proto.Span{
			Kind: proto.Span_Kind(rng.IntN(6)), BeginUnixNs: start + int64(rng.IntN(9000)), DurationNs: moment(), Object: object(ids.NodeID(rng.IntN(4)), uint32(rng.IntN(4)), 1),
		})
	}
	return p
}

// many is a node's answer about n attempts of a job, of 8 workers.
func many(n int) []*proto.TimelinePart {
	var parts []*proto.TimelinePart
	for i := range n {
		if i%2000 == 0 {
			parts = append(parts, &proto.TimelinePart{})
		}
		p := parts[len(parts)-1]
		p.Attempts = append(p.Attempts, &proto.Attempt{
			OwnerNode: 1, OwnerProcess: 1, Number: uint64(i), WorkerNode: 1, WorkerProcess: uint32(2 + i%8), SubmittedUnixNs: start + int64(i)*1000,
			Ready: 1, Pushed: 1000, Began: 5000, Ended: 12_000, Done: 15_000,
		})
	}
	parts[0].Names = []string{"main.f"}
	parts[0].Processes = []*proto.TimelineProcess{{Process: 1, Kind: "driver", Job: 1}}
	return parts
}

// BenchmarkRows is what the dashboard asks for: 10,000 slices.
func BenchmarkRows(b *testing.B) {
	parts := map[ids.NodeID][]*proto.TimelinePart{1: many(10_000)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(drawn(parts, 10_000).Rows()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrace(b *testing.B) {
	parts := map[ids.NodeID][]*proto.TimelinePart{1: many(100_000)}
	b.ReportAllocs()
	for b.Loop() {
		var n counted
		if err := drawn(parts, 100_000).WriteTrace(&n); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "bytes")
	}
}

type counted int64

func (c *counted) Write(b []byte) (int, error) { *c += counted(len(b)); return len(b), nil }
