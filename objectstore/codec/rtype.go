package codec

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// codecs caches what For made: reflect.Type of T to *Codec[T].
var codecs sync.Map

func (n *node) sizeRoot(e *Encoder, p unsafe.Pointer, ctx any) (int, error) {
	e.ctx, e.sizing = ctx, true
	size, err := n.sizeOf(e, p)
	if err != nil {
		return 0, encodeAt(err, rootName(n.typ))
	}
	return size, nil
}

func (n *node) appendRoot(e *Encoder, dst []byte, p unsafe.Pointer, ctx any) ([]byte, error) {
	e.buf, e.base, e.ctx = dst, len(dst), ctx
	if err := n.enc(e, p); err != nil {
		return dst, encodeAt(err, rootName(n.typ))
	}
	return e.buf, nil
}

func (n *node) readRoot(d *Decoder, src []byte, p unsafe.Pointer, ctx any, view bool) error {
	d.buf, d.ctx, d.view, d.budget = src, ctx, view, perByte*len(src)
	err := n.dec(d, p)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return decodeAt(err, rootName(n.typ))
	}
	return nil
}

var (
	encoders = sync.Pool{New: func() any { return new(Encoder) }}
	decoders = sync.Pool{New: func() any { return new(Decoder) }}
)

// Type is a Codec for a type known only at run time. It's immutable and safe
// for concurrent use.
type Type struct{ n *node }

// Of compiles t, or finds it compiled. The error is a *TypeError.
func Of(t reflect.Type) (*Type, error) {
	n, err := nodeOf(t)
	if err != nil {
		return nil, err
	}
	return &Type{n}, nil
}

// Type returns the Go type.
func (t *Type) Type() reflect.Type { return t.n.typ }

// Size is Codec.Size for a value of the type.
func (t *Type) Size(v reflect.Value, ctx any) (int, error) {
	p, err := t.address(v)
	if err != nil {
		return 0, err
	}
	e := encoders.Get().(*Encoder)
	n, err := t.n.sizeRoot(e, p, ctx)
	*e = Encoder{}
	encoders.Put(e)
	return n, err
}

// Append is Codec.Append for a value of the type.
func (t *Type) Append(dst []byte, v reflect.Value, ctx any) ([]byte, error) {
	p, err := t.address(v)
	if err != nil {
		return dst, err
	}
	e := encoders.Get().(*Encoder)
	out, err := t.n.appendRoot(e, dst, p, ctx)
	*e = Encoder{}
	encoders.Put(e)
	return out, err
}

// Decode is Codec.Decode into an addressable value of the type.
func (t *Type) Decode(src []byte, v reflect.Value, ctx any) error {
	return t.read(src, v, ctx, false)
}

// View is Codec.View into an addressable value of the type.
func (t *Type) View(src []byte, v reflect.Value, ctx any) error { return t.read(src, v, ctx, true) }

func (t *Type) read(src []byte, v reflect.Value, ctx any, view bool) error {
	if err := t.check(v); err != nil {
		return &DecodeError{Path: rootName(t.n.typ), Err: err}
	}
	if !v.CanSet() {
		return &DecodeError{Path: rootName(t.n.typ),
			Err: fmt.Errorf("%w: the value can't be set", ErrMismatch)}
	}
	v.SetZero()
	d := decoders.Get().(*Decoder)
	err := t.n.readRoot(d, src, v.Addr().UnsafePointer(), ctx, view)
	*d = Decoder{}
	decoders.Put(d)
	return err
}

func (t *Type) check(v reflect.Value) error {
	if !v.IsValid() {
		return fmt.Errorf("%w: want a %s, got no value", ErrMismatch, t.n.typ)
	}
	if v.Type() != t.n.typ {
		return fmt.Errorf("%w: want a %s, got a %s", ErrMismatch, t.n.typ, v.Type())
	}
	if !v.CanInterface() {
		return fmt.Errorf("%w: the value is of an unexported field", ErrMismatch)
	}
	return nil
}

// address is where the value lies, or a copy if it can't be addressed.
func (t *Type) address(v reflect.Value) (unsafe.Pointer, error) {
	if err := t.check(v); err != nil {
		return nil, &EncodeError{Path: rootName(t.n.typ), Err: err}
	}
	if v.CanAddr() {
		return v.Addr().UnsafePointer(), nil
	}
	c := reflect.New(t.n.typ)
	c.Elem().Set(v)
	return c.UnsafePointer(), nil
}
