package head

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// TestHints: what is wrong is listed, with the columns of any list, and counted once for all
// who look at it.
func TestHints(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.info.ObjectStoreCapacity, n.info.ObjectStoreUsed = 100, 99
	n.info.Pending = []*proto.PendingDemand{{
		Job: 7, Count: 3, Resources: &proto.Resources{Quantity: map[string]int64{"<b>\x1b": unit}}, Reason: "n1: lacks it\x1b[2J", Infeasible: true, What: "tasks",
	}}
	n.connect(&proto.NodeReport{Number: 1})
	eventually(t, "the node has reported", func() bool { return len(h.leader.info(n.id).GetPending()) > 0 })
	c := client(t, h)
	list := func(o api.ListOptions) []api.HintRow {
		t.Helper()
		out, err := c.Hints(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return out.Result
	}
	all := list(api.ListOptions{})
	if len(all) != 2 || all[0].Kind != "infeasible" || all[0].Severity != "ERROR" || all[0].JobID != "j7" || all[1].Kind != "store_full" || all[1].IDs[0] != "n1" {
		t.Fatalf("%+v", all)
	}
	if some := list(api.ListOptions{Filters: []api.Filter{{Key: "job_id", Op: "=", Value: "j7"}}}); len(some) != 1 {
		t.Errorf("%+v", some)
	}
	h.hints.mu.Lock()
	made := h.hints.made
	h.hints.took = hintsAge // a large cluster
	h.hints.mu.Unlock()
	list(api.ListOptions{})
	h.hints.mu.Lock()
	again := h.hints.made
	h.hints.mu.Unlock()
	if again != made {
		t.Error("they're made again at once")
	}
	h.hints.mu.Lock()
	h.hints.made = made.Add(-2 * hintsRest * hintsAge) // old, but not too old
	h.hints.mu.Unlock()
	if stale := list(api.ListOptions{}); len(stale) != 2 {
		t.Errorf("%+v", stale)
	}
	eventually(t, "others are made meanwhile", func() bool {
		h.hints.mu.Lock()
		defer h.hints.mu.Unlock()
		return h.hints.made.After(made)
	})
}

// TestWhyNode: a node tells what it died of, and what went with it.
func TestWhyNode(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(&proto.NodeReport{Number: 1})
	eventually(t, "the node is connected", func() bool { return h.leader.silence(n.id) == 0 })
	c := client(t, h)
	why := func(id string) *api.Why {
		t.Helper()
		w, err := c.Why(t.Context(), id)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		return w
	}
	if w := why("n1"); w.Kind != api.WhyNode || w.State != "ALIVE" || !strings.Contains(w.Summary, "is connected") {
		t.Errorf("%+v", w)
	}
	if w := why(string(h.consensus.self)); w.Kind != api.WhyHead || w.State != api.HeadLeader {
		t.Errorf("%+v", w)
	}
	if _, err := h.propose(t.Context(), &fsm.Command_NodeDied{NodeDied: &fsm.NodeDied{Node: n.id, Cause: "the power failed"}}); err != nil {
		t.Fatal(err)
	}
	if w := why("n1"); w.State != "DEAD" || w.Cause != "the power failed" || !strings.HasPrefix(w.Summary, "it died") {
		t.Errorf("%+v", w)
	}
	if w := why("n1.p3"); w.Kind != api.WhyWorker || w.State != "DEAD" || !strings.Contains(w.Cause, "the power failed") {
		t.Errorf("%+v", w)
	}
	gone := fmt.Sprintf("%s-1-2-3", h.ClusterID())
	if w := why(gone); w.Kind != api.WhyObject || w.State != "LOST" {
		t.Errorf("%+v", w)
	}
	for _, id := range []string{"n2", "n1.px", "n01", "n9.p1", "00000000-1-2-3", "\xff", strings.Repeat("x", 5000)} {
		code, text := rest(t, h, "GET", "/api/why?"+url.Values{"id": {id}}.Encode(), "", nil)
		if code != 404 || len(text) > 1000 {
			t.Errorf("%.20q: %d %.300q", id, code, text)
		}
	}
}
