// A job whose answer is known: random graphs of tasks and actors' calls, one after
// another until there is a file go. Every vertex's value depends on those of its
// inputs, so that one that is wrong, lost or of another run shows in the end. A line
// a graph goes to the file graphs; the last word is what went wrong first, or nothing.
package main

import (
	"context"
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
		gray.MaxRestarts(-1), gray.MaxTaskRetries(-1), gray.Spread())
	light = gray.Actor(func(context.Context, gray.None) (*Mixer, error) { return &Mixer{}, nil }, gray.Lightweight())
	// lightly has it done by a lightweight actor of its own; a call of those isn't retried.
	lightly = gray.Task(func(ctx context.Context, in Inputs) (Value, error) {
		for {
			v, err := gray.Get(ctx, gray.Call(ctx, light.Remote(ctx, gray.None{}), (*Mixer).Mix, in))
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
func (g *graph) run(ctx context.Context, heavy []gray.Handle[Mixer]) (uint64, error) {
	return g.runWith(ctx, heavy)
}

func (g *graph) runWith(ctx context.Context, heavy []gray.Handle[Mixer], opts ...gray.Option) (uint64, error) {
	var before, now []gray.Ref[Value]
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
			case aLightCall:
				now[i] = lightly.Remote(ctx, in)
			}
		}
		before = now
	}
	from, err := gray.GetAll(ctx, before)
	return folded(g.seed, from), err
}

// runInGroup is run with the tasks in a placement group of its own.
func (g *graph) runInGroup(ctx context.Context, heavy []gray.Handle[Mixer]) (n uint64, err error) {
	half := gray.Bundle{gray.NumCPUs(0.5)}
	pg, err := gray.CreateGroup(ctx, []gray.Bundle{half, half}, gray.SpreadOut)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pg.Remove(ctx)) }()
	return g.runWith(ctx, heavy, gray.NumCPUs(0.5), gray.InGroup(pg, gray.AnyBundle))
}

func main() {
	dir := flag.String("dir", ".", "where files are")
	seed := flag.Uint64("seed", 1, "of the graphs")
	flag.Parse()
	gray.Main(func(ctx context.Context) error {
		log, err := os.OpenFile(filepath.Join(*dir, "graphs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		heavy := make([]gray.Handle[Mixer], 4)
		for i := range heavy {
			heavy[i] = mixers.Remote(ctx, gray.None{})
		}
		for round := uint64(0); ; round++ {
			if _, err := os.Stat(filepath.Join(*dir, "go")); !errors.Is(err, os.ErrNotExist) {
				return err
			}
			g := newGraph(*seed + round)
			run := g.run
			if round%2 == 1 {
				run = g.runInGroup
			}
			n, err := run(ctx, heavy)
			if err != nil {
				return fmt.Errorf("graph %d: %w", g.seed, err)
			}
			if want := g.want(); n != want {
				return fmt.Errorf("graph %d: got %x, want %x", g.seed, n, want)
			}
			fmt.Fprintln(log, g.seed)
		}
	})
}
