package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/tty"
)

func newWhy(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	c := &cobra.Command{
		Use: "why ID", Short: "Tell what anything waits for, failed with or died of",
		Long: "ID is that of a task, actor, placement group, job, object, node (n1), process (n1.p3) or head, as the lists show it, or a name.\n" +
			"It tells how it came to that, from the root on; of what waits for a place, what each node lacks and who holds it;\n" +
			"of a job, what is wrong with it.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("why what? give the ID or name of a task, actor, placement group, job, object, node, process or head")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return g.ask(c.Context(), t, func(ctx context.Context, cluster cluster) error {
				w, err := cluster.Why(ctx, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return t.json(w)
				}
				printWhy(t.out, w, time.Now())
				return nil
			})
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

func (r *remote) Hints(ctx context.Context) (page[api.HintRow], error) {
	same := func(h api.HintRow) api.HintRow { return h }
	return rows(r, same)(r.Client.Hints(ctx, api.ListOptions{Limit: maxRows}))
}

// longestLine is how much of a line is shown, in characters.
const longestLine = 2000

func printWhy(w io.Writer, why *api.Why, now time.Time) {
	name := ""
	if why.Name != "" {
		name = " (" + line(why.Name) + ")"
	}
	of := ""
	if why.JobID != "" && why.Kind != api.WhyJob {
		of = " of " + why.JobID
	}
	fmt.Fprintf(w, "%s %s%s%s is %s: %s.\n", why.Kind, line(why.ID), name, of, why.State, line(why.Summary))
	if why.NodeID != "" {
		fmt.Fprintf(w, "On %s", why.NodeID)
		if why.PID != 0 {
			fmt.Fprintf(w, ", pid %d", why.PID)
		}
		if why.EndTimeMs != 0 {
			fmt.Fprintf(w, ", ended %s ago", formatAge(at(why.EndTimeMs), now))
		}
		fmt.Fprintln(w)
	}
	for _, in := range why.WaitsFor {
		fmt.Fprintf(w, "  waits for %s\n", line(in))
	}
	printVerdicts(w, why)
	printHints(w, why.Hints)
	if len(why.Chain) > 0 {
		fmt.Fprintln(w, "How it came to that:")
		for i, hop := range why.Chain {
			fmt.Fprintf(w, "  %d. %s\n", i+1, line(hop))
		}
	}
	if why.Cause != "" {
		fmt.Fprintf(w, "Cause: %s\n", lines(why.Cause))
	}
	if why.LogTail != "" {
		fmt.Fprintf(w, "Its last lines:\n%s\n", lines(why.LogTail))
	}
	if len(why.Related) > 0 {
		fmt.Fprintln(w, "See also:")
		for _, r := range why.Related {
			fmt.Fprintf(w, "  gray why %s  (%s: %s)\n", line(r.ID), r.Kind, line(r.What))
		}
	}
}

// printHints shows what is wrong, and the way out.
func printHints(w io.Writer, hints []api.HintRow) {
	for _, h := range hints {
		fmt.Fprintf(w, "%s: %s.\n", strings.ToLower(h.Severity), line(h.Sentence))
		if h.WayOut != "" {
			fmt.Fprintf(w, "    Way out: %s.\n", line(h.WayOut))
		}
	}
}

// line is a text of somebody else's on one line, fit to be shown, without its colours.
func line(s string) string {
	return tty.Line(strings.ReplaceAll(shortened(s, longestLine), "\x1b", `\x1b`))
}

// lines is a text of somebody else's with its lines, fit to be shown.
func lines(s string) string {
	all := strings.Split(s, "\n")
	for i := range all {
		all[i] = line(strings.TrimSuffix(all[i], "\r"))
	}
	return strings.Join(all, "\n")
}

func printVerdicts(w io.Writer, why *api.Why) {
	if len(why.Resources) > 0 {
		fmt.Fprintf(w, "It needs {%s}.\n", demanded(why.Resources))
	}
	if len(why.Nodes) > 0 {
		tab := newTable("NODE", "~SAYS")
		for _, n := range why.Nodes {
			says := n.Reason
			if n.Fits {
				says = "has room"
			}
			tab.row(n.NodeID, says)
		}
		tab.print(w)
	}
	if why.More > 0 {
		fmt.Fprintf(w, "and %s\n", count(why.More, "more node"))
	}
	if why.Infeasible {
		fmt.Fprintln(w, "No node can ever meet it: add one that does, or ask for less.")
	}
}
