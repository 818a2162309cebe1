package process

import (
	"context"
	"errors"

	"github.com/gray-runtime/gray/internal/ids"
)

// Tracer follows what a job does from process to process. Its methods may be called from any
// goroutine, and none of them waits, but for Flush.
type Tracer interface {
	// Env is what workers' environments must have for their tracer to be like this one.
	Env() map[string]string
	// Job begins what a driver does, in the context that it's to have.
	Job(ctx context.Context, p *Process) (context.Context, func(error))
	// Submit is called as a task is submitted. It returns what goes with it to its worker; empty:
	// nothing, and the worker's tracer isn't called.
	Submit(ctx context.Context, p *Process, function string) string
	// Run begins an attempt of a task that carried something, in the context that the function
	// is to have.
	Run(ctx context.Context, carried string, p *Process, t TracedTask) (context.Context, func(error))
	// Flush has all that ended be known elsewhere, or gives up as ctx ends.
	Flush(ctx context.Context) error
}

// TracedTask is what a worker knows of a task that it runs.
type TracedTask struct {
	TaskInfo
	Owner ids.ProcessID // zero: of an actor's constructor
	Kind  string        // task, stream, method, constructor
}

// tracer is set before the process has joined a job, or never.
var tracer Tracer

// SetTracer has the processes of this program be traced. It's called from an init function.
func SetTracer(t Tracer) { tracer = t }

// TracerOf returns the tracer; nil: there is none.
func TracerOf() Tracer { return tracer }

// Carry is what a task that is submitted in ctx carries for its trace.
func (p *Process) Carry(ctx context.Context, o *TaskOptions) string {
	if tracer == nil {
		return ""
	}
	return tracer.Submit(ctx, p, o.Name)
}

var errPanicked = errors.New("the function panicked")

// runTraced is the function's run between the tracer's begin and end.
func (in *Invocation) runTraced() (err error) {
	info, _ := TaskFromContext(in.ctx)
	t := TracedTask{TaskInfo: info, Kind: "task"}
	if in.peer != nil {
		t.Owner = in.peer.owner
	}
	switch flags := in.call.flags; {
	case flags&flagCreation != 0:
		t.Kind = "constructor"
	case flags&flagActor != 0:
		t.Kind = "method"
	case flags&flagStream != 0:
		t.Kind = "stream"
	}
	ctx, end := tracer.Run(in.ctx, in.call.carried, in.w.p, t)
	err = errPanicked // unless it returns
	defer func() { end(err) }()
	err = in.fn.Run(ctx, in)
	return err
}
