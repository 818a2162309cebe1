package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restless is a job of testdata/restless, whose actor begins on one node.
type restless struct {
	h   *host
	dir string
	c   *command
	row actorRow // as the actor was at first
}

// beginRestless starts one from a host, and waits until its actor is on the node.
func (h *host) beginRestless(node nodeRow) *restless {
	h.t.Helper()
	dir, err := os.MkdirTemp(h.dir, "restless")
	if err != nil {
		h.t.Fatal(err)
	}
	r := &restless{h: h, dir: dir}
	r.c = h.begin("submit", "./e2e/testdata/restless", "--address", h.address, "--", "--dir", dir, "--node", node.ID[1:])
	until(h.t, "the actor has been heard", func() bool {
		select {
		case <-r.c.done:
			h.t.Fatalf("too early: %v", r.c.wait())
		default:
		}
		return len(r.heard()) > 0 && len(r.answers()) > 0
	})
	if r.row = r.actor(); r.row.Node != node.ID {
		h.t.Fatalf("the actor isn't on %s: %+v", node.ID, r.row)
	}
	return r
}

func (r *restless) actor() (found actorRow) {
	r.h.t.Helper()
	for _, a := range r.h.actors() {
		if a.Name == "restless" && a.State != "DEAD" {
			found = a
		}
	}
	return found
}

// numbers are those of one of the job's files, a line a slice.
func (r *restless) numbers(name string) (lines [][]int64) {
	r.h.t.Helper()
	text, _ := os.ReadFile(filepath.Join(r.dir, name))
	whole := text[:strings.LastIndexByte(string(text), '\n')+1]
	for line := range strings.Lines(string(whole)) {
		var numbers []int64
		for field := range strings.FieldsSeq(line) {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				r.h.t.Fatalf("%s: %q: %v", name, line, err)
			}
			numbers = append(numbers, n)
		}
		lines = append(lines, numbers)
	}
	return lines
}

func (r *restless) beats(pid int) [][]int64 { return r.numbers(fmt.Sprintf("beats-%d", pid)) } // time
func (r *restless) heard() [][]int64        { return r.numbers("witness") }                    // pid, count
func (r *restless) answers() [][]int64      { return r.numbers("answers") }                    // time, pid

// goesOn waits until the actor's process has done more, for about so long.
func (r *restless) goesOn(d time.Duration) {
	r.h.t.Helper()
	const beat = 10 * time.Millisecond // at most, with room for a busy machine
	want := len(r.beats(r.row.PID)) + int(d/beat)
	until(r.h.t, "the actor goes on", func() bool { return len(r.beats(r.row.PID)) >= want })
}

// answered waits for the actor's next answer, and wants its process to be the first.
func (r *restless) answered() {
	r.h.t.Helper()
	n := len(r.answers())
	until(r.h.t, "the actor answers", func() bool { return len(r.answers()) > n })
	if a := r.actor(); a != r.row {
		r.h.t.Errorf("the actor was %+v and is %+v", r.row, a)
	}
}

// replaced waits until another process answers to the actor's name, and returns
// when it did first.
func (r *restless) replaced() (at time.Time) {
	r.h.t.Helper()
	until(r.h.t, "the actor answers from elsewhere", func() bool {
		for _, a := range r.answers() {
			if a[1] != int64(r.row.PID) {
				at = time.Unix(0, a[0])
				return true
			}
		}
		return false
	})
	return at
}

// oneAfterAnother checks that the witness heard nothing of the first process after
// it heard of another, and everything once and in order.
func (r *restless) oneAfterAnother() {
	r.h.t.Helper()
	var pids []int64
	var last int64
	for i, w := range r.heard() {
		pid, n := w[0], w[1]
		switch at := slices.Index(pids, pid); {
		case at < 0:
			pids, last = append(pids, pid), n
		case at < len(pids)-1:
			r.h.t.Fatalf("line %d: %d is heard again, after %d: its word %d", i+1, pid, pids[len(pids)-1], n)
		case n <= last:
			r.h.t.Fatalf("line %d: word %d of %d comes after word %d", i+1, n, pid, last)
		default:
			last = n
		}
	}
	if len(pids) != 2 || pids[0] != int64(r.row.PID) {
		r.h.t.Errorf("the witness has heard %v, and the first was %d", pids, r.row.PID)
	}
	r.h.t.Logf("the witness has heard %d words of %v", len(r.heard()), pids)
}

func (r *restless) end() {
	r.h.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "go"), nil, 0o600); err != nil {
		r.h.t.Fatal(err)
	}
	if result := r.c.wait(); result.code != 0 {
		r.h.t.Error(result)
	}
}

// stopped reports whether a process is (SIGSTOP).
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") T ")
}

// drained waits until a host has nothing more to send to others: what a process
// wrote that is gone may still be under way.
func (h *host) drained() {
	h.t.Helper()
	until(h.t, "nothing is under way", func() bool {
		r := h.beginEnv(nil, "cat", "/proc/net/tcp").wait()
		if r.code != 0 {
			h.t.Fatal(r)
		}
		for line := range strings.Lines(r.out) {
			const queues, listens = 4, "0A"
			if f := strings.Fields(line); len(f) > queues && f[0] != "sl" && f[3] != listens && !strings.HasPrefix(f[queues], "00000000:") {
				return false
			}
		}
		return true
	})
}

// TestNodeUnreachable: what runs on a node never runs twice, whether the node is cut
// off or hangs, and goes on if it wasn't for long, or if all heads are away.
func TestNodeUnreachable(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, 4)
	here, there := q.hosts[0], q.hosts[3]
	there.startNode("--node-ip-address", address(4))
	node := here.nodeAt(4)
	r := here.beginRestless(node)

	q.net.cut(4)
	r.goesOn(time.Second)
	q.net.mend(4)
	r.answered()
	if n := here.nodeAt(4); n.ID != node.ID || n.PID != node.PID {
		t.Errorf("after a short cut the node was %+v and is %+v", node, n)
	}
	t.Log("after a short cut all goes on as it was")

	began := time.Now()
	q.net.cut(4)
	t.Log("cut off: the actor is stopped after", until(t, "the actor is stopped", func() bool { return stopped(r.row.PID) }))
	at := r.replaced()
	t.Log("and answers from elsewhere after", at.Sub(began).Round(time.Millisecond))
	q.mendedDead(r, node, at, func() { q.net.mend(4) })
	r.end()

	there.startNode("--node-ip-address", address(4))
	node = here.nodeAt(4)
	r = here.beginRestless(node)
	began = time.Now()
	there.signal(node.PID, syscall.SIGSTOP)
	at = r.replaced()
	t.Log("the node hangs: the actor answers from elsewhere after", at.Sub(began).Round(time.Millisecond))
	until(t, "two leases are over", func() bool { return time.Since(began) > 8*time.Second })
	q.mendedDead(r, node, time.Time{}, func() { there.signal(node.PID, syscall.SIGCONT) })
	r.end()

	q.headsAway(there)
}

// mendedDead lets a node that was declared dead go on, which must end itself
// without a trace. Its actor has done nothing since it was replaced, if that time
// is given.
func (q *quorum) mendedDead(r *restless, node nodeRow, replaced time.Time, mend func()) {
	t, here, there := q.t, q.hosts[0], q.hosts[3]
	t.Helper()
	old := r.row.PID
	words := len(r.heard())
	until(t, "the new one is heard", func() bool { return len(r.heard()) > words+50 })
	mend()
	took := until(t, "the dead node ends itself", func() bool { return len(there.processes()) == 0 })
	t.Log("the dead node has ended itself after", took)
	if alive(old) {
		t.Errorf("its actor's process %d still runs", old)
	}
	there.drained()
	words = len(r.heard())
	until(t, "the new one is heard", func() bool { return len(r.heard()) > words+50 })
	r.oneAfterAnother()
	beats := r.beats(old)
	if last := time.Unix(0, beats[len(beats)-1][0]); !replaced.IsZero() && !last.Before(replaced) {
		t.Errorf("the old one did something at %v, the new one answered at %v", last, replaced)
	} else if !replaced.IsZero() {
		t.Log("the old one had rested for", replaced.Sub(last).Round(time.Millisecond))
	}
	if n := here.node(node.ID); n.State != "DEAD" {
		t.Errorf("the node: %+v", n)
	}
}

// headsAway: without any head there's none who could have replaced what runs on a
// node, so it goes on.
func (q *quorum) headsAway(there *host) {
	t, here := q.t, q.hosts[0]
	there.startNode("--node-ip-address", address(4))
	node := here.nodeAt(4)
	nodes := here.nodes()
	r := here.beginRestless(node)
	var heads []info
	for _, h := range q.hosts[:3] {
		was := h.head()
		heads = append(heads, was)
		h.kill(was.PID)
	}
	words, began := len(r.heard()), time.Now()
	until(t, "two leases are over", func() bool {
		if stopped(r.row.PID) {
			t.Fatal("the actor is stopped while all heads are away")
		}
		return time.Since(began) > 8*time.Second
	})
	if n := len(r.heard()) - words; n < 100 {
		t.Errorf("the witness has heard %d words only, without heads", n)
	}
	var starts []*command
	for i, h := range q.hosts[:3] {
		starts = append(starts, h.beginHead(heads[i], "--node-ip-address", address(i+1)))
	}
	for _, c := range starts {
		if result := c.wait(); result.code != 0 || !strings.Contains(result.out, "goes on as it was") {
			t.Error(result)
		}
	}
	q.converge(here)
	r.answered()
	for i, n := range here.nodes() {
		if n.State != nodes[i].State || n.PID != nodes[i].PID {
			t.Errorf("node %+v was %+v", n, nodes[i])
		}
	}
	r.goesOn(time.Second)
	r.end()
}
