package gray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// closeTimeout bounds how long a driver's end waits for the cluster.
const closeTimeout = 10 * time.Second

// Main runs a job. In the driver it calls run and ends the program with status
// 0, or with 1 after printing run's error; in a worker, the same program started by a
// node, it serves tasks. It never returns. The context ends on an interrupt and when
// the connection to the cluster is lost.
//
// What precedes Main in main runs in workers too, with the driver's arguments, so
// flags may be parsed there; opts apply in them, too.
//
//go:noinline
func Main(run func(ctx context.Context) error, opts ...JobOption) {
	for _, f := range opts {
		f()
	}
	os.Exit(drive(run))
}

func drive(run func(ctx context.Context) error) int {
	TakeRole() // a worker that is asked to end does so at once
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := Init(ctx)
	if err != nil {
		sayError(err)
		return 1
	}
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	code, message := 0, ""
	jobCtx, cancel := s.Context(ctx)
	defer cancel()
	runCtx, traced := s.traced(jobCtx)
	err = run(runCtx)
	traced(err)
	if err != nil {
		if cause := context.Cause(jobCtx); cause != nil && errors.Is(err, context.Canceled) && !errors.Is(cause, context.Canceled) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		sayError(err)
		code, message = 1, err.Error()
	}
	if err := s.finish(code, message); err != nil {
		sayError(err)
		code = max(code, 1)
	}
	return code
}
