package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// A step is a task's input that says what it is made of, and notes its run.
type step struct {
	Dir, Name string
	From      []gray.Ref[[]byte]
	FailAgain bool
}

const stepSize = 200 << 10

// noted leaves a file for a run.
func noted(dir, name string) error {
	f, err := os.CreateTemp(dir, name+".")
	if err != nil {
		return err
	}
	return f.Close()
}

func runs(t *testing.T, dir, name string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, name+".*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

var (
	// steps sums the first bytes of its inputs, plus one, into a large result.
	steps = gray.Task(func(ctx context.Context, s step) ([]byte, error) {
		out := make([]byte, stepSize)
		out[0] = 1
		for _, r := range s.From {
			b, err := gray.Get(ctx, r)
			if err != nil {
				return nil, err
			}
			out[0] += b[0]
		}
		if s.FailAgain && gray.Current(ctx).Attempt > 0 {
			return nil, errors.New("once was enough")
		}
		return out, noted(s.Dir, s.Name)
	})
	smallSteps = gray.Task(func(ctx context.Context, s step) ([]gray.Ref[[]byte], error) { return s.From, noted(s.Dir, s.Name) })
	// opens reads what a reference inside a small value refers to.
	opens = gray.Task(func(ctx context.Context, in []gray.Ref[[]gray.Ref[[]byte]]) ([]byte, error) {
		inner, err := gray.Get(ctx, in[0])
		if err != nil {
			return nil, err
		}
		return gray.Get(ctx, inner[0])
	})
	firstOf = gray.Task(func(ctx context.Context, r []gray.Ref[[]byte]) (int, error) {
		b, err := gray.Get(ctx, r[0])
		if err != nil {
			return 0, err
		}
		return int(b[0]), nil
	})
	// parts yields large items with one small among them.
	parts = gray.Stream(func(ctx context.Context, f flow, yield func([]byte) bool) error {
		if err := noted(f.Dir, "parts"); err != nil {
			return err
		}
		for i := range f.Items {
			if i == f.CrashAt && f.CrashAt > 0 && gray.Current(ctx).Attempt > 0 {
				return errors.New("dry")
			}
			item := make([]byte, f.Size)
			copy(item, fmt.Sprint(i))
			if i == 3 {
				item = item[:8]
			}
			if !yield(item) {
				return nil
			}
		}
		return nil
	})
)

// A pair is a cluster of two nodes, the second of which is to be killed.
type pair struct {
	*cluster
	me    gray.Option
	other []gray.Option // there, while it lives
}

func newPair(t *testing.T) *pair {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	n := gray.Current(c.ctx).Node
	get(c.ctx, t, square.Options(gray.OnNode(3-n, false)).Remote(c.ctx, 1)) // it's there
	return &pair{c, gray.OnNode(n, false), []gray.Option{gray.OnNode(3-n, true), gray.NumCPUs(0)}}
}

// complete waits for objects without reading them.
func complete[T any](ctx context.Context, t *testing.T, refs ...gray.Ref[T]) {
	t.Helper()
	if _, _, err := gray.Wait(ctx, refs, len(refs)); err != nil {
		t.Fatal(err)
	}
}

// TestLineage: what is lost with its node is made again by the tasks that made it,
// each once, whether or not what they were made from is still there.
func TestLineage(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	there := steps.Options(c.other...)
	inputs := func(r ...gray.Ref[[]byte]) []gray.Ref[[]byte] { return r }

	last := func() gray.Ref[[]byte] { // a diamond, then a chain, of which the end alone is kept
		base := there.Remote(ctx, step{Dir: dir, Name: "base"})
		left := there.Remote(ctx, step{Dir: dir, Name: "left", From: inputs(base)})
		right := there.Remote(ctx, step{Dir: dir, Name: "right", From: inputs(base)})
		inside := smallSteps.Options(c.other...).Remote(ctx, step{Dir: dir, Name: "small", From: inputs(left)})
		opened := opens.Options(c.other...).Remote(ctx, []gray.Ref[[]gray.Ref[[]byte]]{inside})
		return there.Remote(ctx, step{Dir: dir, Name: "last", From: inputs(opened, right)})
	}()
	shared := there.Remote(ctx, step{Dir: dir, Name: "shared"})
	fails1 := there.Remote(ctx, step{Dir: dir, Name: "failing", FailAgain: true})
	complete(ctx, t, last, shared, fails1)

	h := counters.Options(c.me, gray.NumCPUs(0)).Remote(ctx, countSpec{})
	func() { // an object that its owner holds no more
		lent := there.Remote(ctx, step{Dir: dir, Name: "lent"})
		get(ctx, t, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{lent}))
	}()
	if !poll(ctx, pollLimit/4, func() bool { return len(c.stored(t, stepSize)) == 5 }) {
		t.Fatalf("want the inputs freed, have\n%s", strings.Join(c.stored(t, stepSize), "\n"))
	}
	c.KillNode(1)

	var readers []gray.Ref[int]
	for range 5 {
		readers = append(readers, firstOf.Options(c.me).Remote(ctx, inputs(shared)))
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if b, err := gray.Get(ctx, shared); err != nil || b[0] != 1 {
				t.Errorf("a reader: %v", err)
			}
		})
	}
	for _, r := range readers {
		if n := get(ctx, t, r); n != 1 {
			t.Errorf("a task reads %d", n)
		}
	}
	all.Wait()
	if b := get(ctx, t, last); b[0] != 5 {
		t.Errorf("the end of the graph is %d", b[0])
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Kept, gray.None{})); n != stepSize {
		t.Errorf("the borrower reads %d bytes", n)
	}
	for _, name := range []string{"shared", "base", "left", "right", "last", "lent"} {
		if n := runs(t, dir, name); n != 2 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	if n := runs(t, dir, "small"); n != 1 {
		t.Errorf("a small value that was never lost was made %d times", n)
	}
	if e := fails[*gray.TaskError](ctx, t, fails1); e.Message != "once was enough" || e.Attempt != 1 {
		t.Errorf("the rebuilt task's error: %+v", e)
	}
	kill(ctx, t, h)
	last, shared, fails1 = gray.Ref[[]byte]{}, gray.Ref[[]byte]{}, gray.Ref[[]byte]{}
	readers = nil
	_, _ = last, readers
	_, _ = shared, fails1
	c.freed(t, 100<<10)
}

// TestLineageOfStreams: lost items, and only they, are made again, by one run.
func TestLineageOfStreams(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	var kept []gray.Ref[[]byte]
	i := 0
	for r, err := range parts.Options(c.other...).Remote(ctx, flow{Items: 100, Size: stepSize, Dir: dir}) {
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			kept = append(kept, r)
		}
		i++
	}
	eventually(t, "the other items are freed", func() bool { runtime.GC(); return len(c.stored(t, stepSize)) == len(kept)-1 })
	short := t.TempDir()
	var dry []gray.Ref[[]byte]
	for r, err := range parts.Options(c.other...).Remote(ctx, flow{Items: 10, Size: stepSize, Dir: short, CrashAt: 6}) {
		if err != nil {
			t.Fatal(err)
		}
		dry = append(dry, r)
	}
	c.KillNode(1)
	for i, r := range kept {
		if n := number(get(ctx, t, r)); n != 3*i {
			t.Errorf("item %d is %d now", 3*i, n)
		}
	}
	if n := runs(t, dir, "parts"); n != 2 {
		t.Errorf("the stream ran %d times", n)
	}
	if n := len(c.stored(t, stepSize)); n < len(kept)-1 || n > len(kept)-1+len(dry) {
		t.Errorf("%d objects are stored", n)
	}
	if n := number(get(ctx, t, dry[5])); n != 5 {
		t.Errorf("item 5 is %d now", n)
	}
	if e := fails[*gray.TaskError](ctx, t, dry[7]); e.Message != "dry" {
		t.Errorf("an item that the further run didn't make: %v", e)
	}
	kept, dry = nil, nil
	_, _ = kept, dry
	c.freed(t, 100<<10)
}

// A parcel is a stream's item that is large, and refers to something.
type parcel struct {
	Bytes []byte
	Inner gray.Ref[[]byte]
}

var parcels = gray.Stream(func(ctx context.Context, f flow, yield func(parcel) bool) error {
	for i := range f.Items {
		inner, err := gray.Put(ctx, []byte(fmt.Sprint(i)))
		if err != nil {
			return err
		}
		if !yield(parcel{make([]byte, f.Size), inner}) {
			break
		}
	}
	return noted(f.Dir, "parcels")
})

// TestLineageOfStreamsOfReferences: items with references in them are made again, too.
func TestLineageOfStreamsOfReferences(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	var all []gray.Ref[parcel]
	for r, err := range parcels.Options(c.other...).Remote(ctx, flow{Items: 20, Size: stepSize, Dir: dir}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	c.KillNode(1)
	for i, r := range all {
		if n := number(get(ctx, t, get(ctx, t, r).Inner)); n != i {
			t.Errorf("item %d refers to %d now", i, n)
		}
	}
	if n := runs(t, dir, "parcels"); n != 2 {
		t.Errorf("the stream ran %d times", n)
	}
	all = nil
	_ = all
	c.freed(t, 100<<10)
}

// TestLineageFromWhatOthersHold: what was made from an object that its owner has dropped is
// made again from that very object, as long as somebody holds it.
func TestLineageFromWhatOthersHold(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	h := counters.Options(c.me, gray.NumCPUs(0)).Remote(ctx, countSpec{})
	made := func() gray.Ref[[]byte] {
		put(ctx, t) // nobody holds it: when it's gone, so is the driver's reference to the other
		lent := put(ctx, t)
		get(ctx, t, gray.Call(ctx, h, (*counter).Keep, []gray.Ref[[]byte]{lent}))
		return steps.Options(c.other...).Remote(ctx, step{Dir: dir, Name: "made", From: []gray.Ref[[]byte]{lent}})
	}()
	complete(ctx, t, made)
	eventually(t, "the driver lets go", func() bool {
		gcDriver(ctx, t)
		return len(c.stored(t, heldSize)) == 2 // here, and the copy there
	})
	c.KillNode(1)
	if b := get(ctx, t, made); b[0] != 1 {
		t.Errorf("made again from the actor's: %d", b[0])
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Kept, gray.None{})); n != heldSize {
		t.Errorf("the actor's has %d bytes", n)
	}
	kill(ctx, t, h)
	made = gray.Ref[[]byte]{}
	_ = made
	c.freed(t, 100<<10)
}

// TestLineageMidStream: a node dies while the stream on it is being read, and the
// next attempt takes up after what has arrived.
func TestLineageMidStream(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	var all []gray.Ref[[]byte]
	for r, err := range parts.Options(c.other...).Remote(ctx, flow{Items: 150, Size: stepSize, Dir: dir}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
		if len(all) == 40 {
			c.KillNode(1)
		}
	}
	if len(all) != 150 {
		t.Fatalf("%d items", len(all))
	}
	for i, r := range all {
		if n := number(get(ctx, t, r)); n != i {
			t.Errorf("item %d is %d", i, n)
		}
	}
	if n := runs(t, dir, "parts"); n != 3 { // the first, the next attempt, the further run for what was lost
		t.Errorf("the stream ran %d times", n)
	}
	all = nil
	_ = all
	c.freed(t, 100<<10)
}

// TestLostForGood: what can't be made again says why.
func TestLostForGood(t *testing.T) {
	c := newPair(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	once := steps.Options(append(c.other, gray.MaxRetries(0))...).Remote(ctx, step{Dir: dir, Name: "once"})
	h := counters.Options(c.other...).Remote(ctx, countSpec{})
	called := gray.Call(ctx, h, (*counter).Bytes, make([]byte, stepSize))
	put := get(ctx, t, puts.Options(c.other...).Remote(ctx, stepSize))
	complete(ctx, t, once, called, put)
	needs := steps.Options(c.other...).Remote(ctx, step{Dir: dir, Name: "needs", From: []gray.Ref[[]byte]{once}})
	complete(ctx, t, needs)
	c.KillNode(1)
	contains(t, fails[*gray.ObjectLostError](ctx, t, once).Error(), "lost with [n", "has no retries left (0 of 0)")
	contains(t, fails[*gray.ObjectLostError](ctx, t, called).Error(), "made by a call of actor")
	contains(t, fails[*gray.OwnerDiedError](ctx, t, put).Error(), "died")
	contains(t, fails[*gray.ObjectLostError](ctx, t, needs).Error(), once.String(), "has no retries left (0 of 0)")
}
