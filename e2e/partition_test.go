package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quorum is three hosts of a network, each with a head and its node.
type quorum struct {
	t     *testing.T
	net   *network
	hosts []*host // host 1 is the first
}

// newQuorum makes one, and hosts on which nothing runs yet for the other numbers
// up to all.
func newQuorum(t *testing.T, all int) *quorum {
	t.Helper()
	q := &quorum{t: t, net: newNetwork(t, all)}
	for i := 1; i <= all; i++ {
		h := q.net.newHost(i)
		q.hosts = append(q.hosts, h)
		switch first := q.hosts[0]; {
		case i == 1:
			h.startHead("--node-ip-address", address(i))
		case i <= 3:
			h.startHead("--node-ip-address", address(i), "--join", first.address, "--token", first.token())
		default:
			h.env = append(h.env, "GRAY_TOKEN="+first.token())
			h.address = first.address
		}
	}
	until(t, "all heads have a vote", func() bool {
		rows := q.hosts[0].heads()
		return len(rows) == 3 && !slices.ContainsFunc(rows, func(r headRow) bool { return !r.Voter })
	})
	return q
}

func (h *host) heads() []headRow { h.t.Helper(); return rowsOf[headRow](h, "heads") }

// leader is the number of the leader's host, as others see it, and its row.
func (q *quorum) leader(asked *host) (number int, row headRow) {
	q.t.Helper()
	until(q.t, "a head leads", func() bool {
		for _, row = range asked.heads() {
			if row.State == "LEADER" {
				number = slices.IndexFunc(q.hosts, func(h *host) bool { return h.address == row.Address }) + 1
				return true
			}
		}
		return false
	})
	return number, row
}

// others are the heads' hosts but that one.
func (q *quorum) others(number int) []*host {
	return slices.Delete(slices.Clone(q.hosts[:3]), number-1, number)
}

// converge waits until all heads have the same history, and returns the leader.
func (q *quorum) converge(asked *host) (leader headRow) {
	q.t.Helper()
	took := until(q.t, "the heads have one history", func() bool {
		rows := asked.heads()
		followers := 0
		for _, r := range rows {
			switch {
			case r.State == "LEADER":
				leader = r
			case r.State == "FOLLOWER" && r.Lag == 0:
				followers++
			}
		}
		return followers == 2 && !slices.ContainsFunc(rows, func(r headRow) bool { return r.Term != leader.Term })
	})
	q.t.Logf("one history after %v: term %d, index %d", took, leader.Term, leader.Applied)
	return leader
}

// nodeAt is the living node of a host.
func (h *host) nodeAt(number int) (found nodeRow) {
	h.t.Helper()
	for _, n := range h.nodes() {
		if n.State == "ALIVE" && strings.HasPrefix(n.Address, address(number)+":") {
			found = n
		}
	}
	return found
}

// awaitEnd waits until a node that was declared dead has ended itself, and starts
// another on its host.
func (q *quorum) awaitEnd(number int, node nodeRow) {
	q.t.Helper()
	q.t.Log("the dead node has ended itself after", until(q.t, "the dead node ends itself", func() bool { return !alive(node.PID) }))
	q.hosts[number-1].startNode("--node-ip-address", address(number))
}

// TestLeaderUnreachable stops the leader, cuts it off, and parts it from one of
// the others.
func TestLeaderUnreachable(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, 3)
	q.leaderStopped()
	q.leaderCutOff()
	q.followerParted()
}

// leaderStopped: a leader that hangs is replaced, and follows when it's back.
func (q *quorum) leaderStopped() {
	t := q.t
	old, row := q.leader(q.hosts[0])
	here := q.others(old)[0]
	before := here.nodes()
	x := here.newHeld()
	c := x.submit("--actors")
	x.begun(4)

	began := time.Now()
	q.hosts[old-1].signal(row.PID, syscall.SIGSTOP)
	here.must("jobs", "--address", here.address) // the next leader answers, or none
	t.Log("the leader hangs: another answers after", time.Since(began).Round(time.Millisecond))
	until(t, "more than a lease is over", func() bool { return time.Since(began) > 5*time.Second })
	q.hosts[old-1].signal(row.PID, syscall.SIGCONT)

	if leader := q.converge(here); leader.Address == row.Address {
		t.Errorf("the one that hung leads again: %+v", leader)
	}
	for i, n := range here.nodes() {
		if n.State != "ALIVE" || n.ID != before[i].ID || n.PID != before[i].PID {
			t.Errorf("node %+v was %+v", n, before[i])
		}
	}
	x.release()
	if r := c.wait(); r.code != 0 || r.out != heldOutput || x.count() != 4 {
		t.Errorf("the job that ran meanwhile, %d tasks begun: %v", x.count(), r)
	}
}

// leaderCutOff: the others go on without it. It refuses what it can't know, and
// takes over their history.
func (q *quorum) leaderCutOff() {
	t := q.t
	old, row := q.leader(q.hosts[0])
	alone, here := q.hosts[old-1], q.others(old)[0]
	node := here.nodeAt(old)
	alone.must("submit", "examples/hello/job.go", "--name", "before", "--address", alone.address)
	plain := "http://" + alone.head().HTTPAddress

	began := time.Now()
	q.net.cut(old)
	refused := map[*command][]string{}
	for _, door := range []string{alone.address, plain} {
		const none = "no head leads the cluster now"
		refused[alone.begin("submit", "examples/hello/job.go", "--name", "refused", "--address", door)] = []string{none, "gray heads --stale"}
		refused[alone.begin("job", "stop", "before", "--address", door)] = []string{none, "gray heads --stale"}
		refused[alone.begin("jobs", "--address", door)] = []string{none, "add --stale"}
	}
	tries := 0
	until(t, "a write is acknowledged", func() bool {
		tries++
		r := here.run("submit", "--no-wait", "examples/hello/job.go", "--name", fmt.Sprint("during-", tries), "--address", here.address)
		return r.code == 0
	})
	t.Logf("the leader is cut off: a write is acknowledged after %v, at try %d", time.Since(began).Round(time.Millisecond), tries)
	until(t, "its node is dead", func() bool { return here.node(node.ID).State == "DEAD" })
	t.Log("its node is dead after", time.Since(began).Round(time.Millisecond))
	here.must("submit", "examples/hello/job.go", "--name", "after", "--address", here.address)

	for c, words := range refused {
		wantFailure(t, c.wait(), 1, words)
	}
	t.Log("all that was refused is known to be after", time.Since(began).Round(time.Millisecond))
	for _, door := range []string{alone.address, plain} {
		r := alone.run("jobs", "--stale", "--address", door)
		if r.code != 0 || !strings.Contains(r.out, "before") || strings.Contains(r.out, "during") || strings.Contains(r.out, "refused") ||
			!strings.Contains(r.err, " old") {
			t.Errorf("what the one that is cut off knows: %v", r)
		}
		t.Log(strings.TrimSpace(r.err))
	}

	q.net.mend(old)
	if leader := q.converge(here); leader.Address == row.Address {
		t.Errorf("the one that was cut off leads again: %+v", leader)
	}
	for _, h := range q.hosts {
		var names []string
		for _, j := range h.jobs() {
			if j.ID == "before" || j.ID == "after" || strings.HasPrefix(j.ID, "during-") || j.ID == "refused" {
				names = append(names, j.ID)
			}
		}
		if len(names) < 3 || names[0] != "before" || names[len(names)-1] != "after" || slices.Contains(names, "refused") {
			t.Errorf("jobs at %s: %v", h.address, names)
		}
	}
	q.awaitEnd(old, node)
	alone.must("submit", "examples/hello/job.go", "--address", alone.address)
}

// followerParted: a follower that doesn't hear the leader but another follower
// disturbs nobody, and catches up later.
func (q *quorum) followerParted() {
	t := q.t
	leader, row := q.leader(q.hosts[0])
	here, deaf := q.hosts[leader-1], q.others(leader)[0]
	number := slices.Index(q.hosts, deaf) + 1
	node := here.nodeAt(number)

	q.net.part(leader, number)
	refused := deaf.begin("jobs", "--address", "http://"+deaf.head().HTTPAddress)
	until(t, "the leader doesn't hear the follower's node either", func() bool { return here.node(node.ID).State == "DEAD" })
	here.must("submit", "examples/hello/job.go", "--name", "parted", "--address", here.address)
	wantFailure(t, refused.wait(), 1, []string{"no head leads the cluster now"})
	if out := deaf.must("jobs", "--address", deaf.address); !strings.Contains(out, "parted") { // the third head answers
		t.Errorf("jobs: %s", out)
	}
	q.net.join(leader, number)

	if now := q.converge(here); now.Address != row.Address || now.Term != row.Term {
		t.Errorf("the leader was %+v and is %+v", row, now)
	}
	q.awaitEnd(number, node)
	deaf.must("submit", "examples/hello/job.go", "--address", "http://"+deaf.head().HTTPAddress)
}
