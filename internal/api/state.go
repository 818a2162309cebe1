package api

// ListResponse is the envelope of the state API's answers.
type ListResponse[T any] struct {
	Result bool        `json:"result"`
	Msg    string      `json:"msg"`
	Data   ListData[T] `json:"data"`
}

// ListData is a part of the envelope.
type ListData[T any] struct {
	Result *List[T] `json:"result"`
}

// List is rows, and how many there are in all.
type List[T any] struct {
	Total                 int      `json:"total"`
	NumAfterTruncation    int      `json:"num_after_truncation"`
	NumFiltered           int      `json:"num_filtered"`
	Result                []T      `json:"result"`
	PartialFailureWarning string   `json:"partial_failure_warning"`
	Warnings              []string `json:"warnings"`
}

// Filter keeps rows by one of their columns.
type Filter struct {
	Key   string
	Op    string // = or !=
	Value string
}

// ListOptions say which rows are wanted. Limit 0 is the head's default.
type ListOptions struct {
	Limit      int
	Offset     int    // rows to leave out first
	Sort       string // column; empty: the list's own order
	Descending bool   // of Sort
	Search     string // text that a column has somewhere
	Detail     bool
	Filters    []Filter
}

// NodeRow describes a node.
type NodeRow struct {
	NodeID         string             `json:"node_id"` // n1
	NodeIP         string             `json:"node_ip"`
	IsHeadNode     bool               `json:"is_head_node"`
	State          string             `json:"state"` // ALIVE, DRAINING, DEAD
	StateMessage   *string            `json:"state_message"`
	NodeName       string             `json:"node_name"`
	ResourcesTotal map[string]float64 `json:"resources_total"`
	Labels         map[string]string  `json:"labels"`
	StartTimeMs    int64              `json:"start_time_ms"`
	EndTimeMs      int64              `json:"end_time_ms"`

	Address  string `json:"address"`
	Hostname string `json:"hostname"`
	PID      int    `json:"pid"`
	Platform string `json:"platform"`
	// Null while a new leader hasn't heard from the node.
	ResourcesAvailable map[string]float64 `json:"resources_available"`
	StoreCapacity      int64              `json:"object_store_capacity"`
	StoreUsed          int64              `json:"object_store_used"`
	Workers            int                `json:"workers"`
	// DrainDeadlineMs is until when what runs on a draining node may go on; 0: no matter when.
	DrainDeadlineMs int64 `json:"drain_deadline_ms,omitempty"`
}

// ActorRow describes an actor.
type ActorRow struct {
	ActorID           string             `json:"actor_id"`
	ClassName         string             `json:"class_name"`
	State             string             `json:"state"` // PENDING_CREATION, ALIVE, RESTARTING, DEAD
	JobID             string             `json:"job_id"`
	Name              string             `json:"name"`
	NodeID            *string            `json:"node_id"`
	PID               int                `json:"pid"`
	RayNamespace      string             `json:"ray_namespace"`
	RequiredResources map[string]float64 `json:"required_resources"`
	DeathCause        *string            `json:"death_cause"`
	IsDetached        bool               `json:"is_detached"`
	NumRestarts       string             `json:"num_restarts"`

	Incarnation   int    `json:"incarnation"`
	PendingReason string `json:"pending_reason,omitempty"`
	StartTimeMs   int64  `json:"start_time_ms"`
	EndTimeMs     int64  `json:"end_time_ms"`
}

// ObjectRow describes an object in a node's store or directory.
type ObjectRow struct {
	ObjectID      string   `json:"object_id"`
	ObjectSize    int64    `json:"object_size"`
	TaskStatus    string   `json:"task_status"`
	ReferenceType string   `json:"reference_type"`
	IP            string   `json:"ip"`
	NodeID        string   `json:"node_id"`
	State         string   `json:"state"`
	Holders       []string `json:"holders"`
	Pins          int      `json:"pins"`
	InStore       bool     `json:"in_store"` // of that node; else its directory alone knows it

	// With detail, by the owner.
	CallSite      string         `json:"call_site,omitempty"`     // its source file and line: of its gray.Put or Remote
	FunctionName  string         `json:"function_name,omitempty"` // of the task that makes it
	Owner         string         `json:"owner,omitempty"`         // n1.p2
	CreatedTimeMs int64          `json:"created_time_ms,omitempty"`
	HeldBy        []ObjectHolder `json:"held_by,omitempty"` // in all the cluster
}

// ObjectHolder is what holds an object.
type ObjectHolder struct {
	Name    string `json:"name"`              // n1.p3, n2, or an object
	Kind    string `json:"kind"`              // OWNER, BORROWER, NODE (that doesn't say which process), OBJECT (it contains the reference)
	Process string `json:"process,omitempty"` // driver, worker, actor
	PID     int    `json:"pid,omitempty"`
	ActorID string `json:"actor_id,omitempty"`
	JobID   string `json:"job_id,omitempty"`
}

// WorkerRow describes a driver or worker process.
type WorkerRow struct {
	WorkerID   string  `json:"worker_id"`
	IsAlive    bool    `json:"is_alive"`
	WorkerType string  `json:"worker_type"` // DRIVER, WORKER
	ExitType   *string `json:"exit_type"`
	NodeID     string  `json:"node_id"`
	IP         string  `json:"ip"`
	PID        int     `json:"pid"`
	JobID      string  `json:"job_id"`
	State      string  `json:"state"`
	Running    string  `json:"running"`
	Log        string  `json:"log"`
	ActorID    string  `json:"actor_id,omitempty"`
}

// ClusterStatus answers GET /api/cluster_status.
type ClusterStatus struct {
	ClusterID   string         `json:"cluster_id"`
	GrayVersion string         `json:"gray_version"`
	Insecure    bool           `json:"insecure"`
	UptimeMs    int64          `json:"uptime_ms"`
	Heads       []HeadStatus   `json:"heads"`
	Nodes       []NodeRow      `json:"nodes"`                // that are alive
	Dead        []NodeRow      `json:"dead_nodes,omitempty"` // that died lately, newest first
	Pending     []Demand       `json:"pending"`
	Jobs        map[string]int `json:"jobs"`   // count by status
	Actors      map[string]int `json:"actors"` // count by state
}

// HeadStatus describes a head.
type HeadStatus struct {
	ID          string `json:"id"`
	Address     string `json:"address"`
	HTTPAddress string `json:"http_address,omitempty"`
	Leader      bool   `json:"leader"`
	PID         int    `json:"pid,omitempty"`
	Version     string `json:"version,omitempty"`
}

// Demand is what waits for a place, and why.
type Demand struct {
	What       string             `json:"what"` // tasks, actor NAME, job ID
	Resources  map[string]float64 `json:"resources"`
	Count      int                `json:"count"`
	JobID      string             `json:"job_id"`
	NodeID     string             `json:"node_id,omitempty"` // where it waits
	Reason     string             `json:"reason"`
	Infeasible bool               `json:"infeasible"`
}
