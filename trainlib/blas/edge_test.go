//go:build unix

package blas

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// fenced returns memory that nothing can be read or written before and behind.
func fenced(t *testing.T) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	const pages = 64
	all, err := syscall.Mmap(-1, 0, (pages+2)*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	for _, fence := range [][]byte{all[:page], all[(pages+1)*page:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[page : (pages+1)*page]
}

// matrixIn is a slice of n numbers at the memory's beginning or end.
func matrixIn[T Float](memory []byte, n int, end bool) []T {
	var x T
	size := int(unsafe.Sizeof(x))
	if end {
		memory = memory[len(memory)-n*size:]
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[0])), n)
}

// Products never read or write outside of their slices: it would end this process.
func TestProductsStayInside(t *testing.T) {
	memory := [3][]byte{fenced(t), fenced(t), fenced(t)}
	each(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		for range 2000 {
			inside[float32](r, memory)
			inside[float64](r, memory)
		}
	})
}

func inside[T Float](r *rand.Rand, memory [3][]byte) {
	m, n, k, end := 1+r.IntN(60), 1+r.IntN(60), 1+r.IntN(60), r.IntN(2) == 0
	if r.IntN(10) == 0 { // what is packed
		m, n, k = 1+r.IntN(20), 1+r.IntN(300), 1+r.IntN(100)
	}
	tA, tB := r.IntN(2) == 0, r.IntN(2) == 0
	lda, ldb := k, n
	if tA {
		lda = m
	}
	if tB {
		ldb = k
	}
	a, b, c := matrixIn[T](memory[0], m*k, end), matrixIn[T](memory[1], k*n, end), matrixIn[T](memory[2], m*n, end)
	gemm(tA, tB, m, n, k, 1, a, lda, b, ldb, T(r.IntN(2)), c, n)
}
