package codec

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// The first bytes of msgpack's forms.
const (
	mFixMap   = 0x80
	mFixArray = 0x90
	mFixStr   = 0xa0
	mNil      = 0xc0
	mFalse    = 0xc2
	mTrue     = 0xc3
	mBin8     = 0xc4
	mBin16    = 0xc5
	mBin32    = 0xc6
	mExt8     = 0xc7
	mExt16    = 0xc8
	mExt32    = 0xc9
	mFloat32  = 0xca
	mFloat64  = 0xcb
	mUint8    = 0xcc
	mUint16   = 0xcd
	mUint32   = 0xce
	mUint64   = 0xcf
	mInt8     = 0xd0
	mInt16    = 0xd1
	mInt32    = 0xd2
	mInt64    = 0xd3
	mFixExt1  = 0xd4
	mFixExt16 = 0xd8
	mStr8     = 0xd9
	mStr16    = 0xda
	mStr32    = 0xdb
	mArray16  = 0xdc
	mArray32  = 0xdd
	mMap16    = 0xde
	mMap32    = 0xdf
	mNegative = 0xe0
)

var be = binary.BigEndian

func appendInt(b []byte, v int64) []byte {
	if v >= 0 {
		return appendUint(b, uint64(v))
	}
	switch {
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, mInt8, byte(v))
	case v >= math.MinInt16:
		return append(b, mInt16, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return be.AppendUint32(append(b, mInt32), uint32(v))
	}
	return be.AppendUint64(append(b, mInt64), uint64(v))
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, mUint8, byte(v))
	case v <= math.MaxUint16:
		return append(b, mUint16, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return be.AppendUint32(append(b, mUint32), uint32(v))
	}
	return be.AppendUint64(append(b, mUint64), v)
}

func appendFloat32(b []byte, f float32) []byte {
	return be.AppendUint32(append(b, mFloat32), math.Float32bits(f))
}

func appendFloat64(b []byte, f float64) []byte {
	return be.AppendUint64(append(b, mFloat64), math.Float64bits(f))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, mTrue)
	}
	return append(b, mFalse)
}

// The header functions take lengths that the caller has checked with fits.

func fits(n int) bool { return uint64(n) <= math.MaxUint32 }

func appendStr(b []byte, s string) []byte {
	n := len(s)
	switch {
	case n < 32:
		b = append(b, mFixStr|byte(n))
	case n <= math.MaxUint8:
		b = append(b, mStr8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, mStr16, byte(n>>8), byte(n))
	default:
		b = be.AppendUint32(append(b, mStr32), uint32(n))
	}
	return appendData(b, unsafe.Slice(unsafe.StringData(s), n))
}

func appendBin(b, data []byte) []byte {
	n := len(data)
	switch {
	case n <= math.MaxUint8:
		b = append(b, mBin8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, mBin16, byte(n>>8), byte(n))
	default:
		b = be.AppendUint32(append(b, mBin32), uint32(n))
	}
	return appendData(b, data)
}

func appendArray(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, mFixArray|byte(n))
	case n <= math.MaxUint16:
		return append(b, mArray16, byte(n>>8), byte(n))
	}
	return be.AppendUint32(append(b, mArray32), uint32(n))
}

func appendMap(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, mFixMap|byte(n))
	case n <= math.MaxUint16:
		return append(b, mMap16, byte(n>>8), byte(n))
	}
	return be.AppendUint32(append(b, mMap32), uint32(n))
}

func appendExt(b []byte, kind int8, payload []byte) []byte {
	n := len(payload)
	switch {
	case n == 1 || n == 2 || n == 4 || n == 8 || n == 16:
		b = append(b, mFixExt1+fixExtIndex(n), byte(kind))
	case n <= math.MaxUint8:
		b = append(b, mExt8, byte(n), byte(kind))
	case n <= math.MaxUint16:
		b = append(b, mExt16, byte(n>>8), byte(n), byte(kind))
	default:
		b = append(be.AppendUint32(append(b, mExt32), uint32(n)), byte(kind))
	}
	return append(b, payload...)
}

func fixExtIndex(n int) byte {
	var i byte
	for ; n > 1; n >>= 1 {
		i++
	}
	return i
}

// Most bytes that a header takes.
const (
	headMax    = 5 // str, bin, array, map
	extHeadMax = 6
)
