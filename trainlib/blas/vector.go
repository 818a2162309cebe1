package blas

import (
	"gonum.org/v1/gonum/blas"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
)

// dense says if n elements of x and y stand side by side, and are there.
func dense(n, x, incX, y, incY int) bool {
	return use != none && incX == 1 && incY == 1 && n > 0 && x >= n && y >= n
}

// Saxpy adds alpha x to y.
func (i implementation) Saxpy(n int, alpha float32, x []float32, incX int, y []float32, incY int) {
	if alpha == 0 || !dense(n, len(x), incX, len(y), incY) {
		i.Implementation.Saxpy(n, alpha, x, incX, y, incY)
		return
	}
	simd.Axpy(y[:n], alpha, x)
}

// Daxpy adds alpha x to y.
func (i implementation) Daxpy(n int, alpha float64, x []float64, incX int, y []float64, incY int) {
	if alpha == 0 || !dense(n, len(x), incX, len(y), incY) {
		i.Implementation.Daxpy(n, alpha, x, incX, y, incY)
		return
	}
	simd.Axpy(y[:n], alpha, x)
}

// Sdot is the sum of products.
func (i implementation) Sdot(n int, x []float32, incX int, y []float32, incY int) float32 {
	if !dense(n, len(x), incX, len(y), incY) {
		return i.Implementation.Sdot(n, x, incX, y, incY)
	}
	return simd.Dot(x[:n], y)
}

// Ddot is the sum of products.
func (i implementation) Ddot(n int, x []float64, incX int, y []float64, incY int) float64 {
	if !dense(n, len(x), incX, len(y), incY) {
		return i.Implementation.Ddot(n, x, incX, y, incY)
	}
	return simd.Dot(x[:n], y)
}

// Sgemv is y = alpha A x + beta y.
func (i implementation) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	if !soundVector(tA, m, n, len(a), lda, len(x), incX, len(y), incY) {
		i.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	gemv(tA != blas.NoTrans, m, n, alpha, a, lda, x, beta, y)
}

// Dgemv is y = alpha A x + beta y.
func (i implementation) Dgemv(tA blas.Transpose, m, n int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	if !soundVector(tA, m, n, len(a), lda, len(x), incX, len(y), incY) {
		i.Implementation.Dgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	gemv(tA != blas.NoTrans, m, n, alpha, a, lda, x, beta, y)
}

// soundVector says if the arguments are what they must be, and such as are faster here.
func soundVector(tA blas.Transpose, m, n, lenA, lda, lenX, incX, lenY, incY int) bool {
	long, short := n, m
	switch tA {
	case blas.NoTrans:
	case blas.Trans, blas.ConjTrans:
		long, short = m, n
	default:
		return false
	}
	return use != none && incX == 1 && incY == 1 && lenX >= long && lenY >= short && fits(m, n, lenA, lda)
}

// gemv is a product with a vector: a, as it's stored, is m by n.
func gemv[T Float](tA bool, m, n int, alpha T, a []T, lda int, x []T, beta T, y []T) {
	if tA {
		y = y[:n]
	} else {
		y = y[:m]
	}
	switch {
	case beta == 0:
		clear(y)
	case beta != 1:
		simd.Scale(y, beta)
	}
	if alpha == 0 {
		return
	}
	for i := range m {
		row := a[i*lda : i*lda+n]
		if tA {
			simd.Axpy(y, alpha*x[i], row)
		} else {
			y[i] += alpha * simd.Dot(row, x)
		}
	}
}
