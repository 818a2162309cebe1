package node

import (
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// TestLostConstructor: one under which its process ends is recorded by the node, if the
// process hasn't done that.
func TestLostConstructor(t *testing.T) {
	for name, itself := range map[string]bool{"lost": false, "recorded by its process": true} {
		t.Run(name, func(t *testing.T) {
			n := lonely(t)
			p := recordsOf(t, n, 1, 64)
			owner := ids.ProcessID{Node: 1, Number: 99}
			n.mu.Lock()
			p.state = hosting
			p.actor = &actor{id: ids.ActorID{Cluster: n.cluster, Owner: owner, Number: 7}, incarnation: 3, process: p, spec: &proto.ActorSpec{}}
			n.mu.Unlock()
			*n.progress.word(p.slot, 0), *n.progress.word(p.slot, 8) = 5, 3
			*n.progress.word(p.slot, 16) = uint64(p.id.Node)<<32 | uint64(p.id.Number)
			*n.progress.word(p.slot, 24) = uint64(time.Now().Add(-time.Second).UnixNano()) << 1
			if running := n.runningAttempts(1, time.Now()); len(running) != 1 || running[0].record.Number != 5 {
				t.Errorf("it runs: %+v", running)
			}
			if itself {
				p.records.Add(&recorder.Record{Number: 5, Function: 3, Attempt: 2, Kind: recorder.ActorCall})
			}
			n.ended(p)
			var got []recorder.Record
			n.eachRecord(1, func(of ids.ProcessID, name string, r *recorder.Record) {
				if of != p.id || name != "main.Three.Call" {
					t.Errorf("%s of %s", name, of)
				}
				got = append(got, *r)
			})
			if len(got) != 1 || got[0].Number != 5 || got[0].Attempt != 2 {
				t.Fatalf("%+v", got)
			}
			e := n.archive.failure(failureKey{p.id, 5, 2})
			if r := got[0]; itself != (r.Outcome == recorder.Finished) || itself != (e == nil) {
				t.Errorf("%+v, %v", r, e)
			} else if !itself && (r.Outcome != recorder.Crashed || r.Error != proto.Error_WORKER_CRASHED || r.Run() < time.Second ||
				r.Actor != 7 || r.ActorOwner != owner || r.Worker != p.id) {
				t.Errorf("%+v", r)
			}
		})
	}
}
