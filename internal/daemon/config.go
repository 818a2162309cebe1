package daemon

import "time"

// Roles of a process of gray, as the environment variable RoleVariable names them.
const (
	RoleVariable = "GRAY_ROLE"
	RoleHead     = "head"
	RoleNode     = "node"
)

// Config is what a launched process is told on its standard input.
type Config struct {
	Role    string `json:"role"`
	Version string `json:"version"`

	DataDir string `json:"data_dir"`
	// RunDir holds sockets. With Record the process writes info.json there.
	RunDir  string `json:"run_dir"`
	Record  bool   `json:"record,omitempty"`
	LogFile string `json:"log_file"`
	// Lifeline makes the end of standard input end the process.
	Lifeline bool `json:"lifeline,omitempty"`
	// Remove is a folder that goes when the last process that holds its lock ends.
	Remove string `json:"remove,omitempty"`

	// IP is the address that others are told; empty: found out.
	IP string `json:"ip,omitempty"`

	// Unattended says that the launcher doesn't wait for the answer.
	Unattended bool `json:"unattended,omitempty"`

	// Token is that of the cluster to join; a head that begins one makes it.
	Token string `json:"token,omitempty"`

	// Of a head. Port 0 is any; HTTPPort -1 is none. Join are control addresses of
	// the cluster's heads, to be asked by one that isn't a member yet.
	Port     int      `json:"port,omitempty"`
	HTTPPort int      `json:"http_port,omitempty"`
	Join     []string `json:"join,omitempty"`
	// HTTPAllowedHosts are names besides localhost that the HTTP port answers to.
	HTTPAllowedHosts []string `json:"http_allowed_hosts,omitempty"`

	// Of a node. Heads are the control addresses of other heads than HeadAddress.
	HeadAddress string             `json:"head_address,omitempty"`
	Heads       []string           `json:"heads,omitempty"`
	Resources   map[string]float64 `json:"resources,omitempty"`
	Labels      map[string]string  `json:"labels,omitempty"`
	StoreBytes  int64              `json:"store_bytes,omitempty"`
	SpillDirs   []string           `json:"spill_dirs,omitempty"`
	IsHead      bool               `json:"is_head,omitempty"`

	MemoryThreshold float64 `json:"memory_threshold,omitempty"`
	MemoryLimit     int64   `json:"memory_limit,omitempty"`
	MetricsAddress  string  `json:"metrics_address,omitempty"`

	// Of the logs of processes that have ended; 0: none.
	LogMaxAge   time.Duration `json:"log_max_age,omitempty"`
	LogMaxBytes int64         `json:"log_max_bytes,omitempty"`
}

// Info is what is known of a running daemon: its answer when it's ready, and
// its info.json (without the token).
type Info struct {
	Role    string `json:"role"`
	PID     int    `json:"pid"`
	Start   uint64 `json:"start_ticks"` // of the process, in clock ticks since boot
	Version string `json:"version"`
	Cluster string `json:"cluster_id"`
	// Address is the control address: the head's own, or that of the head that the node joined.
	Address     string   `json:"address"`
	Heads       []string `json:"heads,omitempty"` // control addresses of the cluster's heads, as a node knows them
	HTTPAddress string   `json:"http_address,omitempty"`
	DataDir     string   `json:"data_dir"`
	LogFile     string   `json:"log_file"`
	Node        uint32   `json:"node_id,omitempty"`
	NodeAddress string   `json:"node_address,omitempty"`
	Socket      string   `json:"socket,omitempty"`
	Metrics     string   `json:"metrics_address,omitempty"` // of a node that answers there itself
	IsHead      bool     `json:"is_head,omitempty"`
	StartedUnix int64    `json:"started_unix_ms"` // 0: it isn't ready yet

	// Token, Waiting and Error are in the answer only. Waiting says which heads a head
	// that runs waits for, there being no majority of them.
	Token   string `json:"token,omitempty"`
	Waiting string `json:"waiting,omitempty"`
	Error   string `json:"error,omitempty"`

	// Dir is the daemon's folder, filled in by List.
	Dir string `json:"-"`
}
