package api

import (
	"context"
	"net/url"
)

// EventRow is something that happened to the cluster.
type EventRow struct {
	EventID    string  `json:"event_id"`
	TimeMs     int64   `json:"time_ms"`
	Severity   string  `json:"severity"`    // INFO, WARNING, ERROR
	SourceType string  `json:"source_type"` // HEAD, NODE, JOB, ACTOR, GROUP, WORKER, STORE
	Kind       string  `json:"kind"`        // NODE_DIED, ACTOR_RESTARTING, …
	Message    string  `json:"message"`
	NodeID     *string `json:"node_id"`
	JobID      *string `json:"job_id"`
	ActorID    *string `json:"actor_id"`
	GroupID    *string `json:"placement_group_id"`
	TaskID     *string `json:"task_id"`
	WorkerID   *string `json:"worker_id"`
}

// ActorDetail answers GET /api/v0/actors/ID.
type ActorDetail struct {
	Actor   ActorRow      `json:"actor"`
	History []ActorMoment `json:"history"` // the oldest first; the latest 20
	// Earlier says that there was more before: a head that starts from a snapshot doesn't know it.
	Earlier bool `json:"earlier,omitempty"`
	Why     *Why `json:"why"`
}

// ActorMoment is a change in an actor's life.
type ActorMoment struct {
	TimeMs      int64   `json:"time_ms"`
	State       string  `json:"state"` // PENDING, PLACED, REFUSED, ALIVE, RESTARTING, DEAD
	NodeID      *string `json:"node_id"`
	PID         int     `json:"pid"`
	Incarnation int     `json:"incarnation"`
	Message     string  `json:"message"`
}

// Events lists what has happened, the newest first.
func (c *Client) Events(ctx context.Context, o ListOptions) (*List[EventRow], error) {
	return list[EventRow](ctx, c, "cluster_events", o)
}

// Actor describes one actor, by its id or name.
func (c *Client) Actor(ctx context.Context, id string) (*ActorDetail, error) {
	out, err := get[DetailResponse[ActorDetail]](ctx, c, "/api/v0/actors/"+url.PathEscape(id))
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}
