package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// topRow is what gray top --json tells, as far as it's looked at here.
type topRow struct {
	Nodes   []nodeRow `json:"nodes"`
	Workers []struct {
		ID      string `json:"worker_id"`
		PID     int    `json:"pid"`
		Type    string `json:"worker_type"`
		Actor   string `json:"actor_id"`
		Running string `json:"running"`
	} `json:"workers"`
}

// TestLookingInside: what processes do, from outside: stacks, profiles and logs of every
// kind of process, though one is in a loop and another is stopped.
func TestLookingInside(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	c := h.begin("submit", "e2e/testdata/terminal", "--name", "looked-at", "--", "--dir", h.dir)
	until(t, "the driver has spoken", func() bool { return c.over() || strings.Contains(c.out.String(), "the driver speaks") })
	until(t, "the steps are done", func() bool { return c.over() || strings.Contains(c.out.String(), "all steps are done") })
	var busy, driver string
	var actor int
	until(t, "the one in the loop is found", func() bool {
		running := h.running()
		for _, w := range decode[topRow](t, h.must("top", "--json")).Workers {
			switch {
			case w.Type == "DRIVER":
				driver = w.ID
			case w.Actor != "":
				actor = w.PID
			case len(running) == 1 && w.PID == running[0].PID:
				busy = w.ID
			}
		}
		return busy != "" && driver != "" && actor != 0
	})
	for name, words := range map[string][]string{
		busy:        {"goroutine ", "main.init", "testdata/terminal/main.go"},
		driver:      {"main.main"},
		"looked-at": {"main.main"},
		"counter":   {"goroutine "},
		"n1":        {"gray/node."},
		"head":      {"gray/head."},
	} {
		if out := h.must("stack", name); !holds(out, words) {
			t.Errorf("stack %s: want %q in\n%.2000s", name, words, out)
		}
	}
	h.fails(1, []string{"n1.p999", "isn't there"}, "stack", "n1.p999")
	h.fails(1, []string{"no process", "nonsense"}, "stack", "nonsense")
	h.fails(2, []string{"--cpu and --heap"}, "profile", busy, "--cpu=1s", "--heap")
	h.fails(2, []string{"5m"}, "profile", busy, "--cpu=1h")

	file := filepath.Join(h.dir, "cpu.pprof")
	h.must("profile", busy, "--cpu=500ms", "-o", file)
	if out, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "main.init.func") {
		t.Errorf("the profile of the loop: %v\n%s", err, out)
	}
	for _, kind := range []string{"--heap", "--goroutine", "--block=100ms", "--mutex=100ms", "--allocs"} {
		file := filepath.Join(h.dir, "profile"+strings.Trim(kind, "-"))
		h.must("profile", "head", kind, "-o", file)
		if out, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
	}
	h.must("profile", "counter", "--trace=100ms", "-o", filepath.Join(h.dir, "trace"))

	if err := syscall.Kill(actor, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.fails(1, []string{"doesn't answer", "stopped"}, "stack", "counter")
	if err := syscall.Kill(actor, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}

	follows := h.begin("logs", "looked-at", "-f")
	h.logsOf(t, busy)
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := follows.wait(); r.code != 0 || !strings.Contains(r.out, "all steps are done") {
		t.Errorf("who followed the job's log saw: %v", r)
	}
	r := c.wait()
	if r.code != 0 || !strings.Contains(r.out, "the same from everybody [repeated ") {
		t.Errorf("what all workers wrote isn't folded: %v", r)
	}
	if strings.Count(r.out, "the same from everybody\n") >= 40 {
		t.Errorf("it's shown each time, too: %v", r)
	}
	for _, name := range []string{"--actor=counter", "--job=looked-at", "--worker=" + busy} {
		h.must("logs", name) // of what has ended
	}
}

// logsOf asks for logs of every kind.
func (h *host) logsOf(t *testing.T, worker string) {
	t.Helper()
	for _, c := range []struct {
		args  []string
		words []string
		lines int // at most; 0: any
	}{
		{[]string{"looked-at"}, []string{"the driver speaks", "all steps are done"}, 0},
		{[]string{"--job", "looked-at", "--tail=1"}, nil, 1},
		{[]string{"--actor", "counter"}, []string{"the counter is made\x1b]0;title\x07\n", "counted 3\n"}, 0},
		{[]string{"--actor", "counter", "--tail=1"}, []string{"counted 3\n"}, 1},
		{[]string{"--worker", worker}, nil, 0},
		{[]string{"--node", "n1"}, []string{"level=INFO", "self=n1"}, 0},
		{[]string{"--node", "head", "--tail=2"}, []string{"level=INFO"}, 2},
	} {
		out := h.must(append([]string{"logs"}, c.args...)...)
		if !holds(out, c.words) || c.lines > 0 && strings.Count(out, "\n") > c.lines {
			t.Errorf("logs %v: want %q in\n%s", c.args, c.words, out)
		}
	}
	h.fails(2, []string{"whose?"}, "logs")
	h.fails(2, []string{"name one of"}, "logs", "--node=n1", "--actor=counter")
	h.fails(1, []string{"nobody"}, "logs", "--actor=nobody")
	h.fails(1, []string{"n9"}, "logs", "--node=n9")
}
