package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gray-runtime/gray/sched"
)

const (
	// slowFactor is how much longer than elsewhere half of a function's runs take on a slow
	// node, and slowBy how much longer at least.
	slowFactor = 3
	slowBy     = 5 * time.Millisecond
	// fewRuns tell nothing.
	fewRuns = 3
	// storeFull is the part of a store in use from which it's spoken of.
	storeFull = 0.95
	// silence of a node that is spoken of.
	silence = time.Second
)

func infeasible(f *Facts) []Hint {
	var out []Hint
	for _, d := range f.Demands {
		if !d.Infeasible {
			continue
		}
		of := ""
		if d.Job != "" {
			of = " of " + d.Job
		}
		out = append(out, Hint{
			Severity: Error, Kind: KindInfeasible, Job: d.Job,
			Sentence: fmt.Sprintf("no node can ever take %s%s (%d × {%s}): %s", cmp.Or(d.What, "it"), of, d.Count, d.Resources, d.Reason),
			WayOut:   "add a node that can, or ask for less",
		})
	}
	return out
}

func deadNodes(f *Facts) []Hint {
	var out []Hint
	for _, n := range f.Dead {
		if n.Left || f.Now.Sub(n.At) > Lately {
			continue
		}
		out = append(out, Hint{
			Severity: Warning, Kind: KindNodeDied, IDs: []string{n.ID.String()},
			Sentence: fmt.Sprintf("node %s died %s ago: %s", n.ID, long(f.Now.Sub(n.At)), firstLine(n.Cause)),
			WayOut:   "see what was lost with it: `gray why " + n.ID.String() + "`",
		})
	}
	return out
}

func disconnected(f *Facts) []Hint {
	var out []Hint
	for _, n := range f.Nodes {
		if n.Silent >= silence {
			out = append(out, Hint{
				Severity: Warning, Kind: KindDisconnected, IDs: []string{n.ID.String()},
				Sentence: fmt.Sprintf("node %s has not been connected to the head that leads for %s: nothing new is placed there", n.ID, long(n.Silent)),
				WayOut:   "look whether it runs and reaches the head; it's declared dead when its lease is over",
			})
		}
	}
	return out
}

func fullStores(f *Facts) []Hint {
	spilled := map[string]int{}
	size := map[string]int64{}
	for i := range f.Objects {
		if o := &f.Objects[i]; o.Spilled {
			spilled[o.Node]++
			size[o.Node] += o.Size
		}
	}
	var out []Hint
	for _, n := range f.Nodes {
		id := n.ID.String()
		full := n.StoreSize > 0 && float64(n.StoreUsed) >= storeFull*float64(n.StoreSize)
		if !full && spilled[id] == 0 {
			continue
		}
		h := Hint{Severity: Info, Kind: KindStoreFull, IDs: []string{id}, WayOut: "see who holds what: `gray memory`"}
		h.Sentence = fmt.Sprintf("node %s's object store has %s of %s in use", id, bytes(n.StoreUsed), bytes(n.StoreSize))
		if full {
			h.Severity = Warning
		}
		if spilled[id] > 0 {
			h.Sentence += fmt.Sprintf("; %s, %s, %s only on disk, which is slower",
				count(spilled[id], "object"), bytes(size[id]), plural(spilled[id], "is", "are"))
		}
		out = append(out, h)
	}
	return out
}

// slowNodes finds nodes on which functions take much longer than on the others.
func slowNodes(f *Facts) []Hint {
	type name struct{ job, function string }
	byName := map[name][]Function{}
	for _, x := range f.Functions {
		if x.Runs >= fewRuns {
			byName[name{x.Job, x.Name}] = append(byName[name{x.Job, x.Name}], x)
		}
	}
	type finding struct {
		Function
		elsewhere time.Duration
	}
	slow := map[sched.NodeID][]finding{}
	for _, all := range byName {
		for i, x := range all {
			others := typical(all, i)
			if others > 0 && x.P50 >= slowFactor*others && x.P50-others >= slowBy {
				slow[x.Node] = append(slow[x.Node], finding{x, others})
			}
		}
	}
	var out []Hint
	for node, found := range slow {
		slices.SortFunc(found, func(a, b finding) int {
			return cmp.Or(-cmp.Compare(factor(a.P50, a.elsewhere), factor(b.P50, b.elsewhere)), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Name, b.Name))
		})
		worst := found[0]
		h := Hint{
			Severity: Warning, Kind: KindSlowNode, Job: worst.Job, IDs: []string{node.String()},
			Sentence: fmt.Sprintf("node %s is slow: %s of %s takes %s there (the median of %s), %.1f× that of the other nodes (%s)",
				node, worst.Name, worst.Job, long(worst.P50), count(worst.Runs, "run"), factor(worst.P50, worst.elsewhere), long(worst.elsewhere)),
			WayOut: fmt.Sprintf("look what else that machine does; `gray drain %s` takes it out", node),
		}
		if more := len(found) - 1; more > 0 {
			h.Sentence += ", and so for " + count(more, "other function")
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Hint) int { return cmp.Compare(a.Sentence, b.Sentence) })
	return out
}

func factor(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// typical is the median, by runs, of a function's medians on all nodes but one; 0: there are
// none.
func typical(all []Function, but int) time.Duration {
	others := slices.Delete(slices.Clone(all), but, but+1)
	slices.SortFunc(others, func(a, b Function) int { return cmp.Compare(a.P50, b.P50) })
	total := 0
	for _, o := range others {
		total += o.Runs
	}
	seen := 0
	for _, o := range others {
		if seen += o.Runs; 2*seen >= total {
			return o.P50
		}
	}
	return 0
}
