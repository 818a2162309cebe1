package gray

import (
	"context"
	"fmt"
	"reflect"

	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// method is an actor's method that can be called remotely.
type method struct {
	name   string
	fn     reflect.Value // takes the actor first
	input  *codec.Type
	output *codec.Type
	in     reflect.Type
	bad    error // a signature that would do, but for a type that can't travel
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// methodsOf lists the methods of t, a pointer type, that can be called.
func methodsOf(t reflect.Type) map[uint64]*method {
	methods := map[uint64]*method{}
	for i := range t.NumMethod() {
		m := t.Method(i)
		if m.Type.NumIn() != 3 || m.Type.In(1) != contextType || m.Type.NumOut() != 2 || m.Type.Out(1) != errorType {
			continue
		}
		c := &method{name: t.Elem().String() + "." + m.Name, fn: m.Func, in: m.Type.In(2)}
		if c.input, c.bad = codec.Of(c.in); c.bad == nil {
			c.output, c.bad = codec.Of(m.Type.Out(0))
		}
		methods[hashOf(m.Name)] = c
	}
	return methods
}

// class is what the actors of a declaration have in common.
type class map[uint64]*process.Function

func classOf(methods map[uint64]*method) class {
	c := make(class, len(methods))
	for hash, m := range methods {
		c[hash] = &process.Function{Name: m.name, Run: m.run}
	}
	return c
}

// instance is a living actor.
type instance struct {
	class class
	self  any
}

func (i *instance) Method(hash uint64) (*process.Function, bool) {
	f, ok := i.class[hash]
	return f, ok
}

func (i *instance) Self() any { return i.self }

func (m *method) run(ctx context.Context, inv *process.Invocation) error {
	if m.bad != nil {
		return fmt.Errorf("%s can't be called remotely: %w", m.name, m.bad)
	}
	in := reflect.New(m.in).Elem()
	if err := inv.Input(func(b []byte, d *process.Decoding) error { return m.input.Decode(b, in, d) }); err != nil {
		return err
	}
	// As a value of the interface's own type ctx needs no look-up of its methods.
	out := m.fn.Call([]reflect.Value{reflect.ValueOf(inv.Actor()), reflect.ValueOf(&ctx).Elem(), in})
	if err, _ := out[1].Interface().(error); err != nil {
		return err
	}
	return inv.Return(reflected{m.output, out[0]})
}

// reflected is a value whose type is known at run time only.
type reflected struct {
	codec *codec.Type
	v     reflect.Value
}

func (r reflected) Size(c *process.Collector) (int, error) { return r.codec.Size(r.v, c) }

func (r reflected) Append(dst []byte, c *process.Collector) ([]byte, error) {
	return r.codec.Append(dst, r.v, c)
}
