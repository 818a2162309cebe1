package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

func newActors(t *terminal) *cobra.Command {
	return listing[actor]{
		use: "actors", short: "Show the actors", limited: true,
		filters: []rowFilter{
			{"job", "job_id", "those of a `JOB`"}, {"state", "state", "those in a `STATE`: PENDING_CREATION, ALIVE, RESTARTING, DEAD"},
			{"class", "class_name", "those of a `CLASS`"}, {"node", "node_id", "those on a `NODE`"},
		},
		get:    func(ctx context.Context, c cluster, o api.ListOptions) (page[actor], error) { return c.Actors(ctx, o) },
		header: []string{"ACTOR", "~CLASS", "~NAME", "STATE", "JOB", "NODE", "PID", "RESTARTS", "~REASON"},
		row: func(a actor, _ time.Time) []any {
			return []any{a.ID, a.Class, a.Name, a.State, a.Job, a.Node, number(a.PID), a.Restarts, a.Reason}
		},
		none: "no actors",
	}.command(t)
}

// number is n, or nothing for 0.
func number(n int) any {
	if n == 0 {
		return ""
	}
	return n
}
