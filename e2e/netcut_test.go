package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNetworkCut has a head and nodes in two namespaces, and cuts the cable.
func TestNetworkCut(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 2)
	here, there := net.newHost(1), net.newHost(2)
	here.startHead("--num-cpus=1", "--node-ip-address", address(1))
	x := here.newHeld()
	c := x.submit()
	x.begun(2) // as many as one CPU takes: the driver is here
	there.env = append(there.env, "GRAY_TOKEN="+here.token())
	there.address = here.address
	there.startNode()
	x.begun(4)
	if n := there.workers(); len(n) < 2 { // one more may have been started for a lease that came too late to be of use
		t.Fatalf("workers beyond the cable: %v", n)
	}
	if n := here.node("n2"); !strings.HasPrefix(n.Address, address(2)) {
		t.Errorf("node: %+v", n)
	}

	// A short loss isn't noticed.
	net.cut(2)
	net.mend(2)
	if out := here.must("submit", "examples/pipeline/job.go"); out != "8 frames agree\n" {
		t.Errorf("after a short loss: %s", out)
	}
	if n := here.node("n2"); n.State != "ALIVE" {
		t.Errorf("after a short loss: %+v", n)
	}

	net.cut(2)
	took := until(t, "the node is dead", func() bool { return here.node("n2").State == "DEAD" })
	t.Logf("declared dead after %v: %s", took, here.node("n2").DeathCause)
	here.startNode()
	t.Log("its tasks have begun elsewhere after", until(t, "retries", func() bool { return x.count() == 6 }))
	if n := there.workers(); len(n) == 0 {
		t.Log("the node that was cut off has ended its workers by itself")
	}

	net.mend(2)
	took = until(t, "the dead node ends itself", func() bool { return len(there.processes()) == 0 })
	logs, _ := filepath.Glob(filepath.Join(there.dir, ".gray", "data", "node-*", "logs", "node.log"))
	text, _ := os.ReadFile(logs[0])
	if !strings.Contains(string(text), "has declared this node dead") {
		t.Errorf("it doesn't say so: %s", text)
	}
	t.Log("the dead node has ended itself after", took)
	there.startNode()
	living := slices.DeleteFunc(here.nodes(), func(n nodeRow) bool { return n.State != "ALIVE" })
	if len(living) != 3 {
		t.Errorf("nodes: %+v", living)
	}
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("the job: %v", r)
	}
	if out := there.must("submit", "examples/counter/job.go", "--address", here.address); !strings.Contains(out, "after restart: 100") {
		t.Errorf("from beyond the cable: %s", out)
	}
}
