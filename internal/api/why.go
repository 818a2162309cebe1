package api

import (
	"context"
	"fmt"
	"net/url"
)

// Kinds of what Why is about.
const (
	WhyTask   = "task"
	WhyActor  = "actor"
	WhyGroup  = "placement group"
	WhyJob    = "job"
	WhyObject = "object"
	WhyNode   = "node"
	WhyWorker = "process"
	WhyHead   = "head"
)

// Why answers GET /api/why: what something waits for, or what it died of.
type Why struct {
	Kind  string `json:"kind"` // task, actor, placement group, job, object, node, process, head
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

	// Chain is how it came to that, a sentence a hop: the root first, itself last. Empty: there
	// is no more to say than Summary.
	Chain []string `json:"chain,omitempty"`
	// Hints are what is wrong with what it belongs to.
	Hints []HintRow `json:"hints,omitempty"`
	// Related is what else is worth a look.
	Related []Related `json:"related,omitempty"`
}

// Related is something that has to do with what a Why is about.
type Related struct {
	Kind string `json:"kind"` // as Why.Kind
	ID   string `json:"id"`
	What string `json:"what"` // what it has to do with it
}

// HintRow is one thing that is wrong with the cluster.
type HintRow struct {
	Severity string   `json:"severity"` // ERROR: it won't go on by itself; WARNING; INFO
	Kind     string   `json:"kind"`     // deadlock, infeasible, leak, oom, crash_loop, slow_node, straggler, store_full, disconnected, node_died, queue
	Sentence string   `json:"sentence"`
	JobID    string   `json:"job_id"` // empty: it's the cluster's
	IDs      []string `json:"ids"`
	WayOut   string   `json:"way_out"`
}

// String names a holder for people: "driver n1.p3 (pid 77)".
func (h ObjectHolder) String() string {
	name := h.Name
	switch {
	case h.Kind == "OBJECT":
		return "in " + name
	case h.ActorID != "":
		name = fmt.Sprintf("actor %s, %s", h.ActorID, name)
	case h.Process != "":
		name = h.Process + " " + name
	}
	if h.PID != 0 {
		name = fmt.Sprintf("%s (pid %d)", name, h.PID)
	}
	return name
}

// NodeVerdict is what a node says to a demand.
type NodeVerdict struct {
	NodeID string `json:"node_id"`
	Fits   bool   `json:"fits"`
	Reason string `json:"reason,omitempty"` // if it doesn't fit
}

// Why asks what the task, actor, placement group, job, object, node, process or head with
// this id or name waits for, or what it died of.
func (c *Client) Why(ctx context.Context, id string) (*Why, error) {
	return get[Why](ctx, c, "/api/why?"+url.Values{"id": {id}}.Encode())
}

// Hints lists what is wrong with the cluster, the worst first.
func (c *Client) Hints(ctx context.Context, o ListOptions) (*List[HintRow], error) {
	return list[HintRow](ctx, c, "hints", o)
}
