package half

import (
	"sync"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
)

// Encode rounds src to dst, which is at least as long, as FromFloat32 does.
func Encode(dst []Float16, src []float32) {
	dst = dst[:len(src)]
	for i := simd.ToFloat16(dst, src); i < len(src); i++ {
		dst[i] = FromFloat32(src[i])
	}
}

// Decode converts src to dst, which is at least as long.
func Decode(dst []float32, src []Float16) {
	dst = dst[:len(src)]
	for i := simd.FromFloat16(dst, src); i < len(src); i++ {
		dst[i] = src[i].Float32()
	}
}

// BEncode rounds src to dst, which is at least as long, as BFromFloat32 does.
func BEncode(dst []BFloat16, src []float32) {
	dst = dst[:len(src)]
	for i := simd.ToBFloat16(dst, src); i < len(src); i++ {
		dst[i] = BFromFloat32(src[i])
	}
}

// BDecode converts src to dst, which is at least as long.
func BDecode(dst []float32, src []BFloat16) {
	dst = dst[:len(src)]
	for i := simd.FromBFloat16(dst, src); i < len(src); i++ {
		dst[i] = src[i].Float32()
	}
}

// piece is how many numbers are computed with at a time: they stay in the CPU's first cache.
const piece = 1024

var spaces = sync.Pool{New: func() any { return new([2][piece]float32) }}

// Combine makes dst f of dst and x, which is as long: f gets some of both as float32 and leaves in dst what is rounded.
func Combine(dst, x []Float16, f func(dst, x []float32)) { combine(dst, x, f, Decode, Encode) }

// BCombine is Combine of the other type.
func BCombine(dst, x []BFloat16, f func(dst, x []float32)) { combine(dst, x, f, BDecode, BEncode) }

func combine[H Float16 | BFloat16](dst, x []H, f func(dst, x []float32), decode func([]float32, []H), encode func([]H, []float32)) {
	x = x[:len(dst)]
	space := spaces.Get().(*[2][piece]float32)
	defer spaces.Put(space)
	for len(dst) > 0 {
		n := min(len(dst), piece)
		d, s := space[0][:n], space[1][:n]
		decode(d, dst[:n])
		decode(s, x[:n])
		f(d, s)
		encode(dst[:n], d)
		dst, x = dst[n:], x[n:]
	}
}
