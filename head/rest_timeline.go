package head

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gray-runtime/gray/head/timeline"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// Attempts, and spans, of a timeline.
	defaultSlices = 10_000
	defaultTrace  = 100_000
	maxSlices     = 500_000
	// maxDrawers is how many timelines are made at once: each takes memory.
	maxDrawers = 2
	// timelineLimit bounds what nodes take to send theirs.
	timelineLimit = 20 * time.Second
)

// getTimeline answers what ran when, for the dashboard.
func (h *Head) getTimeline(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	q := r.URL.Query()
	request := &proto.TimelineRequest{Limit: uint32(sliceLimit(q, defaultSlices))}
	refuse := func(code int, text string) { writeJSON(w, code, api.TimelineResponse{Msg: text}) }
	begin := int64(0)
	if id := q.Get("job_id"); id != "" {
		j := h.job(id)
		if j == nil {
			refuse(http.StatusNotFound, noJob(id))
			return
		}
		request.Job, begin = j.Spec.Id, j.SubmittedMs*1e6
	}
	for name, at := range map[string]*int64{"from_ms": &request.FromUnixNs, "to_ms": &request.ToUnixNs} {
		if text := q.Get(name); text != "" {
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil || ms < 0 || ms > 1e15/1e3 {
				refuse(http.StatusBadRequest, fmt.Sprintf("%s is %q: want ms since 1970", name, text))
				return
			}
			*at = ms * 1e6
		}
	}
	if request.FromUnixNs != 0 {
		begin = 0 // what there is begins later
	}
	t, warnings, err := h.drawTimeline(r.Context(), request, begin)
	if err != nil {
		writeError(w, err)
		return
	}
	rows := t.Rows()
	rows.Warnings = append(rows.Warnings, warnings...)
	writeJSON(w, http.StatusOK, api.TimelineResponse{Result: true, Data: rows})
}

// getTrace sends a job's timeline as trace events.
func (h *Head) getTrace(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{})
	c.SetWriteDeadline(time.Now().Add(uploadPause))
	j := h.job(r.PathValue("id"))
	if j == nil {
		writeText(w, http.StatusNotFound, noJob(r.PathValue("id")))
		return
	}
	request := &proto.TimelineRequest{Job: j.Spec.Id, Limit: uint32(sliceLimit(r.URL.Query(), defaultTrace)), FromUnixNs: j.SubmittedMs * 1e6}
	if j.Over() {
		request.ToUnixNs = (j.EndedMs + 1) * 1e6
	}
	t, warnings, err := h.drawTimeline(r.Context(), request, j.SubmittedMs*1e6)
	if err != nil {
		writeError(w, err)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set(api.DroppedHeader, strconv.FormatUint(t.Dropped(), 10))
	if len(warnings) > 0 {
		header.Set(api.WarningHeader, strings.Map(printable, strings.Join(warnings, "; ")))
	}
	if err := sendTrace(t, w, c, strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")); err != nil {
		h.log.Debug("a trace broke off", "job", ids.JobID(j.Spec.Id), "error", err)
		panic(http.ErrAbortHandler) // so that the other side can tell
	}
}

func sendTrace(t *timeline.Timeline, w http.ResponseWriter, c *http.ResponseController, zipped bool) error {
	out := &drained{w: w, c: c}
	if !zipped {
		return t.WriteTrace(out)
	}
	w.Header().Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // a level that there is
	return errors.Join(t.WriteTrace(z), z.Close())
}

// printable keeps a header's value one.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

func sliceLimit(q url.Values, usual int) int {
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n <= 0 {
		return usual
	}
	return min(n, maxSlices)
}

// drawTimeline asks all nodes for what they keep. begin is moment 0, in Unix ns; 0: that
// of the first that there is.
func (h *Head) drawTimeline(ctx context.Context, r *proto.TimelineRequest, begin int64) (*timeline.Timeline, []string, error) {
	select {
	case h.drawers <- struct{}{}:
		defer func() { <-h.drawers }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	t := timeline.New(h.ClusterID(), ids.JobID(r.Job), int(r.Limit))
	_, warnings := gatherWithin(ctx, h, timelineLimit, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (struct{}, error) {
		return struct{}{}, readTimeline(ctx, c, r, t.From(ids.NodeID(i.Id)))
	})
	t.Arrange(begin)
	return t, warnings, nil
}

func readTimeline(ctx context.Context, c proto.NodeClient, r *proto.TimelineRequest, take func(*proto.TimelinePart)) error {
	stream, err := c.Timeline(ctx, r)
	if err != nil {
		return err
	}
	return rpc.Receive(stream, func(part *proto.TimelinePart) error {
		take(part)
		return nil
	})
}
