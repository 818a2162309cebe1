package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
)

// RunRow describes a run (gray.NewRun).
type RunRow struct {
	RunID       string            `json:"run_id"`
	Name        string            `json:"name"`
	Kind        string            `json:"kind"` // training, agents
	JobID       string            `json:"job_id"`
	State       string            `json:"state"` // RUNNING, ENDED
	StartTimeMs int64             `json:"start_time_ms"`
	EndTimeMs   int64             `json:"end_time_ms"`
	Step        int64             `json:"step"`
	TotalSteps  int64             `json:"total_steps"` // 0: unknown
	Last        map[string]Number `json:"last"`        // of each key
}

// RunResponse answers GET /api/v0/runs/{id}.
type RunResponse struct {
	Data RunDetails `json:"data"`
}

// RunDetails is a run with its series by key.
type RunDetails struct {
	Run        RunRow                 `json:"run"`
	Series     map[string][]RunPoint  `json:"series"`
	Histograms map[string][]RunBucket `json:"histograms"`
	Dropped    uint64                 `json:"dropped"` // values that had no place
	Warnings   []string               `json:"warnings,omitempty"`
}

// RunPoint is a value at a step; in JSON [step, time_ms, value].
type RunPoint struct {
	Step, TimeMs int64
	Value        Number
}

// MarshalJSON makes an array of it.
func (p RunPoint) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.Step, p.TimeMs, p.Value})
}

// UnmarshalJSON reads an array of three numbers.
func (p *RunPoint) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) != 3 {
		return fmt.Errorf("a point of a run has %d numbers, want 3", len(parts))
	}
	return errors.Join(json.Unmarshal(parts[0], &p.Step), json.Unmarshal(parts[1], &p.TimeMs), json.Unmarshal(parts[2], &p.Value))
}

// RunBucket counts the values up to a bound, by itself; the last has none, which is null.
type RunBucket struct {
	LE    Number `json:"le"`
	Count uint64 `json:"count"`
}

// Number is a float64 that is null in JSON if it's infinite or no number: losses are.
type Number float64

// MarshalJSON writes it.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads it; null is NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Runs lists the runs that nodes keep, the newest first.
func (c *Client) Runs(ctx context.Context, o ListOptions) (*List[RunRow], error) {
	return list[RunRow](ctx, c, "runs", o)
}

// Run is one of them with its series.
func (c *Client) Run(ctx context.Context, id string) (*RunDetails, error) {
	out, err := get[RunResponse](ctx, c, "/api/v0/runs/"+url.PathEscape(id))
	if err != nil {
		return nil, err
	}
	return &out.Data, nil
}
