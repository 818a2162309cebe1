package simd

import "unsafe"

// The conversions of 16-bit floats begin at the first element and return how many they have converted; the others are
// the caller's, who knows how. Rounding is to nearest, ties to even.

// ToFloat16 converts src to binary16.
func ToFloat16[H ~uint16](dst []H, src []float32) int { return convert(toFloat16s, dst, src) }

// FromFloat16 converts src from binary16.
func FromFloat16[H ~uint16](dst []float32, src []H) int { return convert(fromFloat16s, dst, src) }

// ToBFloat16 converts src to bfloat16.
func ToBFloat16[H ~uint16](dst []H, src []float32) int { return convert(toBFloat16s, dst, src) }

// FromBFloat16 converts src from bfloat16.
func FromBFloat16[H ~uint16](dst []float32, src []H) int { return convert(fromBFloat16s, dst, src) }

type conversion int

const (
	toFloat16s conversion = iota
	fromFloat16s
	toBFloat16s
	fromBFloat16s
)

// streamBytes is from how large a dst on the caches are passed by: its old contents aren't read, and other data stays in
// them. Measured: what makes 16 bits gains by then what it loses if they're read soon (x1.3 at 8 MiB); what makes
// 32 only when both arrays are larger than a cache of 32 MiB (x1.7 at 64 MiB). Tests change it.
var streamBytes = [...]int{toFloat16s: 4 << 20, toBFloat16s: 4 << 20, fromFloat16s: 32 << 20, fromBFloat16s: 32 << 20}

const line = 64 // bytes, of the caches

func convert[D, S any](c conversion, dst []D, src []S) int {
	n := len(src) &^ 15
	if !vectors || n == 0 {
		return 0
	}
	dst, src = dst[:n], src[:n]
	size := int(unsafe.Sizeof(dst[0]))
	first := int(-uintptr(at(dst)) % line) // bytes before the first whole line
	if n*size < max(streamBytes[c], 2*line) || first%size != 0 {
		c.run(at(dst), at(src), n)
		return n
	}
	// The ends overlap what is between them: elements become the same wherever they are.
	lo, ends := first/size, line/size
	hi := lo + (n-lo)&^(ends-1)
	c.run(at(dst), at(src), ends)
	c.stream(at(dst[lo:]), at(src[lo:]), hi-lo)
	c.run(at(dst[n-ends:]), at(src[n-ends:]), ends)
	return n
}

func (c conversion) run(dst, src unsafe.Pointer, n int) {
	switch c {
	case toFloat16s:
		toFloat16(dst, src, n)
	case fromFloat16s:
		fromFloat16(dst, src, n)
	case toBFloat16s:
		toBFloat16(dst, src, n)
	case fromBFloat16s:
		fromBFloat16(dst, src, n)
	}
}

// stream writes whole lines past the caches.
func (c conversion) stream(dst, src unsafe.Pointer, n int) {
	switch c {
	case toFloat16s:
		streamToFloat16(dst, src, n)
	case fromFloat16s:
		streamFromFloat16(dst, src, n)
	case toBFloat16s:
		streamToBFloat16(dst, src, n)
	case fromBFloat16s:
		streamFromBFloat16(dst, src, n)
	}
}
