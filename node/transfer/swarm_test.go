package transfer

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	pb "github.com/gray-runtime/gray/proto"
)

// slow is a connection of a node whose uplink has a rate: each tick lets some bytes go.
type slow struct {
	net.Conn
	tick <-chan time.Time
	sent *atomic.Int64
}

func (s slow) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if len(b) > 1000 { // no mere reply
			<-s.tick
		}
		var k int
		k, err = s.Conn.Write(b[:min(len(b), 32<<10)])
		s.sent.Add(int64(k))
		n, b = n+k, b[k:]
	}
	return n, err
}

// TestBroadcast has many nodes pull an object from one at once: it sends few
// copies, since the nodes pass on to each other what they have.
func TestBroadcast(t *testing.T) {
	const readers, size, chunk = 16, 8 << 20, 64 << 10
	h := newHosts(t, false)
	tick := time.NewTicker(time.Millisecond / 2)
	defer tick.Stop()
	var sent atomic.Int64
	from, want := newMemory(), randomBytes(size)
	from.put(objectN(1), want)
	source := NewServer(ServerConfig{Node: 100, Store: from})
	t.Cleanup(func() { _ = source.Close() })
	h.listen(100, func(c net.Conn) { _ = source.Serve(slow{c, tick.C, &sent}) })
	pullers, stores := map[ids.NodeID]*Puller{}, map[ids.NodeID]*memory{}
	for n := ids.NodeID(1); n <= readers; n++ {
		stores[n] = newMemory()
		pullers[n] = newPuller(t, PullerConfig{Node: n, Store: stores[n], Dial: h.dial, chunk: chunk})
		h.serve(n, ServerConfig{Store: stores[n], Puller: pullers[n]})
	}
	var wg sync.WaitGroup
	for _, p := range pullers {
		wg.Go(func() {
			if err := p.Fetch(t.Context(), objectN(1), size, []ids.NodeID{100}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n, s := range stores {
		if !bytes.Equal(s.sealed[objectN(1)], want) {
			t.Errorf("%s has other bytes", n)
		}
	}
	copies := float64(sent.Load()) / size
	t.Logf("the source sent %.2f copies to %d readers", copies, readers)
	if copies < 1 || copies > 3 {
		t.Errorf("the source sent %.2f copies, want 1 or little more", copies)
	}
}

// held is a node that gives chunk 0 at once, and the others when it's let.
func held(size, chunk int64, data []byte, let <-chan struct{}) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		for {
			var h pb.StreamHeader
			if readMessage(c, &h, maxHeader) != nil {
				return
			}
			if h.GetPull().Index > 0 {
				<-let
			}
			off := int64(h.GetPull().Index) * chunk
			_ = writeMessage(c, &pb.StreamReply{Size: size})
			_, _ = c.Write(data[off:min(off+chunk, size)])
		}
	}
}

// TestPartServes: a node serves the chunks that it has of an object that it pulls,
// and while it does so the pull may end, well or not.
func TestPartServes(t *testing.T) {
	for _, well := range []bool{true, false} {
		const chunk, size = 300_000, 2 * 300_000
		h := newHosts(t, false)
		want, let := randomBytes(size), make(chan struct{})
		h.listen(9, held(size, chunk, want, let))
		store := newMemory()
		p := newPuller(t, PullerConfig{Node: 2, Store: store, Dial: h.dial, chunk: chunk})
		s := NewServer(ServerConfig{Node: 2, Store: store, Puller: p})
		ctx, cancel := context.WithCancel(t.Context())
		pulled := make(chan error, 1)
		go func() { pulled <- p.Fetch(ctx, objectN(1), size, []ids.NodeID{9}) }()

		a, b := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.Serve(b) }()
		for p.partOf(objectN(1)) == nil { // until it has begun
			select {
			case err := <-pulled:
				t.Fatal(err)
			default:
			}
		}
		ask := &pb.Pull{Object: objectN(1).Bytes(), Chunk: chunk}
		if err := writeMessage(a, &pb.StreamHeader{Body: &pb.StreamHeader_Pull{Pull: ask}, From: 3}); err != nil {
			t.Fatal(err)
		}
		reply, err := readReply(a)
		if err != nil || reply.Size != size {
			t.Fatal(err, reply)
		}
		got := make([]byte, chunk)
		if _, err := io.ReadFull(a, got[:100]); err != nil {
			t.Fatal(err)
		}
		if well {
			close(let)
		} else {
			cancel()
		}
		if err := <-pulled; (err == nil) != well {
			t.Errorf("pull: %v", err)
		}
		_ = p.Close() // when it has aborted
		n, err := io.ReadFull(a, got[100:])
		if (err == nil) != well || !bytes.Equal(got[:100+n], want[:100+n]) {
			t.Errorf("well %t: %d bytes came: %v; or others", well, 100+n, err)
		}
		_ = a.Close()
		<-served
		store.idle(t)
		cancel()
		if !well {
			close(let)
		}
	}
}

// TestAdvice is what a source says to whom.
func TestAdvice(t *testing.T) {
	const self = 9
	begin := time.Now()
	all := swarms{of: map[ids.ObjectID]*swarm{}}
	w := all.get(objectN(1), 10, 8, begin)
	advise := func(from ids.NodeID, now time.Time, p *pb.Pull) advice {
		w.learn(from, p, now)
		return w.advise(self, from, p, now, true)
	}
	sends := func(a advice) bool { return a.node == 0 && a.wait == nil }
	everything := []byte{0xFF}

	if !sends(advise(1, begin, &pb.Pull{Index: 3})) {
		t.Error("who is alone gets what it asks for")
	}
	if a := advise(2, begin, &pb.Pull{Index: 3, Have: []byte{0b1111_0000}}); a.node != self || a.index == 3 {
		t.Errorf("%+v: a chunk that is on its way to another is exchanged for one that isn't", a)
	}
	only3 := &pb.Pull{Index: 3, Have: []byte{0b1111_0111}}
	a := advise(2, begin, only3)
	if a.wait == nil {
		t.Errorf("%+v: a chunk that is on its way to another is waited for", a)
	}
	w.end(1, 3, true)
	<-a.wait
	if a = advise(2, begin, only3); a.node != 1 || a.index != 3 {
		t.Errorf("%+v: who has the chunk is named", a)
	}
	if !sends(advise(2, begin, &pb.Pull{Index: 3, Have: only3.Have, Avoid: []uint32{1}})) {
		t.Error("who can't have it from others gets it")
	}
	w.end(2, 3, false)
	if !sends(advise(2, begin, &pb.Pull{Index: 3, Insist: true})) {
		t.Error("who insists gets it")
	}
	w.end(2, 3, false)
	if !sends(advise(2, begin.Add(memberTime), only3)) {
		t.Error("who is alone by now gets it")
	}
	w.end(2, 3, false)

	for _, forget := range []func() time.Time{
		func() time.Time { return begin.Add(holdTime) },
		func() time.Time { all.forget(1); return begin },
	} {
		w = all.get(objectN(9), 10, 8, begin)
		w.learn(1, &pb.Pull{Have: everything}, begin)
		w.learn(3, &pb.Pull{}, begin)
		at := forget()
		w.learn(3, &pb.Pull{}, at)
		if !sends(advise(2, at, &pb.Pull{Index: 3})) || w.copies[3] != 0 {
			t.Error("who is dead, or hasn't been heard of for long, isn't named")
		}
		w.end(2, 3, false)
		delete(all.of, objectN(9))
	}

	w = all.get(objectN(2), 10, 8, begin)
	if !sends(advise(1, begin, &pb.Pull{Have: everything})) {
		t.Error("who is alone gets what it asks for")
	}
	w.end(1, 0, true)
	for i := range maxSends {
		if !sends(advise(2, begin, &pb.Pull{Index: uint32(i), Insist: true})) {
			t.Fatal("who insists gets it")
		}
	}
	if a := advise(3, begin, &pb.Pull{Index: 7, Pending: []uint32{1 << 31}}); a.node != 1 {
		t.Errorf("%+v: when much is being sent, others are named", a)
	}
	if all.get(objectN(2), 20, 4, begin) != nil {
		t.Error("other chunks are compared")
	}
	if all.get(objectN(3), 10, 8, begin.Add(2*swarmTime)); len(all.of) != 1 {
		t.Errorf("%d swarms are remembered", len(all.of))
	}
}
