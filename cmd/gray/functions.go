package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/gray-runtime/gray/internal/api"
)

// function is what became of the calls of one function.
type function struct {
	Name      string   `json:"func_or_class_name"`
	Jobs      []string `json:"job_ids"`
	Type      string   `json:"type"`
	Finished  uint64   `json:"finished"`
	Failed    uint64   `json:"failed"`
	Cancelled uint64   `json:"cancelled"`
	Crashed   uint64   `json:"crashed"`
	Running   uint64   `json:"running"`
	Waiting   uint64   `json:"waiting"`
	Rate      float64  `json:"rate_per_s"`
	Run       latency  `json:"run"`
	Wait      latency  `json:"wait"`
}

type latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
}

// done are the calls that are over. Attempts that crashed aren't calls.
func (f function) done() uint64 { return f.Finished + f.Failed + f.Cancelled }

func (f function) total() uint64 { return f.done() + f.Running + f.Waiting }

// errNoFunctions says that the head is of a version that doesn't count calls by function.
var errNoFunctions = errors.New("this head doesn't count calls by function")

// summaryAnswer is what GET /api/v0/tasks/summarize answers, as Ray shapes it.
type summaryAnswer struct {
	Data struct {
		Result struct {
			Result struct {
				Nodes map[string]struct {
					Summary map[string]function `json:"summary"`
				} `json:"node_id_to_summary"`
			} `json:"result"`
		} `json:"result"`
	} `json:"data"`
}

// Functions counts calls by function, of one job (j3) or of all, by name.
func (r *remote) Functions(ctx context.Context, job string) ([]function, error) {
	q := url.Values{}
	if job != "" {
		q.Set("filter_keys", "job_id")
		q.Set("filter_predicates", "=")
		q.Set("filter_values", job)
	}
	var a summaryAnswer
	if err := r.Get(ctx, "/api/v0/tasks/summarize?"+q.Encode(), &a); err != nil {
		if errors.Is(err, api.ErrNotFound) {
			return nil, errNoFunctions
		}
		return nil, r.explain(err)
	}
	var all []function
	for _, n := range a.Data.Result.Result.Nodes {
		for key, f := range n.Summary {
			f.Name = cmp.Or(f.Name, key)
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b function) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
