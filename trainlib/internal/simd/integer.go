package simd

import "unsafe"

// Integer is what is added up besides floats.
type Integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// registers says how many registers n elements fill, and how many elements that is; 0 where there is no assembly.
func registers[T Integer](n int) (filled, elements int) {
	if !vectors {
		return 0, 0
	}
	per := 32 / int(unsafe.Sizeof(T(0)))
	return n / per, n / per * per
}

func signed[T Integer]() bool { return T(0)-1 < 0 }

// AddInts adds x to dst, and wraps round as Go does.
func AddInts[T Integer](dst, x []T) {
	x = x[:len(dst)]
	filled, done := registers[T](len(dst))
	if filled > 0 {
		switch unsafe.Sizeof(T(0)) {
		case 1:
			addInt8(at(dst), at(x), filled)
		case 2:
			addInt16(at(dst), at(x), filled)
		case 4:
			addInt32(at(dst), at(x), filled)
		default:
			addInt64(at(dst), at(x), filled)
		}
	}
	for i := done; i < len(dst); i++ {
		dst[i] += x[i]
	}
}

// MinInts makes dst the lesser of itself and x.
func MinInts[T Integer](dst, x []T) {
	x = x[:len(dst)]
	filled, done := registers[T](len(dst))
	switch size := unsafe.Sizeof(T(0)); {
	case filled == 0 || size == 8:
		done = 0
	case size == 1 && signed[T]():
		minInt8(at(dst), at(x), filled)
	case size == 1:
		minUint8(at(dst), at(x), filled)
	case size == 2 && signed[T]():
		minInt16(at(dst), at(x), filled)
	case size == 2:
		minUint16(at(dst), at(x), filled)
	case signed[T]():
		minInt32(at(dst), at(x), filled)
	default:
		minUint32(at(dst), at(x), filled)
	}
	for i := done; i < len(dst); i++ {
		dst[i] = min(dst[i], x[i])
	}
}

// MaxInts makes dst the greater of itself and x.
func MaxInts[T Integer](dst, x []T) {
	x = x[:len(dst)]
	filled, done := registers[T](len(dst))
	switch size := unsafe.Sizeof(T(0)); {
	case filled == 0 || size == 8:
		done = 0
	case size == 1 && signed[T]():
		maxInt8(at(dst), at(x), filled)
	case size == 1:
		maxUint8(at(dst), at(x), filled)
	case size == 2 && signed[T]():
		maxInt16(at(dst), at(x), filled)
	case size == 2:
		maxUint16(at(dst), at(x), filled)
	case signed[T]():
		maxInt32(at(dst), at(x), filled)
	default:
		maxUint32(at(dst), at(x), filled)
	}
	for i := done; i < len(dst); i++ {
		dst[i] = max(dst[i], x[i])
	}
}
