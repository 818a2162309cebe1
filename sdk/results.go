package gray

import (
	"context"

	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// TaskFunc2 is a function with two results that runs in the cluster. Safe for
// concurrent use.
type TaskFunc2[In, A, B any] struct{ several[In] }

// TaskFunc3 is a function with three results that runs in the cluster. Safe for
// concurrent use.
type TaskFunc3[In, A, B, C any] struct{ several[In] }

// several is a task with several results: a stream, beneath, whose items are objects
// before they are made.
type several[In any] struct {
	input    *codec.Codec[In]
	name     string
	hash     uint64
	opts     options
	compiled *compiled
}

// Task2 is Task for a function with two results, each an object of its own: who needs
// one needn't move, or keep, the other.
func Task2[In, A, B any](fn func(ctx context.Context, in In) (A, B, error), opts ...Option) *TaskFunc2[In, A, B] {
	name := symbol(fn)
	a, b := mustCodec[A]("Task2", name, "first output"), mustCodec[B]("Task2", name, "second output")
	return &TaskFunc2[In, A, B]{declareSeveral("Task2", fn, opts, func(ctx context.Context, in In) ([]process.Value, error) {
		x, y, err := fn(ctx, in)
		return []process.Value{boxed[A]{a, &x}, boxed[B]{b, &y}}, err
	})}
}

// Task3 is Task for a function with three results, each an object of its own.
func Task3[In, A, B, C any](fn func(ctx context.Context, in In) (A, B, C, error), opts ...Option) *TaskFunc3[In, A, B, C] {
	name := symbol(fn)
	a, b := mustCodec[A]("Task3", name, "first output"), mustCodec[B]("Task3", name, "second output")
	c := mustCodec[C]("Task3", name, "third output")
	return &TaskFunc3[In, A, B, C]{declareSeveral("Task3", fn, opts, func(ctx context.Context, in In) ([]process.Value, error) {
		x, y, z, err := fn(ctx, in)
		return []process.Value{boxed[A]{a, &x}, boxed[B]{b, &y}, boxed[C]{c, &z}}, err
	})}
}

// declareSeveral registers fn, whose results call gives as values.
func declareSeveral[In any](what string, fn any, opts []Option, call func(context.Context, In) ([]process.Value, error)) several[In] {
	name := symbol(fn)
	input := mustCodec[In](what, name, "input")
	declared := declaredOptions("task "+name, opts)
	name, hash := register(what, fn, func(string) func(context.Context, *process.Invocation) error {
		return func(ctx context.Context, inv *process.Invocation) error {
			var in In
			if err := inv.Input(func(b []byte, d *process.Decoding) error { return input.Decode(b, &in, d) }); err != nil {
				return err
			}
			values, err := call(ctx, in)
			if err != nil {
				return declared.retried(err)
			}
			for _, v := range values {
				if more, err := inv.Yield(v); !more || err != nil {
					return err
				}
			}
			return nil
		}
	})
	return several[In]{input: input, name: name, hash: hash, opts: declared, compiled: &compiled{}}
}

func (s *several[In]) options() *process.TaskOptions {
	return s.compiled.get(&s.opts, s.name, s.hash, true)
}

func (s several[In]) with(opts []Option) several[In] {
	s.opts = s.opts.redeclared("task "+s.name, opts)
	s.compiled = &compiled{}
	return s
}

func (s *several[In]) submit(ctx context.Context, in *In, n int) []*process.Object {
	p := processOf(ctx)
	return p.SubmitSeveral(ctx, submission(ctx, p, s.options(), s.input, in), n)
}

func (s *several[In]) submitRef(ctx context.Context, in Ref[In], n int) []*process.Object {
	p := processOf(ctx)
	return p.SubmitSeveral(ctx, submissionOf(ctx, p, s.options(), in.o), n)
}

// Options returns the task with other options; t itself is unchanged.
func (t *TaskFunc2[In, A, B]) Options(opts ...Option) *TaskFunc2[In, A, B] {
	return &TaskFunc2[In, A, B]{t.with(opts)}
}

// Remote submits the task and returns references to its results, as Task's Remote does.
// Cancelling one of them cancels the task.
func (t *TaskFunc2[In, A, B]) Remote(ctx context.Context, in In) (Ref[A], Ref[B]) {
	o := t.submit(ctx, &in, 2)
	return Ref[A]{o[0]}, Ref[B]{o[1]}
}

// RemoteRef is Remote with an input that is, or will be, an object's value.
func (t *TaskFunc2[In, A, B]) RemoteRef(ctx context.Context, in Ref[In]) (Ref[A], Ref[B]) {
	o := t.submitRef(ctx, in, 2)
	return Ref[A]{o[0]}, Ref[B]{o[1]}
}

// Options returns the task with other options; t itself is unchanged.
func (t *TaskFunc3[In, A, B, C]) Options(opts ...Option) *TaskFunc3[In, A, B, C] {
	return &TaskFunc3[In, A, B, C]{t.with(opts)}
}

// Remote submits the task and returns references to its results, as Task's Remote does.
// Cancelling one of them cancels the task.
func (t *TaskFunc3[In, A, B, C]) Remote(ctx context.Context, in In) (Ref[A], Ref[B], Ref[C]) {
	o := t.submit(ctx, &in, 3)
	return Ref[A]{o[0]}, Ref[B]{o[1]}, Ref[C]{o[2]}
}

// RemoteRef is Remote with an input that is, or will be, an object's value.
func (t *TaskFunc3[In, A, B, C]) RemoteRef(ctx context.Context, in Ref[In]) (Ref[A], Ref[B], Ref[C]) {
	o := t.submitRef(ctx, in, 3)
	return Ref[A]{o[0]}, Ref[B]{o[1]}, Ref[C]{o[2]}
}
