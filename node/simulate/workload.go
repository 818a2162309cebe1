package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/sched"
)

// machine is a kind of node.
type machine struct {
	has    account.Amounts
	total  sched.Resources
	labels map[string]string
}

func newMachine(labels map[string]string, has map[string]int64) *machine {
	m := &machine{has: account.Amounts{}, labels: labels}
	for name, n := range has {
		m.has[name] = n * account.Unit
	}
	m.total = sched.FromUnits(m.has)
	return m
}

func (m *machine) cpus() int { return int(m.has[account.CPU] / account.Unit) }

// shape is a kind of task.
type shape struct {
	name  string
	wants account.Amounts
	cpus  float64
	mean  time.Duration // of a run; the times are spread exponentially
	place sched.Demand
}

func newShape(name string, mean time.Duration, wants map[string]int64, place sched.Demand) *shape {
	s := &shape{name: name, mean: mean, wants: account.Amounts{}, place: place}
	for resource, tenths := range wants {
		s.wants[resource] = tenths * account.Unit / 10
	}
	s.cpus = float64(s.wants[account.CPU]) / account.Unit
	s.place.Resources = sched.FromUnits(s.wants)
	return s
}

// takes draws how long a run takes: at least a tenth of the mean, at most ten times it.
func (s *shape) takes(r *rand.Rand) time.Duration {
	return time.Duration(float64(s.mean) * min(max(-math.Log(1-r.Float64()), 0.1), 10))
}

// workload is a load on a cluster.
type workload struct {
	name string
	says string
	load func(c *cluster)
}

var workloads = []workload{
	{"short", "all jobs have their share of many short tasks at once", loadShort},
	{"bursts", "jobs submit in bursts, at times of their own", loadBursts},
	{"mixed", "machines with GPUs, with much memory, and plain ones; tasks of six shapes, some by label", loadMixed},
	{"skew", "one job has nearly all tasks, the others come later with ten each", loadSkew},
	{"gangs", "placement groups of 8 to 100 bundles that live a while", loadGangs},
	{"failures", "short tasks while nodes die and come back", loadFailures},
}

// Workloads gives the names of the loads, and what they are.
func Workloads() (names, says []string) {
	for _, w := range workloads {
		names, says = append(names, w.name), append(says, w.says)
	}
	return names, says
}

const cpusEach = 16 // of a plain machine

func plain() *machine {
	return newMachine(nil, map[string]int64{"CPU": cpusEach, "memory": 64 << 30})
}

// oneCPU is the shape of plain tasks. Long enough on average that all the cluster is of use.
func oneCPU(mean time.Duration) *shape {
	return newShape("one", mean, map[string]int64{"CPU": 10}, sched.Demand{})
}

func (c *cluster) evenly(mean time.Duration) {
	s := oneCPU(mean)
	for i, o := range c.owners {
		k := c.addClass(o, s)
		n := c.cfg.Tasks / len(c.owners)
		if i < c.cfg.Tasks%len(c.owners) {
			n++
		}
		c.expect(o, n)
		c.after(time.Duration(i)*time.Millisecond, func() { k.submit(n) })
	}
}

func loadShort(c *cluster) {
	c.build(plain())
	c.evenly(100 * time.Millisecond)
}

func loadBursts(c *cluster) {
	c.build(plain())
	s := oneCPU(50 * time.Millisecond)
	const bursts = 10
	for _, o := range c.owners {
		k := c.addClass(o, s)
		left := c.cfg.Tasks / len(c.owners)
		c.expect(o, left)
		for b := range bursts {
			n := left
			if b < bursts-1 {
				n = min(left, c.cfg.Tasks/len(c.owners)/bursts*2*c.rand.IntN(100)/100)
			}
			if left -= n; n > 0 {
				c.after(time.Duration(c.rand.Int64N(int64(20*time.Second))), func() { k.submit(n) })
			}
		}
	}
}

func loadMixed(c *cluster) {
	gpu := newMachine(map[string]string{"accelerator": "a100", "zone": "b"}, map[string]int64{"CPU": 32, "GPU": 8, "memory": 256 << 30})
	big := newMachine(map[string]string{"zone": "a"}, map[string]int64{"CPU": 64, "memory": 1 << 40})
	small := newMachine(map[string]string{"zone": "a"}, map[string]int64{"CPU": 8, "memory": 32 << 30})
	c.build(small, small, small, small, small, small, big, big, gpu, gpu)
	zone := []sched.Selector{{Key: "zone", Op: sched.In, Values: []string{"a"}}}
	shapes := []*shape{
		newShape("one", 50*time.Millisecond, map[string]int64{"CPU": 10}, sched.Demand{}),
		newShape("half", 20*time.Millisecond, map[string]int64{"CPU": 5}, sched.Demand{}),
		newShape("four", 200*time.Millisecond, map[string]int64{"CPU": 40, "memory": 10 * (8 << 30)}, sched.Demand{}),
		newShape("gpu", 60*time.Millisecond, map[string]int64{"CPU": 10, "GPU": 10}, sched.Demand{}),
		newShape("part", 40*time.Millisecond, map[string]int64{"CPU": 10, "GPU": 5}, sched.Demand{}),
		newShape("zone", 50*time.Millisecond, map[string]int64{"CPU": 10}, sched.Demand{Selector: zone}),
	}
	for i, o := range c.owners {
		each := c.cfg.Tasks / len(c.owners) / len(shapes)
		for _, s := range shapes {
			k := c.addClass(o, s)
			c.expect(o, each)
			c.after(time.Duration(i)*time.Millisecond, func() { k.submit(each) })
		}
	}
}

func loadSkew(c *cluster) {
	c.build(plain())
	s := oneCPU(100 * time.Millisecond)
	for i, o := range c.owners {
		k := c.addClass(o, s)
		n, at := 10, 2*time.Second+time.Duration(i)*10*time.Millisecond
		if i == 0 {
			n, at = max(1, c.cfg.Tasks-10*(len(c.owners)-1)), 0
		}
		c.expect(o, n)
		c.after(at, func() { k.submit(n) })
	}
}

func loadGangs(c *cluster) {
	c.build(plain())
	c.owners = nil
	one := oneCPU(time.Second).place.Resources
	bundles := 0
	for at := time.Duration(0); bundles < c.cfg.Tasks; at += time.Duration(c.rand.Int64N(int64(2 * time.Second * 64 / time.Duration(c.cfg.Nodes*cpusEach)))) {
		g := &group{kind: sched.BundleStrategy(c.rand.IntN(2)), takes: time.Second + time.Duration(c.rand.Int64N(int64(2*time.Second)))}
		n := min(8+c.rand.IntN(93), c.cfg.Nodes*cpusEach/2)
		g.bundles = slices.Repeat([]sched.Bundle{{Resources: one}}, n)
		bundles += n
		c.left++
		c.result.Tasks += n
		c.after(at, func() {
			g.came = c.now
			c.leader.groups = append(c.leader.groups, g)
			c.leader.placeGroups()
		})
	}
}

func loadFailures(c *cluster) {
	c.build(plain())
	c.evenly(200 * time.Millisecond)
	spared := map[ids.NodeID]bool{}
	for _, o := range c.owners {
		spared[o.node.id] = true
	}
	every := max(time.Millisecond, 100*time.Second/time.Duration(c.cfg.Nodes)) // each node once in 100 s
	var fail func()
	fail = func() {
		if c.left == 0 {
			return
		}
		if n := c.nodes[c.rand.IntN(len(c.nodes))]; !n.dead && !spared[n.id] {
			c.kill(n)
		}
		c.after(every, fail)
	}
	c.after(time.Second, fail)
}

func find(name string) (workload, error) {
	for _, w := range workloads {
		if w.name == name {
			return w, nil
		}
	}
	names, _ := Workloads()
	return workload{}, fmt.Errorf("no workload %q: there are %v", name, names)
}
