package api

import "context"

// GroupRow describes a placement group.
type GroupRow struct {
	GroupID      string      `json:"placement_group_id"`
	Name         string      `json:"name"`
	CreatorJobID string      `json:"creator_job_id"`
	State        string      `json:"state"` // PENDING, CREATED, RESCHEDULING, REMOVED
	Strategy     string      `json:"strategy"`
	Bundles      []BundleRow `json:"bundles"` // of one that isn't removed
	IsDetached   bool        `json:"is_detached"`
	RayNamespace string      `json:"ray_namespace"`

	Generation    int    `json:"generation"` // counts placements
	PendingReason string `json:"pending_reason,omitempty"`
	RemovalCause  string `json:"removal_cause,omitempty"`
	CreateTimeMs  int64  `json:"create_time_ms"`
	RemoveTimeMs  int64  `json:"remove_time_ms"`
}

// BundleRow describes a bundle of a placement group.
type BundleRow struct {
	Index         int                `json:"bundle_index"`
	NodeID        *string            `json:"node_id"` // null while it has none
	UnitResources map[string]float64 `json:"unit_resources"`
}

// Groups lists placement groups, removed ones that aren't forgotten included.
func (c *Client) Groups(ctx context.Context, o ListOptions) (*List[GroupRow], error) {
	return list[GroupRow](ctx, c, "placement_groups", o)
}
