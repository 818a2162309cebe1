package simd

import (
	"math"
	"unsafe"
)

// Kernels of compression. Where there is a lost, it's as long as v, may be v, and is set to what a number loses; it may
// be nil. All give the same bytes on every CPU: products are converted before they're added (the linter's
// unconvert doesn't know), so that none fuses the two.

// Rounding is how numbers become whole: to the nearest, or by chance, which comes from Key and the number's place.
type Rounding struct {
	Stochastic bool
	Key        uint32
}

// Chance is 16 random bits.
func Chance(key, i uint32) uint32 { return mix(key, i) >> 16 }

func mix(key, i uint32) uint32 {
	x := i*0x9e3779b9 ^ key
	x = (x ^ x>>16) * 0x85ebca6b
	return (x ^ x>>13) * 0xc2b2ae35
}

// whole rounds x, the i-th number after place at, to -top…top; but for what a product was rounded, it's between them.
func whole[T Float](x T, top int32, r Rounding, at, i uint32) int32 {
	u := T(0.5)
	if r.Stochastic { // by 15 bits: numbers that are 8 apart share 32
		bits := mix(r.Key, at+i&^8)
		if i&8 == 0 {
			bits &= 1<<15 - 1
		} else {
			bits >>= 17
		}
		u = T(bits) / (1 << 15)
	}
	return min(max(int32(x+(u+(1<<8)))-(1<<8), -top), top)
}

// packing is what the assembly needs to know.
type packing struct {
	scale, inverse float32
	key, at        uint32
}

// start is how many of n elements the assembly does, by so many at a time.
func start[T Float](n, by int) int {
	if !vectors || !single[T]() {
		return 0
	}
	return n / by * by
}

// rest is what is left of lost, which may be nil.
func rest[T Float](lost []T, n int) []T {
	if lost == nil {
		return nil
	}
	return lost[n:]
}

// PackInt8 rounds v times inverse to whole numbers of at most 127; v's first number is at place at of its message.
func PackInt8[T Float](q []byte, lost, v []T, scale, inverse T, r Rounding, at uint32) {
	q = q[:len(v)]
	if n := start[T](len(v), 16); n > 0 {
		p := packing{float32(scale), float32(inverse), r.Key, at}
		if r.Stochastic {
			packInt8Chance(pointers(q, lost, v, &p, n))
		} else {
			packInt8(pointers(q, lost, v, &p, n))
		}
		q, lost, v, at = q[n:], rest(lost, n), v[n:], at+uint32(n)
	}
	for i, x := range v {
		w := whole(T(x*inverse), 127, r, at, uint32(i)) //nolint:unconvert // rounds
		q[i] = byte(w)
		if lost != nil {
			lost[i] = x - T(T(w)*scale) //nolint:unconvert // rounds
		}
	}
}

func pointers[T Float](q []byte, lost, v []T, p *packing, n int) (_, _, _, _ unsafe.Pointer, _ int) {
	if lost != nil {
		_ = lost[n-1]
	}
	return at(q), at(lost), at(v), unsafe.Pointer(p), n
}

// UnpackInt8 sets out to the whole numbers times scale, or adds them.
func UnpackInt8[T Float](out []T, q []byte, scale T, add bool) {
	q = q[:len(out)]
	if n := start[T](len(out), 8); n > 0 {
		by := float32(scale)
		if add {
			unpackInt8Add(at(out), at(q), unsafe.Pointer(&by), n)
		} else {
			unpackInt8(at(out), at(q), unsafe.Pointer(&by), n)
		}
		out, q = out[n:], q[n:]
	}
	for i := range out {
		x := T(T(int8(q[i])) * scale) //nolint:unconvert // rounds
		if add {
			x += out[i]
		}
		out[i] = x
	}
}

// PackInt4 is PackInt8 of numbers of at most 7: two in a byte, each with 8 added.
func PackInt4[T Float](q []byte, lost, v []T, scale, inverse T, r Rounding, at uint32) {
	q = q[:(len(v)+1)/2]
	if n := start[T](len(v), 16); n > 0 {
		p := packing{float32(scale), float32(inverse), r.Key, at}
		if r.Stochastic {
			packInt4Chance(pointers(q, lost, v, &p, n))
		} else {
			packInt4(pointers(q, lost, v, &p, n))
		}
		q, lost, v, at = q[n/2:], rest(lost, n), v[n:], at+uint32(n)
	}
	for i := range q {
		var b byte
		for j := 2 * i; j < min(2*i+2, len(v)); j++ {
			x := v[j]
			w := whole(T(x*inverse), 7, r, at, uint32(j)) //nolint:unconvert // rounds
			b |= byte(w+8) << (j & 1 * 4)
			if lost != nil {
				lost[j] = x - T(T(w)*scale) //nolint:unconvert // rounds
			}
		}
		q[i] = b
	}
}

// UnpackInt4 sets out to what PackInt4 packed, or adds it.
func UnpackInt4[T Float](out []T, q []byte, scale T, add bool) {
	q = q[:(len(out)+1)/2]
	if n := start[T](len(out), 16); n > 0 {
		by := float32(scale)
		if add {
			unpackInt4Add(at(out), at(q), unsafe.Pointer(&by), n)
		} else {
			unpackInt4(at(out), at(q), unsafe.Pointer(&by), n)
		}
		out, q = out[n:], q[n/2:]
	}
	for i := range out {
		x := T(T(int(q[i>>1]>>(i&1*4)&15)-8) * scale) //nolint:unconvert // rounds
		if add {
			x += out[i]
		}
		out[i] = x
	}
}

// PackSigns has eight numbers in a byte: 1 is 0 or more, and stands for scale.
func PackSigns[T Float](q []byte, lost, v []T, scale T) {
	q = q[:(len(v)+7)/8]
	if n := start[T](len(v), 8); n > 0 {
		packSigns(pointers(q, lost, v, &packing{scale: float32(scale)}, n))
		q, lost, v = q[n/8:], rest(lost, n), v[n:]
	}
	values := [2]T{-scale, scale}
	for i := range q {
		var b byte
		for j := 8 * i; j < min(8*i+8, len(v)); j++ {
			x := v[j]
			bit := byte(1)
			if math.Signbit(float64(x + 0)) { // x+0 makes -0 positive
				bit = 0
			}
			b |= bit << (j & 7)
			if lost != nil {
				lost[j] = x - values[bit]
			}
		}
		q[i] = b
	}
}

// UnpackSigns sets out to what PackSigns packed, or adds it.
func UnpackSigns[T Float](out []T, q []byte, scale T, add bool) {
	q = q[:(len(out)+7)/8]
	if n := start[T](len(out), 8); n > 0 {
		by := float32(scale)
		if add {
			unpackSignsAdd(at(out), at(q), unsafe.Pointer(&by), n)
		} else {
			unpackSigns(at(out), at(q), unsafe.Pointer(&by), n)
		}
		out, q = out[n:], q[n/8:]
	}
	values := [2]T{-scale, scale}
	for i := range out {
		x := values[q[i>>3]>>(i&7)&1]
		if add {
			x += out[i]
		}
		out[i] = x
	}
}

// PackTernary has four numbers in a byte: 1 is above least and stands for scale, 2 is below -least.
func PackTernary[T Float](q []byte, lost, v []T, scale, least T) {
	q = q[:(len(v)+3)/4]
	if n := start[T](len(v), 8); n > 0 {
		packTernary(pointers(q, lost, v, &packing{scale: float32(scale), inverse: float32(least)}, n))
		q, lost, v = q[n/4:], rest(lost, n), v[n:]
	}
	values := [4]T{0, scale, -scale, 0}
	for i := range q {
		var b byte
		for j := 4 * i; j < min(4*i+4, len(v)); j++ {
			x := v[j]
			c := ternary(x, least)
			b |= c << (j & 3 * 2)
			if lost != nil {
				lost[j] = x - values[c]
			}
		}
		q[i] = b
	}
}

func ternary[T Float](x, least T) byte {
	switch {
	case x > least:
		return 1
	case x < -least:
		return 2
	}
	return 0
}

// PackChosen is PackTernary of numbers that are chosen with probability |v| times inverse.
func PackChosen[T Float](q []byte, v []T, inverse T, r Rounding, at uint32) {
	q = q[:(len(v)+3)/4]
	if n := start[T](len(v), 8); n > 0 {
		packChosen(pointers(q, nil, v, &packing{inverse: float32(inverse), key: r.Key, at: at}, n))
		q, v, at = q[n/4:], v[n:], at+uint32(n)
	}
	for i := range q {
		var b byte
		for j := 4 * i; j < min(4*i+4, len(v)); j++ {
			u := (T(Chance(r.Key, at+uint32(j))) + 0.5) / (1 << 16)
			b |= ternary(T(v[j]*inverse), u) << (j & 3 * 2) //nolint:unconvert // rounds
		}
		q[i] = b
	}
}

// UnpackTernary sets out to what PackTernary or PackChosen packed, or adds it.
func UnpackTernary[T Float](out []T, q []byte, scale T, add bool) {
	q = q[:(len(out)+3)/4]
	if n := start[T](len(out), 8); n > 0 {
		by := float32(scale)
		if add {
			unpackTernaryAdd(at(out), at(q), unsafe.Pointer(&by), n)
		} else {
			unpackTernary(at(out), at(q), unsafe.Pointer(&by), n)
		}
		out, q = out[n:], q[n/4:]
	}
	values := [4]T{0, scale, -scale, 0}
	for i := range out {
		x := values[q[i>>2]>>(i&3*2)&3]
		if add {
			x += out[i]
		}
		out[i] = x
	}
}

// AppendLarge appends the places of the numbers whose absolute values aren't less than least.
func AppendLarge[T Float](places []uint32, v []T, least T) []uint32 {
	done := 0
	for n := start[T](len(v), 16); done < n; {
		part := min(n-done, block)
		places = grow(places, part)
		by := packing{scale: float32(least), key: uint32(done)}
		found := findLarge(at(places[len(places):cap(places)]), at(v[done:]), unsafe.Pointer(&by), part)
		places = places[:len(places)+found]
		done += part
	}
	for i, x := range v[done:] {
		if !(T(math.Abs(float64(x))) < least) {
			places = append(places, uint32(done+i))
		}
	}
	return places
}

// grow makes room for n more.
func grow(places []uint32, n int) []uint32 {
	if cap(places)-len(places) >= n {
		return places
	}
	return append(make([]uint32, 0, 2*cap(places)+n), places...)
}

// SumAbove is the sum of the absolute values above least, and how many they are.
func SumAbove[T Float](v []T, least T) (sum float64, count int) {
	for len(v) > 0 {
		n := min(len(v), block)
		parts, above := sumAboveBlock(v[:n], least)
		sum += float64(((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7])))
		count += above
		v = v[n:]
	}
	return sum, count
}

func sumAboveBlock[T Float](v []T, least T) (parts [8]T, count int) {
	n := start[T](len(v), 8)
	if n > 0 {
		by := [8]float32{1: float32(least)}
		count = sumAbove(at(v), unsafe.Pointer(&by), n)
		for i, x := range by {
			parts[i] = T(x)
		}
	}
	for i := n; i < len(v); i++ {
		if x := T(math.Abs(float64(v[i]))); x > least {
			parts[i&7] += x
			count++
		}
	}
	return parts, count
}
