//go:build !amd64

package simd

import "unsafe"

func toFloat16(_, _ unsafe.Pointer, _ int)          { panic(missing) }
func fromFloat16(_, _ unsafe.Pointer, _ int)        { panic(missing) }
func toBFloat16(_, _ unsafe.Pointer, _ int)         { panic(missing) }
func fromBFloat16(_, _ unsafe.Pointer, _ int)       { panic(missing) }
func addInt8(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func addInt16(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func addInt32(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func addInt64(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func minInt8(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func minInt16(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func minInt32(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func maxInt8(_, _ unsafe.Pointer, _ int)            { panic(missing) }
func maxInt16(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func maxInt32(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func minUint8(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func minUint16(_, _ unsafe.Pointer, _ int)          { panic(missing) }
func minUint32(_, _ unsafe.Pointer, _ int)          { panic(missing) }
func maxUint8(_, _ unsafe.Pointer, _ int)           { panic(missing) }
func maxUint16(_, _ unsafe.Pointer, _ int)          { panic(missing) }
func maxUint32(_, _ unsafe.Pointer, _ int)          { panic(missing) }
func streamToFloat16(_, _ unsafe.Pointer, _ int)    { panic(missing) }
func streamFromFloat16(_, _ unsafe.Pointer, _ int)  { panic(missing) }
func streamToBFloat16(_, _ unsafe.Pointer, _ int)   { panic(missing) }
func streamFromBFloat16(_, _ unsafe.Pointer, _ int) { panic(missing) }
