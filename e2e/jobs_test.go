package e2e

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// TestContractJobs runs the jobs of examples on two nodes.
func TestContractJobs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	for name, want := range map[string]string{
		"hello":       "[0 1 4 9 16 25 36 49 64 81]\n",
		"counter":     "after 4 tasks: 140\ncrash seen: true\nafter restart: 100\n",
		"pipeline":    "8 frames agree\n",
		"paramserver": "weights found\n",
		"faults": "error: true\npanic: true\nretried: 7 <nil>\ncrashed: true\nupstream: true\n" +
			"cancelled: true\ntimed out: true\ninfeasible: true\n",
	} {
		began := time.Now()
		if got := h.must("submit", filepath.Join("examples", name, "job.go")); withoutWorkers(got) != want {
			t.Errorf("%s printed %q, want %q", name, got, want)
		}
		t.Logf("%s took %v", name, time.Since(began).Round(time.Millisecond))
	}
	for _, j := range h.jobs() {
		if j.Status != "SUCCEEDED" || j.Code == nil || *j.Code != 0 {
			t.Errorf("job %+v", j)
		}
	}
}

// withoutWorkers drops the lines that workers have written.
func withoutWorkers(out string) string {
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "(") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestWordCount holds the job against a serial count, undisturbed and while a
// worker and a node are killed.
func TestWordCount(t *testing.T) {
	t.Parallel()
	root := filepath.Join(goroot(t), "src", "cmd")
	want, err := serialCount(root)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t)
	h.startHead()
	h.startNode()
	submit := func() *command {
		return h.begin("submit", "examples/wordcount/job.go", "--", "--root", root, "--group", "4")
	}
	check := func(t *testing.T, c *command) {
		t.Helper()
		if r := c.wait(); r.code != 0 || withoutWorkers(r.out) != want {
			t.Errorf("want\n%sgot %v", want, r)
		}
	}
	began := time.Now()
	check(t, submit())
	t.Log("undisturbed:", time.Since(began).Round(time.Millisecond))

	// killing submits until a kill falls in the middle: the job takes little longer than to look at it.
	killing := func(kill func(*command) (taskRow, bool)) taskRow {
		for range 20 {
			c := submit()
			victim, killed := kill(c)
			underWay := !c.over()
			check(t, c)
			if killed && underWay {
				return victim
			}
			t.Log("the job was over when the kill came; again")
			if killed {
				h.startNode()
			}
		}
		t.Fatal("each of 20 jobs was over before the kill")
		return taskRow{}
	}

	began = time.Now()
	victim := killing(func(c *command) (taskRow, bool) {
		return h.holdRunning(c, func(x taskRow) bool {
			h.kill(x.PID)
			return true
		})
	})
	t.Logf("a worker killed: %v (pid %d on %s, running %s)", time.Since(began).Round(time.Millisecond), victim.PID, victim.Node, victim.Function)

	began = time.Now()
	victim = killing(func(c *command) (taskRow, bool) {
		return h.holdRunning(c, func(x taskRow) bool {
			for _, j := range h.jobs() {
				if j.Status == "RUNNING" && j.Node != x.Node {
					h.kill(h.node(x.Node).PID)
					return true
				}
			}
			return false
		})
	})
	t.Logf("node %s killed: %v", victim.Node, time.Since(began).Round(time.Millisecond))
}

// holdRunning stops the process of a task that runs, shows the task to f, and has the process go
// on, until f says that it's the one, or the command is over.
func (h *host) holdRunning(c *command, f func(taskRow) bool) (found taskRow, ok bool) {
	h.t.Helper()
	until(h.t, "a task runs", func() bool {
		for _, x := range h.running() {
			if syscall.Kill(x.PID, syscall.SIGSTOP) != nil {
				continue // the task has ended since, and its process, too
			}
			ok = slices.ContainsFunc(h.running(), func(y taskRow) bool { return y.PID == x.PID }) && f(x)
			_ = syscall.Kill(x.PID, syscall.SIGCONT) // it may have been killed
			if ok {
				found = x
				return true
			}
		}
		return c.over()
	})
	return found, ok
}

// TestWordCountOfAllSources: one file of Go's sources has a line that is longer
// than the job takes, and the job's error says which.
func TestWordCountOfAllSources(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads all sources of Go")
	}
	root := filepath.Join(goroot(t), "src")
	if _, err := serialCount(root); err == nil {
		t.Skip("no line there is longer than the job takes")
	}
	h := newHost(t)
	h.startHead()
	h.startNode()
	h.fails(1, []string{"zzipdata.go", "token too long"}, "submit", "examples/wordcount/job.go", "--", "--root", root)
	if j := h.jobs(); len(j) != 1 || j[0].Status != "FAILED" || !strings.Contains(j[0].Message, "zzipdata.go") {
		t.Errorf("jobs: %+v", j)
	}
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// serialCount is what examples/wordcount prints, made without gray.
func serialCount(root string) (string, error) {
	counts, files, sum := map[string]int{}, 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".go" {
			return err
		}
		files++
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			for word := range strings.FieldsFuncSeq(lines.Text(), func(r rune) bool { return !unicode.IsLetter(r) }) {
				counts[word]++
				sum++
			}
		}
		return lines.Err()
	})
	if err != nil {
		return "", err
	}
	words := make([]string, 0, len(counts))
	for w := range counts {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var out strings.Builder
	fmt.Fprintf(&out, "%d files, %d words, %d distinct\n", files, sum, len(words))
	for _, w := range words[:min(10, len(words))] {
		fmt.Fprintf(&out, "%8d %s\n", counts[w], w)
	}
	return out.String(), nil
}
