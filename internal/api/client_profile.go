package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Stack returns what the goroutines of a process do, as text. The process is a worker or
// driver (n1.p3), a node (n1), "head" or a head's id, or that of an actor, task or job.
func (c *Client) Stack(ctx context.Context, process string) (string, error) {
	b, err := c.bytes(ctx, workerPath(process)+"/stack")
	return string(b), err
}

// Profile writes a profile of a process, named as for Stack, to w. Kinds are those of
// internal/profile; d is how long those take that take time.
func (c *Client) Profile(ctx context.Context, process, kind string, d time.Duration, w io.Writer) error {
	q := url.Values{"kind": {kind}}
	if d > 0 {
		q.Set("seconds", strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}
	b, err := c.bytes(ctx, workerPath(process)+"/profile?"+q.Encode())
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func workerPath(process string) string { return "/api/v0/workers/" + url.PathEscape(process) }

// bytes is an answer that may take its time, as it is.
func (c *Client) bytes(ctx context.Context, path string) (b []byte, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: path, slow: true}, func(head string, resp *http.Response) error {
		if b, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
			return &UnreachableError{Address: head, Err: err}
		}
		return nil
	})
	return b, err
}
