package semantics

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// made is a reference and the process that owns it.
type made[T any] struct {
	R   gray.Ref[T]
	PID int
}

var (
	bytesOf = gray.Task(func(_ context.Context, b making) ([]byte, error) {
		if b.Dir != "" {
			mark(b.Dir, "runs")
		}
		return make([]byte, b.N), nil
	})
	grows   = gray.Task(func(_ context.Context, b []byte) ([]byte, error) { return append(b, 1), nil })
	putting = gray.Task(func(ctx context.Context, n int) (made[[]byte], error) {
		r, err := gray.Put(ctx, make([]byte, n))
		return made[[]byte]{r, os.Getpid()}, err
	})
	pending = gray.Task(func(ctx context.Context, dir string) (made[int], error) {
		return made[int]{gate.Options(gray.NumCPUs(0)).Remote(ctx, dir), os.Getpid()}, nil
	})
	// lateReader reads a reference in its input when it may.
	lateReader = gray.Task(func(ctx context.Context, in reading) (int, error) {
		mark(in.Dir, "begun")
		if err := passes(ctx, in.Dir); err != nil {
			return 0, err
		}
		b, err := gray.Get(ctx, in.R[0])
		return len(b), err
	})
	viewer = gray.Task(func(ctx context.Context, r []gray.Ref[[]byte]) (n int, err error) {
		err = gray.View(ctx, r[0], func(b []byte) error { n = len(b); return nil })
		return n, err
	})
)

type making struct {
	Dir string
	N   int
}

type reading struct {
	Dir string
	R   []gray.Ref[[]byte]
}

func TestO01GetGivesACopy(t *testing.T) {
	ctx := on(t, &one)
	for _, n := range []int{8, large} {
		r := put(ctx, t, make([]float64, n))
		get(ctx, t, r)[0] = 7
		equal(t, "the object", get(ctx, t, r)[0], 0)
	}
}

func TestO02ViewIsReadOnly(t *testing.T) {
	ctx := on(t, &one)
	r := put(ctx, t, make([]float64, large))
	err := gray.View(ctx, r, func(x []float64) error { x[5] = 1; return nil })
	if !errors.Is(err, gray.ErrViewWritten) {
		t.Error(err)
	}
	equal(t, "the object", get(ctx, t, r)[5], 0)
}

func TestO03SmallValuesNeedNoStore(t *testing.T) {
	ctx := on(t, &one)
	one.freed(ctx, t, 50<<10)
	small, big := bytesOf.Remote(ctx, making{N: 100<<10 - 64}), bytesOf.Remote(ctx, making{N: 101 << 10})
	equal(t, "bytes", len(get(ctx, t, small))+len(get(ctx, t, big)), 201<<10-64)
	equal(t, "stored", len(one.stored(ctx, t, 50<<10)), 1)
	runtime.KeepAlive([]gray.Ref[[]byte]{small, big})
}

func TestO04FreedWithItsLastReference(t *testing.T) {
	ctx := on(t, &one)
	func() {
		r := put(ctx, t, make([]byte, large))
		get(ctx, t, r)
		equal(t, "stored", len(one.stored(ctx, t, large)), 1)
		runtime.KeepAlive(r)
	}()
	one.freed(ctx, t, large)
}

func TestO05ReferenceInAValueHolds(t *testing.T) {
	ctx := on(t, &one)
	outer := put(ctx, t, []gray.Ref[[]byte]{put(ctx, t, make([]byte, large))})
	for range 3 {
		runtime.GC()
		get(ctx, t, square.Remote(ctx, 1))
	}
	equal(t, "bytes", len(get(ctx, t, get(ctx, t, outer)[0])), large)
	outer = gray.Ref[[]gray.Ref[[]byte]]{}
	_ = outer
	one.freed(ctx, t, large)
}

func TestO06ActorHolds(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{put(ctx, t, make([]byte, large))}))
	for range 3 {
		runtime.GC()
		equal(t, "bytes", get(ctx, t, gray.Call(ctx, h, (*counter).Kept, gray.None{})), large)
	}
	kill(ctx, t, h)
	one.freed(ctx, t, large) // a dead actor's references don't count
}

func TestO07OutlivesItsMakersProcess(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	both := gray.NumCPUs(2) // so that all run in one process
	pid := get(ctx, t, getpid.Options(both).Remote(ctx, gray.None{}))
	r := bytesOf.Options(both).Remote(ctx, making{dir, large})
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		shoot(ctx, t, pid)
	}
	equal(t, "bytes", len(get(ctx, t, r)), large)
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestO08SharedPutOutlivesItsOwner(t *testing.T) {
	ctx := on(t, &one)
	m := get(ctx, t, putting.Remote(ctx, large))
	equal(t, "read by another", get(ctx, t, viewer.Remote(ctx, []gray.Ref[[]byte]{m.R})), large)
	shoot(ctx, t, m.PID)
	equal(t, "bytes", len(get(ctx, t, m.R)), large)
}

func TestO09OwnerDiesBeforeTheValueIsThere(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	m := get(ctx, t, pending.Remote(ctx, dir))
	marked(ctx, t, dir, "begun", 1)
	shoot(ctx, t, m.PID)
	fails[*gray.OwnerDiedError](ctx, t, m.R)
	mark(dir, "go")
}

func TestO10LostResultIsMadeAgain(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	v := join(ctx, t)
	r := bytesOf.Options(gray.OnNode(v.number, true)).Remote(ctx, making{dir, large})
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	v.kill()
	equal(t, "bytes", len(get(ctx, t, r)), large)
	equal(t, "runs", marks(dir, "runs"), 2)
}

func TestO11PutIsLostWithItsNode(t *testing.T) {
	ctx := on(t, &pair)
	v := join(ctx, t)
	m := get(ctx, t, putting.Options(gray.OnNode(v.number, false)).Remote(ctx, large))
	v.kill()
	_, err := gray.Get(ctx, m.R)
	var lost *gray.ObjectLostError
	var owner *gray.OwnerDiedError
	if !errors.As(err, &lost) && !errors.As(err, &owner) {
		t.Error(err)
	}
}

var replicated = gray.Task(func(ctx context.Context, n int) (gray.Ref[[]byte], error) {
	return gray.Put(ctx, make([]byte, n), gray.Replicas(2))
})

func TestO12ReplicasOutliveTheNode(t *testing.T) {
	ctx := on(t, &pair)
	v := join(ctx, t)
	r := get(ctx, t, replicated.Options(gray.OnNode(v.number, false)).Remote(ctx, large))
	v.kill()
	equal(t, "bytes", len(get(ctx, t, r)), large)
}

func TestO13NoRetriesNoLineage(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	v := join(ctx, t)
	r := bytesOf.Options(gray.OnNode(v.number, true), gray.MaxRetries(0)).Remote(ctx, making{dir, large})
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	v.kill()
	fails[*gray.ObjectLostError](ctx, t, r)
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestO14WaitTellsInTheOrderGiven(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	refs := []gray.Ref[int]{gate.Remote(ctx, dir), square.Remote(ctx, 2), square.Remote(ctx, 3)}
	ready, rest, err := gray.Wait(ctx, refs, 2)
	if err != nil || !slices.Equal(ready, refs[1:]) || !slices.Equal(rest, refs[:1]) {
		t.Errorf("%v, %v, %v", ready, rest, err)
	}
	mark(dir, "go")
	get(ctx, t, refs[0])
	if ready, _, err = gray.Wait(ctx, refs, 1); err != nil || len(ready) != 3 {
		t.Errorf("asked for 1 with 3 ready: %v, %v", ready, err)
	}
}

func TestO15FailedIsReady(t *testing.T) {
	ctx := on(t, &one)
	ready, _, err := gray.Wait(ctx, []gray.Ref[int]{failing.Remote(ctx, failure{Text: "no"})}, 1)
	if err != nil || len(ready) != 1 {
		t.Errorf("%v, %v", ready, err)
	}
}

func TestO16WaitsDeadline(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	refs := []gray.Ref[int]{gate.Remote(ctx, dir), square.Remote(ctx, 1)}
	get(ctx, t, refs[1])
	ready, rest, err := gray.Wait(soon(ctx, t), refs, 2)
	if !errors.Is(err, context.DeadlineExceeded) || len(ready) != 1 || len(rest) != 1 {
		t.Errorf("%v, %v, %v", ready, rest, err)
	}
	mark(dir, "go")
	get(ctx, t, refs[0])
}

func TestO17WaitForMoreThanThereAre(t *testing.T) {
	ctx := on(t, &one)
	if _, _, err := gray.Wait(ctx, []gray.Ref[int]{square.Remote(ctx, 1)}, 2); err == nil {
		t.Error("no error")
	}
}

func TestO18WaitForOneTwice(t *testing.T) {
	ctx := on(t, &one)
	r := square.Remote(ctx, 1)
	ready, rest, err := gray.Wait(ctx, []gray.Ref[int]{r, r}, 2)
	if err != nil || len(ready) != 2 || len(rest) != 0 {
		t.Errorf("%v, %v, %v", ready, rest, err)
	}
}

func TestO19GetAllsFirstErrorInOrder(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	refs := []gray.Ref[int]{
		gate.Remote(ctx, dir), failing.Remote(ctx, failure{Text: "first"}), failing.Remote(ctx, failure{Text: "second"}),
	}
	if _, _, err := gray.Wait(ctx, refs, 2); err != nil {
		t.Fatal(err)
	}
	mark(dir, "go")
	_, err := gray.GetAll(ctx, refs)
	var e *gray.TaskError
	if !errors.As(err, &e) || e.Message != "first" {
		t.Error(err)
	}
}

func TestO20GetAllOfNoneAndOfOneTwice(t *testing.T) {
	ctx := on(t, &one)
	if v, err := gray.GetAll(ctx, []gray.Ref[int]{}); err != nil || len(v) != 0 {
		t.Errorf("%v, %v", v, err)
	}
	r := square.Remote(ctx, 3)
	if v, err := gray.GetAll(ctx, []gray.Ref[int]{r, r}); err != nil || !slices.Equal(v, []int{9, 9}) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestO21LargerThanTheStore(t *testing.T) {
	ctx := on(t, &one)
	var full *gray.StoreFullError
	if _, err := gray.Put(ctx, make([]byte, storeBytes+1)); !errors.As(err, &full) {
		t.Error(err)
	}
}

func TestO22ResultLargerThanTheStore(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	fails[*gray.StoreFullError](ctx, t, bytesOf.Remote(ctx, making{dir, storeBytes + 1}))
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestO23MoreThanTheStoreHolds(t *testing.T) {
	ctx := on(t, &one)
	const n, size = 12, storeBytes / 8
	var refs []gray.Ref[[]byte]
	for i := range n {
		b := make([]byte, size)
		b[size-1] = byte(i)
		refs = append(refs, put(ctx, t, b))
	}
	for i, r := range refs {
		err := gray.View(ctx, r, func(b []byte) error {
			equal(t, "last byte", b[size-1], byte(i))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	refs = nil
	_ = refs
	one.freed(ctx, t, size)
}

func TestO24PutThatCannotTravel(t *testing.T) {
	ctx := on(t, &one)
	_, err := gray.Put(ctx, map[string]any{"in": make(chan int)})
	var bad *gray.EncodingError
	if !errors.As(err, &bad) {
		t.Fatal(err)
	}
	contains(t, bad.Message, "chan")
}

func TestO25AsTheyComplete(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	var order []int
	for v, err := range gray.Completed(ctx, []gray.Ref[int]{gate.Remote(ctx, dir), square.Remote(ctx, 3)}) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, v)
		mark(dir, "go")
	}
	if !slices.Equal(order, []int{9, 1}) {
		t.Error(order)
	}
}

func TestO26SameErrorEachTime(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := failing.Remote(ctx, failure{dir, "once"})
	first, second := fails[*gray.TaskError](ctx, t, r), fails[*gray.TaskError](ctx, t, r)
	equal(t, "error", *second, *first)
	equal(t, "runs", marks(dir, "runs"), 1)
}

func TestO27PutOfAReference(t *testing.T) {
	ctx := on(t, &one)
	r := put(ctx, t, put(ctx, t, 5))
	equal(t, "through both", get(ctx, t, get(ctx, t, r)), 5)
}

func TestO28EqualReferences(t *testing.T) {
	ctx := on(t, &one)
	r := put(ctx, t, 1)
	back := get(ctx, t, put(ctx, t, []gray.Ref[int]{r}))[0]
	equal(t, "a copy that has travelled", back.String(), r.String())
	if back != r {
		t.Error("copies in one process differ")
	}
	if other := put(ctx, t, 1); other == r {
		t.Error("two objects of one value are equal")
	}
}

func TestO29OneCopyForManyReaders(t *testing.T) {
	ctx := on(t, &one)
	one.freed(ctx, t, large)
	r := put(ctx, t, make([]byte, large))
	var all []gray.Ref[int]
	for range 4 {
		all = append(all, viewer.Remote(ctx, []gray.Ref[[]byte]{r}), sizeOf.RemoteRef(ctx, r))
	}
	if _, err := gray.GetAll(ctx, all); err != nil {
		t.Fatal(err)
	}
	equal(t, "stored", len(one.stored(ctx, t, large)), 1)
	runtime.KeepAlive(r)
}

func TestO30InputHoldsForTheRunningTask(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	r := lateReader.Remote(ctx, reading{dir, []gray.Ref[[]byte]{put(ctx, t, make([]byte, large))}})
	marked(ctx, t, dir, "begun", 1)
	for range 3 {
		runtime.GC()
		get(ctx, t, square.Remote(ctx, 1))
	}
	mark(dir, "go")
	equal(t, "bytes", get(ctx, t, r), large)
}

func TestO31ZeroReference(t *testing.T) {
	ctx := on(t, &one)
	var zero gray.Ref[int]
	if _, err := gray.Get(ctx, zero); err == nil {
		t.Error("got a value")
	}
	fails[*gray.EncodingError](ctx, t, square.RemoteRef(ctx, zero))
	if err := gray.Cancel(ctx, zero); err == nil {
		t.Error("cancelled nothing")
	}
}

func TestO32LostChainIsMadeAgain(t *testing.T) {
	ctx, dir := on(t, &pair), t.TempDir()
	v := join(ctx, t)
	there := gray.OnNode(v.number, true)
	r := grows.Options(there).RemoteRef(ctx, grows.Options(there).RemoteRef(ctx, bytesOf.Options(there).Remote(ctx, making{dir, large})))
	if _, _, err := gray.Wait(ctx, []gray.Ref[[]byte]{r}, 1); err != nil {
		t.Fatal(err)
	}
	runtime.GC() // nobody refers to those between
	v.kill()
	equal(t, "bytes", len(get(ctx, t, r)), large+2)
	equal(t, "runs of the first", marks(dir, "runs"), 2)
}

func TestO33ReferenceOfAnotherCluster(t *testing.T) {
	ctx, other := on(t, &one), on(t, &pair)
	r := square.Remote(other, 2)
	is(ctx, t, r, gray.ErrOtherCluster)
	is(ctx, t, square.RemoteRef(ctx, r), gray.ErrOtherCluster)
	equal(t, "in its own", get(other, t, r), 4)
}

func TestO34SpilledFilesGo(t *testing.T) {
	ctx := on(t, &one)
	const size = storeBytes / 4
	func() {
		var refs []gray.Ref[[]byte]
		for range 8 {
			refs = append(refs, put(ctx, t, make([]byte, size)))
		}
		if n := spilled(t); n == 0 {
			t.Error("nothing is on disk")
		}
		runtime.KeepAlive(refs)
	}()
	one.freed(ctx, t, size)
	until(ctx, t, "the disk is empty", func() bool { return spilled(t) == 0 })
}

// spilled is how many bytes the cluster one takes on disk for objects.
func spilled(t *testing.T) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(one.Dir(), "n1", "spill"), func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that goes meanwhile takes nothing
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
