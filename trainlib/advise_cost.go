package trainlib

import (
	"math"
	"math/bits"
	"time"
)

// mostWorkers is up to how many workers Advise looks at all ways to divide them.
const mostWorkers = 4096

const (
	bucketBytes = 1 << 20 // parallel.Options' usual bucket
	localEvery  = 8       // steps between synchronisations that local SGD is looked at with
	staleBound  = 2       // steps that stale servers let workers be apart
	micros      = 4       // for each stage, as parallel.Pipeline's
	longest     = 1 << 60 // nanoseconds that anything takes: sums of a few don't overflow
)

// estimate computes what plans take.
type estimate struct {
	m ModelFacts
	d DataFacts
	c ClusterFacts
}

// all is every plan there is.
func (e estimate) all() []Plan {
	var plans []Plan
	add := func(k PlanKind, data, tensor, pipeline int) { plans = append(plans, e.plan(k, data, tensor, pipeline)) }
	for _, n := range e.counts() {
		if n == 1 {
			add(PlanOne, 1, 1, 1)
			continue
		}
		for tensor := 1; tensor <= n; tensor++ {
			if n%tensor != 0 || tensor > 1 && e.m.Divides == 0 {
				continue
			}
			for pipeline := 1; pipeline <= n/tensor; pipeline++ {
				data := n / tensor / pipeline
				if n/tensor%pipeline != 0 || pipeline > max(1, e.m.Stages) || !e.d.PerWorker && data > e.d.Batch {
					continue
				}
				switch {
				case tensor == 1 && pipeline == 1:
					add(PlanAllReduce, n, 1, 1)
					add(PlanZeRO, n, 1, 1)
					add(PlanServer, n, 1, 1)
					if e.d.Inexact {
						add(PlanLocal, n, 1, 1)
						add(PlanStale, n, 1, 1)
						add(PlanAsync, n, 1, 1)
					}
				case data == 1 && pipeline == 1:
					add(PlanTensor, 1, tensor, 1)
				case data == 1 && tensor == 1:
					add(PlanPipeline, 1, 1, pipeline)
				default:
					add(PlanMesh, data, tensor, pipeline)
				}
			}
		}
	}
	return plans
}

// counts are the numbers of workers that are looked at: all on one node, then whole nodes.
func (e estimate) counts() []int {
	var all []int
	for n := 1; n <= e.c.Workers; n++ {
		if n <= 16 || n&(n-1) == 0 || n == e.c.Workers {
			all = append(all, n)
		}
	}
	for n := 2; n <= e.c.Nodes; n++ {
		if n <= 16 || n&(n-1) == 0 || n == e.c.Nodes {
			all = append(all, n*e.c.Workers)
		}
	}
	return all
}

// plan computes what a way to train takes, with so many workers along each axis. Places are those of parallel.Shape.
func (e estimate) plan(k PlanKind, data, tensor, pipeline int) Plan {
	p := Plan{Kind: k, Data: data, Tensor: tensor, Pipeline: pipeline, Micros: 1}
	workers := p.Workers()
	crowd := min(workers, e.c.Workers)
	slow := max(1, float64(crowd)/float64(e.c.Cores))
	if crowd > 1 {
		slow *= 1 + e.c.Contention*float64(crowd-1)/float64(e.c.Workers-1)
	}
	spare := e.c.Cores > crowd // cores for what goes on behind computing

	n := e.d.Batch // samples of a replica
	if !e.d.PerWorker {
		n = (n + data - 1) / data
		p.Samples = e.d.Batch
	} else {
		p.Samples = n * data
	}
	if pipeline > 1 {
		p.Micros = min(n, micros*pipeline)
	}

	// A replica's work, divided by layers and within them, and what a pipeline idles while it fills and empties.
	sample := float64(e.m.Sample) * (1 - e.m.Divides + e.m.Divides/float64(tensor)) / float64(pipeline)
	once := float64(e.m.Fixed) / float64(pipeline) * float64(p.Micros)
	compute := (float64(n)*sample + once) * float64(p.Micros+pipeline-1) / float64(p.Micros) * slow
	p.Compute = nanoseconds(compute)
	if workers > 1 {
		p.Wait = nanoseconds(compute * e.c.Uneven / evens(k))
	}

	divided := 1 - e.m.Divides + e.m.Divides/float64(tensor)
	mine := float64(e.m.Parameters) / float64(pipeline) * divided
	gradient := mine * float64(e.m.Number)
	updating := float64(e.m.Update) / float64(pipeline) * divided * slow

	var visible, hidden float64
	if data > 1 {
		net := e.axis(tensor, data)
		// Of a pipeline's passes only the last leaves gradients complete.
		v, h := e.join(k, net, data, gradient, compute*2/3/float64(p.Micros), spare || net.nodes > 1)
		visible, hidden = visible+v, hidden+h
	}
	if tensor > 1 {
		net := e.axis(1, tensor)
		sums := float64(e.m.Sums) / float64(pipeline) * float64(p.Micros)
		visible += net.allReduce(float64(n)*float64(e.m.Summed)/float64(pipeline)) - net.rounds() + sums*net.rounds()
	}
	if pipeline > 1 {
		link := e.axis(tensor*data, pipeline).sends()
		micro := float64(link.Latency) + float64(n)/float64(p.Micros)*float64(e.m.Boundary)/link.Bandwidth*1e9
		fill, steady := 2*float64(pipeline-1)*micro, 2*float64(p.Micros-1)*micro
		visible += fill
		if spare {
			over := max(0, steady-compute/3)
			visible, hidden = visible+over, hidden+steady-over
		} else {
			visible += steady
		}
	}
	p.Communicate, p.Hidden = nanoseconds(visible), nanoseconds(hidden)

	state := float64(e.m.State)
	switch k {
	case PlanZeRO:
		state /= float64(data)
		updating /= float64(data)
	case PlanServer, PlanStale, PlanAsync:
		net := e.axis(tensor, data)
		state = (1 + state) / float64(net.each) // the server's own values, too, divided among those of its node
		updating /= float64(net.nodes)
		if k != PlanServer {
			// A server makes an update of each gradient, on cores that workers use.
			work := updating + net.served(1, gradient)
			busy := float64(data) * work
			if net.nodes == 1 {
				busy = max(busy, float64(data)*(compute/slow+work)/float64(e.c.Cores))
			}
			p.Communicate = max(p.Communicate, nanoseconds(busy-compute-updating))
		}
	case PlanLocal:
		p.Every = localEvery
	}
	p.Update = nanoseconds(updating)
	flight := float64(n)
	if pipeline > 1 {
		flight = float64(n) / float64(p.Micros) * float64(min(p.Micros, pipeline))
	}
	p.Memory = int64(mine*float64(e.m.Number)*(2+state) + flight*float64(e.m.Activations)/float64(pipeline)*divided)
	p.Fits = e.c.Memory == 0 || p.Memory <= e.c.Memory
	return p
}

// nanoseconds is a duration, at most one of which several can be added.
func nanoseconds(n float64) time.Duration { return time.Duration(min(n, 1<<60)) }

// evens is by how much less workers wait for the slowest than if they did so in each step: what makes steps uneven is taken to be
// another thing each time.
func evens(k PlanKind) float64 {
	switch k {
	case PlanLocal:
		return math.Sqrt(localEvery)
	case PlanStale:
		return 1 + staleBound
	case PlanAsync:
		return math.Inf(1)
	}
	return 1
}

// join is what joining gradients takes, in nanoseconds: what is seen of it, and what is hidden behind a backward pass.
func (e estimate) join(k PlanKind, net network, members int, bytes, backward float64, overlaps bool) (visible, hidden float64) {
	if k == PlanAllReduce || k == PlanMesh {
		if (e.c.Shared != LinkFacts{}) && net.nodes == 1 {
			net.within = e.c.Shared
		}
	}
	all := net.allReduce(bytes)
	switch k {
	case PlanLocal:
		return (all + net.rounds()) / localEvery, 0 // weights come first
	case PlanServer:
		return 2*float64(net.sends().Latency) + net.served(members, bytes), 0
	case PlanStale, PlanAsync:
		return 2*float64(net.sends().Latency) + net.served(1, bytes), 0
	case PlanZeRO:
		all += net.rounds() // losses are joined by themselves
	}
	if buckets := bytes / bucketBytes; overlaps && buckets > 1 {
		joined := all
		if k == PlanZeRO {
			joined /= 2 // the parameters' way back comes after
		}
		// All buckets but the last, which is complete when the pass is over.
		hidden = min(joined*(1-1/buckets), backward)
	}
	return all - hidden, hidden
}

// network is what members of an axis of a mesh reach each other by.
type network struct {
	within, between LinkFacts
	alone           LinkFacts // within a node, from one to one
	each            int       // members on a node
	nodes           int
}

// axis is of members whose ranks are stride apart.
func (e estimate) axis(stride, members int) network {
	each := min(members, max(1, e.c.Workers/stride))
	alone := e.c.Sends
	if (alone == LinkFacts{}) {
		alone = e.c.Within
	}
	return network{e.c.Within, e.c.Between, alone, each, (members + each - 1) / each}
}

// sends is what messages from one to one take: the slowest of them.
func (w network) sends() LinkFacts {
	if w.nodes > 1 {
		return w.between
	}
	return w.alone
}

// served is what servers, one on each node, take in the gradients of some members and give back: no rounds, but each server has all that's its part
// go through it.
func (w network) served(members int, bytes float64) float64 {
	return 2 * float64(members) * bytes / float64(w.nodes) / w.sends().Bandwidth * 1e9
}

// allReduce is what summing up so many bytes takes, in nanoseconds: within nodes, between them, and within again.
func (w network) allReduce(bytes float64) float64 {
	t := w.rounds()
	if w.each > 1 {
		t += ring(bytes, w.each, w.within)
	}
	if w.nodes > 1 {
		t += ring(bytes, w.nodes, w.between)
	}
	return t
}

// rounds is what it takes for a few bytes.
func (w network) rounds() float64 {
	t := 0.0
	if w.each > 1 {
		t += rounds(w.each) * float64(w.within.Latency)
	}
	if w.nodes > 1 {
		t += rounds(w.nodes) * float64(w.between.Latency)
	}
	return t
}

// rounds is how many messages come after each other, forth and back.
func rounds(members int) float64 { return float64(2 * bits.Len(uint(members-1))) }

// ring is what the bytes take: each goes forth and back but for a member's own.
func ring(bytes float64, members int, l LinkFacts) float64 {
	return 2 * bytes * float64(members-1) / float64(members) / l.Bandwidth * 1e9
}
