package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

func newTasks(t *terminal) *cobra.Command {
	return listing[task]{
		use: "tasks", short: "Show the tasks, those that have ended, too: the newest first", limited: true,
		filters: []rowFilter{
			{"job", "job_id", "those of a `JOB`: j1"}, {"function", "name", "those of a `FUNCTION`: main.f"},
			{"state", "state", "those in a `STATE`: PENDING_NODE_ASSIGNMENT, RUNNING, FINISHED, FAILED, …"},
			{"actor", "actor_id", "calls of an `ACTOR`"}, {"node", "node_id", "those that run or ran on a `NODE`"},
			{"worker", "worker_id", "those of a `WORKER`: n1.p3"},
		},
		get:    func(ctx context.Context, c cluster, o api.ListOptions) (page[task], error) { return c.Tasks(ctx, o) },
		header: []string{"TASK", "~FUNCTION", "STATE", "JOB", "ATTEMPT", "NODE", "PID", "WAITED", "RAN", "~ERROR"},
		row: func(x task, _ time.Time) []any {
			return []any{
				x.ID, x.Function, x.State, x.Job, x.Attempt, x.Node, number(x.PID), formatMillis(x.WaitMs), formatMillis(x.RunMs),
				cmp.Or(firstLine(x.Error), x.ErrorType),
			}
		},
		none: "no tasks",
	}.command(t)
}
