package head

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

func FuzzSubmission(f *testing.F) {
	f.Add([]byte(`{"entrypoint":"x","runtime_env":{"env_vars":{"a":"b"}},"entrypoint_num_cpus":1}`))
	f.Fuzz(func(_ *testing.T, b []byte) { jobSpec(b) })
}

// FuzzREST sends requests of those who have the token: none is the head's fault.
func FuzzREST(f *testing.F) {
	h := startHead(f, f.TempDir())
	for pattern := range h.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		f.Add(method, strings.ReplaceAll(path, "{$}", ""), `{"entrypoint":"x"}`)
	}
	f.Add("GET", "/api/v0/actors?filter_keys=state&filter_predicates=%3D&filter_values=ALIVE&limit=3", "")
	handler := h.handler()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
		if err != nil || r.Host != "localhost" {
			return
		}
		r.Header.Set("Authorization", "Bearer "+h.Token().String())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		// A recorder has no deadlines, so uploads fail, and no WebSocket.
		if w.Code >= 500 && !strings.Contains(path, "packages") && !strings.Contains(path, "tail") {
			t.Errorf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
	})
}

// FuzzReport has a node report anything while others wait for a place.
func FuzzReport(f *testing.F) {
	h := startHead(f, f.TempDir())
	n := newNode(f, h, 1)
	job := driverJob(f, n)
	strategies := []*proto.Strategy{nil, {Kind: proto.Strategy_SPREAD}, {Kind: 9, Labels: []*proto.LabelSelector{{Key: "k", Op: 9}}}}
	for i, s := range strategies {
		create(f, n, &proto.ActorSpec{Id: actorID(uint64(i)), Job: job, Resources: cpus(1 << 20), Strategy: s})
	}
	seed, err := protobuf.Marshal(&proto.NodeReport{
		Info: n.info, Jobs: []uint32{job, 2}, Actors: []*proto.ActorRef{{Id: actorID(1), Incarnation: 1}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r proto.NodeReport
		if protobuf.Unmarshal(b, &r) != nil {
			return
		}
		s := newSession(n.id)
		if err := h.leader.attach(s, &r); err != nil {
			t.Fatal(err)
		}
		h.leader.report(s, &r)
		h.leader.placeActors()
		h.leader.sendView(time.Now())
		h.leader.mu.Lock()
		h.leader.missing = nil
		h.leader.mu.Unlock()
	})
}
