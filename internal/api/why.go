package api

import (
	"context"
	"net/url"
)

// Kinds of what Why is about.
const (
	WhyTask  = "task"
	WhyActor = "actor"
	WhyGroup = "placement group"
	WhyJob   = "job"
)

// Why answers GET /api/why: what something waits for, or what it died of.
type Why struct {
	Kind  string `json:"kind"` // task, actor, placement group, job
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"` // function, class, or the name that it was given
	JobID string `json:"job_id,omitempty"`
	State string `json:"state"`
	// Summary is one sentence, without the details below.
	Summary string `json:"summary"`

	// Of what waits for a place: what it needs, and what each node says to that.
	Resources  map[string]float64 `json:"resources,omitempty"`
	Nodes      []NodeVerdict      `json:"nodes,omitempty"`
	More       int                `json:"more_nodes,omitempty"` // that aren't in Nodes
	Infeasible bool               `json:"infeasible,omitempty"` // no node of the cluster could ever take it

	// Of a task that waits for inputs: some of those that aren't complete.
	WaitsFor []string `json:"waits_for,omitempty"`

	// Of what runs, or ran.
	NodeID string `json:"node_id,omitempty"`
	PID    int    `json:"pid,omitempty"`

	// Of what died.
	Cause     string `json:"cause,omitempty"`
	LogTail   string `json:"log_tail,omitempty"`
	EndTimeMs int64  `json:"end_time_ms,omitempty"`
}

// NodeVerdict is what a node says to a demand.
type NodeVerdict struct {
	NodeID string `json:"node_id"`
	Fits   bool   `json:"fits"`
	Reason string `json:"reason,omitempty"` // if it doesn't fit
}

// Why asks what the task, actor, placement group or job with this id or name waits
// for, or what it died of.
func (c *Client) Why(ctx context.Context, id string) (*Why, error) {
	return get[Why](ctx, c, "/api/why?"+url.Values{"id": {id}}.Encode())
}
