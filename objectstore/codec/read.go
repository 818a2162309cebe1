package codec

import (
	"fmt"
	"math"
)

// fail makes the error for what stands at the reading position.
func (d *Decoder) fail(err error) error { return &DecodeError{Offset: d.pos, Err: err} }

func (d *Decoder) rest() int { return len(d.buf) - d.pos }

// mismatch says what was wanted and what stands there instead.
func (d *Decoder) mismatch(want string) error {
	if d.pos >= len(d.buf) {
		return d.fail(ErrTruncated)
	}
	return d.fail(fmt.Errorf("%w: want %s, found %s", ErrMismatch, want, formName(d.buf[d.pos])))
}

func formName(c byte) string {
	switch {
	case c < mFixMap, c >= mNegative, c >= mUint8 && c <= mInt64:
		return "an integer"
	case c < mFixArray, c == mMap16, c == mMap32:
		return "a map"
	case c < mFixStr, c == mArray16, c == mArray32:
		return "an array"
	case c < mNil, c >= mStr8 && c <= mStr32:
		return "a string"
	case c == mNil:
		return "nil"
	case c == mFalse, c == mTrue:
		return "a bool"
	case c >= mBin8 && c <= mBin32:
		return "bytes"
	case c == mFloat32, c == mFloat64:
		return "a float"
	case c >= mExt8 && c <= mExt32, c >= mFixExt1 && c <= mFixExt16:
		return "an extension"
	}
	return "the unused code 0xc1"
}

// isNil consumes a nil if one is next.
func (d *Decoder) isNil() bool {
	if d.pos < len(d.buf) && d.buf[d.pos] == mNil {
		d.pos++
		return true
	}
	return false
}

// uint reads the big-endian number of n bytes that follows the form's first
// byte, and moves past both.
func (d *Decoder) uint(n int) (uint64, error) {
	b := d.buf[d.pos+1:]
	if len(b) < n {
		return 0, d.fail(ErrTruncated)
	}
	d.pos += 1 + n
	switch n {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(be.Uint16(b)), nil
	case 4:
		return uint64(be.Uint32(b)), nil
	}
	return be.Uint64(b), nil
}

// number reads an integer of any form, or nil as 0. neg says that v is the two's
// complement of a negative one.
func (d *Decoder) number(want string) (v uint64, neg bool, err error) {
	if d.pos >= len(d.buf) {
		return 0, false, d.fail(ErrTruncated)
	}
	c := d.buf[d.pos]
	switch {
	case c < mFixMap:
		d.pos++
		return uint64(c), false, nil
	case c >= mNegative:
		d.pos++
		return uint64(int64(int8(c))), true, nil
	case c >= mUint8 && c <= mUint64:
		v, err = d.uint(1 << (c - mUint8))
		return v, false, err
	case c >= mInt8 && c <= mInt64:
		width := 1 << (c - mInt8)
		if v, err = d.uint(width); err != nil {
			return 0, false, err
		}
		shift := 64 - 8*width
		s := int64(v<<shift) >> shift
		return uint64(s), s < 0, nil
	case c == mNil:
		d.pos++
		return 0, false, nil
	}
	return 0, false, d.mismatch(want)
}

func (d *Decoder) readInt() (int64, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] < mFixMap {
		d.pos++
		return int64(d.buf[d.pos-1]), nil
	}
	start := d.pos
	v, neg, err := d.number("an integer")
	if err != nil {
		return 0, err
	}
	if !neg && v > math.MaxInt64 {
		return 0, d.outOfRange(start, v, "int64")
	}
	return int64(v), nil
}

func (d *Decoder) readUint() (uint64, error) {
	start := d.pos
	v, neg, err := d.number("an integer")
	if err != nil {
		return 0, err
	}
	if neg {
		return 0, d.outOfRange(start, int64(v), "an unsigned integer")
	}
	return v, nil
}

func (d *Decoder) outOfRange(pos int, v any, typ string) error {
	return &DecodeError{Offset: pos, Err: fmt.Errorf("%w: %v doesn't fit %s", ErrRange, v, typ)}
}

func (d *Decoder) readFloat() (float64, error) {
	if d.pos >= len(d.buf) {
		return 0, d.fail(ErrTruncated)
	}
	switch d.buf[d.pos] {
	case mFloat64:
		v, err := d.uint(8)
		return math.Float64frombits(v), err
	case mFloat32:
		v, err := d.uint(4)
		return float64(math.Float32frombits(uint32(v))), err
	}
	v, neg, err := d.number("a number")
	if neg {
		return float64(int64(v)), err
	}
	return float64(v), err
}

// readFloat32 keeps the bits of a float 32, which a detour by float64 may not
// (signalling NaNs).
func (d *Decoder) readFloat32() (float32, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] == mFloat32 {
		v, err := d.uint(4)
		return math.Float32frombits(uint32(v)), err
	}
	v, err := d.readFloat()
	return float32(v), err
}

func (d *Decoder) readBool() (bool, error) {
	if d.pos >= len(d.buf) {
		return false, d.fail(ErrTruncated)
	}
	switch d.buf[d.pos] {
	case mTrue:
		d.pos++
		return true, nil
	case mFalse, mNil:
		d.pos++
		return false, nil
	}
	return false, d.mismatch("a bool")
}

// readRaw reads a str or bin without copying it. nil gives a nil slice, which
// an empty str or bin doesn't.
func (d *Decoder) readRaw(want string) ([]byte, error) {
	if d.pos >= len(d.buf) {
		return nil, d.fail(ErrTruncated)
	}
	start := d.pos
	c := d.buf[d.pos]
	var n uint64
	var err error
	switch {
	case c >= mFixStr && c < mNil:
		n = uint64(c & 31)
		d.pos++
	case c >= mStr8 && c <= mStr32:
		n, err = d.uint(1 << (c - mStr8))
	case c >= mBin8 && c <= mBin32:
		n, err = d.uint(1 << (c - mBin8))
	case c == mNil:
		d.pos++
		return nil, nil
	default:
		return nil, d.mismatch(want)
	}
	if err != nil {
		return nil, err
	}
	if n > uint64(d.rest()) {
		return nil, &DecodeError{Offset: start, Err: ErrTruncated}
	}
	b := d.buf[d.pos : d.pos+int(n) : d.pos+int(n)]
	d.pos += int(n)
	return b, nil
}

// readArray reads an array's header; a nil gives -1. The count never exceeds
// the bytes left: every element takes one at least.
func (d *Decoder) readArray() (int, error) {
	if d.pos >= len(d.buf) {
		return 0, d.fail(ErrTruncated)
	}
	c := d.buf[d.pos]
	switch {
	case c >= mFixArray && c < mFixStr:
		d.pos++
		return d.count(uint64(c&15), 1)
	case c == mArray16 || c == mArray32:
		n, err := d.uint(2 << (c - mArray16))
		if err != nil {
			return 0, err
		}
		return d.count(n, 1)
	case c == mNil:
		d.pos++
		return -1, nil
	}
	return 0, d.mismatch("an array")
}

// readMap reads a map's header; a nil gives -1.
func (d *Decoder) readMap(want string) (int, error) {
	if d.pos >= len(d.buf) {
		return 0, d.fail(ErrTruncated)
	}
	c := d.buf[d.pos]
	switch {
	case c >= mFixMap && c < mFixArray:
		d.pos++
		return d.count(uint64(c&15), 2)
	case c == mMap16 || c == mMap32:
		n, err := d.uint(2 << (c - mMap16))
		if err != nil {
			return 0, err
		}
		return d.count(n, 2)
	case c == mNil:
		d.pos++
		return -1, nil
	}
	return 0, d.mismatch(want)
}

func (d *Decoder) count(n, each uint64) (int, error) {
	if n*each > uint64(d.rest()) {
		return 0, d.fail(ErrTruncated)
	}
	return int(n), nil
}

// readExt reads an extension whole; the payload aliases the source.
func (d *Decoder) readExt() (kind int8, payload []byte, err error) {
	if d.pos >= len(d.buf) {
		return 0, nil, d.fail(ErrTruncated)
	}
	start := d.pos
	c := d.buf[d.pos]
	var n uint64
	switch {
	case c >= mFixExt1 && c <= mFixExt16:
		n = 1 << (c - mFixExt1)
		d.pos++
	case c >= mExt8 && c <= mExt32:
		if n, err = d.uint(1 << (c - mExt8)); err != nil {
			return 0, nil, err
		}
	default:
		return 0, nil, d.mismatch("an extension")
	}
	if n+1 > uint64(d.rest()) {
		return 0, nil, &DecodeError{Offset: start, Err: ErrTruncated}
	}
	kind = int8(d.buf[d.pos])
	end := d.pos + 1 + int(n)
	payload = d.buf[d.pos+1 : end : end]
	d.pos = end
	return kind, payload, nil
}

// isExt says whether an extension is next.
func (d *Decoder) isExt() bool {
	if d.pos >= len(d.buf) {
		return false
	}
	c := d.buf[d.pos]
	return c >= mExt8 && c <= mExt32 || c >= mFixExt1 && c <= mFixExt16
}

// isExtOf says whether an extension of a kind is next.
func (d *Decoder) isExtOf(kind int8) bool {
	if !d.isExt() {
		return false
	}
	at := d.pos + 1 // of the kind
	if c := d.buf[d.pos]; c <= mExt32 {
		at += 1 << (c - mExt8)
	}
	return at < len(d.buf) && int8(d.buf[at]) == kind
}

// skip moves past one value of any form, without recursion.
func (d *Decoder) skip() error {
	for pending := 1; pending > 0; pending-- {
		if pending > d.rest() {
			return d.fail(ErrTruncated)
		}
		n, err := d.skipHead()
		if err != nil {
			return err
		}
		pending += n
	}
	return nil
}

// skipHead moves past a scalar, or the header of an array or map, and says how
// many values follow as its contents.
func (d *Decoder) skipHead() (inner int, err error) {
	c := d.buf[d.pos]
	switch {
	case c < mFixMap, c >= mNegative, c == mNil, c == mFalse, c == mTrue:
		d.pos++
	case c >= mUint8 && c <= mInt64:
		_, err = d.uint(1 << ((c - mUint8) & 3))
	case c == mFloat32:
		_, err = d.uint(4)
	case c == mFloat64:
		_, err = d.uint(8)
	case c < mFixArray, c == mMap16, c == mMap32:
		inner, err = d.readMap("a map")
		inner *= 2
	case c < mFixStr, c == mArray16, c == mArray32:
		inner, err = d.readArray()
	case c < mNil, c >= mStr8 && c <= mStr32, c >= mBin8 && c <= mBin32:
		_, err = d.readRaw("a string")
	case d.isExt():
		_, _, err = d.readExt()
	default:
		err = d.fail(fmt.Errorf("%w: code 0x%02x", ErrMalformed, c))
	}
	return inner, err
}
