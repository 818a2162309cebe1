package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// event is something that happened, as it's shown.
type event struct {
	ID       string    `json:"event_id"`
	Time     time.Time `json:"time"`
	Severity string    `json:"severity"`
	Kind     string    `json:"kind"`
	Node     string    `json:"node_id,omitempty"`
	Job      string    `json:"job_id,omitempty"`
	Actor    string    `json:"actor_id,omitempty"`
	Group    string    `json:"placement_group_id,omitempty"`
	Task     string    `json:"task_id,omitempty"`
	Worker   string    `json:"worker_id,omitempty"`
	Message  string    `json:"message"`
}

func newEvents(t *terminal, use string) *cobra.Command {
	return listing[event]{
		use: use, short: "Show what has happened to nodes, jobs, actors and workers: the newest first", limited: true,
		filters: []rowFilter{
			{"severity", "severity", "those of a `SEVERITY`: INFO, WARNING, ERROR"}, {"kind", "kind", "those of a `KIND`: NODE_DIED, …"},
			{"node", "node_id", "those of a `NODE`"}, {"job", "job_id", "those of a `JOB`: j1"}, {"actor", "actor_id", "those of an `ACTOR`"},
		},
		get:    func(ctx context.Context, c cluster, o api.ListOptions) (page[event], error) { return c.Events(ctx, o) },
		header: []string{"TIME", "SEVERITY", "KIND", "NODE", "JOB", "~WHAT", "~MESSAGE"},
		row: func(e event, now time.Time) []any {
			return []any{ago(e.Time, now), e.Severity, e.Kind, e.Node, e.Job, e.what(), firstLine(e.Message)}
		},
		none: "no events",
	}.command(t)
}

// what is the most particular thing that it happened to.
func (e event) what() string {
	for _, id := range []string{e.Task, e.Actor, e.Group, e.Worker} {
		if id != "" {
			return id
		}
	}
	return ""
}

func (r *remote) Events(ctx context.Context, o api.ListOptions) (page[event], error) {
	return rows(r, eventOf)(r.Client.Events(ctx, o))
}

func eventOf(r api.EventRow) event {
	return event{
		ID: r.EventID, Time: at(r.TimeMs), Severity: r.Severity, Kind: r.Kind, Node: value(r.NodeID), Job: value(r.JobID), Actor: value(r.ActorID),
		Group: value(r.GroupID), Task: value(r.TaskID), Worker: value(r.WorkerID), Message: r.Message,
	}
}
