package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gray-runtime/gray/sched"
)

// holder is who holds resources of nodes.
type holder struct {
	what, id string
	job      string
	anyJob   bool // it counts against other jobs, too
	forLife  bool // it lets go only when it ends
	process  Process
	reserves string // the group that it is, if it's one
	node     sched.NodeID
	held     sched.Resources
	idle     bool // it does nothing by itself
	stuck    bool
}

// waiter is what waits for a place, in one shape.
type waiter struct {
	what       string // tasks, actors, placement groups
	names      []string
	ids        []string
	job        string
	demands    []sched.Demand // of a group: its bundles, on their own
	platforms  []string
	starves    bool
	infeasible bool
}

// knot is what a deadlock is looked for in.
type knot struct {
	f        *Facts
	holders  []*holder
	waiters  map[string]*waiter
	waiterOf map[string]*waiter // by id of task or actor
	holderOf map[string]*holder // by id of task or actor
	children map[Process][]*Task
}

// deadlocks finds waiters of what is held by those who wait themselves.
func deadlocks(f *Facts) []Hint {
	k := newKnot(f)
	if len(k.waiters) == 0 {
		return nil
	}
	k.settle()
	var out []Hint
	for _, key := range slices.Sorted(maps.Keys(k.waiters)) {
		if w := k.waiters[key]; w.starves && !w.infeasible {
			if h, ok := k.tell(w); ok {
				out = append(out, h)
			}
		}
	}
	return out
}

func newKnot(f *Facts) *knot {
	k := &knot{
		f: f, waiters: map[string]*waiter{}, waiterOf: map[string]*waiter{}, holderOf: map[string]*holder{}, children: map[Process][]*Task{},
	}
	for i := range f.Tasks {
		t := &f.Tasks[i]
		k.children[t.Owner] = append(k.children[t.Owner], t)
		switch {
		case t.State == Waits && t.Group == "" && k.longEnough(t.Since):
			k.wait("task", t.Function, t.ID, t.Job, []sched.Demand{t.Demand}, t.Platforms)
		case t.State == Runs && t.Actor == "" && t.Node != 0:
			k.hold(&holder{
				what: fmt.Sprintf("%s (%s)", t.Function, t.ID), id: t.ID, job: t.Job, anyJob: true, process: t.Worker, node: t.Node,
				held: heldBy(t.Demand.Resources, t.Blocked, t.Group), stuck: t.Blocked,
			})
		}
	}
	for i := range f.Actors {
		k.addActor(&f.Actors[i])
	}
	for i := range f.Groups {
		k.addGroup(&f.Groups[i])
	}
	return k
}

func (k *knot) addActor(a *Actor) {
	switch {
	case a.State == Waits && a.Group == "":
		name := a.Name
		if name == "" {
			name = a.Class
		}
		k.wait("actor", name, a.ID, a.Job, []sched.Demand{a.Demand}, a.Platforms)
	case a.Node != 0 && (a.State == Idle || a.State == Runs):
		k.hold(&holder{
			what: a.display(), id: a.ID, job: a.Job, anyJob: a.Detached || a.Blocked, forLife: true, process: a.Process, node: a.Node,
			held: heldBy(a.Demand.Resources, a.Blocked, a.Group), idle: a.State == Idle, stuck: a.Blocked || a.State == Idle,
		})
	}
}

func (k *knot) addGroup(g *Group) {
	name := "placement group " + g.ID
	if g.Name != "" {
		name = fmt.Sprintf("placement group %s (%s)", g.Name, g.ID)
	}
	var missing []sched.Demand
	for _, b := range g.Bundles {
		if b.Node == 0 {
			missing = append(missing, sched.Demand{Resources: b.Resources})
			continue
		}
		k.hold(&holder{
			what: name, id: g.ID, job: g.Job, anyJob: g.Detached, forLife: true, reserves: g.ID, node: b.Node, held: b.Resources, idle: true, stuck: true,
		})
	}
	if len(missing) > 0 {
		k.wait("placement group", name, g.ID, g.Job, missing, nil)
	}
}

// longEnough reports whether something has waited for so long that it isn't just about to
// go on.
func (k *knot) longEnough(since time.Time) bool { return since.IsZero() || k.f.Now.Sub(since) >= Grace }

// heldBy is what a process keeps from others: a blocked one lends its CPUs, and one in a
// bundle draws from that.
func heldBy(r sched.Resources, blocked bool, group string) sched.Resources {
	switch {
	case group != "":
		return sched.Resources{}
	case blocked:
		units := r.ToUnits()
		delete(units, "CPU")
		return sched.FromUnits(units)
	}
	return r
}

func (k *knot) hold(h *holder) {
	k.holders = append(k.holders, h)
	k.holderOf[h.id] = h
}

func (k *knot) wait(what, name, id, job string, demands []sched.Demand, platforms []string) {
	key := fmt.Sprint(job, "\x00", what, "\x00", demands, platforms)
	w := k.waiters[key]
	if w == nil {
		w = &waiter{what: what, job: job, demands: demands, platforms: platforms, starves: true}
		k.waiters[key] = w
	}
	if w.ids = append(w.ids, id); !slices.Contains(w.names, name) {
		w.names = append(w.names, name)
	}
	k.waiterOf[id] = w
}

// settle takes out who can go on, until nobody more can.
func (k *knot) settle() {
	for _, w := range k.waiters {
		w.infeasible = !k.fits(w, func(*holder) bool { return false })
	}
	for changed := true; changed; {
		changed = false
		for _, w := range k.waiters {
			if w.starves && k.fits(w, func(h *holder) bool { return h.stuck && (h.anyJob || h.job == w.job) }) {
				w.starves, changed = false, true
			}
		}
		for _, h := range k.holders {
			if h.stuck && k.goesOn(h) {
				h.stuck, changed = false, true
			}
		}
	}
}

// fits reports whether there would be room for a waiter if only some holders were there.
func (k *knot) fits(w *waiter, there func(*holder) bool) bool {
	taken := map[sched.NodeID]sched.Resources{}
	for _, h := range k.holders {
		if there(h) {
			taken[h.node] = taken[h.node].Add(h.held)
		}
	}
	var nodes []sched.Node
	for _, n := range k.f.Nodes {
		if len(w.platforms) > 0 && !slices.Contains(w.platforms, n.Platform) {
			continue
		}
		next := n.Node
		next.Available = next.Total.Sub(taken[n.ID])
		nodes = append(nodes, next)
	}
	s := sched.NewSnapshot(nodes)
	for _, d := range w.demands {
		if sched.Fit(s, d, 0) == 0 {
			return false
		}
	}
	return true
}

// goesOn reports whether a holder is shown to be able to let go.
func (k *knot) goesOn(h *holder) bool {
	if h.reserves != "" {
		return slices.ContainsFunc(k.f.Tasks, func(t Task) bool { return t.Group == h.reserves && k.active(&t, true) }) ||
			slices.ContainsFunc(k.f.Actors, func(a Actor) bool {
				inside := k.holderOf[a.ID]
				return a.Group == h.reserves && inside != nil && !inside.stuck
			})
	}
	waits := false
	for _, t := range k.children[h.process] {
		if t.State == Held {
			continue
		}
		if waits = true; k.active(t, false) {
			return true
		}
	}
	return !waits && !h.idle // it waits for something that isn't known
}

// active reports whether a task that somebody waits for may end by itself.
func (k *knot) active(t *Task, ifUnknown bool) bool {
	switch t.State {
	case Held:
		return ifUnknown
	case Waits:
		w := k.waiterOf[t.ID]
		return w == nil || !w.starves
	case Calls:
		w := k.waiterOf[t.Actor]
		return w == nil || !w.starves
	case Runs:
		h := k.holderOf[t.ID]
		if t.Actor != "" {
			h = k.holderOf[t.Actor]
		}
		return h == nil || !h.stuck
	}
	return true
}

// tell puts a deadlock in words: who waits, for what, and who holds that.
func (k *knot) tell(w *waiter) (Hint, bool) {
	var who, ids, lacks []string
	var tasks, lives int
	foreign := false
	seen := map[string]bool{}
	for _, h := range k.holders {
		if !h.stuck || !h.anyJob && h.job != w.job {
			continue
		}
		needs := false
		for _, d := range w.demands {
			for name, want := range d.Resources.All() {
				if want > 0 && h.held.Get(name) > 0 {
					needs = true
					if !slices.Contains(lacks, name) {
						lacks = append(lacks, name)
					}
				}
			}
		}
		if !needs {
			continue
		}
		if !seen[h.id] {
			seen[h.id] = true
			if foreign = foreign || h.job != w.job; h.forLife {
				lives++
			} else {
				tasks++
			}
		}
		who, ids = append(who, fmt.Sprintf("%s on %s", h.what, h.node)), append(ids, h.id)
	}
	if len(who) == 0 {
		return Hint{}, false
	}
	whose := "the same job"
	if foreign {
		whose = "several jobs"
	}
	var kinds []string
	if tasks > 0 {
		kinds = append(kinds, count(tasks, "task")+" of "+whose+plural(tasks, " that waits itself", " that wait themselves"))
	}
	if lives > 0 {
		kinds = append(kinds, k.livesWords(seen, lives)+" of "+whose+plural(lives, ", for as long as it lives", ", for as long as they live"))
	}
	h := Hint{
		Severity: Error, Kind: KindDeadlock, Job: w.job, IDs: append(slices.Clone(w.ids[:min(len(w.ids), maxNamed)]), firstOf(ids, 2*maxNamed)...),
		Sentence: fmt.Sprintf("deadlock in %s, which can't go on by itself: %s (%s) %s for {%s}, and all there is of %s is held by %s: %s",
			w.job, count(len(w.ids), w.what), named(w.names), plural(len(w.ids), "waits", "wait"), demanded(w.demands), named(lacks),
			strings.Join(kinds, " and "), named(who)),
	}
	h.WayOut = "end what holds %s and isn't needed (gray.Kill, or drop the handle), let it ask for less, or add a node that has more"
	if tasks > 0 {
		h.WayOut = "don't hold %s while waiting for tasks that need it, too: ask for less in those that wait, or add a node that has more"
	}
	h.WayOut = fmt.Sprintf(h.WayOut, named(lacks))
	return h, true
}

// livesWords counts actors and placement groups.
func (k *knot) livesWords(ids map[string]bool, n int) string {
	groups := 0
	for _, g := range k.f.Groups {
		if ids[g.ID] {
			groups++
		}
	}
	var parts []string
	if actors := n - groups; actors > 0 {
		parts = append(parts, count(actors, "actor"))
	}
	if groups > 0 {
		parts = append(parts, count(groups, "placement group"))
	}
	return strings.Join(parts, " and ")
}

func firstOf(all []string, n int) []string { return all[:min(len(all), n)] }

// demanded is what demands want, for people: "GPU: 1".
func demanded(all []sched.Demand) string {
	var sum sched.Resources
	for _, d := range all {
		sum = sum.Add(d.Resources)
	}
	var parts []string
	for name, q := range sum.All() {
		parts = append(parts, name+": "+q.String())
	}
	return strings.Join(parts, ", ")
}
