package compress

import "fmt"

// Way is how a Reducer sums up.
type Way string

// The ways. All but Gather and Exchange compress sums of some members' gradients again on the way.
const (
	Choose   Way = ""         // what fits the compression, the group and the size
	Gather   Way = "gather"   // all members get all messages: for few members, and for sparse messages
	Exchange Way = "exchange" // each member sums up a part of all messages, and all get its message
	Ring     Way = "ring"     // sums go around, from neighbour to neighbour
	Tree     Way = "tree"     // sums go up a binary tree, and their message comes down
	Direct   Way = "direct"   // what is sent is summed up as it is: of randomk, powersgd, none
)

// gatherBytes is up to which messages are gathered in larger groups too: it's one exchange instead of two.
const gatherBytes = 16 << 10

// chooseWay resolves a Spec's Way for n numbers of so many bytes, in a group of size.
func (s Spec) chooseWay(n, width, size int) (Way, error) {
	fits := []Way{Gather, Exchange, Ring, Tree}
	switch s.Kind {
	case KindNone, KindRandomK, KindPowerSGD:
		fits = []Way{Direct}
	case KindDGC:
		fits = []Way{Gather}
	case KindTopK:
		fits = []Way{Gather, Tree}
	}
	if s.Way == Choose {
		if len(fits) == 4 && size > 2 && s.messageBytes(n, width) > gatherBytes {
			return Exchange, nil
		}
		return fits[0], nil
	}
	for _, w := range fits {
		if w == s.Way {
			return w, nil
		}
	}
	return "", fmt.Errorf("sums of %s can't go the way %q: one of %q can", s.Kind, s.Way, fits)
}
