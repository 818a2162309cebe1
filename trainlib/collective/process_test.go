package collective

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

func TestMain(m *testing.M) { graytest.Main(checked{m}) }

// checked is the tests, then what they must not leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// walker is a member in a process of its own.
type walker struct{ group *Group }

var walkers = gray.Actor(func(ctx context.Context, o Options) (*walker, error) {
	g, err := Join(ctx, o)
	return &walker{g}, err
}, gray.NumCPUs(0))

func (w *walker) PID(context.Context, gray.None) (int, error) { return os.Getpid(), nil }

// outcome is how an operation ended: errors don't travel as they are.
type outcome struct {
	Ranks      []int
	Dead       bool
	Missing    bool
	Mismatch   bool
	Left       bool
	Text       string
	Rank, Size int
	Generation int
}

func (w *walker) outcome(err error) outcome {
	o := outcome{Rank: w.group.Rank(), Size: w.group.Size(), Generation: w.group.Generation()}
	if err == nil {
		return o
	}
	o.Text = err.Error()
	var rank *RankError
	if errors.As(err, &rank) {
		o.Ranks = rank.Ranks
	}
	o.Dead, o.Missing, o.Mismatch, o.Left = errors.Is(err, ErrDead), errors.Is(err, ErrMissing), errors.Is(err, ErrMismatch), errors.Is(err, ErrLeft)
	return o
}

// check runs many operations by an algorithm and checks their results.
type check struct {
	Algorithm Algorithm
	Sizes     []int
}

func (w *walker) Check(ctx context.Context, c check) (outcome, error) {
	if err := w.group.Use(c.Algorithm); err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second) // says who is missing
	defer cancel()
	for _, size := range c.Sizes {
		if err := w.round(ctx, size); err != nil {
			return w.outcome(err), fmt.Errorf("rank %d, %v, %d values: %w", w.group.rank, c.Algorithm, size, err)
		}
	}
	return w.outcome(nil), nil
}

func (w *walker) round(ctx context.Context, size int) error {
	g := w.group
	x := make([]float64, size)
	fill := func() {
		for i := range x {
			x[i] = float64(i%100 + g.Rank())
		}
	}
	p := g.Size()
	sum := func(i int) float64 { return float64(p*(i%100) + p*(p-1)/2) }
	fill()
	if err := AllReduce(ctx, g, x, Sum); err != nil {
		return err
	}
	for i, v := range x {
		if v != sum(i) {
			return fmt.Errorf("allreduce: x[%d] is %v, not %v", i, v, sum(i))
		}
	}
	fill()
	if err := Broadcast(ctx, g, x, p-1); err != nil {
		return err
	}
	for i, v := range x {
		if v != float64(i%100+p-1) {
			return fmt.Errorf("broadcast: x[%d] is %v", i, v)
		}
	}
	fill()
	out := make([]float64, size*p)
	if err := AllGather(ctx, g, out, x); err != nil {
		return err
	}
	for i, v := range out {
		if v != float64(i%size%100+i/size) {
			return fmt.Errorf("allgather: out[%d] is %v", i, v)
		}
	}
	part := make([]float64, size)
	if err := ReduceScatter(ctx, g, part, slices.Repeat(x, p), Sum); err != nil {
		return err
	}
	for i, v := range part {
		if v != sum(i) {
			return fmt.Errorf("reducescatter: out[%d] is %v, not %v", i, v, sum(i))
		}
	}
	if g.Rank() > 0 {
		if err := Send(ctx, g, x, 0); err != nil {
			return err
		}
	} else {
		for r := 1; r < p; r++ {
			if err := Recv(ctx, g, part, r); err != nil {
				return err
			}
			if part[size-1] != float64((size-1)%100+r) {
				return fmt.Errorf("received %v from %d", part[size-1], r)
			}
		}
	}
	return Barrier(ctx, g)
}

// Forever reduces until that fails.
func (w *walker) Forever(ctx context.Context, size int) (outcome, error) {
	x := make([]float32, size)
	for {
		if err := AllReduce(ctx, w.group, x, Sum); err != nil {
			return w.outcome(err), nil
		}
	}
}

// Within reduces with a deadline.
func (w *walker) Within(ctx context.Context, limit time.Duration) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return w.outcome(AllReduce(ctx, w.group, make([]float32, 100), Sum)), nil
}

func (w *walker) Reform(ctx context.Context, _ gray.None) (outcome, error) {
	next, err := w.group.Reform(ctx)
	if err != nil {
		return outcome{}, err
	}
	err = w.group.Close()
	w.group = next
	return w.outcome(nil), err
}

func (w *walker) Split(ctx context.Context, colors []int) (outcome, error) {
	part, err := w.group.Split(ctx, colors[w.group.Rank()], -w.group.Rank())
	if err != nil || part == nil {
		return outcome{}, err
	}
	sub := &walker{part}
	defer part.Close()
	if err := sub.round(ctx, 1000); err != nil {
		return outcome{}, err
	}
	return sub.outcome(nil), nil
}

func (w *walker) InPlace(ctx context.Context, n int) (outcome, error) {
	x, err := Alloc[float32](ctx, w.group, n)
	if err != nil {
		return outcome{}, err
	}
	for range 3 {
		for i := range x {
			x[i] = float32(w.group.Rank() + i%10)
		}
		if err := AllReduce(ctx, w.group, x, Mean); err != nil {
			return outcome{}, err
		}
		for i, v := range x {
			if want := float32(i%10) + float32(w.group.Size()-1)/2; v != want {
				return outcome{}, fmt.Errorf("x[%d] is %v, not %v", i, v, want)
			}
		}
		if err := Barrier(ctx, w.group); err != nil {
			return outcome{}, err
		}
	}
	return w.outcome(nil), nil
}

func (w *walker) Close(context.Context, gray.None) (gray.None, error) {
	return gray.None{}, w.group.Close()
}

func start(ctx context.Context, n int, of func(rank int) Options, on func(rank int) []gray.Option) []gray.Handle[walker] {
	var all []gray.Handle[walker]
	for r := range n {
		class := walkers
		if on != nil {
			class = walkers.Options(on(r)...)
		}
		all = append(all, class.Remote(ctx, of(r)))
	}
	return all
}

// call calls a method of all and returns their answers.
func callAll[In, Out any](ctx context.Context, t *testing.T, all []gray.Handle[walker], method func(*walker, context.Context, In) (Out, error), in In) []Out {
	t.Helper()
	var refs []gray.Ref[Out]
	for _, h := range all {
		refs = append(refs, gray.Call(ctx, h, method, in))
	}
	var outs []Out
	for r, ref := range refs {
		out, err := gray.Get(ctx, ref)
		if err != nil {
			t.Fatalf("member %d: %v", r, err)
		}
		outs = append(outs, out)
	}
	return outs
}

var checkedSizes = []int{1, 10, 1000, 5000, 200_000}

func TestProcessesOfOneNode(t *testing.T) {
	ctx := graytest.Cluster(t).Context()
	for _, n := range []int{2, 3} {
		all := start(ctx, n, func(r int) Options { return Options{Name: fmt.Sprint("near", n), Rank: r, Size: n} }, nil)
		for _, a := range []Algorithm{Auto, SharedMemory, Ring, Tree, Star, HalvingDoubling, Hierarchical} {
			callAll(ctx, t, all, (*walker).Check, check{a, checkedSizes})
		}
		callAll(ctx, t, all, (*walker).InPlace, 100_000)
		colors := []int{1, 1, 0}[:n]
		for r, o := range callAll(ctx, t, all, (*walker).Split, colors) {
			if want := []int{2, 2, 1}[r]; o.Size != want {
				t.Errorf("rank %d is in a part of %d, not %d", r, o.Size, want)
			}
			if r < 2 && o.Rank != 1-r {
				t.Errorf("rank %d is %d in its part, not %d", r, o.Rank, 1-r)
			}
		}
		callAll(ctx, t, all, (*walker).Close, gray.None{})
	}
}

// TestProcessesOfNodes: over TCP between nodes, which share this machine but act as if they didn't.
func TestProcessesOfNodes(t *testing.T) {
	ctx := graytest.Cluster(t, graytest.Nodes(2)).Context()
	for _, transport := range []Transport{AnyTransport, TCP, GRPC} {
		all := start(ctx, 3, func(r int) Options {
			return Options{Name: "far" + string(transport), Rank: r, Size: 3, Separate: true, Transport: transport, Streams: 2}
		}, func(r int) []gray.Option { return []gray.Option{gray.OnNode(uint32(1+r%2), false)} })
		algorithms := []Algorithm{Auto, Ring, Tree, Star, HalvingDoubling}
		if transport == AnyTransport {
			algorithms = append(algorithms, Hierarchical)
		}
		for _, a := range algorithms {
			callAll(ctx, t, all, (*walker).Check, check{a, checkedSizes})
		}
		callAll(ctx, t, all, (*walker).InPlace, 10_000) // one of them has nobody to share memory with
		callAll(ctx, t, all, (*walker).Split, []int{0, 0, -1})
		callAll(ctx, t, all, (*walker).Close, gray.None{})
	}
}

// TestKilledMember: the others end with an error that names it, make another group, and take in who comes late.
func TestKilledMember(t *testing.T) {
	ctx := graytest.Cluster(t, graytest.Nodes(2)).Context()
	for _, size := range []int{10, 3_000_000} {
		for _, separate := range []bool{false, true} {
			name := fmt.Sprintf("killed %d %v", size, separate)
			options := Options{Name: name, Min: 2, Max: 3, Separate: separate}
			all := start(ctx, 3, func(int) Options { return options },
				func(r int) []gray.Option { return []gray.Option{gray.OnNode(uint32(1+r%2), false)} })
			pids := callAll(ctx, t, all, (*walker).PID, gray.None{})
			ranks := callAll(ctx, t, all, (*walker).Check, check{Auto, []int{100}})
			victim := 1
			var refs []gray.Ref[outcome]
			left := []gray.Handle[walker]{all[0], all[2]}
			for _, h := range left {
				refs = append(refs, gray.Call(ctx, h, (*walker).Forever, size))
			}
			gray.Call(ctx, all[victim], (*walker).Forever, size)
			kill(t, pids[victim], syscall.SIGKILL)
			for _, ref := range refs {
				o, err := gray.Get(ctx, ref)
				if err != nil {
					t.Fatal(err)
				}
				if !o.Dead || !slices.Equal(o.Ranks, []int{ranks[victim].Rank}) {
					t.Errorf("%s: %s, not that rank %d died", name, o.Text, ranks[victim].Rank)
				}
			}
			for _, o := range callAll(ctx, t, left, (*walker).Reform, gray.None{}) {
				if o.Size != 2 || o.Generation != 2 {
					t.Errorf("%s: a group of %d in generation %d", name, o.Size, o.Generation)
				}
			}
			callAll(ctx, t, left, (*walker).Check, check{Auto, []int{1000}})
			late := walkers.Remote(ctx, options)
			waitForOneMore(ctx, t, left[0])
			callAll(ctx, t, left, (*walker).Reform, gray.None{})
			three := append(left, late)
			for _, o := range callAll(ctx, t, three, (*walker).Check, check{Auto, []int{1000}}) {
				if o.Size != 3 || o.Generation != 3 {
					t.Errorf("%s: a group of %d in generation %d", name, o.Size, o.Generation)
				}
			}
			callAll(ctx, t, three, (*walker).Close, gray.None{})
		}
	}
}

func (w *walker) AwaitAnother(ctx context.Context, _ gray.None) (gray.None, error) {
	for {
		n, err := w.group.Waiting(ctx)
		if err != nil || n > 0 {
			return gray.None{}, err
		}
	}
}

func waitForOneMore(ctx context.Context, t *testing.T, h gray.Handle[walker]) {
	t.Helper()
	if _, err := gray.Get(ctx, gray.Call(ctx, h, (*walker).AwaitAnother, gray.None{})); err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// TestStoppedMember: nobody hears of one that hangs, so that it's a deadline that names it, to all.
func TestStoppedMember(t *testing.T) {
	ctx := graytest.Cluster(t).Context()
	all := start(ctx, 3, func(r int) Options { return Options{Name: "stopped", Rank: r, Size: 3} }, nil)
	pids := callAll(ctx, t, all, (*walker).PID, gray.None{})
	kill(t, pids[2], syscall.SIGSTOP)
	defer kill(t, pids[2], syscall.SIGCONT)
	limits := []time.Duration{300 * time.Millisecond, time.Hour}
	var refs []gray.Ref[outcome]
	for r, limit := range limits {
		refs = append(refs, gray.Call(ctx, all[r], (*walker).Within, limit))
	}
	for r, ref := range refs {
		o, err := gray.Get(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		if !o.Missing || !slices.Equal(o.Ranks, []int{2}) {
			t.Errorf("rank %d: %s", r, o.Text)
		}
	}
	runtime.KeepAlive(all) // an actor whose handle nobody has is ended
}

// TestKilledRendezvous: who waits asks again.
func TestKilledRendezvous(t *testing.T) {
	ctx := graytest.Cluster(t).Context()
	options := func(r int) Options { return Options{Name: "asked twice", Rank: r, Size: 2} }
	first := walkers.Remote(ctx, options(0))
	for {
		h, err := gray.GetActor[rendezvous](ctx, "collective/asked twice")
		if err == nil {
			if n, err := gray.Get(ctx, gray.Call(ctx, h, (*rendezvous).Waiting, gray.None{})); err == nil && n == 1 {
				if err := gray.Kill(ctx, h, gray.Restart()); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	second := walkers.Remote(ctx, options(1))
	both := []gray.Handle[walker]{first, second}
	callAll(ctx, t, both, (*walker).Check, check{Auto, []int{1000}})
	callAll(ctx, t, both, (*walker).Close, gray.None{})
}
