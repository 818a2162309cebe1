package objectstore

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// TestBookkeeping measures the memory that the store needs beside the objects,
// and that it doesn't grow when they come and go.
func TestBookkeeping(t *testing.T) {
	objects := 1_000_000
	if testing.Short() {
		objects = 100_000
	}
	s := open(t, int64(objects)*1024+1<<20)
	before := heap()
	for round := range 4 {
		for n := range objects {
			put(t, s, object(n+round*objects), 1000)
		}
		each := (heap() - before) / uint64(objects)
		t.Logf("round %d: %d bytes for each of %d sealed objects", round, each, objects)
		if each > 120 {
			t.Error("more than 120")
		}
		s.DeleteOwner(process(1), nil)
		if u := s.Usage(); u.Objects != 0 || u.Used != 0 || s.arena.count != 1 {
			t.Fatalf("%+v, %d free blocks", u, s.arena.count)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestTogether has processes come and go that all use the same few objects.
func TestTogether(t *testing.T) {
	s := open(t, 256<<10)
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(p), 5))
			for life := range 100 {
				by := process(1 + p + 8*life)
				for range 20 {
					useOne(t, s, object(random.IntN(20)), random.Int64N(20<<10), by)
				}
				s.ReleaseProcess(by)
			}
		})
	}
	for range 100 {
		for i := range s.List() {
			if i.Pins < 0 || i.ID.Owner != process(1) {
				t.Errorf("%+v", i)
			}
		}
	}
	wg.Wait()
	s.DeleteOwner(process(1), nil)
	s.arena.check(t)
	if u := s.Usage(); u.Used != 0 || u.Pins != 0 || u.Waiting != 0 || u.Making != 0 {
		t.Errorf("%+v", u)
	}
}

// useOne makes an object, or reads it where it is; its bytes are all its number.
func useOne(t *testing.T, s *Store, id ids.ObjectID, size int64, by ids.ProcessID) {
	if e, err := s.Create(ended(), id, size, by); err == nil {
		fill(s.Bytes(e), byte(id.Number))
		if size%7 == 0 {
			return // left unsealed until its maker dies
		}
		if err := s.Seal(id, by); err != nil {
			t.Error(err)
		}
	}
	if e, ok := s.Acquire(id, by); ok {
		s.Delete(id)
		for _, b := range s.Bytes(e) {
			if b != byte(id.Number) {
				t.Errorf("%s changed", id)
				break
			}
		}
		if size%5 != 0 { // else its death releases it
			s.Release(id, by)
		}
	}
}

func TestListWhileDeleting(t *testing.T) {
	s := open(t, 1<<20)
	const objects = 5000
	for n := range objects {
		put(t, s, object(n), 0)
	}
	seen := 0
	for i := range s.List() {
		s.Delete(i.ID)
		seen++
	}
	if n := s.Usage().Objects; seen != objects || n != 0 {
		t.Errorf("%d were listed, %d are left", seen, n)
	}
	put(t, s, object(1), 10)
	for range s.List() {
		break
	}
}

func TestDiscard(t *testing.T) {
	s := open(t, 1<<20)
	if s.Discard(object(1)) {
		t.Error("discarded what isn't there")
	}
	put(t, s, object(1), 100)
	if _, ok := s.Acquire(object(1), process(2)); !ok || s.Discard(object(1)) {
		t.Error("discarded what is held")
	}
	s.Release(object(1), process(2))
	if !s.Discard(object(1)) || s.Usage().Objects != 0 {
		t.Errorf("not discarded: %+v", s.Usage())
	}
	if _, err := s.Create(ended(), object(1), 50, process(1)); err != nil || s.Discard(object(1)) {
		t.Errorf("what is being made: %v", err)
	}
}
