package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/tty"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a command line that can't be meant.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// statusError ends the program with a status, all having been said.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// terminal is where a verb reads and writes.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// note writes a line for people, or several. Others' text in it is fit to be shown.
func (t *terminal) note(format string, args ...any) {
	fmt.Fprintln(t.err, lines(fmt.Sprintf(format, args...)))
}

// json prints v for programs.
func (t *terminal) json(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(t.out, tty.JSON(b.String()))
	return err
}

// run carries out a command line and returns the exit status.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	t := &terminal{in: in, out: out, err: errs}
	root := newRoot(t)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	var status statusError
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		t.note("gray: %v", err)
		return exitUsage
	}
	t.note("gray: %v", err)
	return exitFailure
}

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "gray",
		Short: "A distributed runtime of tasks and actors for Go",
		Long: "gray runs Go functions and objects on many machines.\n\n" +
			"  gray start --head          begin a cluster on this machine\n" +
			"  gray submit job.go         compile a job and run it there\n" +
			"  gray status                see what it does\n" +
			"  gray why ID                see what something waits for, failed with or died of",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages", "Flags.FlagUsagesWrapped 80"))
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w\nsee `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(
		newStart(t), newStop(t), newSubmit(t), newJob(t), newDrain(t), newHeads(t), newSimulate(t), newVersion(t),
		newStatus(t), newNodes(t), newActors(t), newTasks(t), newObjects(t), newJobs(t), newList(t), newSummary(t), newEvents(t, "events"),
		newWhy(t), newMemory(t), newTop(t), newLogs(t), newStack(t), newProfile(t), newTimeline(t), newDashboard(t),
	)
	strict(root)
	return root
}

// strict makes a wrong number of arguments and an unknown verb usage errors.
func strict(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usagef("%s\nsee `%s --help`", strings.ReplaceAll(err.Error(), "\n", " "), c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// isTerminal reports whether f is a terminal that a person sits at.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	_, ok = terminalWidth(file)
	return ok
}
