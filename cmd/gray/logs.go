package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pause"
)

const (
	taskLogPause = time.Second
	maxTail      = 100_000
)

// logFlags is the command line of gray logs.
type logFlags struct {
	api.LogOptions
	task string
}

func newLogs(t *terminal) *cobra.Command {
	var g target
	var f logFlags
	c := &cobra.Command{
		Use: "logs [JOB]", Short: "Show what a job, task, actor, worker or node has written",
		Long: "Shows the output of a job's driver, which has its workers' as well; or, with a flag,\n" +
			"what one task, actor or process has written, or a node's or head's own log.\n" +
			"-f goes on until the writer ends; Ctrl-C ends that, and the writer goes on.\n\n" +
			"Of a task it's all attempts, wherever they ran; errors name the task's id, and so\n" +
			"does gray.Current. What a task that ran for less than 0.1 ms has written may be\n" +
			"shown with the task that its process ran next.",
		Example: "  gray logs train-7 -f\n  gray logs --actor counter --tail 20\n  gray logs --node n2 -f",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s: one job at a time", args[1])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			w := t.shown()
			defer w.Close()
			err := g.with(t, func(cluster cluster) error { return f.run(ctx, t, cluster, w) })
			if f.Follow && ctx.Err() != nil {
				return nil
			}
			return err
		},
	}
	g.register(c)
	c.Flags().StringVar(&f.Job, "job", "", "the job's `ID`, as without a flag")
	c.Flags().StringVar(&f.task, "task", "", "the task's `ID`")
	c.Flags().StringVar(&f.Actor, "actor", "", "the actor's `ID` or name")
	c.Flags().StringVar(&f.Worker, "worker", "", "the worker's or driver's `ID`, as n1.p3")
	c.Flags().StringVar(&f.Node, "node", "", "the node's `ID`, a head's, or head: the one that leads")
	c.Flags().BoolVarP(&f.Follow, "follow", "f", false, "go on until the writer ends")
	c.Flags().IntVar(&f.Lines, "tail", 0, "only the last `N` lines")
	return c
}

// check takes in a job that is named without a flag, and wants one thing named.
func (f *logFlags) check(args []string) error {
	if len(args) == 1 {
		if f.Job != "" {
			return usagef("--job %s and %s: one job at a time", f.Job, args[0])
		}
		f.Job = args[0]
	}
	named := 0
	for _, name := range []string{f.Job, f.task, f.Actor, f.Worker, f.Node} {
		if name != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return usagef("whose? name a job, or give --task, --actor, --worker or --node")
	case named > 1:
		return usagef("name one of a job, --task, --actor, --worker and --node")
	case f.Lines < 0 || f.Lines > maxTail:
		return usagef("--tail is %d: it must be up to %d", f.Lines, maxTail)
	}
	return nil
}

func (f *logFlags) run(ctx context.Context, t *terminal, c cluster, w io.Writer) error {
	switch {
	case f.task != "":
		return f.taskLog(ctx, c, w)
	case f.Job != "" && f.Lines == 0:
		return showJobLog(ctx, t, c, f.Job, f.Follow, w)
	}
	return c.Log(ctx, f.LogOptions, w)
}

// showJobLog shows the output of a job's driver; an outage of the head doesn't end that.
func showJobLog(ctx context.Context, t *terminal, c cluster, id string, follow bool, w io.Writer) error {
	j, err := c.Job(ctx, id)
	if err != nil {
		return err
	}
	if j.Type == "DRIVER" {
		return fmt.Errorf("job %s wasn't submitted: its output went to the terminal where it was started", id)
	}
	if follow || j.ended() {
		return c.FollowLogs(ctx, id, w, func(err error) { t.note("gray: %v\ngray: trying again for a minute", err) })
	}
	text, err := c.Logs(ctx, id)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// taskLog shows what a task has written, which nodes are asked for; following, until the
// task has ended.
func (f *logFlags) taskLog(ctx context.Context, c cluster, w io.Writer) error {
	seen := -1 // bytes; none have been asked for
	for {
		over := !f.Follow || taskOver(ctx, c, f.task) // before the question for what it wrote by then
		text, err := c.TaskLogs(ctx, f.task)
		if err != nil && (over && seen < 0 || !errors.Is(err, api.ErrNotFound)) {
			return err
		}
		more := text[min(max(seen, 0), len(text)):]
		if seen < 0 && f.Lines > 0 {
			more = lastLines(text, f.Lines)
		}
		seen = max(0, len(text))
		if _, err := io.WriteString(w, more); err != nil || over {
			return err
		}
		if !pause.For(ctx, taskLogPause) {
			return ctx.Err()
		}
	}
}

// taskOver reports whether a task has ended, or nobody knows of it.
func taskOver(ctx context.Context, c cluster, id string) bool {
	why, err := c.Why(ctx, id)
	return err != nil || why.State == "FINISHED" || why.State == "FAILED"
}

func lastLines(text string, n int) string {
	end := strings.TrimSuffix(text, "\n")
	for at := len(end); at >= 0; {
		at = strings.LastIndexByte(end[:at], '\n')
		if n--; at < 0 {
			return text
		} else if n == 0 {
			return text[at+1:]
		}
	}
	return text
}

// TaskLogs says what the head says: it knows best why there is nothing.
func (r *remote) TaskLogs(ctx context.Context, id string) (string, error) {
	text, err := r.Client.TaskLogs(ctx, id)
	return text, r.processError(err)
}

func (r *remote) Log(ctx context.Context, o api.LogOptions, w io.Writer) error {
	return r.processError(r.Client.Log(ctx, o, w))
}
