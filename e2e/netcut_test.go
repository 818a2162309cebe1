package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wire is a cable between two network namespaces.
type wire struct {
	t    *testing.T
	a, b string // names of the namespaces
}

const ipA, ipB = "10.213.77.1", "10.213.77.2"

func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
	name := fmt.Sprintf("ge%d", os.Getpid())
	w := &wire{t, name + "a", name + "b"}
	if out, err := exec.Command("ip", "netns", "add", w.a).CombinedOutput(); err != nil {
		t.Skipf("network namespaces can't be made here: %s", out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", w.a).Run() })
	w.ip("netns add " + w.b)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", w.b).Run() })
	w.ip("link add va netns " + w.a + " type veth peer name vb netns " + w.b)
	for ns, end := range map[string][2]string{w.a: {"va", ipA}, w.b: {"vb", ipB}} {
		w.ip("-n " + ns + " addr add " + end[1] + "/24 dev " + end[0])
		w.ip("-n " + ns + " link set lo up")
		w.ip("-n " + ns + " link set " + end[0] + " up")
	}
	return w
}

func (w *wire) ip(args string) {
	w.t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

func (w *wire) cut()  { w.t.Helper(); w.ip("-n " + w.b + " link set vb down") }
func (w *wire) mend() { w.t.Helper(); w.ip("-n " + w.b + " link set vb up") }

// TestNetworkCut has a head and nodes in two namespaces, and cuts the cable.
func TestNetworkCut(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	here, there := newHost(t), newHost(t)
	here.prefix = []string{"ip", "netns", "exec", w.a}
	there.prefix = []string{"ip", "netns", "exec", w.b}
	here.startHead("--num-cpus=1", "--node-ip-address", ipA)
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
	if n := here.node("n2"); !strings.HasPrefix(n.Address, ipB) {
		t.Errorf("node: %+v", n)
	}

	// A short loss isn't noticed.
	w.cut()
	w.mend()
	if out := here.must("submit", "examples/pipeline/job.go"); out != "8 frames agree\n" {
		t.Errorf("after a short loss: %s", out)
	}
	if n := here.node("n2"); n.State != "ALIVE" {
		t.Errorf("after a short loss: %+v", n)
	}

	w.cut()
	took := until(t, "the node is dead", func() bool { return here.node("n2").State == "DEAD" })
	t.Logf("declared dead after %v: %s", took, here.node("n2").DeathCause)
	here.startNode()
	t.Log("its tasks have begun elsewhere after", until(t, "retries", func() bool { return x.count() == 6 }))
	if n := there.workers(); len(n) == 0 {
		t.Log("the node that was cut off has ended its workers by itself")
	}

	w.mend()
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
