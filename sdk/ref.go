package gray

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// Kinds of msgpack extension by which references travel.
const (
	extRef    = 16 // an object's id, 20 bytes
	extHandle = 17 // an actor's id, 20 bytes; of a lightweight one, then its host's
	extLazy   = 18 // an object's id that a task doesn't wait for
)

var errZeroRef = errors.New("a reference that refers to nothing (the zero Ref)")

// Ref refers to an object that is, or will be, a value of T. Copies refer to
// the same object, which lives while any copy does, in any process. A Ref may
// be part of any value that travels; it is of use in its own cluster only.
type Ref[T any] struct{ o *process.Object }

// String returns the object's id.
func (r Ref[T]) String() string {
	if r.o == nil {
		return "<zero Ref>"
	}
	return r.o.ID().String()
}

// MarshalGray implements codec.Marshaler.
func (r Ref[T]) MarshalGray(e *codec.Encoder) error { return marshalRef(e, r.o, extRef) }

// UnmarshalGray implements codec.Unmarshaler.
func (r *Ref[T]) UnmarshalGray(d *codec.Decoder) (err error) {
	r.o, err = unmarshalRef(d, extRef)
	return err
}

// Lazy wraps a reference inside a task's input that the task need not wait for:
// it starts though the object is not complete.
type Lazy[T any] struct{ Ref Ref[T] }

// MarshalGray implements codec.Marshaler.
func (l Lazy[T]) MarshalGray(e *codec.Encoder) error { return marshalRef(e, l.Ref.o, extLazy) }

// UnmarshalGray implements codec.Unmarshaler.
func (l *Lazy[T]) UnmarshalGray(d *codec.Decoder) (err error) {
	l.Ref.o, err = unmarshalRef(d, extLazy)
	return err
}

func marshalRef(e *codec.Encoder, o *process.Object, kind int8) error {
	c, ok := e.Context().(*process.Collector)
	if !ok {
		return errors.New("a reference can only be encoded on its way through the cluster")
	}
	if err := c.Add(o, kind == extLazy); err != nil {
		return err
	}
	e.Ext(kind, o.ID().Bytes())
	return nil
}

func unmarshalRef(d *codec.Decoder, kind int8) (*process.Object, error) {
	payload, err := d.Ext(kind)
	if err != nil {
		return nil, err
	}
	decoding, ok := d.Context().(*process.Decoding)
	if !ok {
		return nil, errors.New("a reference can only be decoded in the cluster")
	}
	return decoding.Reference(payload)
}

func foreign(p *process.Process, o *process.Object) error {
	if o.Process().Cluster() != p.Cluster() {
		return &process.OtherClusterError{ID: o.ID(), Cluster: p.Cluster()}
	}
	return fmt.Errorf("reference %s belongs to another session in this process", o.ID())
}

// Get waits for the object and returns a copy of its value: the caller's own.
// The error is what the task failed with, or why the value can't be had, or
// ctx's. A task that waits lends its CPU out meanwhile.
func Get[T any](ctx context.Context, r Ref[T]) (T, error) {
	var v T
	err := read(ctx, r, func(c *codec.Codec[T], data []byte, d *process.Decoding) error {
		return c.Decode(data, &v, d)
	})
	return v, err
}

func read[T any](ctx context.Context, r Ref[T], f func(*codec.Codec[T], []byte, *process.Decoding) error) error {
	if r.o == nil {
		return errZeroRef
	}
	c, err := codec.For[T]()
	if err != nil {
		return fmt.Errorf("get %s: %w", r.o.ID(), err)
	}
	return typed(processOf(ctx).Read(ctx, r.o, func(data []byte, d *process.Decoding) error { return f(c, data, d) }))
}

// GetAll waits for all the objects and returns their values in the same order,
// or the first error in that order.
func GetAll[T any](ctx context.Context, refs []Ref[T]) ([]T, error) {
	objects, err := objectsOf(refs)
	if err != nil {
		return nil, err
	}
	if len(refs) > 0 {
		if err := processOf(ctx).Wait(ctx, objects...); err != nil {
			return nil, typed(err)
		}
	}
	values := make([]T, len(refs))
	for i, r := range refs {
		if values[i], err = Get(ctx, r); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func objectsOf[T any](refs []Ref[T]) ([]*process.Object, error) {
	objects := make([]*process.Object, len(refs))
	for i, r := range refs {
		if r.o == nil {
			return nil, fmt.Errorf("reference %d: %w", i, errZeroRef)
		}
		objects[i] = r.o
	}
	return objects, nil
}

// View waits for the object and gives f its value without copying what can be
// read in place: numeric slices, []byte and strings then lie in the node's
// object store. The value is valid until f returns and must not be changed; a
// write to stored memory faults, which View returns as an error.
func View[T any](ctx context.Context, r Ref[T], f func(T) error) error {
	return read(ctx, r, func(c *codec.Codec[T], data []byte, d *process.Decoding) error {
		var v T
		if err := c.View(data, &v, d); err != nil {
			return err
		}
		if !d.InStore {
			return f(v)
		}
		return viewed(func() error { return f(v) })
	})
}

// viewed calls f, whose writes to read-only memory become an error.
func viewed(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("%w: fault at address %#x", ErrViewWritten, r.Addr())
		default:
			panic(r)
		}
	}()
	return f()
}

// ErrViewWritten says that a value got by View was written to.
var ErrViewWritten = errors.New("write to a viewed value: it lies in the object store and is read-only; use Get for a copy")

// Put makes an object of v and returns a reference to it. The error is an
// EncodingError if v can't travel, a StoreFullError if the node has no room for it,
// a NotReplicatedError if there are fewer nodes than Replicas asks for.
func Put[T any](ctx context.Context, v T, opts ...PutOption) (Ref[T], error) {
	var o putOptions
	for _, f := range opts {
		f(&o)
	}
	c, err := codec.For[T]()
	if err != nil {
		return Ref[T]{}, &EncodingError{Message: "put: " + err.Error()}
	}
	made, err := processOf(ctx).Put(ctx, boxed[T]{c, &v}, o.replicas)
	var bad *codec.EncodeError
	var other *process.OtherClusterError
	if errors.As(err, &bad) && !errors.As(err, &other) {
		return Ref[T]{}, &EncodingError{Message: "put: " + err.Error()}
	}
	if err != nil {
		return Ref[T]{}, typed(fmt.Errorf("put: %w", err))
	}
	return Ref[T]{made}, nil
}

// Completed returns the objects' values as they complete, with each object's own
// error. It ends after the last one, or with ctx's error when ctx ends.
func Completed[T any](ctx context.Context, refs []Ref[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		objects, err := objectsOf(refs)
		if err != nil {
			yield(zero, err)
			return
		}
		if len(refs) == 0 {
			return
		}
		arrivals := processOf(ctx).Arrive(objects)
		defer arrivals.Stop(objects)
		for {
			o, err := arrivals.Next(ctx)
			if err != nil {
				yield(zero, typed(err))
				return
			}
			if o == nil {
				return
			}
			v, err := Get(ctx, Ref[T]{o})
			if !yield(v, err) {
				return
			}
		}
	}
}

// Wait waits until n of the objects are complete, or ctx ends, and tells which
// are and which aren't, each in the order given; more than n may be. It returns
// ctx's error when ctx ended first.
func Wait[T any](ctx context.Context, refs []Ref[T], n int) (ready, pending []Ref[T], err error) {
	objects, err := objectsOf(refs)
	if err != nil {
		return nil, nil, err
	}
	if n > len(refs) {
		return nil, nil, fmt.Errorf("wait for %d of %d references", n, len(refs))
	}
	done := map[*process.Object]bool{}
	if n > 0 {
		arrivals := processOf(ctx).Arrive(objects)
		defer arrivals.Stop(objects)
		for range n {
			o, nextErr := arrivals.Next(ctx)
			if nextErr != nil {
				err = typed(nextErr)
				break
			}
			done[o] = true
		}
	}
	for _, r := range refs {
		if done[r.o] || r.o.Complete() {
			ready = append(ready, r)
		} else {
			pending = append(pending, r)
		}
	}
	return ready, pending, err
}

// Cancel ends the task or actor call that makes the object. One that hasn't
// begun never will; one that runs has its context cancelled. Its reference then
// fails with an error that is context.Canceled, unless the task was already
// complete. The tasks that it submitted and that aren't complete are cancelled with it,
// and those that they submitted, at any depth. Any process that has a reference can cancel
// its task: through the one that submitted it, if that is another.
func Cancel[T any](ctx context.Context, r Ref[T], opts ...CancelOption) error {
	if r.o == nil {
		return fmt.Errorf("cancel: %w", errZeroRef)
	}
	var o cancelOptions
	for _, f := range opts {
		f(&o)
	}
	return typed(processOf(ctx).CancelTask(ctx, r.o, o.force))
}

// CancelOption changes how Cancel ends a task.
type CancelOption func(*cancelOptions)

type cancelOptions struct{ force bool }

// Force has Cancel kill the process that runs the task, whatever the task does. Tasks that
// wait behind it in that process run elsewhere and lose no attempt; what the task had submitted
// ends with it. A call of an actor can't be cancelled so: see Kill.
func Force() CancelOption { return func(o *cancelOptions) { o.force = true } }
