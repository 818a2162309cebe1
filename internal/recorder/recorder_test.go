package recorder

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

func ring(tb testing.TB, records int) *Ring {
	tb.Helper()
	f, err := New(records)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r, err := Open(f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

func sample(n uint64) Record {
	return Record{
		Number: n, Function: n%3 + 1, Parent: n / 2, ParentOwner: ids.ProcessID{Node: 1, Number: 2}, Worker: ids.ProcessID{Node: 3, Number: 4},
		Actor: n * 7, ActorOwner: ids.ProcessID{Node: 5, Number: 6}, Submitted: int64(n) * 1e9, Ready: 1, Pushed: 2,
		Began: 3 * time.Microsecond, Ended: time.Duration(n) * time.Millisecond, Done: time.Hour, InBytes: 1 << 20, OutBytes: 77,
		Attempt: uint16(n), Kind: Stream, Outcome: Outcome(n % 4), Error: proto.Error_OUT_OF_MEMORY,
	}
}

func TestRecordsComeBack(t *testing.T) {
	r := ring(t, 8)
	for n := uint64(1); n <= 20; n++ {
		rec := sample(n)
		r.Add(&rec)
	}
	var got []uint64
	next := r.Read(0, func(i uint64, rec *Record) bool {
		got = append(got, rec.Number)
		if want := sample(rec.Number); *rec != want || i+1 != rec.Number {
			t.Errorf("record %d: %+v, want %+v", i, *rec, want)
		}
		return true
	})
	if len(got) != 8 || got[0] != 13 || next != 20 || r.Written() != 20 {
		t.Errorf("%v remain of %d, next %d", got, r.Written(), next)
	}
	if next = r.Read(15, func(uint64, *Record) bool { return false }); next != 16 {
		t.Errorf("stopped at once, but goes on from %d", next)
	}
	var ended, runs uint64
	for _, c := range r.Counts() {
		ended += c.Total()
		runs += c.Run.Total()
	}
	if ended != 20 || r.Ended() != 20 || runs != 20 || len(r.Counts()) != 3 {
		t.Errorf("counts: %d ended, %d runs of %d functions", ended, runs, len(r.Counts()))
	}
}

// TestManyWriters: what is read is always whole, however many write, and nothing is
// counted twice or not at all.
func TestManyWriters(t *testing.T) {
	r := ring(t, 4096) // so many that no writer is overtaken in the middle of a record
	const writers, each = 8, 8000
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for from := uint64(0); ; {
			from = r.Read(from, func(_ uint64, rec *Record) bool {
				if *rec != sample(rec.Number) {
					t.Errorf("torn: %+v", *rec)
				}
				return true
			})
			select {
			case <-done:
				return
			default:
			}
		}
	})
	var write sync.WaitGroup
	for w := range writers {
		write.Go(func() {
			for i := range each {
				rec := sample(uint64(w*each + i))
				r.Add(&rec)
			}
		})
	}
	write.Wait()
	close(done)
	all.Wait()
	if n := r.Ended(); n != writers*each {
		t.Errorf("%d counted", n)
	}
}

// TestManyFunctions: functions beyond the table are counted together, with those that have
// no name.
func TestManyFunctions(t *testing.T) {
	r := ring(t, 8)
	for f := range uint64(2000) {
		r.Add(&Record{Function: f, Began: Never})
	}
	seen := map[uint64]uint64{}
	var ended uint64
	for _, c := range r.Counts() {
		seen[c.Function]++
		ended += c.Total()
		if c.Function != 0 && c.Total() != 1 {
			t.Errorf("function %d was counted %d times", c.Function, c.Total())
		}
	}
	if ended != 2000 || r.Ended() != 2000 || len(seen) != functions || seen[0] != 1 {
		t.Errorf("%d counted, %d functions", ended, len(seen))
	}
}

// TestCountsTakeNoMemory: to ask a ring of which little is used doesn't touch the rest.
func TestCountsTakeNoMemory(t *testing.T) {
	f, err := New(WorkerRecords)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rec := sample(1)
	r.Add(&rec)
	if len(r.Counts()) != 1 || r.Ended() != 1 {
		t.Errorf("counts: %+v", r.Counts())
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		t.Fatal(err)
	}
	if got := s.Blocks * 512; got > 16<<10 { // the header, a function, a record
		t.Errorf("it takes %d bytes", got)
	}
}

// TestTally: what is counted together is what is counted one by one.
func TestTally(t *testing.T) {
	one, many := ring(t, 8), ring(t, 8)
	var tally Tally
	for n := range uint64(1000) {
		rec := sample(n / 7)
		one.Add(&rec)
		tally.Count(many, rec.Function, rec.Outcome, rec.Wait(), rec.Run())
	}
	tally.Flush(many)
	tally.Flush(many)
	if got, want := many.Counts(), one.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	tally.Count(many, 1, Finished, Never, Never)
	tally.Flush(many)
	if a, b := many.Counts()[0], one.Counts()[0]; a.Ended[Finished] != b.Ended[Finished]+1 || a.Wait != b.Wait || a.Run != b.Run {
		t.Errorf("one without times: %+v after %+v", a, b)
	}
}

func TestQuantile(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for _, d := range []time.Duration{0, time.Microsecond, 3 * time.Microsecond, time.Second} {
		h[BucketOf(d)]++
	}
	if p0, p1 := h.Quantile(0), h.Quantile(1); p0 != time.Microsecond || p1 < time.Second || p1 > 2*time.Second {
		t.Errorf("from %v to %v", p0, p1)
	}
	if BucketOf(1<<62) != Buckets-1 || BucketOf(-1) != 0 {
		t.Error("ends")
	}
}

// FuzzRead: memory that holds anything is read without a fault, and reading ends.
func FuzzRead(f *testing.F) {
	f.Add(uint64(1), uint64(100))
	f.Fuzz(func(t *testing.T, seed, written uint64) {
		r := ring(t, 8)
		rng := rand.New(rand.NewPCG(seed, 1))
		for at := usedAt; at+8 <= len(r.mem); at += 8 {
			*r.word(at) = rng.Uint64() >> (rng.Uint64() % 64)
		}
		*r.word(16) = written
		for i := range 8 {
			r.slot(uint64(i))[0] = written - uint64(i)
		}
		r.Read(written/2, func(_ uint64, rec *Record) bool { rec.Wait(); rec.Run(); return true })
		r.Counts()
		r.Ended()
	})
}

func BenchmarkAdd(b *testing.B) {
	r := ring(b, DriverRecords)
	rec := sample(5)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(&rec)
	}
}
