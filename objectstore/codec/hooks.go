package codec

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"time"
	"unsafe"
)

var (
	marshalerType   = reflect.TypeFor[Marshaler]()
	unmarshalerType = reflect.TypeFor[Unmarshaler]()
	binaryOut       = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryIn        = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	textOut         = reflect.TypeFor[encoding.TextMarshaler]()
	textIn          = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType        = reflect.TypeFor[time.Time]()
)

// has reports whether t or a pointer to it implements iface, other than by
// promotion from an embedded field. A struct that embeds a time and has fields
// beside it would otherwise lose them silently.
func has(t, iface reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false // methods of what they hold count there
	}
	if !reflect.PointerTo(t).Implements(iface) {
		return false
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.Anonymous {
				continue
			}
			if f.Type.Implements(iface) || reflect.PointerTo(f.Type).Implements(iface) {
				return false
			}
		}
	}
	return true
}

// hooked reports whether t has an encoding of its own, which goes before the
// one of its kind.
func hooked(t reflect.Type) bool {
	return t == timeType || has(t, tensorType) || has(t, marshalerType) || has(t, unmarshalerType) ||
		has(t, binaryOut) && has(t, binaryIn) || has(t, textOut) && has(t, textIn)
}

// fillHook compiles types with an encoding of their own; false if t has none.
func fillHook(n *node, path string) (done bool, err error) {
	t := n.typ
	out, in := has(t, marshalerType), has(t, unmarshalerType)
	if !out && !in && reflect.PointerTo(t).Implements(marshalerType) && t.Kind() == reflect.Struct {
		return false, &TypeError{path, t, t.String() + " embeds a type with MarshalGray: give that field a name"}
	}
	switch {
	case out != in:
		return false, &TypeError{path, t, t.String() +
			" has only one of MarshalGray and UnmarshalGray: both are needed"}
	case out:
		fillMarshaler(n)
	case t == timeType:
		fillTime(n)
	case has(t, binaryOut) && has(t, binaryIn):
		fillBinary(n)
	case has(t, textOut) && has(t, textIn):
		fillText(n)
	default:
		return false, nil
	}
	return true, nil
}

func fillMarshaler(n *node) {
	t := n.typ
	n.methods = true
	call := func(e *Encoder, p unsafe.Pointer) error {
		outer := e.exts
		e.exts = 0
		err := reflect.NewAt(t, p).Interface().(Marshaler).MarshalGray(e)
		if err == nil {
			err = e.err
		}
		if err != nil {
			return &EncodeError{Err: err}
		}
		if e.exts == 0 {
			if e.sizing {
				e.sized++
			} else {
				e.buf = append(e.buf, mNil)
			}
		}
		e.exts = outer
		return nil
	}
	n.enc = call
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) {
		before := e.sized
		err := call(e, p)
		return e.sized - before, err
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		if d.isNil() {
			setZero(t, p)
			return nil
		}
		start := d.pos
		if err := d.skip(); err != nil {
			return err
		}
		end := d.pos
		d.pos = start
		err := reflect.NewAt(t, p).Interface().(Unmarshaler).UnmarshalGray(d)
		if err == nil && d.pos != end {
			err = fmt.Errorf("UnmarshalGray of %s has to read exactly one extension", t)
		}
		return hookFailed(err, start)
	}
}

// hookFailed dresses an error of a user's method, unless it's ours already.
func hookFailed(err error, pos int) error {
	//nolint:errorlint // one that a user's error wraps has to be dressed as well
	if _, ours := err.(*DecodeError); ours || err == nil {
		return err
	}
	return &DecodeError{Offset: pos, Err: err}
}

func fillBinary(n *node) {
	t := n.typ
	n.methods = true
	out := func(p unsafe.Pointer) ([]byte, error) {
		b, err := reflect.NewAt(t, p).Interface().(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, &EncodeError{Err: err}
		}
		return b, nil
	}
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		b, err := out(p)
		return headMax + len(b), err
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		b, err := out(p)
		if err != nil {
			return err
		}
		if b == nil {
			b = []byte{} // nil would read back as the zero value, unasked
		}
		return e.bin(b)
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		b, err := d.readRaw("bytes")
		if err != nil {
			return err
		}
		if b == nil {
			setZero(t, p)
			return nil
		}
		return hookFailed(reflect.NewAt(t, p).Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(b), start)
	}
}

func fillText(n *node) {
	t := n.typ
	n.methods = true
	out := func(p unsafe.Pointer) (string, error) {
		b, err := reflect.NewAt(t, p).Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return "", &EncodeError{Err: err}
		}
		return unsafe.String(unsafe.SliceData(b), len(b)), nil
	}
	n.size = func(_ *Encoder, p unsafe.Pointer) (int, error) {
		s, err := out(p)
		return headMax + len(s), err
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		s, err := out(p)
		if err != nil {
			return err
		}
		return e.str(s)
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		b, err := d.readRaw("a string")
		if err != nil {
			return err
		}
		if b == nil {
			setZero(t, p)
			return nil
		}
		return hookFailed(reflect.NewAt(t, p).Interface().(encoding.TextUnmarshaler).UnmarshalText(b), start)
	}
}

// timeExt is msgpack's timestamp extension.
const timeExt = -1

func fillTime(n *node) {
	n.fixed = 15
	n.size = func(*Encoder, unsafe.Pointer) (int, error) { return 15, nil }
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.buf = appendTime(e.buf, *(*time.Time)(p))
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		if d.isNil() {
			*(*time.Time)(p) = time.Time{}
			return nil
		}
		start := d.pos
		b, err := d.Ext(timeExt)
		if err == nil {
			*(*time.Time)(p), err = timeOf(b, start)
		}
		return err
	}
}

func appendTime(b []byte, t time.Time) []byte {
	sec, ns := t.Unix(), uint64(t.Nanosecond())
	switch {
	case uint64(sec)>>34 != 0:
		b = be.AppendUint32(append(b, mExt8, 12, 0xff), uint32(ns))
		return be.AppendUint64(b, uint64(sec))
	case ns == 0 && sec <= math.MaxUint32:
		return be.AppendUint32(append(b, mFixExt1+2, 0xff), uint32(sec))
	}
	return be.AppendUint64(append(b, mFixExt1+3, 0xff), ns<<34|uint64(sec))
}

// timeOf reads the payload of a timestamp.
func timeOf(b []byte, pos int) (time.Time, error) {
	var sec int64
	var ns uint64
	switch len(b) {
	case 4:
		sec = int64(be.Uint32(b))
	case 8:
		v := be.Uint64(b)
		sec, ns = int64(v&(1<<34-1)), v>>34
	case 12:
		ns, sec = uint64(be.Uint32(b)), int64(be.Uint64(b[4:]))
	default:
		return time.Time{}, &DecodeError{Offset: pos,
			Err: fmt.Errorf("%w: a timestamp of %d bytes", ErrMalformed, len(b))}
	}
	if ns > 999_999_999 {
		return time.Time{}, &DecodeError{Offset: pos,
			Err: fmt.Errorf("%w: a timestamp with %d ns", ErrMalformed, ns)}
	}
	return time.Unix(sec, int64(ns)).UTC(), nil
}
