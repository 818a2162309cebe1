package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// LogOptions name a log, by exactly one of Job, Actor, Worker and Node, and say what of
// it is wanted.
type LogOptions struct {
	Job    string // its driver's
	Actor  string // id or name
	Worker string // n1.p3
	Node   string // n1 or head: the log of the daemon itself, or of it File
	File   string
	Lines  int // the last ones; 0: all
	Follow bool
}

// Log writes a log to w, as far as it goes or, following, until its writer ends.
func (c *Client) Log(ctx context.Context, o LogOptions, w io.Writer) error {
	q := url.Values{}
	for key, value := range map[string]string{
		"job_id": o.Job, "actor_id": o.Actor, "worker_id": o.Worker, "node_id": o.Node, "filename": o.File,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if o.Lines > 0 {
		q.Set("lines", strconv.Itoa(o.Lines))
	}
	path := "/api/v0/logs/file?"
	if o.Follow {
		path = "/api/v0/logs/stream?"
	}
	return c.do(ctx, request{method: http.MethodGet, path: path + q.Encode(), slow: true}, func(head string, resp *http.Response) error {
		n, err := io.Copy(w, resp.Body)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case n == 0:
			return &UnreachableError{Address: head, Err: err}
		}
		return fmt.Errorf("the log broke off after %d bytes: %w", n, err)
	})
}
