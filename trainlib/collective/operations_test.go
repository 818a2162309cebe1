package collective

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gray-runtime/gray/trainlib/half"
	"github.com/gray-runtime/gray/trainlib/internal/shared"
)

// onAll runs f for each member at once and returns their errors.
func onAll(groups []*Group, f func(g *Group) error) []error {
	errs := make([]error, len(groups))
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() { errs[i] = f(g) })
	}
	all.Wait()
	return errs
}

func must(t *testing.T, errs []error) {
	t.Helper()
	for r, err := range errs {
		if err != nil {
			t.Fatalf("rank %d: %v", r, err)
		}
	}
}

// sharing makes a group of goroutines that share memory as processes do, and nothing else.
func sharing(t testing.TB, n int) []*Group {
	t.Helper()
	first, err := shared.Create(arenaBytes(n))
	if err != nil {
		t.Fatal(err)
	}
	f := newFailure()
	groups := make([]*Group, n)
	for r := range groups {
		region := first
		if r > 0 {
			if region, err = shared.Open(first.Path()); err != nil {
				t.Fatal(err)
			}
		}
		a, err := newArena(region, r, rangeOf(n), f)
		if err != nil {
			t.Fatal(err)
		}
		groups[r] = &Group{name: "sharing", rank: r, size: n, nodes: make([]int, n), arena: a, failure: f, control: &together{r, groups}}
	}
	t.Cleanup(func() {
		for _, g := range groups {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return groups
}

func rangeOf(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}

// numbersFor are values whose sums, products and so on are exact in every type, as are the means of them.
func numbersFor[T Number](n, rank int, seed uint64) []T {
	random := rand.New(rand.NewPCG(seed, uint64(rank)))
	x := make([]T, n)
	for i := range x {
		x[i] = fromInt[T](1 + random.IntN(3))
	}
	return x
}

func fromInt[T Number](v int) T {
	switch any(*new(T)).(type) {
	case half.Float16:
		return T(half.FromFloat32(float32(v)))
	case half.BFloat16:
		return T(half.BFromFloat32(float32(v)))
	}
	return T(v)
}

func toFloat[T Number](v T) float64 {
	switch v := any(v).(type) {
	case half.Float16:
		return float64(v.Float32())
	case half.BFloat16:
		return float64(v.Float32())
	}
	return float64(v)
}

// expected combines by the book.
func expected[T Number](xs [][]T, op Op) []T {
	out := make([]T, len(xs[0]))
	for i := range out {
		v := toFloat(xs[0][i])
		for _, x := range xs[1:] {
			o := toFloat(x[i])
			switch op {
			case Sum, Mean:
				v += o
			case Product:
				v *= o
			case Min:
				v = min(v, o)
			case Max:
				v = max(v, o)
			}
		}
		if op == Mean {
			v /= float64(len(xs))
		}
		switch any(*new(T)).(type) {
		case half.Float16:
			out[i] = T(half.FromFloat32(float32(v)))
		case half.BFloat16:
			out[i] = T(half.BFromFloat32(float32(v)))
		default:
			out[i] = T(v)
		}
	}
	return out
}

var sizes = []int{0, 1, 2, 7, 64, 1000, 4099, 70_001}

type testCase struct {
	name   string
	groups []*Group
	use    []Algorithm
}

func cases(t *testing.T, n int) []testCase {
	over := []Algorithm{Auto, Ring, Tree, Star, HalvingDoubling}
	return []testCase{{"streams", Local(n), over}, {"memory", sharing(t, n), []Algorithm{Auto}}}
}

func TestEveryOperationOfEveryType(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 8} {
		for _, c := range cases(t, n) {
			for _, a := range c.use {
				for _, g := range c.groups {
					if err := g.Use(a); err != nil && n > 1 {
						t.Fatal(err)
					}
				}
				t.Run(fmt.Sprintf("%d/%s/%v", n, c.name, a), func(t *testing.T) {
					testOperations[float32](t, c.groups)
					testOperations[float64](t, c.groups)
					testOperations[half.Float16](t, c.groups)
					testOperations[half.BFloat16](t, c.groups)
					testOperations[int8](t, c.groups)
					testOperations[int16](t, c.groups)
					testOperations[int32](t, c.groups)
					testOperations[int64](t, c.groups)
					testOperations[uint8](t, c.groups)
					testOperations[uint32](t, c.groups)
					testOperations[uint64](t, c.groups)
				})
			}
		}
	}
}

func testOperations[T Number](t *testing.T, groups []*Group) {
	t.Helper()
	ctx := t.Context()
	n := len(groups)
	seed := rand.Uint64()
	for _, size := range sizes {
		if testing.Short() && size > 1000 {
			continue
		}
		xs := make([][]T, n)
		for r := range xs {
			xs[r] = numbersFor[T](size, r, seed)
		}
		op := Op(rand.IntN(int(ops)))
		if n > 5 && op == Product {
			op = Sum // 3^8 is too large for int8
		}
		if n > 3 && op == Product {
			for _, x := range xs[3:] {
				for i := range x {
					x[i] = fromInt[T](1)
				}
			}
		}
		root := rand.IntN(n)
		label := fmt.Sprintf("%T, %d values, %v, root %d, seed %d", *new(T), size, op, root, seed)
		want := expected(xs, op)
		got := make([][]T, n)
		run := func(what string, f func(g *Group) error) {
			t.Helper()
			for r, err := range onAll(groups, f) {
				if err != nil {
					t.Fatalf("%s of %s: rank %d: %v", what, label, r, err)
				}
			}
		}
		same := func(what string, r int, got, want []T) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Fatalf("%s of %s: rank %d has %v, not %v", what, label, r, head(got), head(want))
			}
		}
		run("AllReduce", func(g *Group) error {
			got[g.rank] = slices.Clone(xs[g.rank])
			return AllReduce(ctx, g, got[g.rank], op)
		})
		for r := range n {
			same("AllReduce", r, got[r], want)
		}
		run("Reduce", func(g *Group) error {
			got[g.rank] = slices.Clone(xs[g.rank])
			return Reduce(ctx, g, got[g.rank], op, root)
		})
		for r := range n {
			if r == root {
				same("Reduce", r, got[r], want)
			} else {
				same("Reduce", r, got[r], xs[r])
			}
		}
		run("Broadcast", func(g *Group) error {
			got[g.rank] = slices.Clone(xs[g.rank])
			return Broadcast(ctx, g, got[g.rank], root)
		})
		for r := range n {
			same("Broadcast", r, got[r], xs[root])
		}
		whole := slices.Concat(xs...)
		run("AllGather", func(g *Group) error {
			got[g.rank] = make([]T, n*size)
			return AllGather(ctx, g, got[g.rank], xs[g.rank])
		})
		for r := range n {
			same("AllGather", r, got[r], whole)
		}
		run("Gather", func(g *Group) error {
			got[g.rank] = nil
			if g.rank == root {
				got[root] = make([]T, n*size)
			}
			return Gather(ctx, g, got[g.rank], xs[g.rank], root)
		})
		same("Gather", root, got[root], whole)
		run("Scatter", func(g *Group) error {
			got[g.rank] = make([]T, size)
			var x []T
			if g.rank == root {
				x = whole
			}
			return Scatter(ctx, g, got[g.rank], x, root)
		})
		for r := range n {
			same("Scatter", r, got[r], xs[r])
		}
		run("AllToAll", func(g *Group) error {
			got[g.rank] = make([]T, n*size)
			return AllToAll(ctx, g, got[g.rank], repeat(xs[g.rank], n))
		})
		for r := range n {
			same("AllToAll", r, got[r], whole)
		}
		run("ReduceScatter", func(g *Group) error {
			got[g.rank] = make([]T, size)
			x := repeat(xs[g.rank], n)
			if err := ReduceScatter(ctx, g, got[g.rank], x, op); err != nil {
				return err
			}
			if !slices.Equal(x, repeat(xs[g.rank], n)) {
				return errors.New("changed what it was given")
			}
			return nil
		})
		for r := range n {
			same("ReduceScatter", r, got[r], want)
		}
		run("Barrier", func(g *Group) error { return Barrier(ctx, g) })
	}
}

func repeat[T any](x []T, n int) []T { return slices.Repeat(x, n) }

func head[T any](x []T) []T { return x[:min(len(x), 12)] }

// TestLongArrays go through many segments, pieces and rounds.
func TestLongArrays(t *testing.T) {
	ctx := t.Context()
	for _, n := range []int{2, 3, 4} {
		for _, c := range cases(t, n) {
			for _, a := range c.use {
				for _, g := range c.groups {
					if err := g.Use(a); err != nil {
						t.Fatal(err)
					}
				}
				results := make([][]float32, n)
				must(t, onAll(c.groups, func(g *Group) error {
					for _, size := range []int{300_001, 5, 1_000_003, 2048, 65_536} {
						x := make([]float32, size)
						for i := range x {
							x[i] = float32(i%1000) / float32(g.rank+3)
						}
						if err := AllReduce(ctx, g, x, Mean); err != nil {
							return err
						}
						results[g.rank] = append(results[g.rank], x...)
					}
					return nil
				}))
				for r := 1; r < n; r++ {
					if !slices.Equal(results[r], results[0]) {
						t.Errorf("%d, %s, %v: ranks 0 and %d have different results", n, c.name, a, r)
					}
				}
				if got, want := results[0][999], float32(999)*mean(n); got < want*0.9999 || got > want*1.0001 {
					t.Errorf("%d, %s, %v: %v, not %v", n, c.name, a, got, want)
				}
			}
		}
	}
}

func mean(n int) (m float32) {
	for r := range n {
		m += 1 / float32(r+3)
	}
	return m / float32(n)
}

// TestInPlace: what Alloc made is combined where it is, also in parts.
func TestInPlace(t *testing.T) {
	ctx := t.Context()
	for _, n := range []int{2, 3} {
		groups := sharing(t, n)
		must(t, onAll(groups, func(g *Group) error {
			x, err := Alloc[float64](ctx, g, 100_000)
			if err != nil {
				return err
			}
			for range 3 {
				for i := range x {
					x[i] = float64(i + g.rank)
				}
				if err := AllReduce(ctx, g, x[:10], Max); err != nil {
					return err
				}
				if err := AllReduce(ctx, g, x[10:], Sum); err != nil {
					return err
				}
				if err := Barrier(ctx, g); err != nil {
					return err
				}
				for i, v := range x {
					want := float64(n*i + n*(n-1)/2)
					if i < 10 {
						want = float64(i + n - 1)
					}
					if v != want {
						return fmt.Errorf("x[%d] is %v, not %v", i, v, want)
					}
				}
				if err := Barrier(ctx, g); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// TestMixedOperations run one after the other, in an order that nobody foresaw, without anybody waiting in between.
func TestMixedOperations(t *testing.T) {
	ctx := t.Context()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, c := range cases(t, 3) {
		must(t, onAll(c.groups, func(g *Group) error {
			random := rand.New(rand.NewPCG(seed, 1))
			for i := range 3000 {
				size := 1 + random.IntN(1<<random.IntN(13))
				root := random.IntN(g.size)
				x := make([]int64, size)
				for j := range x {
					x[j] = int64(i + g.rank)
				}
				sum := int64(g.size*i + g.size*(g.size-1)/2)
				switch random.IntN(6) {
				case 0:
					if err := AllReduce(ctx, g, x, Sum); err != nil {
						return err
					}
					if x[size-1] != sum {
						return fmt.Errorf("call %d: sum %d, not %d", i, x[size-1], sum)
					}
				case 1:
					if err := Broadcast(ctx, g, x, root); err != nil {
						return err
					}
					if x[size-1] != int64(i+root) {
						return fmt.Errorf("call %d: %d, not %d", i, x[size-1], i+root)
					}
				case 2:
					if err := Reduce(ctx, g, x, Sum, root); err != nil {
						return err
					}
					if g.rank == root && x[0] != sum {
						return fmt.Errorf("call %d: sum %d, not %d", i, x[0], sum)
					}
				case 3:
					out := make([]int64, size*g.size)
					if err := AllGather(ctx, g, out, x); err != nil {
						return err
					}
					if out[len(out)-1] != int64(i+g.size-1) {
						return fmt.Errorf("call %d: gathered %d", i, out[len(out)-1])
					}
				case 4:
					out := make([]int64, size)
					if err := ReduceScatter(ctx, g, out, repeat(x, g.size), Sum); err != nil {
						return err
					}
					if out[0] != sum {
						return fmt.Errorf("call %d: sum %d, not %d", i, out[0], sum)
					}
				default:
					if err := Barrier(ctx, g); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
}

func TestSendAndRecv(t *testing.T) {
	ctx := t.Context()
	must(t, onAll(Local(2), func(g *Group) error {
		x := make([]float32, 10_000)
		for i := range 5 {
			if g.Rank() == 0 {
				x[9999] = float32(i)
				if err := Send(ctx, g, x, 1); err != nil {
					return err
				}
				continue
			}
			if err := Recv(ctx, g, x, 0); err != nil {
				return err
			}
			if x[9999] != float32(i) {
				return fmt.Errorf("received %v, not %d", x[9999], i)
			}
		}
		return nil
	}))
}

// TestMismatch: members that call different things all learn who did.
func TestMismatch(t *testing.T) {
	ctx := t.Context()
	for _, c := range cases(t, 3) {
		errs := onAll(c.groups, func(g *Group) error {
			if err := AllReduce(ctx, g, make([]float32, 10), Sum); err != nil {
				return err
			}
			n := 100
			if g.Rank() == 1 {
				n = 101
			}
			return AllReduce(ctx, g, make([]float32, n), Sum)
		})
		for r, err := range errs {
			var rank *RankError
			if !errors.As(err, &rank) || !errors.Is(err, ErrMismatch) || !slices.Contains(rank.Ranks, 1) {
				t.Errorf("%s: rank %d: %v", c.name, r, err)
			}
		}
		if c.groups[0].Err() == nil {
			t.Errorf("%s isn't broken", c.name)
		}
	}
}

// TestMissing: when a member's context ends, all learn who wasn't there.
func TestMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		testMissing(t, Local(4))
	})
	testMissing(t, sharing(t, 4))
}

func testMissing(t *testing.T, groups []*Group) {
	errs := onAll(groups, func(g *Group) error {
		if g.Rank() == 2 {
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50_000_000)
		defer cancel()
		return AllReduce(ctx, g, make([]float32, 1000), Sum)
	})
	for r, err := range errs {
		var rank *RankError
		if r == 2 {
			continue
		}
		if !errors.As(err, &rank) || !errors.Is(err, ErrMissing) || !slices.Equal(rank.Ranks, []int{2}) {
			t.Errorf("%s: rank %d: %v", groups[0].name, r, err)
		}
	}
}

// TestStart: what was started runs in order.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		must(t, onAll(Local(3), func(g *Group) error {
			x := []float64{1}
			var handles []*Handle
			for range 5 {
				handles = append(handles, g.Start(ctx, func(ctx context.Context) error { return AllReduce(ctx, g, x, Sum) }))
			}
			for _, h := range handles {
				if err := h.Wait(ctx); err != nil {
					return err
				}
			}
			if x[0] != 243 {
				return fmt.Errorf("%v, not 243", x[0])
			}
			return nil
		}))
	})
}
