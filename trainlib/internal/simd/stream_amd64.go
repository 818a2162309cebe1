package simd

import "unsafe"

// stream copies blocks of a line; dst is aligned to that.
//
//go:noescape
func stream(dst, src unsafe.Pointer, blocks int)
