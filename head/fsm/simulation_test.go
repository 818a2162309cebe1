package fsm

import (
	"bytes"
	"container/heap"
	"flag"
	"fmt"
	"math/rand"
	"runtime/debug"
	"slices"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

var oneSeed = flag.Int64("seed", -1, "run the simulation of this seed alone")

// TestSimulation runs heads and clients in virtual time, with all that may go
// wrong between them. What happens is a function of the seed.
func TestSimulation(t *testing.T) {
	if *oneSeed >= 0 {
		simulate(t, *oneSeed)
		return
	}
	seeds := int64(2000)
	if testing.Short() {
		seeds = 300
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the heap is tiny
	var seen sights
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := simulate(t, seed)
			seen.add(w.model.seen)
		})
		if t.Failed() {
			t.Fatalf("again, alone: go test ./head/fsm -run TestSimulation -seed %d", seed)
		}
	}
	t.Logf("%+v", seen)
	if slices.Contains([]int{seen.repeated, seen.confirmed, seen.fenced, seen.raised, seen.lost, seen.restored, seen.replaced, seen.upgraded}, 0) {
		t.Errorf("something never happened: %+v", seen)
	}
}

// TestSimulationIsAFunctionOfItsSeed, or a failing one couldn't be run again.
func TestSimulationIsAFunctionOfItsSeed(t *testing.T) {
	for seed := range int64(10) {
		if first, second := simulate(t, seed), simulate(t, seed); first.digest() != second.digest() {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// A world is heads that agree on a log, in whichever way, clients that ask them
// for something, and the network between.
type world struct {
	t         *testing.T
	r         *rand.Rand
	now       int64 // ms
	queue     queue
	scheduled int
	quiet     bool // nothing goes wrong any more

	log       []*entry // agreed
	proposed  []*entry // by the leader: agreed if it stays the leader, or with luck
	term      int
	leader    *simHead // nil: none
	heads     []*simHead
	clients   []*simClient
	model     *model
	snapshots map[int][]byte // by how much of the log was applied
}

// An entry is a command in the log. All heads answer the same.
type entry struct {
	data   []byte
	by     *simHead // who proposed it, and if that still runs, answers
	boot   int
	result *Result // of the first head that applied it
	events []Event
}

const (
	faultsEnd  = 1500 // ms
	asks       = 12   // requests of a client
	window     = 4    // that it sends before it has answers
	checkEvery = 64   // entries, for snapshots of all heads
)

func simulate(t *testing.T, seed int64) *world {
	t.Helper()
	w := &world{t: t, r: rand.New(rand.NewSource(seed)), snapshots: map[int][]byte{}, model: newModel(t)}
	for i := range 3 + 2*w.r.Intn(2) {
		w.heads = append(w.heads, &simHead{w: w, number: i, newest: Version, skew: int64(w.r.Intn(10_000))})
	}
	first := uint32(1 + w.r.Intn(Version))
	if w.chance(50) { // one isn't upgraded yet
		w.heads[w.r.Intn(len(w.heads))].newest, first = 1, 1
	}
	for _, h := range w.heads {
		h.start()
	}
	w.found(first)
	for i := range 4 {
		w.clients = append(w.clients, &simClient{w: w, name: fmt.Sprint("client", i), number: i, node: uint32(i)})
		w.after(w.r.Intn(100), w.clients[i].ask)
	}
	w.after(20, w.lead)
	w.after(50, w.goWrong)
	w.after(faultsEnd, w.calm)
	for len(w.queue) > 0 {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
		if w.scheduled > 100_000 {
			t.Fatal("it never ends")
		}
	}
	w.finish()
	return w
}

// found begins the log: an identity and the nodes of the clients.
func (w *world) found(version uint32) {
	init := &Init{Cluster: 7, Authority: []byte("ca"), Token: "token", Version: version}
	bodies := []Body{&Command_Init{init}}
	for i := range 3 {
		bodies = append(bodies, &Command_RegisterNode{&RegisterNode{Instance: fmt.Sprint("i", i), Node: &proto.NodeInfo{Address: "a:1"}}})
	}
	w.elect()
	for _, body := range bodies {
		w.leader.propose(&Command{Body: body})
	}
	w.agree(len(w.proposed))
	w.leader.apply(len(w.log))
}

// An event is something that happens later.
type event struct {
	at    int64
	order int
	do    func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

func (w *world) after(ms int, do func()) {
	w.scheduled++
	heap.Push(&w.queue, event{w.now + int64(ms), w.scheduled, do})
}

func (w *world) chance(percent int) bool { return w.r.Intn(100) < percent }

// send delivers a message: late, twice, or not at all.
func (w *world) send(deliver func()) {
	delay := func() int {
		if !w.quiet && w.chance(10) {
			return w.r.Intn(800)
		}
		return 1 + w.r.Intn(10)
	}
	if w.quiet || !w.chance(15) {
		w.after(delay(), deliver)
	}
	if !w.quiet && w.chance(15) {
		w.after(delay(), deliver)
	}
}

// elect makes any head that runs the leader. Of what the last one proposed, some
// is agreed on, and the rest is lost.
func (w *world) elect() {
	if n := len(w.proposed); n > 0 {
		agreed := w.r.Intn(n + 1)
		w.model.seen.lost += n - agreed
		w.agree(agreed)
	}
	w.proposed, w.leader = nil, nil
	w.term++
	up := slices.DeleteFunc(slices.Clone(w.heads), func(h *simHead) bool { return h.state == nil })
	if len(up) > 0 {
		w.leader = up[w.r.Intn(len(up))]
	}
}

// agree moves proposals into the log. Heads hear of it by and by.
func (w *world) agree(n int) {
	w.log = append(w.log, w.proposed[:n]...)
	w.proposed = w.proposed[n:]
	for _, h := range w.heads {
		boot, to := h.boot, len(w.log)
		w.after(w.r.Intn(30), func() {
			if h.boot == boot {
				h.apply(to)
			}
		})
	}
}

// lead has the leader do something of its own, and raise the version when it can.
func (w *world) lead() {
	if w.quiet {
		return
	}
	w.after(10+w.r.Intn(80), w.lead)
	if w.leader == nil {
		return
	}
	old := slices.ContainsFunc(w.heads, func(h *simHead) bool { return h.newest < Version })
	body := randomBody(w.r)
	switch body.(type) {
	case *Command_RaiseVersion:
		return
	case *Command_NodeDied:
		if w.chance(70) {
			return
		}
	}
	if !old && w.chance(20) {
		body = &Command_RaiseVersion{&RaiseVersion{Version: Version}}
	}
	w.leader.propose(&Command{Body: body})
}

// goWrong has something happen to a head.
func (w *world) goWrong() {
	if w.quiet {
		return
	}
	w.after(w.r.Intn(200), w.goWrong)
	h, other := w.heads[w.r.Intn(len(w.heads))], w.heads[w.r.Intn(len(w.heads))]
	switch w.r.Intn(6) {
	case 0:
		w.elect()
	case 1:
		h.crash()
		w.after(w.r.Intn(300), h.start)
	case 2:
		if other != h && other.state != nil { // it gets the other's state instead of its own
			h.crash()
			h.disk, h.kept = snapshotOf(w.t, other.state), other.applied
			h.start()
			w.model.seen.replaced++
		}
	case 3:
		if h.newest < Version && w.now > faultsEnd/4 {
			h.crash()
			h.newest = Version
			h.start()
			w.model.seen.upgraded++
		}
	default:
		if h.state != nil {
			h.disk, h.kept = snapshotOf(w.t, h.state), h.applied
		}
	}
}

// calm ends all faults, so that all is answered.
func (w *world) calm() {
	w.quiet = true
	for _, h := range w.heads {
		h.start()
	}
	if w.leader == nil {
		w.elect()
	}
}

// finish brings all heads to the log's end and compares it with what clients were told.
func (w *world) finish() {
	for _, h := range w.heads {
		h.apply(len(w.log))
		h.check()
	}
	for _, k := range w.clients {
		k.check(w.heads[0].state)
	}
}

// digest tells runs apart: the end's state has the times of what happened.
func (w *world) digest() string {
	return fmt.Sprintf("%d %d %x", w.scheduled, len(w.log), w.snapshots[len(w.log)])
}

// A simHead applies the log, from its last snapshot on.
type simHead struct {
	w       *world
	number  int
	newest  uint32 // of the commands that it knows
	skew    int64  // of its clock
	boot    int    // counts its ends
	state   *State // nil: it doesn't run
	applied int
	disk    []byte // snapshot; nil: none
	kept    int    // what was applied to it
}

func (h *simHead) start() {
	if h.state != nil {
		return
	}
	h.state, h.applied = New(), h.kept
	if h.disk != nil {
		var err error
		if h.state, err = Restore(bytes.NewReader(h.disk)); err != nil {
			h.w.t.Fatal(err)
		}
		h.w.model.seen.restored++
	}
	if h.w.leader == nil && h.w.term > 0 {
		h.w.elect()
	}
}

func (h *simHead) crash() {
	h.state = nil
	h.boot++
	if h.w.leader == h {
		h.w.elect()
	}
}

// receive takes a request, if it's the leader.
func (h *simHead) receive(c *Command) {
	if h.w.leader == h {
		h.propose(&Command{Client: c.Client, Sequence: c.Sequence, Done: c.Done, Node: c.Node, Body: c.Body})
	}
}

func (h *simHead) propose(c *Command) {
	w := h.w
	c.TimeMs, c.Version = w.now+h.skew, versionFor(h.state, c.Body)
	b, err := Encode(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.proposed = append(w.proposed, &entry{data: b, by: h, boot: h.boot})
	term := w.term
	w.after(1+w.r.Intn(20), func() {
		if w.term == term {
			w.agree(len(w.proposed))
		}
	})
}

// apply goes on in the log up to an entry.
func (h *simHead) apply(to int) {
	for h.state != nil && h.applied < to {
		e := h.w.log[h.applied]
		h.applied++
		c, err := DecodeUpTo(e.data, h.newest)
		if err != nil {
			h.w.t.Fatalf("head %d at %d: %v", h.number, h.applied, err)
		}
		r, events := h.state.Apply(c)
		if e.result == nil {
			e.result, e.events = r, events
			h.w.model.apply(c, r)
		} else if !protobuf.Equal(r, e.result) || !slices.EqualFunc(events, e.events, sameEvent) {
			h.w.t.Fatalf("head %d at %d: %v, %v; another head: %v, %v", h.number, h.applied, r, events, e.result, e.events)
		}
		if h.applied%checkEvery == 0 {
			h.check()
		}
		for _, k := range h.w.clients {
			if k.name == c.Client && e.by == h && e.boot == h.boot {
				h.w.send(func() { k.answer(c.Sequence, r) })
			}
		}
	}
}

// check compares its state with that of heads which were at this point before.
func (h *simHead) check() {
	holds(h.w.t, h.state)
	got := snapshotOf(h.w.t, h.state)
	if want := h.w.snapshots[h.applied]; want != nil && !bytes.Equal(got, want) {
		h.w.t.Fatalf("head %d at %d: its state isn't that of another head", h.number, h.applied)
	}
	h.w.snapshots[h.applied] = got
}

// sameEvent compares what two heads have made of one command.
func sameEvent(a, b Event) bool {
	same := protobuf.Equal(a.Cause, b.Cause)
	a.Cause, b.Cause = nil, nil
	return same && a == b
}
