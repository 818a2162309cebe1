package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAllHeadsKilled: when they are there again the cluster goes on as it was, with
// its nodes, actors and running jobs.
func TestAllHeadsKilled(t *testing.T) {
	t.Parallel()
	c := newHeads(t, 3)
	tally := []string{"submit", "./e2e/testdata/tally", "--address", c.address}
	if out := c.must(tally...); out != "tally 1\n" {
		t.Errorf("%s", out)
	}
	x := c.newHeld()
	submitted := x.submit("--actors")
	x.begun(4)
	c.whole(3)
	jobs, nodes := c.jobs(), c.nodes()
	rows := c.rows()
	for _, r := range rows {
		c.kill(r.PID)
	}
	until(t, "the heads are gone", func() bool {
		return !slices.ContainsFunc(rows, func(r headRow) bool { return alive(r.PID) })
	})

	began := time.Now()
	for i, s := range c.seats {
		out := c.sit(s)
		if !strings.Contains(out, "goes on as it was") {
			t.Errorf("its node isn't mentioned: %s", out)
		}
		if alone := strings.Contains(out, "waits for others: no majority of its 3 heads is there"); alone != (i == 0) {
			t.Errorf("head %d: %s", i, out)
		}
	}
	c.whole(3)
	t.Log("heads are back after", time.Since(began).Round(time.Millisecond))
	took := until(t, "the nodes are back", func() bool {
		s := c.status()
		return len(s.Nodes) == 3 && !slices.ContainsFunc(s.Nodes, func(n nodeRow) bool { return n.Available == nil })
	})
	t.Log("nodes have reported again after", took)
	for i, n := range c.nodes() {
		if n.State != "ALIVE" || n.ID != nodes[i].ID || n.PID != nodes[i].PID {
			t.Errorf("node %+v, was %+v", n, nodes[i])
		}
	}
	for i, j := range c.jobs() {
		if j.ID != jobs[i].ID || j.Status != jobs[i].Status || j.PID != jobs[i].PID {
			t.Errorf("job %+v, was %+v", j, jobs[i])
		}
	}
	if out := c.must(tally...); out != "tally 2\n" {
		t.Errorf("a detached actor: %s", out)
	}
	x.release()
	if r := submitted.wait(); r.code != 0 || r.out != heldOutput {
		t.Errorf("the job that ran meanwhile: %v", r)
	}
	if n := x.count(); n != 4 {
		t.Errorf("%d tasks were begun, not 4: some ran twice", n)
	}
}

// TestHeadReplaced: a head that has lost its disk is removed and begun anew; one
// that is removed ends.
func TestHeadReplaced(t *testing.T) {
	t.Parallel()
	c := newHeads(t, 3)
	c.must("submit", "examples/hello/job.go", "--name", "before", "--address", c.address)
	lost := c.follower()
	s := c.fell(lost)
	for _, r := range c.rows() {
		if r.ID != lost.ID {
			c.fails(1, []string{"of the other 2 heads only 1 answer", r.ID}, "heads", "remove", r.ID, "--address", c.address)
		}
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "head")); err != nil {
		t.Fatal(err)
	}
	other := c.leader().Address
	c.fails(1, []string{lost.ID, "if its data is gone, `gray heads remove " + lost.ID + "` first"}, s.start("--join", other)...)
	if out := c.must("heads", "remove", lost.ID, "--address", c.address); out != "removed head "+lost.ID+" at "+s.address+"\n" {
		t.Errorf("%s", out)
	}
	c.sit(s, "--join", other)
	rows := c.whole(3)
	if slices.ContainsFunc(rows, func(r headRow) bool { return r.ID == lost.ID }) {
		t.Errorf("heads: %+v", rows)
	}
	code, text, err := c.rest(http.MethodGet, s.address, "/api/jobs/before?stale=true", nil)
	if err != nil || code != http.StatusOK || !strings.Contains(text, "SUCCEEDED") {
		t.Errorf("what the new head knows: %d %s %v", code, text, err)
	}
	files, err := os.ReadDir(c.seat(other).packages())
	if err != nil || len(files) == 0 {
		t.Errorf("packages: %v, %v", files, err)
	}
	for _, f := range files {
		until(t, "the new head has all packages", func() bool { return exists(filepath.Join(s.packages(), f.Name())) })
	}

	removed := c.follower()
	c.must("heads", "remove", removed.ID[:len("head-")+6], "--address", c.address)
	t.Log("a removed head has ended after", until(t, "it ends", func() bool { return !alive(removed.PID) }))
	c.whole(2)
	s = c.seat(removed.Address)
	c.fails(1, []string{"was removed"}, s.start()...)
	c.must("submit", "examples/hello/job.go", "--address", c.leader().Address)

	leader := c.leader()
	c.must("heads", "remove", leader.ID, "--address", leader.Address)
	until(t, "a leader that was removed ends", func() bool { return !alive(leader.PID) })
	last := c.whole(1)[0]
	c.fails(1, []string{last.ID, "the only one with a vote"}, "heads", "remove", last.ID, "--address", c.address)
}

// TestFiveHeads: two may fail at once; without a majority there is only what a head
// remembers.
func TestFiveHeads(t *testing.T) {
	t.Parallel()
	c := newHeads(t, 5)
	c.must("submit", "examples/hello/job.go", "--name", "before", "--address", c.address)
	leader := c.leader()
	followers := slices.DeleteFunc(c.whole(5), func(r headRow) bool { return r.ID == leader.ID })
	began := time.Now()
	c.kill(leader.PID)
	c.kill(followers[0].PID)
	c.submitShell(followers[3].Address, "two-are-dead", "true")
	t.Log("two killed: accepted again after", time.Since(began).Round(time.Millisecond))
	c.address = followers[3].Address
	out := c.must("heads", "--address", c.address)
	if !strings.Contains(out, "5 heads, 2 unreachable: no majority is left if one more fails.") {
		t.Errorf("%s", out)
	}
	until(t, "the job is over", func() bool { return c.job("two-are-dead").Status == "SUCCEEDED" })

	dead := c.fell(followers[1])
	began = time.Now()
	write := c.begin("job", "stop", "before", "--address", c.address)
	read := c.begin("jobs", "--address", c.address)
	wantFailure(t, write.wait(), 1, []string{"no head leads the cluster now", "see `gray heads --stale`"})
	wantFailure(t, read.wait(), 1, []string{"no head leads the cluster now", "add --stale"})
	t.Log("three killed: requests were refused after", time.Since(began).Round(time.Millisecond))
	r := c.run("jobs", "--stale", "--address", c.address)
	if r.code != 0 || !strings.Contains(r.out, "before") || !strings.Contains(r.out, "two-are-dead") ||
		!strings.Contains(r.err, "as the head at "+c.address+" knows it, up to ") {
		t.Errorf("%v", r)
	}
	if r = c.run("heads", "--stale", "--address", c.address); r.code != 0 || !strings.Contains(r.out, "5 heads, 3 unreachable: no majority is left.") {
		t.Errorf("%v", r)
	}
	began = time.Now()
	c.sit(dead)
	c.submitShell(c.address, "one-is-back", "true")
	t.Log("one back: accepted again after", time.Since(began).Round(time.Millisecond))
	for _, r := range []headRow{leader, followers[0]} {
		until(t, "the head is gone", func() bool { return !alive(r.PID) })
		c.sit(c.seat(r.Address))
	}
	c.whole(5)
	for _, id := range []string{"before", "two-are-dead", "one-is-back"} {
		until(t, "all jobs are over", func() bool { return c.job(id).Status == "SUCCEEDED" })
	}
	if n := len(c.jobs()); n != 3 {
		t.Errorf("%d jobs, want 3", n)
	}
	to := c.follower()
	if out := c.must("heads", "transfer", to.ID, "--address", c.address); out != fmt.Sprintf("head %s at %s leads now\n", to.ID, to.Address) {
		t.Errorf("%s", out)
	}
	if l := c.leader(); l.ID != to.ID {
		t.Errorf("leader: %+v", l)
	}
}
