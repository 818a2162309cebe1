package api

import "encoding/json"

// Statuses of jobs.
const (
	StatusPending   = "PENDING"
	StatusRunning   = "RUNNING"
	StatusStopped   = "STOPPED"
	StatusSucceeded = "SUCCEEDED"
	StatusFailed    = "FAILED"
)

// Types of jobs: submitted, or a driver that connected by itself.
const (
	TypeSubmission = "SUBMISSION"
	TypeDriver     = "DRIVER"
)

// ErrorTypeEntrypoint is JobDetails.ErrorType of a driver that ended with an error.
const (
	ErrorTypeEntrypoint  = "JOB_ENTRYPOINT_COMMAND_ERROR"
	ErrorTypeStart       = "JOB_ENTRYPOINT_COMMAND_START_ERROR"
	ErrorTypeNodeDied    = "JOB_SUPERVISOR_ACTOR_DIED"
	ErrorTypeUnscheduled = "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"
)

// Ended reports whether a job with this status is over.
func Ended(status string) bool {
	return status == StatusStopped || status == StatusSucceeded || status == StatusFailed
}

// Version answers GET /api/version.
type Version struct {
	Version     string `json:"version"`
	RayVersion  string `json:"ray_version"`
	RayCommit   string `json:"ray_commit"`
	SessionName string `json:"session_name"`
	GrayVersion string `json:"gray_version"`
	ClusterID   string `json:"cluster_id"`
}

// JobSubmitRequest is the body of POST /api/jobs/.
type JobSubmitRequest struct {
	Entrypoint          string             `json:"entrypoint"`
	SubmissionID        string             `json:"submission_id,omitempty"`
	RuntimeEnv          RuntimeEnv         `json:"runtime_env"`
	Metadata            map[string]string  `json:"metadata,omitempty"`
	Weight              uint32             `json:"weight,omitempty"` // in the fair queue between jobs; 0: 1
	EntrypointNumCPUs   float64            `json:"entrypoint_num_cpus,omitempty"`
	EntrypointNumGPUs   float64            `json:"entrypoint_num_gpus,omitempty"`
	EntrypointMemory    int64              `json:"entrypoint_memory,omitempty"`
	EntrypointResources map[string]float64 `json:"entrypoint_resources,omitempty"`
}

// RuntimeEnv is what a driver and its workers find around them.
type RuntimeEnv struct {
	EnvVars    map[string]string `json:"env_vars,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"` // gcs://PACKAGE
	Gray       *GrayEnv          `json:"gray,omitempty"`
}

// GrayEnv makes a job of a binary that was uploaded before.
type GrayEnv struct {
	Binaries []Binary `json:"binaries"`
	Args     []string `json:"args,omitempty"`
}

// Binary is a job's program for one platform, stored as a package.
type Binary struct {
	Platform string `json:"platform"` // linux/amd64
	Package  string `json:"package"`  // gray_SHA256
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
}

// JobSubmitResponse answers POST /api/jobs/.
type JobSubmitResponse struct {
	JobID        string `json:"job_id"`
	SubmissionID string `json:"submission_id"`
}

// DriverInfo says where a driver runs or ran.
type DriverInfo struct {
	ID            string `json:"id"`
	NodeIPAddress string `json:"node_ip_address"`
	PID           string `json:"pid"`
}

// JobDetails describes a job. Times are in milliseconds since 1970.
type JobDetails struct {
	Type                   string            `json:"type"`
	JobID                  *string           `json:"job_id"` // j3
	SubmissionID           *string           `json:"submission_id"`
	DriverInfo             *DriverInfo       `json:"driver_info"`
	Status                 string            `json:"status"`
	Entrypoint             string            `json:"entrypoint"`
	Message                *string           `json:"message"`
	ErrorType              *string           `json:"error_type"`
	StartTime              int64             `json:"start_time"`
	EndTime                *int64            `json:"end_time"`
	Metadata               map[string]string `json:"metadata"`
	RuntimeEnv             json.RawMessage   `json:"runtime_env"`
	DriverAgentHTTPAddress *string           `json:"driver_agent_http_address"`
	DriverNodeID           *string           `json:"driver_node_id"` // n1
	DriverExitCode         *int              `json:"driver_exit_code"`
}

// ID is the name by which people know the job: its submission id, or j3.
func (j *JobDetails) ID() string {
	if j.SubmissionID != nil && *j.SubmissionID != "" {
		return *j.SubmissionID
	}
	if j.JobID != nil {
		return *j.JobID
	}
	return ""
}

// Text is the message, if there is one.
func (j *JobDetails) Text() string {
	if j.Message == nil {
		return ""
	}
	return *j.Message
}

// LogsResponse answers GET /api/jobs/ID/logs.
type LogsResponse struct {
	Logs string `json:"logs"`
}

// StopResponse answers POST /api/jobs/ID/stop: false for a job that was over.
type StopResponse struct {
	Stopped bool `json:"stopped"`
}

// DeleteResponse answers DELETE /api/jobs/ID.
type DeleteResponse struct {
	Deleted bool `json:"deleted"`
}
