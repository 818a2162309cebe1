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
	chaosFor  = flag.Duration("chaos.for", 15*time.Second, "how long TestChaos disturbs the cluster")
	chaosSeed = flag.Uint64("chaos.seed", 0, "of what TestChaos does; 0: one drawn")
)

const chaosJob = "./e2e/testdata/chaos"

// TestChaos runs random graphs of tasks and actors whose answer is known, while
// workers, nodes, heads and the network between them fail at random: the answers
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
	first := c.hosts[0]
	program := first.compile(chaosJob) // before it has to share the machine with a job
	first.patience = *chaosFor + 5*limit
	submitted := c.newGraphs(seed, func(args ...string) *command {
		return first.begin(append([]string{"submit", chaosJob, "--address", first.address, "--"}, args...)...)
	})
	lone := c.newGraphs(seed/2, func(args ...string) *command {
		return first.beginEnv([]string{"GRAY_ADDRESS=" + first.address}, append([]string{program, "--last"}, args...)...)
	})
	done := map[string]int{}
	for end := time.Now().Add(*chaosFor); time.Now().Before(end) && !submitted.over() && !lone.over(); {
		done[c.disturb()]++
	}
	submitted.finish()
	lone.finish() // the detached actor, which outlived the other's job, ends with it
	t.Logf("%d and %d graphs of 96 vertices; %v", submitted.done(), lone.done(), done)
	c.converge(first)
	c.quiet()
}

// graphs is a job of testdata/chaos.
type graphs struct {
	*command
	t   *testing.T
	dir string
}

// newGraphs starts one, and returns when its first graph is done.
func (c *chaos) newGraphs(seed uint64, begin func(args ...string) *command) *graphs {
	c.t.Helper()
	dir := c.t.TempDir()
	g := &graphs{begin("--dir", dir, "--seed", fmt.Sprint(seed%1_000_000)), c.t, dir}
	until(c.t, "the first graph is done", func() bool { return g.done() > 0 || g.over() })
	return g
}

func (g *graphs) done() (all int) {
	g.t.Helper()
	if path := filepath.Join(g.dir, "graphs"); exists(path) {
		all, _ = lines(g.t, path)
	}
	return all
}

// finish has it do no further graph.
func (g *graphs) finish() {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "go"), nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
	if r := g.wait(); r.code != 0 {
		g.t.Error(r)
	}
}

// chaos is what disturbs a cluster. The first host's node has the drivers, and is
// spared: with it their jobs would end.
type chaos struct {
	*quorum
	r *rand.Rand
}

// disturb does one thing, waits a moment, and mends it. It returns what it did.
func (c *chaos) disturb() (what string) {
	c.t.Helper()
	c.revive()
	number := 1 + c.r.IntN(len(c.hosts))
	h := c.hosts[number-1]
	kind := c.r.IntN(14)
	defer func() { c.t.Logf("%s, host %d: %s", time.Now().Format(time.TimeOnly), number, what) }()
	switch {
	case kind < 4:
		if p, ok := c.worker(h); ok {
			send(syscall.SIGKILL, p.pid)
		}
		c.moment(300)
		return "worker killed"
	case kind < 6:
		if p, ok := c.worker(h); ok {
			send(syscall.SIGSTOP, p.pid)
			c.moment(1500)
			send(syscall.SIGCONT, p.pid)
		}
		return "worker paused"
	case kind == 6 && number > 1:
		c.net.cut(number)
		c.moment(6000)
		c.net.mend(number)
		c.moment(1000)
		return "host cut off"
	case kind == 7 && number > 2:
		c.net.part(2, number)
		c.moment(6000)
		c.net.join(2, number)
		return "hosts parted"
	case kind == 8 && number > 1:
		send(syscall.SIGKILL, c.nodes(h)...)
		until(c.t, "the node's workers are gone", func() bool { return len(h.workers()) == 0 })
		c.moment(1000)
		return "node killed"
	case kind == 9 && number > 1:
		pids := c.nodes(h)
		send(syscall.SIGSTOP, pids...)
		c.moment(6000)
		send(syscall.SIGCONT, pids...)
		c.moment(500)
		return "node paused"
	case kind == 10 && number > 1:
		id := c.hosts[0].nodeAt(number).ID
		c.start(number)
		if id != "" {
			c.hosts[0].must("drain", id, "--address", c.hosts[0].address, "--deadline", fmt.Sprint(c.r.IntN(4), "s"))
		}
		return "node replaced"
	case kind == 11 && number <= 3:
		was := h.head()
		h.signal(was.PID, syscall.SIGSTOP)
		c.moment(3000)
		h.signal(was.PID, syscall.SIGCONT)
		c.moment(500)
		return "head paused"
	case kind == 12 && number <= 3:
		was := h.head()
		h.kill(was.PID)
		until(c.t, "the head is gone", func() bool { return !alive(was.PID) })
		c.moment(1000)
		h.restartHead(was)
		return "head killed"
	}
	return "nothing"
}

// nodes are the processes of a host's nodes: one, or none since it was declared dead; a
// head that is started again brings another, if its first one has ended.
func (c *chaos) nodes(h *host) (pids []int) {
	for _, i := range h.daemons("node") {
		if alive(i.PID) {
			pids = append(pids, i.PID)
		}
	}
	return pids
}

// revive starts a node where it was killed, or has ended since it was declared dead.
func (c *chaos) revive() {
	c.t.Helper()
	for i, h := range c.hosts {
		if len(c.nodes(h)) == 0 {
			c.start(i + 1)
		}
	}
}

func (c *chaos) start(number int) {
	c.t.Helper()
	c.hosts[number-1].startNode("--node-ip-address", address(number))
}

// send signals processes that may have ended.
func send(sig syscall.Signal, pids ...int) {
	for _, pid := range pids {
		syscall.Kill(pid, sig)
	}
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
		c.revive()
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
		return alive >= len(c.hosts) && len(s.Waiting) == 0 && len(s.Jobs) == 0
	}) {
		c.t.Errorf("not at rest: %+v", s)
	}
	if groups := first.groups(); len(groups) > 0 {
		c.t.Errorf("groups: %+v", groups)
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
