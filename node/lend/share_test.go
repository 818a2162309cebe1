package lend

import (
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

// wantOf has a job want leases of a CPU each.
func wantOf(b *Book, job ids.JobID, n int) {
	b.Queue.Set(account.Demand{
		Key: account.Key{Process: ids.ProcessID{Node: 1, Number: uint32(job)}, Class: 1}, Job: job, Resources: cpus(1),
		Shape: "one", Place: sched.Demand{Resources: sched.FromUnits(cpus(1))}, Want: n,
	})
}

func (b *Book) has(job ids.JobID) int64 { return b.Ledger.ByJob()[job][account.CPU] / account.Unit }

func TestSharesByWeight(t *testing.T) {
	b := NewBook(cpus(12), nil)
	b.Is(1)
	b.Weigh(2, 3)
	for job := range ids.JobID(3) {
		wantOf(b, job+1, 1000)
	}
	c := &clerk{b: b}
	b.Schedule(time.Unix(1, 0), c)
	for job, want := range map[ids.JobID]int64{1: 2, 2: 7, 3: 3} {
		if got := b.has(job); got < want-1 || got > want+1 {
			t.Errorf("j%d has %d CPUs, want about %d", job, got, want)
		}
		if b.Yields(job, time.Unix(1, 0)) {
			t.Errorf("j%d is to give up a lease though all have their share", job)
		}
	}
}

// TestSharesInTurn: two jobs and one CPU; they have it by their weight over time.
func TestSharesInTurn(t *testing.T) {
	b := NewBook(cpus(1), nil)
	b.Is(1)
	b.Weigh(2, 3)
	wantOf(b, 1, 1000)
	wantOf(b, 2, 1000)
	at, c := time.Unix(1, 0), &clerk{b: b}
	time2 := map[ids.JobID]int{}
	for range 400 {
		b.Schedule(at, c)
		holder := ids.JobID(1)
		if b.has(2) > 0 {
			holder = 2
		}
		if b.has(1)+b.has(2) != 1 {
			t.Fatal("the CPU is idle though both wait")
		}
		at = at.Add(time.Second)
		time2[holder]++
		if b.Yields(holder, at) {
			b.Ledger.Free(c.holds[len(c.holds)-1])
		}
	}
	if got := time2[2]; got < 280 || got > 320 {
		t.Errorf("the job of weight 3 had the CPU %d times of 400, want 300", got)
	}
}

// TestSharesAcrossNodes: a job leaves its room to one that waits elsewhere with less, but
// not for ever, and gives leases up for it.
func TestSharesAcrossNodes(t *testing.T) {
	b, at := NewBook(cpus(4), nil), time.Unix(1, 0)
	b.Is(1)
	wantOf(b, 1, 100)
	c := &clerk{b: b}
	b.Schedule(at, c)
	if b.has(1) != 4 || b.Yields(1, at) {
		t.Fatalf("alone, it has %d CPUs", b.has(1))
	}
	one := sched.Demand{Resources: sched.FromUnits(cpus(1))}
	rival := Rival{Node: 2, Job: 2, Shape: "one", Demand: one, Count: 10}
	shown := view(sched.Node{ID: 1, Total: sched.FromUnits(cpus(4))}, sched.Node{ID: 2, Total: sched.FromUnits(cpus(2))})
	shown.Waiting = []Rival{rival}
	b.Learn(shown)
	if !b.Contended(1) || !b.Yields(1, at) {
		t.Fatal("it keeps all though another job waits")
	}
	b.Ledger.Free(c.holds[0])
	b.Schedule(at, c)
	if b.has(1) != 3 || b.Held() != at {
		t.Errorf("it takes what it gave up for another: %d CPUs", b.has(1))
	}
	if d := b.Queue.Get(account.Key{Process: ids.ProcessID{Node: 1, Number: 1}, Class: 1}); b.Why(d, at) == "" {
		t.Error("it isn't said why it waits")
	}
	b.Learn(shown)
	b.Schedule(at.Add(ClaimLife), c)
	if b.has(1) != 4 {
		t.Error("room that nobody takes is left for ever")
	}
	// A rival that could never use the room doesn't count.
	b.Ledger.Free(c.holds[1])
	rival.Demand.Selector = []sched.Selector{{Key: "disk", Op: sched.Exists}}
	rival.Shape = "disk"
	shown.Waiting = []Rival{rival}
	b.Learn(shown)
	b.Schedule(at, c)
	if b.has(1) != 4 {
		t.Error("room is left for a job that can't use it")
	}
}
