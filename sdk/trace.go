package gray

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

// flushLimit bounds how long the end of a process waits for its traces to be sent.
const flushLimit = 2 * time.Second

// traced begins the trace of what a driver does, if there is a tracer (package graytrace).
func (s *Session) traced(ctx context.Context) (context.Context, func(error)) {
	if t := process.TracerOf(); t != nil {
		return t.Job(ctx, s.process)
	}
	return ctx, func(error) {}
}

func flushTraces(ctx context.Context) {
	t := process.TracerOf()
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	if err := t.Flush(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "gray: traces: %v\n", err)
	}
}
