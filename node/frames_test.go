package node

import (
	"net"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

// FuzzFrame gives a node what a process of a job might say, however wrong: the
// node goes on, its account adds up, and the process's end leaves nothing.
func FuzzFrame(f *testing.F) {
	object := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 1, Number: 1}, Number: 7}.Bytes()
	foreign := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 9, Number: 1}, Number: 7}.Bytes()
	cpu := &proto.Resources{Quantity: map[string]int64{"CPU": 10_000}}
	for _, m := range []*proto.ToNode{
		{},
		{Body: &proto.ToNode_Hello{Hello: &proto.Hello{}}},
		{Body: &proto.ToNode_LeaseDemand{LeaseDemand: &proto.LeaseDemand{Class: 1, Resources: cpu, Want: 3}}},
		{Body: &proto.ToNode_LeaseDemand{LeaseDemand: &proto.LeaseDemand{
			Class: 2, Want: 1, Strategy: &proto.Strategy{Kind: 9, Labels: []*proto.LabelSelector{nil, {Key: "k", Op: 77}}},
		}}},
		{Body: &proto.ToNode_LeaseReturn{LeaseReturn: &proto.LeaseReturn{Lease: 1, Broken: true}}},
		{Body: &proto.ToNode_Blocked{Blocked: &proto.Blocked{Blocked: true}}},
		{Call: 1, Body: &proto.ToNode_CreateObject{CreateObject: &proto.CreateObject{Id: object, Size: 100}}},
		{Call: 1, Body: &proto.ToNode_CreateObject{CreateObject: &proto.CreateObject{Id: object, Size: -1}}},
		{Body: &proto.ToNode_SealObject{SealObject: &proto.SealObject{Id: object, Size: 1 << 40}}},
		{Body: &proto.ToNode_AbortObject{AbortObject: &proto.AbortObject{Id: object}}},
		{Call: 2, Body: &proto.ToNode_FetchObject{FetchObject: &proto.FetchObject{Id: foreign, Nodes: []uint32{9}}}},
		{Body: &proto.ToNode_UnpinObject{UnpinObject: &proto.UnpinObject{Ids: [][]byte{object, {1}}}}},
		{Body: &proto.ToNode_FreeObject{FreeObject: &proto.FreeObject{Objects: []*proto.Location{{Id: object, Nodes: []uint32{1, 9}}}}}},
		{Call: 3, Body: &proto.ToNode_BorrowObjects{BorrowObjects: &proto.BorrowObjects{Ids: [][]byte{object, foreign}}}},
		{Body: &proto.ToNode_ReleaseObjects{ReleaseObjects: &proto.ReleaseObjects{Ids: [][]byte{object}}}},
		{Body: &proto.ToNode_PublishObject{PublishObject: &proto.PublishObject{}}},
		{Call: 4, Body: &proto.ToNode_PublishObject{PublishObject: &proto.PublishObject{State: &proto.ObjectState{
			Id: object, Body: &proto.ObjectState_Stored{Stored: &proto.Stored{Nodes: []uint32{1}}}, Contains: [][]byte{object, {0}},
		}}}},
		{Call: 5, Body: &proto.ToNode_ResolveObject{ResolveObject: &proto.ResolveObject{Id: object, LostOn: []uint32{1}}}},
		{Call: 6, Body: &proto.ToNode_HeadCall{HeadCall: &proto.HeadCall{Method: "CreateActor", Body: []byte{1}}}},
		{Call: 7, Body: &proto.ToNode_HeadCall{HeadCall: &proto.HeadCall{Method: "Session"}}},
		{Body: &proto.ToNode_ActorStarted{ActorStarted: &proto.ActorStarted{Id: object}}},
		{Body: &proto.ToNode_FinishDriver{FinishDriver: &proto.FinishDriver{ExitCode: 1}}},
		{Call: 8, Body: &proto.ToNode_TaskList{TaskList: &proto.TaskList{}}},
	} {
		b, err := protobuf.Marshal(m)
		if err != nil {
			continue // a nil message in a list: nobody can send it
		}
		f.Add(b, b)
	}
	n := lonely(f)
	job := uint32(0)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		job++
		p := join(t, n, job)
		r := &reader{n: n, p: p}
		for _, b := range [][]byte{first, second} {
			m := &proto.ToNode{}
			if protobuf.Unmarshal(b, m) != nil {
				continue
			}
			if r.frame(m) != nil {
				break
			}
		}
		n.ended(p)
		until(t, "nothing of the process is left", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			if err := n.ledger.Check(); err != nil {
				t.Fatal(err)
			}
			return len(n.processes) == 0 && n.queue.Len() == 0 && n.ledger.Holds() == 0 && len(n.leases) == 0 && r.calls.Load() == 0
		})
		if u := n.store.Usage(); u.Pins != 0 || u.Making != 0 {
			t.Fatalf("%d pins, %d unsealed objects are left", u.Pins, u.Making)
		}
	})
}

// TestResultMadeAgain: what a later attempt of a task makes takes the place of what
// an earlier one had made before it died.
func TestResultMadeAgain(t *testing.T) {
	n := lonely(t)
	id := ids.ObjectID{Cluster: 1, Owner: ids.ProcessID{Node: 9, Number: 1}, Number: 7}
	for i, size := range []int64{100, 60} {
		p := join(t, n, uint32(1+i))
		r := &reader{n: n, p: p}
		create := &proto.ToNode{Call: 1, Body: &proto.ToNode_CreateObject{CreateObject: &proto.CreateObject{Id: id.Bytes(), Size: size}}}
		if err := r.frame(create); err != nil {
			t.Fatal(err)
		}
		until(t, "the object is being made", func() bool { return n.store.Usage().Making == 1 })
		seal := &proto.ToNode{Body: &proto.ToNode_SealObject{SealObject: &proto.SealObject{Id: id.Bytes(), Size: size}}}
		if err := r.frame(seal); err != nil {
			t.Fatal(err)
		}
		n.ended(p)
		for o := range n.store.List() {
			if o.ID != id || o.Size != size {
				t.Errorf("want %d bytes: %+v", size, o)
			}
		}
	}
}

// TestNodeReadsThoughNobodyReads: what a process says is read though it doesn't read the
// answers yet, as one that is itself waiting to say something.
func TestNodeReadsThoughNobodyReads(t *testing.T) {
	const calls = 1000
	n := lonely(t)
	ours, theirs := net.Pipe()
	p := joinOver(t, n, 1, ours)
	n.spawn(func() { n.read(p) })
	c := wire.New(theirs)
	for i := range calls {
		if err := c.Send(&proto.ToNode{Call: uint64(i + 1), Body: &proto.ToNode_BorrowObjects{BorrowObjects: &proto.BorrowObjects{}}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		var m proto.ToProcess
		if err := c.Receive(&m); err != nil || m.Call != uint64(i+1) || m.GetAck() == nil {
			t.Fatalf("answer %d: %v, %v", i+1, &m, err)
		}
	}
	c.Close()
}
