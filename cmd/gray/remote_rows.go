package main

import (
	"strconv"
	"time"

	"github.com/gray-runtime/gray/internal/api"
)

func convert[F, T any](from []F, one func(F) T) []T {
	to := make([]T, 0, len(from))
	for _, f := range from {
		to = append(to, one(f))
	}
	return to
}

func nodeOf(r api.NodeRow) node {
	return node{
		ID: r.NodeID, State: r.State, Address: r.Address, Hostname: r.Hostname, Head: r.IsHeadNode, Platform: r.Platform,
		Total: r.ResourcesTotal, Available: r.ResourcesAvailable, Labels: r.Labels, StoreCapacity: r.StoreCapacity,
		StoreUsed: r.StoreUsed, Workers: r.Workers, PID: r.PID, Started: at(r.StartTimeMs), Ended: at(r.EndTimeMs),
		DeathCause: value(r.StateMessage),
	}
}

func demandOf(r api.Demand) demand {
	return demand{
		Resources: r.Resources, Count: r.Count, Job: r.JobID, What: r.What, Node: r.NodeID, Reason: r.Reason, Infeasible: r.Infeasible,
	}
}

func jobOf(r api.JobDetails) job {
	j := job{
		ID: value(r.JobID), SubmissionID: value(r.SubmissionID), Type: r.Type, Status: r.Status, Entrypoint: r.Entrypoint,
		Message: r.Text(), ExitCode: r.DriverExitCode, Node: value(r.DriverNodeID), Started: at(r.StartTime), Metadata: r.Metadata,
	}
	if r.EndTime != nil {
		j.Ended = at(*r.EndTime)
	}
	if r.DriverInfo != nil {
		j.PID, _ = strconv.Atoi(r.DriverInfo.PID) // 0, if it's no number
	}
	return j
}

func actorOf(r api.ActorRow) actor {
	a := actor{
		ID: r.ActorID, Class: r.ClassName, Name: r.Name, State: r.State, Job: r.JobID, Node: value(r.NodeID), PID: r.PID,
		Resources: r.RequiredResources, Reason: r.PendingReason,
	}
	a.Restarts, _ = strconv.Atoi(r.NumRestarts)
	if a.Reason == "" {
		a.Reason = value(r.DeathCause)
	}
	return a
}

func taskOf(r api.TaskRow) task {
	return task{
		ID: r.TaskID, Function: r.Name, State: r.State, Job: r.JobID, Attempt: r.AttemptNumber, Node: value(r.NodeID),
		PID: value(r.WorkerPID), Actor: value(r.ActorID), Error: value(r.ErrorMessage),
		ErrorType: value(r.ErrorType), Type: r.Type, Worker: value(r.WorkerID), Owner: r.Owner, Parent: value(r.ParentTaskID),
		Created: at(r.CreationTimeMs), Started: at(r.StartTimeMs), Ended: at(r.EndTimeMs), WaitMs: r.WaitMs, RunMs: r.RunMs,
		In: r.InputBytes, Out: r.OutputBytes,
	}
}

func objectOf(r api.ObjectRow) object {
	return object{ID: r.ObjectID, Size: r.ObjectSize, State: r.State, Node: r.NodeID, Holders: r.Holders, Pins: r.Pins}
}

func headOf(r api.HeadRow) head {
	return head{
		ID: r.ID, Address: r.Address, HTTP: r.HTTPAddress, State: r.State, Voter: r.Voter, Term: r.Term, Applied: r.AppliedIndex,
		Last: r.LastIndex, Lag: r.Lag, DiskUsed: r.DiskUsed, DiskFree: r.DiskFree, Commands: r.CommandVersion, Version: r.GrayVersion,
		PID: r.PID, Started: at(r.StartTimeMs), Error: r.Error,
	}
}

// value is what p points at, if anything.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// at is a time in milliseconds since 1970; 0 is none.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
