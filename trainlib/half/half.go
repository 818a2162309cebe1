// Package half has floating-point numbers of 16 bits: IEEE 754's binary16, and bfloat16. It owns
// how they are converted, rounding to nearest, ties to even; what computes with them does so in float32.
package half

import "math"

// Float16 is IEEE 754 binary16.
type Float16 uint16

// BFloat16 is the upper half of a float32.
type BFloat16 uint16

// FromFloat32 rounds f. What is too large becomes an infinity.
func FromFloat32(f float32) Float16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	e := int(b>>23&0xff) - 127
	m := b & 0x7fffff
	switch {
	case e == 128: // infinite, or not a number, which keeps its upper bits and stays quiet
		if m != 0 {
			return Float16(sign | 0x7e00 | uint16(m>>13))
		}
		return Float16(sign | 0x7c00)
	case e >= 16:
		return Float16(sign | 0x7c00)
	case e >= -14:
		return Float16(sign | uint16(roundShift(uint32(e+15)<<23|m, 13)))
	case e >= -25: // subnormal
		return Float16(sign | uint16(roundShift(m|0x800000, uint(-e-1))))
	}
	return Float16(sign)
}

// roundShift is v>>n, rounded to nearest, ties to even.
func roundShift(v uint32, n uint) uint32 {
	q, rest, halfway := v>>n, v&(1<<n-1), uint32(1)<<(n-1)
	if rest > halfway || rest == halfway && q&1 == 1 {
		q++
	}
	return q
}

// Float32 is exact.
func (h Float16) Float32() float32 {
	sign, e, m := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case e == 0x1f:
		if m != 0 {
			m |= 0x200 // quiet
		}
		return math.Float32frombits(sign | 0x7f800000 | m<<13)
	case e != 0:
		return math.Float32frombits(sign | (e+112)<<23 | m<<13)
	}
	f := float32(m) / (1 << 24)
	if sign != 0 {
		f = -f
	}
	return f
}

// BFromFloat32 rounds f.
func BFromFloat32(f float32) BFloat16 {
	b := math.Float32bits(f)
	if f != f {
		return BFloat16(b>>16 | 0x40)
	}
	return BFloat16((b + 0x7fff + b>>16&1) >> 16)
}

// Float32 is exact.
func (h BFloat16) Float32() float32 { return math.Float32frombits(uint32(h) << 16) }
