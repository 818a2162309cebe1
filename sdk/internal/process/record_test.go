package process

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	graypb "github.com/gray-runtime/gray/proto"
)

// recording is a process that records, and does nothing else.
func recording(tb testing.TB) *Process {
	tb.Helper()
	f, err := recorder.New(recorder.DriverRecords)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	p := &Process{}
	if p.records.ring, err = recorder.Open(f); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.records.ring.Close)
	return p
}

// BenchmarkRecordReplies is what a task's record costs, of those that share a batch.
func BenchmarkRecordReplies(b *testing.B) {
	const size = 64
	for name, rough := range map[string]bool{"recorded": false, "counted": true} {
		b.Run(name, func(b *testing.B) {
			p := recording(b)
			opts := &TaskOptions{Name: "f"}
			opts.named.Store(p)
			batch := make([]outcome, size)
			for i := range batch {
				t := &Task{obj: &Object{p: p}, opts: opts}
				t.submitted = int64(clock())
				if rough {
					t.submitted, t.actor = -t.submitted, &actorClient{}
				}
				batch[i] = outcome{task: t, reply: reply{kind: frameValue, began: clockBase + int64(clock()), run: time.Microsecond}, ending: ending{records: true}}
			}
			var tally recorder.Tally
			b.ReportAllocs()
			for n := 0; n < b.N; n += size {
				for i := range batch {
					batch[i].ending.records = true
				}
				p.recordReplies(&tally, batch, ids.ProcessID{Node: 1, Number: 2})
			}
		})
	}
}

// TestSubmitRate: everybody looks at the clock until there are many, then some do, and
// everybody again when there are few.
func TestSubmitRate(t *testing.T) {
	p := recording(t)
	p.ctx = t.Context()
	submit := func(n int) (looked int) {
		for range n {
			if p.submittedAt(p.next.Add(1)) > 0 {
				looked++
			}
		}
		return looked
	}
	p.records.rate.mark.Store(int64(clock() - time.Hour))
	if n := submit(2 * markEvery); n != 2*markEvery {
		t.Errorf("%d of the first looked", n)
	}
	if n := submit(100 * markEvery); n > 50*markEvery {
		t.Errorf("%d of many looked", n)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.records.rate.timer.Load() {
		<-tick.C
	}
	if n := submit(100); n < 100 {
		t.Errorf("%d of 100 looked when there were few", n)
	}
}

func TestFailureTexts(t *testing.T) {
	var f failureTexts
	told := 0
	for i := range 3 * maxTold {
		if f.take(time.Duration(i)) {
			told++
		}
	}
	if told != maxTold {
		t.Errorf("%d told in a second", told)
	}
	if !f.take(2 * time.Second) {
		t.Error("none told a second later")
	}
	long := strings.Repeat("é\xff", 1<<20)
	e := shortened(&graypb.Error{Message: long, Stack: long, LogTail: long, Function: long})
	if n := len(e.Message) + len(e.Stack) + len(e.LogTail) + len(e.Function); n > 3*maxText {
		t.Errorf("%d bytes", n)
	}
	if _, err := proto.Marshal(e); err != nil {
		t.Error(err)
	}
}

// TestRunIsPlaced: whatever a worker's clock says, a run lies between its push and its answer.
func TestRunIsPlaced(t *testing.T) {
	for _, began := range []int64{-1 << 62, 0, 1500, 1999, 3000, 1 << 62} {
		for _, run := range []time.Duration{0, 10, 500, 5000} {
			r := recorder.Record{Submitted: 1000, Pushed: 100, Done: 1000}
			placeRun(&r, began, run)
			if r.Began < r.Pushed || r.Ended-r.Began != run || r.Done < r.Ended || run <= 900 && r.Done != 1000 {
				t.Errorf("began %d, ran %d: %+v", began, run, r)
			}
		}
	}
}
