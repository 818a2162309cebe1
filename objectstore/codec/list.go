package codec

import (
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

func (d *Decoder) wrongLength(pos, got, want int) error {
	return &DecodeError{Offset: pos,
		Err: fmt.Errorf("%w: %d elements for an array of %d", ErrRange, got, want)}
}

// fillSlice compiles slices of anything but bytes.
func (c *compiler) fillSlice(n *node, path string) error {
	elem, err := c.node(n.typ.Elem(), path+"[]")
	if err != nil {
		return err
	}
	if k := numericOf(elem.typ); k != nil {
		fillNumericSlice(n, elem, k)
		return nil
	}
	width := elem.typ.Size()
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) {
		s := (*slice)(p)
		if elem.fixed > 0 {
			return headMax + s.len*elem.fixed, nil
		}
		return sizeElems(e, elem, s.data, s.len, width)
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		s := (*slice)(p)
		if s.data == nil {
			e.buf = append(e.buf, mNil)
			return nil
		}
		return encElems(e, elem, s.data, s.len)
	}
	n.dec = sliceDecoder(n.typ, elem)
	return nil
}

// fillArray compiles Go arrays of anything but bytes.
func (c *compiler) fillArray(n *node, path string) error {
	count := n.typ.Len()
	if count > math.MaxInt32 {
		return &TypeError{path, n.typ, "an array of that length can't be encoded: use a slice"}
	}
	elem, err := c.node(n.typ.Elem(), path+"[]")
	if err != nil {
		return err
	}
	n.inline = []*node{elem}
	if k := numericOf(elem.typ); k != nil {
		fillNumericArray(n, elem, k)
		return nil
	}
	width := elem.typ.Size()
	if elem.fixed > 0 {
		n.fixed = headMax + count*elem.fixed
	}
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) {
		return sizeElems(e, elem, p, count, width)
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error { return encElems(e, elem, p, count) }
	n.dec = arrayDecoder(n.typ, elem)
	return nil
}

func sizeElems(e *Encoder, elem *node, data unsafe.Pointer, count int, width uintptr) (int, error) {
	if err := e.enter(); err != nil {
		return 0, err
	}
	total := headMax
	for i := range count {
		n, err := elem.sizeOf(e, unsafe.Add(data, uintptr(i)*width))
		if err != nil {
			return 0, encodeAt(err, index(i))
		}
		total += n
	}
	e.leave()
	return total, nil
}

// encElems writes count elements at data as an array.
func encElems(e *Encoder, elem *node, data unsafe.Pointer, count int) error {
	if !fits(count) {
		return &EncodeError{Err: ErrTooLong}
	}
	if err := e.enter(); err != nil {
		return err
	}
	e.buf = appendArray(e.buf, count)
	width := elem.typ.Size()
	for i := range count {
		if err := elem.enc(e, unsafe.Add(data, uintptr(i)*width)); err != nil {
			return encodeAt(err, index(i))
		}
	}
	e.leave()
	return nil
}

// sliceDecoder reads an array into a new slice.
func sliceDecoder(t reflect.Type, elem *node) func(*Decoder, unsafe.Pointer) error {
	if t.Elem().Kind() == reflect.String && !hooked(t.Elem()) {
		return decStrings
	}
	width := t.Elem().Size()
	return func(d *Decoder, p unsafe.Pointer) error {
		*(*slice)(p) = slice{}
		n, err := d.readArray()
		if err != nil || n < 0 {
			return err
		}
		if err := d.enter(); err != nil {
			return err
		}
		room := d.room(n, width)
		// Grow makes memory of the right type where MakeSlice would allocate a
		// header too. The length follows the elements, so growing keeps them.
		v := reflect.NewAt(t, p).Elem()
		if room == 0 {
			v.Set(reflect.MakeSlice(t, 0, 0))
		} else {
			v.Grow(room)
		}
		s := (*slice)(p)
		for i := range n {
			if i == s.cap {
				v.SetLen(i)
				v.Grow(min(n-i, i))
			}
			if err := elem.dec(d, unsafe.Add(s.data, uintptr(i)*width)); err != nil {
				return decodeAt(err, index(i))
			}
		}
		s.len = n
		d.leave()
		return nil
	}
}

// decStrings is sliceDecoder for the commonest element that isn't a number.
func decStrings(d *Decoder, p unsafe.Pointer) error {
	*(*[]string)(p) = nil
	n, err := d.readArray()
	if err != nil || n < 0 {
		return err
	}
	out := make([]string, n) // n is at most the bytes left
	for i := range out {
		if out[i], err = d.readString(); err != nil {
			return decodeAt(err, index(i))
		}
	}
	*(*[]string)(p) = out
	return nil
}

// arrayDecoder reads an array into a Go array, which must be as long.
func arrayDecoder(t reflect.Type, elem *node) func(*Decoder, unsafe.Pointer) error {
	count, width := t.Len(), t.Elem().Size()
	return func(d *Decoder, p unsafe.Pointer) error {
		start := d.pos
		n, err := d.readArray()
		if err != nil {
			return err
		}
		if n < 0 {
			setZero(t, p)
			return nil
		}
		if n != count {
			return d.wrongLength(start, n, count)
		}
		if err := d.enter(); err != nil {
			return err
		}
		for i := range n {
			if err := elem.dec(d, unsafe.Add(p, uintptr(i)*width)); err != nil {
				return decodeAt(err, index(i))
			}
		}
		d.leave()
		return nil
	}
}
