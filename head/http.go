package head

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/errcode"
)

const (
	maxBody = 2 << 20 // of a request other than an upload
	// requestLimit bounds reading a short request and writing its answer.
	requestLimit = time.Minute
)

// routes is the REST API.
func (h *Head) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /api/version":        h.getVersion,
		"GET /api/cluster_status": h.getStatus,
		"GET /api/why":            h.getWhy,

		"GET /api/heads":         h.getHeads,
		"GET /api/heads/backup":  h.getBackup,
		"DELETE /api/heads/{id}": h.deleteHead,
		"POST " + transferPath:   h.postTransfer,

		"POST /api/sign_in_code": h.postSignInCode,

		"GET /api/packages/gcs/{name}": h.getPackage,
		"PUT /api/packages/gcs/{name}": h.uploadPackage,

		"POST /api/jobs/{$}":           h.postJob,
		"GET /api/jobs/{$}":            h.getJobs,
		"GET /api/jobs/{id}":           h.getJob,
		"GET /api/jobs/{id}/logs":      h.getLogs,
		"GET /api/jobs/{id}/logs/tail": h.tailLogs,
		"POST /api/jobs/{id}/stop":     h.stopJob,
		"DELETE /api/jobs/{id}":        h.deleteJob,

		"POST /api/v0/nodes/{id}/drain": h.drainNode,

		"GET /api/v0/nodes":           h.listNodes,
		"GET /api/v0/jobs":            h.listJobs,
		"GET /api/v0/actors":          h.listActors,
		"GET /api/v0/tasks":           h.listTasks,
		"GET /api/v0/objects":         h.listObjects,
		"GET /api/v0/workers":         h.listWorkers,
		"GET /api/v0/tasks/{id}/logs": h.getTaskLogs,

		"GET /api/v0/tasks/{id}":        h.getTask,
		"GET /api/v0/actors/{id}":       h.getActor,
		"GET /api/v0/cluster_events":    h.listEvents,
		"GET /api/v0/tasks/summarize":   h.summarizeTasks,
		"GET /api/v0/actors/summarize":  h.summarizeActors,
		"GET /api/v0/objects/summarize": h.summarizeObjects,

		"GET /api/v0/placement_groups": h.listGroups,

		"GET /api/v0/runs":      h.listRuns,
		"GET /api/v0/runs/{id}": h.getRun,
		"GET /api/v0/history":   h.getHistory,

		"GET " + metricsPath:             h.getMetrics,
		"GET /metrics/heads/{id}":        h.getHeadMetrics,
		"GET /metrics/nodes/{id}":        h.getNodeMetrics,
		"GET /metrics/cluster":           h.getClusterMetrics,
		"GET /api/prometheus/targets":    h.getTargets,
		"GET /api/v0/timeline":           h.getTimeline,
		"GET /api/v0/jobs/{id}/timeline": h.getTrace,
		"GET /api/v0/hints":              h.listHints,
		"GET /api/v0/logs/file":          h.getLogFile,
		"GET /api/v0/logs/stream":        h.followLogFile,

		"GET /api/v0/workers/{id}/stack":   h.getStack,
		"GET /api/v0/workers/{id}/profile": h.getProfile,
	}
}

// handler serves the REST API, and the dashboard.
func (h *Head) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range h.routes() {
		mux.HandleFunc(pattern, h.instruments.measured(pattern, f))
	}
	return h.withDashboard(mux)
}

// bounded gives a request a limit in time; uploads and tails set their own.
func bounded(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	limit := time.Now().Add(requestLimit)
	c := http.NewResponseController(w)
	c.SetReadDeadline(limit) // the connections that this server has can do that
	c.SetWriteDeadline(limit)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeText(w, http.StatusInternalServerError, "encode the answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	w.Write(b)
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	w.Write([]byte(text))
}

// writeError answers with the HTTP status that fits err.
func writeError(w http.ResponseWriter, err error) {
	var tooLong *http.MaxBytesError
	code, text := http.StatusInternalServerError, err.Error()
	s, isStatus := status.FromError(err)
	switch {
	case errors.As(err, &tooLong), errors.Is(err, ErrTooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrPackageName):
		code = http.StatusBadRequest
	case isStatus:
		code, text = errcode.HTTP(s.Code()), s.Message()
	}
	writeText(w, code, text)
}

// validUTF8 replaces what JSON and protobuf can't carry.
func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
