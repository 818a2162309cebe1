package gray_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// roomy is a cluster whose store holds several large objects.
func roomy(b *testing.B, bytes int64) context.Context {
	b.Helper()
	c, err := startCluster(embed.Options{CPUs: 2, StoreBytes: bytes})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.close(); err != nil {
			b.Error(err)
		}
	})
	return c.ctx
}

func middle(x []time.Duration) time.Duration {
	slices.Sort(x)
	return x[len(x)/2]
}

// BenchmarkPut puts large arrays, each dropped at once, and, between puts, copies as
// much from one warm buffer to another.
func BenchmarkPut(b *testing.B) {
	for _, mb := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			ctx := roomy(b, int64(mb)*4<<20)
			v, to := make([]float64, mb*125_000), make([]float64, mb*125_000)
			for i := range v {
				v[i], to[i] = float64(i), 1
			}
			put := func() {
				if _, err := gray.Put(ctx, v); err != nil {
					b.Fatal(err)
				}
			}
			for range 8 { // until the pages are there
				put()
			}
			var puts, copies []time.Duration
			for b.Loop() {
				start := time.Now()
				put()
				between := time.Now()
				copy(to, v)
				puts, copies = append(puts, between.Sub(start)), append(copies, time.Since(between))
			}
			p, c := middle(puts), middle(copies)
			b.ReportMetric(float64(mb)/1000/p.Seconds(), "GB/s")
			b.ReportMetric(c.Seconds()/p.Seconds(), "of-memcpy")
		})
	}
}

type viewing struct {
	Numbers gray.Ref[[]float64]
	Arrays  gray.Ref[threeArrays]
}

type threeArrays struct {
	Name    string
	A       []float64
	B       gray.Tensor[float32]
	C       []byte
	Ignored string
}

// viewTimes has a worker look at large objects, and tells how long a View takes.
var viewTimes = gray.Task(func(ctx context.Context, in viewing) ([2]time.Duration, error) {
	var numbers, arrays []time.Duration
	for range 101 {
		start := time.Now()
		if err := gray.View(ctx, in.Numbers, func([]float64) error { return nil }); err != nil {
			return [2]time.Duration{}, err
		}
		between := time.Now()
		if err := gray.View(ctx, in.Arrays, func(threeArrays) error { return nil }); err != nil {
			return [2]time.Duration{}, err
		}
		numbers, arrays = append(numbers, between.Sub(start)), append(arrays, time.Since(between))
	}
	return [2]time.Duration{middle(numbers), middle(arrays)}, nil
})

// BenchmarkView: what it takes to see an object of another process doesn't depend on its size.
func BenchmarkView(b *testing.B) {
	for _, mb := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			ctx := roomy(b, int64(mb)*3<<20)
			var in viewing
			var err error
			if in.Numbers, err = gray.Put(ctx, make([]float64, mb*125_000)); err != nil {
				b.Fatal(err)
			}
			in.Arrays, err = gray.Put(ctx, threeArrays{
				A: make([]float64, mb*60_000), B: gray.Tensor[float32]{Shape: []int{mb * 60, 1000}, Data: make([]float32, mb*60_000)},
				C: make([]byte, mb*200_000),
			})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				took := get(ctx, b, viewTimes.Remote(ctx, in))
				b.ReportMetric(float64(took[0].Nanoseconds())/1000, "µs/array")
				b.ReportMetric(float64(took[1].Nanoseconds())/1000, "µs/struct")
			}
		})
	}
}

// BenchmarkPutGet puts values of a size and gets them.
func BenchmarkPutGet(b *testing.B) {
	for _, size := range []int{1 << 10, 200 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			ctx := shared(b).ctx
			v := make([]byte, size)
			for b.Loop() {
				r, err := gray.Put(ctx, v)
				if err != nil {
					b.Fatal(err)
				}
				get(ctx, b, r)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
		})
	}
}

var (
	takesMany = gray.Task(func(_ context.Context, r []gray.Ref[int]) (int, error) { return len(r), nil })
	getsMany  = gray.Task(func(ctx context.Context, r []gray.Ref[int]) (time.Duration, error) {
		start := time.Now()
		_, err := gray.GetAll(ctx, r)
		return time.Since(start), err
	})
	takesLater = gray.Task(func(ctx context.Context, r []gray.Lazy[int]) (time.Duration, error) {
		refs := make([]gray.Ref[int], len(r))
		for i := range r {
			refs[i] = r[i].Ref
		}
		start := time.Now()
		_, err := gray.GetAll(ctx, refs)
		return time.Since(start), err
	})
)

// BenchmarkManyReferences: one task with 10,000 inputs, one get of as many references, and
// one of borrowed references whose values didn't come with the task.
func BenchmarkManyReferences(b *testing.B) {
	const n = 10_000
	ctx := shared(b).ctx
	made := func() ([]gray.Ref[int], []gray.Lazy[int]) {
		refs, lazy := make([]gray.Ref[int], n), make([]gray.Lazy[int], n)
		for i := range refs {
			r, err := gray.Put(ctx, i)
			if err != nil {
				b.Fatal(err)
			}
			refs[i], lazy[i].Ref = r, r
		}
		return refs, lazy
	}
	get(ctx, b, takesMany.Remote(ctx, nil))
	var inputs, gets, inside, borrowed []time.Duration
	for b.Loop() {
		refs, _ := made()
		start := time.Now()
		get(ctx, b, takesMany.Remote(ctx, refs))
		inputs = append(inputs, time.Since(start))
		start = time.Now()
		if _, err := gray.GetAll(ctx, refs); err != nil {
			b.Fatal(err)
		}
		gets = append(gets, time.Since(start))
		inside = append(inside, get(ctx, b, getsMany.Remote(ctx, refs)))
		_, lazy := made()
		borrowed = append(borrowed, get(ctx, b, takesLater.Remote(ctx, lazy)))
	}
	ms := func(x []time.Duration) float64 { return float64(middle(x).Microseconds()) / 1000 }
	b.ReportMetric(ms(inputs), "ms/task")
	b.ReportMetric(ms(gets), "ms/get")
	b.ReportMetric(ms(inside), "ms/get-of-inputs")
	b.ReportMetric(ms(borrowed), "ms/get-of-borrowed")
}
