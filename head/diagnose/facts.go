package diagnose

import (
	"time"

	"github.com/gray-runtime/gray/sched"
)

// Facts are what is known of a cluster at one moment. What isn't known is left out.
type Facts struct {
	Now       time.Time
	Nodes     []Node // that aren't dead
	Dead      []DeadNode
	Demands   []Demand
	Tasks     []Task // living
	Actors    []Actor
	Groups    []Group
	Objects   []Object
	Functions []Function
	Queues    []Queue
}

// Node is a node that isn't dead.
type Node struct {
	sched.Node
	Platform             string
	Silent               time.Duration // not connected for so long; 0: it is
	StoreUsed, StoreSize int64         // bytes of its object store
}

// DeadNode is one that died lately.
type DeadNode struct {
	ID    sched.NodeID
	Cause string
	At    time.Time
	Left  bool // it went by itself
}

// Demand is what waits for a place, in sum.
type Demand struct {
	What       string // tasks, actor NAME, …
	Job        string
	Resources  string // for people
	Count      int
	Reason     string
	Infeasible bool
}

// Process names a driver or worker: n1.p3.
type Process = string

// State is how far a task or actor is.
type State int

// States. Of what is Held it's known only that it isn't ready to run.
const (
	Held    State = iota // for inputs, or behind others
	Waits                // for a place
	Calls                // for its actor, Task.Actor, to take it
	Retries              // soon
	Runs
	Idle // of actors: alive, and runs no call
	Ended
)

// Task is a living task or call.
type Task struct {
	ID, Function, Job string
	State             State
	Owner             Process // that submitted it
	Actor             string  // whose call it is; empty: none
	Node              sched.NodeID
	Worker            Process // where it runs
	PID               int
	Blocked           bool         // its process waits in gray.Get or the like
	Demand            sched.Demand // without those of actors' calls
	Platforms         []string     // that it can run on; none: any
	Group             string       // in whose bundles it runs; empty: none
	Since             time.Time    // that it waits, or runs; zero: unknown
}

// Actor is a living actor, or one that died lately.
type Actor struct {
	ID, Class, Name, Job string
	State                State
	Detached             bool
	Node                 sched.NodeID
	Process              Process
	Blocked              bool
	Demand               sched.Demand
	Platforms            []string
	Group                string
	Restarts             int
	Started, EndedAt     time.Time
	OutOfMemory          bool   // the latest death was for want of memory
	Cause                string // of that death
}

// Group is a placement group that isn't removed.
type Group struct {
	ID, Name, Job string
	Detached      bool
	Bundles       []Bundle
}

// Bundle is where a bundle is, 0: nowhere, and what it reserves.
type Bundle struct {
	Node      sched.NodeID
	Resources sched.Resources
}

// Object is an object that somebody holds.
type Object struct {
	ID, Job            string
	Size               int64
	Spilled            bool
	Node               string
	Holders            int
	Holder             string // for people, if it's one: "driver n1.p2 (pid 77)"
	Pins               int    // by who reads it now
	CallSite, Function string // where it was made, or by which task
	Created            time.Time
}

// Function is how long a function's runs on one node took lately.
type Function struct {
	Job, Name string
	Node      sched.NodeID
	Runs      int
	P50, P95  time.Duration
}

// Queue is a job's tasks in sum.
type Queue struct {
	Job      string
	Waiting  int     // for a place
	PerSec   float64 // tasks that ended lately, each second; 0: unknown
	Finished int
}
