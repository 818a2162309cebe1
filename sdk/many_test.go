package gray_test

import (
	"context"
	"runtime"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// Bytes that a process may keep per small object: its Object, its outcome and its value, and
// for one whose reference has left the process also what it takes to let go of it.
const (
	objectBytes  = 300
	escapedBytes = 900
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what cleanups let go of
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManySmallObjects has a million small objects alive, frees them, and does so
// again: each costs little, and nothing stays.
func TestManySmallObjects(t *testing.T) {
	c := shared(t)
	rounds, n := 10, 1_000_000
	if testing.Short() {
		rounds, n = 3, 100_000
	}
	putMany := func(n int) []gray.Ref[int] {
		refs := make([]gray.Ref[int], n)
		for i := range refs {
			var err error
			if refs[i], err = gray.Put(c.ctx, i); err != nil {
				t.Fatal(err)
			}
		}
		return refs
	}
	puts := func() []gray.Ref[int] { return putMany(n) }
	results := func() []gray.Ref[int] {
		refs := make([]gray.Ref[int], n/10)
		for i := range refs {
			refs[i] = square.Remote(c.ctx, i)
		}
		complete(c.ctx, t, refs...)
		return refs
	}
	escaped := func() []gray.Ref[int] {
		refs := putMany(n / 10)
		if _, err := gray.Put(c.ctx, refs); err != nil {
			t.Fatal(err)
		}
		return refs
	}
	for _, kind := range []struct {
		name  string
		make  func() []gray.Ref[int]
		limit int64
	}{{"put", puts, objectBytes}, {"results", results, objectBytes}, {"escaped", escaped, escapedBytes}} {
		t.Run(kind.name, func(t *testing.T) {
			before := heap()
			for round := range rounds {
				refs := kind.make()
				if round == 0 { // later ones may begin before the home has answered the last
					each := (heap() - before) / int64(len(refs))
					t.Logf("%d bytes an object", each)
					if each > kind.limit {
						t.Errorf("%d bytes an object", each)
					}
				}
				runtime.KeepAlive(refs)
			}
			var grown int64
			if !poll(context.Background(), pollLimit, func() bool { grown = heap() - before; return grown < int64(n)*8 }) {
				t.Errorf("after %d rounds the heap has grown by %d bytes", rounds, grown)
			}
			t.Logf("after %d rounds the heap has grown by %d bytes", rounds, grown)
		})
	}
}
