package gray

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// ActorClass is a type whose instances live in processes of their own. Safe
// for concurrent use.
type ActorClass[A, In any] struct {
	input *codec.Codec[In]
	name  string
	hash  uint64
	opts  options

	compiled *process.TaskOptions
}

// Actor declares a type of actors by its constructor. It must initialise a
// package-level variable. The exported methods of *A of the form
//
//	func (*A) Method(ctx context.Context, in In) (Out, error)
//
// can be called from any process that has a Handle. Calls run one at a time,
// unless MaxConcurrency says otherwise.
func Actor[A, In any](constructor func(ctx context.Context, in In) (*A, error), opts ...Option) *ActorClass[A, In] {
	name := symbol(constructor)
	input := mustCodec[In]("Actor", name, "input")
	methods := classOf(methodsOf(reflect.TypeFor[*A]()))
	name, hash := register("Actor", constructor, func(string) func(context.Context, *process.Invocation) error {
		return func(ctx context.Context, inv *process.Invocation) error {
			var in In
			if err := inv.Input(func(b []byte, d *process.Decoding) error { return input.Decode(b, &in, d) }); err != nil {
				return err
			}
			a, err := constructor(ctx, in)
			if err != nil {
				return err
			}
			if a == nil {
				return fmt.Errorf("%s returned a nil actor and no error", name)
			}
			if err := restore(ctx, a, inv); err != nil {
				return err
			}
			inv.Become(&instance{methods, a}, saveOf(a))
			return nil
		}
	})
	c := &ActorClass[A, In]{input: input, name: name, hash: hash, opts: actorDefaults()}
	return c.Options(opts...)
}

// Options returns the class with other options; c itself is unchanged.
func (c *ActorClass[A, In]) Options(opts ...Option) *ActorClass[A, In] {
	u := *c
	u.opts = c.opts.with(opts)
	u.opts.check("an actor", true)
	u.opts.checkLightweight()
	u.compiled = u.opts.compile(c.name, c.hash)
	return &u
}

// Remote starts an actor and returns a handle to it. It doesn't wait: a
// constructor that fails shows in the calls, as a TaskError, and so does a name
// that is taken, as an AlreadyExistsError.
func (c *ActorClass[A, In]) Remote(ctx context.Context, in In) Handle[A] {
	p := processOf(ctx)
	return c.create(ctx, p, submission(ctx, p, c.compiled, c.input, &in))
}

// RemoteRef is Remote with an input that is, or will be, an object's value.
func (c *ActorClass[A, In]) RemoteRef(ctx context.Context, in Ref[In]) Handle[A] {
	p := processOf(ctx)
	return c.create(ctx, p, submissionOf(ctx, p, c.compiled, in.o))
}

func (c *ActorClass[A, In]) create(ctx context.Context, p *process.Process, s process.Submission) Handle[A] {
	if c.opts.lightweight {
		return Handle[A]{p.CreateLight(ctx, c.creation(ctx, p, s))}
	}
	return Handle[A]{p.CreateActor(c.creation(ctx, p, s))}
}

func (c *ActorClass[A, In]) creation(ctx context.Context, p *process.Process, s process.Submission) process.Creation {
	return process.Creation{Submission: s, Spec: &proto.ActorSpec{
		Name: c.opts.name, Namespace: namespaceOf(p, c.opts.namespace), Class: className[A](),
		Resources: &proto.Resources{Quantity: c.opts.resources}, Strategy: p.StrategyIn(ctx, c.opts.strategy),
		MaxRestarts: int32(c.opts.maxRestarts), MaxConcurrency: uint32(c.opts.maxConcurrency), Detached: c.opts.detached,
		MaxTaskRetries: int32(c.opts.maxTaskRetries), MaxPendingCalls: uint32(c.opts.maxPendingCalls),
		Groups: c.opts.groups, SaveEvery: c.opts.savesEvery(),
	}}
}

// GetOrCreate returns the living actor that has the name of the option Name, and starts
// one if there is none. Of any number of processes that do so at the same time all get the
// same actor.
func (c *ActorClass[A, In]) GetOrCreate(ctx context.Context, in In) (Handle[A], error) {
	if c.opts.name == "" {
		panic(fmt.Sprintf("gray: GetOrCreate at %s needs the option gray.Name", callSite()))
	}
	if c.opts.lightweight {
		panic(fmt.Sprintf("gray: GetOrCreate at %s of a lightweight actor: name it and use Remote, then GetActor", callSite()))
	}
	p := processOf(ctx)
	o, info, err := p.GetOrCreateActor(ctx, c.creation(ctx, p, submission(ctx, p, c.compiled, c.input, &in)))
	if err != nil {
		return Handle[A]{}, typed(fmt.Errorf("get or create actor %q: %w", c.opts.name, err))
	}
	return handleOf[A](o, info, c.opts.name)
}

func namespaceOf(p *process.Process, namespace string) string {
	if namespace == "" {
		return "job-" + p.Job().String()
	}
	return namespace
}

func className[A any]() string { return reflect.TypeFor[A]().String() }

// Handle names an actor whose type is A. Copies name the same actor; a Handle
// may be part of any value that travels. When no process holds a copy any more and no
// call is under way, the actor is ended, unless it has a Name or is Detached.
type Handle[A any] struct{ o *process.Object }

// String returns the actor's id.
func (h Handle[A]) String() string {
	if h.o == nil {
		return "<zero Handle>"
	}
	return ids.ActorID(h.o.ID()).String()
}

// MarshalGray implements codec.Marshaler.
func (h Handle[A]) MarshalGray(e *codec.Encoder) error {
	if h.o == nil {
		return errZeroHandle
	}
	c, ok := e.Context().(*process.Collector)
	if !ok {
		return errors.New("a handle can only be encoded on its way through the cluster")
	}
	if err := c.Add(h.o, true); err != nil {
		return err
	}
	e.Ext(extHandle, h.o.HandlePayload())
	return nil
}

// UnmarshalGray implements codec.Unmarshaler.
func (h *Handle[A]) UnmarshalGray(d *codec.Decoder) error {
	payload, err := d.Ext(extHandle)
	if err != nil {
		return err
	}
	decoding, ok := d.Context().(*process.Decoding)
	if !ok {
		return errors.New("a handle can only be decoded in the cluster")
	}
	h.o, err = decoding.Actor(payload)
	return err
}

var errZeroHandle = errors.New("a handle that names no actor (the zero Handle)")

// Call calls a method of an actor and returns a reference to its result. method
// is a method expression, such as (*Counter).Add. Calls of one process to one actor
// run in the order in which they were made.
func Call[A, In, Out any](ctx context.Context, h Handle[A], method func(*A, context.Context, In) (Out, error), in In) Ref[Out] {
	p := processOf(ctx)
	m := methodNamed(method)
	s := process.Submission{Options: m.opts}
	c, err := codec.For[In]()
	if err != nil {
		s.Err = encodingError(m.opts.Name, "input", err)
	} else {
		s = submission(ctx, p, m.opts, c, &in)
	}
	return call[A, Out](ctx, p, h, m, s)
}

// CallRef is Call with an input that is, or will be, an object's value.
func CallRef[A, In, Out any](ctx context.Context, h Handle[A], method func(*A, context.Context, In) (Out, error), in Ref[In]) Ref[Out] {
	p := processOf(ctx)
	m := methodNamed(method)
	return call[A, Out](ctx, p, h, m, submissionOf(ctx, p, m.opts, in.o))
}

func call[A, Out any](ctx context.Context, p *process.Process, h Handle[A], m *calledMethod, s process.Submission) Ref[Out] {
	switch {
	case h.o == nil:
		s.Err = encodingError(m.opts.Name, "call", errZeroHandle)
	case m.err != nil:
		s.Err = encodingError(m.opts.Name, "call", m.err)
	}
	return Ref[Out]{p.SubmitCall(ctx, h.o, s)}
}

// calledMethod is a method as callers name it, found once per function.
type calledMethod struct {
	opts *process.TaskOptions
	err  error
}

var calledMethods sync.Map // code pointer → *calledMethod

func methodNamed(method any) *calledMethod {
	pc := reflect.ValueOf(method).Pointer()
	if m, ok := calledMethods.Load(pc); ok {
		return m.(*calledMethod)
	}
	name := symbol(method) // main.(*Counter).Add
	short := name[strings.LastIndexByte(name, '.')+1:]
	m := &calledMethod{opts: &process.TaskOptions{Name: name, Function: hashOf(short)}}
	if !strings.Contains(name, "(*") || short == "" || short[0] < 'A' || short[0] > 'Z' {
		m.err = fmt.Errorf("%s is not an exported method of the actor's pointer type, such as (*Counter).Add", name)
	}
	actual, _ := calledMethods.LoadOrStore(pc, m)
	return actual.(*calledMethod)
}

// GetActor finds a living actor by the name that it was given in this job, or in
// the namespace of the option Namespace, the only one that counts here. The error
// is a NotFoundError if there is none.
func GetActor[A any](ctx context.Context, name string, opts ...Option) (Handle[A], error) {
	o := actorDefaults().with(opts)
	p := processOf(ctx)
	found, info, err := p.FindActor(ctx, namespaceOf(p, o.namespace), name)
	if err != nil {
		return Handle[A]{}, typed(fmt.Errorf("get actor %q: %w", name, err))
	}
	return handleOf[A](found, info, name)
}

func handleOf[A any](o *process.Object, info *proto.ActorInfo, name string) (Handle[A], error) {
	if class := info.GetSpec().GetClass(); class != className[A]() {
		return Handle[A]{}, fmt.Errorf("get actor %q: it is a %s, not a %s", name, class, className[A]())
	}
	return Handle[A]{o}, nil
}

// Kill ends an actor for good, whatever restarts it has left, or with the option
// Restart its process only. Its pending calls fail with ActorDiedError.
func Kill[A any](ctx context.Context, h Handle[A], opts ...KillOption) error {
	var o killOptions
	for _, f := range opts {
		f(&o)
	}
	if h.o == nil {
		return fmt.Errorf("kill: %w", errZeroHandle)
	}
	if err := processOf(ctx).KillActor(ctx, h.o, o.restart); err != nil {
		return typed(fmt.Errorf("kill actor %s: %w", h, err))
	}
	return nil
}
