package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// compile builds a program of the module as this host's user would.
func (h *host) compile(path string) (program string) {
	h.t.Helper()
	program = filepath.Join(h.dir, filepath.Base(path))
	build := exec.Command("go", "build", "-o", program, path)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestEmbedded runs jobs with no cluster at all: they bring their own, and
// leave nothing, however they end.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	root := filepath.Join(goroot(t), "src", "net")
	want, err := serialCount(root)
	if err != nil {
		t.Fatal(err)
	}
	r := h.beginEnv(nil, h.compile("./examples/wordcount"), "--root", root).wait()
	if r.code != 0 || r.out != want || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "embedded cluster") {
		t.Errorf("want\n%sgot %v", want, r)
	}
	h.clean()

	program := h.compile(holdJob)
	for sig, code := range map[syscall.Signal]int{syscall.SIGKILL: 137, syscall.SIGTERM: 1, syscall.SIGINT: 1} {
		x := h.newHeld()
		c := h.beginEnv(nil, program, "--dir", x.dir, "--actors")
		x.begun(4)
		c.cmd.Process.Signal(sig)
		if r := c.wait(); r.code != code {
			t.Errorf("%v: %v", sig, r)
		}
		if sig != syscall.SIGKILL {
			h.clean()
			continue
		}
		t.Log("its cluster has gone after", until(t, "its cluster goes", func() bool { return len(h.processes()) == 0 }))
		// The folder of a cluster of which all was killed goes with the next one.
		if r := h.beginEnv(nil, h.compile("./examples/hello")).wait(); r.code != 0 {
			t.Error(r)
		}
		h.clean()
	}
}

// TestStopJob ends jobs in the ways that there are.
func TestStopJob(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	for n, stop := range []struct {
		name string
		how  func(c *command, job string)
		code int
		is   string
	}{
		{"Ctrl-C", func(c *command, _ string) { c.cmd.Process.Signal(syscall.SIGINT) }, 130, "STOPPED"},
		{"SIGTERM", func(c *command, _ string) { c.cmd.Process.Signal(syscall.SIGTERM) }, 143, "STOPPED"},
		{"gray job stop", func(_ *command, job string) { h.must("job", "stop", job) }, 1, "STOPPED"},
		{"a signal for the driver", func(_ *command, job string) { h.signal(h.job(job).PID, syscall.SIGSEGV) }, 2, "FAILED"},
	} {
		x := h.newHeld()
		c := x.submit()
		x.begun(4)
		job := h.jobs()[n].ID
		stop.how(c, job)
		if r := c.wait(); r.code != stop.code || !strings.Contains(r.err, job) {
			t.Errorf("%s: want exit status %d of %v", stop.name, stop.code, r)
		}
		until(t, "the job is over", func() bool { return h.job(job).Status == stop.is })
	}
}

// TestDetach: a job goes on when who submitted it is killed.
func TestDetach(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	x := h.newHeld()
	c := x.submit()
	x.begun(4)
	job := h.jobs()[0].ID
	h.kill(c.cmd.Process.Pid)
	c.wait()
	logs := h.begin("job", "logs", "-f", job)
	x.release()
	if r := logs.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("%v", r)
	}
	if j := h.job(job); j.Status != "SUCCEEDED" {
		t.Errorf("job: %+v", j)
	}

	x = h.newHeld()
	id := strings.TrimSpace(h.must("submit", "--no-wait", holdJob, "--", "--dir", x.dir))
	x.begun(4)
	x.release()
	until(t, "the job is over", func() bool { return h.job(id).Status == "SUCCEEDED" })
	if out := h.must("job", "logs", id); out != heldOutput {
		t.Errorf("its log: %s", out)
	}
}
