package main

import (
	"time"

	"github.com/spf13/cobra"
)

func newNodes(t *terminal) *cobra.Command {
	return listing[node]{
		use: "nodes", short: "Show the nodes of the cluster",
		get:    all(cluster.Nodes),
		header: []string{"NODE", "STATE", "ADDRESS", "~HOST", "WORKERS", "~USED/TOTAL", "~LABELS"},
		row: func(n node, _ time.Time) []any {
			offer := n.DeathCause
			if n.lives() {
				offer = used(n.Total, n.Available) + ", " + formatSize(n.StoreUsed) + "/" + formatSize(n.StoreCapacity) + " object store"
			}
			return []any{nodeName(n), n.State, n.Address, n.Hostname, n.Workers, offer, pairs(n.Labels)}
		},
		none: "no nodes",
	}.command(t)
}

func nodeName(n node) string {
	if n.Head {
		return n.ID + " (head)"
	}
	return n.ID
}
