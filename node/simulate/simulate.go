package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

// Config is what is simulated.
type Config struct {
	Workload    string
	Strategy    sched.StrategyKind // of demands that have none of their own: Pack or Spread
	Nodes       int
	Jobs        int
	Tasks       int      // of all jobs; for gangs, bundles
	Weights     []uint32 // of the first jobs; the others have 1
	Seed        uint64
	Delay       time.Duration // of a message between hosts
	WorkerStart time.Duration // of a worker's process
}

// Result is what came of it.
type Result struct {
	Workload    string  `json:"workload"`
	Strategy    string  `json:"strategy"`
	Nodes       int     `json:"nodes"`
	Jobs        int     `json:"jobs"`
	Tasks       int     `json:"tasks"`
	Makespan    float64 `json:"makespan_s"`  // virtual seconds, from the first task's coming to the last one's end
	Utilisation float64 `json:"utilisation"` // of all CPUs, while tasks waited
	Jain        float64 `json:"jain"`        // of CPU time by weight, while all jobs had tasks waiting; 1 is fair
	WaitP50     float64 `json:"wait_p50_s"`  // of a task, from its coming to its beginning
	WaitP99     float64 `json:"wait_p99_s"`
	SmallMax    float64 `json:"wait_small_max_s"` // the longest wait of a task of any job but the largest
	PlaceP50    float64 `json:"place_p50_us"`     // CPU time of a decision
	PlaceP99    float64 `json:"place_p99_us"`
	Decisions   int     `json:"decisions"`
	Refusals    int     `json:"refusals"` // by nodes whose room was taken meanwhile
	Retries     int     `json:"retries"`  // of tasks whose node died
	Events      uint64  `json:"events"`
	Took        float64 `json:"took_s"` // seconds of this machine
}

// cluster is a simulation that runs.
type cluster struct {
	events
	cfg     Config
	rand    *rand.Rand
	seed    uint64
	leader  *leader
	nodes   []*node
	owners  []*owner
	classes map[account.Key]*class
	weights map[ids.JobID]uint32
	total   sched.Resources
	left    int // tasks and groups that aren't done

	result     Result
	waits      histogram
	times      histogram
	groupTimes histogram
	began      time.Time // the decision under way, by the machine's clock

	cpus       float64       // of all nodes
	inUse      float64       // of them
	backlogged int           // jobs with tasks waiting
	settled    time.Duration // up to when these are counted:
	busyTime   float64       // CPU-seconds in use while tasks waited
	waitTime   float64       // seconds in which tasks waited
	running    map[*owner]float64
}

// Run simulates to the end of all tasks, or of ctx.
func Run(ctx context.Context, cfg Config) (Result, error) {
	w, err := find(cfg.Workload)
	if err != nil {
		return Result{}, err
	}
	if cfg.Nodes < 1 || cfg.Jobs < 1 || cfg.Jobs > cfg.Nodes || cfg.Tasks < cfg.Jobs {
		return Result{}, fmt.Errorf("%d nodes, %d jobs, %d tasks: want at least one node a job, and one task", cfg.Nodes, cfg.Jobs, cfg.Tasks)
	}
	began := time.Now()
	c := &cluster{
		cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 1)), seed: cfg.Seed, classes: map[account.Key]*class{},
		weights: map[ids.JobID]uint32{}, running: map[*owner]float64{},
	}
	w.load(c)
	for n := 0; c.left > 0; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return Result{}, fmt.Errorf("simulate %s: %w", w.name, ctx.Err())
		}
		if !c.step() {
			return Result{}, fmt.Errorf("simulate %s: %d tasks or groups wait for ever", w.name, c.left)
		}
	}
	makespan := c.now
	for c.step() { // leases are given back
	}
	if err := c.check(); err != nil {
		return Result{}, fmt.Errorf("simulate %s: %w", w.name, err)
	}
	return c.measure(makespan, time.Since(began)), nil
}

// build makes the nodes, of machines in turn, and an owner a job.
func (c *cluster) build(kinds ...*machine) {
	c.leader = newLeader(c, c.cfg.Nodes)
	for i := range c.cfg.Nodes {
		kind := kinds[i%len(kinds)]
		c.total = c.total.Add(kind.total)
		c.cpus += float64(kind.cpus())
		c.nodes = append(c.nodes, c.addNode(ids.NodeID(i+1), kind))
	}
	for i, at := range c.rand.Perm(c.cfg.Nodes)[:c.cfg.Jobs] {
		o := &owner{c: c, node: c.nodes[at], job: ids.JobID(i + 1), weight: 1}
		if i < len(c.cfg.Weights) {
			o.weight = float64(max(1, c.cfg.Weights[i]))
			c.weights[o.job] = c.cfg.Weights[i]
			o.node.book.Weigh(o.job, c.cfg.Weights[i])
		}
		o.node.owners = append(o.node.owners, o)
		c.owners = append(c.owners, o)
	}
}

func (c *cluster) node(id ids.NodeID) *node { return c.nodes[id-1] }

func (c *cluster) addClass(o *owner, s *shape) *class {
	key := account.Key{Process: ids.ProcessID{Node: o.node.id, Number: uint32(o.job)}, Class: uint32(len(o.classes) + 1)}
	k := &class{c: c, owner: o, key: key, shape: s, place: s.place}
	if k.place.Strategy == sched.Pack {
		k.place.Strategy = c.cfg.Strategy
	}
	o.classes = append(o.classes, k)
	c.classes[key] = k
	return k
}

// expect counts tasks that an owner will submit.
func (c *cluster) expect(o *owner, n int) {
	o.left += n
	c.left += n
	c.result.Tasks += n
}

// ended counts a task that is done.
func (c *cluster) ended(o *owner) {
	c.left--
	if o.left--; o.left == 0 {
		o.done = c.now
	}
}

// kill ends a node with all that it runs; another takes its place after a while.
func (c *cluster) kill(n *node) {
	n.dead = true
	n.life++
	leases := make([]*lease, 0, len(n.leases))
	for _, o := range c.owners {
		for _, k := range o.classes {
			for _, l := range k.leases {
				if l.at == n {
					leases = append(leases, l)
				}
			}
		}
	}
	for l := range n.leases { // on their way to their owners
		if !l.over {
			l.over = true
		}
	}
	for _, l := range leases {
		l.over = false
		l.of.lost(l)
	}
	c.after(c.cfg.Delay, func() {
		c.leader.lost(n)
		for _, o := range c.owners {
			o.node.book.Bury(n.id)
			o.node.schedule()
		}
	})
	c.after(5*time.Second, n.begin)
}

// settle counts the time since it was last called.
func (c *cluster) settle() {
	dt := (c.now - c.settled).Seconds()
	c.settled = c.now
	if dt == 0 || c.backlogged == 0 && len(c.leader.groups) == 0 {
		return
	}
	c.waitTime += dt
	c.busyTime += dt * c.inUse
	if c.backlogged == len(c.owners) {
		for _, o := range c.owners {
			o.served += dt * c.running[o]
		}
	}
}

// busy counts CPUs that a job's task begins or ends to use.
func (c *cluster) busy(o *owner, cpus float64) {
	c.settle()
	c.inUse += cpus
	c.running[o] += cpus
}

// decided takes the time of a decision.
func (c *cluster) decided() {
	now := time.Now()
	c.times.add(now.Sub(c.began))
	c.began = now
}

// check finds what was left behind.
func (c *cluster) check() error {
	for _, n := range c.nodes {
		if err := n.book.Ledger.Check(); err != nil {
			return fmt.Errorf("n%d: %w", n.id, err)
		}
		if held := n.book.Ledger.Holds(); held > 0 {
			return fmt.Errorf("n%d still holds %v for %d", n.id, n.book.Ledger.Used(), held)
		}
		if n.book.Queue.Len() > 0 {
			return fmt.Errorf("n%d: %d demands are left", n.id, n.book.Queue.Len())
		}
	}
	return nil
}
