package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// jobStopLimit is how long gray job stop waits for the job's end.
const jobStopLimit = 30 * time.Second

func newJob(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "job", Short: "List, describe, follow and stop jobs", Args: cobra.NoArgs,
		Long: "A job is named by the ID that `gray submit` prints, or by its number: j3.",
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(jobListing("list").command(t), newJobStatus(t), newJobLogs(t), newJobStop(t))
	return c
}

// jobVerb makes a verb about one job, of a cluster that register's flags name.
func jobVerb(
	t *terminal, register func(*target, *cobra.Command), use, short, long string,
	run func(ctx context.Context, c cluster, id string) error,
) *cobra.Command {
	var g target
	c := &cobra.Command{
		Use: use + " ID", Short: short, Long: long,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return fmt.Errorf("which job? `gray job list` shows their IDs")
			case 1:
				return nil
			}
			return fmt.Errorf("%s: one job at a time", args[1])
		},
		RunE: func(c *cobra.Command, args []string) error {
			return g.with(t, func(cluster cluster) error { return run(c.Context(), cluster, args[0]) })
		},
	}
	register(&g, c)
	return c
}

func newJobStatus(t *terminal) *cobra.Command {
	var asJSON bool
	c := jobVerb(t, (*target).registerRead, "status", "Describe a job", "", func(ctx context.Context, c cluster, id string) error {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		j, err := c.Job(ctx, id)
		if err != nil {
			return err
		}
		if asJSON {
			return t.json(j)
		}
		printJob(t.out, j, time.Now())
		return nil
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printJob(w io.Writer, j job, now time.Time) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-12s%s\n", name+":", lines(fmt.Sprintf(format, args...)))
	}
	line("Job", "%s", j.id())
	if j.ID != j.id() {
		line("Number", "%s", j.ID)
	}
	switch {
	case j.ExitCode == nil:
		line("Status", "%s", j.Status)
	case *j.ExitCode < 0:
		line("Status", "%s (ended by signal %d)", j.Status, -*j.ExitCode)
	default:
		line("Status", "%s (exit status %d)", j.Status, *j.ExitCode)
	}
	line("Entrypoint", "%s", j.Entrypoint)
	switch {
	case j.Node != "" && j.PID != 0:
		line("Driver", "pid %d on node %s", j.PID, j.Node)
	case j.Node != "":
		line("Driver", "on node %s", j.Node)
	}
	if !j.Started.IsZero() {
		line("Started", "%s (%s)", j.Started.Format(time.DateTime), ago(j.Started, now))
	}
	if !j.Ended.IsZero() {
		line("Ended", "%s (took %s)", j.Ended.Format(time.DateTime), took(j, now))
	}
	for _, k := range sortedKeys(j.Metadata) {
		line("Metadata", "%s=%s", k, j.Metadata[k])
	}
	if j.Message != "" {
		line("Message", "%s", j.Message)
	}
}

func newJobLogs(t *terminal) *cobra.Command {
	var follow bool
	c := jobVerb(t, (*target).register, "logs", "Print what a job's driver has written",
		"Prints what the job's driver has written, standard error included. With -f it\n"+
			"goes on until the job ends; Ctrl-C ends that, and the job goes on.",
		func(ctx context.Context, c cluster, id string) error {
			w := t.shown()
			defer w.Close()
			return showJobLog(ctx, t, c, id, follow, w)
		})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	return c
}

func newJobStop(t *terminal) *cobra.Command {
	var noWait, asJSON bool
	c := jobVerb(t, (*target).register, "stop", "End a job",
		"Ends the job and waits until it has ended. Its driver gets SIGTERM, and what is\nleft of it 3 seconds later SIGKILL.",
		func(ctx context.Context, c cluster, id string) error {
			ctx, cancel := context.WithTimeout(ctx, jobStopLimit)
			defer cancel()
			was, err := c.StopJob(ctx, id)
			if err != nil {
				return err
			}
			if asJSON && noWait {
				j, err := c.Job(ctx, id)
				if err != nil {
					return err
				}
				return t.json(j)
			}
			if was && noWait {
				fmt.Fprintf(t.out, "job %s is being stopped\n", id)
				return nil
			}
			j, err := c.AwaitJob(ctx, id, func(err error) { t.note("gray: %v", err) })
			switch {
			case err != nil && ctx.Err() != nil:
				return fmt.Errorf("job %s hasn't ended %v after it was told to: see `gray job status %s`", id, jobStopLimit, id)
			case err != nil:
				return err
			case asJSON:
				return t.json(j)
			case !was:
				fmt.Fprintf(t.out, "job %s had ended already: %s\n", id, j.Status)
			default:
				fmt.Fprintf(t.out, "job %s has ended: %s\n", id, j.Status)
			}
			return nil
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&noWait, "no-wait", false, "don't wait until it has ended")
	return c
}
