package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type hintRow struct {
	Severity, Kind, Sentence string
	Job                      string   `json:"job_id"`
	IDs                      []string `json:"ids"`
	WayOut                   string   `json:"way_out"`
}

const storiesJob = "./e2e/testdata/stories"

// TestStories: of a job that waits for itself, one that leaks references, one whose actor
// runs out of memory, and one with a slow node, a single command each names the cause.
func TestStories(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead("--resources", `{"seat": 1}`)
	h.startNode("--labels", "memory=little", "--memory-limit=400MiB")
	stories := []string{"slow", "deadlock", "leak", "oom"}
	jobs := map[string]*command{}
	number := map[string]string{}
	for _, story := range stories {
		jobs[story] = h.begin("submit", storiesJob, "--address", h.address, "--name", story, "--", story, h.dir)
		until(t, "it comes to "+story, func() bool { return jobs[story].over() || exists(filepath.Join(h.dir, story)) })
		if jobs[story].over() {
			t.Fatal(jobs[story].wait())
		}
		number[story] = h.job(story).Number
	}
	says := func(words []string, args ...string) {
		t.Helper()
		out := ""
		if !settled(func() bool { out = h.must(append(args, "--address", h.address)...); return holds(out, words) }) {
			t.Errorf("%v: want %q in\n%s", args, words, out)
			return
		}
		t.Logf("gray %v:\n%s", args, out)
	}
	says([]string{
		"error: deadlock in " + number["deadlock"] + ", which can't go on by itself: 1 task (main.child) waits for {CPU: 1, seat: 1}", "seat is held by 1 task of the same job that waits itself: main.parent",
		"on n1", "Way out: don't hold seat while waiting",
	}, "why", "deadlock")
	says([]string{"Could be a leak: driver n", " of " + number["leak"] + " has held 24 objects, 24.0 MiB, made at stories/job.go:", "Way out: drop the references"},
		"memory", "--leak-after", "100ms")
	says([]string{
		"(hog) of " + number["oom"] + " is DEAD: it died", "was killed because memory ran out: on n2 its jobs' processes use", "over the 400.0 MiB that they may",
		"PID     MEMORY", "actor main.Hog",
	}, "why", "hog")
	says([]string{"warning: node n2 is slow: main.step of " + number["slow"] + " takes ", "that of the other nodes"}, "why", "slow")
	says([]string{"What is wrong:", "deadlock in", "memory ran out", "node n2 is slow"}, "status")
	var kinds []string
	for _, x := range decode[struct{ Hints []hintRow }](t, h.must("status", "--json", "--address", h.address)).Hints {
		kinds = append(kinds, x.Kind)
		if x.Severity == "" || x.Sentence == "" || x.WayOut == "" {
			t.Errorf("%+v", x)
		}
	}
	if got := strings.Join(kinds, " "); !holds(got, []string{"deadlock", "oom", "slow_node"}) {
		t.Errorf("hints %s", got)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for story, c := range jobs {
		if r := c.wait(); r.code != 0 {
			t.Errorf("%s: %v", story, r)
		}
	}
}
