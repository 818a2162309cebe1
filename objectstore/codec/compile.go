package codec

import (
	"reflect"
	"slices"
	"sync"
	"unsafe"
)

// node is the compiled form of one Go type: functions over the address of a
// value. Nodes of recursive types point at each other, so a parent calls
// through the node and reads fixed only when it runs, never while compiling.
type node struct {
	typ   reflect.Type
	fixed int // most bytes a value takes, where the type alone says; else 0
	size  func(e *Encoder, p unsafe.Pointer) (int, error)
	enc   func(e *Encoder, p unsafe.Pointer) error
	dec   func(d *Decoder, p unsafe.Pointer) error
	num   *numeric // element form, of slices that are written as extension 1
	// inline are the nodes of values that lie within one of this type.
	inline []*node
	// methods: the functions give the address to methods of the user, which may
	// keep it.
	methods bool
}

// sizeOf is node.size with the shortcut for types of fixed size.
func (n *node) sizeOf(e *Encoder, p unsafe.Pointer) (int, error) {
	if n.fixed > 0 {
		return n.fixed, nil
	}
	return n.size(e, p)
}

// exposed reports whether a method of the user gets an address within a value
// of n. (No type contains itself inline, so this ends.)
func (n *node) exposed() bool {
	return n.methods || slices.ContainsFunc(n.inline, (*node).exposed)
}

// nodes caches finished nodes: reflect.Type to *node.
var nodes sync.Map

// nodeOf compiles t, or finds it compiled. Only whole graphs enter the cache,
// so that nobody sees a node without its functions.
func nodeOf(t reflect.Type) (*node, error) {
	if n, ok := nodes.Load(t); ok {
		return n.(*node), nil
	}
	if t == nil {
		return nil, &TypeError{Path: "nil", Type: reflect.TypeFor[any](), Reason: "no type given"}
	}
	c := compiler{made: map[reflect.Type]*node{}}
	n, err := c.node(t, rootName(t))
	if err != nil {
		return nil, err
	}
	for t, n := range c.made {
		nodes.LoadOrStore(t, n)
	}
	return n, nil
}

type compiler struct {
	made map[reflect.Type]*node // also those in progress
}

func (c *compiler) node(t reflect.Type, path string) (*node, error) {
	if n, ok := c.made[t]; ok {
		return n, nil
	}
	if n, ok := nodes.Load(t); ok {
		return n.(*node), nil
	}
	n := &node{typ: t}
	c.made[t] = n
	return n, c.fill(n, path)
}

// fill gives n its functions. A type's own encoding goes before its kind.
func (c *compiler) fill(n *node, path string) error {
	if has(n.typ, tensorType) {
		return c.fillTensor(n, path)
	}
	if done, err := fillHook(n, path); done || err != nil {
		return err
	}
	t := n.typ
	switch t.Kind() {
	case reflect.String:
		fillString(n)
	case reflect.Pointer:
		return c.fillPointer(n, path)
	case reflect.Slice:
		if plainByte(t.Elem()) {
			fillBytes(n)
			return nil
		}
		return c.fillSlice(n, path)
	case reflect.Array:
		if plainByte(t.Elem()) {
			fillByteArray(n)
			return nil
		}
		return c.fillArray(n, path)
	case reflect.Map:
		return c.fillMap(n, path)
	case reflect.Struct:
		return c.fillStruct(n, path)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			fillAny(n)
			return nil
		}
		return &TypeError{path, t, "interface " + t.String() +
			" can't be encoded, since a reader couldn't tell what to make: use a concrete type, any or string"}
	default:
		if !fillScalar(n) {
			return &TypeError{path, t, t.String() + " can't be encoded"}
		}
	}
	return nil
}

// plainByte reports whether a slice of t is written as bytes.
func plainByte(t reflect.Type) bool { return t.Kind() == reflect.Uint8 && !hooked(t) }

func (c *compiler) fillPointer(n *node, path string) error {
	elem, err := c.node(n.typ.Elem(), path)
	if err != nil {
		return err
	}
	n.fixed = elem.fixed // 0 while elem is in progress: a recursive type
	n.size = func(e *Encoder, p unsafe.Pointer) (int, error) {
		q := *(*unsafe.Pointer)(p)
		if q == nil {
			return 1, nil
		}
		if err := e.enter(); err != nil {
			return 0, err
		}
		defer e.leave()
		return elem.sizeOf(e, q)
	}
	n.enc = func(e *Encoder, p unsafe.Pointer) error {
		q := *(*unsafe.Pointer)(p)
		if q == nil {
			e.buf = append(e.buf, mNil)
			return nil
		}
		if err := e.enter(); err != nil {
			return err
		}
		err := elem.enc(e, q)
		e.leave()
		return err
	}
	et := elem.typ
	n.dec = func(d *Decoder, p unsafe.Pointer) error {
		if d.isNil() {
			*(*unsafe.Pointer)(p) = nil
			return nil
		}
		if err := d.enter(); err != nil {
			return err
		}
		q := reflect.New(et).UnsafePointer()
		err := elem.dec(d, q)
		*(*unsafe.Pointer)(p) = q
		d.leave()
		return err
	}
	return nil
}

// setZero zeroes the value of type t at p.
func setZero(t reflect.Type, p unsafe.Pointer) { reflect.NewAt(t, p).Elem().SetZero() }
