package head

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// TestOldAnswersMeanNothing: another head's word that this one leads, given long ago,
// would confirm a leader that was replaced since.
func TestOldAnswersMeanNothing(t *testing.T) {
	there, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, streamTimeout, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	here, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, streamTimeout, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	x := &transport{NetworkTransport: here, closed: make(chan struct{}), wanted: func(raft.ServerID, raft.ServerAddress) bool { return false }}
	for _, delay := range []time.Duration{0, answerLimit + answerLimit/4} {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			r := <-there.Consumer()
			<-time.After(delay)
			r.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		}()
		err := x.AppendEntries("b", there.LocalAddr(), &raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{})
		<-answered
		if old := delay > 0; old != errors.Is(err, errOldAnswer) || !old && err != nil {
			t.Errorf("after %v: %v", delay, err)
		}
	}
	if _, err := x.AppendEntriesPipeline("b", there.LocalAddr()); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("a pipeline: %v", err)
	}
}

// TestDyingNodeGetsNoLease: from the moment that its death is decided.
func TestDyingNodeGetsNoLease(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(&proto.NodeReport{Number: 1})
	l := h.leader
	set := func(dying bool, report uint64) int {
		l.mu.Lock()
		m := l.members[n.id]
		m.dying, m.session.reported = dying, report
		l.mu.Unlock()
		return len(l.unanswered())
	}
	if answered := set(true, 100); answered != 0 {
		t.Error("a dying node's lease is renewed")
	}
	l.spare(n.id)
	if answered := set(false, 101); answered != 1 {
		t.Error("a node that was spared gets no lease")
	}
}

func TestRequestNameIsTooLong(t *testing.T) {
	h := startHead(t, t.TempDir())
	for _, name := range []string{strings.Repeat("x", maxRequestName), strings.Repeat("x", maxRequestName+1)} {
		code, text := rest(t, h, "POST", "/api/jobs/", `{"entrypoint":"true"}`, func(r *http.Request) { r.Header.Set(api.RequestHeader, name) })
		if want := map[bool]int{false: http.StatusOK, true: http.StatusBadRequest}[len(name) > maxRequestName]; code != want {
			t.Errorf("%d bytes: %d %s", len(name), code, text)
		}
	}
}

// TestUnknownCommandIsTheLast: a head that lacks one keeps nothing of what follows.
func TestUnknownCommandIsTheLast(t *testing.T) {
	var broken error
	r := newReplica(1, func() {}, func(err error) { broken = err })
	encode := func(version uint32, body fsm.Body) []byte {
		b, err := fsm.Encode(&fsm.Command{Version: version, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	init := &fsm.Command_Init{Init: &fsm.Init{Cluster: 7, Authority: []byte("ca"), Token: "token", Version: 1}}
	if err, bad := r.Apply(&raft.Log{Index: 1, Data: encode(1, init)}).(error); bad {
		t.Fatal(err)
	}
	r.Apply(&raft.Log{Index: 2, Data: encode(2, &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: "new"}})})
	if broken == nil || !strings.Contains(broken.Error(), "log entry 2") {
		t.Errorf("a newer command: %v", broken)
	}
	if err, bad := r.Apply(&raft.Log{Index: 3, Data: encode(1, &fsm.Command_PutKey{PutKey: &fsm.PutKey{Key: "k"}})}).(error); !bad {
		t.Errorf("what follows: %v", err)
	}
	if _, err := r.Snapshot(); err == nil {
		t.Error("a snapshot lacks a command")
	}
}
