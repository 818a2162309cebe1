package api

import (
	"context"
	"net/url"
	"strconv"
)

// Nodes lists nodes, dead ones that aren't forgotten included.
func (c *Client) Nodes(ctx context.Context, o ListOptions) (*List[NodeRow], error) {
	return list[NodeRow](ctx, c, "nodes", o)
}

// JobRows lists jobs, the oldest first, a page at a time.
func (c *Client) JobRows(ctx context.Context, o ListOptions) (*List[JobDetails], error) {
	return list[JobDetails](ctx, c, "jobs", o)
}

// Actors lists actors.
func (c *Client) Actors(ctx context.Context, o ListOptions) (*List[ActorRow], error) {
	return list[ActorRow](ctx, c, "actors", o)
}

// Tasks lists tasks, attempt by attempt.
func (c *Client) Tasks(ctx context.Context, o ListOptions) (*List[TaskRow], error) {
	return list[TaskRow](ctx, c, "tasks", o)
}

// Objects lists the objects in stores and directories.
func (c *Client) Objects(ctx context.Context, o ListOptions) (*List[ObjectRow], error) {
	return list[ObjectRow](ctx, c, "objects", o)
}

// Workers lists the processes of jobs.
func (c *Client) Workers(ctx context.Context, o ListOptions) (*List[WorkerRow], error) {
	return list[WorkerRow](ctx, c, "workers", o)
}

// query is the options as a request has them.
func (o ListOptions) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" && value != "0" {
			q.Set(name, value)
		}
	}
	set("limit", strconv.Itoa(max(o.Limit, 0)))
	set("offset", strconv.Itoa(max(o.Offset, 0)))
	set("sort", o.Sort)
	set("q", o.Search)
	if o.Descending {
		q.Set("order", "desc")
	}
	if o.Detail {
		q.Set("detail", "True")
	}
	for _, f := range o.Filters {
		q.Add("filter_keys", f.Key)
		q.Add("filter_predicates", f.Op)
		q.Add("filter_values", f.Value)
	}
	return q
}

func list[T any](ctx context.Context, c *Client, what string, o ListOptions) (*List[T], error) {
	out, err := get[ListResponse[T]](ctx, c, "/api/v0/"+what+"?"+o.query().Encode())
	if err != nil {
		return nil, err
	}
	if out.Data.Result == nil {
		return &List[T]{}, nil
	}
	return out.Data.Result, nil
}
