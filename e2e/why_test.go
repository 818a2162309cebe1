package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type whyRow struct {
	Kind     string
	State    string
	Summary  string
	Nodes    []struct{ Fits bool }
	WaitsFor []string `json:"waits_for"`
	Cause    string
}

// TestWhy asks what waits for what it waits, and what died what it died of.
func TestWhy(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.must(begun("--num-cpus=2")...)
	c := h.begin("submit", "e2e/testdata/puzzles/job.go", "--name", "puzzles", "--", "--dir", h.dir)
	until(t, "the tasks are submitted", func() bool { return c.over() || exists(filepath.Join(h.dir, "submitted")) })
	id := func(name string) string {
		b, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			t.Fatalf("%v: %v", err, c.out.String()+c.err.String())
		}
		return string(b)
	}
	for name, words := range map[string][]string{
		id("queued"): {
			"task", "waits for a worker", "{CPU: 2}", "CPU busy: wants 2, 0 free of 2",
			"How it came to that:", "1. on n1, CPU is held by task main.func@job.go:", "(" + id("holder") + ")",
		},
		id("dependent"): {
			"PENDING_ARGS_AVAIL", "waits for 1 of its inputs", "waits for " + id("queued"),
			"1. on n1, CPU is held by", "2. task " + id("queued"), "3. task " + id("dependent"), "waits for its input " + id("queued"), "gray why " + id("queued"),
		},
		id("unicorn"): {"PENDING_NODE_ASSIGNMENT", "lacks unicorn: wants 1, has 0 in all", "No node can ever meet it"},
		id("crashed"): {"FAILED", "exited with code 7", "these are my last words"},
		id("holder"):  {"RUNNING", "it runs", "On n1, pid ", "See also:", "gray why n1.p"},
		"n1":          {"node n1", "ALIVE", "it is connected, and has "},
		"n1.p1":       {"process n1.p1 of j1 is RUNNING", "it is the driver of its job", "it submitted that, and it isn't over"},
		"beast":       {"actor", "PENDING_CREATION", "lacks unicorn: wants 2, has 0 in all", "No node can ever meet it"},
		"stillborn":   {"actor", "DEAD", "not born", "ago"},
		"puzzles":     {"job", "RUNNING", "its driver runs", "error: no node can ever take actor beast of j1", "Way out: add a node that can"},
	} {
		if out := h.must("why", name); !holds(out, words) {
			t.Errorf("why %s: want %q in\n%s", name, words, out)
		}
	}
	cause := decode[whyRow](t, h.must("why", "--json", id("crashed"))).Cause
	if m := regexp.MustCompile(`worker (n1\.p[0-9]+) `).FindStringSubmatch(cause); m == nil {
		t.Errorf("which process crashed? %q", cause)
	} else if out := h.must("why", m[1]); !holds(out, []string{"process " + m[1] + " of j1 is DEAD: it was a worker, and has ended", "exited with code 7", " ago"}) {
		t.Errorf("of a process that crashed: %s", out)
	}
	until(t, "what a task has written is found by its id", func() bool {
		return strings.Contains(h.must("logs", "--task", id("crashed")), "these are my last words")
	})
	if w := decode[whyRow](t, h.must("why", "--json", id("dependent"))); w.Kind != "task" || len(w.WaitsFor) != 1 {
		t.Errorf("%+v", w)
	}
	head := decode[[]struct{ ID string }](t, h.must("heads", "--json"))[0].ID
	for _, name := range []string{head, head[:len(head)-2], "head"} {
		if out := h.must("why", name); !holds(out, []string{"head " + head, "is LEADER", "has a vote"}) {
			t.Error(out)
		}
	}
	h.fails(1, []string{"no task, actor, placement group, job, object, node, process or head", "nonsense"}, "why", "nonsense")
	h.fails(2, []string{"why what?"}, "why")
	until(t, "status shows what waits, and why", func() bool {
		return holds(h.must("status"), []string{"CPU busy: wants 2, 0 free of 2", "lacks unicorn", "actor beast"})
	})
	const warning = "no node of the cluster can ever "
	until(t, "people are warned", func() bool { return strings.Count(c.out.String()+c.err.String(), warning) >= 2 })
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.wait()
	if n := strings.Count(r.out+r.err, warning); r.code != 0 || n != 2 { // once for two tasks of a shape, once for the actor
		t.Errorf("warned %d times: %v", n, r)
	}
	if out := h.must("why", "puzzles"); !holds(out, []string{"SUCCEEDED", "it has ended"}) {
		t.Error(out)
	}
}

func holds(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
