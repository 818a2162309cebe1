// Package blas makes gonum's products of matrices fast: a program that imports it has blas32 and blas64 use kernels in
// assembly where the CPU has what they need (AVX2 with FMA, AVX-512), and gonum's own elsewhere. Gemm is the same for
// both types of numbers.
//
// It owns the kernels and who uses which: GRAY_BLAS=avx2 in the environment keeps AVX-512 out, GRAY_BLAS=gonum all of
// them. It changes what gonum computes with, for the whole program, and nothing else.
//
// How a product comes about: matrices are cut into blocks that fit the CPU's caches and copied there in the order in
// which they're read (gemm_amd64.go) unless they're small; a tile of C stays in registers while one block's terms
// are summed up (tile_*_amd64.h). Invariants: nothing is read or written outside of the slices; an element's terms are
// added in the same order wherever it is, on any number of threads, and with AVX2 as with AVX-512; what isn't a number
// spreads as arithmetic has it (gonum leaves it out where it meets 0).
package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
)

// Float is what matrices consist of.
type Float interface{ float32 | float64 }

// isa is which kernels are used.
type isa int

const (
	none isa = iota // gonum's
	avx2
	avx512
)

// use is chosen at start-up, and changed by tests.
var use = detect()

func init() {
	blas32.Use(implementation{})
	blas64.Use(implementation{})
}

// implementation is gonum's, but for what is faster here.
type implementation struct{ gonum.Implementation }

// Sgemm is C = alpha A B + beta C.
func (i implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int,
) {
	if use == none || !sound(tA, tB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc) {
		i.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Dgemm is C = alpha A B + beta C.
func (i implementation) Dgemm(tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int,
	beta float64, c []float64, ldc int,
) {
	if use == none || !sound(tA, tB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc) {
		i.Implementation.Dgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// sound says if a product's arguments are what they must be; gonum panics, saying why, where they aren't.
func sound(tA, tB blas.Transpose, m, n, k, lenA, lda, lenB, ldb, lenC, ldc int) bool {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	switch tA {
	case blas.NoTrans:
	case blas.Trans, blas.ConjTrans:
		rowsA, colsA = k, m
	default:
		return false
	}
	switch tB {
	case blas.NoTrans:
	case blas.Trans, blas.ConjTrans:
		rowsB, colsB = n, k
	default:
		return false
	}
	return fits(rowsA, colsA, lenA, lda) && fits(rowsB, colsB, lenB, ldb) && fits(m, n, lenC, ldc)
}

// fits says if a slice holds a matrix, rows ld apart; a product of nothing is gonum's to treat.
func fits(rows, cols, length, ld int) bool {
	return rows > 0 && cols > 0 && ld >= cols && length >= (rows-1)*ld+cols
}
