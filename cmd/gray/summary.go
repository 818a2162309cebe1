package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// newSummary counts what is in the cluster, by kind.
func newSummary(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "summary", Short: "Count tasks by function, actors by class, objects by call site", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		counting[api.TaskSummary]{
			use: "tasks", short: "Count the tasks by function, with how long they waited and ran", byJob: true,
			get: cluster.TaskSummary, print: printTaskSummary,
		}.command(t),
		counting[api.ActorSummary]{
			use: "actors", short: "Count the actors by class and state", byJob: true, get: cluster.ActorSummary, print: printActorSummary,
		}.command(t),
		counting[api.ObjectSummary]{
			use: "objects", short: "Count the objects by where in the program they are made", get: cluster.ObjectSummary, print: printObjectSummary,
		}.command(t),
	)
	return c
}

// counting is a verb that shows counts of one kind.
type counting[T any] struct {
	use, short string
	byJob      bool // it can be of one job
	get        func(c cluster, ctx context.Context, o api.ListOptions) (*api.Summary[T], error)
	print      func(t *terminal, s *T)
}

func (s counting[T]) command(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	var job string
	c := &cobra.Command{
		Use: s.use, Short: s.short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var o api.ListOptions
			if job != "" {
				o.Filters = []api.Filter{{Key: "job_id", Op: "=", Value: job}}
			}
			return g.ask(c.Context(), t, func(ctx context.Context, cluster cluster) error {
				got, err := s.get(cluster, ctx, o)
				if err != nil {
					return err
				}
				t.missing(got.PartialFailureWarning, got.Warnings)
				if asJSON {
					return t.json(got.Result.ByNode.Cluster)
				}
				s.print(t, &got.Result.ByNode.Cluster)
				return nil
			})
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if s.byJob {
		c.Flags().StringVar(&job, "job", "", "only those of a `JOB`: j1")
	}
	return c
}

func printTaskSummary(t *terminal, s *api.TaskSummary) {
	if len(s.Summary) == 0 {
		t.note("no tasks")
		return
	}
	all := slices.SortedFunc(maps.Values(s.Summary), func(a, b api.FunctionSummary) int {
		return cmp.Or(cmp.Compare(b.Run.SumMs, a.Run.SumMs), cmp.Compare(a.FuncOrClassName, b.FuncOrClassName))
	})
	tab := newTable("~FUNCTION", "WAITING", "RUNNING", "FINISHED", "FAILED", "CRASHED", "CANCELLED", "RUN P50", "P95", "P99", "IN ALL", "WAIT P50", "P95")
	for _, f := range all {
		tab.row(f.FuncOrClassName, f.Waiting, f.Running, f.Finished, f.Failed, f.Crashed, f.Cancelled,
			formatMillis(f.Run.P50Ms), formatMillis(f.Run.P95Ms), formatMillis(f.Run.P99Ms), formatMillis(f.Run.SumMs),
			formatMillis(f.Wait.P50Ms), formatMillis(f.Wait.P95Ms))
	}
	tab.print(t.out)
	fmt.Fprintf(t.out, "%d tasks, %d calls of actors\n", s.TotalTasks, s.TotalActorTasks)
}

func printActorSummary(t *terminal, s *api.ActorSummary) {
	if len(s.Summary) == 0 {
		t.note("no actors")
		return
	}
	tab := newTable("~CLASS", "~ACTORS")
	for _, name := range sortedKeys(s.Summary) {
		tab.row(name, counts(s.Summary[name].StateCounts))
	}
	tab.print(t.out)
	fmt.Fprintf(t.out, "%d actors\n", s.TotalActors)
}

func printObjectSummary(t *terminal, s *api.ObjectSummary) {
	if len(s.Summary) == 0 {
		t.note("no objects")
		return
	}
	const mib = 1 << 20
	names := slices.SortedFunc(maps.Keys(s.Summary), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Summary[b].TotalSizeMB, s.Summary[a].TotalSizeMB), strings.Compare(a, b))
	})
	tab := newTable("~CALL SITE", "OBJECTS", "SIZE", "OWNERS", "NODES")
	for _, name := range names {
		site := s.Summary[name]
		tab.row(name, site.TotalObjects, formatSize(int64(site.TotalSizeMB*mib)), site.TotalNumWorkers, site.TotalNumNodes)
	}
	tab.print(t.out)
	fmt.Fprintf(t.out, "%d objects, %s\n", s.TotalObjects, formatSize(int64(s.TotalSizeMB*mib)))
}

// counts is for people: "3 ALIVE, 1 DEAD".
func counts(m map[string]int) string {
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(parts, ", ")
}

func (r *remote) TaskSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.TaskSummary], error) {
	s, err := r.SummarizeTasks(ctx, o)
	return s, r.explain(err)
}

func (r *remote) ActorSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.ActorSummary], error) {
	s, err := r.SummarizeActors(ctx, o)
	return s, r.explain(err)
}

func (r *remote) ObjectSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.ObjectSummary], error) {
	s, err := r.SummarizeObjects(ctx, o)
	return s, r.explain(err)
}
