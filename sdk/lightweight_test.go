package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// cells are lightweight counters.
var cells = counters.Options(gray.Lightweight())

func pid(ctx context.Context, t *testing.T, h gray.Handle[counter]) int {
	t.Helper()
	return get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
}

// TestLightweightMany: many share few processes, each with a state of its own.
func TestLightweightMany(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	const n = 2000
	handles := make([]gray.Handle[counter], n)
	sums, pids := make([]gray.Ref[int], n), make([]gray.Ref[int], n)
	for i := range handles {
		handles[i] = cells.Remote(ctx, countSpec{Start: i})
		gray.Call(ctx, handles[i], (*counter).Add, 1)
		sums[i] = gray.Call(ctx, handles[i], (*counter).Add, 1)
		pids[i] = gray.Call(ctx, handles[i], (*counter).PID, gray.None{})
	}
	values, err := gray.GetAll(ctx, sums)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if v != i+2 {
			t.Fatalf("actor %d counted to %d", i, v)
		}
	}
	where, err := gray.GetAll(ctx, pids)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(where)
	if where = slices.Compact(where); len(where) > 16 || slices.Contains(where, os.Getpid()) {
		t.Errorf("%d actors live in processes %v; this is %d", n, where, os.Getpid())
	}
	info := get(ctx, t, gray.Call(ctx, handles[7], (*counter).Who, gray.None{}))
	if info.Actor != handles[7].String() || !strings.Contains(info.Function, "Who") {
		t.Errorf("%+v", info)
	}
}

// TestLightweightOrder: calls of a caller keep their order, also those whose inputs
// are yet to come, which hold up no other actor.
func TestLightweightOrder(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h, late := cells.Remote(ctx, countSpec{}), cells.RemoteRef(ctx, specsLater.Remote(ctx, dir))
	behind := gray.Call(ctx, late, (*counter).Add, 1)
	var want []int
	for i := range 300 {
		if i%7 == 3 {
			gray.CallRef(ctx, h, (*counter).Add, square.Remote(ctx, i))
			want = append(want, i*i)
			continue
		}
		gray.Call(ctx, h, (*counter).Add, i)
		want = append(want, i)
	}
	if seen := get(ctx, t, gray.Call(ctx, h, (*counter).Seen, gray.None{})); !slices.Equal(seen, want) {
		t.Errorf("calls ran in the order %v", seen)
	}
	early := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 0)) // the later actor is called by another process
	task := adds.Remote(ctx, late)
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, behind); n < 8 || n > 18 {
		t.Errorf("%d, %d", n, early)
	}
	get(ctx, t, task)
	if n := get(ctx, t, gray.Call(ctx, late, (*counter).Add, 0)); n != 18 {
		t.Errorf("both callers together: %d", n)
	}
}

// TestLightweightBlocked: calls that don't end keep no other actor from running,
// nor, with MaxConcurrency, other calls of theirs.
func TestLightweightBlocked(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	var blocked []gray.Ref[int]
	for range 40 {
		blocked = append(blocked, gray.Call(ctx, cells.Remote(ctx, countSpec{}), (*counter).Wait, dir))
	}
	for range 4 {
		if n := get(ctx, t, gray.Call(ctx, cells.Remote(ctx, countSpec{Start: 1}), (*counter).Add, 1)); n != 2 {
			t.Error(n)
		}
	}
	h := cells.Options(gray.MaxConcurrency(2)).Remote(ctx, countSpec{})
	one, two := gray.Call(ctx, h, (*counter).Both, gray.None{}), gray.Call(ctx, h, (*counter).Both, gray.None{})
	if !get(ctx, t, one) || !get(ctx, t, two) {
		t.Error("two calls didn't run at the same time")
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if _, err := gray.GetAll(ctx, blocked); err != nil {
		t.Error(err)
	}
}

// parked is an actor whose calls wait until one in the same process lets them go.
type parked struct{}

var (
	parkeds = gray.Actor(func(context.Context, gray.None) (*parked, error) { return &parked{}, nil }, gray.Lightweight())
	gate    = make(chan struct{})
	open    sync.Once
)

func (*parked) Park(ctx context.Context, _ gray.None) (gray.None, error) {
	select {
	case <-gate:
		return gray.None{}, nil
	case <-ctx.Done():
		return gray.None{}, ctx.Err()
	}
}

func (*parked) Open(context.Context, gray.None) (gray.None, error) {
	open.Do(func() { close(gate) })
	return gray.None{}, nil
}

func (*parked) Quit(context.Context, gray.None) (int, error) {
	runtime.Goexit()
	return 0, nil
}

// TestLightweightManyBlocked: even with more calls that wait than one actor may have in
// flight, one that comes after them is run.
func TestLightweightManyBlocked(t *testing.T) {
	ctx := limited(ownCluster(t, embed.Options{CPUs: 1}).ctx, t)
	get(ctx, t, parkMany.Remote(ctx, 17_000))
}

var parkMany = gray.Task(func(ctx context.Context, n int) (gray.None, error) {
	var all []gray.Ref[gray.None]
	for range n {
		all = append(all, gray.Call(ctx, parkeds.Remote(ctx, gray.None{}), (*parked).Park, gray.None{}))
	}
	all = append(all, gray.Call(ctx, parkeds.Remote(ctx, gray.None{}), (*parked).Open, gray.None{}))
	_, err := gray.GetAll(ctx, all)
	return gray.None{}, err
})

// TestLightweightPanic: it's that actor's end only, or its new beginning.
func TestLightweightPanic(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	fragile, tough := cells.Remote(ctx, countSpec{}), cells.Options(gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 10})
	other := cells.Remote(ctx, countSpec{})
	gray.Call(ctx, other, (*counter).Add, 5)
	for _, h := range []gray.Handle[counter]{fragile, tough} {
		gray.Call(ctx, h, (*counter).Add, 5)
		e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Panic, "ouch"))
		contains(t, e.Stack, "Panic")
		contains(t, e.Message, "ouch")
	}
	e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, fragile, (*counter).Add, 1))
	contains(t, e.Message, "panicked", "Panic", "ouch")
	contains(t, e.Method, "Add")
	if e.Actor != fragile.String() {
		t.Errorf("%+v", e)
	}
	if n := get(ctx, t, gray.Call(ctx, tough, (*counter).Add, 1)); n != 11 {
		t.Errorf("made anew, it counts to %d", n)
	}
	fails[*gray.TaskError](ctx, t, gray.Call(ctx, tough, (*counter).Panic, "again"))
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, tough, (*counter).Add, 1))
	quits := parkeds.Remote(ctx, gray.None{})
	contains(t, fails[*gray.TaskError](ctx, t, gray.Call(ctx, quits, (*parked).Quit, gray.None{})).Message, "Goexit")
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, quits, (*parked).Quit, gray.None{}))
	if n := get(ctx, t, gray.Call(ctx, other, (*counter).Add, 1)); n != 6 {
		t.Errorf("another actor counts to %d", n)
	}
}

func TestLightweightConstructorFails(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	for _, what := range []string{"bad spec", "panic", "nil"} {
		h := cells.Options(gray.MaxRestarts(3)).Remote(ctx, countSpec{Fail: what})
		for range 2 {
			fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
		}
	}
	h := cells.RemoteRef(ctx, specs.Remote(ctx, "no spec"))
	if e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); e.Message != "no spec" {
		t.Errorf("%+v", e)
	}
	if e := fails[*gray.TaskError](ctx, t, adds.Remote(ctx, h)); !strings.Contains(e.Message, "no spec") {
		t.Errorf("%+v", e)
	}
}

func TestLightweightKilled(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h := cells.Options(gray.MaxRestarts(-1)).Remote(ctx, countSpec{})
	running := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := gray.Call(ctx, h, (*counter).Add, 1)
	eventually(t, "the call begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	get(ctx, t, kills.Remote(ctx, h)) // by another process
	late := gray.Call(ctx, h, (*counter).Add, 1)
	for _, r := range []gray.Ref[int]{running, behind, late} {
		e := fails[*gray.ActorDiedError](ctx, t, r)
		contains(t, e.Message, "gray.Kill")
		if e.Actor != h.String() {
			t.Errorf("%+v", e)
		}
	}
	kill(ctx, t, h) // again
}

func TestLightweightCancel(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	h := cells.Remote(ctx, countSpec{})
	running := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := gray.Call(ctx, h, (*counter).Add, 1)
	blocked := gray.CallRef(ctx, h, (*counter).Add, hangs2.Remote(ctx, gray.None{}))
	last := gray.Call(ctx, h, (*counter).Add, 5)
	eventually(t, "the call begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	for _, r := range []gray.Ref[int]{behind, running, blocked} {
		if err := gray.Cancel(ctx, r); err != nil {
			t.Fatal(err)
		}
		if _, err := gray.Get(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	if n := get(ctx, t, last); n != 5 {
		t.Errorf("the call behind cancelled ones: %d", n)
	}
}

// TestLightweightHostDies: those with restarts left are made anew before later calls;
// of the others callers hear how their host ended. Other callers than the creator
// wait for neither longer than it takes.
func TestLightweightHostDies(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 2})
	ctx := limited(c.ctx, t)
	const n = 40
	tough := make([]gray.Handle[counter], n)
	fragile := make([]gray.Handle[counter], n)
	once := make([]gray.Handle[counter], n)
	hosts := map[int]bool{}
	for i := range n {
		tough[i] = cells.Options(gray.MaxRestarts(-1)).Remote(ctx, countSpec{Start: i})
		fragile[i] = cells.Remote(ctx, countSpec{})
		once[i] = cells.Options(gray.MaxRestarts(1)).Remote(ctx, countSpec{Start: 2 * i})
		for _, h := range []gray.Handle[counter]{tough[i], fragile[i], once[i]} {
			hosts[pid(ctx, t, h)] = true
			get(ctx, t, gray.Call(ctx, h, (*counter).Add, 100))
		}
	}
	// In-place restarts count, too.
	fails[*gray.TaskError](ctx, t, gray.Call(ctx, once[0], (*counter).Panic, "spent"))
	get(ctx, t, gray.Call(ctx, once[0], (*counter).Add, 0))
	murder := func() {
		for p := range hosts {
			if err := syscall.Kill(p, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		clear(hosts)
	}
	murder()
	task := adds.Remote(ctx, tough[3])
	e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, fragile[1], (*counter).Add, 1))
	contains(t, e.Message, "host")
	if e.Signal != "killed" || e.Actor != fragile[1].String() {
		t.Errorf("%+v", e)
	}
	fails[*gray.TaskError](ctx, t, adds.Remote(ctx, fragile[2]))
	if _, err := gray.Get(ctx, task); err != nil { // it had reached the dying host: calls are made at most once
		get(ctx, t, adds.Remote(ctx, tough[3]))
	}
	for i := range n {
		if got := get(ctx, t, gray.Call(ctx, tough[i], (*counter).Add, 1)); got != i+1 && i != 3 {
			t.Errorf("actor %d counts to %d after its restart", i, got)
		}
		hosts[pid(ctx, t, tough[i])] = true
		if i == 0 {
			fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, once[i], (*counter).Add, 1))
		} else if got := get(ctx, t, gray.Call(ctx, once[i], (*counter).Add, 1)); got != 2*i+1 {
			t.Errorf("actor %d counts to %d after its restart", i, got)
		}
	}
	murder()
	for i := range n {
		if i < len(hosts)+4 { // the death is noticed by a call that is lost
			eventually(t, "the host is back", func() bool {
				_, err := gray.Get(ctx, gray.Call(ctx, tough[i], (*counter).Add, 0))
				return err == nil
			})
		}
		if got := get(ctx, t, gray.Call(ctx, tough[i], (*counter).Add, 1)); got != i+1 {
			t.Errorf("actor %d counts to %d after its second restart", i, got)
		}
		fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, once[i], (*counter).Add, 1))
	}
	if n := get(ctx, t, gray.Call(ctx, cells.Remote(ctx, countSpec{Start: 4}), (*counter).Add, 1)); n != 5 {
		t.Errorf("a new actor on the new host: %d", n)
	}
}

// TestLightweightElsewhere: a handle inside a value is of use on another node, and in
// a task that makes actors itself.
func TestLightweightElsewhere(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 1})
	ctx := limited(c.ctx, t)
	for node := range uint32(2) {
		h := cells.Options(gray.OnNode(node+1, false)).Remote(ctx, countSpec{})
		for from := range uint32(2) {
			get(ctx, t, adds.Options(gray.OnNode(from+1, false)).Remote(ctx, h))
		}
		who := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{}))
		if who.Node != node+1 {
			t.Errorf("on node %d: %+v", node+1, who)
		}
		if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 0)); n != 20 {
			t.Errorf("counted to %d", n)
		}
	}
	made := get(ctx, t, makesCells.Options(gray.OnNode(2, false)).Remote(ctx, 20))
	for i, h := range made { // the task, which made them, has ended; its process lives
		if n := get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1)); n != i+1 {
			t.Errorf("actor %d of a task: %d", i, n)
		}
	}
}

var makesCells = gray.Task(func(ctx context.Context, n int) ([]gray.Handle[counter], error) {
	var list []gray.Handle[counter]
	for i := range n {
		list = append(list, cells.Remote(ctx, countSpec{Start: i}))
	}
	return list, nil
})

func TestLightweightOptions(t *testing.T) {
	for what, opts := range map[string][]gray.Option{
		"CPU": {gray.NumCPUs(1)}, "disk": {gray.Resource("disk", 1)}, "MaxTaskRetries": {gray.MaxTaskRetries(1)},
		"MaxPendingCalls": {gray.MaxPendingCalls(1)}, "SaveEvery": {gray.SaveEvery(1)},
		"EnvVars":          {gray.EnvVars(map[string]string{"A": "b"})},
		"ConcurrencyGroup": {gray.ConcurrencyGroup("io", 1, (*counter).Add)},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				contains(t, text, what, "lightweight_test.go")
			}()
			counters.Options(append(opts, gray.Lightweight())...)
		})
	}
}

// TestLightweightExit: one that ends itself takes nobody with it.
func TestLightweightExit(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	class := leavers.Options(gray.Lightweight())
	one, other := class.Remote(ctx, gray.None{}), class.Remote(ctx, gray.None{})
	if s := get(ctx, t, gray.Call(ctx, one, (*leaver).Leave, gray.None{})); s != "bye" {
		t.Errorf("it says %q", s)
	}
	e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, one, (*leaver).Leave, gray.None{}))
	contains(t, e.Error(), "it ended itself (gray.Exit)")
	get(ctx, t, gray.Call(ctx, other, (*leaver).Leave, gray.None{}))
	defer func() {
		text, _ := recover().(string)
		contains(t, text, "GetOrCreate", "lightweight_test.go", "GetActor")
	}()
	_, _ = class.Options(gray.Name("leaver")).GetOrCreate(ctx, gray.None{})
	t.Error("no panic")
}

// mortal leaves a file when its memory is collected.
type mortal struct {
	n    int
	name string // memory with pointers is collected by itself
}

var mortals = gray.Actor(func(_ context.Context, grave string) (*mortal, error) {
	m := &mortal{name: grave}
	if grave != "" {
		runtime.AddCleanup(m, func(path string) { _ = touch(path) }, grave)
	}
	return m, nil
}, gray.Lightweight())

func (m *mortal) Add(_ context.Context, d int) (int, error) { m.n += d; return m.n, nil }
func (m *mortal) AddLater(ctx context.Context, dir string) (int, error) {
	m.n++
	return m.n, await(ctx, filepath.Join(dir, "go"))
}
func (m *mortal) Collect(context.Context, gray.None) (gray.None, error) {
	runtime.GC()
	return gray.None{}, nil
}

// holder has a handle to another actor.
type holder struct{ h gray.Handle[mortal] }

var holders = gray.Actor(func(context.Context, gray.None) (*holder, error) { return &holder{}, nil })

func (h *holder) Hold(_ context.Context, other gray.Handle[mortal]) (int, error) {
	h.h = other
	return 0, nil
}
func (h *holder) Use(ctx context.Context, d int) (int, error) {
	return gray.Get(ctx, gray.Call(ctx, h.h, (*mortal).Add, d))
}
func (h *holder) Drop(context.Context, gray.None) (gray.None, error) {
	h.h = gray.Handle[mortal]{}
	runtime.GC()
	return gray.None{}, nil
}

// TestLightweightCollected: an actor ends when nobody has a handle to it, in any
// process, and its calls have run.
func TestLightweightCollected(t *testing.T) {
	c := shared(t)
	ctx, dir := limited(c.ctx, t), t.TempDir()
	grave := func(name string) string { return filepath.Join(dir, name) }
	undertakers := make([]gray.Handle[mortal], 16) // one in each host
	for i := range undertakers {
		undertakers[i] = mortals.Remote(ctx, "")
	}
	collect := func() {
		runtime.GC()
		for _, u := range undertakers {
			get(ctx, t, gray.Call(ctx, u, (*mortal).Collect, gray.None{}))
		}
	}
	h := mortals.Remote(ctx, grave("alone"))
	get(ctx, t, gray.Call(ctx, h, (*mortal).Add, 1))
	again := mortals.Options(gray.MaxRestarts(-1)).Remote(ctx, grave("again"))
	get(ctx, t, gray.Call(ctx, again, (*mortal).Add, 1))
	called := gray.Call(ctx, mortals.Remote(ctx, grave("called")), (*mortal).AddLater, dir)
	shared := mortals.Remote(ctx, grave("shared"))
	keeper := holders.Remote(ctx, gray.None{})
	get(ctx, t, gray.Call(ctx, keeper, (*holder).Hold, shared))
	if n := get(ctx, t, gray.Call(ctx, keeper, (*holder).Use, 2)); n != 2 {
		t.Error(n)
	}
	collect()
	if exists(grave("alone")) || exists(grave("again")) {
		t.Error("an actor is gone that has a handle")
	}
	runtime.KeepAlive(h)
	runtime.KeepAlive(again)
	runtime.KeepAlive(shared)
	for _, name := range []string{"alone", "again"} {
		eventually(t, name+" is collected", func() bool { collect(); return exists(grave(name)) })
	}
	if exists(grave("called")) || exists(grave("shared")) {
		t.Error("an actor is gone that is called, or that another process has a handle to")
	}
	if n := get(ctx, t, gray.Call(ctx, keeper, (*holder).Use, 2)); n != 4 {
		t.Error(n)
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, called); n != 1 {
		t.Error(n)
	}
	get(ctx, t, gray.Call(ctx, keeper, (*holder).Drop, gray.None{}))
	for _, name := range []string{"called", "shared"} {
		eventually(t, name+" is collected", func() bool { collect(); return exists(grave(name)) })
	}
	if err := gray.Kill(ctx, keeper); err != nil {
		t.Error(err)
	}
}

// TestLightweightNamed: names are the same for all actors, and free once theirs has ended.
func TestLightweightNamed(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	free := func(name string) {
		t.Helper()
		eventually(t, "the name is free", func() bool {
			runtime.GC()
			_, err := gray.GetActor[counter](ctx, name)
			var missing *gray.NotFoundError
			return errors.As(err, &missing)
		})
	}
	h := cells.Options(gray.Name("cell")).Remote(ctx, countSpec{Start: 5})
	for _, class := range []*gray.ActorClass[counter, countSpec]{cells, counters} {
		other := class.Options(gray.Name("cell")).Remote(ctx, countSpec{})
		fails[*gray.AlreadyExistsError](ctx, t, gray.Call(ctx, other, (*counter).Add, 1))
	}
	if n := get(ctx, t, finds.Remote(ctx, "cell")); n != 5 {
		t.Errorf("found by another process, it counts to %d", n)
	}
	if same, err := gray.GetActor[counter](ctx, "cell"); err != nil || same != h {
		t.Errorf("%v, %v", same, err)
	}
	kill(ctx, t, h)
	if _, err := gray.GetActor[counter](ctx, "cell"); err == nil {
		t.Error("a killed actor has its name")
	}
	h = cells.Options(gray.Name("cell")).Remote(ctx, countSpec{})
	fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Panic, "ouch"))
	free("cell")
	h = cells.Options(gray.Name("cell")).RemoteRef(ctx, specs.Remote(ctx, "no spec"))
	fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	free("cell")
	h = cells.Options(gray.Name("cell")).Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	h = gray.Handle[counter]{}
	_ = h
	free("cell")
}

// TestLightweightDetached: an actor that outlives its creator's job is found by another.
func TestLightweightDetached(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 1})
	ctx := limited(c.ctx, t)
	session, err := gray.Connect(ctx, "unix:"+c.Sockets()[0])
	if err != nil {
		t.Fatal(err)
	}
	other, cancel := session.Context(ctx)
	defer cancel()
	open := []gray.Option{gray.Name("cell"), gray.Namespace("all")}
	h := cells.Options(append(open, gray.Detached())...).Remote(other, countSpec{Start: 3})
	get(other, t, gray.Call(other, h, (*counter).Add, 1))
	get(other, t, adds.Remote(other, h))
	h = gray.Handle[counter]{}
	_ = h
	for range 3 {
		gcDriver(other, t)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := gray.GetActor[counter](ctx, "cell", open...)
	if err != nil {
		t.Fatal(err)
	}
	if n := get(ctx, t, gray.Call(ctx, found, (*counter).Add, 1)); n != 15 {
		t.Errorf("counted to %d", n)
	}
	kill(ctx, t, found)
	if _, err := gray.GetActor[counter](ctx, "cell", open...); err == nil {
		t.Error("a killed actor has its name")
	}
}
