package spill

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gray-runtime/gray/objectstore"
)

// limit bounds every wait of a test.
const limit = time.Minute

func openEngine(t testing.TB, s *objectstore.Store, sys system, dirs ...string) *Engine {
	t.Helper()
	e, err := open(Config{Store: s, Dirs: dirs}, sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// put makes an object of a store, with its number's content.
func put(ctx context.Context, s *objectstore.Store, n int, size int64, by int) error {
	place, err := s.Create(ctx, object(n), size, process(by))
	if err != nil {
		return err
	}
	content(s.Bytes(place), n)
	return s.Seal(object(n), process(by))
}

// check reads an object back.
func check(ctx context.Context, t testing.TB, e *Engine, n, by int) error {
	place, err := e.Acquire(ctx, object(n), process(by))
	if err != nil {
		return err
	}
	if !is(e.store.Bytes(place), n) {
		t.Errorf("object %d is another", n)
	}
	e.store.Release(object(n), process(by))
	return nil
}

// TestFourTimesTheStore puts four times what the store holds, and reads all of it
// in an order of chance, by many at once.
func TestFourTimesTheStore(t *testing.T) {
	const capacity, size = 8 << 20, 300_000
	s := openStore(t, capacity)
	dirs := []string{t.TempDir(), t.TempDir()}
	e := openEngine(t, s, disk{}, dirs...)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	const objects = 4 * capacity / size
	for n := range objects {
		if err := put(ctx, s, n, size, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range dirs {
		if len(spillFiles(t, dir)) == 0 {
			t.Errorf("nothing is in %s", dir)
		}
	}
	var wg sync.WaitGroup
	for p := range 6 {
		wg.Go(func() {
			for _, n := range rand.New(rand.NewPCG(uint64(p), 3)).Perm(objects) {
				if err := check(ctx, t, e, n, 2+p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n := range objects {
		s.Delete(object(n))
	}
	await(t, s, func() bool { return len(spillFiles(t, dirs...)) == 0 })
	if u := s.Usage(); u.Used != 0 || u.Away != 0 || u.Objects != 0 {
		t.Errorf("%+v", u)
	}
}

// await waits for a condition that the engine brings about.
func await(t testing.TB, s *objectstore.Store, ok func() bool) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not within %s: %+v", limit, s.Usage())
		}
	}
}

// TestFaults has many processes make, read and delete objects, and die, while
// every file operation fails at times. What is read is right; nothing waits for
// ever; nothing is left.
func TestFaults(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		runFaults(t, seed)
	}
}

func runFaults(t *testing.T, seed uint64) {
	const capacity, objects = 2 << 20, 40
	sys := &faulty{random: rand.New(rand.NewPCG(seed, 4)), odds: int(seed%4) * 20}
	s := openStore(t, capacity)
	dirs := []string{t.TempDir(), t.TempDir()}
	e := openEngine(t, s, sys, dirs...)
	e.files.mu.Lock()
	e.files.rest = time.Millisecond
	e.files.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var made, full, lost atomic.Int64
	var wg sync.WaitGroup
	for p := range 6 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(p)))
			by := p
			for range 300 {
				n := random.IntN(objects)
				var err error
				switch random.IntN(5) {
				case 0, 1:
					err = put(ctx, s, n, random.Int64N(200<<10), by)
				case 2, 3:
					err = check(ctx, t, e, n, by)
				case 4:
					if s.Delete(object(n)); random.IntN(10) == 0 {
						s.ReleaseProcess(process(by))
						by += 6
					}
				}
				var unread *ReadError
				var noRoom *objectstore.FullError
				switch {
				case err == nil:
					made.Add(1)
				case errors.As(err, &unread) && sys.odds > 0:
					lost.Add(1)
				case errors.As(err, &noRoom):
					full.Add(1)
				case !errors.Is(err, objectstore.ErrExists) && !errors.Is(err, objectstore.ErrNotFound):
					t.Errorf("seed %d: %v", seed, err)
				}
			}
			s.ReleaseProcess(process(by))
		})
	}
	wg.Wait()
	sys.set(0)
	t.Logf("seed %d: %d went well, %d without room, %d lost; %v", seed, made.Load(), full.Load(), lost.Load(), e.Trouble())
	if full.Load() > 0 {
		t.Errorf("seed %d: somebody waited for %s", seed, limit)
	}
	s.DeleteOwner(process(1), nil)
	await(t, s, func() bool { u := s.Usage(); return u.Used == 0 && u.Objects == 0 && u.Away == 0 })
	await(t, s, func() bool { e.files.mu.Lock(); defer e.files.mu.Unlock(); return len(e.files.all) == 0 })
}

// TestLostIsTold: a damaged object is lost, once; what lies beside it isn't.
func TestLostIsTold(t *testing.T) {
	s := openStore(t, 1<<20)
	dir := t.TempDir()
	e := openEngine(t, s, disk{}, dir)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for n := range 8 {
		if err := put(ctx, s, n, 400_000, 1); err != nil {
			t.Fatal(err)
		}
	}
	path := spillFiles(t, dir)[0]
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("damage"), 1000)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for n := range 8 {
		err := check(ctx, t, e, n, 2)
		var unread *ReadError
		if errors.As(err, &unread) && unread.File == path && unread.Object == object(n) {
			lost++
			if err := check(ctx, t, e, n, 2); !errors.Is(err, objectstore.ErrNotFound) {
				t.Errorf("again: %v", err)
			}
		} else if err != nil {
			t.Error(err)
		}
	}
	if lost != 1 {
		t.Errorf("%d objects are lost", lost)
	}
}

// TestNowhereToSpill: without a directory that works the store is full for those
// who wait, copies still go, and the reason is told.
func TestNowhereToSpill(t *testing.T) {
	s := openStore(t, 1<<20)
	sys := &faulty{random: rand.New(rand.NewPCG(1, 1)), odds: 1}
	e := openEngine(t, s, sys, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := put(ctx, s, 0, 500_000, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateCopy(ctx, object(100), 300_000, process(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(object(100), process(1)); err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, s, 1, 500_000, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Acquire(ctx, object(100), process(2)); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("the copy: %v", err)
	}
	waits, give := context.WithCancel(ctx)
	failed := make(chan error)
	go func() { failed <- put(waits, s, 3, 500_000, 1) }()
	await(t, s, func() bool { return e.Trouble() != nil })
	give()
	var full *objectstore.FullError
	if err := <-failed; !errors.As(err, &full) {
		t.Error(err)
	}
	sys.set(0) // the disk works again
	if err := put(ctx, s, 4, 500_000, 1); err != nil {
		t.Error(err)
	}
	for n := range 2 {
		if err := check(ctx, t, e, n, 2); err != nil {
			t.Error(err)
		}
	}
}

// TestFragments: a large object finds its place among small ones, of which some
// are pinned.
func TestFragments(t *testing.T) {
	s := openStore(t, 8<<20)
	e := openEngine(t, s, disk{}, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for n := range 80 {
		if err := put(ctx, s, n, 100<<10, 1); err != nil {
			t.Fatal(err)
		}
	}
	held := []int{}
	for n := range 80 {
		if place, ok := s.Acquire(object(n), process(2)); ok && place.Offset > 5<<20 {
			held = append(held, n)
		} else if ok {
			s.Release(object(n), process(2))
		}
	}
	if err := put(ctx, s, 1000, 4<<20, 1); err != nil {
		t.Fatal(err)
	}
	if len(held) < 10 {
		t.Errorf("only %d were pinned", len(held))
	}
	for n := range 80 {
		if err := check(ctx, t, e, n, 3); err != nil {
			t.Error(err)
		}
	}
}

// gated is a disk whose reads tell that they begin, and wait.
type gated struct {
	disk
	began, goOn chan struct{}
}

func (g gated) create(path string) (file, error) {
	real, err := g.disk.create(path)
	return gatedFile{real, g}, err
}

type gatedFile struct {
	file
	g gated
}

func (f gatedFile) ReadAt(b []byte, at int64) (int, error) {
	select {
	case f.g.began <- struct{}{}:
	default:
	}
	<-f.g.goOn
	return f.file.ReadAt(b, at)
}

// TestAcquireByTheDead has a process be released while an object is read back for it,
// and after.
func TestAcquireByTheDead(t *testing.T) {
	s := openStore(t, 1<<20)
	g := gated{began: make(chan struct{}, 1), goOn: make(chan struct{})}
	e := openEngine(t, s, g, t.TempDir())
	for n := range 4 { // the first ones go to disk
		if err := put(t.Context(), s, n, 400<<10, 1); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := e.Acquire(t.Context(), object(0), process(2))
		done <- err
	}()
	<-g.began
	s.ReleaseProcess(process(2))
	close(g.goOn)
	if err := <-done; !errors.Is(err, objectstore.ErrReleased) {
		t.Error(err)
	}
	if _, err := e.Acquire(t.Context(), object(3), process(2)); !errors.Is(err, objectstore.ErrReleased) { // in memory
		t.Error(err)
	}
}
