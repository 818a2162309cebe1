package head

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxLogs    = 64 << 20 // of an answer that isn't streamed: the end counts
	frameLimit = 30 * time.Second
	frameSize  = 64 << 10
	logRetry   = 50 * time.Millisecond
	logsLimit  = 30 * time.Second
)

// getLogs answers what a job's driver wrote so far.
func (h *Head) getLogs(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	j := h.job(r.PathValue("id"))
	if j == nil {
		writeText(w, http.StatusNotFound, noJob(r.PathValue("id")))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), logsLimit)
	defer cancel()
	var all []byte
	_, err := h.readLog(ctx, j, 0, false, func(b []byte) error {
		if all = append(all, b...); len(all) > maxLogs {
			all = append(all[:0], all[len(all)-maxLogs/2:]...)
		}
		return nil
	})
	if err != nil && status.Code(err) != codes.NotFound {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, api.LogsResponse{Logs: validUTF8(string(all))})
}

// readLog passes a driver's output to write, from an offset on, and returns how
// many bytes there were. Following ends with the driver.
func (h *Head) readLog(ctx context.Context, j *fsm.Job, offset int64, follow bool, write func([]byte) error) (int64, error) {
	if j.Driver {
		return 0, problem(proto.Error_NOT_FOUND, "job %s wasn't submitted: its output went to its own terminal", ids.JobID(j.Spec.Id))
	}
	if j.Node == 0 {
		return 0, nil
	}
	dead := problem(proto.Error_INTERNAL, "the log of job %s was on node %s, which is dead", j.Spec.SubmissionId, ids.NodeID(j.Node))
	info := h.leader.info(j.Node)
	if info == nil {
		return 0, dead
	}
	conn, err := h.nodes.get(info.Id, info.Address)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := proto.NewNodeClient(conn).ReadLog(ctx, &proto.ReadLogRequest{Job: j.Spec.Id, Follow: follow, Offset: offset})
	dropped := func(err error) bool { // by us, when the node died
		return status.Code(err) == codes.Canceled && ctx.Err() == nil
	}
	if dropped(err) {
		return 0, dead
	}
	if err != nil {
		return 0, err
	}
	var n int64
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if dropped(err) {
			return n, dead
		}
		if err != nil {
			return n, err
		}
		n += int64(len(chunk.Data))
		if err := write(chunk.Data); err != nil {
			return n, fmt.Errorf("%w: %w", errTailGone, err)
		}
	}
}

var errTailGone = errors.New("the client is gone")

// tailLogs sends a driver's output as it comes, until the job has ended.
func (h *Head) tailLogs(w http.ResponseWriter, r *http.Request) {
	j := h.job(r.PathValue("id"))
	if j == nil {
		writeText(w, http.StatusNotFound, noJob(r.PathValue("id")))
		return
	}
	if !h.tails.enter() {
		writeError(w, asStatus(ErrClosed))
		return
	}
	defer h.tails.leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		offset = 0
	}
	t := &tail{h: h, conn: conn, job: j.Spec.Id, offset: offset, raw: r.URL.Query().Get("raw") == "1"}
	// What the client sends is read, so that its going away is noticed.
	ctx := conn.CloseRead(h.ctx)
	if err := t.run(ctx); err != nil {
		if !errors.Is(err, errTailGone) && ctx.Err() == nil {
			conn.Close(websocket.StatusInternalError, reason(err))
		}
		return
	}
	conn.Close(websocket.StatusNormalClosure, "")
}

// reason is a text that fits into a close frame.
func reason(err error) string {
	text := err.Error()
	if s, ok := status.FromError(err); ok {
		text = s.Message()
	}
	return validUTF8(text[:min(len(text), 120)])
}

// tail is one client that follows a job's output.
type tail struct {
	h      *Head
	conn   *websocket.Conn
	job    uint32
	offset int64
	raw    bool
	cut    []byte // the beginning of a character whose end hasn't come yet
}

// run follows the log while there is one, and returns when the job is over.
func (t *tail) run(ctx context.Context) error {
	for {
		changed, release := t.h.replica.watch.watch(t.job)
		var j *fsm.Job
		t.h.replica.read(func(s *fsm.State) { j = s.Job(t.job) })
		if j == nil {
			release()
			return nil
		}
		over := j.Over()
		n, err := t.h.readLog(ctx, j, t.offset, true, func(b []byte) error { return t.send(ctx, b) })
		t.offset += n
		wait := changed
		var retry <-chan time.Time
		switch {
		case errors.Is(err, errTailGone) || ctx.Err() != nil:
			release()
			return errTailGone
		case over:
			release()
			if status.Code(err) == codes.NotFound {
				return nil // it never wrote anything
			}
			return err
		case err != nil || j.Node != 0: // there's no file yet, or the end isn't reported yet
			retry = time.After(logRetry)
		}
		select {
		case <-wait:
		case <-retry:
		case <-ctx.Done():
			err = errTailGone
		}
		release()
		if errors.Is(err, errTailGone) {
			return err
		}
	}
}

// send sends output in frames; text frames don't cut characters.
func (t *tail) send(ctx context.Context, b []byte) error {
	kind := websocket.MessageBinary
	if !t.raw {
		kind = websocket.MessageText
		b, t.cut = wholeCharacters(append(t.cut, b...))
		b = []byte(validUTF8(string(b)))
	}
	for len(b) > 0 {
		k := min(len(b), frameSize)
		for !t.raw && k < len(b) && !utf8.RuneStart(b[k]) {
			k--
		}
		wctx, cancel := context.WithTimeout(ctx, frameLimit)
		err := t.conn.Write(wctx, kind, b[:k])
		cancel()
		if err != nil {
			return err
		}
		b = b[k:]
	}
	return nil
}

// wholeCharacters splits off the beginning of a character at the end of b.
func wholeCharacters(b []byte) (whole, rest []byte) {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i], append([]byte(nil), b[i:]...)
			}
			break
		}
	}
	return b, nil
}
