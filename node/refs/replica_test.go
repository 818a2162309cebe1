package refs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// far is an object of node 2's that several nodes have.
func far(n uint64) ids.ObjectID {
	return object(ids.ProcessID{Node: 2, Number: 1}, n).AsReplicated()
}

func deleted(id ids.ObjectID, on ids.NodeID) string {
	return fmt.Sprintf("delete %d on %s", id.Number, on)
}

func enlist(t *testing.T, d *Directory, id ids.ObjectID, r Replica) {
	t.Helper()
	must(t)(d.Enlist(t.Context(), id, r))
}

// TestAnHeirIsHomeUntilNobodyBorrows: it doesn't free before all have told.
func TestAnHeirIsHomeUntilNobodyBorrows(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		n.settled = make(chan struct{})
		x, y, inside := far(5), far(6), object(ids.ProcessID{Node: 4, Number: 1}, 7)
		for _, id := range []ids.ObjectID{x, y} {
			enlist(t, d, id, Replica{Size: 10, Heirs: []ids.NodeID{here, 3}, Contains: []ids.ObjectID{inside}})
		}
		n.expect(t, "borrow 1 of n4: 1")
		if err := d.BorrowedBy(3, 1, x); !errors.Is(err, ErrNotHome) {
			t.Errorf("a borrow before the death is known: %v", err)
		}
		if except := d.NodeDied(2); len(except) != 2 {
			t.Errorf("kept are %v", except)
		}
		n.expect(t, "settled after [n2]")
		if err := d.BorrowedBy(3, 1, x); err != nil {
			t.Error(err)
		}
		s := resolved(t, d, x)
		if b := s.GetStored(); b.GetSize() != 10 || !slices.Equal(b.GetNodes(), []uint32{1, 3}) || len(s.GetContains()) != 1 {
			t.Errorf("inherited as %v", s)
		}
		close(n.settled)
		n.expect(t, deleted(far(6), 1), deleted(far(6), 3))
		if err := d.UnborrowedBy(3, 2, x); err != nil {
			t.Error(err)
		}
		n.expect(t, deleted(far(5), 1), deleted(far(5), 3), "unborrow 2 of n4: 1")
		if err := d.BorrowedBy(3, 3, x); err != nil {
			t.Error(err)
		}
		if s, err := d.ResolveHere(t.Context(), x, nil); err != nil || s.GetError().GetKind() != proto.Error_OWNER_DIED {
			t.Errorf("resolved when it's freed: %v, %v", s, err)
		}
	})
}

// TestABorrowerFollowsTheHome to the heirs, one after another.
func TestABorrowerFollowsTheHome(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x, plain := far(5), object(ids.ProcessID{Node: 2, Number: 1}, 6)
		must(t)(d.BorrowBy(process1(1), x, plain))
		n.forget()
		n.heirs = []ids.NodeID{3, 4}
		d.NodeDied(2)
		n.expect(t, "seek 1", "borrow 1 of n3: 1")
		failure(t, d, plain, proto.Error_OWNER_DIED)
		n.heirs = []ids.NodeID{4}
		d.NodeDied(3)
		n.expect(t, "seek 1", "borrow 1 of n4: 1")
		n.heirs = nil
		d.NodeDied(4)
		n.expect(t, "seek 1")
		failure(t, d, x, proto.Error_OWNER_DIED)
		must(t)(d.BorrowBy(process1(2), far(8)))
		n.expect(t, "seek 1")
		failure(t, d, far(8), proto.Error_OWNER_DIED)
		d.ReleaseBy(process1(1), x, plain)
		n.expect(t, "delete 6 on n1", deleted(far(5), 1))
	})
}

// TestWhoDismisses: the home while it lives, and the end of the job; and an heir
// that finds the first one without the object ends by itself.
func TestWhoDismisses(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		a, b, c, e := far(1), far(2), far(3), far(4)
		for i, id := range []ids.ObjectID{a, b, c, e} {
			enlist(t, d, id, Replica{Job: ids.JobID(i + 1), Heirs: []ids.NodeID{3, here}})
		}
		if free := d.Dismissed(2, []ids.ObjectID{a, far(9)}); len(free) != 2 {
			t.Errorf("deleted are %v", free)
		}
		d.DropJob(2)
		n.expect(t, deleted(far(2), 1))
		if d.OwnerDied(ids.ProcessID{Node: 2, Number: 1}, []ids.ObjectID{c, e}); len(d.List()) != 2 {
			t.Errorf("left: %v", d.List())
		}
		d.NodeDied(2)
		n.expect(t, "seek 2", deleted(far(3), 1), deleted(far(4), 1))
		if d.OwnerDied(ids.ProcessID{Node: 2, Number: 1}, nil) || d.Dismissed(2, []ids.ObjectID{e}) != nil {
			t.Error("a dead node has objects deleted")
		}
		for _, err := range []error{
			second(d.Enlist(t.Context(), far(7), Replica{Heirs: []ids.NodeID{here}})),
			second(d.Enlist(t.Context(), object(process1(1), 7).AsReplicated(), Replica{Heirs: []ids.NodeID{here}})),
		} {
			if !errors.Is(err, ErrNodeDead) && !errors.Is(err, ErrNotHeir) {
				t.Errorf("enlisted: %v", err)
			}
		}
		given, up := context.WithCancel(t.Context())
		up()
		other := object(ids.ProcessID{Node: 5, Number: 1}, 7).AsReplicated()
		if err := second(d.Enlist(given, other, Replica{Heirs: []ids.NodeID{here}})); !errors.Is(err, context.Canceled) {
			t.Errorf("enlisted after the home gave up: %v", err)
		}
		if l := d.List(); len(l) != 0 {
			t.Errorf("left: %v", l)
		}
	})
}

func second(_ Wait, err error) error { return err }
