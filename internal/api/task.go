package api

import (
	"context"
	"net/url"
)

// TaskRow describes an attempt of a task: one that its owner still knows, or one that has
// ended.
type TaskRow struct {
	TaskID          string  `json:"task_id"`
	AttemptNumber   int     `json:"attempt_number"`
	Name            string  `json:"name"`
	State           string  `json:"state"`
	JobID           string  `json:"job_id"`
	ActorID         *string `json:"actor_id"`
	Type            string  `json:"type"` // NORMAL_TASK, ACTOR_TASK
	FuncOrClassName string  `json:"func_or_class_name"`
	NodeID          *string `json:"node_id"`
	WorkerID        *string `json:"worker_id"`
	WorkerPID       *int    `json:"worker_pid"`
	ErrorType       *string `json:"error_type"`
	ErrorMessage    *string `json:"error_message"`
	Owner           string  `json:"owner"` // n1.p2
	ParentTaskID    *string `json:"parent_task_id"`
	InputBytes      int64   `json:"input_bytes"`
	OutputBytes     int64   `json:"output_bytes"`

	// Unix times; 0 is not yet, or never.
	CreationTimeMs  int64 `json:"creation_time_ms"`
	ReadyTimeMs     int64 `json:"ready_time_ms"`     // its inputs were complete
	SubmittedTimeMs int64 `json:"submitted_time_ms"` // it was on its way to a worker
	StartTimeMs     int64 `json:"start_time_ms"`
	EndTimeMs       int64 `json:"end_time_ms"`

	WaitMs float64 `json:"wait_ms"` // before the function was called; so far, if it wasn't
	RunMs  float64 `json:"run_ms"`  // so far, if it runs
}

// TaskDetail answers GET /api/v0/tasks/ID.
type TaskDetail struct {
	Task     TaskRow      `json:"task"`     // the latest attempt
	Attempts []TaskRow    `json:"attempts"` // the latest first
	Inputs   []TaskObject `json:"inputs"`   // references in its input; null once it has ended: they aren't kept
	Outputs  []TaskObject `json:"outputs"`
	Waits    []TaskWait   `json:"waits"`
	Stack    string       `json:"stack"` // of what it failed with
	Log      *TaskLog     `json:"log"`   // null: unknown
	Why      *Why         `json:"why"`
}

// TaskObject is an object that a task takes or makes.
type TaskObject struct {
	ObjectID string   `json:"object_id"`
	Size     int64    `json:"size"`
	State    string   `json:"state"`
	NodeIDs  []string `json:"node_ids,omitempty"`
}

// TaskWait is how long a task has waited for something.
type TaskWait struct {
	Cause string  `json:"cause"` // inputs; place: a worker; line: those before it there; result: on its way back
	Ms    float64 `json:"ms"`
}

// TaskLog is the file into which the task's worker writes.
type TaskLog struct {
	NodeID string `json:"node_id"`
	File   string `json:"file"`
}

// Summary is rows counted by something, and how many there are in all.
type Summary[T any] struct {
	Total                 int         `json:"total"`
	NumAfterTruncation    int         `json:"num_after_truncation"`
	NumFiltered           int         `json:"num_filtered"`
	Result                Clusters[T] `json:"result"`
	PartialFailureWarning string      `json:"partial_failure_warning"`
	Warnings              []string    `json:"warnings"`
}

// Clusters is a part of the envelope of summaries.
type Clusters[T any] struct {
	ByNode struct {
		Cluster T `json:"cluster"`
	} `json:"node_id_to_summary"`
}

// SummaryResponse is the envelope of summaries.
type SummaryResponse[T any] struct {
	Result bool   `json:"result"`
	Msg    string `json:"msg"`
	Data   struct {
		Result *Summary[T] `json:"result"`
	} `json:"data"`
}

// TaskSummary counts tasks by function.
type TaskSummary struct {
	Summary             map[string]FunctionSummary `json:"summary"`
	TotalTasks          uint64                     `json:"total_tasks"`
	TotalActorTasks     uint64                     `json:"total_actor_tasks"`
	TotalActorScheduled uint64                     `json:"total_actor_scheduled"`
	SummaryBy           string                     `json:"summary_by"`
}

// FunctionSummary is what became of the attempts of a function.
type FunctionSummary struct {
	FuncOrClassName string            `json:"func_or_class_name"`
	Type            string            `json:"type"`
	StateCounts     map[string]uint64 `json:"state_counts"`

	JobIDs    []string `json:"job_ids"` // at most 10
	Finished  uint64   `json:"finished"`
	Failed    uint64   `json:"failed"`
	Cancelled uint64   `json:"cancelled"`
	Crashed   uint64   `json:"crashed"`
	Running   uint64   `json:"running"`
	Waiting   uint64   `json:"waiting"`
	// RatePerS is how many end a second, since somebody asked last; null if nobody has lately.
	RatePerS *float64 `json:"rate_per_s"`
	Run      Latency  `json:"run"`
	Wait     Latency  `json:"wait"`
}

// Done are the calls that are over. Attempts that crashed aren't calls.
func (f *FunctionSummary) Done() uint64 { return f.Finished + f.Failed + f.Cancelled }

// Calls are those that are over and those that aren't.
func (f *FunctionSummary) Calls() uint64 { return f.Done() + f.Running + f.Waiting }

// Rate is RatePerS, 0 if that isn't known.
func (f *FunctionSummary) Rate() float64 {
	if f.RatePerS == nil {
		return 0
	}
	return *f.RatePerS
}

// Latency is a histogram of durations. Its quantiles are the upper bounds of the buckets in
// which they lie.
type Latency struct {
	Count   uint64          `json:"count"`
	SumMs   float64         `json:"sum_ms"`
	P50Ms   float64         `json:"p50_ms"`
	P95Ms   float64         `json:"p95_ms"`
	P99Ms   float64         `json:"p99_ms"`
	Buckets []LatencyBucket `json:"buckets"` // without the empty ones below and above all
}

// LatencyBucket counts durations up to its bound and above the one before.
type LatencyBucket struct {
	LeMs  float64 `json:"le_ms"`
	Count uint64  `json:"count"`
}

// ActorSummary counts actors by class.
type ActorSummary struct {
	Summary     map[string]ClassSummary `json:"summary"`
	TotalActors int                     `json:"total_actors"`
	SummaryBy   string                  `json:"summary_by"`
}

// ClassSummary counts the actors of a class.
type ClassSummary struct {
	ClassName   string         `json:"class_name"`
	StateCounts map[string]int `json:"state_counts"`
}

// ObjectSummary counts objects by where they are made.
type ObjectSummary struct {
	Summary         map[string]SiteSummary `json:"summary"`
	TotalObjects    int                    `json:"total_objects"`
	TotalSizeMB     float64                `json:"total_size_mb"`
	CallsiteEnabled bool                   `json:"callsite_enabled"`
	SummaryBy       string                 `json:"summary_by"`
}

// SiteSummary counts the objects of a call site.
type SiteSummary struct {
	TotalObjects      int            `json:"total_objects"`
	TotalSizeMB       float64        `json:"total_size_mb"`
	TotalNumWorkers   int            `json:"total_num_workers"`
	TotalNumNodes     int            `json:"total_num_nodes"`
	TaskStateCounts   map[string]int `json:"task_state_counts"`
	TaskAttemptCounts map[string]int `json:"task_attempt_number_counts"`
	RefTypeCounts     map[string]int `json:"ref_type_counts"`
}

// Task describes one task.
func (c *Client) Task(ctx context.Context, id string) (*TaskDetail, error) {
	out, err := get[DetailResponse[TaskDetail]](ctx, c, "/api/v0/tasks/"+url.PathEscape(id))
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}

// DetailResponse is the envelope of answers about one thing.
type DetailResponse[T any] struct {
	Result bool   `json:"result"`
	Msg    string `json:"msg"`
	Data   *T     `json:"data"`
}

// SummarizeTasks counts the tasks by function.
func (c *Client) SummarizeTasks(ctx context.Context, o ListOptions) (*Summary[TaskSummary], error) {
	return summarize[TaskSummary](ctx, c, "tasks", o)
}

// SummarizeActors counts the actors by class.
func (c *Client) SummarizeActors(ctx context.Context, o ListOptions) (*Summary[ActorSummary], error) {
	return summarize[ActorSummary](ctx, c, "actors", o)
}

// SummarizeObjects counts the objects by where they are made.
func (c *Client) SummarizeObjects(ctx context.Context, o ListOptions) (*Summary[ObjectSummary], error) {
	return summarize[ObjectSummary](ctx, c, "objects", o)
}

func summarize[T any](ctx context.Context, c *Client, what string, o ListOptions) (*Summary[T], error) {
	out, err := get[SummaryResponse[T]](ctx, c, "/api/v0/"+what+"/summarize?"+o.query().Encode())
	if err != nil {
		return nil, err
	}
	if out.Data.Result == nil {
		return &Summary[T]{}, nil
	}
	return out.Data.Result, nil
}
