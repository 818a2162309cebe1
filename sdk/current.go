package gray

import (
	"context"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

// Info tells where code runs.
type Info struct {
	Job      string // id, as gray jobs shows it
	Node     uint32 // the node's number: 1 is n1
	Host     string // the address at which other nodes reach the node
	Process  string // the node's and the process's number: n1.p3
	Task     string // id; empty outside of tasks
	Function string // the task's function or the actor's method; empty outside of tasks
	Attempt  int    // of the task: 0 the first time, one more after each crash or error that was retried
	Actor    string // id; empty outside of actors
	// Resources are what the task holds, or the actor while it lives: "CPU", "memory" in bytes, …
	Resources map[string]float64
	// Environment is the sum of what the process was started with beyond its job's (EnvVars, WorkingDir); empty if nothing.
	Environment string
	Group       string // id of the placement group that the task or actor is in; empty if none
	Bundle      int    // of the group, the bundle that was asked for; AnyBundle if any
}

// Current describes the task, or the driver, that ctx belongs to.
func Current(ctx context.Context) Info {
	p := processOf(ctx)
	info := Info{Job: p.Welcome().GetSubmissionId(), Node: p.Welcome().GetNode(), Host: p.Welcome().GetHost(), Process: p.ID().String(),
		Environment: p.Welcome().GetEnvironment().GetKey(), Bundle: AnyBundle}
	if id, bundle, ok := p.GroupOf(ctx); ok {
		info.Group, info.Bundle = id.String(), bundle
	}
	if t, ok := process.TaskFromContext(ctx); ok {
		info.Task, info.Function, info.Attempt = t.ID.String(), t.Function, t.Attempt
		info.Resources = make(map[string]float64, len(t.Resources))
		for name, units := range t.Resources {
			info.Resources[name] = float64(units) / resourceUnit
		}
		if !t.Actor.IsZero() {
			info.Actor = t.Actor.String()
		}
	}
	return info
}

// processOf returns the process that ctx carries.
func processOf(ctx context.Context) *process.Process {
	if p := process.FromContext(ctx); p != nil {
		return p
	}
	panic("gray: this context belongs to no job: use the one that gray.Main, a task or an actor's method was given, " +
		"or one derived from it or from Session.Context")
}
