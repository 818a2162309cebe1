package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

func newObjects(t *terminal) *cobra.Command {
	return listing[object]{
		use: "objects", short: "Show the objects in the stores, and who holds them", limited: true,
		get: func(ctx context.Context, c cluster, o api.ListOptions) (page[object], error) {
			return c.Objects(ctx, o)
		},
		header: []string{"OBJECT", "SIZE", "STATE", "NODE", "PINS", "~HELD BY"},
		row: func(o object, _ time.Time) []any {
			return []any{o.ID, formatSize(o.Size), o.State, o.Node, o.Pins, strings.Join(o.Holders, " ")}
		},
		none: "no objects",
	}.command(t)
}
