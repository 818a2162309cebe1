package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

var (
	chaosFor  = flag.Duration("chaos.for", 20*time.Second, "how long TestChaos disturbs the cluster")
	chaosSeed = flag.Uint64("chaos.seed", 0, "of what TestChaos does; 0: one drawn")
)

const chaosJob = "./e2e/testdata/chaos"

// TestChaos runs random graphs of tasks and actors whose answer is known, while
// workers, nodes and heads are killed, paused and cut off at random: the answers
// are right, and nothing is left in the end.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -chaos.seed=%d -chaos.for=%v", seed, *chaosFor)
	c := &chaos{quorum: newQuorum(t, 5), r: rand.New(rand.NewPCG(seed, 0))}
	for _, h := range c.hosts[3:] {
		h.startNode()
	}
	first, dir := c.hosts[0], t.TempDir()
	first.patience = *chaosFor + 4*limit
	x := first.begin("submit", chaosJob, "--address", first.address, "--", "--dir", dir, "--seed", fmt.Sprint(seed%1_000_000))
	graphs := filepath.Join(dir, "graphs")
	until(t, "the first graph is done", func() bool { return exists(graphs) && count(t, graphs) > 0 || x.over() })
	done := map[string]int{}
	for end := time.Now().Add(*chaosFor); time.Now().Before(end) && !x.over(); {
		done[c.disturb()]++
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := x.wait(); r.code != 0 {
		t.Error(r)
	}
	t.Logf("%d graphs of 96 vertices; %v", count(t, graphs), done)
	c.converge(first)
	c.quiet()
}

func count(t *testing.T, path string) int {
	t.Helper()
	all, _ := lines(t, path)
	return all
}

// chaos is what disturbs a cluster. The first host's node has the driver, and is
// spared.
type chaos struct {
	*quorum
	r *rand.Rand
}

// disturb does one thing, waits a moment, and mends it. It returns what it did.
func (c *chaos) disturb() string {
	c.t.Helper()
	number := 1 + c.r.IntN(len(c.hosts))
	h := c.hosts[number-1]
	switch kind := c.r.IntN(10); {
	case kind < 4:
		if p, ok := c.worker(h); ok {
			syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended
		}
		c.moment(300)
		return "worker killed"
	case kind < 6:
		if p, ok := c.worker(h); ok {
			syscall.Kill(p.pid, syscall.SIGSTOP)
			c.moment(1500)
			syscall.Kill(p.pid, syscall.SIGCONT)
		}
		return "worker paused"
	case kind == 6 && number > 1:
		c.net.cut(number)
		c.moment(6000)
		c.net.mend(number)
		c.moment(1000)
		return "host cut off"
	case kind == 7 && number > 3:
		h.kill(h.daemons("node")[0].PID)
		until(c.t, "the node's workers are gone", func() bool { return len(h.processes()) == 0 })
		c.moment(1000)
		h.startNode()
		return "node killed"
	case kind == 8 && number <= 3:
		was := h.head()
		h.signal(was.PID, syscall.SIGSTOP)
		c.moment(3000)
		h.signal(was.PID, syscall.SIGCONT)
		c.moment(500)
		return "head paused"
	case kind == 9 && number <= 3:
		was := h.head()
		h.kill(was.PID)
		until(c.t, "the head is gone", func() bool { return !alive(was.PID) })
		c.moment(1000)
		h.restartHead(was)
		return "head killed"
	}
	return "nothing"
}

// worker is a task's or an actor's process on a host.
func (c *chaos) worker(h *host) (process, bool) {
	all := h.workers()
	if len(all) == 0 {
		return process{}, false
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	return all[c.r.IntN(len(all))], true
}

// moment waits up to so many milliseconds.
func (c *chaos) moment(most int) {
	<-time.After(time.Duration(1+c.r.IntN(most)) * time.Millisecond)
}

// quiet checks that nothing of any job is left: no process, reservation, task, actor
// or object.
func (c *chaos) quiet() {
	c.t.Helper()
	first := c.hosts[0]
	var s statusRow
	if !settled(func() bool {
		s = first.status()
		alive := 0
		for _, n := range s.Nodes {
			if n.State != "ALIVE" {
				continue
			}
			alive++
			for name, total := range n.Total {
				if n.Available[name] != total {
					return false
				}
			}
		}
		return alive == len(c.hosts) && len(s.Waiting) == 0 && len(s.Jobs) == 0
	}) {
		c.t.Errorf("not at rest: %+v", s)
	}
	if tasks := first.tasks(); len(tasks) > 0 {
		c.t.Errorf("tasks: %+v", tasks)
	}
	if objects := first.objects(); len(objects) > 0 {
		c.t.Errorf("objects: %+v", objects)
	}
	for _, a := range first.actors() {
		if a.State != "DEAD" {
			c.t.Errorf("actor %+v", a)
		}
	}
	for _, h := range c.hosts {
		if left := h.workers(); len(left) > 0 {
			c.t.Errorf("processes: %v", left)
		}
	}
}
