package trainlib

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// traceEvent is one of Chrome's trace format.
type traceEvent struct {
	Name  string            `json:"name"`
	Phase string            `json:"ph"`
	Time  float64           `json:"ts"` // microseconds
	Took  float64           `json:"dur,omitempty"`
	PID   int               `json:"pid"`
	TID   int               `json:"tid"`
	Args  map[string]string `json:"args,omitempty"`
}

// writeProfiles writes trace.json, for chrome://tracing or Perfetto, and each worker's CPU profile, for go tool pprof.
func writeProfiles(dir, name string, profiles []profile) error {
	for rank, p := range profiles {
		if len(p.CPU) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("worker-%d.pprof", rank)), p.CPU, 0o644); err != nil {
			return fmt.Errorf("write profiles of training: %w", err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "trace.json"))
	if err != nil {
		return fmt.Errorf("write the trace of training: %w", err)
	}
	w := bufio.NewWriter(f)
	err = json.NewEncoder(w).Encode(map[string]any{"traceEvents": traceEvents(name, profiles), "displayTimeUnit": "ms"})
	if err == nil {
		err = w.Flush()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write the trace of training: %w", err)
	}
	return nil
}

// traceEvents has a process for each worker, with a row for each phase, from the first span on.
func traceEvents(name string, profiles []profile) []traceEvent {
	var events []traceEvent
	begin := int64(-1)
	for _, p := range profiles {
		for _, s := range p.Spans {
			if begin < 0 || s.Begin < begin {
				begin = s.Begin
			}
		}
	}
	for rank, p := range profiles {
		who := map[string]string{"name": fmt.Sprintf("%s worker %d", name, rank)}
		events = append(events, traceEvent{Name: "process_name", Phase: "M", PID: rank, Args: who})
		for phase, row := range phaseNames {
			events = append(events, traceEvent{Name: "thread_name", Phase: "M", PID: rank, TID: phase, Args: map[string]string{"name": row}})
		}
		for _, s := range p.Spans {
			if s.Phase < 0 || s.Phase >= int(phases) {
				continue
			}
			events = append(events, traceEvent{
				Name: phaseNames[s.Phase], Phase: "X", Time: float64(s.Begin-begin) / 1e3, Took: float64(s.End-s.Begin) / 1e3, PID: rank, TID: s.Phase,
			})
		}
	}
	return events
}
