package head

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/logtail"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// maxLines bounds how many last lines can be asked for.
const maxLines = 100_000

// getLogFile answers a log: of a job's driver (?job_id=), an actor (actor_id), a worker or
// driver (worker_id), a task (task_id), a node or head (node_id), or a file on a node
// (node_id and filename); the last ?lines= of it, or all.
func (h *Head) getLogFile(w http.ResponseWriter, r *http.Request) { h.sendLog(w, r, false) }

// followLogFile is getLogFile that goes on until the log's writer ends.
func (h *Head) followLogFile(w http.ResponseWriter, r *http.Request) { h.sendLog(w, r, true) }

// wantedLog is where a log is.
type wantedLog struct {
	head    string // the control address of the head whose own it is; empty: it's on a node
	node    uint32
	request *proto.ReadLogRequest
}

func (h *Head) sendLog(w http.ResponseWriter, r *http.Request, follow bool) {
	q := r.URL.Query()
	lines := 0
	if text := q.Get("lines"); text != "" && text != "-1" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLines {
			writeText(w, http.StatusBadRequest, fmt.Sprintf("lines is %q: want a number up to %d", text, maxLines))
			return
		}
		lines = n
	}
	log, err := h.findLog(q)
	if err != nil {
		writeError(w, err)
		return
	}
	log.request.Tail, log.request.Follow = uint32(lines), follow
	if !h.tails.enter() {
		writeError(w, asStatus(ErrClosed))
		return
	}
	defer h.tails.leave()
	out := &logWriter{w: w, c: http.NewResponseController(w)}
	out.c.SetReadDeadline(time.Time{}) // the server watches the connection
	if log.head == h.Address() {
		err = h.copyOwnLog(r.Context(), out, lines, follow)
	} else {
		err = h.copyLog(r.Context(), out, log)
	}
	switch {
	case err == nil:
		out.end()
	case r.Context().Err() != nil: // nobody reads any more
	case !out.begun:
		writeError(w, unanswered(log.where(), err))
	default:
		panic(http.ErrAbortHandler) // so that it's seen that the rest is missing
	}
}

// findLog finds which log a query means.
func (h *Head) findLog(q url.Values) (wantedLog, error) {
	request := &proto.ReadLogRequest{}
	log := wantedLog{request: request}
	switch {
	case q.Get("task_id") != "":
		return log, problem(proto.Error_INVALID, "what a task has written is at /api/v0/tasks/ID/logs")
	case q.Get("actor_id") != "":
		return log, h.findActorLog(q.Get("actor_id"), &log)
	case q.Get("job_id") != "":
		j := h.job(q.Get("job_id"))
		switch {
		case j == nil:
			return log, problem(proto.Error_NOT_FOUND, "%s", validUTF8(noJob(q.Get("job_id"))))
		case j.Driver:
			return log, problem(proto.Error_NOT_FOUND, "job %s wasn't submitted: its output went to its own terminal", ids.JobID(j.Spec.Id))
		case j.Node == 0:
			return log, problem(proto.Error_NOT_FOUND, "job %s hasn't begun", ids.JobID(j.Spec.Id))
		}
		log.node, request.Job = j.Node, j.Spec.Id
		return log, nil
	}
	name := cmp.Or(q.Get("worker_id"), q.Get("node_id"))
	if log.head = h.headNamed(name); log.head != "" {
		return log, nil
	}
	node, process, ok := parseProcess(name)
	if !ok || process == 0 && q.Get("worker_id") != "" {
		return log, problem(proto.Error_INVALID,
			"which log? give job_id, actor_id, worker_id (n1.p3) or node_id (n1, head, or a head's id); %q is none", validUTF8(name))
	}
	log.node, request.Process, request.File = node, process, q.Get("filename")
	request.Daemon = process == 0 && request.File == ""
	return log, nil
}

// findActorLog finds an actor's log: of its process, or the last that it had.
func (h *Head) findActorLog(id string, log *wantedLog) error {
	a := h.findActor(id)
	if a == nil {
		return problem(proto.Error_NOT_FOUND, "no actor %q is known; a lightweight one writes into its host's log", validUTF8(id))
	}
	if len(a.Spec.Host) > 0 {
		var host *fsm.Actor
		h.replica.read(func(s *fsm.State) { host = s.Actor(string(a.Spec.Host)) })
		if host != nil {
			a = host
		}
	}
	log.node, log.request.Job = cmp.Or(a.Node, a.Cause.GetNode()), a.Spec.Job
	log.request.Pid = cmp.Or(a.PID, a.Cause.GetPid())
	if log.node == 0 || log.request.Pid == 0 {
		return problem(proto.Error_NOT_FOUND, "actor %s has had no process yet: see `gray why %s`", actorName(a.Spec.Id), actorName(a.Spec.Id))
	}
	return nil
}

func (h *Head) copyLog(ctx context.Context, out *logWriter, log wantedLog) error {
	stream, err := h.openLog(ctx, log)
	if err != nil {
		return err
	}
	return rpc.ReceiveChunks(stream, out)
}

func (h *Head) openLog(ctx context.Context, log wantedLog) (grpc.ServerStreamingClient[proto.Chunk], error) {
	if log.head != "" {
		c, err := h.headClient(log.head)
		if err != nil {
			return nil, err
		}
		return c.HeadLog(ctx, log.request)
	}
	c, err := h.livingNode(log.node)
	if err != nil {
		return nil, err
	}
	return c.ReadLog(ctx, log.request)
}

// where is for people.
func (l wantedLog) where() string {
	if l.head != "" {
		return "the head at " + l.head
	}
	return "node " + ids.NodeID(l.node).String()
}

// HeadLog sends this head's own log.
func (s *headsService) HeadLog(r *proto.ReadLogRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.h.ctx, cancel)()
	if err := s.h.copyOwnLog(ctx, rpc.ChunkWriter{Stream: stream}, int(min(r.Tail, maxLines)), r.Follow); err != nil {
		return asStatus(err)
	}
	return nil
}

func (h *Head) copyOwnLog(ctx context.Context, out io.Writer, lines int, follow bool) error {
	path := h.cfg.LogFile
	if path == "" {
		return status.Error(codes.NotFound, "this head keeps no log")
	}
	var offset int64
	if lines > 0 {
		var err error
		if offset, err = logtail.Offset(path, lines); err != nil {
			return err
		}
	}
	return logtail.Copy(ctx, out, path, offset, follow)
}

// logWriter sends text as it comes.
type logWriter struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	begun bool
	cut   []byte // the beginning of a character whose end hasn't come
}

func (l *logWriter) Write(p []byte) (int, error) {
	l.begin()
	var whole []byte
	whole, l.cut = wholeCharacters(append(l.cut, p...))
	if err := l.send(whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *logWriter) begin() {
	if l.begun {
		return
	}
	l.begun = true
	l.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	l.w.Header().Set("X-Content-Type-Options", "nosniff")
}

func (l *logWriter) send(b []byte) error {
	l.c.SetWriteDeadline(time.Now().Add(frameLimit))
	if _, err := io.WriteString(l.w, validUTF8(string(b))); err != nil {
		return fmt.Errorf("%w: %w", errTailGone, err)
	}
	if err := l.c.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errTailGone, err)
	}
	return nil
}

// end sends what was held back.
func (l *logWriter) end() {
	l.begin()
	_ = l.send(l.cut) // the client may have gone
}
