package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// newList is the lists by the names that Ray's users know.
func newList(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "Show what is in the cluster, by kind", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newGroups(t), newRuns(t), newNodes(t), newActors(t), newTasks(t), newObjects(t), newJobs(t), newEvents(t, "cluster-events"))
	return c
}

func newGroups(t *terminal) *cobra.Command {
	return listing[group]{
		use: "placement-groups", short: "Show the placement groups", limited: true,
		get:    func(ctx context.Context, c cluster, o api.ListOptions) (page[group], error) { return c.Groups(ctx, o) },
		header: []string{"GROUP", "~NAME", "STATE", "STRATEGY", "JOB", "~BUNDLES", "~REASON"},
		row: func(g group, _ time.Time) []any {
			return []any{g.ID, g.Name, g.State, g.Strategy, g.Job, g.bundles(), g.Reason}
		},
		none: "no placement groups",
	}.command(t)
}

// group is a placement group as it's shown.
type group struct {
	ID       string   `json:"placement_group_id"`
	Name     string   `json:"name"`
	State    string   `json:"state"`
	Strategy string   `json:"strategy"`
	Job      string   `json:"job_id"`
	Detached bool     `json:"is_detached"`
	Bundles  []bundle `json:"bundles"`
	Reason   string   `json:"reason,omitempty"` // why it waits or was removed
}

type bundle struct {
	Node      string             `json:"node_id"`
	Resources map[string]float64 `json:"resources"`
}

// bundles says of each what it has and where: "CPU=1@n1 CPU=2@-".
func (g group) bundles() string {
	const most = 8
	var parts []string
	for i, b := range g.Bundles {
		if i == most {
			parts = append(parts, "… "+strconv.Itoa(len(g.Bundles))+" in all")
			break
		}
		node := b.Node
		if node == "" {
			node = "-"
		}
		parts = append(parts, pairs(b.Resources)+"@"+node)
	}
	return strings.Join(parts, " ")
}

func (r *remote) Groups(ctx context.Context, o api.ListOptions) (page[group], error) {
	return rows(r, groupOf)(r.Client.Groups(ctx, o))
}

func groupOf(r api.GroupRow) group {
	g := group{
		ID: r.GroupID, Name: r.Name, State: r.State, Strategy: r.Strategy, Job: r.CreatorJobID, Detached: r.IsDetached,
		Bundles: []bundle{}, Reason: r.PendingReason,
	}
	if g.Reason == "" {
		g.Reason = r.RemovalCause
	}
	for _, b := range r.Bundles {
		g.Bundles = append(g.Bundles, bundle{value(b.NodeID), b.UnitResources})
	}
	return g
}
