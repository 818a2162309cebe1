package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// NodeDraining is NodeRow.State of a node that is about to leave.
const NodeDraining = "DRAINING"

// DrainRequest is the body of POST /api/v0/nodes/{id}/drain.
type DrainRequest struct {
	Reason     string `json:"reason,omitempty"`
	DeadlineMs int64  `json:"deadline_ms,omitempty"` // from now; 0: none
}

// Drain begins a node's way out of the cluster: it gets nothing new, its tasks may end
// until the deadline (0: none), its actors go elsewhere, and then it leaves.
func (c *Client) Drain(ctx context.Context, node, reason string, deadline time.Duration) error {
	body, err := json.Marshal(DrainRequest{Reason: reason, DeadlineMs: deadline.Milliseconds()})
	if err != nil {
		return fmt.Errorf("encode the drain of %s: %w", node, err)
	}
	return c.call(ctx, request{
		method: http.MethodPost, path: "/api/v0/nodes/" + url.PathEscape(node) + "/drain", header: http.Header{"Content-Type": {"application/json"}},
		body: content(body), size: int64(len(body)),
	}, nil)
}
