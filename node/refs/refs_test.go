package refs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// notes is Peers that writes down what it is told.
type notes struct {
	mu     sync.Mutex
	said   []string
	borrow func(ctx context.Context) error // nil: it works

	heirs   []ids.NodeID  // of all objects, for Seek
	settled chan struct{} // not nil: closed when Settled is to return
}

func (n *notes) note(f string, a ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, fmt.Sprintf(f, a...))
}

func (n *notes) Borrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	n.note("borrow %d of %s: %d", seq, home, len(objects))
	if n.borrow != nil {
		return n.borrow(ctx)
	}
	return nil
}

func (n *notes) Unborrow(_ context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error {
	n.note("unborrow %d of %s: %d", seq, home, len(objects))
	return nil
}

func (n *notes) Resolve(ctx context.Context, home ids.NodeID, _ ids.ObjectID, _ []ids.NodeID) (*proto.ObjectState, error) {
	n.note("resolve at %s", home)
	<-ctx.Done()
	return nil, ctx.Err()
}

func (n *notes) Seek(_ context.Context, objects []ids.ObjectID) ([][]ids.NodeID, error) {
	n.note("seek %d", len(objects))
	heirs := make([][]ids.NodeID, len(objects))
	for i := range heirs {
		heirs[i] = n.heirs
	}
	return heirs, nil
}

func (n *notes) Settled(ctx context.Context, dead []ids.NodeID) error {
	n.note("settled after %v", dead)
	if n.settled == nil {
		return nil
	}
	select {
	case <-n.settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *notes) Wanted(owner ids.ProcessID, id ids.ObjectID, lostOn []ids.NodeID) bool {
	n.note("wanted %d of %s lost on %v", id.Number, owner, lostOn)
	return owner.Number < 90
}

func (n *notes) Drop(owner ids.ProcessID, objects []ids.ObjectID) {
	for _, id := range objects {
		n.note("drop %d of %s", id.Number, owner)
	}
}

func (n *notes) Unreferenced(actors []ids.ActorID) {
	for _, id := range actors {
		n.note("unreferenced %s", id)
	}
}

func (n *notes) DeleteStored(node ids.NodeID, objects []ids.ObjectID) {
	for _, id := range objects {
		n.note("delete %d on %s", id.Number, node)
	}
}

// expect waits until all is said and compares what was, in any order.
func (n *notes) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.said)
	slices.Sort(want)
	if !slices.Equal(n.said, want) {
		t.Errorf("said %q\nwant %q", n.said, want)
	}
	n.said = nil
}

// forget drops what has been said so far.
func (n *notes) forget() {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = nil
}

const here ids.NodeID = 1

func process1(n uint32) ids.ProcessID { return ids.ProcessID{Node: here, Number: n} }

func object(owner ids.ProcessID, n uint64) ids.ObjectID {
	return ids.ObjectID{Cluster: testCluster, Owner: owner, Number: n}
}

func stored(id ids.ObjectID, contains []ids.ObjectID, nodes ...uint32) *proto.ObjectState {
	s := &proto.ObjectState{Id: id.Bytes(), Body: &proto.ObjectState_Stored{Stored: &proto.Stored{Size: 10, Nodes: nodes}}}
	for _, c := range contains {
		s.Contains = append(s.Contains, c.Bytes())
	}
	return s
}

// scene runs f on a directory of node 1 with processes 1 and 2.
func scene(t *testing.T, f func(t *testing.T, d *Directory, n *notes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &notes{}
		d := New(here, testCluster, n)
		d.ProcessStarted(process1(1))
		d.ProcessStarted(process1(2))
		f(t, d, n)
		d.Close()
	})
}

func must(t *testing.T) func(Wait, error) {
	return func(w Wait, err error) {
		t.Helper()
		if err = errors.Join(err, w.Wait(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

func resolved(t *testing.T, d *Directory, id ids.ObjectID, lostOn ...ids.NodeID) *proto.ObjectState {
	t.Helper()
	s, err := d.Resolve(t.Context(), id, lostOn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func failure(t *testing.T, d *Directory, id ids.ObjectID, want proto.Error_Kind) {
	t.Helper()
	if e := resolved(t, d, id).GetError(); e == nil || e.Kind != want {
		t.Errorf("object %s resolved to %v, want %v", id, e, want)
	}
}

func TestLossAsksTheOwnerToRebuild(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x := object(process1(1), 5)
		must(t)(d.BorrowBy(process1(2), x))
		must(t)(d.BorrowBy(process1(2), x))
		n.expect(t, "wanted 5 of n1.p1 lost on []")
		must(t)(d.Publish(process1(1), stored(x, nil, 3, 4)))
		d.NodeDied(3)
		n.expect(t)
		if got := resolved(t, d, x).GetStored().GetNodes(); !slices.Equal(got, []uint32{4}) {
			t.Errorf("stored on %v, want 4", got)
		}
		d.NodeDied(4)
		n.expect(t, "wanted 5 of n1.p1 lost on [n3 n4]")
		must(t)(d.Publish(process1(1), stored(x, nil, 5)))

		go func() {
			must(t)(d.Publish(process1(1), stored(x, nil, 6)))
		}()
		if got := resolved(t, d, x, 5).GetStored().GetNodes(); !slices.Equal(got, []uint32{6}) {
			t.Errorf("stored on %v, want 6", got)
		}
		n.forget() // that it was lost, if Resolve came before the publication
		d.ReleaseBy(process1(1), x)
		n.expect(t)
		d.ReleaseBy(process1(2), x)
		n.expect(t, "drop 5 of n1.p1", "delete 5 on n1", "delete 5 on n5", "delete 5 on n6")
	})
}

func TestLossWithoutOwner(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x, y := object(process1(1), 5), object(process1(1), 6)
		if err := d.BorrowedBy(2, 1, x, y); err != nil {
			t.Fatal(err)
		}
		must(t)(d.Publish(process1(1), stored(x, nil, 3)))
		if got := d.ProcessDied(process1(1)); !slices.Equal(got, []ids.ObjectID{x}) {
			t.Errorf("living on: %v, want %v", got, x)
		}
		failure(t, d, y, proto.Error_OWNER_DIED)
		failure(t, d, object(process1(1), 7), proto.Error_OWNER_DIED)
		d.NodeDied(3)
		failure(t, d, x, proto.Error_OBJECT_LOST)
		d.NodeDied(2)
		if l := d.List(); len(l) > 0 {
			t.Errorf("left: %v", l)
		}
		if err := d.BorrowedBy(2, 2, x); !errors.Is(err, ErrNodeDead) {
			t.Errorf("borrow by a dead node: %v", err)
		}
	})
}

func TestPublishedOnDeadNodes(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x := object(process1(1), 5)
		must(t)(d.BorrowBy(process1(2), x))
		d.NodeDied(3)
		must(t)(d.Publish(process1(1), stored(x, nil, 3)))
		n.expect(t, "wanted 5 of n1.p1 lost on []", "wanted 5 of n1.p1 lost on [n3]")
		must(t)(d.Publish(process1(1), stored(x, nil, 3)))
		failure(t, d, x, proto.Error_OBJECT_LOST)
		n.expect(t)
	})
}

func TestOwnerThatIsGoneWithoutNotice(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, _ *notes) {
		d.ProcessStarted(process1(90)) // Wanted says that it's gone
		x := object(process1(90), 1)
		must(t)(d.BorrowBy(process1(1), x))
		failure(t, d, x, proto.Error_OWNER_DIED)
	})
}

func TestHomeDies(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x := object(ids.ProcessID{Node: 2, Number: 1}, 5)
		n.borrow = func(context.Context) error { return errors.New("unreachable") }
		w, err := d.BorrowBy(process1(1), x)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("borrow at an unreachable home: %v", err)
		}
		go func() {
			<-time.After(time.Second)
			if got := d.NodeDied(2); !slices.Equal(got, []ids.ObjectID{x}) {
				t.Errorf("still held: %v, want %v", got, x)
			}
		}()
		failure(t, d, x, proto.Error_OWNER_DIED)
		must(t)(w, nil)
		n.forget()
		d.ReleaseBy(process1(1), x)
		n.expect(t, "delete 5 on n1")
	})
}

func TestHomeThatNeverWas(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		n.borrow = func(context.Context) error { return fmt.Errorf("n9: %w", ErrNoNode) }
		x := object(ids.ProcessID{Node: 9, Number: 1}, 5)
		must(t)(d.BorrowBy(process1(1), x))
		failure(t, d, x, proto.Error_OWNER_DIED)
	})
}

func TestBorrowsAreGathered(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		var all []ids.ObjectID
		for i := range uint64(batch + 10) {
			all = append(all, object(ids.ProcessID{Node: 2, Number: 1}, i))
		}
		must(t)(d.BorrowBy(process1(1), all...))
		w, err := d.BorrowBy(process1(2), all...)
		if w != nil || err != nil {
			t.Errorf("second holder of this node has to wait: %v", err)
		}
		d.ProcessDied(process1(1))
		n.expect(t, fmt.Sprintf("borrow 1 of n2: %d", batch), "borrow 2 of n2: 10")
		d.ProcessDied(process1(2))
		n.expect(t, fmt.Sprintf("unborrow 3 of n2: %d", batch), "unborrow 4 of n2: 10")
		if len(d.entries) > 0 {
			t.Errorf("%d entries left", len(d.entries))
		}
	})
}

func TestReleaseBeforeTheBorrowIsSent(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x := object(ids.ProcessID{Node: 2, Number: 1}, 5)
		go1 := make(chan struct{})
		n.borrow = func(context.Context) error { <-go1; return nil }
		w1, _ := d.BorrowBy(process1(1), x)
		synctest.Wait()
		d.ReleaseBy(process1(1), x)
		w2, _ := d.BorrowBy(process1(2), x)
		d.ReleaseBy(process1(2), x)
		n.expect(t, "borrow 1 of n2: 1")
		close(go1)
		must(t)(w1, nil)
		must(t)(w2, nil)
		n.expect(t, "unborrow 2 of n2: 1")
	})
}

func TestCyclesEndWithTheJob(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		p := process1(1)
		x, y, z := object(p, 1), object(p, 2), object(p, 3)
		must(t)(d.BorrowBy(process1(2), x, y, z))
		must(t)(d.Publish(p, stored(x, []ids.ObjectID{y, x, y}, 1)))
		must(t)(d.Publish(p, stored(y, []ids.ObjectID{x, z}, 1)))
		must(t)(d.Publish(p, stored(z, nil, 1)))
		d.ReleaseBy(process1(2), x, y)
		d.ReleaseBy(p, x, y, z)
		d.ProcessDied(p)
		n.forget()
		if l := d.List(); len(l) != 3 || l[2].State != "SEALED" ||
			!slices.Equal(l[2].Holders, []string{"in " + y.String(), "n1.p2"}) {
			t.Errorf("list: %+v", l)
		}
		d.DropJob(1, p)
		n.expect(t, "delete 1 on n1", "delete 2 on n1", "delete 3 on n1")
		failure(t, d, z, proto.Error_JOB_ENDED)
		d.ReleaseBy(process1(2), z)
		n.expect(t)
		if l := d.List(); len(l) > 0 {
			t.Errorf("left: %+v", l)
		}
	})
}

func TestAnObjectThatContainsItselfIsFreed(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		x := object(process1(1), 1)
		must(t)(d.BorrowBy(process1(2), x))
		must(t)(d.Publish(process1(1), stored(x, []ids.ObjectID{x}, 1)))
		d.ReleaseBy(process1(1), x)
		d.ReleaseBy(process1(2), x)
		n.expect(t, "wanted 1 of n1.p1 lost on []", "drop 1 of n1.p1", "delete 1 on n1")
	})
}

func TestReleaseByTheOwner(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		p := process1(1)
		x, y := object(p, 1), object(p, 2)
		d.ReleaseBy(p, x) // left the process, but nobody borrowed it
		n.expect(t, "drop 1 of n1.p1")

		if err := d.BorrowedBy(2, 1, y); err != nil {
			t.Fatal(err)
		}
		d.ReleaseBy(p, y)
		if err := d.UnborrowedBy(2, 2, y); err != nil {
			t.Fatal(err)
		}
		n.expect(t, "wanted 2 of n1.p1 lost on []", "drop 2 of n1.p1", "delete 2 on n2")
		must(t)(d.Publish(p, stored(y, nil, 4))) // it crossed the drop
		n.expect(t, "delete 2 on n4")
	})
}

func TestWaitsEnd(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, n *notes) {
		mine, foreign := object(process1(1), 1), object(ids.ProcessID{Node: 2, Number: 1}, 1)
		for _, id := range []ids.ObjectID{mine, foreign} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := d.Resolve(ctx, id, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("resolve %s: %v", id, err)
			}
			cancel()
		}
		n.borrow = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		w, _ := d.BorrowBy(process1(1), foreign)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := w.Wait(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("borrow: %v", err)
			}
		})
		for _, id := range []ids.ObjectID{mine, foreign} {
			wg.Go(func() {
				if _, err := d.Resolve(t.Context(), id, nil); !errors.Is(err, ErrClosed) {
					t.Errorf("resolve %s: %v", id, err)
				}
			})
		}
		synctest.Wait()
		d.Close()
		wg.Wait()
	})
}

func TestRefusals(t *testing.T) {
	scene(t, func(t *testing.T, d *Directory, _ *notes) {
		p, q := process1(1), process1(2)
		other := object(p, 1)
		other.Cluster++
		published := func(s *proto.ObjectState, by ids.ProcessID) error { _, err := d.Publish(by, s); return err }
		borrowed := func(by ids.ProcessID, id ids.ObjectID) error { _, err := d.BorrowBy(by, id); return err }
		for i, c := range []struct {
			got, want error
		}{
			{borrowed(q, other), ErrOtherCluster},
			{borrowed(q, ids.ObjectID{Cluster: testCluster}), ErrNoNode},
			{borrowed(process1(7), object(p, 1)), ErrUnknownProcess},
			{borrowed(ids.ProcessID{Node: 2, Number: 1}, object(p, 1)), ErrUnknownProcess},
			{published(stored(object(p, 1), nil, 1), q), ErrNotOwner},
			{published(stored(object(process1(7), 1), nil, 1), process1(7)), ErrUnknownProcess},
			{published(stored(object(p, 1), []ids.ObjectID{other}, 1), p), ErrOtherCluster},
			{d.BorrowedBy(3, 1, object(ids.ProcessID{Node: 3, Number: 1}, 1)), ErrNotHome},
			{d.UnborrowedBy(here, 1, object(p, 1)), ErrNodeDead},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("case %d: %v, want %v", i, c.got, c.want)
			}
		}
		if published(&proto.ObjectState{Id: []byte("short")}, p) == nil ||
			published(&proto.ObjectState{Id: object(p, 1).Bytes()}, p) == nil ||
			published(&proto.ObjectState{Id: object(p, 1).Bytes(), Contains: [][]byte{{1}}}, p) == nil {
			t.Error("damaged states are accepted")
		}
		d.ReleaseBy(process1(7), object(p, 1))
		d.ReleaseBy(q, object(p, 1))
		d.ProcessDied(process1(7))
		if len(d.List()) > 0 {
			t.Errorf("left: %+v", d.List())
		}
	})
}

func TestSet(t *testing.T) {
	var s set[int]
	for i := range 3 * fewMax {
		if !s.add(i) || s.add(i) || s.len() != i+1 {
			t.Fatalf("add %d", i)
		}
	}
	for i := range 3 * fewMax {
		if !s.remove(i) || s.remove(i) || s.has(i) || len(s.all()) != 3*fewMax-i-1 {
			t.Fatalf("remove %d", i)
		}
	}
	if s.few != nil || s.many != nil {
		t.Error("an empty set keeps memory")
	}
}

func BenchmarkBorrowRelease(b *testing.B) {
	d := New(here, testCluster, &silent{})
	defer d.Close()
	p, q := process1(1), process1(2)
	d.ProcessStarted(p)
	d.ProcessStarted(q)
	b.ReportAllocs()
	var i uint64
	for b.Loop() {
		i++
		x := object(p, i)
		if _, err := d.BorrowBy(q, x); err != nil {
			b.Fatal(err)
		}
		d.ReleaseBy(p, x)
		d.ReleaseBy(q, x)
	}
}

func BenchmarkBorrowManyAbroad(b *testing.B) {
	d := New(here, testCluster, &silent{})
	defer d.Close()
	d.ProcessStarted(process1(1))
	all := make([]ids.ObjectID, 10000)
	for i := range all {
		all[i] = object(ids.ProcessID{Node: 2, Number: 1}, uint64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		w, err := d.BorrowBy(process1(1), all...)
		if err = errors.Join(err, w.Wait(b.Context())); err != nil {
			b.Fatal(err)
		}
		d.ReleaseBy(process1(1), all...)
	}
}

// silent is Peers that does nothing.
type silent struct{ notes }

func (*silent) Borrow(context.Context, ids.NodeID, uint64, []ids.ObjectID) error   { return nil }
func (*silent) Unborrow(context.Context, ids.NodeID, uint64, []ids.ObjectID) error { return nil }
func (*silent) Wanted(ids.ProcessID, ids.ObjectID, []ids.NodeID) bool              { return true }
func (*silent) Drop(ids.ProcessID, []ids.ObjectID)                                 {}
func (*silent) Unreferenced([]ids.ActorID)                                         {}
func (*silent) DeleteStored(ids.NodeID, []ids.ObjectID)                            {}
