// Package blas makes gonum's matrix products fast: a program that imports it has blas32 and blas64 use kernels in
// assembly where the CPU has what they need (AVX2 with FMA, AVX-512), and gonum's own elsewhere.
//
// It owns the kernels and who uses which. It changes what gonum computes with, for the whole program, and nothing else.
package blas

import (
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
)

func init() {
	blas32.Use(gonum.Implementation{})
	blas64.Use(gonum.Implementation{})
}
