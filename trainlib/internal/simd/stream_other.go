//go:build !amd64

package simd

import "unsafe"

func stream(_, _ unsafe.Pointer, _ int) { panic(missing) }
