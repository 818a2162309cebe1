//go:build !amd64

package simd

import "unsafe"

func packInt8(_, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func packInt8Chance(_, _, _, _ unsafe.Pointer, _ int) { panic(missing) }
func packInt4(_, _, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func packInt4Chance(_, _, _, _ unsafe.Pointer, _ int) { panic(missing) }
func packSigns(_, _, _, _ unsafe.Pointer, _ int)      { panic(missing) }
func packTernary(_, _, _, _ unsafe.Pointer, _ int)    { panic(missing) }
func packChosen(_, _, _, _ unsafe.Pointer, _ int)     { panic(missing) }
func unpackInt8(_, _, _ unsafe.Pointer, _ int)        { panic(missing) }
func unpackInt8Add(_, _, _ unsafe.Pointer, _ int)     { panic(missing) }
func unpackInt4(_, _, _ unsafe.Pointer, _ int)        { panic(missing) }
func unpackInt4Add(_, _, _ unsafe.Pointer, _ int)     { panic(missing) }
func unpackSigns(_, _, _ unsafe.Pointer, _ int)       { panic(missing) }
func unpackSignsAdd(_, _, _ unsafe.Pointer, _ int)    { panic(missing) }
func unpackTernary(_, _, _ unsafe.Pointer, _ int)     { panic(missing) }
func unpackTernaryAdd(_, _, _ unsafe.Pointer, _ int)  { panic(missing) }
func findLarge(_, _, _ unsafe.Pointer, _ int) int     { panic(missing) }
func sumAbove(_, _ unsafe.Pointer, _ int) int         { panic(missing) }
func addMaxAbs(_, _ unsafe.Pointer, _ int) uint32     { panic(missing) }
