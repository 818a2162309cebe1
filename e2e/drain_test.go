package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDrain: nodes leave and join under load; no task is lost, though none may be retried,
// and no actor spends its restart.
func TestDrain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead("--resources", `{"seat": 2}`)
	h.startNode("--resources", `{"seat": 2}`)
	c := h.begin("submit", "e2e/testdata/steady/job.go", "--", "--dir", h.dir)
	until(t, "tasks run", func() bool { return c.over() || exists(filepath.Join(h.dir, "begun")) })
	for _, victim := range []string{"n2", "n3"} {
		if victim == "n3" {
			h.startNode("--resources", `{"seat": 2}`)
			until(t, "the new node works", func() bool { return c.over() || h.node("n3").Workers > 0 })
		}
		began := time.Now()
		out := h.must("drain", victim, "--reason", "a new kernel", "--deadline", "30s")
		t.Log(victim, "has left after", time.Since(began).Round(time.Millisecond))
		if !holds(out, []string{victim + " drains: ", victim + " has left"}) {
			t.Errorf("gray drain says %q", out)
		}
		if c.over() {
			t.Fatal(c.wait())
		}
	}
	status := h.must("status")
	if !holds(status, []string{"DEAD", "it left: drained: a new kernel"}) {
		t.Error(status)
	}
	for _, a := range h.actors() {
		if a.State != "ALIVE" || a.Node != "n1" || a.Restarts != 0 {
			t.Errorf("actor %+v", a)
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.wait(); r.code != 0 || !strings.Contains(r.out, "all is well") {
		t.Error(r)
	}
	h.fails(1, []string{"drain n9: the cluster has no such node"}, "drain", "n9")
	h.fails(1, []string{"node n2 has gone"}, "drain", "n2")
	h.fails(2, []string{"which node?"}, "drain")
}

// TestDrainDeadline: what isn't over by the deadline runs again elsewhere, and that's none
// of its retries.
func TestDrainDeadline(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	x := h.newHeld()
	c := x.submit()
	x.begun(4)
	d := h.begin("drain", "n2", "--deadline", "2s")
	until(t, "it drains", func() bool { return strings.Contains(h.must("status"), "DRAINING") })
	if r := d.wait(); r.code != 0 || !strings.Contains(r.out, "n2 has left") {
		t.Error(r)
	}
	until(t, "its tasks run elsewhere", func() bool { return x.count() > 4 })
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Error(r)
	}
}
