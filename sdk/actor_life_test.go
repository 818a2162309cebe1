package gray_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// diary is an actor that writes down what it was asked, in a file and in its state.
type diary struct{ lines []int64 }

type entry struct {
	File string
	N    int64
	Die  string // a file: the process dies if it's there no more; it is removed first
}

func newDiary(context.Context, gray.None) (*diary, error) { return &diary{}, nil }

func (d *diary) Write(_ context.Context, e entry) (int64, error) {
	f, err := os.OpenFile(e.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(binary.LittleEndian.AppendUint64(nil, uint64(e.N)))
	err = errors.Join(err, f.Close())
	if e.Die != "" && os.Remove(e.Die) == nil {
		fmt.Fprintln(os.Stderr, "the diary burns")
		os.Exit(9)
	}
	d.lines = append(d.lines, e.N)
	return e.N, err
}

func (d *diary) Lines(context.Context, gray.None) ([]int64, error) { return d.lines, nil }
func (d *diary) PID(context.Context, gray.None) (int, error)       { return os.Getpid(), nil }
func (d *diary) Slow(ctx context.Context, dir string) (int, error) {
	d.lines = append(d.lines, 7)
	return waitIn(ctx, dir)
}
func (d *diary) Fail(context.Context, gray.None) (int, error) {
	d.lines = nil
	return 0, errors.New("no")
}
func (d *diary) Mark(ctx context.Context, _ gray.None) (int, error) {
	return len(d.lines), gray.Checkpoint(ctx)
}

func (d *diary) Save(context.Context) ([]byte, error) {
	var b []byte
	for _, n := range d.lines {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b, nil
}

func (d *diary) Restore(_ context.Context, b []byte) error {
	for ; len(b) > 0; b = b[8:] {
		d.lines = append(d.lines, int64(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

func linesOf(t *testing.T, file string) (lines []int64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; b = b[8:] {
		lines = append(lines, int64(binary.LittleEndian.Uint64(b)))
	}
	return lines
}

// leaver is an actor that goes when it's told to.
type leaver struct{}

func (*leaver) Leave(ctx context.Context, _ gray.None) (string, error) { return "bye", gray.Exit(ctx) }
func (*leaver) Stay(context.Context, gray.None) (string, error)        { return "here", nil }
func (*leaver) Slow(ctx context.Context, dir string) (int, error)      { return waitIn(ctx, dir) }

type keeping struct{ H []gray.Handle[counter] }

// keeper is an actor that keeps handles.
type keeper struct{ kept []gray.Handle[counter] }

func (k *keeper) Keep(_ context.Context, v keeping) (int, error)   { k.kept = v.H; return len(v.H), nil }
func (k *keeper) Give(context.Context, gray.None) (keeping, error) { return keeping{k.kept}, nil }
func (k *keeper) Drop(context.Context, gray.None) (gray.None, error) {
	k.kept = nil
	return gray.None{}, nil
}

var (
	diaries = gray.Actor(newDiary)
	leavers = gray.Actor(func(context.Context, gray.None) (*leaver, error) { return &leaver{}, nil })
	keepers = gray.Actor(func(context.Context, gray.None) (*keeper, error) { return &keeper{}, nil })

	createsActor = gray.Task(func(ctx context.Context, _ gray.None) (keeping, error) {
		h := counters.Remote(ctx, countSpec{Start: 7})
		return keeping{[]gray.Handle[counter]{h}}, nil
	})
	forgetsActor = gray.Task(func(ctx context.Context, _ gray.None) (string, error) {
		h := counters.Remote(ctx, countSpec{})
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		return h.String(), err
	})
	getsOrCreates = gray.Task(func(ctx context.Context, name string) (string, error) {
		h, err := counters.Options(gray.Name(name), gray.Detached()).GetOrCreate(ctx, countSpec{})
		if err != nil {
			return "", err
		}
		_, err = gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		return h.String(), err
	}, gray.NumCPUs(0))
)

// actor returns what the head knows of an actor.
func (c *cluster) actor(t testing.TB, id string) api.ActorRow {
	t.Helper()
	list, err := c.api.Actors(limited(context.Background(), t), api.ListOptions{Detail: true, Filters: []api.Filter{{Key: "actor_id", Op: "=", Value: id}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Result) == 0 {
		return api.ActorRow{}
	}
	return list.Result[0]
}

// unheld waits until an actor was ended because nobody holds a handle to it.
func (c *cluster) unheld(t testing.TB, id string) {
	t.Helper()
	eventually(t, "the actor without handles ends", func() bool {
		runtime.GC()
		return c.actor(t, id).State == "DEAD"
	})
	if cause := c.actor(t, id).DeathCause; cause == nil {
		t.Error("no cause is told")
	} else {
		contains(t, *cause, "no handle to it is left")
	}
}

// lives asserts that an actor answers though the garbage collector has run.
func (c *cluster) lives(ctx context.Context, t testing.TB, h gray.Handle[counter]) {
	t.Helper()
	for range 3 {
		gcDriver(ctx, t)
		get(ctx, t, gray.Call(ctx, h, (*counter).Add, 0))
	}
}

// TestActorCollected: an actor that nobody can reach ends, its calls done.
var lateSpecs = gray.Task(func(ctx context.Context, after time.Duration) (countSpec, error) {
	select {
	case <-time.After(after):
	case <-ctx.Done():
	}
	return countSpec{Start: 5}, nil
})

// TestActorCreatedLate: an actor that was given away and is yet to be created, for longer
// than heads wait for one that they don't know, isn't dead to who has it.
func TestActorCreatedLate(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.RemoteRef(ctx, lateSpecs.Remote(ctx, 3*time.Second))
	get(ctx, t, adds.Remote(ctx, h))
}

func TestActorCollected(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	h := counters.Remote(ctx, countSpec{})
	id := h.String()
	var last gray.Ref[int]
	for range 500 {
		last = gray.Call(ctx, h, (*counter).Add, 1)
	}
	h = gray.Handle[counter]{}
	_ = h
	runtime.GC()
	if n := get(ctx, t, last); n != 500 {
		t.Errorf("of 500 calls of an actor whose handle is gone, %d ran", n)
	}
	c.unheld(t, id)
	id = counters.Remote(ctx, countSpec{}).String() // never called
	c.unheld(t, id)
	id = counters.Options(gray.MaxRestarts(-1)).Remote(ctx, countSpec{Pad: make([]byte, 3<<20)}).String()
	c.unheld(t, id)
	c.freed(t, 3<<20) // the input of its constructor
}

// TestActorHeldElsewhere: a handle counts wherever it is: in values, in other processes,
// in objects that nobody reads.
func TestActorHeldElsewhere(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	k := keepers.Remote(ctx, gray.None{})
	h := counters.Remote(ctx, countSpec{Start: 3})
	id := h.String()
	get(ctx, t, gray.Call(ctx, k, (*keeper).Keep, keeping{[]gray.Handle[counter]{h}}))
	h = gray.Handle[counter]{}
	for range 3 {
		gcDriver(ctx, t)
	}
	back := get(ctx, t, gray.Call(ctx, k, (*keeper).Give, gray.None{})).H[0]
	if back.String() != id {
		t.Errorf("the handle of %s came back as that of %s", id, back)
	}
	get(ctx, t, gray.Call(ctx, k, (*keeper).Drop, gray.None{}))
	c.lives(ctx, t, back)
	inside, err := gray.Put(ctx, keeping{[]gray.Handle[counter]{back}})
	if err != nil {
		t.Fatal(err)
	}
	back = gray.Handle[counter]{}
	for range 3 {
		gcDriver(ctx, t)
	}
	c.lives(ctx, t, get(ctx, t, inside).H[0])
	inside = gray.Ref[keeping]{}
	_ = inside
	c.unheld(t, id)

	// One that a task has created outlives the task, and ends with the last handle.
	made := get(ctx, t, createsActor.Remote(ctx, gray.None{})).H[0]
	c.lives(ctx, t, made)
	id = made.String()
	made = gray.Handle[counter]{}
	_ = made
	c.unheld(t, id)
	c.unheld(t, get(ctx, t, forgetsActor.Remote(ctx, gray.None{})))
	runtime.KeepAlive(k)
}

// TestActorHeldByName: an actor with a name can be found, and so needs no handle.
func TestActorHeldByName(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	for _, class := range []*gray.ActorClass[counter, countSpec]{
		counters.Options(gray.Name("lasting"), gray.Detached()), counters.Options(gray.Name("lasting")),
	} {
		id := class.Remote(ctx, countSpec{Start: 4}).String()
		for n := range 4 {
			gcDriver(ctx, t)
			h, err := gray.GetActor[counter](ctx, "lasting")
			if err != nil {
				t.Fatal(err)
			}
			if got := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); got != 5+n || h.String() != id {
				t.Errorf("%s, found by its name, counts %d; want %s", h, got, id)
			}
		}
		h, err := gray.GetActor[counter](ctx, "lasting")
		if err != nil {
			t.Fatal(err)
		}
		kill(ctx, t, h)
	}
}

// TestActorCreatorDies: an actor outlives the process that created it while it's held.
func TestActorCreatorDies(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	h := get(ctx, t, createsActor.Remote(ctx, gray.None{})).H[0]
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	list, err := c.api.Workers(ctx, api.ListOptions{Detail: true})
	if err != nil {
		t.Fatal(err)
	}
	pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	for _, w := range list.Result {
		if w.PID != pid && w.PID != os.Getpid() {
			_ = syscall.Kill(w.PID, syscall.SIGKILL)
			eventually(t, "a worker dies", func() bool { return !alive(w.PID) })
		}
	}
	c.lives(ctx, t, h)
	id := h.String()
	h = gray.Handle[counter]{}
	_ = h
	c.unheld(t, id)
}

// TestActorCallsRetried: calls that a death cut off are made again, in order, before later ones.
func TestActorCallsRetried(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	file, die := filepath.Join(dir, "diary"), filepath.Join(dir, "die")
	if err := touch(die); err != nil {
		t.Fatal(err)
	}
	h := diaries.Options(gray.MaxRestarts(1), gray.MaxTaskRetries(1), gray.SaveEvery(0)).Remote(ctx, gray.None{})
	var refs []gray.Ref[int64]
	for n := range int64(200) {
		e := entry{File: file, N: n}
		if n == 50 {
			e.Die = die
		}
		refs = append(refs, gray.Call(ctx, h, (*diary).Write, e))
	}
	for n, r := range refs {
		if got := get(ctx, t, r); got != int64(n) {
			t.Fatalf("call %d gives %d", n, got)
		}
	}
	lines := linesOf(t, file)
	cut := slices.Index(lines, 50) + 1 // the process died in it
	if again := lines[cut:]; len(again) == 0 || again[0] > 50 || again[len(again)-1] != 199 || !consecutive(again) || !consecutive(lines[:cut]) {
		t.Errorf("the calls ran in the order %v", lines)
	}
	if err := touch(die); err != nil {
		t.Fatal(err)
	}
	last := gray.Call(ctx, h, (*diary).Write, entry{File: file, N: 1000, Die: die})
	e := fails[*gray.ActorDiedError](ctx, t, last) // no restart is left
	if e.ExitCode != 9 || e.Class != "gray_test.diary" || e.When.IsZero() || e.Node != 1 || e.PID == 0 {
		t.Errorf("%+v", e)
	}
	contains(t, e.Error(), "gray_test.diary", h.String(), "on n1", "died at ", fmt.Sprint(e.PID), "the diary burns")
}

func consecutive(lines []int64) bool {
	for i := 1; i < len(lines); i++ {
		if lines[i] != lines[i-1]+1 {
			return false
		}
	}
	return true
}

// TestActorCallsLimited: a process has so many calls waiting, and may make others once they are answered.
func TestActorCallsLimited(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h := counters.Options(gray.MaxPendingCalls(3)).Remote(ctx, countSpec{})
	first := gray.Call(ctx, h, (*counter).Wait, dir)
	two, three := gray.Call(ctx, h, (*counter).Add, 1), gray.Call(ctx, h, (*counter).Add, 1)
	e := fails[*gray.CallsLimitError](ctx, t, gray.Call(ctx, h, (*counter).Add, 100))
	contains(t, e.Error(), "3 calls", h.String(), "Add")
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	get(ctx, t, first)
	get(ctx, t, two)
	if n := get(ctx, t, three); n != 2 {
		t.Error(n)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 3 {
		t.Errorf("after the calls were answered: %d", n)
	}
}

// TestActorExits: the call in which an actor leaves has its answer, those behind it fail,
// and it isn't restarted.
func TestActorExits(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	h := leavers.Options(gray.MaxRestarts(-1), gray.MaxTaskRetries(-1)).Remote(ctx, gray.None{})
	slow := gray.Call(ctx, h, (*leaver).Slow, dir)
	leaving := gray.Call(ctx, h, (*leaver).Leave, gray.None{})
	behind := gray.Call(ctx, h, (*leaver).Stay, gray.None{})
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	get(ctx, t, slow)
	if got := get(ctx, t, leaving); got != "bye" {
		t.Error(got)
	}
	contains(t, fails[*gray.ActorDiedError](ctx, t, behind).Error(), "it ended itself (gray.Exit)")
	eventually(t, "the actor is dead", func() bool { return c.actor(t, h.String()).State == "DEAD" })
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*leaver).Stay, gray.None{}))
	if err := gray.Exit(ctx); err == nil {
		t.Error("the driver left as an actor")
	}
}

// TestActorKilledAndRestarted: a kill with Restart costs the process and a restart.
func TestActorKilledAndRestarted(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	h := counters.Options(gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 10})
	before := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 5))
	if err := gray.Kill(ctx, h, gray.Restart()); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != 11 {
		t.Errorf("after the restart: %d", n)
	}
	if after := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{})); after == before {
		t.Error("it's the same process")
	}
	if err := gray.Kill(ctx, h, gray.Restart()); err != nil {
		t.Fatal(err)
	}
	contains(t, fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1)).Error(), "killed by gray.Kill")
}

// TestActorGetOrCreate: of many that ask at the same time, one creates the actor.
func TestActorGetOrCreate(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	class := counters.Options(gray.Name("only"), gray.Detached())
	var all sync.WaitGroup
	ids := make([]string, 20)
	for i := range 10 {
		all.Go(func() {
			h, err := class.GetOrCreate(ctx, countSpec{})
			if err != nil {
				t.Error(err)
				return
			}
			get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
			ids[i] = h.String()
		})
		all.Go(func() { ids[10+i] = get(ctx, t, getsOrCreates.Remote(ctx, "only")) })
	}
	all.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 {
		t.Errorf("there are %v", ids)
	}
	h, err := class.GetOrCreate(ctx, countSpec{})
	if err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 0)); n != 20 {
		t.Errorf("of 20 calls it counted %d", n)
	}
	if _, err := leavers.Options(gray.Name("only")).GetOrCreate(ctx, gray.None{}); err == nil {
		t.Error("it was got as another type")
	}
	kill(ctx, t, h)
}

// TestActorConcurrencyGroups: methods in a group run beside others, so many at a time.
func TestActorConcurrencyGroups(t *testing.T) {
	ctx, dir, other := limited(shared(t).ctx, t), t.TempDir(), t.TempDir()
	h := counters.Options(gray.ConcurrencyGroup("pairs", 2, (*counter).Both), gray.ConcurrencyGroup("waits", 1, (*counter).Wait)).
		Remote(ctx, countSpec{})
	running := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := gray.Call(ctx, h, (*counter).Wait, other)
	eventually(t, "the call begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	one, two := gray.Call(ctx, h, (*counter).Both, gray.None{}), gray.Call(ctx, h, (*counter).Both, gray.None{})
	if !get(ctx, t, one) || !get(ctx, t, two) {
		t.Error("two calls of a group of two didn't run at the same time")
	}
	for i := range 20 {
		if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != i+1 {
			t.Fatalf("beside the groups: %d", n)
		}
	}
	if exists(filepath.Join(other, "begun")) {
		t.Error("two calls of a group of one run at the same time")
	}
	for _, d := range []string{dir, other} {
		if err := touch(filepath.Join(d, "go")); err != nil {
			t.Fatal(err)
		}
	}
	get(ctx, t, running)
	get(ctx, t, behind)
}

// TestActorRestored: what an actor has answered is in its state after a restart, on whichever node.
func TestActorRestored(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	file, die := filepath.Join(dir, "diary"), filepath.Join(dir, "die")
	h := diaries.Options(gray.MaxRestarts(-1)).Remote(ctx, gray.None{})
	for n := range int64(5) {
		get(ctx, t, gray.Call(ctx, h, (*diary).Write, entry{File: file, N: n}))
	}
	if err := touch(die); err != nil {
		t.Fatal(err)
	}
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*diary).Write, entry{File: file, N: 99, Die: die}))
	if got := get(ctx, t, gray.Call(ctx, h, (*diary).Lines, gray.None{})); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
		t.Errorf("after the restart: %v", got)
	}
	fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*diary).Fail, gray.None{})) // it has changed the state, too
	if err := gray.Kill(ctx, h, gray.Restart()); err != nil {
		t.Fatal(err)
	}
	if got := get(ctx, t, gray.Call(ctx, h, (*diary).Lines, gray.None{})); len(got) != 0 {
		t.Errorf("after another: %v", got)
	}

	marked := diaries.Options(gray.MaxRestarts(-1), gray.SaveEvery(0)).Remote(ctx, gray.None{})
	for n := range int64(4) {
		if n == 2 {
			get(ctx, t, gray.Call(ctx, marked, (*diary).Mark, gray.None{}))
		}
		get(ctx, t, gray.Call(ctx, marked, (*diary).Write, entry{File: file, N: n}))
	}
	if err := gray.Kill(ctx, marked, gray.Restart()); err != nil {
		t.Fatal(err)
	}
	if got := get(ctx, t, gray.Call(ctx, marked, (*diary).Lines, gray.None{})); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("since the checkpoint: %v", got)
	}
}

// TestActorMovesToAnotherNode: an actor whose node is killed goes on elsewhere, where it was.
func TestActorMovesToAnotherNode(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 3, CPUs: 1})
	ctx, file := limited(c.ctx, t), filepath.Join(t.TempDir(), "diary")
	h := diaries.Options(gray.MaxRestarts(1), gray.MaxTaskRetries(-1), gray.OnNode(3, true)).Remote(ctx, gray.None{})
	for n := range int64(3) {
		get(ctx, t, gray.Call(ctx, h, (*diary).Write, entry{File: file, N: n}))
	}
	c.KillNode(2)
	if got := get(ctx, t, gray.Call(ctx, h, (*diary).Lines, gray.None{})); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("on another node: %v", got)
	}
}
