package simd

import "unsafe"

// What these take is said in the assembly.

//go:noescape
func packInt8(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packInt8Chance(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packInt4(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packInt4Chance(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packSigns(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packTernary(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func packChosen(q, lost, v, by unsafe.Pointer, n int)

//go:noescape
func unpackInt8(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackInt8Add(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackInt4(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackInt4Add(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackSigns(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackSignsAdd(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackTernary(out, q, by unsafe.Pointer, n int)

//go:noescape
func unpackTernaryAdd(out, q, by unsafe.Pointer, n int)

//go:noescape
func findLarge(places, v, by unsafe.Pointer, n int) int

//go:noescape
func sumAbove(v, by unsafe.Pointer, n int) int

//go:noescape
func addMaxAbs(dst, x unsafe.Pointer, n int) uint32
