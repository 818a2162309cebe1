// A job whose answer is known: random graphs of tasks and actors' calls, one after
// another until there is a file go. Every vertex's value depends on those of its
// inputs, so that one that is wrong, lost or of another run shows in the end. A line
// a graph goes to the file graphs; the last word is what went wrong first, or nothing.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	gray "github.com/gray-runtime/gray/sdk"
)

const (
	layers = 8
	width  = 12
	// bulk is how many numbers a stored value has: 320 KB of them.
	bulk = 40_000
)

// Value is what a vertex has: a number, and for some also many made from it.
type Value struct {
	N    uint64
	Many []uint64
}

// Inputs are a vertex's number in its graph and what it's made from.
type Inputs struct {
	Vertex uint64
	From   []gray.Ref[Value]
}

// mixed is splitmix64's mixing of two numbers.
func mixed(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func many(n uint64) []uint64 {
	m := make([]uint64, bulk)
	for i := range m {
		m[i] = mixed(n, uint64(i))
	}
	return m
}

// folded is a vertex's number, of those of its inputs.
func folded(vertex uint64, from []Value) uint64 {
	n := vertex
	for _, v := range from {
		n = mixed(n, v.N)
		for _, m := range v.Many {
			n ^= m
		}
	}
	return n
}

func values(ctx context.Context, in Inputs) (uint64, error) {
	from, err := gray.GetAll(ctx, in.From)
	return folded(in.Vertex, from), err
}

func mix(ctx context.Context, in Inputs) (Value, error) {
	n, err := values(ctx, in)
	return Value{N: n}, err
}

// Mixer is an actor that does what the task does.
type Mixer struct{}

func (*Mixer) Mix(ctx context.Context, in Inputs) (Value, error) { return mix(ctx, in) }

// Through is a call of an actor that was given away.
type Through struct {
	Mixer  gray.Handle[Mixer]
	Inputs Inputs
}

const parts = 5

var (
	small = gray.Task(mix, gray.MaxRetries(-1))
	large = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		n, err := values(ctx, in)
		return Value{N: n, Many: many(n)}, err
	}, gray.MaxRetries(-1))
	nested = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		n, err := values(ctx, in)
		if err != nil {
			return Value{}, err
		}
		sum := Value{}
		var children []gray.Ref[Value]
		for i := range uint64(parts) {
			children = append(children, small.Remote(ctx, Inputs{Vertex: n + i}))
		}
		for v, err := range gray.Completed(ctx, children) {
			if err != nil {
				return Value{}, err
			}
			sum.N += v.N
		}
		return sum, nil
	}, gray.MaxRetries(-1))
	flow = gray.Stream(func(_ context.Context, n uint64, yield func(Value) bool) error {
		for i := range uint64(parts) {
			v := Value{N: n + i}
			if i == 0 {
				v.Many = many(n)
			}
			if !yield(v) {
				break
			}
		}
		return nil
	}, gray.MaxRetries(-1))
	streamed = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		n, err := values(ctx, in)
		if err != nil {
			return Value{}, err
		}
		var from []Value
		for r, err := range flow.Remote(ctx, n) {
			if err != nil {
				return Value{}, err
			}
			v, err := gray.Get(ctx, r)
			if err != nil {
				return Value{}, err
			}
			from = append(from, v)
		}
		return Value{N: folded(n, from)}, nil
	}, gray.MaxRetries(-1))
	mixers = gray.Actor(func(context.Context, gray.None) (*Mixer, error) { return &Mixer{}, nil },
		gray.MaxRestarts(-1), gray.MaxTaskRetries(-1), gray.NumCPUs(0.1), gray.Spread())
	// keepers are of one namespace for all jobs of this program, and outlive them.
	keepers = mixers.Options(gray.Name("keeper"), gray.Namespace("chaos"), gray.Detached())
	// named has it done by one of a few actors, which is made by whoever comes first.
	named = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		h, err := mixers.Options(gray.Name(fmt.Sprint("mixer-", in.Vertex%3))).GetOrCreate(ctx, gray.None{})
		if err != nil {
			return Value{}, err
		}
		return gray.Get(ctx, gray.Call(ctx, h, (*Mixer).Mix, in))
	}, gray.MaxRetries(-1))
	// through calls an actor that another process made.
	through = gray.Task(func(ctx context.Context, in Through) (Value, error) {
		return gray.Get(ctx, gray.Call(ctx, in.Mixer, (*Mixer).Mix, in.Inputs))
	}, gray.MaxRetries(-1))
	light = gray.Actor(func(context.Context, gray.None) (*Mixer, error) { return &Mixer{}, nil }, gray.Lightweight())
	// lightly has it done by a lightweight actor of its own; their calls aren't retried.
	lightly = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		for {
			v, err := gray.Get(ctx, through.Remote(ctx, Through{light.Remote(ctx, gray.None{}), in}))
			if died := (*gray.ActorDiedError)(nil); !errors.As(err, &died) {
				return v, err
			}
		}
	}, gray.MaxRetries(-1))
)

// The kinds of vertices.
const (
	aSmall = iota
	aLarge
	aNested
	aStreamed
	aCall
	aNamedCall
	aLightCall
	kinds
)

// vertex is one of a graph, with its inputs in the layer before.
type vertex struct {
	kind int
	from []int
}

type graph struct {
	seed   uint64
	layers [][]vertex
}

func newGraph(seed uint64) *graph {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &graph{seed: seed}
	for l := range layers {
		row := make([]vertex, width)
		for i := range row {
			row[i].kind = r.IntN(kinds)
			for range r.IntN(4) * min(l, 1) {
				row[i].from = append(row[i].from, r.IntN(width))
			}
		}
		g.layers = append(g.layers, row)
	}
	return g
}

func (g *graph) number(l, i int) uint64 { return mixed(g.seed, uint64(l*width+i)) }

// want is the answer, computed here.
func (g *graph) want() uint64 {
	var before, now []Value
	for l, row := range g.layers {
		now = make([]Value, width)
		for i, v := range row {
			var from []Value
			for _, f := range v.from {
				from = append(from, before[f])
			}
			n := folded(g.number(l, i), from)
			switch v.kind {
			case aLarge:
				now[i].Many = many(n)
			case aNested:
				sum := uint64(0)
				for c := range uint64(parts) {
					sum += folded(n+c, nil)
				}
				n = sum
			case aStreamed:
				items := []Value{{n, many(n)}}
				for c := uint64(1); c < parts; c++ {
					items = append(items, Value{N: n + c})
				}
				n = folded(n, items)
			}
			now[i].N = n
		}
		before = now
	}
	return folded(g.seed, before)
}

// run has the cluster compute it.
func (g *graph) run(ctx context.Context, heavy []gray.Handle[Mixer], opts ...gray.Option) (uint64, error) {
	from, err := gray.GetAll(ctx, g.submit(ctx, heavy, opts...))
	return folded(g.seed, from), err
}

// submit returns the last layer.
func (g *graph) submit(ctx context.Context, heavy []gray.Handle[Mixer], opts ...gray.Option) (before []gray.Ref[Value]) {
	var now []gray.Ref[Value]
	for l, row := range g.layers {
		now = make([]gray.Ref[Value], width)
		for i, v := range row {
			in := Inputs{Vertex: g.number(l, i)}
			for _, f := range v.from {
				in.From = append(in.From, before[f])
			}
			switch v.kind {
			case aSmall:
				now[i] = small.Options(opts...).Remote(ctx, in)
			case aLarge:
				now[i] = large.Options(opts...).Remote(ctx, in)
			case aNested:
				now[i] = nested.Remote(ctx, in)
			case aStreamed:
				now[i] = streamed.Remote(ctx, in)
			case aCall:
				now[i] = gray.Call(ctx, heavy[i%len(heavy)], (*Mixer).Mix, in)
			case aNamedCall:
				now[i] = named.Remote(ctx, in)
			case aLightCall:
				now[i] = lightly.Remote(ctx, in)
			}
		}
		before = now
	}
	return before
}

// runInGroup is run with the tasks in a placement group of its own.
func (g *graph) runInGroup(ctx context.Context, heavy []gray.Handle[Mixer]) (n uint64, err error) {
	pg, opts, err := newGroup(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pg.Remove(ctx)) }()
	return g.run(ctx, heavy, opts...)
}

// abandon cancels what it has begun, by force, and removes the group in which it runs.
func (g *graph) abandon(ctx context.Context, heavy []gray.Handle[Mixer]) error {
	pg, opts, err := newGroup(ctx)
	if err != nil {
		return err
	}
	for i, r := range g.submit(ctx, heavy, opts...) {
		if i%2 == 0 {
			_ = gray.Cancel(ctx, r, gray.Force()) // actors' calls can't be, by force
		}
	}
	return pg.Remove(ctx)
}

// newGroup returns also the options of what runs in it.
func newGroup(ctx context.Context) (gray.PlacementGroup, []gray.Option, error) {
	half := gray.Bundle{gray.NumCPUs(0.5)}
	pg, err := gray.CreateGroup(ctx, []gray.Bundle{half, half}, gray.SpreadOut)
	return pg, []gray.Option{gray.NumCPUs(0.5), gray.InGroup(pg, gray.AnyBundle)}, err
}

// Counter counts its calls, whichever process it is in.
type Counter struct{ n uint64 }

// Add returns how many there have been.
func (c *Counter) Add(context.Context, gray.None) (uint64, error) {
	c.n++
	return c.n, nil
}

// Save implements gray.Saver.
func (c *Counter) Save(context.Context) ([]byte, error) {
	return binary.BigEndian.AppendUint64(nil, c.n), nil
}

// Restore implements gray.Saver.
func (c *Counter) Restore(_ context.Context, state []byte) error {
	c.n = binary.BigEndian.Uint64(state)
	return nil
}

var counters = gray.Actor(func(context.Context, gray.None) (*Counter, error) { return &Counter{}, nil }, gray.MaxRestarts(-1))

// tally is what a caller knows of a counter: a call that was answered has counted, once;
// one that failed has counted once or not at all.
type tally struct {
	counter       gray.Handle[Counter]
	calls, answer uint64
	pending       []gray.Ref[uint64]
}

func (t *tally) begin(ctx context.Context) {
	for range 20 {
		t.pending = append(t.pending, gray.Call(ctx, t.counter, (*Counter).Add, gray.None{}))
	}
}

func (t *tally) end(ctx context.Context) error {
	for _, r := range t.pending {
		t.calls++
		n, err := gray.Get(ctx, r)
		if died := (*gray.ActorDiedError)(nil); errors.As(err, &died) {
			continue
		}
		if err != nil || n <= t.answer || n > t.calls {
			return fmt.Errorf("call %d of the counter: %d after %d (%w)", t.calls, n, t.answer, err)
		}
		t.answer = n
	}
	t.pending = nil
	return nil
}

func main() {
	dir := flag.String("dir", ".", "where files are")
	seed := flag.Uint64("seed", 1, "of the graphs")
	last := flag.Bool("last", false, "end the detached actor, too")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		log, err := os.OpenFile(filepath.Join(*dir, "graphs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		keeper, err := keepers.GetOrCreate(ctx, gray.None{})
		if err != nil {
			return err
		}
		heavy := []gray.Handle[Mixer]{keeper}
		for range 3 {
			heavy = append(heavy, mixers.Remote(ctx, gray.None{}))
		}
		count := tally{counter: counters.Remote(ctx, gray.None{})}
		for round := uint64(0); ; round++ {
			if _, err := os.Stat(filepath.Join(*dir, "go")); err == nil && *last {
				return gray.Kill(ctx, keeper)
			} else if !errors.Is(err, os.ErrNotExist) {
				return err
			}
			g := newGraph(*seed + round)
			count.begin(ctx)
			var n uint64
			var err error
			switch round % 3 {
			case 0:
				n, err = g.run(ctx, heavy)
			case 1:
				n, err = g.runInGroup(ctx, heavy)
			case 2:
				if err = g.abandon(ctx, heavy); err == nil {
					n, err = g.run(ctx, heavy)
				}
			}
			if err = errors.Join(err, count.end(ctx)); err != nil {
				return fmt.Errorf("graph %d: %w", g.seed, err)
			}
			if want := g.want(); n != want {
				return fmt.Errorf("graph %d: got %x, want %x", g.seed, n, want)
			}
			fmt.Fprintln(log, g.seed)
		}
	})
}
