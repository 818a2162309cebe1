package head

import (
	"net/http"
	"slices"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
)

func (h *Head) listGroups(w http.ResponseWriter, r *http.Request) {
	var groups []*fsm.Group
	h.replica.read(func(s *fsm.State) { groups = s.Groups() })
	slices.SortStableFunc(groups, func(a, b *fsm.Group) int { // those that live first
		switch {
		case a.Removed == b.Removed:
			return 0
		case b.Removed:
			return -1
		}
		return 1
	})
	rows := make([]api.GroupRow, 0, len(groups))
	for _, g := range groups {
		rows = append(rows, h.groupRow(g))
	}
	answer(w, r, rows, len(rows), nil)
}

func (h *Head) groupRow(g *fsm.Group) api.GroupRow {
	info := h.leader.describeGroup(g)
	row := api.GroupRow{
		GroupID: actorName(g.Spec.Id), Name: g.Spec.Name, CreatorJobID: ids.JobID(g.Spec.Job).String(), State: info.State.String(),
		Strategy: g.Spec.Strategy.String(), Bundles: []api.BundleRow{}, IsDetached: g.Spec.Detached, RayNamespace: g.Spec.Namespace,
		Generation: int(g.Generation), PendingReason: info.PendingReason, RemovalCause: g.Cause.GetMessage(),
		CreateTimeMs: g.CreatedMs, RemoveTimeMs: g.RemovedMs,
	}
	for i, b := range g.Spec.Bundles {
		bundle := api.BundleRow{Index: i, UnitResources: resources(b.Resources)}
		if n := g.Bundles[i].Node; n != 0 {
			bundle.NodeID = text(ids.NodeID(n).String())
		}
		row.Bundles = append(row.Bundles, bundle)
	}
	return row
}
