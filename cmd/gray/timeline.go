package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// traced is what became of a trace.
type traced struct {
	File    string `json:"file"`
	Size    int64  `json:"size"`
	Dropped uint64 `json:"dropped"` // attempts and spans that aren't in it
	Warning string `json:"warning,omitempty"`
}

func newTimeline(t *terminal) *cobra.Command {
	var g target
	var out string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use: "timeline JOB", Short: "Write what a job did, and when, as a trace",
		Long: "Writes the timeline of a job, running or ended, into a file that https://ui.perfetto.dev\n" +
			"and chrome://tracing open: what its tasks waited for, when and where they ran, what\n" +
			"called them, and the transfers and spills of its objects. Nodes keep the newest of each.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef("--limit is %d: it must be at least 1", limit)
			}
			if asJSON && out == "-" {
				return usagef("--json and -o - can't go together: both write to standard output")
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			var r traced
			err := g.with(t, func(cluster cluster) (err error) {
				r, err = writeTrace(ctx, t, out, func(w io.Writer) (api.Trace, error) { return cluster.Trace(ctx, args[0], limit, w) })
				return err
			})
			if err != nil {
				return err
			}
			if r.Warning != "" {
				t.note("gray: not all of it: %s", r.Warning)
			}
			if r.Dropped > 0 {
				t.note("gray: %d older tasks and transfers aren't in it: nodes keep the newest, and --limit is %d", r.Dropped, limit)
			}
			switch {
			case asJSON:
				return t.json(r)
			case out != "-":
				t.note("%s is written (%s): open it in https://ui.perfetto.dev or chrome://tracing", r.File, formatSize(r.Size))
			}
			return nil
		},
	}
	g.registerRead(c)
	c.Flags().StringVarP(&out, "output", "o", "trace.json", "write into `FILE`; -: to standard output")
	c.Flags().IntVar(&limit, "limit", 100_000, "take the newest `N` tasks, and as many transfers")
	c.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	return c
}

// writeTrace has a trace written into a file, which is there whole or not at all, or to
// standard output.
func writeTrace(ctx context.Context, t *terminal, path string, write func(io.Writer) (api.Trace, error)) (traced, error) {
	var got api.Trace
	if path == "-" {
		w := t.shown()
		defer w.Close()
		got, err := write(w)
		return traced{Dropped: got.Dropped, Warning: got.Warning}, err
	}
	m := &meter{}
	done := t.transfer(ctx, "writing the trace", m)
	b, err := backUp(path, true, func(w io.Writer) (_ string, err error) {
		got, err = write(m.writer(w))
		return "", err
	})
	done()
	switch {
	case ctx.Err() != nil:
		return traced{}, errors.New("interrupted: nothing is written")
	case err != nil:
		return traced{}, fmt.Errorf("write the trace into %s: %w", path, err)
	}
	return traced{File: b.File, Size: b.Size, Dropped: got.Dropped, Warning: got.Warning}, nil
}

func (r *remote) Trace(ctx context.Context, id string, limit int, w io.Writer) (api.Trace, error) {
	got, err := r.Client.Trace(ctx, id, limit, w)
	return got, r.jobError(id, err)
}
