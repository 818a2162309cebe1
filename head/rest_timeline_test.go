package head

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/traceevent"
	"github.com/gray-runtime/gray/proto"
)

// Timeline has the node know one task that has run, and say what was asked in its name.
func (s *fakeService) Timeline(r *proto.TimelineRequest, stream grpc.ServerStreamingServer[proto.TimelinePart]) error {
	begin := max(r.FromUnixNs, 1)
	return stream.Send(&proto.TimelinePart{
		Names: []string{"main.f"}, Dropped: uint64(r.Limit),
		Processes: []*proto.TimelineProcess{{Process: 1, Kind: "driver", Job: r.Job}, {Process: 2, Kind: "worker", Pid: 77, Job: r.Job}},
		Attempts: []*proto.Attempt{{
			OwnerNode: s.n.id, OwnerProcess: 1, Number: 1, WorkerNode: s.n.id, WorkerProcess: 2, SubmittedUnixNs: begin,
			Ready: 1, Pushed: 1, Began: 1001, Ended: 4001, Done: 5001,
		}},
	})
}

func TestRESTTimeline(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	submit(t, h, "one", n)
	for query, code := range map[string]int{
		"?job_id=none": 404, "?from_ms=x": 400, "?to_ms=-1": 400, "?from_ms=99999999999999999": 400, "": 200, "?job_id=one": 200, "?from_ms=5&to_ms=6": 200,
	} {
		if got, body := rest(t, h, "GET", "/api/v0/timeline"+query, "", nil); got != code || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d, want %d: %s", query, got, code, body)
		}
	}
	_, body := rest(t, h, "GET", "/api/v0/timeline?job_id=j1&limit=9", "", nil)
	var got api.TimelineResponse
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Data; len(d.Slices) != 1 || d.Slices[0].DurUs != 3 || d.Slices[0].WaitedUs != 1 || d.Rows[0].PID != 77 || d.Names[0] != "main.f" || d.Dropped != 9 {
		t.Errorf("%s", body)
	}

	if code, _ := rest(t, h, "GET", "/api/v0/jobs/none/timeline", "", nil); code != 404 {
		t.Errorf("the trace of no job: %d", code)
	}
	_, plain := rest(t, h, "GET", "/api/v0/jobs/one/timeline?limit=9", "", nil)
	trace, err := traceevent.Read(strings.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	if runs := trace.Of("X", "run"); len(runs) != 1 || *runs[0].Dur != 3 || len(trace.Of("f", "")) != 1 || trace.Other["dropped"] != "9" {
		t.Errorf("%s", plain)
	}
	_, zipped := rest(t, h, "GET", "/api/v0/jobs/one/timeline?limit=9", "", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	z, err := gzip.NewReader(strings.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plain {
		t.Errorf("zipped it is something else: %v", err)
	}
}

// TestTimelineWithoutANode: one that doesn't answer is named.
func TestTimelineWithoutANode(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	submit(t, h, "one", n)
	n.server.Stop()
	_, body := rest(t, h, "GET", "/api/v0/timeline?job_id=one", "", nil)
	var got api.TimelineResponse
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Data.Warnings) != 1 || len(got.Data.Slices) != 0 {
		t.Errorf("%v: %s", err, body)
	}
}
