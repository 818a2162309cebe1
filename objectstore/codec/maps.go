package codec

import (
	"fmt"
	"reflect"
	"unsafe"
)

// fillMap compiles maps: the common ones over Go's own map code, the others by
// reflection.
func (c *compiler) fillMap(n *node, path string) error {
	key, err := c.node(n.typ.Key(), path+"[key]")
	if err != nil {
		return err
	}
	val, err := c.node(n.typ.Elem(), path+"[]")
	if err != nil {
		return err
	}
	if !fillFastMap(n, key, val) {
		m := &mapping{n.typ, key, val, holdsInterface(n.typ.Key())}
		n.size, n.enc, n.dec = m.size, m.enc, m.dec
	}
	return nil
}

// mapping is a map handled by reflection.
type mapping struct {
	typ      reflect.Type
	key, val *node
	// unsure: a key may hold an interface, thus something that can't be hashed.
	unsure bool
}

// each calls f with the address of every key and value. The addresses are of
// one scratch pair, which is overwritten each time.
func (m *mapping) each(e *Encoder, p unsafe.Pointer, f func(k, v unsafe.Pointer) error) error {
	if err := e.enter(); err != nil {
		return err
	}
	k, v := reflect.New(m.key.typ), reflect.New(m.val.typ)
	ke, ve := k.Elem(), v.Elem()
	kp, vp := k.UnsafePointer(), v.UnsafePointer()
	for it := reflect.NewAt(m.typ, p).Elem().MapRange(); it.Next(); {
		ke.SetIterKey(it)
		ve.SetIterValue(it)
		if err := f(kp, vp); err != nil {
			return encodeAt(err, keyed(ke.Interface()))
		}
	}
	e.leave()
	return nil
}

func (m *mapping) count(p unsafe.Pointer) int { return reflect.NewAt(m.typ, p).Elem().Len() }

func (m *mapping) size(e *Encoder, p unsafe.Pointer) (int, error) {
	if m.key.fixed > 0 && m.val.fixed > 0 {
		return headMax + m.count(p)*(m.key.fixed+m.val.fixed), nil
	}
	total := headMax
	err := m.each(e, p, func(k, v unsafe.Pointer) error {
		kn, err := m.key.sizeOf(e, k)
		if err != nil {
			return err
		}
		vn, err := m.val.sizeOf(e, v)
		total += kn + vn
		return err
	})
	return total, err
}

func (m *mapping) enc(e *Encoder, p unsafe.Pointer) error {
	if *(*unsafe.Pointer)(p) == nil {
		e.buf = append(e.buf, mNil)
		return nil
	}
	count := m.count(p)
	if !fits(count) {
		return &EncodeError{Err: ErrTooLong}
	}
	e.buf = appendMap(e.buf, count)
	return m.each(e, p, func(k, v unsafe.Pointer) error {
		if err := m.key.enc(e, k); err != nil {
			return err
		}
		return m.val.enc(e, v)
	})
}

func (m *mapping) dec(d *Decoder, p unsafe.Pointer) error {
	*(*unsafe.Pointer)(p) = nil
	n, err := d.readMap("a map")
	if err != nil || n < 0 {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	out := reflect.MakeMapWithSize(m.typ, d.room(n, m.key.typ.Size()+m.val.typ.Size()))
	k, v := reflect.New(m.key.typ), reflect.New(m.val.typ)
	ke, ve := k.Elem(), v.Elem()
	kp, vp := k.UnsafePointer(), v.UnsafePointer()
	for range n {
		start := d.pos
		ke.SetZero()
		ve.SetZero()
		if err := m.key.dec(d, kp); err != nil {
			return decodeAt(err, "[key]")
		}
		if m.unsure && !ke.Comparable() {
			return &DecodeError{Path: "[key]", Offset: start,
				Err: fmt.Errorf("%w: a key that can't be compared", ErrMismatch)}
		}
		if err := m.val.dec(d, vp); err != nil {
			return decodeAt(err, keyed(ke.Interface()))
		}
		out.SetMapIndex(ke, ve)
	}
	*(*unsafe.Pointer)(p) = out.UnsafePointer()
	d.leave()
	return nil
}

// holdsInterface reports whether a value of the comparable type t may hold an
// interface by value.
func holdsInterface(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return holdsInterface(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsInterface(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// fillFastMap compiles maps whose keys are strings or 64-bit integers and whose
// values are one of a few layouts. A map of type ID to Seconds is handled as the
// map of uint64 to uint64 that it is in memory; false if n is no such map.
func fillFastMap(n *node, key, val *node) bool {
	if hooked(key.typ) || hooked(val.typ) {
		return false
	}
	switch key.typ.Kind() {
	case reflect.String:
		return fillMapOf[string](n, key, val)
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return fillMapOf[uint64](n, key, val)
	}
	return false
}

func fillMapOf[K string | uint64](n *node, key, val *node) bool {
	switch t := val.typ; t.Kind() {
	case reflect.String:
		fastMap[K, string](n, key, val)
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Float64:
		fastMap[K, uint64](n, key, val)
	case reflect.Bool:
		fastMap[K, bool](n, key, val)
	case reflect.Slice:
		if val.num == nil && !plainByte(t.Elem()) {
			return false
		}
		fastMap[K, []byte](n, key, val)
	case reflect.Interface:
		fastMap[K, any](n, key, val)
	default:
		return false
	}
	return true
}

type pair[K, V any] struct {
	k K
	v V
}

// fastMap is mapping for the layouts above. The pair whose address the functions
// of key and value get is one for the whole map, as it costs an allocation.
func fastMap[K string | uint64, V any](n *node, key, val *node) {
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) {
		m := *(*map[K]V)(p)
		if key.fixed > 0 && val.fixed > 0 {
			return headMax + len(m)*(key.fixed+val.fixed), nil
		}
		if err := e.enter(); err != nil {
			return 0, err
		}
		total := headMax
		var kv pair[K, V]
		for kv.k, kv.v = range m {
			kn, _ := key.sizeOf(e, unsafe.Pointer(&kv.k))
			vn, err := val.sizeOf(e, unsafe.Pointer(&kv.v))
			if err != nil {
				return 0, encodeAt(err, keyed(kv.k))
			}
			total += kn + vn
		}
		e.leave()
		return total, nil
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		m := *(*map[K]V)(p)
		if m == nil {
			e.buf = append(e.buf, mNil)
			return nil
		}
		if !fits(len(m)) {
			return &EncodeError{Err: ErrTooLong}
		}
		if err := e.enter(); err != nil {
			return err
		}
		e.buf = appendMap(e.buf, len(m))
		var kv pair[K, V]
		for kv.k, kv.v = range m {
			if err := key.enc(e, unsafe.Pointer(&kv.k)); err != nil {
				return err
			}
			if err := val.enc(e, unsafe.Pointer(&kv.v)); err != nil {
				return encodeAt(err, keyed(kv.k))
			}
		}
		e.leave()
		return nil
	}
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		*(*map[K]V)(p) = nil
		count, err := d.readMap("a map")
		if err != nil || count < 0 {
			return err
		}
		if err := d.enter(); err != nil {
			return err
		}
		m := make(map[K]V, d.room(count, unsafe.Sizeof(pair[K, V]{})))
		var kv pair[K, V]
		for range count {
			if err := key.dec(d, unsafe.Pointer(&kv.k)); err != nil {
				return decodeAt(err, "[key]")
			}
			if err := val.dec(d, unsafe.Pointer(&kv.v)); err != nil {
				return decodeAt(err, keyed(kv.k))
			}
			m[kv.k] = kv.v
		}
		*(*map[K]V)(p) = m
		d.leave()
		return nil
	}
}
