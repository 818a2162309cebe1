package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/sched"
)

// maxPlaces is how many nodes HeldBy speaks of.
const maxPlaces = 3

// HeldBy says of nodes that could take a demand, but are full, who holds what it lacks
// there: a sentence a node.
func HeldBy(f *Facts, d sched.Demand, platforms []string) []string {
	k := newKnot(f)
	var out []string
	for _, n := range f.Nodes {
		idle := n.Node
		idle.Available = idle.Total
		if len(platforms) > 0 && !slices.Contains(platforms, n.Platform) || !sched.Takes(idle, d) || sched.Takes(n.Node, d) {
			continue
		}
		if len(out) == maxPlaces {
			break
		}
		var lacks, who []string
		for name, want := range d.Resources.All() {
			if want <= n.Available.Get(name) {
				continue
			}
			lacks = append(lacks, name)
			for _, h := range k.holders {
				if h.node == n.ID && h.held.Get(name) > 0 && !slices.Contains(who, h.kind()+h.what) {
					who = append(who, h.kind()+h.what)
				}
			}
		}
		if len(who) > 0 {
			out = append(out, fmt.Sprintf("on %s, %s is held by %s", n.ID, strings.Join(lacks, " and "), named(who)))
		}
	}
	return out
}

// kind says what a holder is, and what it does.
func (h *holder) kind() string {
	switch {
	case h.reserves != "":
		return ""
	case h.forLife && h.idle:
		return "the idle actor "
	case h.forLife:
		return "actor "
	case h.stuck:
		return "the waiting task "
	}
	return "task "
}
