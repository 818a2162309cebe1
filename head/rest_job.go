package head

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Ray's own version, which its tools compare.
const (
	rayProtocol = "4"
	rayVersion  = "2.60.0"
	rayCommit   = "b7f4259e944bf6959f721b106adc366ddfa0c356"
)

func (h *Head) getVersion(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	writeJSON(w, http.StatusOK, api.Version{
		Version: rayProtocol, RayVersion: rayVersion, RayCommit: rayCommit, SessionName: "session_" + h.ClusterID().String(),
		GrayVersion: h.cfg.Version, ClusterID: h.ClusterID().String(),
	})
}

func noJob(id string) string { return fmt.Sprintf("Job %s does not exist", id) }

// job finds a job by its submission id or number.
func (h *Head) job(id string) *fsm.Job {
	var j *fsm.Job
	h.replica.read(func(s *fsm.State) { j = s.FindJob(id) })
	return j
}

func (h *Head) getJobs(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	writeJSON(w, http.StatusOK, h.jobRows())
}

func (h *Head) jobRows() []api.JobDetails {
	jobs, waits := h.allJobs()
	out := make([]api.JobDetails, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, h.jobRow(j, waits))
	}
	return out
}

// allJobs are the jobs, and why those wait that have no node.
func (h *Head) allJobs() (jobs []*fsm.Job, waits map[uint32]string) {
	h.replica.read(func(s *fsm.State) { jobs = s.Jobs() })
	return jobs, h.leader.waitingJobs()
}

func (h *Head) getJob(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	j := h.job(r.PathValue("id"))
	if j == nil {
		writeText(w, http.StatusNotFound, noJob(r.PathValue("id")))
		return
	}
	writeJSON(w, http.StatusOK, h.jobDetails(j))
}

// jobDetails describes a job as Ray does.
func (h *Head) jobDetails(j *fsm.Job) api.JobDetails { return h.jobRow(j, h.leader.waitingJobs()) }

// jobRow is jobDetails, given why jobs have no node.
func (h *Head) jobRow(j *fsm.Job, waits map[uint32]string) api.JobDetails {
	d := api.JobDetails{
		Type: api.TypeSubmission, JobID: text(ids.JobID(j.Spec.Id).String()), SubmissionID: text(j.Spec.SubmissionId),
		Status: j.Status, Entrypoint: j.Spec.Entrypoint, ErrorType: text(j.ErrorType), StartTime: j.SubmittedMs,
		Metadata: j.Spec.Metadata, RuntimeEnv: json.RawMessage("{}"), Message: text(jobMessage(j, waits)),
	}
	if j.Driver {
		d.Type, d.SubmissionID = api.TypeDriver, nil
	}
	if d.Metadata == nil {
		d.Metadata = map[string]string{}
	}
	if raw := json.RawMessage(j.Spec.RuntimeEnvJson); json.Valid(raw) {
		d.RuntimeEnv = raw
	}
	if j.Over() {
		end := j.EndedMs
		d.EndTime = &end
	}
	if j.HasExitCode {
		code := int(j.ExitCode)
		d.DriverExitCode = &code
	}
	if j.Node != 0 {
		d.DriverNodeID = text(ids.NodeID(j.Node).String())
		if j.PID != 0 {
			d.DriverInfo = &api.DriverInfo{ID: *d.JobID, NodeIPAddress: h.nodeIP(j.Node), PID: strconv.Itoa(int(j.PID))}
		}
	}
	return d
}

func (h *Head) jobMessage(j *fsm.Job) string { return jobMessage(j, h.leader.waitingJobs()) }

func jobMessage(j *fsm.Job, waits map[uint32]string) string {
	switch {
	case j.Message != "":
		return j.Message
	case j.Status == fsm.Running:
		return "Job is currently running."
	case j.Node != 0:
		return "Job has not started yet: its driver is being started."
	}
	if reason := waits[j.Spec.Id]; reason != "" {
		return "Job has not started yet: " + reason
	}
	return "Job has not started yet."
}

// waitingJobs says of the jobs that wait for a node why.
func (l *leader) waitingJobs() map[uint32]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	reasons := make(map[uint32]string, len(l.jobs))
	for _, w := range l.jobs {
		reasons[w.id] = w.reason
	}
	return reasons
}

func (h *Head) nodeIP(id uint32) string {
	var ip string
	h.replica.read(func(s *fsm.State) {
		if n := s.Node(id); n != nil {
			ip = n.Info.Ip
		}
	})
	return ip
}

// text is nil for nothing, as JSON's null.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (h *Head) stopJob(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	res, err := h.proposeREST(r, &fsm.Command_StopJob{StopJob: &fsm.StopJob{Id: r.PathValue("id")}})
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, api.StopResponse{Stopped: !res.Existed})
}

func (h *Head) deleteJob(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	if _, err := h.proposeREST(r, &fsm.Command_DeleteJob{DeleteJob: &fsm.DeleteJob{Id: r.PathValue("id")}}); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, api.DeleteResponse{Deleted: true})
}

// resources turns internal amounts into what people count.
func resources(r *proto.Resources) map[string]float64 {
	out := map[string]float64{}
	for k, v := range r.GetQuantity() {
		out[k] = float64(v) / unit
	}
	return out
}
