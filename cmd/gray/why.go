package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

func newWhy(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	c := &cobra.Command{
		Use: "why ID", Short: "Tell what a task, actor, placement group or job waits for, or died of",
		Long: "ID is one that `gray tasks`, `gray actors` or `gray jobs` shows, or a name.\n" +
			"For what waits for a place, it tells of each node what it lacks.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("why what? give the ID or name of a task, actor, placement group or job")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), listTimeout)
			defer cancel()
			cluster, _, err := g.open(t)
			if err != nil {
				return err
			}
			defer g.close()
			w, err := cluster.Why(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return t.json(w)
			}
			printWhy(t, w, time.Now())
			return nil
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (r *remote) Why(ctx context.Context, id string) (*api.Why, error) {
	w, err := r.Client.Why(ctx, id)
	return w, r.explain(err)
}

func printWhy(t *terminal, w *api.Why, now time.Time) {
	name := ""
	if w.Name != "" {
		name = " (" + w.Name + ")"
	}
	of := ""
	if w.JobID != "" && w.Kind != api.WhyJob {
		of = " of " + w.JobID
	}
	fmt.Fprintf(t.out, "%s %s%s%s is %s: %s.\n", w.Kind, w.ID, name, of, w.State, w.Summary)
	if w.NodeID != "" {
		fmt.Fprintf(t.out, "On %s", w.NodeID)
		if w.PID != 0 {
			fmt.Fprintf(t.out, ", pid %d", w.PID)
		}
		if w.EndTimeMs != 0 {
			fmt.Fprintf(t.out, ", ended %s ago", formatAge(at(w.EndTimeMs), now))
		}
		fmt.Fprintln(t.out)
	}
	for _, in := range w.WaitsFor {
		fmt.Fprintf(t.out, "  waits for %s\n", in)
	}
	printVerdicts(t, w)
	if w.Cause != "" {
		fmt.Fprintf(t.out, "Cause: %s\n", w.Cause)
	}
	if w.LogTail != "" {
		fmt.Fprintf(t.out, "Its last lines:\n%s\n", w.LogTail)
	}
}

func printVerdicts(t *terminal, w *api.Why) {
	if len(w.Resources) > 0 {
		fmt.Fprintf(t.out, "It needs {%s}.\n", demanded(w.Resources))
	}
	if len(w.Nodes) > 0 {
		tab := newTable("NODE", "~SAYS")
		for _, n := range w.Nodes {
			says := n.Reason
			if n.Fits {
				says = "has room"
			}
			tab.row(n.NodeID, says)
		}
		tab.print(t.out)
	}
	if w.More > 0 {
		fmt.Fprintf(t.out, "and %s\n", count(w.More, "more node"))
	}
	if w.Infeasible {
		fmt.Fprintln(t.out, "No node can ever meet it: add one that does, or ask for less.")
	}
}
