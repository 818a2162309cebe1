package lend

import (
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

// TestBundlesCompeteForNothing: neither what bundles hold nor what waits for room in one takes
// part in the fair sharing of what is outside of them.
func TestBundlesCompeteForNothing(t *testing.T) {
	b := NewBook(cpus(3), nil)
	b.Is(1)
	if _, ok := b.Ledger.Reserve(cpus(1)); !ok {
		t.Fatal("no bundle")
	}
	wantOf(b, 1, 2)
	at, c := time.Unix(1, 0), &clerk{b: b}
	b.Schedule(at, c)
	for range 100 { // whatever the order of a map
		if !b.alone() {
			t.Fatal("a bundle competes with the only job")
		}
	}
	wantOf(b, 1, 5)
	b.Queue.Set(account.Demand{
		Key: account.Key{Process: ids.ProcessID{Node: 1, Number: 2}, Class: 1}, Job: 2, Resources: cpus(1), Shape: "in a group",
		Place: sched.Demand{Resources: sched.FromUnits(cpus(1))}, Want: 9, InGroup: true,
	})
	b.Schedule(at, c)
	if b.Yields(1, at) {
		t.Error("a job is to give up leases for one that can't use them: it waits for room in a bundle")
	}
	if f := b.fair(); f < 2./3-slight {
		t.Errorf("of three CPUs, of which a bundle has one, the only job that wants some may have %g of all", f)
	}
}
