package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

// request is one call, of as many heads as it takes.
type request struct {
	method, path string
	header       http.Header
	body         func() io.Reader // made anew for each head; nil: none
	size         int64
	slow         bool // the answer may take its time
	once         bool // it can't be made of a second head
}

// content is the body of a request that can be made again.
func content(body []byte) func() io.Reader { return func() io.Reader { return bytes.NewReader(body) } }

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	out := new(T)
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// call makes a request with a short answer and decodes that into out, unless nil.
func (c *Client) call(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if out == nil {
		return c.do(ctx, r, discard)
	}
	return c.do(ctx, r, func(head string, resp *http.Response) error {
		err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
			return &UnreachableError{Address: head, Err: err}
		}
		return fmt.Errorf("%s %s: answer: %w", r.method, r.path, err)
	})
}

// reader takes in an answer of a head. Its error is the call's.
type reader func(head string, resp *http.Response) error

func discard(_ string, resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return err
}

// do makes a request of the heads it knows, one after another, until one answers
// that isn't in want of a leader. If none does, it's the first one's error. What
// changes something has one name for all of them.
func (c *Client) do(ctx context.Context, r request, read reader) error {
	if r.method != http.MethodGet && r.header.Get(RequestHeader) == "" {
		r.header = maps.Clone(r.header)
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set(RequestHeader, rand.Text())
	}
	var first error
	var asked []string
	heads := c.Heads()
	for i, head := range heads {
		patient := r.slow || r.once || i == len(heads)-1
		err := c.ask(ctx, head, r, read, patient)
		foreign := first != nil && errors.Is(err, pki.ErrWrongCluster) // it was a head of this cluster once
		if !isOutage(err) && !foreign {
			return err
		}
		c.avoid(head)
		asked = append(asked, head)
		if first == nil {
			first = err
		}
		if r.once || ctx.Err() != nil {
			break
		}
	}
	var gone *UnreachableError
	if errors.As(first, &gone) {
		return &UnreachableError{Address: strings.Join(asked, ", "), Err: gone.Err}
	}
	return first
}

// ask makes a request of one head. Unless patient, it gives up a head that is silent
// for long.
func (c *Client) ask(ctx context.Context, head string, r request, read reader, patient bool) error {
	attempt, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := c.request(attempt, head, r)
	if err != nil {
		return err
	}
	silence := time.AfterFunc(c.answer, func() { cancel(os.ErrDeadlineExceeded) })
	if patient {
		silence.Stop()
	}
	resp, err := c.http.Do(req)
	silence.Stop()
	if err != nil {
		if cause := context.Cause(attempt); ctx.Err() == nil && cause != nil {
			err = cause
		}
		return failed(ctx, head, err)
	}
	defer resp.Body.Close()
	c.learn(head, resp.Header)
	if resp.StatusCode != http.StatusOK {
		return statusError(resp)
	}
	return read(head, resp)
}

func (c *Client) request(ctx context.Context, head string, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		body = io.NopCloser(r.body())
	}
	target := c.scheme + head + r.path
	if c.stale != nil && r.method == http.MethodGet {
		sign := "?"
		if strings.Contains(r.path, "?") {
			sign = "&"
		}
		target += sign + "stale=true"
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if body != nil {
		req.ContentLength = r.size
	}
	req.Header.Set("Authorization", "Bearer "+c.token.String())
	return req, nil
}

// failed says why a head gave no answer.
func failed(ctx context.Context, head string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, pki.ErrWrongCluster) {
		return err
	}
	return &UnreachableError{Address: head, Err: err}
}

func statusError(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err != nil {
		text = nil
	}
	message := strings.TrimSpace(string(text))
	var listed ListResponse[json.RawMessage]
	if strings.HasPrefix(message, "{") && json.Unmarshal(text, &listed) == nil && listed.Msg != "" {
		message = listed.Msg
	}
	return &StatusError{Status: resp.StatusCode, Message: message}
}
