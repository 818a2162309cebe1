package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gray-runtime/gray/trainlib/blas"
)

// benchGemm measures products of square matrices on one thread. At each size it takes turns with numpy and torch, of
// which the faster counts. GRAY_BLAS=avx2 keeps AVX-512 out.
func benchGemm(ctx context.Context, b *bench) error {
	turns := 5
	if b.quick {
		turns = 1
	}
	for _, size := range []int{64, 128, 256, 512, 1024, 2048} {
		var single, double versus
		for range turns {
			single.ours = append(single.ours, gemmRate[float32](size))
			double.ours = append(double.ours, gemmRate[float64](size))
			if b.train.python == "" {
				continue
			}
			var said struct {
				Results []struct {
					Impl, Type string
					Gflops     map[string]float64
				}
			}
			if err := b.train.ask(ctx, &said, "gemm_python.py", "--sizes", strconv.Itoa(size)); err != nil {
				return err
			}
			best := map[string]float64{}
			for _, r := range said.Results {
				if g := r.Gflops[strconv.Itoa(size)]; g > best[r.Type] {
					best[r.Type] = g
				}
			}
			single.theirs, double.theirs = append(single.theirs, best["float32"]), append(double.theirs, best["float64"])
			single.peer, double.peer = "the faster of numpy and torch", "the faster of numpy and torch"
		}
		single.report(b, fmt.Sprintf("gemm_float32_%d", size), "GFLOP/s", 0.8, 1)
		double.report(b, fmt.Sprintf("gemm_float64_%d", size), "GFLOP/s", 0.8, 1)
	}
	return nil
}

// gemmRate is the median GFLOP/s of products of n by n matrices, measured as the peers' script does.
func gemmRate[T blas.Float](n int) float64 {
	x, y, z := make([]T, n*n), make([]T, n*n), make([]T, n*n)
	for i := range x {
		x[i], y[i] = T(i%101)/101, T(i%89)/89
	}
	seconds := secondsOf(func() { blas.Gemm(false, false, n, n, n, 1, x, n, y, n, 0, z, n) })
	return 2 * float64(n) * float64(n) * float64(n) / seconds / 1e9
}

// secondsOf is the median time that f takes, of some runs in 0.3 s, or of 3.
func secondsOf(f func()) float64 {
	const budget = 0.3
	f()
	start := time.Now()
	f()
	inner := max(1, int(budget/10/time.Since(start).Seconds()))
	var all []float64
	for total := 0.0; len(all) < 3 || total < budget && len(all) < 15; {
		start = time.Now()
		for range inner {
			f()
		}
		took := time.Since(start).Seconds()
		total += took
		all = append(all, took/float64(inner))
	}
	return median(all)
}
