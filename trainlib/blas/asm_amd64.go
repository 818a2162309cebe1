package blas

import "unsafe"

// A tile is what one call of a kernel computes: some rows of c, as wide as at most two registers. Strides are in bytes.
type tile struct {
	m, k     int            // rows of a, and columns; above 0
	a        unsafe.Pointer // its element (i, p) is at i*ars + p*acs
	ars, acs int
	next     int            // from a's first row to that after a whole tile
	b        unsafe.Pointer // k rows, brs apart
	brs      int
	c        unsafe.Pointer // m rows, ldc apart
	ldc      int
	alpha    uint64         // its bits
	add      int            // 1: what was in c counts, 0: it's overwritten
	mask     unsafe.Pointer // to a register that is 1s where its part has elements
	part     int            // how many elements that is
	rows     [6 * 32]byte   //nolint:unused // the assembly's: rows of which parts are stored
	lanes    int            // AVX-512: the mask instead, 16 bits a register
	done     int            // AVX-512: how far from a the next rows are; 0 at first
}

// wide computes tiles that are two registers wide, cut those whose second register is a part, slim those that are a part of a register or one.

//go:noescape
func wide32(t *tile)

//go:noescape
func cut32(t *tile)

//go:noescape
func slim32(t *tile)

//go:noescape
func wide64(t *tile)

//go:noescape
func cut64(t *tile)

//go:noescape
func slim64(t *tile)

// The same with AVX-512, whose registers are twice as wide; cut masks both.

//go:noescape
func wide32x512(t *tile)

//go:noescape
func cut32x512(t *tile)

//go:noescape
func wide64x512(t *tile)

//go:noescape
func cut64x512(t *tile)

// packRows copies k rows, two registers wide, from bytes apart, to rows stride bytes apart; what the mask leaves out
// isn't read and becomes 0. packSlim copies one register of each.

//go:noescape
func packRows32(dst unsafe.Pointer, stride int, src unsafe.Pointer, from, k int, mask unsafe.Pointer)

//go:noescape
func packSlim32(dst unsafe.Pointer, stride int, src unsafe.Pointer, from, k int, mask unsafe.Pointer)

//go:noescape
func packRows64(dst unsafe.Pointer, stride int, src unsafe.Pointer, from, k int, mask unsafe.Pointer)

//go:noescape
func packSlim64(dst unsafe.Pointer, stride int, src unsafe.Pointer, from, k int, mask unsafe.Pointer)

// turn copies rows (8 of float32, 4 of float64) of n registers each to columns: element p of all rows goes to the register at p*stride.

//go:noescape
func turn32(dst unsafe.Pointer, stride int, rows *[8]unsafe.Pointer, n int)

//go:noescape
func turn64(dst unsafe.Pointer, stride int, rows *[8]unsafe.Pointer, n int)
