package refs

import (
	"bytes"
	"slices"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Info describes one entry, for people.
type Info struct {
	ID      ids.ObjectID
	Home    bool         // this node is the object's home
	Size    int64        // of the value; 0 when unknown
	State   string       // PENDING, INLINE, SEALED, FAILED; BORROWED and REPLICA away from home
	Nodes   []ids.NodeID // whose stores have it
	Holders []string     // "n1.p3", "n2", "in OBJECT"; the owner as "n1.p1 (owner)"
	By      []Holder     // the same, in no order
}

// A Holder is what holds an object: the one of its fields that is not zero.
type Holder struct {
	Process ids.ProcessID
	Node    ids.NodeID
	In      ids.ObjectID
}

// List describes all entries of values, ordered by object.
func (d *Directory) List() []Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Info, 0, len(d.entries))
	for id, e := range d.entries {
		if !id.Actor() { // an actor is listed as such
			list = append(list, e.info())
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return bytes.Compare(a.ID.Bytes(), b.ID.Bytes()) })
	return list
}

func (e *entry) info() Info {
	i := Info{ID: e.id, Home: e.home != nil, State: "BORROWED"}
	if e.link != nil && e.link.replica != nil {
		i.State, i.Size = "REPLICA", e.link.replica.Size
	}
	if h := e.home; h != nil {
		if h.held {
			i.Holders = append(i.Holders, e.id.Owner.String()+" (owner)")
			i.By = append(i.By, Holder{Process: e.id.Owner})
		}
		i.State, i.Size = describe(h.state)
		i.Nodes = nodesOf(h.state)
	}
	var holders []string
	for _, h := range e.holders.all() {
		i.By = append(i.By, Holder{Process: h.process, In: h.in})
		if h.process.IsZero() {
			holders = append(holders, "in "+h.in.String())
		} else {
			holders = append(holders, h.process.String())
		}
	}
	if e.home != nil {
		for _, n := range e.home.borrowers.all() {
			holders = append(holders, n.String())
			i.By = append(i.By, Holder{Node: n})
		}
	}
	slices.Sort(holders)
	i.Holders = append(i.Holders, holders...)
	return i
}

func describe(s *proto.ObjectState) (state string, size int64) {
	switch b := s.GetBody().(type) {
	case *proto.ObjectState_Value:
		return "INLINE", int64(len(b.Value))
	case *proto.ObjectState_Stored:
		return "SEALED", b.Stored.GetSize()
	case *proto.ObjectState_Error:
		return "FAILED", 0
	default:
		return "PENDING", 0
	}
}
