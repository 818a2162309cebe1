package simd

import "unsafe"

func addPlain[T Float](dst, x []T) {
	for i := range dst {
		dst[i] += x[i]
	}
}

func squaredNormPlain[T Float](x []T) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func maxAbsPlain[T Float](x []T) T {
	var most T
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v != v {
			return v
		}
		most = max(most, v)
	}
	return most
}

// fold adds up in the order that the assembly does: four registers at a time, then one, then what's left of one.
func fold[T Float](x []T, of func(T) T) T {
	var zero T
	lane := 32 / int(unsafe.Sizeof(zero))
	var sums [4][8]T
	for ; len(x) >= 4*lane; x = x[4*lane:] {
		for i, v := range x[:4*lane] {
			sums[i/lane][i%lane] += of(v)
		}
	}
	for ; len(x) >= lane; x = x[lane:] {
		for i, v := range x[:lane] {
			sums[0][i] += of(v)
		}
	}
	for i, v := range x {
		sums[1][i] += of(v)
	}
	for i := range sums[0] {
		sums[0][i] = (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i])
	}
	s := sums[0][:lane]
	for i := range lane / 2 {
		s[i] += s[i+lane/2]
	}
	if lane == 4 {
		return s[0] + s[1]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}
