package head

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// set is the metrics of a head, each with the label head, too. docs/metrics.md lists them.
var set metrics.Set

var (
	leaderGauge     = set.Gauge("gray_head_leader", "1 for the head that leads, 0 for others.")
	termGauge       = set.Gauge("gray_raft_term", "Raft's term.")
	lastGauge       = set.Gauge("gray_raft_last_index", "The last entry of the head's log.")
	committedGauge  = set.Gauge("gray_raft_commit_index", "The last entry that the head knows to be committed.")
	appliedGauge    = set.Gauge("gray_raft_applied_index", "The last entry that its state has.")
	lagGauge        = set.Gauge("gray_raft_peer_lag", "Of the leader: how many entries a head's state lacks; -1 if it doesn't answer.", "peer")
	commitHistogram = set.Histogram("gray_raft_commit_duration_seconds", "From the proposal of a command until it was committed and applied, at the leader.")
	applyHistogram  = set.Histogram("gray_raft_apply_duration_seconds", "How long the state machine took for a command.")
	storeHistogram  = set.Histogram("gray_raft_store_duration_seconds", "How long it took to have entries on the disk.")
	httpHistogram   = set.Histogram("gray_http_request_duration_seconds",
		"How long the answers of the HTTP API took, where they were given; without logs that are followed, and profiles.", "route", "code")

	nodesGauge     = set.Gauge("gray_nodes", "Of the leader: nodes by state: alive, draining, dead.", "state")
	jobsGauge      = set.Gauge("gray_jobs", "Of the leader: jobs by status.", "status")
	actorsGauge    = set.Gauge("gray_actors", "Of the leader: actors by state.", "state")
	groupsGauge    = set.Gauge("gray_placement_groups", "Of the leader: placement groups by state.", "state")
	unplacedGauge  = set.Gauge("gray_unplaced", "Of the leader: actors, drivers and groups that wait for a place.")
	scrapedGauge   = set.Gauge("gray_node_scraped", "In /metrics/cluster: 1 for nodes whose metrics are there, 0 for others.", "node")
	raftBuckets    = prometheus.ExponentialBuckets(0.00001, 4, 10)  // to 2.6 s
	requestBuckets = prometheus.ExponentialBuckets(0.0005, 2.5, 12) // to 12 s
	groupStates    = []proto.GroupInfo_State{proto.GroupInfo_PENDING, proto.GroupInfo_CREATED, proto.GroupInfo_RESCHEDULING}
	actorStates    = []proto.ActorInfo_State{proto.ActorInfo_PENDING, proto.ActorInfo_ALIVE, proto.ActorInfo_RESTARTING, proto.ActorInfo_DEAD}
	jobStatuses    = []string{fsm.Pending, fsm.Running, fsm.Stopped, fsm.Succeeded, fsm.Failed}
)

// instruments is what a head counts of itself.
type instruments struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newInstruments(h *Head) *instruments {
	m := &instruments{registry: prometheus.NewRegistry(), requests: httpHistogram.Observed(requestBuckets)}
	m.registry.MustRegister(
		m.requests, h.consensus.committed, h.consensus.store.stored, h.replica.applied, metrics.Collector(h.collect),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// endless are the paths whose answers last as long as who asks likes.
var endless = []string{"/api/jobs/{id}/logs/tail", "/api/v0/logs/stream", "/api/v0/workers/{id}/profile"}

// measured counts the answers of a route, unless they are endless.
func (m *instruments) measured(route string, f http.HandlerFunc) http.HandlerFunc {
	_, path, _ := strings.Cut(route, " ")
	if slices.Contains(endless, path) {
		return f
	}
	path = strings.TrimSuffix(path, "{$}")
	return func(w http.ResponseWriter, r *http.Request) {
		began, coded := time.Now(), &codeWriter{ResponseWriter: w, code: http.StatusOK}
		f(coded, r)
		m.requests.WithLabelValues(path, strconv.Itoa(coded.code)).Observe(time.Since(began).Seconds())
	}
}

// codeWriter notes the status of an answer.
type codeWriter struct {
	http.ResponseWriter
	code int
}

func (w *codeWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *codeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ownMetrics is what this head has to say of itself, as text.
func (h *Head) ownMetrics() ([]byte, error) {
	return metrics.Text(h.instruments.registry, nil, "head", h.dir.info.Head)
}

// HeadMetrics sends it as text.
func (s *headsService) HeadMetrics(_ *proto.MetricsRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	text, err := s.h.ownMetrics()
	if err != nil {
		return asStatus(err)
	}
	return rpc.SendChunks(stream, bytes.NewReader(text))
}

func (h *Head) collect(out chan<- prometheus.Metric) {
	r := h.consensus.raft
	termGauge.Send(out, float64(r.CurrentTerm()))
	lastGauge.Send(out, float64(r.LastIndex()))
	committedGauge.Send(out, float64(r.CommitIndex()))
	appliedGauge.Send(out, float64(r.AppliedIndex()))
	if !h.leader.isLeading() {
		leaderGauge.Send(out, 0)
		return
	}
	leaderGauge.Send(out, 1)
	h.collectState(out)
	h.collectPeers(out)
	waiting := 0
	for _, d := range h.leader.demands() {
		waiting += d.Count
	}
	unplacedGauge.Send(out, float64(waiting))
}

// collectState counts what is in the state. Values that there are none of are told, too.
func (h *Head) collectState(out chan<- prometheus.Metric) {
	nodes, jobs := map[string]int{"alive": 0, "draining": 0, "dead": 0}, map[string]int{}
	actors, groups := map[string]int{}, map[string]int{}
	for _, s := range jobStatuses {
		jobs[strings.ToLower(s)] = 0
	}
	for _, s := range actorStates {
		actors[strings.ToLower(s.String())] = 0
	}
	for _, s := range groupStates {
		groups[strings.ToLower(s.String())] = 0
	}
	var all []*fsm.Group
	h.replica.read(func(s *fsm.State) {
		for _, n := range s.Nodes() {
			switch {
			case !n.Info.Alive:
				nodes["dead"]++
			case n.Info.Draining != nil:
				nodes["draining"]++
			default:
				nodes["alive"]++
			}
		}
		for _, j := range s.Jobs() {
			jobs[strings.ToLower(j.Status)]++
		}
		for _, a := range s.Actors() {
			actors[strings.ToLower(a.State.String())]++
		}
		all = s.Groups()
	})
	for _, g := range all {
		if !g.Removed {
			groups[strings.ToLower(h.leader.describeGroup(g).State.String())]++
		}
	}
	for _, m := range []struct {
		gauge  *metrics.Metric
		counts map[string]int
	}{{nodesGauge, nodes}, {jobsGauge, jobs}, {actorsGauge, actors}, {groupsGauge, groups}} {
		for _, label := range slices.Sorted(maps.Keys(m.counts)) {
			m.gauge.Send(out, float64(m.counts[label]), label)
		}
	}
}

// collectPeers asks the other heads how far they are.
func (h *Head) collectPeers(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(h.ctx, time.Second)
	defer cancel()
	others := slices.DeleteFunc(slices.Clone(h.consensus.members()), func(m raft.Server) bool { return m.ID == h.consensus.self })
	infos, errs := h.survey(ctx, others, false)
	last := h.consensus.raft.LastIndex()
	for i, m := range others {
		lag := -1.0
		if errs[i] == nil {
			lag = float64(max(last, infos[i].Applied) - infos[i].Applied)
		}
		lagGauge.Send(out, lag, string(m.ID))
	}
}
