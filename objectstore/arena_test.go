package objectstore

import (
	"math/rand/v2"
	"testing"
)

// check holds the arena against its invariants and returns the free blocks.
func (a *arena) check(t testing.TB) []Extent {
	t.Helper()
	var blocks []Extent
	var walk func(n uint32) int64
	walk = func(n uint32) int64 {
		if n == 0 {
			return 0
		}
		b := a.blocks[n]
		for _, c := range []uint32{b.left, b.right} {
			if a.blocks[c].priority > b.priority {
				t.Fatalf("block %d has a higher priority than its parent", c)
			}
		}
		largest := walk(b.left)
		blocks = append(blocks, Extent{b.offset, b.size})
		largest = max(largest, b.size, walk(b.right))
		if largest != b.largest {
			t.Fatalf("the largest block below %d has %d bytes, recorded are %d", n, largest, b.largest)
		}
		return largest
	}
	walk(a.root)
	var sum, end int64 = 0, -1
	for _, b := range blocks {
		if b.Size <= 0 || b.Offset <= end || b.Offset%granule != 0 || b.Size%granule != 0 {
			t.Fatalf("free block %+v after one that ends at %d", b, end)
		}
		sum, end = sum+b.Size, b.Offset+b.Size
	}
	if end > a.capacity || sum != a.free || len(blocks) != a.count {
		t.Fatalf("%d blocks with %d bytes up to %d, recorded are %d with %d", len(blocks), sum, end, a.count, a.free)
	}
	return blocks
}

// TestArenaAgainstPages holds the arena against a plain array of granules.
func TestArenaAgainstPages(t *testing.T) {
	const granules = 4096 // so that there are small and large pieces
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		a := newArena(granules * granule)
		used := make([]bool, granules)
		var taken []Extent
		for range 400 {
			if len(taken) > 0 && random.IntN(100) < 45 {
				i := random.IntN(len(taken))
				e := taken[i]
				a.put(e.Offset, e.Size)
				for g := e.Offset / granule; g < (e.Offset+e.Size)/granule; g++ {
					used[g] = false
				}
				taken[i] = taken[len(taken)-1]
				taken = taken[:len(taken)-1]
				continue
			}
			n := int64(1 + random.IntN(1<<random.IntN(12)))
			offset, ok := a.take(n * granule)
			if fits := longestRun(used) >= n; fits != ok {
				t.Fatalf("seed %d: %d granules fit: %v, taken: %v", seed, n, fits, ok)
			}
			if !ok {
				continue
			}
			taken = append(taken, Extent{offset, n * granule})
			for g := offset / granule; g < offset/granule+n; g++ {
				if used[g] {
					t.Fatalf("seed %d: granule %d is given twice", seed, g)
				}
				used[g] = true
			}
		}
		a.check(t)
		if got, want := a.largest(), longestRun(used)*granule; got != want {
			t.Fatalf("seed %d: largest is %d, want %d", seed, got, want)
		}
		for _, e := range taken {
			a.put(e.Offset, e.Size)
		}
		if blocks := a.check(t); len(blocks) != 1 {
			t.Fatalf("seed %d: all is free, in %d pieces", seed, len(blocks))
		}
	}
}

func longestRun(used []bool) int64 {
	var run, longest int64
	for _, u := range used {
		if run++; u {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// TestRecycling puts objects of all sizes for a long time into an arena that's
// never nearly full: untouched memory must not be used once there is enough
// that has been in use.
func TestRecycling(t *testing.T) {
	const capacity = 1 << 30
	random := rand.New(rand.NewPCG(1, 2))
	a := newArena(capacity)
	low, high := int64(0), int64(capacity) // what lies between was never touched
	var live []Extent
	var bytes, most int64
	for range 200_000 {
		n := roundUp(1 << random.IntN(24))
		offset, ok := a.take(n)
		if !ok {
			t.Fatal("the arena is full")
		}
		if n < small {
			high = min(high, offset)
		} else {
			low = max(low, offset+n)
		}
		live, bytes = append(live, Extent{offset, n}), bytes+n
		for len(live) > 100 {
			j := random.IntN(len(live))
			a.put(live[j].Offset, live[j].Size)
			bytes -= live[j].Size
			live[j] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		most = max(most, bytes)
	}
	touched := low + capacity - high
	t.Logf("%d MiB live at most, %d MiB touched, %d free pieces", most>>20, touched>>20, a.count)
	if touched > 2*most {
		t.Errorf("%d bytes were touched for %d that were live at most", touched, most)
	}
}

func TestFreeingTwicePanics(t *testing.T) {
	for _, e := range []Extent{{0, 64}, {64, 128}, {128, 64}, {1 << 16, 64}, {192, 1 << 20}} {
		a := newArena(1 << 16)
		if offset, ok := a.take(small - 64); !ok || offset != 64 {
			t.Fatal(offset, ok)
		}
		a.put(128, 64)
		if e == (Extent{64, 128}) {
			e.Offset = 0
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was freed, and is free", e)
				}
			}()
			a.put(e.Offset, e.Size)
		}()
	}
}

// TestRoundUp: an object fits where another of nearly its size was, and little is lost by it.
func TestRoundUp(t *testing.T) {
	for _, c := range [][2]int64{
		{0, 64}, {1, 64}, {64, 64}, {65, 128}, {65_535, 65_536}, {65_536, 65_536}, {65_537, 65_536 + 512},
		{1_000_000_064, 1_002_438_656}, {1_000_000_071, 1_002_438_656},
	} {
		if got := roundUp(c[0]); got != c[1] {
			t.Errorf("%d bytes take %d, want %d", c[0], got, c[1])
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		n := int64(1) << random.IntN(40)
		n += random.Int64N(n)
		if got := roundUp(n); got < n || got%granule != 0 || got-n >= max(granule, n/64) {
			t.Errorf("%d bytes take %d", n, got)
		}
	}
}
