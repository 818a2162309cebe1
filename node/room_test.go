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
