package objectstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// TestCheapestWindow holds the search against trying every place.
func TestCheapestWindow(t *testing.T) {
	const capacity = 60
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 8))
		var parts []part
		for at := random.Int64N(5); at < capacity; at += random.Int64N(6) {
			p := part{offset: at, size: min(1+random.Int64N(6), capacity-at), cost: random.Int64N(9) - 1}
			parts = append(parts, p)
			at += p.size
		}
		n := 1 + random.Int64N(capacity)
		best := int64(-1)
		for at := int64(0); at+n <= capacity; at++ {
			if c := costOf(parts, at, n); c >= 0 && (best < 0 || c < best) {
				best = c
			}
		}
		first, last := cheapest(parts, n, capacity)
		var got int64
		for _, p := range parts[first:last] {
			if p.cost == fixed {
				t.Fatalf("seed %d: fixed part %+v in the window", seed, p)
			}
			got += p.cost
		}
		if best < 0 && last > first || best >= 0 && got != best {
			t.Fatalf("seed %d: %d bytes for %d, best %d: %+v", seed, n, got, best, parts)
		}
	}
}

func costOf(parts []part, at, n int64) (cost int64) {
	for _, p := range parts {
		if p.offset < at+n && at < p.offset+p.size {
			if p.cost == fixed {
				return -1
			}
			cost += p.cost
		}
	}
	return cost
}

// TestPressure has a Create of any size wait in a store that is full of any mix of
// objects: it gets its room exactly if there's a piece that nobody holds a part
// of, and one spiller is enough for that.
func TestPressure(t *testing.T) {
	const capacity = 1 << 20
	seeds := uint64(400)
	if testing.Short() {
		seeds = 25
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 9))
			s := open(t, capacity)
			var pinned []Extent
			for n, last := 1, false; !last; n++ {
				make1 := s.Create
				if random.IntN(3) == 0 {
					make1 = s.CreateCopy
				}
				e, err := make1(ended(), object(n), 1+random.Int64N(60<<10), process(1))
				if err != nil {
					break
				}
				last = n > 200 // copies go, so that it's never full
				if random.IntN(10) == 0 {
					pinned = append(pinned, e) // it stays unsealed
				} else if err := s.Seal(object(n), process(1)); err != nil {
					t.Fatal(err)
				}
			}
			size := 1 + random.Int64N(capacity/2)
			waiting := create(t.Context(), s, 1<<20, size, 2)
			for range 1000 {
				select {
				case <-s.Pressure():
				default:
				}
				if done, _ := waiting.ended(); done {
					break
				}
				victims, urgent := s.Victims(random.Int64N(200<<10) + 1)
				if !urgent && s.Usage().Waiting > 0 {
					t.Fatalf("seed %d: somebody waits", seed)
				}
				for i := range victims {
					victims[i].Disk = uint64(i + 1)
				}
				s.Spilled(victims)
				if len(victims) == 0 {
					break
				}
			}
			done, err := waiting.ended()
			if fits := roomBetween(pinned, capacity) >= roundUp(size); err != nil || done != fits {
				t.Fatalf("seed %d: %d bytes: done %v, %v; they fit: %v; %+v", seed, size, done, err, fits, s.Usage())
			}
			s.ReleaseProcess(process(2))
			s.ReleaseProcess(process(1))
		})
	}
}

func roomBetween(held []Extent, capacity int64) (longest int64) {
	free := newArena(capacity)
	for at := int64(0); at < capacity; at += granule {
		free.take(granule)
	}
	used := map[int64]bool{}
	for _, e := range held {
		for at := e.Offset; at < e.Offset+roundUp(e.Size); at += granule {
			used[at] = true
		}
	}
	var run int64
	for at := int64(0); at < capacity; at += granule {
		if run += granule; used[at] {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

func TestRestoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1<<20)
		put(t, s, object(1), 1<<19)
		put(t, s, object(2), 1<<19)
		third := create(t.Context(), s, 3, 1<<19, 1)
		third.is(t, false, nil)
		<-s.Pressure()
		victims, urgent := s.Victims(1)
		if len(victims) != 1 || victims[0].ID != object(1) || !urgent {
			t.Fatal(victims, urgent)
		}
		if _, ok := s.Acquire(object(1), process(2)); !ok { // it's in memory still
			t.Fatal("not acquired")
		}
		victims[0].Disk = 77
		s.Spilled(victims)
		third.is(t, false, nil) // somebody reads it
		s.Release(object(1), process(2))
		third.is(t, true, nil)
		if _, ok := s.Acquire(object(1), process(2)); ok {
			t.Fatal("acquired what lies on disk")
		}
		if err := s.WaitMade(ended(), object(1)); err != nil {
			t.Error(err)
		}

		restore := func() chan error {
			ch := make(chan error, 1)
			go func() {
				r, err := s.Restore(t.Context(), object(1), process(2))
				if err == nil && r.Disk != 77 {
					err = errors.New("wrong place")
				}
				if err == nil && !s.Restored(r, process(2)) {
					err = errors.New("not pinned")
				}
				ch <- err
			}()
			return ch
		}
		one, other := restore(), restore()
		synctest.Wait()
		s.Abort(object(3), process(1))
		errs := []error{<-one, <-other}
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrExists) {
			t.Errorf("both restored: %v", errs)
		}
		s.Release(object(1), process(2))
		if u := s.Usage(); u.Droppable != 1<<19 || u.Away != 0 {
			t.Errorf("%+v", u)
		}

		// Dropped once more, and found damaged, while somebody waits for it.
		fourth := create(t.Context(), s, 4, 1<<19, 1)
		fourth.is(t, true, nil)
		s.Abort(object(4), process(1))
		r, err := s.Restore(t.Context(), object(1), process(2))
		if err != nil {
			t.Fatal(err)
		}
		waiter := make(chan error, 1)
		go func() {
			_, err := s.Restore(t.Context(), object(1), process(3))
			waiter <- err
		}()
		synctest.Wait()
		damaged := errors.New("damaged")
		s.Lost(r, damaged)
		if err := <-waiter; !errors.Is(err, damaged) {
			t.Error(err)
		}
		if _, err := s.Restore(t.Context(), object(1), process(3)); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		s.Delete(object(1)) // nothing happens
		if freed := s.Freed(); len(freed) != 1 || freed[0] != (Place{77, 1 << 19}) {
			t.Error(freed)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Restore(ctx, object(2), process(3)); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	})
}

func TestHoldings(t *testing.T) {
	s := open(t, 1<<20)
	put(t, s, object(1), 1000)
	if _, ok := s.Acquire(object(1), process(2)); !ok {
		t.Fatal("not acquired")
	}
	if _, err := s.Create(ended(), object(2), 500, process(3)); err != nil {
		t.Fatal(err)
	}
	all := s.Holdings()
	if len(all) != 2 || all[0] != (Holding{process(2), 1000, 0}) || all[1] != (Holding{process(3), 0, 500}) {
		t.Errorf("%+v", all)
	}
}

// TestIndex holds the index against a map.
func TestIndex(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 10))
		table, want := newTable(), map[key]uint32{}
		for range 2000 {
			k := keyOf(object(random.IntN(500)))
			if i := table.find(k); i != want[k] {
				t.Fatalf("seed %d: %d, want %d", seed, i, want[k])
			} else if i == 0 {
				want[k] = table.add(k, 0, 1)
			} else if random.IntN(3) > 0 {
				table.hide(i)
				table.recycle(i)
				delete(want, k)
			}
			if table.index.count != len(want) {
				t.Fatalf("seed %d: %d entries, want %d", seed, table.index.count, len(want))
			}
		}
	}
}
