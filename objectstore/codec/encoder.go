package codec

import "fmt"

// maxDepth bounds the nesting of pointers, slices and maps, in both directions:
// what can be encoded can be decoded. An interface needs no count of its own,
// since what it holds nests only by one of these.
const maxDepth = 10_000

// Marshaler lets a type encode itself, as gray's references and handles do. It
// writes one extension with Encoder.Ext, or nothing, which reads back as the
// zero value. It works with value and pointer receivers alike, isn't called for
// nil pointers, and must come with Unmarshaler.
//
// It's called once by Size (Encoder.Sizing is true) and once by Append, and must
// write as many bytes both times. The Encoder is invalid once it returns.
type Marshaler interface {
	MarshalGray(e *Encoder) error
}

// Encoder is what a Marshaler writes to.
type Encoder struct {
	buf    []byte
	base   int // where the object begins in buf
	depth  int
	ctx    any
	sizing bool
	sized  int // bytes that Ext counted while sizing
	exts   int // calls of Ext
	err    error
}

// Context returns the value that the caller gave to Size or Append.
func (e *Encoder) Context() any { return e.ctx }

// Sizing reports whether the bytes are only counted. A Marshaler with a side
// effect, such as collecting itself in the Context, leaves it out then.
func (e *Encoder) Sizing() bool { return e.sizing }

// Ext writes the value as an extension. Kinds 16 to 127 are for Marshalers; the
// others are the codec's or msgpack's own, and make the encoding fail.
func (e *Encoder) Ext(kind int8, payload []byte) {
	e.exts++
	switch {
	case kind < 16:
		e.err = fmt.Errorf("extension kind %d is reserved: use 16 to 127", kind)
	case e.exts > 1:
		e.err = fmt.Errorf("MarshalGray wrote more than one extension")
	case !fits(len(payload)):
		e.err = ErrTooLong
	case e.sizing:
		e.sized += extHeadMax + len(payload)
	default:
		e.buf = appendExt(e.buf, kind, payload)
	}
}

func (e *Encoder) enter() error {
	e.depth++
	if e.depth > maxDepth {
		return &EncodeError{Err: ErrDepth}
	}
	return nil
}

func (e *Encoder) leave() { e.depth-- }
