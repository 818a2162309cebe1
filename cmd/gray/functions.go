package main

import (
	"context"
	"maps"
	"slices"

	"github.com/gray-runtime/gray/internal/api"
)

// functionsOf counts calls by function, of one job (j3) or of all; sorted by name.
func functionsOf(ctx context.Context, c cluster, job string) ([]api.FunctionSummary, error) {
	var o api.ListOptions
	if job != "" {
		o.Filters = []api.Filter{{Key: "job_id", Op: "=", Value: job}}
	}
	s, err := c.TaskSummary(ctx, o)
	if err != nil {
		return nil, err
	}
	all := make([]api.FunctionSummary, 0, len(s.Result.ByNode.Cluster.Summary))
	for _, name := range slices.Sorted(maps.Keys(s.Result.ByNode.Cluster.Summary)) {
		all = append(all, s.Result.ByNode.Cluster.Summary[name])
	}
	return all, nil
}
