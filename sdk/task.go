package gray

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"

	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// None is the input or output of what needs none.
type None struct{}

// TaskFunc is a function that runs in the cluster. Safe for concurrent use.
type TaskFunc[In, Out any] struct {
	input    *codec.Codec[In]
	name     string
	hash     uint64
	opts     options
	compiled *compiled
}

// Task declares fn as a task. It must initialise a package-level variable. fn
// may be anonymous and may refer to package-level variables, each process having
// its own copies. In and Out may be any types that can be encoded: no channels,
// functions or interfaces other than any.
func Task[In, Out any](fn func(ctx context.Context, in In) (Out, error), opts ...Option) *TaskFunc[In, Out] {
	name := symbol(fn)
	input := mustCodec[In]("Task", name, "input")
	output := mustCodec[Out]("Task", name, "output")
	declared := declaredOptions("task "+name, opts)
	name, hash := register("Task", fn, func(string) func(context.Context, *process.Invocation) error {
		return func(ctx context.Context, inv *process.Invocation) error {
			var in In
			if err := inv.Input(func(b []byte, d *process.Decoding) error { return input.Decode(b, &in, d) }); err != nil {
				return err
			}
			out, err := fn(ctx, in)
			if err != nil {
				return declared.retried(err)
			}
			return inv.Return(boxed[Out]{output, &out})
		}
	})
	return &TaskFunc[In, Out]{input: input, name: name, hash: hash, opts: declared, compiled: &compiled{}}
}

// Options returns the task with other options; t itself is unchanged.
func (t *TaskFunc[In, Out]) Options(opts ...Option) *TaskFunc[In, Out] {
	u := *t
	u.opts = t.opts.redeclared("task "+t.name, opts)
	u.compiled = &compiled{}
	return &u
}

func (t *TaskFunc[In, Out]) options() *process.TaskOptions {
	return t.compiled.get(&t.opts, t.name, t.hash, false)
}

func (o *options) compile(name string, hash uint64) *process.TaskOptions {
	if o.name != "" {
		name = o.name
	}
	return &process.TaskOptions{
		Name: name, Function: hash, Resources: o.resources, Strategy: o.strategy,
		MaxRetries: o.maxRetries, Timeout: o.timeout, EnvVars: o.envVars, WorkingDir: o.workingDir,
		MaxConcurrency: o.maxConcurrency, MaxRestarts: o.maxRestarts,
	}
}

// Remote submits the task and returns a reference to its result; what goes wrong
// shows when the reference is read. It doesn't wait, but for room: while this process has some
// 130,000 tasks that aren't done, fewer with large inputs, it submits no faster than they end. Inside
// a task the CPU is lent out meanwhile. When none ends it goes on slowly, as those may wait for the submitter.
func (t *TaskFunc[In, Out]) Remote(ctx context.Context, in In) Ref[Out] {
	p := processOf(ctx)
	return Ref[Out]{p.Submit(ctx, submission(ctx, p, t.options(), t.input, &in))}
}

// RemoteRef is Remote with an input that is, or will be, an object's value.
func (t *TaskFunc[In, Out]) RemoteRef(ctx context.Context, in Ref[In]) Ref[Out] {
	p := processOf(ctx)
	return Ref[Out]{p.Submit(ctx, submissionOf(ctx, p, t.options(), in.o))}
}

// submission encodes an input; one too large for a frame becomes an object.
func submission[In any](ctx context.Context, p *process.Process, opts *process.TaskOptions, c *codec.Codec[In], in *In) process.Submission {
	s := process.Submission{Options: opts, Carried: p.Carry(ctx, opts)}
	if s.Err = workingDirError(p, opts); s.Err != nil {
		return s
	}
	arg, refs, stored, err := p.Encode(ctx, boxed[In]{c, in})
	switch {
	case err != nil:
		s.Err = encodingError(opts.Name, "input", err)
	case stored != nil:
		s.Direct, s.Refs = stored, refs
	default:
		s.Arg, s.Refs = arg, refs
	}
	return s
}

func submissionOf(ctx context.Context, p *process.Process, opts *process.TaskOptions, in *process.Object) process.Submission {
	s := process.Submission{Options: opts, Direct: in, Err: workingDirError(p, opts), Carried: p.Carry(ctx, opts)}
	if s.Err != nil {
		return s
	}
	if in == nil {
		s.Err = encodingError(opts.Name, "input", errZeroRef)
	} else if in.Process() != p {
		s.Err = encodingError(opts.Name, "input", foreign(p, in))
	}
	return s
}

func encodingError(name, part string, err error) *proto.Error {
	e := &proto.Error{Kind: proto.Error_ENCODING, Function: name, Message: fmt.Sprintf("%s of %s: %v", part, name, err)}
	var remote *process.RemoteError
	var other *process.OtherClusterError
	switch {
	case errors.As(err, &remote):
		e.Kind = remote.Detail.GetKind()
	case errors.As(err, &other):
		e.Kind = proto.Error_OTHER_CLUSTER
	}
	return e
}

// StreamFunc is a function that runs in the cluster and yields objects.
type StreamFunc[In, Out any] struct {
	input    *codec.Codec[In]
	name     string
	hash     uint64
	opts     options
	compiled *compiled
}

// Stream declares fn as a task that yields any number of results, each an
// object of its own, as they are made. yield waits while the consumer is too
// far behind and returns false when no more is wanted. Like Task, it must
// initialise a package-level variable.
func Stream[In, Out any](fn func(ctx context.Context, in In, yield func(Out) bool) error, opts ...Option) *StreamFunc[In, Out] {
	name := symbol(fn)
	input := mustCodec[In]("Stream", name, "input")
	output := mustCodec[Out]("Stream", name, "output")
	declared := declaredOptions("stream "+name, opts)
	name, hash := register("Stream", fn, func(string) func(context.Context, *process.Invocation) error {
		return func(ctx context.Context, inv *process.Invocation) error {
			var in In
			if err := inv.Input(func(b []byte, d *process.Decoding) error { return input.Decode(b, &in, d) }); err != nil {
				return err
			}
			var failed error
			err := fn(ctx, in, func(out Out) bool {
				more, err := inv.Yield(boxed[Out]{output, &out})
				failed = errors.Join(failed, err)
				return more
			})
			return errors.Join(failed, declared.retried(err))
		}
	})
	return &StreamFunc[In, Out]{input: input, name: name, hash: hash, opts: declared, compiled: &compiled{}}
}

// Options returns the stream with other options; s itself is unchanged.
func (s *StreamFunc[In, Out]) Options(opts ...Option) *StreamFunc[In, Out] {
	u := *s
	u.opts = s.opts.redeclared("stream "+s.name, opts)
	u.compiled = &compiled{}
	return &u
}

func (s *StreamFunc[In, Out]) options() *process.TaskOptions {
	return s.compiled.get(&s.opts, s.name, s.hash, true)
}

// Remote submits the task and returns its items, complete, in order. An error
// ends the sequence. The task starts at once; leaving the loop early cancels it. The
// sequence can be ranged over once.
func (s *StreamFunc[In, Out]) Remote(ctx context.Context, in In) iter.Seq2[Ref[Out], error] {
	p := processOf(ctx)
	st := p.SubmitStream(ctx, submission(ctx, p, s.options(), s.input, &in))
	return items[Out](ctx, st)
}

// RemoteRef is Remote with an input that is, or will be, an object's value.
func (s *StreamFunc[In, Out]) RemoteRef(ctx context.Context, in Ref[In]) iter.Seq2[Ref[Out], error] {
	p := processOf(ctx)
	return items[Out](ctx, p.SubmitStream(ctx, submissionOf(ctx, p, s.options(), in.o)))
}

// consumer is the sequence's hold of a stream: one that is dropped without having
// been ranged over ends the task, which else would wait for ever.
type consumer struct{ stream *process.Stream }

func items[Out any](ctx context.Context, st *process.Stream) iter.Seq2[Ref[Out], error] {
	c := &consumer{st}
	runtime.AddCleanup(c, (*process.Stream).Abandon, st)
	return func(yield func(Ref[Out], error) bool) {
		st := c.stream
		defer runtime.KeepAlive(c)
		defer st.Close()
		for {
			o, err := st.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Ref[Out]{}, typed(err))
				return
			}
			if !yield(Ref[Out]{o}, nil) {
				return
			}
		}
	}
}
