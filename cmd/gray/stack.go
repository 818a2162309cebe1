package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/tty"
)

// processHelp says how gray stack and gray profile name a process.
const processHelp = "PROCESS is a worker or driver (n1.p3), a node (n1), head (the one that leads) or a\n" +
	"head's id, an actor's id or name, a task that runs, or a job (its driver)."

// oneProcess wants one process named.
func oneProcess(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("which process? n1.p3, n1 or head, or that of an actor, a task or a job")
	case 1:
		return nil
	}
	return fmt.Errorf("%s: one process at a time", args[1])
}

func newStack(t *terminal) *cobra.Command {
	var g target
	c := &cobra.Command{
		Use: "stack PROCESS", Short: "Show what the goroutines of a process do", Args: oneProcess,
		Long:    processHelp + "\nA process that is busy answers; one that is stopped doesn't, which is said after 5 s.",
		Example: "  gray stack n1.p3\n  gray stack head",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), 2*listTimeout) // the head says after half of it who doesn't answer
			defer cancel()
			return g.with(t, func(cluster cluster) error {
				text, err := cluster.Stack(ctx, args[0])
				if err != nil {
					return err
				}
				w := t.shown()
				defer w.Close()
				_, err = io.WriteString(w, text)
				return err
			})
		},
	}
	g.register(c)
	return c
}

// shown is where text goes that jobs have written: standard output, without what would
// do something to a terminal. The caller closes it.
func (t *terminal) shown() io.WriteCloser { return safe(t.out) }

func safe(w io.Writer) io.WriteCloser {
	if isTerminal(w) {
		return tty.NewWriter(w)
	}
	return unclosed{w}
}

// unclosed is a writer that stays open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

func (r *remote) Stack(ctx context.Context, process string) (string, error) {
	text, err := r.Client.Stack(ctx, process)
	return text, r.processError(err)
}

// processError is explain for a question about a process: a head that doesn't know it
// says best why.
func (r *remote) processError(err error) error {
	if errors.Is(err, api.ErrNotFound) {
		return err
	}
	return r.explain(err)
}
