package semantics

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

func TestA01CreationIsAsynchronous(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: dir, Fail: "wait"})
	r := add(ctx, h, 1)
	marked(ctx, t, dir, "made", 1)
	if complete(ctx, t, r) {
		t.Error("a call was answered before the constructor had returned")
	}
	mark(dir, "go")
	equal(t, "call", get(ctx, t, r), 1)
}

func TestA02CallsKeepTheirPlaces(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{})
	gray.CallRef(ctx, h, (*counter).Add, gate.Remote(ctx, dir))
	for i := 2; i < 100; i++ {
		add(ctx, h, i)
	}
	marked(ctx, t, dir, "begun", 1)
	mark(dir, "go")
	order := get(ctx, t, gray.Call(ctx, h, (*counter).Order, gray.None{}))
	if len(order) != 99 || !slices.IsSorted(order) {
		t.Errorf("calls ran in the order %v", order)
	}
}

func TestA03ConstructorsErrorReachesEachCaller(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: dir, Fail: "error"})
	for range 2 {
		equal(t, "message", fails[*gray.TaskError](ctx, t, add(ctx, h, 1)).Message, "no counter")
	}
	contains(t, get(ctx, t, asks.Remote(ctx, h)), "no counter")
}

func TestA04ConstructorPanics(t *testing.T) {
	ctx := on(t, &one)
	e := fails[*gray.TaskError](ctx, t, add(ctx, counting(ctx, t, setup{Fail: "panic"}), 1))
	equal(t, "message", e.Message, "no counter")
	contains(t, e.Stack, "newCounter", "counter_test.go")
}

func TestA05KilledInTheConstructor(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: dir, Fail: "exit once", N: 5}, gray.MaxRestarts(1))
	equal(t, "the call that waited", get(ctx, t, add(ctx, h, 1)), 6)
	equal(t, "constructed", marks(dir, "made"), 2)
}

func TestA06KilledInTheConstructorForGood(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: dir, Fail: "exit"}, gray.MaxRestarts(1))
	e := fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
	equal(t, "exit code", e.ExitCode, 4)
	equal(t, "constructed", marks(dir, "made"), 2)
}

func TestA07ConstructorsErrorIsFinal(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	fails[*gray.TaskError](ctx, t, add(ctx, counting(ctx, t, setup{Dir: dir, Fail: "error"}, gray.MaxRestarts(3)), 1))
	equal(t, "constructed", marks(dir, "made"), 1)
}

func TestA08MethodsErrorKeepsTheState(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	add(ctx, h, 1)
	equal(t, "error", fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Fail, "no")).Message, "no")
	e := fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*counter).Panic, "ouch"))
	contains(t, e.Stack, "Panic")
	equal(t, "after", get(ctx, t, add(ctx, h, 1)), 2)
}

func TestA09AtMostOnce(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxRestarts(1))
	e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Dir: dir, Code: 3}))
	equal(t, "exit code", e.ExitCode, 3)
	get(ctx, t, add(ctx, h, 1)) // by the next incarnation
	equal(t, "runs", marks(dir, "calls"), 1)
}

func TestA10RestartIsFresh(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{N: 100}, gray.MaxRestarts(1))
	equal(t, "before", get(ctx, t, add(ctx, h, 1)), 101)
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Code: 3}))
	equal(t, "after", get(ctx, t, add(ctx, h, 2)), 102)
}

// TestA11CallsBehindACrash: those that hadn't begun either fail or run on the next
// incarnation, in order; none is lost, none runs twice.
func TestA11CallsBehindACrash(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxRestarts(1))
	wait := gray.Call(ctx, h, (*counter).Wait, dir)
	crash := gray.Call(ctx, h, (*counter).Exit, exit{Code: 3})
	var behind []gray.Ref[int]
	for i := range 20 {
		behind = append(behind, add(ctx, h, i))
	}
	marked(ctx, t, dir, "begun", 1)
	mark(dir, "go")
	equal(t, "before it", get(ctx, t, wait), 1)
	fails[*gray.ActorDiedError](ctx, t, crash)
	var ran []int
	for i, r := range behind {
		_, err := gray.Get(ctx, r)
		var died *gray.ActorDiedError
		switch {
		case err == nil:
			ran = append(ran, i)
		case !errors.As(err, &died):
			t.Errorf("call %d: %v", i, err)
		}
	}
	if order := get(ctx, t, gray.Call(ctx, h, (*counter).Order, gray.None{})); !slices.Equal(order, ran) {
		t.Errorf("answered: %v, run: %v", ran, order)
	}
}

func TestA14RestartsUsedUp(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.MaxRestarts(1))
	for _, code := range []int{3, 5} {
		e := fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Code: code}))
		equal(t, "exit code", e.ExitCode, code)
	}
	e := fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
	equal(t, "exit code of the last death", e.ExitCode, 5)
	equal(t, "actor", e.Actor, h.String())
}

func TestA15ExitZeroIsADeath(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{N: 7}, gray.MaxRestarts(1))
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{}))
	equal(t, "after", get(ctx, t, add(ctx, h, 1)), 8)
}

func TestA16KillIsForGood(t *testing.T) {
	ctx, dir, made := on(t, &one), t.TempDir(), t.TempDir()
	h := counting(ctx, t, setup{Dir: made}, gray.MaxRestarts(-1))
	running, queued := gray.Call(ctx, h, (*counter).Wait, dir), add(ctx, h, 1)
	marked(ctx, t, dir, "begun", 1)
	kill(ctx, t, h)
	for _, r := range []gray.Ref[int]{running, queued, add(ctx, h, 1)} {
		equal(t, "actor", fails[*gray.ActorDiedError](ctx, t, r).Actor, h.String())
	}
	equal(t, "constructed", marks(made, "made"), 1)
}

func TestA17KillInTheConstructor(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{Dir: dir, Fail: "wait"}, gray.MaxRestarts(-1))
	r := add(ctx, h, 1)
	marked(ctx, t, dir, "made", 1)
	kill(ctx, t, h)
	fails[*gray.ActorDiedError](ctx, t, r)
	mark(dir, "go")
	one.free(ctx, t, "CPU")
	equal(t, "constructed", marks(dir, "made"), 1)
}

func TestA18KillAgain(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	get(ctx, t, add(ctx, h, 1))
	kill(ctx, t, h)
	kill(ctx, t, h)
}

func TestA21CancelQueuedCall(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{})
	running, queued, last := gray.Call(ctx, h, (*counter).Wait, dir), add(ctx, h, 1), add(ctx, h, 5)
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, queued)
	is(ctx, t, queued, context.Canceled) // while the other still runs
	equal(t, "complete", complete(ctx, t, running), false)
	mark(dir, "go")
	equal(t, "behind it", get(ctx, t, last), 5)
}

func TestA22CancelRunningCall(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{})
	r := gray.Call(ctx, h, (*counter).Wait, dir)
	behind := add(ctx, h, 5)
	marked(ctx, t, dir, "begun", 1)
	cancel(ctx, t, r)
	is(ctx, t, r, context.Canceled)
	marked(ctx, t, dir, "stopped", 1)
	equal(t, "the actor goes on", get(ctx, t, behind), 5)
}

func TestA23MaxConcurrency(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{}, gray.MaxConcurrency(2))
	var calls []gray.Ref[int]
	for range 6 {
		calls = append(calls, gray.Call(ctx, h, (*counter).Meet, dir))
	}
	marked(ctx, t, dir, "in", 2)
	mark(dir, "go")
	most, err := gray.GetAll(ctx, calls)
	if err != nil || slices.Max(most) != 2 {
		t.Errorf("at a time: %v, %v", most, err)
	}
}

func TestA24OneCallAtATime(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{})
	mark(dir, "go")
	var calls []gray.Ref[int]
	for range 100 {
		calls = append(calls, gray.Call(ctx, h, (*counter).Meet, dir))
	}
	most, err := gray.GetAll(ctx, calls)
	if err != nil || slices.Max(most) != 1 {
		t.Errorf("at a time: %v, %v", slices.Max(most), err)
	}
}

func TestA26NamedActorIsFound(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{N: 1}, gray.Name("found"))
	get(ctx, t, add(ctx, h, 0))
	equal(t, "by a task", get(ctx, t, finds.Remote(ctx, "found")), 3)
	if same, err := gray.GetActor[counter](ctx, "found"); err != nil || same.String() != h.String() {
		t.Errorf("%v, %v", same, err)
	}
	if _, err := gray.GetActor[setup](ctx, "found"); err == nil {
		t.Error("found as another type")
	}
}

func TestA27NameIsTaken(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{N: 1}, gray.Name("taken"))
	get(ctx, t, add(ctx, h, 1))
	other := counting(ctx, t, setup{}, gray.Name("taken"))
	e := fails[*gray.AlreadyExistsError](ctx, t, add(ctx, other, 1))
	contains(t, e.Message, "taken")
	equal(t, "the first", get(ctx, t, add(ctx, h, 1)), 3)
}

func TestA28RaceForAName(t *testing.T) {
	ctx := on(t, &one)
	var all []gray.Ref[string]
	for range 8 {
		all = append(all, races.Remote(ctx, "raced"))
	}
	outcomes, err := gray.GetAll(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, o := range outcomes {
		if o == "made" {
			made++
		}
	}
	equal(t, "made", made, 1)
	h, err := gray.GetActor[counter](ctx, "raced")
	if err != nil {
		t.Fatal(err)
	}
	kill(ctx, t, h)
}

func TestA30NameIsFreeAfterDeath(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.Name("freed"))
	get(ctx, t, add(ctx, h, 1))
	kill(ctx, t, h)
	next := counting(ctx, t, setup{N: 5}, gray.Name("freed")) // at once
	equal(t, "the next", get(ctx, t, add(ctx, next, 1)), 6)
}

func TestA31Namespaces(t *testing.T) {
	ctx := on(t, &one)
	for i, space := range []string{"first", "second"} {
		h := counting(ctx, t, setup{N: i + 1}, gray.Name("same"), gray.Namespace(space))
		get(ctx, t, add(ctx, h, 0))
	}
	for i, space := range []string{"first", "second"} {
		h, err := gray.GetActor[counter](ctx, "same", gray.Namespace(space))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, space, get(ctx, t, add(ctx, h, 0)), i+1)
	}
	_, err := gray.GetActor[counter](ctx, "same")
	var missing *gray.NotFoundError
	if !errors.As(err, &missing) {
		t.Errorf("in this job's own: %v", err)
	}
}

func TestA36EachCallersOrder(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	var done []gray.Ref[int]
	for from := range 3 {
		done = append(done, addsMany.Remote(ctx, adding100{h, 1000 * from}))
	}
	if _, err := gray.GetAll(ctx, done); err != nil {
		t.Fatal(err)
	}
	last := map[int]int{0: -1, 1: 999, 2: 1999}
	order := get(ctx, t, gray.Call(ctx, h, (*counter).Order, gray.None{}))
	equal(t, "calls", len(order), 300)
	for _, x := range order {
		if x != last[x/1000]+1 {
			t.Fatalf("%d comes after %d", x, last[x/1000])
		}
		last[x/1000] = x
	}
}

func TestA41LivingTakesNoCPU(t *testing.T) {
	ctx := on(t, &one)
	for range 4 {
		get(ctx, t, add(ctx, counting(ctx, t, setup{}), 1))
	}
	equal(t, "all CPUs", get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 2)), 4)
}

func TestA42LivingTakesWhatItAsksFor(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.NumCPUs(2))
	get(ctx, t, add(ctx, h, 1))
	r := square.Remote(ctx, 2)
	if _, err := gray.Get(soon(ctx, t), r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ran beside it: %v", err)
	}
	kill(ctx, t, h)
	equal(t, "after its end", get(ctx, t, r), 4)
}

func TestA43RestartsOnAnotherNode(t *testing.T) {
	ctx := on(t, &pair)
	v := join(ctx, t)
	h := counting(ctx, t, setup{N: 5}, gray.OnNode(v.number, true), gray.MaxRestarts(1))
	equal(t, "at first", get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{})).Node, v.number)
	v.kill()
	until(ctx, t, "a call is answered", func() bool {
		n, err := gray.Get(ctx, add(ctx, h, 1))
		var died *gray.ActorDiedError // it was on its way when the node died
		if err != nil && !errors.As(err, &died) {
			t.Fatal(err)
		}
		return err == nil && n == 6
	})
	if at := get(ctx, t, gray.Call(ctx, h, (*counter).Who, gray.None{})).Node; at == v.number {
		t.Error("it answers from the dead node")
	}
}

func TestA44DiesWithItsNode(t *testing.T) {
	ctx := on(t, &pair)
	v := join(ctx, t)
	h := counting(ctx, t, setup{}, gray.OnNode(v.number, true))
	get(ctx, t, add(ctx, h, 1))
	v.kill()
	e := fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
	equal(t, "node", e.Node, v.number)
	contains(t, e.Message, "node")
}

func TestA45ResultThatCannotTravel(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	add(ctx, h, 1)
	contains(t, fails[*gray.EncodingError](ctx, t, gray.Call(ctx, h, (*counter).Bad, gray.None{})).Message, "chan")
	equal(t, "after", get(ctx, t, add(ctx, h, 1)), 2)
}

func TestA46FailedInput(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	h := counting(ctx, t, setup{})
	bad := gray.CallRef(ctx, h, (*counter).Add, failing.Remote(ctx, failure{dir, "upstream"}))
	behind := add(ctx, h, 3)
	equal(t, "cause", fails[*gray.TaskError](ctx, t, bad).Message, "upstream")
	equal(t, "behind it", get(ctx, t, behind), 3)
}

func TestA47CreatorsProcessDies(t *testing.T) {
	ctx := on(t, &one)
	c := get(ctx, t, creates.Remote(ctx, setup{N: 5}))
	equal(t, "before", get(ctx, t, add(ctx, c.H, 1)), 7)
	shoot(ctx, t, c.PID)
	equal(t, "after", get(ctx, t, add(ctx, c.H, 1)), 8)
	kill(ctx, t, c.H)
}

func TestA48DeathIsDescribed(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	pid := get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{}))
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, h, (*counter).Exit, exit{Code: 7, Say: "last words"}))
	e := fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
	if e.PID != pid || e.Node != 1 || e.ExitCode != 7 || e.Actor != h.String() {
		t.Errorf("%+v", e)
	}
	contains(t, e.LogTail, "last words")
	contains(t, e.Error(), "last words", h.String(), "Add")
}

func TestA49NobodyOfThatName(t *testing.T) {
	ctx := on(t, &one)
	_, err := gray.GetActor[counter](ctx, "nobody")
	var missing *gray.NotFoundError
	if !errors.As(err, &missing) {
		t.Error(err)
	}
	contains(t, err.Error(), "nobody")
}

func TestA50ExactlyOnce(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{})
	var last gray.Ref[int]
	for range 1000 {
		last = add(ctx, h, 1)
	}
	equal(t, "counted", get(ctx, t, last), 1000)
}

func TestA51ZeroHandle(t *testing.T) {
	ctx := on(t, &one)
	fails[*gray.EncodingError](ctx, t, add(ctx, gray.Handle[counter]{}, 1))
	if err := gray.Kill(ctx, gray.Handle[counter]{}); err == nil {
		t.Error("killed no actor")
	}
}

func TestA52DeadActorsAreListed(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.Name("listed"))
	get(ctx, t, add(ctx, h, 1))
	kill(ctx, t, h)
	until(ctx, t, "it is listed as dead, with the cause", func() bool {
		list, err := one.api.Actors(ctx, api.ListOptions{Detail: true})
		if err != nil {
			return false
		}
		return slices.ContainsFunc(list.Result, func(a api.ActorRow) bool {
			return a.ActorID == h.String() && a.State == "DEAD" && a.DeathCause != nil && *a.DeathCause != ""
		})
	})
}
