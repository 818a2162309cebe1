package process

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
)

// someCalls are tasks of every shape.
func someCalls() []call {
	id := func(n uint64) ids.ObjectID {
		return ids.ObjectID{Cluster: 7, Owner: ids.ProcessID{Node: 1, Number: 2}, Number: n}
	}
	return []call{
		{number: 1, function: 2, arg: []byte{}},
		{number: 1 << 60, function: 1<<64 - 1, attempt: 1<<16 - 1, flags: flagExact, timeout: time.Hour, arg: []byte("argument")},
		{number: 3, flags: flagStream, skip: 300, arg: []byte{0x80}},
		{number: 9, flags: flagStream | flagRebuild, base: 5, wanted: []uint64{1, 300}, arg: []byte("a")},
		{number: 4, flags: flagActor | flagCreation, arg: []byte{}},
		{number: 6, flags: flagActor | flagLight, light: order{actor: lightID{ids.ProcessID{Node: 1, Number: 300}, 1 << 40}}, arg: []byte("a")},
		{number: 7, flags: flagCreation | flagLight, light: order{what: orderMake, calls: 3, restarts: -1, known: true}, arg: []byte{}},
		{number: 10, flags: flagTraced, carried: "trace", arg: []byte("a")},
		{number: 8, flags: flagLight, light: order{what: orderEnd}, arg: []byte("reason")},
		{number: 5, flags: flagDirect, arg: []byte{}, deps: []dependency{
			{id: id(1), kind: depStored, size: 1 << 40, nodes: []ids.NodeID{1, 300}},
			{id: id(2), kind: depValue, value: []byte("value")},
			{id: id(3), kind: depValue, value: []byte{}},
			{id: id(4), kind: depLazy},
			{id: id(5), kind: depStored, nodes: []ids.NodeID{}},
		}},
	}
}

func someReplies() []reply {
	list := []ids.ObjectID{{Cluster: 1, Number: 2}, {Cluster: 3, Owner: ids.ProcessID{Node: 4, Number: 5}, Number: 6}}
	return []reply{
		{kind: frameValue, number: 1, began: 1 << 60, run: time.Second, value: []byte("v")},
		{kind: frameValue, number: 1, value: []byte{}, contains: list},
		{kind: frameStored, number: 2, run: 1, size: 1 << 40, node: 9, contains: list},
		{kind: frameFailed, number: 3, began: 5, run: 2, value: []byte("error")},
		{kind: frameReturned, number: 4},
		{kind: frameLost, number: 5, contains: list},
		{kind: frameItem, number: 6, value: []byte("item")},
		{kind: frameItemStored, number: 7, size: 100},
		{kind: frameEnd, number: 8, began: 1, run: 3, items: 1 << 33},
		{kind: frameAgain, number: 9, items: endedForGood},
	}
}

func TestFramesReturn(t *testing.T) {
	for _, c := range someCalls() {
		b := appendCall(nil, &c)
		got, err := parseCall(b)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v came back as %+v, %v", c, got, err)
		}
		for n := range len(b) - len(c.arg) {
			if _, err := parseCall(b[:n]); err == nil {
				t.Errorf("%d bytes of %d are a task", n, len(b))
			}
		}
	}
	for _, r := range someReplies() {
		b := appendReply(nil, &r)
		if got, err := parseReply(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
		for n := range len(b) - len(r.value) {
			if _, err := parseReply(b[:n]); err == nil {
				t.Errorf("%d bytes of %d are a reply of kind %d", n, len(b), r.kind)
			}
		}
	}
	owner := ids.ProcessID{Node: 1 << 30, Number: 3}
	want := opening{owner, 77, 15_000, []uint32{3, 1}, membership{ids.GroupID{Cluster: 7, Owner: owner, Number: 9}, 2, true}}
	if o, err := parseOpen(appendOpen(nil, want)); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parseOpen(appendOpen(nil, opening{owner: owner, cpus: -1})); err == nil {
		t.Error("a lease has less than no CPU")
	}
}

func TestGrant(t *testing.T) {
	want := map[string]int64{"CPU": 5000, "a resource": 1 << 40}
	r := reader{b: appendGrant(nil, want)[1:]}
	if got := r.grant(); r.err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, r.err)
	}
	r = reader{b: appendGrant(nil, want)[1:9]}
	if r.grant(); r.err == nil {
		t.Error("half a grant was read")
	}
}

// TestHugeCounts: what a frame announces costs no memory before it's there.
func TestHugeCounts(t *testing.T) {
	c := appendCall(nil, &call{number: 1})
	c = binary.AppendUvarint(c[:len(c)-1], 1<<40)
	if _, err := parseCall(c); err == nil {
		t.Error("a task has 2⁴⁰ inputs")
	}
	r := binary.AppendUvarint(appendReply(nil, &reply{kind: frameReturned})[:9], 1<<62)
	r[0] = frameLost
	if _, err := parseReply(r); err == nil {
		t.Error("a reply has 2⁶² inputs")
	}
}

// stable: what a decoder accepts is encoded to something that it reads as the same.
func FuzzParseCall(f *testing.F) {
	for _, c := range someCalls() {
		f.Add(appendCall(nil, &c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCall(b)
		if err != nil {
			return
		}
		again, err := parseCall(appendCall(nil, &c))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%+v came back as %+v, %v", c, again, err)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	for _, r := range someReplies() {
		f.Add(appendReply(nil, &r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b)
		if err != nil {
			return
		}
		again, err := parseReply(appendReply(nil, &r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzParseOpen(f *testing.F) {
	f.Add(appendOpen(nil, opening{owner: ids.ProcessID{Node: 1, Number: 2}, cluster: 3, cpus: 10_000, gpus: []uint32{1}}))
	f.Add(appendOpen(nil, opening{owner: ids.ProcessID{Node: 1, Number: 2}, in: membership{ids.GroupID{Cluster: 3, Number: 1}, anyBundle, true}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseOpen(b)
		if err != nil {
			return
		}
		if again := appendOpen(nil, o); !bytes.Equal(b, again) {
			t.Errorf("%x came back as %x", b, again)
		}
	})
}

// FuzzHandle gives a worker frames that no owner would send.
func FuzzHandle(f *testing.F) {
	for _, c := range someCalls() {
		f.Add(appendCall([]byte{framePush}, &c))
	}
	number := binary.LittleEndian.AppendUint64(nil, 1)
	f.Add(append([]byte{frameCancel}, number...))
	f.Add(binary.AppendUvarint(append([]byte{frameCredit}, number...), 99))
	f.Add(append([]byte{frameAck}, number...))
	f.Add([]byte{frameOpen})
	f.Add(append([]byte{frameKill}, number...))
	f.Add(appendGrant(nil, map[string]int64{"CPU": 1}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		w := testWorker()
		p := &peer{holds: map[uint64][]*Object{}}
		if err := w.handle(p, frame); err == nil && len(frame) == 0 {
			t.Error("nothing was understood")
		}
		for _, in := range w.queue {
			if in.peer != p {
				t.Error("a task of nobody")
			}
		}
	})
}

// TestRandomCalls: round trips of random tasks.
func TestRandomCalls(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		c := call{
			number: r.Uint64(), function: r.Uint64(), attempt: uint16(r.Uint32()), flags: byte(r.Uint32()),
			timeout: time.Duration(r.Int64()), arg: make([]byte, r.IntN(20)),
		}
		if c.flags&flagStream != 0 {
			c.skip = r.Uint64()
		}
		if c.flags&flagTraced != 0 {
			c.carried = string(make([]byte, r.IntN(40)))
		}
		for range r.IntN(4) {
			d := dependency{id: ids.ObjectID{Cluster: ids.ClusterID(r.Uint32()), Number: r.Uint64()}, kind: byte(r.IntN(3))}
			switch d.kind {
			case depValue:
				d.value = make([]byte, r.IntN(200))
			case depStored:
				d.size, d.nodes = r.Int64(), []ids.NodeID{ids.NodeID(r.Uint32())}
			}
			c.deps = append(c.deps, d)
		}
		got, err := parseCall(appendCall(nil, &c))
		if c.flags&flagDirect != 0 && len(c.deps) == 0 {
			if err == nil {
				t.Fatal("a task lacks its direct input")
			}
		} else if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v came back as %+v, %v", c, got, err)
		}
	}
}
