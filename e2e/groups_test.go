package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const groupsJob = "./e2e/testdata/groups"

type groupRow struct {
	ID      string `json:"placement_group_id"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Bundles []struct {
		Node string `json:"node_id"`
	} `json:"bundles"`
	Reason string `json:"reason"`
}

func (h *host) groups() []groupRow {
	h.t.Helper()
	return slices.DeleteFunc(decode[[]groupRow](h.t, h.must("list", "placement-groups", "--limit=10000", "--json", "--address", h.address)),
		func(g groupRow) bool { return g.State == "REMOVED" })
}

// awaitUnreserved waits until no group is left, and nothing of the nodes is in use.
func (h *host) awaitUnreserved() time.Duration {
	h.t.Helper()
	var s statusRow
	var left []groupRow
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("groups %+v; status %+v", left, s)
		}
	})
	return until(h.t, "nothing is reserved", func() bool {
		s, left = h.status(), h.groups()
		return len(left) == 0 && len(s.Waiting) == 0 && s.Total["CPU"] == s.Available["CPU"] && len(h.workers()) == 0
	})
}

// killedAmongGroups: a part of TestLeaderKilled.
func killedAmongGroups(t *testing.T, c *heads) {
	const n = 300
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	began := time.Now()
	x := c.begin("submit", groupsJob, "--", "--dir", dir, "--groups", fmt.Sprint(n))
	until(t, "tasks run", func() bool { return exists(ran) })
	kills := c.killLeaders(x, func() int {
		all, _ := lines(t, ran)
		return all
	})
	if r := x.wait(); r.code != 0 || r.out != fmt.Sprintf("groups %d\n", n) {
		t.Errorf("%v", r)
	}
	if kills == 0 {
		t.Error("the job was over before a leader was killed")
	}
	if all, distinct := lines(t, ran); all != distinct || distinct != 2*(n-n/5) {
		t.Errorf("%d tasks ran, %d different", all, distinct)
	}
	t.Logf("%d groups, %d leaders killed: %v", n, kills, time.Since(began).Round(time.Millisecond))
	c.awaitUnreserved()
}

// TestGroupsLeakNothing kills heads, nodes and drivers while groups are made, used and
// removed: no group fails for it, and in the end nothing is reserved.
func TestGroupsLeakNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	h := newHost(t)
	h.startHead()
	h.startNode()
	h.startNode()
	begin := func(args ...string) (c *command, dir string) {
		dir, err := os.MkdirTemp(h.dir, "groups")
		if err != nil {
			t.Fatal(err)
		}
		c = h.begin(append([]string{"submit", groupsJob, "--address", h.address, "--", "--dir", dir}, args...)...)
		until(t, "tasks run", func() bool { return exists(filepath.Join(dir, "ran")) })
		return c, dir
	}
	more := func(dir string) { // some more tasks
		all, _ := lines(t, filepath.Join(dir, "ran"))
		until(t, "tasks run", func() bool { n, _ := lines(t, filepath.Join(dir, "ran")); return n > all+chance.IntN(20) })
	}
	c, dir := begin()
	driver := h.jobs()[0].Node
	for range 3 {
		more(dir)
		was := h.head()
		h.kill(was.PID)
		until(t, "the head is gone", func() bool { return !alive(was.PID) })
		h.restartHead(was)
		more(dir)
		victims := slices.DeleteFunc(h.nodes(), func(n nodeRow) bool { return n.ID == driver || n.State != "ALIVE" || n.Head })
		h.kill(victims[chance.IntN(len(victims))].PID)
		h.startNode()
	}
	more(dir)
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.wait(); r.code != 0 || !strings.HasPrefix(r.out, "groups ") {
		t.Errorf("%v", r)
	}
	t.Log("nothing is reserved after", h.awaitUnreserved())

	// The creator is killed at any step.
	for range 3 {
		c, dir = begin("--detached")
		more(dir)
		jobs := slices.DeleteFunc(h.jobs(), func(j jobRow) bool { return j.Status != "RUNNING" })
		h.kill(jobs[0].PID)
		c.wait()
		until(t, "only the detached group is left", func() bool {
			left := h.groups()
			s := h.status()
			return len(left) == 1 && left[0].Name == "left" && left[0].State == "CREATED" && s.Total["CPU"] == s.Available["CPU"]+0.5
		})
		h.must("submit", groupsRemoveJob, "--address", h.address)
		t.Log("nothing is reserved after", h.awaitUnreserved())
	}
}

const groupsRemoveJob = "./e2e/testdata/groups/remove"
