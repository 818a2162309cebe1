package head

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

const (
	// trendEvery is how often what the cluster does is noted, trendLength how often that
	// is kept: 15 minutes.
	trendEvery  = 2 * time.Second
	trendLength = 450
)

// trend is what the cluster did in the last minutes, as the leader saw it.
type trend struct {
	mu     sync.Mutex
	series map[string][]float64
	loads  map[uint32]*proto.NodeLoad // as of the last time
	at     time.Time
}

// keepTrend notes what the cluster does while this head leads.
func (h *Head) keepTrend() {
	tick := time.NewTicker(trendEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case at := <-tick.C:
			if infos, loads, leads := h.leader.loads(); leads {
				h.trend.add(at, infos, loads)
			}
		}
	}
}

// loads is what the living nodes have and do.
func (l *leader) loads() (infos []*proto.NodeInfo, loads map[uint32]*proto.NodeLoad, leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loads = map[uint32]*proto.NodeLoad{}
	for id, m := range l.members {
		if m.load != nil {
			loads[id] = m.load
		}
	}
	return l.infosLocked(), loads, l.leads
}

// add notes what nodes have and do. What only goes up is noted as a rate.
func (t *trend) add(at time.Time, infos []*proto.NodeInfo, loads map[uint32]*proto.NodeLoad) {
	now := map[string]float64{
		"time_ms": float64(at.UnixMilli()), "cpus_used": 0, "cpus_total": 0, "memory_used": 0, "memory_total": 0, "store_used": 0, "store_total": 0,
		"tasks_running": 0, "tasks_waiting": 0, "tasks_finished_per_s": 0, "transfer_bytes_per_s": 0,
	}
	for _, i := range infos {
		total := resources(i.Total)["CPU"]
		now["cpus_total"] += total
		if i.Available != nil {
			now["cpus_used"] += total - resources(i.Available)["CPU"]
		}
		now["store_used"] += float64(i.ObjectStoreUsed)
		now["store_total"] += float64(i.ObjectStoreCapacity)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	seconds := at.Sub(t.at).Seconds()
	for id, l := range loads {
		now["memory_used"] += float64(l.MemoryUsed)
		now["memory_total"] += float64(l.MemoryTotal)
		now["tasks_running"] += float64(l.TasksRunning)
		now["tasks_waiting"] += float64(l.TasksWaiting)
		if before := t.loads[id]; before != nil && seconds > 0 {
			now["tasks_finished_per_s"] += rate(before.TasksEnded, l.TasksEnded, seconds)
			now["transfer_bytes_per_s"] += rate(before.Transferred, l.Transferred, seconds)
		}
	}
	t.at, t.loads = at, loads
	if t.series == nil {
		t.series = map[string][]float64{}
	}
	for key, v := range now {
		s := append(t.series[key], v)
		t.series[key] = slices.Delete(s, 0, max(0, len(s)-trendLength))
	}
}

func rate(before, now uint64, seconds float64) float64 {
	return float64(max(now, before)-before) / seconds
}

// getHistory answers it.
func (h *Head) getHistory(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	out := api.History{EveryMs: trendEvery.Milliseconds(), Series: map[string][]float64{}}
	h.trend.mu.Lock()
	for key, s := range h.trend.series {
		out.Series[key] = slices.Clone(s)
	}
	h.trend.mu.Unlock()
	writeJSON(w, http.StatusOK, api.HistoryResponse{Data: out})
}
