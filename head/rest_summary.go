package head

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

const (
	otherFunctions = "(other functions)"
	maxJobIDs      = 10 // that a function's summary names
)

// summarizeTasks counts the tasks of all jobs, or of one, by function.
func (h *Head) summarizeTasks(w http.ResponseWriter, r *http.Request) {
	job, err := onlyJob(r.URL.Query())
	if err != nil {
		refuseSummary(w, r, err)
		return
	}
	lists, warnings := gather(r.Context(), h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.TaskCounts, error) {
		return c.CountTasks(ctx, &proto.ListRequest{Job: job})
	})
	sums := map[string]*functionSum{}
	var forgotten, untold uint64
	for _, l := range lists {
		forgotten += l.DroppedJobs
		untold += l.DroppedFailures
		for _, f := range l.Functions {
			name := cmp.Or(f.Function, otherFunctions)
			if sums[name] == nil {
				sums[name] = &functionSum{kind: f.Kind, living: map[string]uint64{}, jobs: map[uint32]bool{}}
			}
			sums[name].add(f)
		}
	}
	s := api.TaskSummary{Summary: map[string]api.FunctionSummary{}, SummaryBy: "func_name"}
	total := 0
	ended := map[string]uint64{}
	for name, sum := range sums {
		f := sum.summary(name)
		ended[name] = f.Finished + f.Failed + f.Cancelled + f.Crashed
		all := ended[name] + f.Running + f.Waiting
		if f.Type == "ACTOR_TASK" {
			s.TotalActorTasks += all
		} else {
			s.TotalTasks += all
		}
		total += int(all)
		s.Summary[name] = f
	}
	for name, rate := range h.rates.of(job, ended, time.Now()) {
		f := s.Summary[name]
		f.RatePerS = &rate
		s.Summary[name] = f
	}
	h.replica.read(func(state *fsm.State) {
		for _, a := range state.Actors() {
			if job == 0 || a.Spec.Job == job {
				s.TotalActorScheduled++
			}
		}
	})
	var notes []string
	if forgotten > 0 {
		notes = append(notes, fmt.Sprintf("the counts of %d jobs that ended long ago were dropped", forgotten))
	}
	if untold > 0 {
		notes = append(notes, fmt.Sprintf("the errors of %d attempts that failed were dropped", untold))
	}
	writeSummary(w, r, s, total, warnings, notes)
}

// onlyJob reads a summary's filter, which can be one job.
func onlyJob(q url.Values) (uint32, error) {
	filters, err := filtersOf(q)
	if err != nil || len(filters) == 0 {
		return 0, err
	}
	id, ok := jobNumber(filters[0].Value)
	if len(filters) > 1 || filters[0].Key != "job_id" || filters[0].Op != "=" || !ok {
		return 0, fmt.Errorf("tasks are summarized with no filter, or with job_id = one job")
	}
	return id, nil
}

func refuseSummary(w http.ResponseWriter, r *http.Request, err error) {
	bounded(w, r)
	writeJSON(w, http.StatusBadRequest, api.SummaryResponse[struct{}]{Msg: err.Error()})
}

func writeSummary[T any](w http.ResponseWriter, r *http.Request, s T, total int, failed, notes []string) {
	bounded(w, r)
	out := api.SummaryResponse[T]{Result: true}
	out.Data.Result = &api.Summary[T]{
		Total: total, NumAfterTruncation: total, NumFiltered: total, PartialFailureWarning: strings.Join(failed, "; "), Warnings: notes,
	}
	out.Data.Result.Result.ByNode.Cluster = s
	writeJSON(w, http.StatusOK, out)
}

// functionSum is what all nodes say of a function.
type functionSum struct {
	kind   string
	jobs   map[uint32]bool
	living map[string]uint64
	recorder.Counts
}

func (s *functionSum) add(f *proto.FunctionCounts) {
	s.kind = cmp.Or(s.kind, f.Kind)
	s.jobs[f.Job] = true
	c := recorder.Counts{WaitSum: time.Duration(f.WaitNs), RunSum: time.Duration(f.RunNs)}
	copy(c.Ended[:], f.Ended)
	copy(c.Wait[:], f.Wait)
	copy(c.Run[:], f.Run)
	s.Add(&c)
	for state, n := range f.Living {
		s.living[state] += n
	}
}

func (s *functionSum) summary(name string) api.FunctionSummary {
	f := api.FunctionSummary{
		FuncOrClassName: name, Type: "NORMAL_TASK", StateCounts: map[string]uint64{}, JobIDs: []string{},
		Finished: s.Ended[recorder.Finished], Failed: s.Ended[recorder.Failed], Crashed: s.Ended[recorder.Crashed], Cancelled: s.Ended[recorder.Cancelled],
		Run: latency(&s.Run, s.RunSum), Wait: latency(&s.Wait, s.WaitSum),
	}
	if s.kind == "ACTOR_CALL" || s.kind == "LIGHTWEIGHT_CALL" {
		f.Type = "ACTOR_TASK"
	}
	for state, n := range s.living {
		f.StateCounts[state] += n
		if state == "RUNNING" {
			f.Running += n
		} else {
			f.Waiting += n
		}
	}
	if f.Finished > 0 {
		f.StateCounts["FINISHED"] = f.Finished
	}
	if bad := f.Failed + f.Crashed + f.Cancelled; bad > 0 {
		f.StateCounts["FAILED"] = bad
	}
	for _, job := range sortedJobs(s.jobs)[:min(len(s.jobs), maxJobIDs)] {
		f.JobIDs = append(f.JobIDs, ids.JobID(job).String())
	}
	return f
}

func sortedJobs(jobs map[uint32]bool) []uint32 {
	var list []uint32
	for id := range jobs {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func latency(h *recorder.Histogram, sum time.Duration) api.Latency {
	l := api.Latency{
		Count: h.Total(), SumMs: millis(sum), P50Ms: millis(h.Quantile(0.5)), P95Ms: millis(h.Quantile(0.95)), P99Ms: millis(h.Quantile(0.99)),
		Buckets: []api.LatencyBucket{},
	}
	first, last := 0, len(h)-1
	for first < len(h) && h[first] == 0 {
		first++
	}
	for last >= 0 && h[last] == 0 {
		last--
	}
	for i := first; i <= last; i++ {
		l.Buckets = append(l.Buckets, api.LatencyBucket{LeMs: millis(recorder.Bound(i)), Count: h[i]})
	}
	return l
}

// rates tells how fast counts grow, from what they were when somebody asked before.
type rates struct {
	mu   sync.Mutex
	then map[uint32]*pastCounts // by job, 0: all
}

type pastCounts struct {
	old, recent     map[string]uint64
	oldAt, recentAt time.Time
}

const (
	rateEvery   = time.Second      // how far apart counts are kept, at least
	rateMost    = 15 * time.Second // how old they may be
	maxRateJobs = 64
)

// of is the growth a second of each count; empty if nobody has asked lately.
func (r *rates) of(job uint32, counts map[string]uint64, now time.Time) map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.then == nil {
		r.then = map[uint32]*pastCounts{}
	}
	p := r.then[job]
	if p == nil {
		for other, q := range r.then {
			if len(r.then) >= maxRateJobs || now.Sub(q.recentAt) > rateMost {
				delete(r.then, other)
			}
		}
		p = &pastCounts{}
		r.then[job] = p
	}
	if now.Sub(p.recentAt) >= rateEvery {
		p.old, p.oldAt = p.recent, p.recentAt
		p.recent, p.recentAt = counts, now
	}
	out := map[string]float64{}
	if age := now.Sub(p.oldAt); age <= rateMost {
		for name, n := range counts {
			if before := p.old[name]; n >= before {
				out[name] = float64(n-before) / age.Seconds()
			}
		}
	}
	return out
}

// summarizeActors counts actors by class.
func (h *Head) summarizeActors(w http.ResponseWriter, r *http.Request) {
	rows, err := selectRows(h.actorRows(), r.URL.Query())
	if err != nil {
		refuseSummary(w, r, err)
		return
	}
	s := api.ActorSummary{Summary: map[string]api.ClassSummary{}, TotalActors: len(rows), SummaryBy: "class"}
	for i := range rows {
		c, known := s.Summary[rows[i].ClassName]
		if !known {
			c = api.ClassSummary{ClassName: rows[i].ClassName, StateCounts: map[string]int{}}
			s.Summary[rows[i].ClassName] = c
		}
		c.StateCounts[rows[i].State]++
	}
	writeSummary(w, r, s, len(rows), nil, nil)
}

// summarizeObjects counts objects by where in the program they are made.
func (h *Head) summarizeObjects(w http.ResponseWriter, r *http.Request) {
	all, total, warnings := h.objectRows(r.Context(), h.nodeShare(), true)
	rows, err := selectRows(all, r.URL.Query())
	if err != nil {
		refuseSummary(w, r, err)
		return
	}
	const mb = 1 << 20
	s := api.ObjectSummary{Summary: map[string]api.SiteSummary{}, TotalObjects: len(rows), CallsiteEnabled: true, SummaryBy: "callsite"}
	type at struct{ site, who string }
	owners, nodes := map[at]bool{}, map[at]bool{}
	for i := range rows {
		o := &rows[i]
		name := cmp.Or(o.CallSite, "(unknown)")
		site, known := s.Summary[name]
		if !known {
			site = api.SiteSummary{TaskStateCounts: map[string]int{}, TaskAttemptCounts: map[string]int{}, RefTypeCounts: map[string]int{}}
		}
		size := float64(o.ObjectSize) / mb
		site.TotalObjects++
		site.TotalSizeMB += size
		s.TotalSizeMB += size
		site.TaskStateCounts[o.TaskStatus]++
		site.TaskAttemptCounts["1"]++
		site.RefTypeCounts[o.ReferenceType]++
		if owner := (at{name, o.Owner}); o.Owner != "" && !owners[owner] {
			owners[owner] = true
			site.TotalNumWorkers++
		}
		if node := (at{name, o.NodeID}); !nodes[node] {
			nodes[node] = true
			site.TotalNumNodes++
		}
		s.Summary[name] = site
	}
	var notes []string
	if total > len(all) {
		notes = append(notes, fmt.Sprintf("%d smaller objects weren't looked at", total-len(all)))
	}
	writeSummary(w, r, s, len(rows), warnings, notes)
}
