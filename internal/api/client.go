package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/pki"
)

const (
	// RequestHeader makes repeated submissions harmless: one number, one effect.
	RequestHeader = "X-Gray-Request"
	// HeadsHeader of an answer names the control addresses of all heads, the
	// leader's first: HOST:PORT,HOST:PORT.
	HeadsHeader = "X-Gray-Heads"
	// StaleHeader of an answer says how many milliseconds old it may be; -1: unknown.
	StaleHeader = "X-Gray-Stale-Ms"
	// SumTrailer is the SHA-256 of a backup, which comes before it, in hex.
	SumTrailer = "X-Gray-Sha256"

	dialTimeout = 5 * time.Second
	// answerTimeout is how long a head may be silent before another is asked.
	answerTimeout = 10 * time.Second
	callTimeout   = 30 * time.Second
	maxErrorText  = 64 << 10
	maxAnswer     = 256 << 20
	maxHeads      = 16
	attempts      = 16 // of a call that may be repeated: about 25 s of pauses
	retryPause    = 100 * time.Millisecond
	retryMost     = 2 * time.Second
)

// Client calls the heads of a cluster: one that answers as long as it does, then
// another that it knows. It may be used from any goroutine.
type Client struct {
	scheme string
	token  pki.Token
	http   *http.Client
	answer time.Duration                        // how long a head may be silent before another is asked
	stale  func(head string, age time.Duration) // nil: only the leader's answers will do

	mu    sync.Mutex
	heads []string // at least one; the first is asked first
}

// NewClient makes a client for the cluster with a head at address: "HOST:PORT" is
// the control port, whose certificate must be that of the token's cluster;
// "http://HOST:PORT" is the plain HTTP port, and no other head is asked then.
// It doesn't connect yet.
func NewClient(address string, token pki.Token) (*Client, error) {
	scheme := "https://"
	host := strings.TrimRight(address, "/")
	if rest, ok := strings.CutPrefix(host, "http://"); ok {
		scheme, host = plainScheme, rest
	} else if rest, ok := strings.CutPrefix(host, "https://"); ok {
		host = rest
	}
	if !isAddress(host) {
		return nil, fmt.Errorf("%w: %q, want HOST:PORT or http://HOST:PORT", ErrAddress, address)
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: pki.TokenTLS(token, "http/1.1"),
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: 5 * time.Minute,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
	}
	return &Client{scheme: scheme, token: token, http: &http.Client{Transport: transport}, answer: answerTimeout, heads: []string{host}}, nil
}

const plainScheme = "http://"

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
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
	out := new(JobSubmitResponse)
	err = again(ctx, func() error {
		return c.call(ctx, request{method: http.MethodPost, path: "/api/jobs/", header: header, body: content(body), size: int64(len(body))}, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// again makes a call that may be repeated some times, while no head answers that
// leads or knows who does.
func again(ctx context.Context, call func() error) error {
	wait := retryPause
	for n := 1; ; n++ {
		err := call()
		wait = min(2*wait, retryMost)
		if err == nil || !isOutage(err) || n == attempts || !pause.For(ctx, wait) {
			return err
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

// TaskLogs returns what a task has written so far.
func (c *Client) TaskLogs(ctx context.Context, id string) (string, error) {
	out, err := get[LogsResponse](ctx, c, "/api/v0/tasks/"+url.PathEscape(id)+"/logs")
	if err != nil {
		return "", err
	}
	return out.Logs, nil
}

// Stop asks a job to end; false says that it was over. The job's status tells
// when it has ended.
func (c *Client) Stop(ctx context.Context, id string) (bool, error) {
	var out StopResponse
	err := c.call(ctx, request{method: http.MethodPost, path: "/api/jobs/" + url.PathEscape(id) + "/stop"}, &out)
	return out.Stopped, err
}

// Delete forgets a job that is over.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/api/jobs/" + url.PathEscape(id)}, &DeleteResponse{})
}

// Status describes the cluster.
func (c *Client) Status(ctx context.Context) (*ClusterStatus, error) {
	return get[ClusterStatus](ctx, c, "/api/cluster_status")
}
