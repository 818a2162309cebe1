// Package simd computes with vectors as fast as the CPU can: Go assembly where there is some for
// it, else plain Go, which is what the assembly is tested against.
//
// It owns kernels on slices that don't overlap (but where one is named as both), all of the same length as the
// first unless said, and which CPU gets which. It never allocates, starts a goroutine or checks what callers must.
package simd
