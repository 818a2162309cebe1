package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// Gemm is C = alpha A B + beta C of matrices whose rows are lda, ldb and ldc elements apart; tA and tB say that A
// and B are given transposed. C is m by n, and k is what's summed up over.
func Gemm[T Float](tA, tB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	transpose := [2]blas.Transpose{blas.NoTrans, blas.NoTrans}
	for i, t := range [2]bool{tA, tB} {
		if t {
			transpose[i] = blas.Trans
		}
	}
	if use != none && sound(transpose[0], transpose[1], m, n, k, len(a), lda, len(b), ldb, len(c), ldc) {
		gemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	switch a := any(a).(type) {
	case []float32:
		blas32.Implementation().Sgemm(transpose[0], transpose[1], m, n, k, float32(alpha), a, lda,
			any(b).([]float32), ldb, float32(beta), any(c).([]float32), ldc)
	case []float64:
		blas64.Implementation().Dgemm(transpose[0], transpose[1], m, n, k, float64(alpha), a, lda,
			any(b).([]float64), ldb, float64(beta), any(c).([]float64), ldc)
	}
}

// gemm is Gemm of sound arguments.
func gemm[T Float](tA, tB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if alpha == 0 || beta != 0 && beta != 1 {
		for i := range m {
			row := c[i*ldc : i*ldc+n]
			if beta == 0 {
				clear(row)
				continue
			}
			for j := range row {
				row[j] *= beta
			}
		}
	}
	if alpha == 0 {
		return
	}
	x, y := matrix[T]{a, lda, 1}, matrix[T]{b, ldb, 1}
	if tA {
		x.rs, x.cs = 1, lda
	}
	if tB {
		y.rs, y.cs = 1, ldb
	}
	split(m, n, k, alpha, x, y, beta != 0, c, ldc)
}

// matrix is one as a product reads it: element (i, j) is at i*rs + j*cs, and one of both is 1.
type matrix[T Float] struct {
	data   []T
	rs, cs int
}
