package parallel

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
)

// onAll runs f on each member of a group of n.
func onAll(t *testing.T, n int, f func(ctx context.Context, g *collective.Group) error) {
	t.Helper()
	for rank, err := range each(t, n, f) {
		if err != nil {
			t.Fatalf("rank %d of %d: %v", rank, n, err)
		}
	}
}

// each is onAll for members that may fail.
func each(t *testing.T, n int, f func(ctx context.Context, g *collective.Group) error) []error {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for rank, g := range collective.Local(n) {
		all.Go(func() {
			errs[rank] = f(t.Context(), g)
			_ = g.Close()
		})
	}
	all.Wait()
	return errs
}

// bowl is a model whose loss is half the squared distance of its parameters from each sample.
type bowl[T model.Float] struct {
	params []model.Param[T]
	order  []int // in which parameters become ready
	fails  error
	at     []int
}

func newBowl[T model.Float](sizes []int, r *rand.Rand) *bowl[T] {
	m := &bowl[T]{order: r.Perm(len(sizes))}
	n := 0
	for i, s := range sizes {
		m.params = append(m.params, model.Param[T]{Name: fmt.Sprintf("p%d", i), Shape: []int{s}})
		n += s
	}
	value, grad := make([]T, n), make([]T, n)
	for i := range value {
		value[i] = T(r.NormFloat64())
	}
	m.set(value, grad, func(i int) int { return sizes[i] })
	return m
}

func (m *bowl[T]) set(value, grad []T, size func(int) int) {
	for i := range m.params {
		n := size(i)
		m.params[i].Value, m.params[i].Grad = value[:n], grad[:n]
		value, grad = value[n:], grad[n:]
	}
}

func (m *bowl[T]) Params() []model.Param[T] { return m.params }

func (m *bowl[T]) Bind(value, grad []T) {
	v, g := model.Flat[T](m)
	copy(value, v)
	copy(grad, g)
	m.set(value, grad, func(i int) int { return len(m.params[i].Value) })
}

func (m *bowl[T]) Gradient(_ context.Context, b model.Batch[T], ready func(int)) (float64, error) {
	if m.fails != nil {
		return 0, m.fails
	}
	m.at = m.at[:0]
	for i, n := 0, 0; i < len(m.params); i++ {
		m.at = append(m.at, n)
		n += len(m.params[i].Value)
	}
	width, n, loss := model.Size(m.params), b.Len(), 0.0
	for _, p := range m.order {
		param := m.params[p]
		clear(param.Grad)
		for s := range n {
			for i := range param.Grad {
				d := param.Value[i] - b.X[s*width+m.at[p]+i]
				param.Grad[i] += d / T(n)
				loss += float64(d*d) / 2 / float64(n)
			}
		}
		if ready != nil {
			ready(p)
		}
	}
	return loss, nil
}

func (m *bowl[T]) Predict(context.Context, model.Batch[T]) ([]T, float64, error) {
	return nil, 0, nil
}

// samples draws a batch for a bowl.
func samples[T model.Float](n, width int, r *rand.Rand) model.Batch[T] {
	b := model.Batch[T]{IDs: make([]int64, n), X: make([]T, n*width), XShape: []int{width}}
	for i := range b.X {
		b.X[i] = T(r.NormFloat64())
	}
	return b
}

// part is samples lo to hi of a batch.
func part[T model.Float](b model.Batch[T], lo, hi int) model.Batch[T] {
	width, target := len(b.X)/max(1, b.Len()), len(b.Y)/max(1, b.Len())
	p := b
	p.IDs, p.X, p.Y = b.IDs[lo:hi], b.X[lo*width:hi*width], b.Y[lo*target:hi*target]
	return p
}

// pieces cuts n samples into parts of any size, 0 too, of which not all are.
func pieces(n, parts int, r *rand.Rand) []int {
	ends := make([]int, parts+1)
	for i := 1; i < parts; i++ {
		ends[i] = r.IntN(n + 1)
	}
	ends[parts] = n
	for i := 1; i <= parts; i++ {
		ends[i] = max(ends[i], ends[i-1])
	}
	return ends
}

// apart is the largest difference of two arrays, relative to the largest number.
func apart[T model.Float](a, b []T) float64 {
	d, most := 0.0, 0.0
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
		most = max(most, math.Abs(float64(b[i])))
	}
	if d == 0 {
		return 0
	}
	return d / most
}

// seeded returns random numbers, and says by which seed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func someSizes(r *rand.Rand) []int {
	sizes := make([]int, 1+r.IntN(8))
	for i := range sizes {
		sizes[i] = 1 + r.IntN(40)
	}
	return sizes
}
