package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	"github.com/gray-runtime/gray/proto"
)

// storing is a node with a store and nothing else.
func storing(t *testing.T, dirs ...string) *Node {
	t.Helper()
	n := &Node{id: 1, cfg: Config{SpillDirs: dirs}, puller: &transfer.Puller{}, streams: &transfer.Server{}}
	n.ctx, n.cancel = context.WithCancelCause(t.Context())
	var err error
	if n.store, err = objectstore.Open(objectstore.Config{Capacity: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if n.spill, err = spill.Open(spill.Config{Store: n.store, Dirs: dirs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.spill.Close(), n.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func stored(number int) ids.ObjectID {
	return ids.ObjectID{Cluster: 1, Owner: proc(1), Number: uint64(number)}
}

func proc(number uint32) ids.ProcessID { return ids.ProcessID{Node: 1, Number: number} }

func putStored(t *testing.T, n *Node, number int, size int64) {
	t.Helper()
	if _, err := n.create(t.Context(), stored(number), size, proc(1), false); err != nil {
		t.Fatal(err)
	}
	if err := n.store.Seal(stored(number), proc(1)); err != nil {
		t.Fatal(err)
	}
}

// TestStoreFull: who waits for room is refused once nothing has moved for ten
// seconds, and told who holds it.
func TestStoreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t)
		putStored(t, n, 1, 400<<10)
		putStored(t, n, 2, 300<<10)
		if _, err := n.acquire(t.Context(), stored(1), proc(7)); err != nil {
			t.Fatal(err)
		}
		for _, number := range []int{3, 4} {
			if _, err := n.create(t.Context(), stored(number), 100<<10, ids.ProcessID{Node: 1}, true); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		go func() { // something moves for a while
			<-time.After(7 * time.Second)
			n.store.Abort(stored(3), ids.ProcessID{Node: 1})
		}()
		_, err := n.create(t.Context(), stored(5), 900<<10, proc(2), false)
		if waited := time.Since(began); waited < 17*time.Second || waited > 19*time.Second {
			t.Errorf("it waited for %s", waited)
		}
		e := storeProblem(err)
		for _, words := range []string{"409600 bytes are in use by readers", "n1.p7 reads 409600", "transfers reads 0 bytes and makes 102400", "no spill directory"} {
			if e.Kind != proto.Error_STORE_FULL || !strings.Contains(e.Message, words) {
				t.Errorf("no %q in %v", words, e)
			}
		}
		_, err = n.create(t.Context(), stored(6), 2<<20, proc(2), false)
		if e := storeProblem(err); e.Kind != proto.Error_STORE_FULL || !strings.Contains(e.Message, "does not fit") {
			t.Error(e)
		}
	})
}

// TestSmallPassTheBlocked: while a large object waits for readers, small ones that fit
// don't wait, however many.
func TestSmallPassTheBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t)
		putStored(t, n, 1, 600<<10)
		if _, err := n.acquire(t.Context(), stored(1), proc(7)); err != nil {
			t.Fatal(err)
		}
		large := make(chan error, 1)
		go func() {
			_, err := n.create(t.Context(), stored(2), 600<<10, proc(2), false)
			large <- err
		}()
		synctest.Wait()
		for number := 10; number < 60; number++ {
			<-time.After(730 * time.Millisecond)
			if _, err := n.create(atOnce, stored(number), 20<<10, proc(3), false); err != nil {
				t.Fatalf("small object %d: %v", number, err)
			}
			if err := n.store.Seal(stored(number), proc(3)); err != nil {
				t.Fatal(err)
			}
			n.store.Delete(stored(number))
		}
		n.store.Release(stored(1), proc(7))
		n.store.Delete(stored(1))
		if err := <-large; err != nil {
			t.Error(err)
		}
	})
}

// TestFirstIsRefused: when nothing moves, the first in the line is refused, and who
// fits then gets room.
func TestFirstIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t)
		putStored(t, n, 1, 600<<10) // can't go: there's no disk
		large, small := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := n.create(t.Context(), stored(2), 600<<10, proc(2), false)
			large <- err
		}()
		<-time.After(storeLook / 2)
		go func() {
			_, err := n.create(t.Context(), stored(3), 400<<10, proc(3), false)
			small <- err
		}()
		<-time.After(storeLook / 4 * 3)
		if _, err := n.create(atOnce, stored(4), 1, proc(4), false); err != nil {
			t.Fatal(err)
		}
		n.store.Abort(stored(4), proc(4)) // the small one's watcher sees it first
		began := time.Now()
		err := <-large
		if e := storeProblem(err); e.Kind != proto.Error_STORE_FULL || !strings.Contains(e.Message, "nothing has moved") || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-small; err != nil || time.Since(began) > storePatience+storeLook {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestStillRestoring: who waits for somebody else's restoring of an object, which
// hangs, is told what it waits for.
func TestStillRestoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t, t.TempDir())
		for number := range 4 { // the first ones go to disk
			putStored(t, n, number, 400<<10)
		}
		r, err := n.store.Restore(t.Context(), stored(0), proc(2))
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.acquire(t.Context(), stored(0), proc(3))
		if e := storeProblem(err); e.Kind != proto.Error_STORE_FULL || !strings.Contains(e.Message, "nothing has moved") || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if full := (*objectstore.FullError)(nil); !errors.As(err, &full) { // other nodes are told by it
			t.Errorf("%T", err)
		}
		n.store.Lost(r, errors.New("damaged"))
	})
}

// TestWaitAsksToCollect: whoever waits for room, pulls and restores too, has processes
// asked to collect.
func TestWaitAsksToCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t)
		p := &process{id: proc(9), out: newOutbox(), state: idle}
		n.processes = map[uint32]*process{9: p}
		putStored(t, n, 1, 900<<10)
		done := make(chan error, 1)
		go func() {
			_, err := n.create(t.Context(), stored(2), 400<<10, ids.ProcessID{Node: 1}, true)
			done <- err
		}()
		synctest.Wait()
		n.mu.Lock()
		asked := len(p.out.frames)
		n.mu.Unlock()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		n.store.Delete(stored(1)) // it was garbage
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestMadeAnew: what was pulled of an object that is made anew on this node goes, or
// becomes what this node answers for if somebody reads it, or is waited for.
func TestMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := storing(t)
		node, worker := ids.ProcessID{Node: 1}, proc(2)
		pull := func() {
			t.Helper()
			if _, err := n.create(t.Context(), stored(1), 600<<10, node, true); err != nil {
				t.Fatal(err)
			}
		}
		seal := func(by ids.ProcessID) {
			t.Helper()
			if err := n.store.Seal(stored(1), by); err != nil {
				t.Fatal(err)
			}
		}
		makeIt := func() error {
			_, err := n.createResult(t.Context(), stored(1), 600<<10, worker)
			return err
		}
		pull()
		seal(node)
		if err := makeIt(); err != nil {
			t.Fatal(err)
		}
		seal(worker)
		n.store.Delete(stored(1))

		pull()
		made := make(chan error, 1)
		go func() { made <- makeIt() }()
		synctest.Wait()
		n.store.Abort(stored(1), node) // the source died
		if err := <-made; err != nil {
			t.Fatal(err)
		}
		seal(worker)
		n.store.Delete(stored(1))

		pull()
		seal(node)
		if _, err := n.acquire(t.Context(), stored(1), proc(3)); err != nil {
			t.Fatal(err)
		}
		if err := makeIt(); !errors.Is(err, objectstore.ErrExists) {
			t.Fatal(err)
		}
		n.store.Release(stored(1), proc(3))
		if _, err := n.create(atOnce, stored(2), 600<<10, worker, false); err == nil {
			t.Error("the result was dropped as a copy")
		}
	})
}

// TestStrayIsDiscarded: what an attempt that died has made here isn't read for the
// outcome of another, unless that is gone.
func TestStrayIsDiscarded(t *testing.T) {
	n := storing(t)
	n.peers = newPeers(nil)
	n.peers.self = n.id
	n.peers.learn([]*proto.NodeInfo{{Id: 2, Alive: true, Address: "there"}, {Id: 3, Alive: true, Address: "elsewhere"}})
	n.peers.bury(3)
	here := func() bool {
		for o := range n.store.List() {
			if o.ID == stored(1) {
				return true
			}
		}
		return false
	}
	putStored(t, n, 1, 1000)
	for _, nodes := range [][]ids.NodeID{nil, {1, 2}, {3}} {
		if n.discardStray(stored(1), nodes); !here() {
			t.Errorf("discarded, with the outcome on %v", nodes)
		}
	}
	if n.discardStray(stored(1), []ids.NodeID{3, 2}); here() {
		t.Error("not discarded")
	}
	if _, err := n.create(t.Context(), stored(1), 1000, ids.ProcessID{Node: 1}, true); err != nil {
		t.Fatal(err)
	}
	if err := n.store.Seal(stored(1), ids.ProcessID{Node: 1}); err != nil {
		t.Fatal(err)
	}
	if n.discardStray(stored(1), []ids.NodeID{2}); !here() {
		t.Error("a copy was discarded")
	}
}

// TestFetchSpilled: what lies on disk is brought back for whoever fetches it; what
// is damaged there is lost by its file's name.
func TestFetchSpilled(t *testing.T) {
	dir := t.TempDir()
	n := storing(t, dir)
	for number := range 8 {
		putStored(t, n, number, 300<<10)
	}
	spilled := 0
	for o := range n.store.List() {
		if storeState(o) == "SPILLED" {
			spilled++
		}
	}
	if spilled < 4 {
		t.Errorf("%d are on disk", spilled)
	}
	for number := range 8 {
		if _, err := n.bring(t.Context(), proc(2), stored(number), 300<<10, []ids.NodeID{1}); err != nil {
			t.Fatal(err)
		}
		n.store.Release(stored(number), proc(2))
	}
	room := n.transferRoom()
	if _, err := room.Acquire(t.Context(), stored(0), ids.ProcessID{Node: 1}); err != nil {
		t.Error(err)
	}
	n.store.Release(stored(0), ids.ProcessID{Node: 1})

	files, err := filepath.Glob(filepath.Join(dir, "gray-spill-*", "*.spill"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if err := os.Truncate(path, 1000); err != nil {
			t.Fatal(err)
		}
	}
	lost := 0
	for number := range 8 {
		_, err := n.bring(t.Context(), proc(2), stored(number), 300<<10, []ids.NodeID{1})
		if err != nil {
			lost++
			if e := storeProblem(err); e.Kind != proto.Error_OBJECT_LOST || !strings.Contains(e.Message, files[0]) {
				t.Error(e)
			}
			continue
		}
		n.store.Release(stored(number), proc(2))
	}
	if lost == 0 {
		t.Error("nothing is lost")
	}
	n.dropOwner(proc(1), nil)
	if u := n.store.Usage(); u.Objects != 0 || u.Away != 0 {
		t.Errorf("%+v", u)
	}
}
