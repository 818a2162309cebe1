package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	// RequestHeader makes repeated submissions harmless: one number, one effect.
	RequestHeader = "X-Gray-Request"

	dialTimeout  = 5 * time.Second
	callTimeout  = 30 * time.Second
	maxErrorText = 64 << 10
	maxAnswer    = 256 << 20
	attempts     = 4
	retryPause   = 100 * time.Millisecond
)

// Client calls one head. It may be used from any goroutine.
type Client struct {
	base  string // scheme and host
	host  string
	token pki.Token
	http  *http.Client
}

// NewClient makes a client for the head at address: "HOST:PORT" is the control
// port, whose certificate must be that of the token's cluster;
// "http://HOST:PORT" is the plain HTTP port. It doesn't connect yet.
func NewClient(address string, token pki.Token) (*Client, error) {
	base := "https://"
	host := strings.TrimRight(address, "/")
	if rest, ok := strings.CutPrefix(host, "http://"); ok {
		base, host = "http://", rest
	} else if rest, ok := strings.CutPrefix(host, "https://"); ok {
		host = rest
	}
	if name, port, err := net.SplitHostPort(host); err != nil || name == "" || port == "" {
		return nil, fmt.Errorf("%w: %q, want HOST:PORT or http://HOST:PORT", ErrAddress, address)
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: pki.TokenTLS(token, "http/1.1"),
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: 5 * time.Minute,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
	}
	return &Client{base: base + host, host: host, token: token, http: &http.Client{Transport: transport}}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version asks who answers.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return get[Version](ctx, c, "/api/version")
}

// Submit submits a job. If the answer gets lost it asks again, without
// submitting twice.
func (c *Client) Submit(ctx context.Context, r JobSubmitRequest) (*JobSubmitResponse, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the submission: %w", err)
	}
	var id [16]byte
	rand.Read(id[:])
	header := http.Header{RequestHeader: {hex.EncodeToString(id[:])}, "Content-Type": {"application/json"}}
	for n := 1; ; n++ {
		var out JobSubmitResponse
		err := c.call(ctx, http.MethodPost, "/api/jobs/", header, bytes.NewReader(body), &out)
		if err == nil {
			return &out, nil
		}
		if !isOutage(err) || n == attempts || !pause(ctx, retryPause<<n) {
			return nil, err
		}
	}
}

// Job describes a job, named by its submission id or its job id.
func (c *Client) Job(ctx context.Context, id string) (*JobDetails, error) {
	return get[JobDetails](ctx, c, "/api/jobs/"+url.PathEscape(id))
}

// Jobs lists all jobs, oldest first.
func (c *Client) Jobs(ctx context.Context) ([]JobDetails, error) {
	out, err := get[[]JobDetails](ctx, c, "/api/jobs/")
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// Logs returns what a job's driver wrote so far.
func (c *Client) Logs(ctx context.Context, id string) (string, error) {
	out, err := get[LogsResponse](ctx, c, "/api/jobs/"+url.PathEscape(id)+"/logs")
	if err != nil {
		return "", err
	}
	return out.Logs, nil
}

// Stop asks a job to end; false says that it was over. The job's status tells
// when it has ended.
func (c *Client) Stop(ctx context.Context, id string) (bool, error) {
	var out StopResponse
	err := c.call(ctx, http.MethodPost, "/api/jobs/"+url.PathEscape(id)+"/stop", nil, nil, &out)
	return out.Stopped, err
}

// Delete forgets a job that is over.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api/jobs/"+url.PathEscape(id), nil, nil, &DeleteResponse{})
}

// Status describes the cluster.
func (c *Client) Status(ctx context.Context) (*ClusterStatus, error) {
	return get[ClusterStatus](ctx, c, "/api/cluster_status")
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	out := new(T)
	if err := c.call(ctx, http.MethodGet, path, nil, nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

// call makes one request with a short answer and decodes that into out, unless nil.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body io.Reader, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.do(ctx, method, path, header, body, -1, out)
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body io.Reader, size int64, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if size >= 0 {
		req.ContentLength = size
	}
	req.Header.Set("Authorization", "Bearer "+c.token.String())
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		if ctx.Err() == nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) {
			return &UnreachableError{Address: c.host, Err: err}
		}
		return fmt.Errorf("%s %s: answer: %w", method, path, err)
	}
	return nil
}

// failed says why there was no answer.
func (c *Client) failed(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, pki.ErrWrongCluster) {
		return err
	}
	return &UnreachableError{Address: c.host, Err: err}
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

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
