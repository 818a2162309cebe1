package node

import (
	"bytes"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/machine"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

// set is the metrics of a node, each with the label node, too. docs/metrics.md lists them.
var set metrics.Set

var (
	resourcesGauge = set.Gauge("gray_node_resources", "What the node offers, in the resource's own unit: CPUs, bytes of memory.", "resource")
	usedGauge      = set.Gauge("gray_node_resources_used", "What of that is held by leases, actors, drivers and bundles.", "resource")
	memoryGauge    = set.Gauge("gray_node_memory_used_bytes", "Memory in use, of the machine or of the control group that is nearer to its end.")
	limitGauge     = set.Gauge("gray_node_memory_limit_bytes", "How much memory there is of that.")
	killsCounter   = set.Counter("gray_node_memory_kills_total", "Processes that were killed because memory ran out.")
	fencedGauge    = set.Gauge("gray_node_fenced", "1 while the node's lease is over, and its actors are stopped.")
	workersGauge   = set.Gauge("gray_workers", "Worker processes by what they do: starting, idle, leased, blocked, actor.", "state")
	driversGauge   = set.Gauge("gray_drivers", "Drivers of jobs on the node.")
	leasesGauge    = set.Gauge("gray_leases", "Workers that are lent, or had from other nodes: local, remote.", "from")
	pendingGauge   = set.Gauge("gray_demands_pending", "Leases that processes here could use and haven't got.")
	hopelessGauge  = set.Gauge("gray_demands_infeasible", "Of those, leases that no node could ever give.")
	runningGauge   = set.Gauge("gray_tasks_running", "Leased workers that have begun a task and aren't blocked.")
	waitingGauge   = set.Gauge("gray_tasks_waiting", "Tasks that wait for leases which processes here ask for.")

	storeCapacityGauge = set.Gauge("gray_store_capacity_bytes", "Size of the object store's shared memory.")
	storeUsedGauge     = set.Gauge("gray_store_used_bytes", "Shared memory that objects take.")
	storeDropGauge     = set.Gauge("gray_store_droppable_bytes", "Of that, what can be freed at once: copies, and what is on disk, too.")
	storeSpilledGauge  = set.Gauge("gray_store_spilled_bytes", "Objects that lie on disk only.")
	storeObjectsGauge  = set.Gauge("gray_store_objects", "Objects in the store and on disk.")
	storePinsGauge     = set.Gauge("gray_store_pins", "Holds of readers that keep objects in memory.")
	storeWaitingGauge  = set.Gauge("gray_store_waiting", "Calls that wait for room.")

	receivedCounter   = set.Counter("gray_transfer_received_bytes_total", "Bytes of objects that came from other nodes.")
	sentCounter       = set.Counter("gray_transfer_sent_bytes_total", "Bytes of objects that went to other nodes.")
	pullHistogram     = set.Histogram("gray_transfer_duration_seconds", "How long it took to bring an object from other nodes.")
	pullSizeHistogram = set.Histogram("gray_transfer_size_bytes", "Sizes of objects that were brought.")
	pullFailedCounter = set.Counter("gray_transfer_failures_total", "Objects that couldn't be brought.")
	tunnelsGauge      = set.Gauge("gray_tunnels", "Connections from processes here to workers of other nodes.")

	seriesGauge    = set.Gauge("gray_user_series", "Series of jobs' own metrics.")
	droppedCounter = set.Counter("gray_user_updates_dropped_total", "Updates of jobs' own metrics that had no place, or didn't fit.", "job_id")
	runsGauge      = set.Gauge("gray_runs", "Runs (gray.Run) that are kept.")
	runsDropped    = set.Counter("gray_runs_dropped_total", "Runs that were forgotten, or had no place.")
)

// instruments is what a node counts of itself.
type instruments struct {
	registry   *prometheus.Registry
	pulls      *prometheus.HistogramVec
	pullSizes  *prometheus.HistogramVec
	pullFailed atomic.Int64
	oomKills   atomic.Int64
}

func newInstruments(n *Node) *instruments {
	m := &instruments{
		registry:  prometheus.NewRegistry(),
		pulls:     pullHistogram.Observed(prometheus.ExponentialBuckets(0.001, 4, 9)),      // to 65 s
		pullSizes: pullSizeHistogram.Observed(prometheus.ExponentialBuckets(16<<10, 8, 7)), // to 4 GiB
	}
	m.registry.MustRegister(
		m.pulls, m.pullSizes, metrics.Collector(n.collect),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// pulled notes that an object was brought from other nodes, or couldn't be.
func (m *instruments) pulled(size int64, took time.Duration, err error) {
	if err != nil {
		m.pullFailed.Add(1)
		return
	}
	m.pulls.WithLabelValues().Observe(took.Seconds())
	m.pullSizes.WithLabelValues().Observe(float64(size))
}

// ownMetrics is all that a node has to say of itself and of the jobs on it, as text.
func (n *Node) ownMetrics() ([]byte, error) {
	return metrics.Text(n.instruments.registry, n.tally.Families(), "node", n.id.String())
}

// Metrics sends them as text.
func (s *service) Metrics(_ *proto.MetricsRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	text, err := s.n.ownMetrics()
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	return rpc.SendChunks(stream, bytes.NewReader(text))
}

func (n *Node) collect(out chan<- prometheus.Metric) {
	n.collectNode(out)
	n.collectStore(out)
	sendTasks(out, n.shownTasks())
	for job, count := range n.tally.Dropped() {
		droppedCounter.Send(out, float64(count), job.String())
	}
	seriesGauge.Send(out, float64(n.tally.Series()))
	runs, dropped := n.runs.Len()
	runsGauge.Send(out, float64(runs))
	runsDropped.Send(out, float64(dropped))
}

func (n *Node) collectStore(out chan<- prometheus.Metric) {
	u := n.store.Usage()
	storeCapacityGauge.Send(out, float64(u.Capacity))
	storeUsedGauge.Send(out, float64(u.Used))
	storeDropGauge.Send(out, float64(u.Droppable))
	storeSpilledGauge.Send(out, float64(u.Away))
	storeObjectsGauge.Send(out, float64(u.Objects))
	storePinsGauge.Send(out, float64(u.Pins))
	storeWaitingGauge.Send(out, float64(u.Waiting))
	receivedCounter.Send(out, float64(n.puller.Moved()))
	sentCounter.Send(out, float64(n.streams.Moved()))
	pullFailedCounter.Send(out, float64(n.instruments.pullFailed.Load()))
	tunnelsGauge.Send(out, float64(n.tunnels.Load()))
}

func (n *Node) collectNode(out chan<- prometheus.Metric) {
	if u, ok := machine.Use(); ok {
		memoryGauge.Send(out, float64(u.Used))
		limitGauge.Send(out, float64(u.Limit))
	}
	killsCounter.Send(out, float64(n.instruments.oomKills.Load()))
	n.mu.Lock()
	defer n.mu.Unlock()
	total, available := n.ledger.Total(), n.ledger.Available()
	for _, name := range slices.Sorted(maps.Keys(total)) {
		resourcesGauge.Send(out, float64(total[name])/account.Unit, name)
		usedGauge.Send(out, float64(total[name]-available[name])/account.Unit, name)
	}
	fenced := 0.0
	if n.fenced != nil {
		fenced = 1
	}
	fencedGauge.Send(out, fenced)
	states, drivers := n.countProcessesLocked()
	for _, state := range []string{"starting", "idle", "leased", "blocked", "actor"} {
		workersGauge.Send(out, float64(states[state]), state)
	}
	driversGauge.Send(out, float64(drivers))
	local, remote := 0, 0
	for _, l := range n.leases {
		if l.remote != nil {
			remote++
		} else {
			local++
		}
	}
	leasesGauge.Send(out, float64(local), "local")
	leasesGauge.Send(out, float64(remote), "remote")
	open, hopeless := 0, 0
	for _, d := range n.queue.Waiting() {
		open += d.Open()
		if d.Never {
			hopeless += d.Open()
		}
	}
	pendingGauge.Send(out, float64(open))
	hopelessGauge.Send(out, float64(hopeless))
	running, waiting := n.tasksLocked()
	runningGauge.Send(out, float64(running))
	waitingGauge.Send(out, float64(waiting))
}

func (n *Node) countProcessesLocked() (workers map[string]int, drivers int) {
	workers = map[string]int{}
	for _, p := range n.processes {
		switch {
		case !p.worker:
			drivers++
		case p.blocked:
			workers["blocked"]++
		case p.state == starting:
			workers["starting"]++
		case p.state == idle:
			workers["idle"]++
		case p.state == leased:
			workers["leased"]++
		case p.state == hosting:
			workers["actor"]++
		}
	}
	return workers, drivers
}

// tasksLocked is how many leased workers have begun a task, and how many tasks wait for
// leases, as their owners said when they asked for them.
func (n *Node) tasksLocked() (running, waiting uint64) {
	for _, p := range n.processes {
		if p.state == leased && !p.blocked && n.progress.lastStarted(p.slot) != 0 {
			running++
		}
	}
	for _, d := range n.queue.Waiting() {
		waiting += uint64(max(d.Backlog, 0))
	}
	return running, waiting
}

// load is what the node does, for the leader's history.
func (n *Node) load() *proto.NodeLoad {
	l := &proto.NodeLoad{Transferred: n.puller.Moved(), TasksEnded: n.endedAttempts(0)}
	if u, ok := machine.Use(); ok {
		l.MemoryUsed, l.MemoryTotal = u.Used, u.Limit
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l.TasksRunning, l.TasksWaiting = n.tasksLocked()
	return l
}
