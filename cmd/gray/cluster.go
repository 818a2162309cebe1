package main

import (
	"context"
	"io"
	"time"

	"github.com/gray-runtime/gray/internal/api"
)

// cluster is what the verbs ask of a head.
type cluster interface {
	Status(ctx context.Context) (overview, error)
	Nodes(ctx context.Context) ([]node, error)
	// Drain begins a node's way out; deadline 0 is none.
	Drain(ctx context.Context, node, reason string, deadline time.Duration) error
	Jobs(ctx context.Context) ([]job, error)
	Actors(ctx context.Context, o api.ListOptions) (page[actor], error)
	Groups(ctx context.Context, o api.ListOptions) (page[group], error)
	Tasks(ctx context.Context, o api.ListOptions) (page[task], error)
	Objects(ctx context.Context, o api.ListOptions) (page[object], error)
	Events(ctx context.Context, o api.ListOptions) (page[event], error)
	TaskSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.TaskSummary], error)
	ActorSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.ActorSummary], error)
	ObjectSummary(ctx context.Context, o api.ListOptions) (*api.Summary[api.ObjectSummary], error)
	Runs(ctx context.Context, o api.ListOptions) (page[api.RunRow], error)
	// Memory is Objects with who made them and what holds them.
	Memory(ctx context.Context, limit int) (page[api.ObjectRow], error)

	// Why says what anything waits for, failed with or died of.
	Why(ctx context.Context, id string) (*api.Why, error)
	// Hints say what is wrong.
	Hints(ctx context.Context) (page[api.HintRow], error)

	Job(ctx context.Context, id string) (job, error)
	Submit(ctx context.Context, s submission) (id string, err error)
	// StopJob reports whether the job was running.
	StopJob(ctx context.Context, id string) (bool, error)
	Logs(ctx context.Context, id string) (string, error)
	TaskLogs(ctx context.Context, id string) (string, error)
	// Log writes a log; following, until its writer ends.
	Log(ctx context.Context, o api.LogOptions, w io.Writer) error
	// FollowLogs writes what the job has written and writes, until it ends; lost
	// is told when the head has gone away and is waited for.
	FollowLogs(ctx context.Context, id string, w io.Writer, lost func(error)) error
	// AwaitJob returns the job once it has ended.
	AwaitJob(ctx context.Context, id string, lost func(error)) (job, error)
	Workers(ctx context.Context, limit int) (page[api.WorkerRow], error)
	// Stack is what the goroutines of a process do; Profile writes a profile of it.
	Stack(ctx context.Context, process string) (string, error)
	Profile(ctx context.Context, process, kind string, d time.Duration, w io.Writer) error
	HasPackage(ctx context.Context, name string) (bool, error)
	PutPackage(ctx context.Context, name string, content io.Reader, size int64) error

	Heads(ctx context.Context) ([]head, error)
	RemoveHead(ctx context.Context, id string) error
	// TransferHead has another head lead, with an empty id the most advanced one.
	TransferHead(ctx context.Context, id string) (headName, error)
	// Backup writes a backup to w and returns its SHA-256 in hex.
	Backup(ctx context.Context, w io.Writer) (sum string, err error)

	// Trace writes a job's timeline to w, in the trace-event format.
	Trace(ctx context.Context, id string, limit int, w io.Writer) (api.Trace, error)
}

// The rows that the verbs show; with --json they're printed as they are.
type (
	node struct {
		ID            string             `json:"node_id"`
		State         string             `json:"state"` // ALIVE, DRAINING or DEAD
		Address       string             `json:"address"`
		Hostname      string             `json:"hostname"`
		Head          bool               `json:"is_head_node"`
		Platform      string             `json:"platform"`
		Total         map[string]float64 `json:"resources_total"`
		Available     map[string]float64 `json:"resources_available"`
		Labels        map[string]string  `json:"labels"`
		StoreCapacity int64              `json:"object_store_capacity"`
		StoreUsed     int64              `json:"object_store_used"`
		Workers       int                `json:"workers"`
		PID           int                `json:"pid"`
		Started       time.Time          `json:"start_time"`
		Ended         time.Time          `json:"end_time,omitzero"`
		DeathCause    string             `json:"death_cause,omitempty"`
	}
	demand struct {
		Resources  map[string]float64 `json:"resources"`
		Count      int                `json:"count"`
		Job        string             `json:"job_id"`
		What       string             `json:"what"`
		Node       string             `json:"node_id,omitempty"` // where it waits
		Reason     string             `json:"reason"`
		Infeasible bool               `json:"infeasible"`
	}
	job struct {
		ID           string            `json:"job_id"`
		SubmissionID string            `json:"submission_id"`
		Type         string            `json:"type"`
		Status       string            `json:"status"`
		Entrypoint   string            `json:"entrypoint"`
		Message      string            `json:"message,omitempty"`
		ExitCode     *int              `json:"driver_exit_code"`
		Node         string            `json:"driver_node,omitempty"`
		PID          int               `json:"driver_pid,omitempty"`
		Started      time.Time         `json:"start_time,omitzero"`
		Ended        time.Time         `json:"end_time,omitzero"`
		Metadata     map[string]string `json:"metadata,omitempty"`
	}
	actor struct {
		ID        string             `json:"actor_id"`
		Class     string             `json:"class_name"`
		Name      string             `json:"name"`
		State     string             `json:"state"`
		Job       string             `json:"job_id"`
		Node      string             `json:"node_id"`
		PID       int                `json:"pid"`
		Restarts  int                `json:"restarts"`
		Resources map[string]float64 `json:"resources,omitempty"`
		Reason    string             `json:"reason,omitempty"` // why it waits or died
	}
	task struct {
		ID       string `json:"task_id"`
		Function string `json:"name"`
		State    string `json:"state"`
		Job      string `json:"job_id"`
		Attempt  int    `json:"attempt"`
		Node     string `json:"node_id"`
		PID      int    `json:"pid"`
		Actor    string `json:"actor_id,omitempty"`
		Error    string `json:"error,omitempty"`

		ErrorType string    `json:"error_type,omitempty"`
		Type      string    `json:"type"`
		Worker    string    `json:"worker_id,omitempty"`
		Owner     string    `json:"owner"`
		Parent    string    `json:"parent_task_id,omitempty"`
		Created   time.Time `json:"creation_time,omitzero"`
		Started   time.Time `json:"start_time,omitzero"`
		Ended     time.Time `json:"end_time,omitzero"`
		WaitMs    float64   `json:"wait_ms"`
		RunMs     float64   `json:"run_ms"`
		In        int64     `json:"input_bytes"`
		Out       int64     `json:"output_bytes"`
	}
	object struct {
		ID      string   `json:"object_id"`
		Size    int64    `json:"size"`
		State   string   `json:"state"`
		Node    string   `json:"node_id"`
		Holders []string `json:"holders"`
		Pins    int      `json:"pins"`
	}
	head struct {
		ID       string    `json:"id"`
		Address  string    `json:"address"`
		HTTP     string    `json:"http_address"`
		State    string    `json:"state"` // LEADER, FOLLOWER, CANDIDATE or UNREACHABLE
		Voter    bool      `json:"voter"`
		Term     uint64    `json:"term"`
		Applied  uint64    `json:"applied_index"`
		Last     uint64    `json:"last_index"`
		Lag      uint64    `json:"lag"`
		DiskUsed int64     `json:"disk_used"`
		DiskFree int64     `json:"disk_free"`
		Commands uint32    `json:"command_version"`
		Version  string    `json:"gray_version"`
		PID      int       `json:"pid"`
		Started  time.Time `json:"start_time,omitzero"`
		Error    string    `json:"error,omitempty"`
	}
	headName struct {
		ID      string `json:"id"`
		Address string `json:"address"`
	}
)

// overview is what the head knows at a glance.
type overview struct {
	Version  string
	Insecure bool
	Nodes    []node // that live, and those that died lately
	Waiting  []demand
}

// page is the first rows of many.
type page[T any] struct {
	items   []T
	total   int
	warning string // what is missing, and why
	notes   []string
}

// A submission is a job to run.
type submission struct {
	Name       string
	Entrypoint string
	Args       []string
	Env        map[string]string
	Binaries   []binary
	Weight     uint32
	WorkingDir string // a package; empty: none
}

type binary struct {
	Platform, Package, SHA256 string
	Size                      int64
}

// ended reports whether nothing more will happen to the job.
func (j job) ended() bool {
	return j.Status == "SUCCEEDED" || j.Status == "FAILED" || j.Status == "STOPPED"
}

// id is the name that a person uses for the job.
func (j job) id() string {
	if j.SubmissionID != "" {
		return j.SubmissionID
	}
	return j.ID
}

// lives reports whether the node hasn't gone, though it may be about to.
func (n node) lives() bool { return n.State != "DEAD" }
