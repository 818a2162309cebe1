package head

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sched"
)

var submissionID = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}$`)

// maxWeight bounds how much more of the cluster one job may get than another.
const maxWeight = 1000

const packageScheme = "gcs://"

// postJob submits a job.
func (h *Head) postJob(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		writeError(w, badRequest("the body isn't JSON: %w", err))
		return
	}
	spec, err := jobSpec(raw)
	if err != nil {
		writeError(w, err)
		return
	}
	res, err := h.proposeREST(r, &fsm.Command_SubmitJob{SubmitJob: &fsm.SubmitJob{Spec: spec, Node: h.leader.driverNode(spec)}})
	if err != nil {
		writeError(w, err)
		return
	}
	h.log.Info("job submitted", "job", ids.JobID(res.Id), "submission", res.Name)
	writeJSON(w, http.StatusOK, api.JobSubmitResponse{JobID: res.Name, SubmissionID: res.Name})
}

// driverNode is where a driver can start at once; 0: nowhere yet.
func (l *leader) driverNode(spec *proto.JobSpec) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leads || len(l.jobs) > 0 {
		return 0
	}
	return l.placeDriver(l.newBoard(), spec).node
}

func badRequest(format string, args ...any) error {
	return problem(proto.Error_INVALID, "%v", fmt.Errorf(format, args...))
}

// jobSpec reads a submission.
func jobSpec(raw json.RawMessage) (*proto.JobSpec, error) {
	var r api.JobSubmitRequest
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, badRequest("submission: %w", err)
	}
	var asSubmitted struct {
		RuntimeEnv json.RawMessage `json:"runtime_env"`
	}
	if err := json.Unmarshal(raw, &asSubmitted); err != nil {
		return nil, badRequest("submission: %w", err)
	}
	if r.SubmissionID == "" {
		r.SubmissionID = "job_" + strings.ToLower(rand.Text())[:12]
	}
	if !submissionID.MatchString(r.SubmissionID) {
		return nil, badRequest("submission_id %q: want at most 128 letters, digits and _.:@+-", r.SubmissionID)
	}
	if strings.TrimSpace(r.Entrypoint) == "" {
		return nil, badRequest("a job needs an entrypoint")
	}
	spec := &proto.JobSpec{
		SubmissionId: r.SubmissionID, Entrypoint: r.Entrypoint, Env: r.RuntimeEnv.EnvVars, Metadata: r.Metadata,
		RuntimeEnvJson: validUTF8(string(asSubmitted.RuntimeEnv)), Weight: r.Weight,
	}
	if r.Weight > maxWeight {
		return nil, badRequest("weight %d: want at most %d", r.Weight, maxWeight)
	}
	var err error
	if spec.DriverResources, err = driverResources(&r); err != nil {
		return nil, err
	}
	if dir := r.RuntimeEnv.WorkingDir; dir != "" {
		name, ok := strings.CutPrefix(dir, packageScheme)
		if !ok {
			return nil, badRequest("working_dir %q: want %sPACKAGE", dir, packageScheme)
		}
		spec.WorkingDir = name
	}
	if g := r.RuntimeEnv.Gray; g != nil {
		spec.Args = g.Args
		for _, b := range g.Binaries {
			spec.Binaries = append(spec.Binaries, &proto.Binary{Platform: b.Platform, Package: b.Package, Sha256: b.SHA256, Size: b.Size})
		}
	}
	return spec, nil
}

func driverResources(r *api.JobSubmitRequest) (*proto.Resources, error) {
	amounts := map[string]float64{"CPU": r.EntrypointNumCPUs, "GPU": r.EntrypointNumGPUs, "memory": float64(r.EntrypointMemory)}
	for k, v := range r.EntrypointResources {
		amounts[k] += v
	}
	out := &proto.Resources{}
	for k, v := range amounts {
		q, err := sched.Q(v)
		if err != nil {
			return nil, badRequest("resource %s: %v isn't an amount: %w", k, v, err)
		}
		if q == 0 {
			continue
		}
		if out.Quantity == nil {
			out.Quantity = map[string]int64{}
		}
		out.Quantity[k] = int64(q)
	}
	return out, nil
}
