package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/proto"
)

func TestSpansAreBounded(t *testing.T) {
	s := &spans{}
	for i := range maxSpans + 5 {
		s.pulled(transfer.Pulled{Size: int64(i), Node: 2, Began: time.Unix(0, int64(i))})
	}
	all, gone := s.all()
	if len(all) != maxSpans || gone != 5 {
		t.Fatalf("%d kept, %d gone", len(all), gone)
	}
	for _, x := range all {
		if x.bytes < 5 {
			t.Errorf("%+v is one of the oldest", x)
		}
	}
}

// TestABatchIsASpanAnOwner: of what was written; what wasn't is in none.
func TestABatchIsASpanAnOwner(t *testing.T) {
	object := func(owner uint32, number uint64) ids.ObjectID {
		return ids.ObjectID{Owner: ids.ProcessID{Node: 1, Number: owner}, Number: number}
	}
	s := &spans{}
	s.spilled([]objectstore.Victim{
		{ID: object(1, 1), Extent: objectstore.Extent{Size: 10}, Disk: 1}, {ID: object(2, 1), Extent: objectstore.Extent{Size: 5}, Disk: 2},
		{ID: object(1, 2), Extent: objectstore.Extent{Size: 7}, Disk: 3}, {ID: object(1, 3), Extent: objectstore.Extent{Size: 99}},
	}, time.Unix(1, 0), time.Second)
	all, _ := s.all()
	got := map[uint32]span{}
	for _, x := range all {
		got[x.object.Owner.Number] = x
	}
	if len(all) != 2 || got[1].bytes != 17 || got[1].objects != 2 || got[2].bytes != 5 || got[1].took != time.Second || got[1].kind != proto.Span_SPILL {
		t.Errorf("%+v", all)
	}
}

// parts keeps what is sent.
type parts struct {
	grpc.ServerStreamingServer[proto.TimelinePart]
	ctx  context.Context
	sent []*proto.TimelinePart
}

func (p *parts) Context() context.Context         { return p.ctx }
func (p *parts) Send(m *proto.TimelinePart) error { p.sent = append(p.sent, m); return nil }

// TestTimeline: processes that live or have ended, spans within the limits, and what runs.
func TestTimeline(t *testing.T) {
	n := lonely(t)
	driver, other := join(t, n, 1), join(t, n, 2)
	worker := join(t, n, 1)
	n.mu.Lock()
	worker.worker, worker.state, worker.functions = true, leased, map[uint64]string{7: "main.f" + strings.Repeat("x", 2*maxName)}
	n.mu.Unlock()
	*n.progress.word(worker.slot, 0), *n.progress.word(worker.slot, 8) = 3, 7
	*n.progress.word(worker.slot, 16) = uint64(driver.id.Node)<<32 | uint64(driver.id.Number)
	*n.progress.word(worker.slot, 24) = uint64(time.Now().Add(-time.Second).UnixNano()) << 1
	n.ended(other)
	for i := range 3 {
		n.spans.restored(ids.ObjectID{Owner: driver.id, Number: 1}, 8, time.Unix(int64(100+i), 0), time.Second)
	}
	ask := func(r *proto.TimelineRequest) (names []string, all *proto.TimelinePart) {
		p := &parts{ctx: t.Context()}
		if err := (&service{n: n}).Timeline(r, p); err != nil {
			t.Fatal(err)
		}
		all = &proto.TimelinePart{}
		for _, m := range p.sent {
			names = append(names, m.Names...)
			all.Attempts, all.Spans, all.Processes = append(all.Attempts, m.Attempts...), append(all.Spans, m.Spans...), append(all.Processes, m.Processes...)
			all.Dropped += m.Dropped
		}
		return names, all
	}
	names, got := ask(&proto.TimelineRequest{})
	if len(got.Processes) != 3 || len(got.Spans) != 3 || len(got.Attempts) != 1 {
		t.Fatalf("%v", got)
	}
	if a := got.Attempts[0]; !a.Running || a.Number != 3 || a.OwnerProcess != driver.id.Number || a.WorkerProcess != worker.id.Number ||
		len(names[a.Name]) != maxName || a.Ended < uint64(time.Second) {
		t.Errorf("%v of %q", a, names)
	}
	if _, got = ask(&proto.TimelineRequest{Job: 1, Limit: 1}); len(got.Processes) != 2 || len(got.Spans) != 1 || got.Dropped != 2 ||
		got.Spans[0].BeginUnixNs != 102e9 {
		t.Errorf("of job 1, the newest: %v", got)
	}
	if _, got = ask(&proto.TimelineRequest{FromUnixNs: 1015e8, ToUnixNs: 1016e8}); len(got.Spans) != 1 || got.Spans[0].BeginUnixNs != 101e9 {
		t.Errorf("in a tenth of a second: %v", got)
	}
}
