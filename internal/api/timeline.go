package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// DroppedHeader of a trace says how much isn't in it that there was.
	DroppedHeader = "X-Gray-Dropped"
	// WarningHeader of a trace says which nodes didn't answer.
	WarningHeader = "X-Gray-Warning"
)

// TimelineResponse answers GET /api/v0/timeline.
type TimelineResponse struct {
	Result bool      `json:"result"`
	Msg    string    `json:"msg"`
	Data   *Timeline `json:"data"`
}

// Timeline is what ran when, a row a worker.
type Timeline struct {
	FromMs   int64           `json:"from_ms"`
	ToMs     int64           `json:"to_ms"`
	Rows     []TimelineRow   `json:"rows"`
	Names    []string        `json:"names"` // of functions
	Slices   []TimelineSlice `json:"slices"`
	Spans    []TimelineSpan  `json:"spans"`
	Dropped  uint64          `json:"dropped"` // attempts and spans that aren't here
	Warnings []string        `json:"warnings"`
}

// TimelineRow is a worker, or a part of one that runs several tasks at a time.
type TimelineRow struct {
	ID     string `json:"id"` // n1.p3, or n1.p3#2
	NodeID string `json:"node_id"`
	Label  string `json:"label"`
	PID    int    `json:"pid"`
}

// TimelineSlice is an attempt's run. As JSON it's an array of its fields.
type TimelineSlice struct {
	Row      int
	Name     int // in Timeline.Names
	StartUs  float64
	DurUs    float64
	TaskID   string
	Outcome  string
	WaitedUs float64
}

// MarshalJSON writes an array.
func (s TimelineSlice) MarshalJSON() ([]byte, error) {
	b := strconv.AppendInt(append(make([]byte, 0, 128), '['), int64(s.Row), 10)
	b = strconv.AppendInt(append(b, ','), int64(s.Name), 10)
	b = strconv.AppendFloat(append(b, ','), s.StartUs, 'f', -1, 64)
	b = strconv.AppendFloat(append(b, ','), s.DurUs, 'f', -1, 64)
	for _, text := range []string{s.TaskID, s.Outcome} { // of hexadecimal digits, and of capitals
		b = strconv.AppendQuote(append(b, ','), text)
	}
	return append(strconv.AppendFloat(append(b, ','), s.WaitedUs, 'f', -1, 64), ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *TimelineSlice) UnmarshalJSON(b []byte) error {
	fields := []any{&s.Row, &s.Name, &s.StartUs, &s.DurUs, &s.TaskID, &s.Outcome, &s.WaitedUs}
	n := len(fields)
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if len(fields) != n {
		return fmt.Errorf("a slice of %d fields, want %d", len(fields), n)
	}
	return nil
}

// TimelineSpan is what a node did with objects.
type TimelineSpan struct {
	NodeID   string  `json:"node_id"`
	Kind     string  `json:"kind"` // transfer, spill, restore, eviction
	StartUs  float64 `json:"start_us"`
	DurUs    float64 `json:"dur_us"`
	Bytes    int64   `json:"bytes"`
	ObjectID string  `json:"object_id"` // the first, of several
	Objects  int     `json:"objects"`
	From     string  `json:"from,omitempty"`
	To       string  `json:"to,omitempty"`
}

// Trace is what came with a trace.
type Trace struct {
	Dropped uint64
	Warning string
}

// Trace writes the timeline of a job to w, in the trace-event format: of more attempts
// than the limit the newest; 0: as many as the head likes.
func (c *Client) Trace(ctx context.Context, id string, limit int, w io.Writer) (t Trace, err error) {
	path := "/api/v0/jobs/" + url.PathEscape(id) + "/timeline"
	if limit > 0 {
		path += "?limit=" + strconv.Itoa(limit)
	}
	err = c.do(ctx, request{method: http.MethodGet, path: path, slow: true}, func(_ string, resp *http.Response) error {
		if n, err := io.Copy(w, resp.Body); err != nil {
			return fmt.Errorf("the trace broke off after %d bytes: %w", n, err)
		}
		t.Dropped, _ = strconv.ParseUint(resp.Header.Get(DroppedHeader), 10, 64)
		t.Warning = resp.Header.Get(WarningHeader)
		return nil
	})
	return t, err
}
