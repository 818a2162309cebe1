package codec

import (
	"reflect"
	"unsafe"
)

// fillScalar compiles bools and numbers; false if the kind is none of them.
func fillScalar(n *node) bool {
	switch n.typ.Kind() {
	case reflect.Bool:
		n.fixed = 1
		n.enc = func(e *Encoder, p unsafe.Pointer) error {
			e.buf = appendBool(e.buf, *(*bool)(p))
			return nil
		}
		n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
			*(*bool)(p), err = d.readBool()
			return err
		}
	case reflect.Int8:
		fillInt[int8](n)
	case reflect.Int16:
		fillInt[int16](n)
	case reflect.Int32:
		fillInt[int32](n)
	case reflect.Int, reflect.Int64:
		fillInt[int64](n)
	case reflect.Uint8:
		fillUint[uint8](n)
	case reflect.Uint16:
		fillUint[uint16](n)
	case reflect.Uint32:
		fillUint[uint32](n)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		fillUint[uint64](n)
	case reflect.Float32, reflect.Float64:
		fillFloat(n)
	case reflect.Complex64, reflect.Complex128:
		fillComplex(n)
	default:
		return false
	}
	fixed := n.fixed
	n.size = func(*Encoder, unsafe.Pointer) (int, error) { return fixed, nil }
	return true
}

func fillInt[T int8 | int16 | int32 | int64](n *node) {
	n.fixed = 1 + int(unsafe.Sizeof(T(0)))
	name := n.typ.Kind().String()
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.buf = appendInt(e.buf, int64(*(*T)(p)))
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		v, err := d.readInt()
		if err != nil {
			return err
		}
		if int64(T(v)) != v {
			return d.outOfRange(start, v, name)
		}
		*(*T)(p) = T(v)
		return nil
	}
}

func fillUint[T uint8 | uint16 | uint32 | uint64](n *node) {
	n.fixed = 1 + int(unsafe.Sizeof(T(0)))
	name := n.typ.Kind().String()
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.buf = appendUint(e.buf, uint64(*(*T)(p)))
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		v, err := d.readUint()
		if err != nil {
			return err
		}
		if uint64(T(v)) != v {
			return d.outOfRange(start, v, name)
		}
		*(*T)(p) = T(v)
		return nil
	}
}

func fillFloat(n *node) {
	if n.typ.Kind() == reflect.Float32 {
		n.fixed = 5
		n.enc = func(e *Encoder, p unsafe.Pointer) error {
			e.buf = appendFloat32(e.buf, *(*float32)(p))
			return nil
		}
		n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
			*(*float32)(p), err = d.readFloat32()
			return err
		}
		return
	}
	n.fixed = 9
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.buf = appendFloat64(e.buf, *(*float64)(p))
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*float64)(p), err = d.readFloat()
		return err
	}
}

func fillComplex(n *node) {
	if n.typ.Kind() == reflect.Complex64 {
		n.fixed = 11
		n.enc = func(e *Encoder, p unsafe.Pointer) error {
			v := *(*complex64)(p)
			e.buf = appendFloat32(append(e.buf, mFixArray|2), real(v))
			e.buf = appendFloat32(e.buf, imag(v))
			return nil
		}
		n.dec = func(d *Decoder, p unsafe.Pointer) error {
			var f [2]float32
			err := d.readPair(func(i int) (err error) { f[i], err = d.readFloat32(); return err })
			*(*complex64)(p) = complex(f[0], f[1])
			return err
		}
		return
	}
	n.fixed = 19
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		v := *(*complex128)(p)
		e.buf = appendFloat64(append(e.buf, mFixArray|2), real(v))
		e.buf = appendFloat64(e.buf, imag(v))
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		var f [2]float64
		err := d.readPair(func(i int) (err error) { f[i], err = d.readFloat(); return err })
		*(*complex128)(p) = complex(f[0], f[1])
		return err
	}
}

// readPair reads an array of two; nil leaves zeros.
func (d *Decoder) readPair(part func(i int) error) error {
	start := d.pos
	n, err := d.readArray()
	if err != nil || n < 0 {
		return err
	}
	if n != 2 {
		return d.wrongLength(start, n, 2)
	}
	if err := part(0); err != nil {
		return err
	}
	return part(1)
}

func fillString(n *node) {
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		return headMax + len(*(*string)(p)), nil
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error { return e.str(*(*string)(p)) }
	n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*string)(p), err = d.readString()
		return err
	}
}

func (e *Encoder) str(s string) error {
	if !fits(len(s)) {
		return &EncodeError{Err: ErrTooLong}
	}
	e.buf = appendStr(e.buf, s)
	return nil
}

func (e *Encoder) bin(b []byte) error {
	switch {
	case b == nil:
		e.buf = append(e.buf, mNil)
	case !fits(len(b)):
		return &EncodeError{Err: ErrTooLong}
	default:
		e.buf = appendBin(e.buf, b)
	}
	return nil
}

func (d *Decoder) readString() (string, error) {
	b, err := d.readRaw("a string")
	if err != nil {
		return "", err
	}
	if d.view {
		return unsafe.String(unsafe.SliceData(b), len(b)), nil
	}
	return string(b), nil
}

func (d *Decoder) readBytes() ([]byte, error) {
	if d.isExt() {
		return d.numericBytes()
	}
	b, err := d.readRaw("bytes")
	if err != nil || b == nil || d.view {
		return b, err
	}
	return append(make([]byte, 0, len(b)), b...), nil
}

func fillBytes(n *node) {
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		return headMax + len(*(*[]byte)(p)), nil
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error { return e.bin(*(*[]byte)(p)) }
	n.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*[]byte)(p), err = d.readBytes()
		return err
	}
}

func fillByteArray(n *node) {
	length := n.typ.Len()
	n.fixed = headMax + length
	n.size = func(*Encoder, unsafe.Pointer) (int, error) { return headMax + length, nil }
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		return e.bin(unsafe.Slice((*byte)(p), length))
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		b, err := d.readRaw("bytes")
		if err != nil {
			return err
		}
		dst := unsafe.Slice((*byte)(p), length)
		if b == nil {
			clear(dst)
			return nil
		}
		if len(b) != length {
			return d.wrongLength(start, len(b), length)
		}
		copy(dst, b)
		return nil
	}
}
