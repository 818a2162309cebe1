package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

func newRuns(t *terminal) *cobra.Command {
	return listing[api.RunRow]{
		use: "runs", short: "Show the runs of training and of agents, with their latest values", limited: true,
		get: func(ctx context.Context, c cluster, o api.ListOptions) (page[api.RunRow], error) {
			return c.Runs(ctx, o)
		},
		header: []string{"RUN", "~NAME", "KIND", "STATE", "JOB", "STARTED", "STEP", "~LATEST"},
		row: func(r api.RunRow, now time.Time) []any {
			step := strconv.FormatInt(r.Step, 10)
			if r.TotalSteps > 0 {
				step += "/" + strconv.FormatInt(r.TotalSteps, 10)
			}
			return []any{r.RunID, r.Name, r.Kind, r.State, r.JobID, ago(at(r.StartTimeMs), now), step, latest(r.Last)}
		},
		none: "no runs",
	}.command(t)
}

// latest is a run's values for people: "loss=0.12 samples_per_s=5400".
func latest(values map[string]api.Number) string {
	var parts []string
	for _, key := range sortedKeys(values) {
		parts = append(parts, fmt.Sprintf("%s=%.4g", key, float64(values[key])))
	}
	return strings.Join(parts, " ")
}

func (r *remote) Runs(ctx context.Context, o api.ListOptions) (page[api.RunRow], error) {
	same := func(x api.RunRow) api.RunRow { return x }
	return rows(r, same)(r.Client.Runs(ctx, o))
}
