package blas

import (
	"sync"
	"sync/atomic"
)

var threads atomic.Int64

// SetThreads says how many goroutines a large product may be computed by; 1, the default, is the caller's alone: where
// all CPUs have workers of their own, more are in each other's way. What is computed is the same.
func SetThreads(n int) { threads.Store(int64(max(n, 1))) }

// enough is how many multiplications are worth a goroutine.
const enough = 1 << 20

// split computes a product in parts at the same time, by rows or columns.
func split[T Float](m, n, k int, alpha T, a, b matrix[T], add bool, c []T, ldc int) {
	parts := min(int(threads.Load()), int(float64(m)*float64(n)*float64(k)/enough))
	if parts < 2 {
		multiply(m, n, k, alpha, a, b, add, c, ldc)
		return
	}
	const tile = 96 // a multiple of every kernel's rows and columns
	size := max(m, n)
	each := ((size+parts-1)/parts + tile - 1) / tile * tile
	var all sync.WaitGroup
	for from := 0; from < size; from += each {
		length := min(each, size-from)
		all.Go(func() {
			if m >= n {
				a := matrix[T]{a.data[from*a.rs:], a.rs, a.cs}
				multiply(length, n, k, alpha, a, b, add, c[from*ldc:], ldc)
				return
			}
			b := matrix[T]{b.data[from*b.cs:], b.rs, b.cs}
			multiply(m, length, k, alpha, a, b, add, c[from:], ldc)
		})
	}
	all.Wait()
}
