package collective

import (
	"fmt"
	"strings"
)

// kind is which operation is called.
type kind uint8

const (
	kindAllReduce kind = iota + 1
	kindReduceScatter
	kindAllGather
	kindBroadcast
	kindReduce
	kindGather
	kindScatter
	kindAllToAll
	kindBarrier
	kindSend
	kindAlloc
)

var kindNames = [...]string{"nothing", "AllReduce", "ReduceScatter", "AllGather", "Broadcast", "Reduce", "Gather", "Scatter",
	"AllToAll", "Barrier", "Send", "Alloc"}

func (k kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown operation"
}

// call is one operation as its member called it. bytes is how much each member gives, or gets if that's one's
// alone to give: it's the same on all.
type call struct {
	kind      kind
	number    number
	op        Op
	algorithm Algorithm
	root      int
	bytes     int
}

// The most that a call's description has room for.
const (
	maxSize  = 1 << 12
	maxBytes = 1 << 36
)

// description is a call in a word. Members of a group whose n-th calls have different ones can't go on.
type description uint64

func (c *call) describe() description {
	return description(c.kind) | description(c.number)<<4 | description(c.op)<<8 | description(c.algorithm)<<12 |
		description(c.root)<<16 | description(c.bytes)<<28
}

func (d description) String() string {
	k, n, op, a := kind(d&15), number(d>>4&15), Op(d>>8&15), Algorithm(d>>12&15)
	if n >= numbers {
		return fmt.Sprintf("%v of an unknown type", k)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%v", k)
	if k == kindBarrier {
		return s.String()
	}
	fmt.Fprintf(&s, " of %d %s", int(d>>28)/numberBytes[n], numberNames[n])
	switch k {
	case kindAllReduce, kindReduce, kindReduceScatter:
		fmt.Fprintf(&s, ", %v", op)
	}
	switch k {
	case kindBroadcast, kindReduce, kindGather, kindScatter:
		fmt.Fprintf(&s, ", root %d", d>>16&(maxSize-1))
	}
	if a != Auto {
		fmt.Fprintf(&s, ", %v", a)
	}
	return s.String()
}
