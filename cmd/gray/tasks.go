package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func newTasks(t *terminal) *cobra.Command {
	return listing[task]{
		use: "tasks", short: "Show the tasks", limited: true,
		get:    func(ctx context.Context, c cluster, limit int) (page[task], error) { return c.Tasks(ctx, limit) },
		header: []string{"TASK", "~FUNCTION", "STATE", "JOB", "ATTEMPT", "NODE", "PID", "~ERROR"},
		row: func(x task, _ time.Time) []any {
			return []any{x.ID, x.Function, x.State, x.Job, x.Attempt, x.Node, number(x.PID), x.Error}
		},
		none: "no tasks",
	}.command(t)
}
