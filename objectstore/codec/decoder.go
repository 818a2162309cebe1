package codec

import "fmt"

// Unmarshaler is the counterpart of Marshaler. It reads the one extension with
// Decoder.Ext. It isn't called for nil, which leaves the zero value. The Decoder
// is invalid once it returns.
type Unmarshaler interface {
	UnmarshalGray(d *Decoder) error
}

// Decoder is what an Unmarshaler reads from.
type Decoder struct {
	buf    []byte
	pos    int
	depth  int
	budget int // bytes that room may still give
	view   bool
	ctx    any
}

// Context returns the value that the caller gave to Decode or View.
func (d *Decoder) Context() any { return d.ctx }

// Viewing reports whether the value may keep memory of the source (View). If
// not, an Unmarshaler must copy what it keeps of a payload.
func (d *Decoder) Viewing() bool { return d.view }

// Ext reads an extension of the kind asked for. The payload aliases the source.
func (d *Decoder) Ext(kind int8) (payload []byte, err error) {
	start := d.pos
	got, payload, err := d.readExt()
	if err != nil {
		return nil, err
	}
	if got != kind {
		return nil, &DecodeError{Offset: start,
			Err: fmt.Errorf("%w: want extension kind %d, found %d", ErrMismatch, kind, got)}
	}
	return payload, nil
}

func (d *Decoder) enter() error {
	d.depth++
	if d.depth > maxDepth {
		return d.fail(ErrDepth)
	}
	return nil
}

func (d *Decoder) leave() { d.depth-- }

// end checks that nothing follows the value.
func (d *Decoder) end() error {
	if d.pos != len(d.buf) {
		return d.fail(fmt.Errorf("%w: %d", ErrTrailing, d.rest()))
	}
	return nil
}

// perByte is how much memory a decoder makes ahead of the elements that fill it,
// for each byte of the source: enough for a []any of one-byte values.
const perByte = 16

// room is how many elements to make at once for a count of n. The counts of one
// source share one budget: nested arrays may each claim all bytes left, ten
// thousand deep. Beyond it, room grows as elements really arrive.
func (d *Decoder) room(n int, each uintptr) int {
	size := int(max(each, 1))
	n = min(n, max(1, d.budget/size))
	d.budget -= n * size
	return n
}
