package timeline

import (
	"fmt"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
)

// Rows returns the timeline as the dashboard has it. Arrange comes first.
func (t *Timeline) Rows() *api.Timeline {
	out := &api.Timeline{
		FromMs: t.base / 1e6, ToMs: max(t.end, t.base) / 1e6, Dropped: t.dropped,
		Rows: []api.TimelineRow{}, Names: []string{}, Slices: []api.TimelineSlice{}, Spans: []api.TimelineSpan{}, Warnings: []string{},
	}
	base := out.FromMs * 1e6
	micros := func(ns int64) float64 { return float64(ns) / 1000 }
	rows := map[*row]int{}
	for _, r := range t.rows {
		if r.id.IsZero() || r.until == 0 {
			continue // no worker's
		}
		x := api.TimelineRow{ID: r.id.String(), NodeID: r.node.String(), Label: r.label, PID: int(t.processes[r.id].pid)}
		if r.lane > 0 {
			x.ID = fmt.Sprintf("%s#%d", x.ID, r.lane+1)
		}
		rows[r] = len(out.Rows)
		out.Rows = append(out.Rows, x)
	}
	names := map[string]int{}
	for _, a := range t.attempts {
		if !a.ran() {
			continue
		}
		r := a.row
		if r == nil { // too much runs there at once: they lie over each other
			r = t.processes[a.Worker].lanes[maxLanes-1]
		}
		name, known := names[a.name]
		if !known {
			name = len(out.Names)
			names[a.name] = name
			out.Names = append(out.Names, a.name)
		}
		out.Slices = append(out.Slices, api.TimelineSlice{
			Row: rows[r], Name: name, StartUs: micros(a.begin() - base), DurUs: micros(a.end() - a.begin()),
			TaskID: t.taskID(a), Outcome: a.state(), WaitedUs: micros(int64(max(a.Wait(), 0))),
		})
	}
	for _, s := range t.spans {
		x := api.TimelineSpan{
			NodeID: s.node.String(), Kind: spanKinds[s.Kind], StartUs: micros(s.BeginUnixNs - base), DurUs: micros(int64(s.DurationNs)),
			Bytes: s.Bytes, ObjectID: s.object.String(), Objects: int(s.Objects),
		}
		if s.From != 0 {
			x.From, x.To = ids.NodeID(s.From).String(), x.NodeID
		}
		out.Spans = append(out.Spans, x)
	}
	return out
}
