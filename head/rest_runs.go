package head

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// maxRunPoints is how many points of a series are answered.
const maxRunPoints = 2000

// listRuns lists the runs that processes have reported of, the newest first.
func (h *Head) listRuns(w http.ResponseWriter, r *http.Request) {
	runs, warnings := h.gatherRuns(r.Context(), "")
	rows := make([]api.RunRow, 0, len(runs))
	for _, m := range runs {
		rows = append(rows, m.row)
	}
	answer(w, r, rows, len(rows), warnings)
}

// getRun answers one run with its series.
func (h *Head) getRun(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	runs, warnings := h.gatherRuns(r.Context(), r.PathValue("id"))
	if len(runs) == 0 {
		text := fmt.Sprintf("no living node knows a run %q", r.PathValue("id"))
		for _, warning := range warnings {
			text += "; " + warning
		}
		writeText(w, http.StatusNotFound, validUTF8(text))
		return
	}
	out := api.RunDetails{
		Run: runs[0].row, Series: map[string][]api.RunPoint{}, Histograms: map[string][]api.RunBucket{}, Dropped: runs[0].dropped, Warnings: warnings,
	}
	for key, s := range runs[0].series {
		out.Series[key] = thin(s.points, maxRunPoints)
		for i, n := range s.counts {
			bound := math.Inf(1)
			if i < len(s.bounds) {
				bound = s.bounds[i]
			}
			out.Histograms[key] = append(out.Histograms[key], api.RunBucket{LE: api.Number(bound), Count: n})
		}
	}
	writeJSON(w, http.StatusOK, api.RunResponse{Data: out})
}

// mergedRun is a run as all nodes together know it.
type mergedRun struct {
	row     api.RunRow
	job     uint32
	series  map[string]*mergedSeries
	dropped uint64
}

type mergedSeries struct {
	points []api.RunPoint // by step
	bounds []float64
	counts []uint64
}

// gatherRuns asks the nodes for one run or all.
func (h *Head) gatherRuns(ctx context.Context, id string) ([]*mergedRun, []string) {
	lists, warnings := gather(ctx, h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.RunList, error) {
		return c.ListRuns(ctx, &proto.RunsRequest{Id: id})
	})
	byID := map[string]*mergedRun{}
	var dropped uint64
	for _, l := range lists {
		dropped += l.Dropped
		for _, r := range l.Runs {
			m := byID[r.Id]
			if m == nil {
				row := api.RunRow{RunID: r.Id, JobID: ids.JobID(r.Job).String(), StartTimeMs: r.BegunUnixMs}
				m = &mergedRun{job: r.Job, series: map[string]*mergedSeries{}, row: row}
				byID[r.Id] = m
			}
			m.add(r)
		}
	}
	if dropped > 0 && id == "" {
		warnings = append(warnings, fmt.Sprintf("%d older runs were forgotten, or had no place", dropped))
	}
	runs := make([]*mergedRun, 0, len(byID))
	for _, m := range byID {
		m.finish()
		runs = append(runs, m)
	}
	h.replica.read(func(s *fsm.State) {
		for _, m := range runs {
			m.endWith(s)
		}
	})
	slices.SortFunc(runs, func(a, b *mergedRun) int {
		return cmp.Or(-cmp.Compare(a.row.StartTimeMs, b.row.StartTimeMs), cmp.Compare(a.row.RunID, b.row.RunID))
	})
	return runs, warnings
}

// add takes what one node knows.
func (m *mergedRun) add(r *proto.RunInfo) {
	row := &m.row
	row.Name, row.Kind = cmp.Or(row.Name, r.Name), cmp.Or(row.Kind, r.Kind)
	row.StartTimeMs, row.EndTimeMs = min(row.StartTimeMs, r.BegunUnixMs), max(row.EndTimeMs, r.EndedUnixMs)
	row.Step, row.TotalSteps = max(row.Step, r.Step), max(row.TotalSteps, r.TotalSteps)
	m.dropped += r.Dropped
	for _, s := range r.Series {
		have := m.series[s.Key]
		if have == nil {
			have = &mergedSeries{}
			m.series[s.Key] = have
		}
		for i, step := range s.Steps {
			if i < len(s.Values) && i < len(s.TimesUnixMs) {
				have.points = append(have.points, api.RunPoint{Step: step, TimeMs: s.TimesUnixMs[i], Value: api.Number(s.Values[i])})
			}
		}
		switch {
		case len(s.Counts) == 0:
		case have.counts == nil:
			have.bounds, have.counts = s.Bounds, s.Counts
		case slices.Equal(have.bounds, s.Bounds):
			for i := range min(len(have.counts), len(s.Counts)) {
				have.counts[i] += s.Counts[i]
			}
		}
	}
}

// finish orders the points, and finds the last of each series.
func (m *mergedRun) finish() {
	m.row.Last = map[string]api.Number{}
	for key, s := range m.series {
		slices.SortStableFunc(s.points, func(a, b api.RunPoint) int {
			return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.TimeMs, b.TimeMs))
		})
		if n := len(s.points); n > 0 {
			m.row.Last[key] = s.points[n-1].Value
		}
	}
}

// endWith ends the run if its job has ended, whatever nodes have heard.
func (m *mergedRun) endWith(s *fsm.State) {
	if j := s.Job(m.job); j != nil && j.Over() && m.row.EndTimeMs == 0 {
		m.row.EndTimeMs = j.EndedMs
	}
	m.row.State = "RUNNING"
	if m.row.EndTimeMs > 0 {
		m.row.State = "ENDED"
	}
}

// thin leaves at most about n points, evenly, and the last.
func thin(points []api.RunPoint, n int) []api.RunPoint {
	if len(points) <= n {
		return points
	}
	every := (len(points) + n - 1) / n
	var out []api.RunPoint
	for i := 0; i < len(points); i += every {
		out = append(out, points[i])
	}
	if (len(points)-1)%every != 0 {
		out = append(out, points[len(points)-1])
	}
	return out
}
