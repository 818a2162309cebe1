package spill

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

// TestOthersAreTold of what is written, read back and evicted: nothing is read that wasn't
// written, and as often as its memory had been given to others.
func TestOthersAreTold(t *testing.T) {
	const capacity, size, objects = 4 << 20, 300_000, 40
	var mu sync.Mutex
	written, read, evicted := map[ids.ObjectID]int{}, map[ids.ObjectID]int{}, map[ids.ObjectID]int{}
	s, err := objectstore.Open(objectstore.Config{Capacity: capacity, OnEvict: func(id ids.ObjectID, n int64) {
		mu.Lock()
		defer mu.Unlock()
		if evicted[id]++; n != size {
			t.Errorf("%d bytes of %s are evicted", n, id)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := Open(Config{
		Store: s, Dirs: []string{t.TempDir()},
		OnWrite: func(batch []objectstore.Victim, began time.Time, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			for _, v := range batch {
				if written[v.ID]++; v.Disk == 0 || began.IsZero() || took < 0 {
					t.Errorf("%+v is written, from %v, for %v", v, began, took)
				}
			}
		},
		OnRead: func(id ids.ObjectID, n int64, _ time.Time, _ time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if read[id]++; n != size {
				t.Errorf("%d bytes of %s are read", n, id)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for n := range objects {
		if err := put(ctx, s, n, size, 1); err != nil {
			t.Fatal(err)
		}
	}
	for n := range objects {
		if err := check(ctx, t, e, n, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(read) < objects/2 {
		t.Errorf("%d were read back", len(read))
	}
	for id, n := range read {
		if written[id] != 1 || evicted[id] < n {
			t.Errorf("%s was written %d times, evicted %d times, read %d times", id, written[id], evicted[id], n)
		}
	}
}
