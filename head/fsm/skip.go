package fsm

import (
	"fmt"
	"math"
)

// SkipNumbers moves the numbers that nodes and jobs get on by n. A state that comes
// from a backup knows nothing of what came after it: without a gap its next node or
// job would get the number of one that may still run, and whose objects, logs and
// calls would be taken for its own.
func (s *State) SkipNumbers(n uint32) error {
	if last := max(s.meta.LastNode, s.meta.LastJob); last > math.MaxUint32-n {
		return fmt.Errorf("%w: a node or job has number %d, beyond which there aren't %d more", ErrSnapshot, last, n)
	}
	m := s.changeMeta()
	m.LastNode += n
	m.LastJob += n
	return nil
}
