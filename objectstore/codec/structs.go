package codec

import (
	"reflect"
	"unsafe"
)

// structure is a compiled struct.
type structure struct {
	typ    reflect.Type
	fields []field
	byName map[string]int
	keys   int  // bytes of all keys
	hops   bool // some fields are behind embedded pointers
}

func (c *compiler) fillStruct(n *node, path string) error {
	fields, exported := fieldsOf(n.typ)
	if !exported && n.typ.NumField() > 0 {
		return &TypeError{path, n.typ, n.typ.String() + " has no exported fields: " +
			"export some, or give it MarshalGray and UnmarshalGray"}
	}
	s := &structure{typ: n.typ, fields: fields, byName: map[string]int{}}
	fixed, bounded := headMax, true
	for i := range s.fields {
		f := &s.fields[i]
		var err error
		if f.node, err = c.node(f.typ, path+"."+f.name); err != nil {
			return err
		}
		f.key = appendStr(nil, f.name)
		s.byName[f.name] = i
		s.keys += len(f.key)
		s.hops = s.hops || len(f.via) > 0
		fixed += len(f.key) + f.node.fixed
		bounded = bounded && f.node.fixed > 0
		if len(f.via) == 0 {
			n.inline = append(n.inline, f.node)
		}
	}
	if bounded {
		n.fixed = fixed
	}
	n.size, n.enc, n.dec = s.size, s.enc, s.dec
	return nil
}

// at is the address of f in the struct at p, nil if behind a nil pointer.
func (f *field) at(p unsafe.Pointer) unsafe.Pointer {
	for _, s := range f.via {
		if p = *(*unsafe.Pointer)(unsafe.Add(p, s.offset)); p == nil {
			return nil
		}
	}
	return unsafe.Add(p, f.offset)
}

// make is at, but fills in the pointers on the way.
func (f *field) make(p unsafe.Pointer) unsafe.Pointer {
	for _, s := range f.via {
		slot := (*unsafe.Pointer)(unsafe.Add(p, s.offset))
		if *slot == nil {
			*slot = reflect.New(s.elem).UnsafePointer()
		}
		p = *slot
	}
	return unsafe.Add(p, f.offset)
}

func (s *structure) size(e *Encoder, p unsafe.Pointer) (int, error) {
	total := headMax + s.keys
	for i := range s.fields {
		f := &s.fields[i]
		if f.node.fixed > 0 {
			total += f.node.fixed
			continue
		}
		q := f.at(p)
		if q == nil {
			continue
		}
		n, err := f.node.size(e, q)
		if err != nil {
			return 0, encodeAt(err, "."+f.name)
		}
		total += n
	}
	return total, nil
}

func (s *structure) enc(e *Encoder, p unsafe.Pointer) error {
	if s.hops {
		return s.encHops(e, p)
	}
	e.buf = appendMap(e.buf, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		e.buf = append(e.buf, f.key...)
		if err := f.node.enc(e, unsafe.Add(p, f.offset)); err != nil {
			return encodeAt(err, "."+f.name)
		}
	}
	return nil
}

func (s *structure) encHops(e *Encoder, p unsafe.Pointer) error {
	count := 0
	for i := range s.fields {
		if s.fields[i].at(p) != nil {
			count++
		}
	}
	e.buf = appendMap(e.buf, count)
	for i := range s.fields {
		f := &s.fields[i]
		q := f.at(p)
		if q == nil {
			continue
		}
		e.buf = append(e.buf, f.key...)
		if err := f.node.enc(e, q); err != nil {
			return encodeAt(err, "."+f.name)
		}
	}
	return nil
}

// dec expects the fields in the order this very type writes them, and looks a
// name up only when it isn't the expected one.
func (s *structure) dec(d *Decoder, p unsafe.Pointer) error {
	count, err := d.readMap("a map (for a struct)")
	if err != nil {
		return err
	}
	if count < 0 {
		setZero(s.typ, p)
		return nil
	}
	next := 0
	for range count {
		i, err := s.readKey(d, next)
		if err != nil {
			return err
		}
		if i < 0 {
			if err := d.skip(); err != nil {
				return err
			}
			continue
		}
		next = i + 1
		f := &s.fields[i]
		if err := f.node.dec(d, f.make(p)); err != nil {
			return decodeAt(err, "."+f.name)
		}
	}
	return nil
}

// readKey reads a key and finds its field, -1 if there is none.
func (s *structure) readKey(d *Decoder, next int) (int, error) {
	if next < len(s.fields) {
		key := s.fields[next].key
		if end := d.pos + len(key); end <= len(d.buf) && string(d.buf[d.pos:end]) == string(key) {
			d.pos = end
			return next, nil
		}
	}
	if d.pos < len(d.buf) && formName(d.buf[d.pos]) != "a string" {
		return -1, d.skip() // no field has such a key
	}
	key, err := d.readRaw("a field name")
	if err != nil {
		return -1, err
	}
	if i, ok := s.byName[string(key)]; ok {
		return i, nil
	}
	return -1, nil
}
