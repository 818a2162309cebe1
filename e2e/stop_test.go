package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// TestStop ends a cluster of three nodes with a job on it.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"gently": {"stop"}, "by force": {"stop", "--force"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.startHead()
			h.startNode()
			h.startNode()
			x := h.newHeld()
			c := x.submit("--actors")
			x.begun(4)
			out := h.must(args...)
			if n := strings.Count(out, "node n"); n != 3 || !strings.Contains(out, "the head") {
				t.Errorf("it says %s", out)
			}
			for _, p := range h.processes() { // it waits for them
				if p.role != "" {
					t.Errorf("left: process %s", p)
				}
			}
			if out := h.must("stop"); !strings.Contains(out, "nothing to stop") {
				t.Errorf("again: %s", out)
			}
			c.cmd.Process.Signal(syscall.SIGTERM) // it would wait for the head for a minute
			r := c.wait()
			if r.code == 0 || strings.Contains(r.err, "grpc") {
				t.Errorf("who follows the job sees %v", r)
			}
			h.clean()
			h.startHead()
			until(t, "the job has failed", func() bool { return h.jobs()[0].Status == "FAILED" })
			if j := h.jobs()[0]; name == "gently" && !strings.Contains(j.Message, "its node was stopped") {
				t.Errorf("job: %+v", j)
			}
		})
	}
}

// TestBlock: what gray start --block has started ends with it.
func TestBlock(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	head := h.begin("start", "--head", "--port=0", "--http-port=0", "--num-cpus=2", storeFlag, "--block")
	until(t, "it says that it's ready", func() bool { return addressOf.MatchString(head.out.String()) })
	h.address = addressOf.FindStringSubmatch(head.out.String())[1]
	node := h.begin("start", "--address", h.address, "--num-cpus=2", storeFlag, "--block")
	until(t, "the node joins", func() bool { return len(h.nodes()) == 2 })
	h.must("submit", "examples/hello/job.go")

	node.cmd.Process.Signal(syscall.SIGTERM)
	if r := node.wait(); r.code != 0 {
		t.Errorf("the node's: %v", r)
	}
	if n := h.node("n2"); n.State != "DEAD" || !strings.Contains(n.DeathCause, "it left") {
		t.Errorf("node: %+v", n)
	}
	head.cmd.Process.Signal(syscall.SIGTERM)
	if r := head.wait(); r.code != 0 {
		t.Errorf("the head's: %v", r)
	}
	h.clean()

	head = h.begin("start", "--head", "--port=0", "--http-port=0", "--num-cpus=2", storeFlag, "--block")
	until(t, "it says that it's ready", func() bool { return addressOf.MatchString(head.out.String()) })
	h.kill(head.cmd.Process.Pid)
	head.wait()
	until(t, "its daemons end with it", func() bool { return len(h.processes()) == 0 })
	h.must("stop") // removes what the dead have left
	h.clean()

	head = h.begin("start", "--head", "--port=0", "--http-port=0", "--num-cpus=2", storeFlag, "--block")
	until(t, "it says that it's ready", func() bool { return addressOf.MatchString(head.out.String()) })
	h.kill(h.head().PID)
	if r := head.wait(); r.code != 1 || !strings.Contains(r.err, "the head has ended: ended with signal: killed") {
		t.Errorf("its head killed: %v", r)
	}
}
