package process

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	graypb "github.com/gray-runtime/gray/proto"
)

// manualHost is a host whose executor is the test.
type manualHost struct {
	*host
	t     *testing.T
	peers []*peer // whose owners create
	far   []net.Conn
	next  uint64

	asked   map[uint64]bool // numbers of frames
	begun   map[lightID]map[*peer]uint64
	running []*Invocation
}

func newManualHost(t *testing.T) *manualHost {
	w := testWorker()
	w.p.node = &link{err: ErrNodeLost}
	t.Cleanup(func() {
		w.p.cancel(context.Canceled)
		w.p.wg.Wait()
	})
	h := &host{w: w, actors: map[lightID]*lightActor{}, known: map[ids.ProcessID]*creator{}}
	h.busy.prev, h.busy.next = &h.busy, &h.busy
	h.count, h.watched, h.sweeping = 1, true, true
	m := &manualHost{host: h, t: t, asked: map[uint64]bool{}, begun: map[lightID]map[*peer]uint64{}}
	for n := range uint32(2) {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		p := &peer{conn: wire.New(near), owner: ids.ProcessID{Node: 1, Number: n}, holds: map[uint64][]*Object{}}
		m.peers, m.far = append(m.peers, p), append(m.far, far)
		w.peers[p] = struct{}{}
	}
	return m
}

func (m *manualHost) order(p *peer, o order, arg []byte) *Invocation {
	m.next++
	in := newInvocation(m.w, p, call{number: m.next, flags: flagLight, light: o, arg: arg})
	m.asked[m.next] = true
	m.take(in)
	return in
}

// begin starts the call whose turn it is.
func (m *manualHost) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.host.next()
	if in == nil {
		return false
	}
	a := in.light
	making := in.started != nil
	if a.running > a.limit || making && (a.running != 1 || a.state != lightMaking) || !making && (a.state != lightAlive || in.instance == nil) {
		m.t.Fatalf("a call of actor %v in state %d began as the %dth at a time", a.id, a.state, a.running)
	}
	if !making {
		if m.begun[a.id] == nil {
			m.begun[a.id] = map[*peer]uint64{}
		}
		if last := m.begun[a.id][in.peer]; last > in.call.number {
			m.t.Fatalf("call %d of actor %v began after %d", in.call.number, a.id, last)
		}
		m.begun[a.id][in.peer] = in.call.number
	}
	m.w.running[in] = struct{}{}
	m.running = append(m.running, in)
	return true
}

// finish ends a running call; badly: by a panic.
func (m *manualHost) finish(i int, badly bool) {
	in := m.running[i]
	m.running = slices.Delete(m.running, i, i+1)
	in.fn = &Function{Name: "f"}
	switch {
	case in.started != nil && badly:
		in.started(&graypb.Error{Kind: graypb.Error_TASK, Message: "no"})
	case in.started != nil:
		in.instance = hostInstance{}
		in.started(nil)
	case badly:
		in.panicked = "ouch"
		in.fail(&graypb.Error{Kind: graypb.Error_PANIC})
	default:
		m.w.reply(in, &reply{kind: frameValue, number: in.call.number})
	}
	m.mu.Lock()
	delete(m.w.running, in)
	m.finished(in)
	m.mu.Unlock()
}

// TestHostExit: an actor that ends itself begins no more calls, and those that run end first.
func TestHostExit(t *testing.T) {
	m := newManualHost(t)
	id := lightID{m.peers[0].owner, 1}
	m.order(m.peers[0], order{what: orderMake, actor: id, calls: 2}, nil)
	m.begin()
	m.finish(0, false)
	for range 3 {
		m.order(m.peers[0], order{what: orderCall, actor: id}, nil)
	}
	m.begin()
	m.begin()
	m.exit(m.running[0].light)
	m.finish(0, false)
	if a := m.actors[id]; a.dead != nil || m.begin() {
		t.Error("it's over while a call runs, or another has begun")
	}
	m.finish(0, false)
	if a := m.actors[id]; a.dead == nil || a.first != nil {
		t.Errorf("it isn't over: %+v", a)
	}
}

func (m *manualHost) check() {
	m.t.Helper()
	waiting, busy := 0, 0
	for a := m.busy.next; a != &m.busy; a = a.next {
		busy++
		if a.next.prev != a || m.actors[a.id] != a && a.dead == nil {
			m.t.Fatalf("actor %v is busy, but not here", a.id)
		}
		for in := a.first; in != nil; in = in.next {
			waiting++
		}
	}
	for id, a := range m.actors {
		if on := a.first != nil || a.running > 0; on != (a.next != nil) || a.dead != nil && a.first != nil {
			m.t.Fatalf("actor %v: busy %v, dead %v", id, on, a.dead)
		}
	}
	if waiting != m.waiting {
		m.t.Fatalf("%d calls wait, counted %d", waiting, m.waiting)
	}
}

// answers reads how often each frame was answered.
func (m *manualHost) answers() map[uint64]int {
	got := map[uint64]int{}
	for i, p := range m.peers {
		go func() {
			_ = p.conn.Flush()
			p.conn.Close()
		}()
		far := wire.New(m.far[i])
		for {
			b, err := far.Next()
			if err != nil {
				break
			}
			r, err := parseReply(b)
			if err != nil {
				m.t.Fatal(err)
			}
			if r.kind != frameAgain {
				got[r.number]++
			}
		}
	}
	return got
}

// TestHostRandom: whatever is asked of a host in whatever order, each frame is answered,
// an actor runs its calls in each caller's order and only while it lives, and
// nothing is left of calls that have ended.
func TestHostRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, round))
		m := newManualHost(t)
		for range 300 {
			m.random(r)
			m.check()
		}
		m.drain()
		for number := range m.answers() {
			if !m.asked[number] {
				t.Errorf("frame %d was answered and never sent", number)
			}
			delete(m.asked, number)
		}
		if len(m.asked) > 0 {
			t.Fatalf("round %d: %d frames were never answered", round, len(m.asked))
		}
	}
}

func (m *manualHost) random(r *rand.Rand) {
	p := m.peers[r.IntN(2)]
	id := lightID{m.peers[r.IntN(2)].owner, 1 + r.Uint64N(6)}
	own := lightID{p.owner, id.number}
	switch k := r.IntN(20); {
	case k < 7:
		m.order(p, order{what: orderCall, actor: id}, nil)
	case k < 9:
		m.order(p, order{what: orderMake, actor: own, calls: uint32(r.IntN(3)), restarts: int32(r.IntN(3)) - 1}, nil)
	case k == 9:
		m.order(p, order{what: []byte{orderReserve, orderFail, orderForget}[r.IntN(3)], actor: own}, nil)
	case k == 10:
		m.order(p, order{what: orderEnd, actor: id}, []byte("killed"))
	case k == 11:
		m.order(p, order{what: orderRelease, actor: own}, binary.LittleEndian.AppendUint64(nil, own.number))
	case k == 12 && m.next > 0:
		m.cancel(p, 1+r.Uint64N(m.next))
	case k == 13:
		m.sweep()
		m.sweeping = true
	case k < 17:
		m.begin()
	case len(m.running) > 0:
		m.finish(r.IntN(len(m.running)), r.IntN(4) == 0)
	}
}

// drain makes what is waited for fail, and runs all else.
func (m *manualHost) drain() {
	for _, p := range m.peers {
		for n := range uint64(6) {
			m.order(p, order{what: orderFail, actor: lightID{p.owner, n + 1}}, nil)
		}
	}
	for m.begin() || len(m.running) > 0 {
		if len(m.running) > 0 {
			m.finish(0, false)
		}
		m.check()
	}
	if m.waiting != 0 || m.busy.next != &m.busy {
		m.t.Fatalf("%d calls are left", m.waiting)
	}
}

// TestHostMissed: who calls an actor whose creator is gone hears of it.
func TestHostMissed(t *testing.T) {
	m := newManualHost(t)
	gone := ids.ProcessID{Node: 9, Number: 9}
	m.order(m.peers[0], order{what: orderCall, actor: lightID{gone, 1}}, nil)
	m.order(m.peers[0], order{what: orderCall, actor: lightID{m.peers[1].owner, 1}}, nil)
	for i, want := range []bool{true, true, true} {
		if m.sweep() != want {
			t.Errorf("sweep %d: %v", i, !want)
		}
	}
	if m.actors[lightID{gone, 1}].dead == nil || m.waiting != 1 {
		t.Errorf("%d calls wait", m.waiting)
	}
}
