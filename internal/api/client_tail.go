package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/gray-runtime/gray/internal/pause"
)

const (
	// patience is how long a client that was connected tries to get back to a
	// head that went away: a restart takes seconds, a new machine more.
	patience = time.Minute
	// settling is how long a head that has come back may not know its nodes.
	settling = 10 * time.Second

	pingEvery = 5 * time.Second
	pollPause = 500 * time.Millisecond
)

// TailLogs copies what a job's driver writes to w, from the beginning, until the
// job has ended. A connection that breaks meanwhile is made again, to any head, and
// goes on at the byte where it broke. lost, unless nil, is told of an outage that the
// first new attempt didn't end.
func (c *Client) TailLogs(ctx context.Context, id string, w io.Writer, lost func(error)) error {
	var written int64
	out := outage{lost: lost}
	for {
		n, err := c.tail(ctx, id, written, w, out.over)
		written += n
		if err == nil || !out.goOn(err) {
			return err
		}
		if !pause.For(ctx, retryPause) {
			return ctx.Err()
		}
	}
}

// Await returns what became of a job, once it has ended.
func (c *Client) Await(ctx context.Context, id string, lost func(error)) (*JobDetails, error) {
	out := outage{lost: lost}
	for wait := retryPause / 4; ; wait = min(2*wait, pollPause) {
		j, err := c.Job(ctx, id)
		switch {
		case err == nil && Ended(j.Status):
			return j, nil
		case err == nil:
			out.over()
		case !out.goOn(err):
			return nil, err
		}
		if !pause.For(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// outage is the time in which a head doesn't answer as it should.
type outage struct {
	lost     func(error)
	began    time.Time // zero: there is none
	settles  time.Time // since when the head is back without its nodes; zero: it isn't
	happened bool      // there was one
	told     bool
}

func (o *outage) over() { o.began, o.settles, o.told = time.Time{}, time.Time{}, false }

// goOn reports whether it's worth trying again after err.
func (o *outage) goOn(err error) bool {
	now := time.Now()
	if errors.Is(err, errTail) {
		if o.settles.IsZero() {
			o.settles = now
		}
		return o.happened && now.Sub(o.settles) <= settling
	}
	if !isOutage(err) {
		return false
	}
	o.settles = time.Time{}
	if o.began.IsZero() {
		o.began, o.happened = now, true
	} else if !o.told && o.lost != nil {
		o.told = true
		o.lost(err)
	}
	return now.Sub(o.began) <= patience
}

// isOutage tells the errors of a head that is gone, comes or goes from others.
func isOutage(err error) bool {
	var gone *UnreachableError
	var status *StatusError
	return errors.As(err, &gone) || errors.As(err, &status) && status.Status == http.StatusServiceUnavailable
}

// errTail marks what a head says that can't give a log.
var errTail = errors.New("no log")

type tailError string

func (e tailError) Error() string        { return string(e) }
func (e tailError) Is(target error) bool { return target == errTail }

// tail copies from an offset on until the job ends or the connection breaks. It
// calls alive when something has arrived.
func (c *Client) tail(ctx context.Context, id string, offset int64, w io.Writer, alive func()) (written int64, err error) {
	head := c.Heads()[0]
	defer func() {
		if isOutage(err) {
			c.avoid(head)
		}
	}()
	conn, err := c.dialTail(ctx, head, "/api/jobs/"+url.PathEscape(id)+"/logs/tail?raw=1&offset="+strconv.FormatInt(offset, 10))
	if err != nil {
		return 0, err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	out := &output{w: w}
	pinging, stop := context.WithCancel(ctx)
	defer stop()
	go keepAlive(pinging, conn, out)
	for {
		_, r, err := conn.Reader(ctx)
		if err == nil {
			_, err = io.Copy(out, r)
		}
		if err == nil {
			alive()
			continue
		}
		written = out.n
		if out.err != nil {
			return written, out.err
		}
		var closed websocket.CloseError
		switch {
		case ctx.Err() != nil:
			return written, ctx.Err()
		case errors.As(err, &closed) && closed.Code == websocket.StatusNormalClosure:
			return written, nil
		case errors.As(err, &closed) && closed.Code == websocket.StatusInternalError:
			return written, fmt.Errorf("logs of job %s: %w", id, tailError(closed.Reason))
		}
		return written, &UnreachableError{Address: head, Err: err}
	}
}

func (c *Client) dialTail(ctx context.Context, head, path string) (*websocket.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, c.answer) // of the handshake only
	defer cancel()
	conn, resp, err := websocket.Dial(limited, c.scheme+head+path, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: http.Header{"Authorization": {"Bearer " + c.token.String()}},
	})
	if resp != nil {
		c.learn(head, resp.Header)
	}
	switch {
	case err == nil:
		return conn, nil
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		defer resp.Body.Close()
		return nil, statusError(resp)
	}
	return nil, failed(ctx, head, err)
}

// keepAlive breaks a connection whose other end has vanished without a word.
func keepAlive(ctx context.Context, conn *websocket.Conn, out *output) {
	for pause.For(ctx, pingEvery) {
		limited, cancel := context.WithTimeout(ctx, pingEvery)
		err := conn.Ping(limited)
		cancel()
		// While our own writer blocks nobody reads the answer.
		if err != nil && ctx.Err() == nil && !out.busy.Load() {
			conn.CloseNow()
			return
		}
	}
}

// output tells errors of writing from those of reading.
type output struct {
	w    io.Writer
	n    int64
	err  error
	busy atomic.Bool
}

func (o *output) Write(b []byte) (int, error) {
	o.busy.Store(true)
	defer o.busy.Store(false)
	n, err := o.w.Write(b)
	o.n += int64(n)
	o.err = err
	return n, err
}
