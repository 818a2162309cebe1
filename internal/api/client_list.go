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

// Actors lists actors.
func (c *Client) Actors(ctx context.Context, o ListOptions) (*List[ActorRow], error) {
	return list[ActorRow](ctx, c, "actors", o)
}

// Tasks lists the tasks that their owners know.
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

func list[T any](ctx context.Context, c *Client, what string, o ListOptions) (*List[T], error) {
	q := url.Values{}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Detail {
		q.Set("detail", "True")
	}
	for _, f := range o.Filters {
		q.Add("filter_keys", f.Key)
		q.Add("filter_predicates", f.Op)
		q.Add("filter_values", f.Value)
	}
	out, err := get[ListResponse[T]](ctx, c, "/api/v0/"+what+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	if out.Data.Result == nil {
		return &List[T]{}, nil
	}
	return out.Data.Result, nil
}
