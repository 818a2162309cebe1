// Package simd computes with arrays as fast as the CPU can: Go assembly for AVX2, else plain Go, which is what the
// assembly is tested against. GRAY_SIMD=off in the environment is plain Go.
//
// It owns kernels on slices that don't overlap (but where one is named as both), all of the same length as the
// first unless said, and which CPU gets which. It never allocates (but where it appends), starts a goroutine or checks what callers must.
//
// Invariants: nothing is read or written outside of the slices; what becomes of an element doesn't depend on where in
// a slice it is. Packed bytes and what is unpacked, sums of Sum, SumAbs and SumAbove, Add, Mul, Min and Max are the
// same on every CPU; products that are added may be fused, so the others may differ in the last places.
//
// The assembly: a .h is for both types of floats, which the .s that includes it defines; a kernel is a STEP on one register,
// and each_avx2_amd64.h has the loops. The rest of an array, less than a register, is loaded and stored by mask.
package simd
