package diagnose

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/sched"
)

var noon = time.Unix(1_800_000_000, 0)

func amounts(t testing.TB, m map[string]float64) sched.Resources {
	t.Helper()
	r, err := sched.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func needs(t testing.TB, name string, n float64) sched.Demand {
	t.Helper()
	return sched.Demand{Resources: amounts(t, map[string]float64{name: n})}
}

// node has 2 CPUs and a GPU; what is available there is left to who needs it.
func node(t testing.TB, id sched.NodeID) Node {
	t.Helper()
	total := amounts(t, map[string]float64{"CPU": 2, "GPU": 1})
	return Node{Node: sched.Node{ID: id, Total: total, Available: total}}
}

func kinds(hints []Hint) []string {
	out := []string{}
	for _, h := range hints {
		out = append(out, h.Kind)
	}
	return out
}

// parents is a cluster whose only GPU is held by a task that waits for one that wants it.
func parents(t testing.TB) *Facts {
	t.Helper()
	return &Facts{
		Now: noon, Nodes: []Node{node(t, 1)},
		Tasks: []Task{
			{ID: "p", Function: "main.parent", Job: "j1", State: Runs, Owner: "n1.p1", Node: 1, Worker: "n1.p2", Blocked: true, Demand: needs(t, "GPU", 1)},
			{ID: "c", Function: "main.child", Job: "j1", State: Waits, Owner: "n1.p2", Demand: needs(t, "GPU", 1)},
		},
	}
}

func TestDeadlockOfTasks(t *testing.T) {
	f := parents(t)
	hints := Hints(f)
	if len(hints) != 1 || hints[0].Kind != KindDeadlock || hints[0].Severity != Error || hints[0].Job != "j1" {
		t.Fatalf("%+v", hints)
	}
	for _, words := range []string{"deadlock in j1", "1 task (main.child) waits for {GPU: 1}", "held by 1 task of the same job that waits itself: ", "main.parent (p) on n1"} {
		if !strings.Contains(hints[0].Sentence, words) {
			t.Errorf("no %q in: %s", words, hints[0].Sentence)
		}
	}
	if !slices.Contains(hints[0].IDs, "p") || !slices.Contains(hints[0].IDs, "c") {
		t.Errorf("%v", hints[0].IDs)
	}
	for name, change := range map[string]func(){
		"it's just come":          func() { f.Tasks[1].Since = noon.Add(-Grace / 2) },
		"the parent doesn't wait": func() { f.Tasks[0].Blocked = false },
		"there is another node":   func() { f.Nodes = append(f.Nodes, node(t, 2)) },
		"blocked tasks lend CPUs": func() { f.Tasks[0].Demand, f.Tasks[1].Demand = needs(t, "CPU", 2), needs(t, "CPU", 2) },
		"another child still runs": func() {
			f.Tasks = append(f.Tasks, Task{ID: "d", State: Runs, Owner: "n1.p2", Node: 1, Worker: "n1.p9"})
		},
		"it can never run": func() { f.Tasks[1].Demand = needs(t, "GPU", 2) },
		"nobody knows what it waits for": func() {
			f.Tasks[1].Owner = "n1.p1"
		},
	} {
		f = parents(t)
		if change(); slices.Contains(kinds(Hints(f)), KindDeadlock) {
			t.Errorf("%s: %+v", name, Hints(f))
		}
	}
	f = parents(t)
	f.Tasks[1].Since = noon.Add(-time.Minute)
	f.Tasks = append(f.Tasks, Task{ID: "held", State: Held, Owner: "n1.p2"}) // which behind which doesn't matter
	if len(Hints(f)) != 1 {
		t.Errorf("%+v", Hints(f))
	}
}

// TestDeadlockOfJobs: two parents of different jobs, each waiting for what the other has.
func TestDeadlockOfJobs(t *testing.T) {
	f := parents(t)
	f.Nodes = append(f.Nodes, node(t, 2))
	f.Tasks = append(f.Tasks,
		Task{ID: "p2", Function: "main.other", Job: "j2", State: Runs, Owner: "n2.p1", Node: 2, Worker: "n2.p2", Blocked: true, Demand: needs(t, "GPU", 1)},
		Task{ID: "c2", Function: "main.small", Job: "j2", State: Waits, Owner: "n2.p2", Demand: needs(t, "GPU", 0.5)},
	)
	hints := Hints(f)
	if len(hints) != 2 || !strings.Contains(hints[0].Sentence, "several jobs") || !strings.Contains(hints[1].Sentence, "main.other (p2) on n2") {
		t.Errorf("%+v", hints)
	}
}

func TestDeadlockOfActors(t *testing.T) {
	keeper := func(id, job string, state State) Actor {
		return Actor{ID: id, Class: "main.Keeper", Job: job, State: state, Node: 1, Process: "n1.p" + id, Demand: needs(t, "CPU", 1)}
	}
	waits := Task{ID: "t", Function: "main.work", Job: "j1", State: Waits, Owner: "n1.p1", Demand: needs(t, "CPU", 1)}
	for name, c := range map[string]struct {
		actors []Actor
		want   bool
	}{
		"idle ones have all":  {[]Actor{keeper("1", "j1", Idle), keeper("2", "j1", Idle)}, true},
		"one works":           {[]Actor{keeper("1", "j1", Idle), keeper("2", "j1", Runs)}, false},
		"another job may end": {[]Actor{keeper("1", "j1", Idle), keeper("2", "j2", Idle)}, false},
		"there is room":       {[]Actor{keeper("1", "j1", Idle)}, false},
	} {
		f := &Facts{Now: noon, Nodes: []Node{node(t, 1)}, Tasks: []Task{waits}, Actors: c.actors}
		hints := Hints(f)
		if got := len(hints) == 1; got != c.want {
			t.Errorf("%s: %+v", name, hints)
		}
		if c.want && !strings.Contains(hints[0].Sentence, "held by 2 actors of the same job, for as long as they live: main.Keeper (1) on n1, main.Keeper (2) on n1") {
			t.Error(hints[0].Sentence)
		}
	}
	detached := keeper("2", "j2", Idle)
	detached.Detached = true
	f := &Facts{Now: noon, Nodes: []Node{node(t, 1)}, Tasks: []Task{waits}, Actors: []Actor{keeper("1", "j1", Idle), detached}}
	if hints := Hints(f); len(hints) != 1 {
		t.Errorf("%+v", hints)
	}
}

func TestDeadlockOfGroups(t *testing.T) {
	one := Group{ID: "g1", Name: "first", Job: "j1", Bundles: []Bundle{{Node: 1, Resources: amounts(t, map[string]float64{"GPU": 1})}}}
	two := Group{ID: "g2", Job: "j1", Bundles: []Bundle{{Resources: amounts(t, map[string]float64{"GPU": 1})}}}
	f := &Facts{Now: noon, Nodes: []Node{node(t, 1)}, Groups: []Group{one, two}}
	hints := Hints(f)
	if len(hints) != 1 || !strings.Contains(hints[0].Sentence, "held by 1 placement group of the same job, for as long as it lives: placement group first (g1) on n1") {
		t.Fatalf("%+v", hints)
	}
	f.Tasks = append(f.Tasks, Task{ID: "t", Job: "j1", State: Runs, Node: 1, Worker: "n1.p5", Group: "g1"})
	if hints := Hints(f); len(hints) != 0 {
		t.Errorf("somebody works in it: %+v", hints)
	}
}

func TestHeldBy(t *testing.T) {
	f := parents(t)
	f.Nodes[0].Available = amounts(t, map[string]float64{"CPU": 2})
	if got := HeldBy(f, needs(t, "GPU", 1), nil); len(got) != 1 || got[0] != "on n1, GPU is held by the waiting task main.parent (p)" {
		t.Errorf("%q", got)
	}
	if got := HeldBy(f, needs(t, "CPU", 1), nil); len(got) != 0 {
		t.Errorf("there is room: %q", got)
	}
}

// TestDeadlockAgainstSimulation: in random clusters without actors, what is called a
// deadlock is one: letting those that can go on go on, as long as any can, frees nothing
// for who waits.
func TestDeadlockAgainstSimulation(t *testing.T) {
	found := 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		f := &Facts{Now: noon}
		for i := range 1 + rng.IntN(3) {
			f.Nodes = append(f.Nodes, node(t, sched.NodeID(i+1)))
		}
		workers := 1 + rng.IntN(5)
		for w := range workers {
			f.Tasks = append(f.Tasks, Task{
				ID: fmt.Sprint("r", w), Job: "j1", State: Runs, Owner: "d", Node: sched.NodeID(rng.IntN(len(f.Nodes)) + 1),
				Worker: fmt.Sprint("w", w), Blocked: rng.IntN(3) > 0, Demand: needs(t, "GPU", 0.5),
			})
			for c := range rng.IntN(3) {
				f.Tasks = append(f.Tasks, Task{
					ID: fmt.Sprint("c", w, ".", c), Job: "j1", State: Waits, Owner: fmt.Sprint("w", w), Demand: needs(t, "GPU", []float64{0.5, 1}[rng.IntN(2)]),
				})
			}
		}
		got := slices.Contains(kinds(Hints(f)), KindDeadlock)
		if want := simulate(f); got != want {
			t.Fatalf("seed %d: deadlock %v, want %v", seed, got, want)
		} else if got {
			found++
		}
	}
	if found < 50 {
		t.Errorf("only %d deadlocks", found)
	}
}

// simulate ends tasks, any that can, until no more can; it reports whether some that could
// run by what there is in all still wait. A task that waits for nobody known may end.
func simulate(f *Facts) bool {
	type running struct {
		task  *Task
		waits map[string]bool
	}
	var run []*running
	waiting := map[string]*Task{}
	taken := map[sched.NodeID]sched.Resources{}
	for i := range f.Tasks {
		t := &f.Tasks[i]
		if t.State == Waits {
			waiting[t.ID] = t
			continue
		}
		r := &running{t, map[string]bool{}}
		for _, c := range f.Tasks {
			if t.Blocked && c.Owner == t.Worker {
				r.waits[c.ID] = true
			}
		}
		run = append(run, r)
		taken[t.Node] = taken[t.Node].Add(t.Demand.Resources)
	}
	for progress := true; progress; {
		progress = false
		for i, r := range run {
			if r == nil || len(r.waits) == len(f.Tasks) {
				continue
			}
			ends := !r.task.Blocked || len(r.waits) == 0
			for id := range r.waits { // one that may run lets it go on, at least to the next
				ends = ends || waiting[id] == nil
			}
			if ends {
				taken[r.task.Node] = taken[r.task.Node].Sub(r.task.Demand.Resources)
				run[i], progress = nil, true
			}
		}
		for id, t := range waiting {
			for _, n := range f.Nodes {
				if t.Demand.Resources.Fits(n.Total.Sub(taken[n.ID])) {
					delete(waiting, id)
					progress = true
					break
				}
			}
		}
	}
	for range waiting {
		return true
	}
	return false
}

func TestLeaks(t *testing.T) {
	var objects []Object
	for i := range 2000 {
		objects = append(objects, Object{
			ID: fmt.Sprint("o", i), Job: "j3", Size: 1 << 20, Holders: 1, Holder: "driver n1.p2 (pid 77)", CallSite: "leaks/main.go:41",
			Created: noon.Add(-2 * time.Minute),
		})
	}
	objects = append(objects, objects[0]) // another node knows it, too
	for i := range 4 {
		o := objects[i]
		o.ID = fmt.Sprint("not", i)
		switch i {
		case 0:
			o.Pins = 1
		case 1:
			o.Holders = 2
		case 2:
			o.Created = noon.Add(-time.Second)
		case 3:
			o.Created = time.Time{}
		}
		objects = append(objects, o)
	}
	hints := Hints(&Facts{Now: noon, Objects: objects})
	want := "it looks like a leak: driver n1.p2 (pid 77) of j3 has held 2000 objects, 2.0 GiB, made at leaks/main.go:41, for over 2 min, and nobody else holds or reads them"
	if len(hints) != 1 || hints[0].Sentence != want || hints[0].Kind != KindLeak {
		t.Errorf("%+v", hints)
	}
	if hints := Hints(&Facts{Now: noon, Objects: objects[:5]}); len(hints) != 0 {
		t.Errorf("few are none: %+v", hints)
	}
}

func TestSlowNode(t *testing.T) {
	ms := time.Millisecond
	times := func(two time.Duration, runs int) *Facts {
		return &Facts{Now: noon, Functions: []Function{
			{Job: "j1", Name: "main.step", Node: 1, Runs: 50, P50: 100 * ms, P95: 120 * ms},
			{Job: "j1", Name: "main.step", Node: 2, Runs: runs, P50: two, P95: two},
			{Job: "j1", Name: "main.step", Node: 3, Runs: 50, P50: 104 * ms, P95: 120 * ms},
		}}
	}
	hints := Hints(times(830*ms, 40))
	if len(hints) != 1 || hints[0].Sentence != "node n2 is slow: main.step of j1 takes 830ms there (the median of 40 runs), 8.3× that of the other nodes (100ms)" {
		t.Errorf("%+v", hints)
	}
	for _, f := range []*Facts{times(290*ms, 40), times(830*ms, 2), {Now: noon, Functions: times(830*ms, 40).Functions[1:2]}} {
		if hints := Hints(f); len(hints) != 0 {
			t.Errorf("%+v", hints)
		}
	}
}

func TestOthers(t *testing.T) {
	n := node(t, 2)
	n.Silent, n.StoreUsed, n.StoreSize = 3*time.Second, 99, 100
	f := &Facts{
		Now: noon, Nodes: []Node{n},
		Dead: []DeadNode{
			{ID: 3, Cause: "it was silent for 4s", At: noon.Add(-40 * time.Second)}, {ID: 4, Left: true, At: noon}, {ID: 5, At: noon.Add(-2 * Lately)},
		},
		Demands: []Demand{{What: "tasks", Job: "j2", Resources: "unicorn: 1", Count: 3, Reason: "n2: lacks unicorn", Infeasible: true}, {What: "tasks"}},
		Actors: []Actor{
			{ID: "a1", Class: "main.Hog", Name: "hog", Job: "j2", State: Ended, EndedAt: noon.Add(-time.Minute), OutOfMemory: true, Cause: "n2 was running out of memory: …\nPID"},
			{ID: "a2", Class: "main.Crash", Job: "j2", State: Runs, Started: noon.Add(-time.Second), Restarts: 7, Cause: "exit status 3"},
			{ID: "a3", Class: "main.Calm", Job: "j2", State: Runs, Started: noon.Add(-time.Hour), Restarts: 7, Cause: "exit status 3"},
		},
		Tasks:     []Task{{ID: "t1", Function: "main.step", Job: "j2", State: Runs, Node: 2, Worker: "n2.p4", PID: 9, Since: noon.Add(-2 * time.Minute)}},
		Functions: []Function{{Job: "j2", Name: "main.step", Node: 2, Runs: 10, P50: time.Second, P95: 1100 * time.Millisecond}},
		Objects:   []Object{{ID: "o", Size: 5, Spilled: true, Node: "n2", Holders: 2}},
		Queues:    []Queue{{Job: "j2", Waiting: 100_000, PerSec: 10, Finished: 100}, {Job: "j3", Waiting: 5, PerSec: 10}},
	}
	hints := Hints(f)
	want := []string{KindInfeasible, KindOutOfMemory, KindCrashLoop, KindNodeDied, KindDisconnected, KindStraggler, KindStoreFull, KindQueue}
	if !slices.Equal(kinds(hints), want) {
		t.Fatalf("%v, want %v", kinds(hints), want)
	}
	for i, words := range []string{
		"no node can ever take tasks of j2 (3 × {unicorn: 1}): n2: lacks unicorn", "actor hog of class main.Hog (a1) of j2 was killed because memory ran out: on n2 …",
		"7 restarts so far, the latest because exit status 3", "node n3 died 40s ago: it was silent for 4s", "n2 has not been connected to the head that leads for 3s",
		"task t1 (main.step) of j2 has run for 2 min on n2, pid 9, where 95% of the others took at most 1.1s", "99 B of 100 B in use; 1 object, 5 B, is only on disk",
		"100000 tasks of j2 wait, and 10 a second end: at that rate it takes 2 h",
	} {
		if !strings.Contains(hints[i].Sentence, words) {
			t.Errorf("no %q in: %s", words, hints[i].Sentence)
		}
	}
	if again := Hints(f); !reflect.DeepEqual(again, hints) {
		t.Error("the same facts give other hints")
	}
}
