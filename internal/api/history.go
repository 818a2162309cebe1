package api

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// HistoryResponse answers GET /api/v0/history.
type HistoryResponse struct {
	Data History `json:"data"`
}

// History is what the cluster did in the last minutes. The series are as long as each
// other, the oldest moment first: time_ms, cpus_used, cpus_total, memory_used, memory_total,
// store_used, store_total (bytes), tasks_running, tasks_waiting, tasks_finished_per_s,
// transfer_bytes_per_s.
type History struct {
	EveryMs int64                `json:"every_ms"`
	Series  map[string][]float64 `json:"series"`
}

// History is what the cluster did in the last minutes, as the leader saw it.
func (c *Client) History(ctx context.Context) (*History, error) {
	out, err := get[HistoryResponse](ctx, c, "/api/v0/history")
	if err != nil {
		return nil, err
	}
	return &out.Data, nil
}

// Metrics are those of all heads and nodes in Prometheus' text format.
func (c *Client) Metrics(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var text strings.Builder
	err := c.do(ctx, request{method: http.MethodGet, path: "/metrics/cluster"}, func(head string, resp *http.Response) error {
		text.Reset()
		if _, err := io.Copy(&text, io.LimitReader(resp.Body, maxAnswer)); err != nil {
			return &UnreachableError{Address: head, Err: err}
		}
		return nil
	})
	return text.String(), err
}
