package ps

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
	"github.com/gray-runtime/gray/trainlib/model"
)

func TestMain(m *testing.M) { graytest.Main(checked{m}) }

// checked is the tests, then what they must not leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// cluster is one for a test, whose context ends before it's too late to say where.
func cluster(t testing.TB, opts ...graytest.Option) context.Context {
	t.Helper()
	c := graytest.Cluster(t, append([]graytest.Option{graytest.CPUs(8), graytest.StoreBytes(128 << 20)}, opts...)...)
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// start starts a group for parameters that begin with 0, ended with the test.
func start[T model.Float](ctx context.Context, t testing.TB, c Config, sizes ...int) Group {
	t.Helper()
	params := make([]model.Param[T], len(sizes))
	for i, n := range sizes {
		params[i] = model.Param[T]{Name: fmt.Sprint(i), Shape: []int{n}, Value: make([]T, n), Grad: make([]T, n)}
	}
	return startOf(ctx, t, c, params)
}

func startOf[T model.Float](ctx context.Context, t testing.TB, c Config, params []model.Param[T], opts ...gray.Option) Group {
	t.Helper()
	if c.Name == "" {
		c.Name = t.Name()
	}
	g, err := Start(ctx, c, params, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return g
}

// joined joins a worker, which leaves with the test unless it has before.
func joined[T model.Float](ctx context.Context, t testing.TB, g Group, worker int, opts ...JoinOption[T]) *Worker[T] {
	t.Helper()
	w, err := Join(ctx, g, worker, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return w
}

// plain is gradients as they are, so that they travel by calls.
var (
	plain32 = NewCoding("plain", func(int) (Encode[float32], error) { return encodePlain[float32], nil }, decodePlain[float32])
	plain64 = NewCoding("plain", func(int) (Encode[float64], error) { return encodePlain[float64], nil }, decodePlain[float64])
)

func encodePlain[T model.Float](dst []byte, g []T) ([]byte, error) {
	return append(dst, bytesOf(g)...), nil
}

func decodePlain[T model.Float](into []T, b []byte) error {
	if copy(bytesOf(into), b) != len(b) || len(b) != len(bytesOf(into)) {
		return fmt.Errorf("%d bytes for %d numbers", len(b), len(into))
	}
	return nil
}
