package nn

import (
	"github.com/gray-runtime/gray/trainlib/blas"
	"github.com/gray-runtime/gray/trainlib/model"
)

// gemm sets c, which is m × n, to keep times itself plus a times b, each transposed if told so: a is m × k after that, b k × n. keep is
// 0 or 1; at 0, what c had doesn't matter.
func gemm[T model.Float](transA, transB bool, m, n, k int, a, b []T, keep T, c []T) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		if keep == 0 {
			clear(c[:m*n])
		}
		return
	}
	lda, ldb := k, n
	if transA {
		lda = m
	}
	if transB {
		ldb = k
	}
	blas.Gemm(transA, transB, m, n, k, 1, a, lda, b, ldb, keep, c, n)
}

// fillRows sets each row of x to row.
func fillRows[T model.Float](x, row []T) {
	for ; len(x) > 0; x = x[len(row):] {
		copy(x, row)
	}
}

// fillWith sets all of x to v.
func fillWith[T model.Float](x []T, v T) {
	if len(x) == 0 {
		return
	}
	x[0] = v
	for n := 1; n < len(x); n *= 2 {
		copy(x[n:], x[:n])
	}
}
