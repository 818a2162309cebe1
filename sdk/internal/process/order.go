package process

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/gray-runtime/gray/internal/ids"
)

// order is what a frame wants of a lightweight actor. As it travels: what 1, the
// actor's creator 4+4 and number 8; to make one, also its calls at a time uv,
// its restarts uv (one more than that, 0: without bound), and whether the head knows it 1.
type order struct {
	what     byte
	actor    lightID
	calls    uint32
	restarts int32
	known    bool // to the head
}

// lightID names a lightweight actor within its cluster.
type lightID struct {
	creator ids.ProcessID
	number  uint64
}

func (l lightID) object(c ids.ClusterID) ids.ObjectID {
	return ids.ObjectID{Cluster: c, Owner: l.creator, Number: l.number}
}

// What can be wanted of a lightweight actor. All but calls come from its creator;
// so may an end.
const (
	orderCall    = iota // run a method
	orderMake           // run the constructor
	orderReserve        // its constructor comes later: calls are to wait
	orderFail           // its constructor can't be run: the argument is a proto.Error
	orderEnd            // end it: the argument is the reason
	orderRelease        // nobody has a handle any more to the creator's actors numbered in the argument, 8 each
	orderForget         // those of the creator's up to number that the host doesn't know died of the argument, a proto.Error
	orders
)

func (o *order) append(b []byte) []byte {
	b = append(b, o.what)
	b = binary.LittleEndian.AppendUint32(b, uint32(o.actor.creator.Node))
	b = binary.LittleEndian.AppendUint32(b, o.actor.creator.Number)
	b = binary.LittleEndian.AppendUint64(b, o.actor.number)
	if o.what == orderMake {
		b = binary.AppendUvarint(b, uint64(o.calls))
		b = binary.AppendUvarint(b, uint64(o.restarts+1))
		b = append(b, 0)
		if o.known {
			b[len(b)-1] = 1
		}
	}
	return b
}

func (r *reader) order() order {
	o := order{what: r.u8()}
	o.actor.creator = ids.ProcessID{Node: ids.NodeID(r.u32()), Number: r.u32()}
	o.actor.number = r.u64()
	if o.what >= orders {
		r.fail(errors.New("unknown order to a lightweight actor"))
	}
	if o.what == orderMake {
		calls, restarts, known := r.uv(), r.uv(), r.u8()
		if calls > math.MaxInt32 || restarts > math.MaxInt32 || known > 1 {
			r.fail(errors.New("a lightweight actor of no kind that there is"))
		}
		o.calls, o.restarts, o.known = uint32(calls), int32(restarts)-1, known == 1
	}
	return o
}
