package simd

import "unsafe"

//go:noescape
func toFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func fromFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func toBFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func fromBFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func addInt8(dst, x unsafe.Pointer, n int)

//go:noescape
func addInt16(dst, x unsafe.Pointer, n int)

//go:noescape
func addInt32(dst, x unsafe.Pointer, n int)

//go:noescape
func addInt64(dst, x unsafe.Pointer, n int)

//go:noescape
func minInt8(dst, x unsafe.Pointer, n int)

//go:noescape
func minInt16(dst, x unsafe.Pointer, n int)

//go:noescape
func minInt32(dst, x unsafe.Pointer, n int)

//go:noescape
func maxInt8(dst, x unsafe.Pointer, n int)

//go:noescape
func maxInt16(dst, x unsafe.Pointer, n int)

//go:noescape
func maxInt32(dst, x unsafe.Pointer, n int)

//go:noescape
func minUint8(dst, x unsafe.Pointer, n int)

//go:noescape
func minUint16(dst, x unsafe.Pointer, n int)

//go:noescape
func minUint32(dst, x unsafe.Pointer, n int)

//go:noescape
func maxUint8(dst, x unsafe.Pointer, n int)

//go:noescape
func maxUint16(dst, x unsafe.Pointer, n int)

//go:noescape
func maxUint32(dst, x unsafe.Pointer, n int)

//go:noescape
func streamToFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func streamFromFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func streamToBFloat16(dst, src unsafe.Pointer, n int)

//go:noescape
func streamFromBFloat16(dst, src unsafe.Pointer, n int)
