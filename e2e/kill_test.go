package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestHeadKilled: a head that is started again on its data dir has the cluster
// and its jobs, and a running job never notices.
func TestHeadKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	h.must("submit", "examples/hello/job.go", "--name", "finished")
	x := h.newHeld()
	c := x.submit("--actors")
	x.begun(4)
	was := h.head()
	h.kill(was.PID)
	until(t, "the head is gone", func() bool { return !alive(was.PID) })
	h.fails(1, []string{"can't reach a head at " + h.address}, "status", "--address", h.address)

	if out := h.restartHead(was); !strings.Contains(out, "goes on as it was") {
		t.Errorf("the head's own node isn't mentioned: %s", out)
	}
	took := until(t, "the nodes are back", func() bool {
		s := h.status()
		for _, n := range s.Nodes {
			if n.State != "ALIVE" || n.Available["CPU"] > n.Total["CPU"] {
				t.Fatalf("node %+v", n)
			}
		}
		return len(s.Nodes) == 2 && s.Nodes[0].Available != nil && s.Nodes[1].Available != nil
	})
	t.Log("nodes have reported again after", took)
	jobs := h.jobs()
	if len(jobs) != 2 || jobs[0].ID != "finished" || jobs[0].Status != "SUCCEEDED" || jobs[1].Status != "RUNNING" {
		t.Errorf("jobs: %+v", jobs)
	}
	if n := h.running(); len(n) != 4 {
		t.Errorf("tasks: %+v", n)
	}
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("the job that ran meanwhile: %v", r)
	}
	if n := x.count(); n != 4 {
		t.Errorf("%d tasks were begun, not 4: some ran twice", n)
	}
	h.must("submit", "examples/hello/job.go")
}

// TestSubmittedDriverKilled: what a job has goes with its driver.
func TestSubmittedDriverKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	x := h.newHeld()
	c := x.submit("--actors")
	x.begun(4)
	if o := h.objects(); len(o) == 0 || len(o[0].Holders) == 0 || !strings.Contains(o[0].Holders[0], "(owner)") {
		t.Errorf("the owner isn't named: %+v", o)
	}
	job := h.jobs()[0]
	h.kill(job.PID)
	t.Log("all is gone after", h.awaitOnlyDetached())
	if r := c.wait(); r.code != 137 || !strings.Contains(r.err, "killed") {
		t.Errorf("want 137: %v", r)
	}
	if job = h.job(job.ID); job.Status != "FAILED" || job.Code == nil || *job.Code != -9 || !strings.Contains(job.Message, "signal: killed") {
		t.Errorf("job: %+v", job)
	}
	h.must("submit", "examples/hello/job.go")
}

// awaitOnlyDetached waits until nothing but the detached actor of testdata/hold
// is left, in what gray shows and among the processes.
func (h *host) awaitOnlyDetached() (took any) {
	h.t.Helper()
	return until(h.t, "only the detached actor is left", func() bool {
		for _, a := range h.actors() {
			if (a.State == "DEAD") == (a.Name == "detached") {
				return false
			}
		}
		s := h.status()
		return len(s.Jobs) == 0 && len(s.Waiting) == 0 && s.Total["CPU"] == s.Available["CPU"] &&
			len(h.tasks()) == 0 && len(h.objects()) == 0 && len(h.workers()) == 1
	})
}

// TestOwnDriverKilled: the same for a driver that was started by hand.
func TestOwnDriverKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	program := h.compile(holdJob)
	x := h.newHeld()
	c := h.beginEnv([]string{"GRAY_ADDRESS=" + h.address}, program, "--dir", x.dir, "--actors")
	x.begun(4)
	jobs := h.jobs()
	if len(jobs) != 1 || jobs[0].Status != "RUNNING" {
		t.Fatalf("jobs: %+v", jobs)
	}
	h.kill(c.cmd.Process.Pid)
	t.Log("all is gone after", h.awaitOnlyDetached())
	if jobs = h.jobs(); jobs[0].Status != "FAILED" {
		t.Errorf("job: %+v", jobs[0])
	}

	x = h.newHeld()
	c = h.beginEnv([]string{"GRAY_ADDRESS=auto"}, program, "--dir", x.dir)
	x.begun(4)
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("by address auto: %v", r)
	}
}

// TestNodeKilled: a dead node is noticed, its tasks run elsewhere, and the same
// host can have a new one.
func TestNodeKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	x := h.newHeld()
	c := x.submit()
	x.begun(4)
	driver := h.jobs()[0].Node
	victim := slices.DeleteFunc(h.nodes(), func(n nodeRow) bool { return n.ID == driver })[0]
	h.kill(victim.PID)
	took := until(t, "gray nodes shows it", func() bool { return h.node(victim.ID).State == "DEAD" })
	t.Logf("node %s was dead to gray nodes after %v: %s", victim.ID, took, h.node(victim.ID).DeathCause)
	x.begun(5) // again, on the other node
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("%v", r)
	}
	h.startNode()
	living := slices.DeleteFunc(h.nodes(), func(n nodeRow) bool { return n.State != "ALIVE" })
	if len(living) != 2 {
		t.Errorf("nodes: %+v", living)
	}

	x = h.newHeld()
	c = x.submit()
	x.begun(4)
	job := h.jobs()[1]
	h.kill(h.node(job.Node).PID)
	if r := c.wait(); r.code != 1 || !strings.Contains(r.err, "the node of its driver died") {
		t.Errorf("the driver's node killed: %v", r)
	}
	until(t, "its tasks elsewhere are gone", func() bool { return len(h.workers()) == 0 })
}
