package collective

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/internal/shared"
)

// arena is memory that members on one node share. An operation is a row of rounds, which all members
// count alike. In a round a member writes into its slot, posts that, waits for those whose slots it needs, reads them, and is
// done. Slots are there twice, so that a member may write while others still read what it wrote in the round
// before; who writes a slot has seen all done with the round before that.
type arena struct {
	rank, size int
	ranks      []int // of the group, by rank here
	region     *shared.Region
	segment    int // a slot's bytes
	posts      []post
	slots      [2][][]byte // by round's parity, by rank
	results    [2][]byte   // what members made of the slots together
	small      []byte      // this member's sum of small arrays

	round   uint32 // the one under way
	safe    uint32 // rounds that all are known to be done with
	call    description
	number  uint32
	place   uint64 // of the call's array, if Alloc made it
	ctx     context.Context
	check   func() error
	patient shared.Patience
	failure *failure
	tensors []*tensor
	bytes   atomic.Uint64
}

// post is a member's line in the arena: what it calls, then how many rounds it has posted; how many it has done is in the next line.
type post struct {
	posted, done *shared.Word
	calls        [2]*callLine // by round's parity, as the slots are
}

type callLine struct {
	number uint32
	_      uint32
	call   description
	place  uint64
}

const (
	postBytes = 2 * shared.WordBytes
	callAt    = 16 // within a post, behind its word
	callBytes = int(unsafe.Sizeof(callLine{}))
	// smallBytes is up to where each member adds up all slots by itself, if that's no more than smallWork: one wait
	// instead of two.
	smallBytes = 8 << 10
	smallWork  = 32 << 10
	// blockBytes is how much is added up before it's copied: both fit into the first cache.
	blockBytes = 8 << 10
	// lookEvery is how often a member that sleeps looks whether its context has ended.
	lookEvery = 10 * time.Millisecond
)

func arenaBytes(size int) int {
	return align(size*postBytes, 4096) + 2*(size+1)*segmentOf(size)
}

// segmentOf is how much of an array goes into a slot at once: all slots of a round are to fit into a CPU's second cache together.
func segmentOf(size int) int { return max(64<<10, min(512<<10, 1<<20/size&^4095)) }

func lineAt(r *shared.Region, at int) *callLine { return (*callLine)(unsafe.Pointer(&r.Bytes[at])) }

func align(n, to int) int { return (n + to - 1) / to * to }

func newArena(region *shared.Region, rank int, ranks []int, f *failure) (*arena, error) {
	size := len(ranks)
	if len(region.Bytes) < arenaBytes(size) {
		return nil, fmt.Errorf("shared memory of %d bytes is too small for %d members", len(region.Bytes), size)
	}
	a := &arena{rank: rank, size: size, ranks: ranks, region: region, segment: segmentOf(size), failure: f,
		patient: shared.PatienceOf(size), small: aligned(smallBytes)}
	for r := range size {
		at := r * postBytes
		a.posts = append(a.posts, post{posted: shared.WordAt(region, at), done: shared.WordAt(region, at+shared.WordBytes),
			calls: [2]*callLine{lineAt(region, at+callAt), lineAt(region, at+callAt+callBytes)}})
	}
	at := align(size*postBytes, 4096)
	next := func() []byte { at += a.segment; return region.Bytes[at-a.segment : at : at] }
	for i := range 2 {
		for range size {
			a.slots[i] = append(a.slots[i], next())
		}
		a.results[i] = next()
	}
	a.check = func() error {
		if f.broken.Load() {
			return errBroken
		}
		return a.ctx.Err()
	}
	f.onBreak(a.wake)
	return a, nil
}

// wake has this process look at what became of the group.
func (a *arena) wake() {
	for _, p := range a.posts {
		p.posted.Wake()
		p.done.Wake()
	}
}

func (a *arena) close() error {
	for _, t := range a.tensors {
		t.close()
	}
	return a.region.Close()
}

// begin starts a call. place is where its array lies, 0 if Alloc didn't make it.
func (a *arena) begin(ctx context.Context, n uint32, call description, place uint64) {
	a.ctx, a.number, a.call, a.place = ctx, n, call, place
}

// write returns this member's slot of the round, when it may be written.
func (a *arena) write() ([]byte, error) {
	if err := a.reusable(a.round); err != nil {
		return nil, err
	}
	return a.slots[a.round&1][a.rank], nil
}

// reusable waits until all are done with round-2, whose slots round uses again.
func (a *arena) reusable(round uint32) error {
	if int32(a.safe-(round-1)) >= 0 {
		return nil
	}
	for r := range a.posts {
		if err := a.wait(a.posts[r].done, round-1); err != nil {
			return err
		}
	}
	a.safe = round - 1
	return nil
}

func (a *arena) wait(w *shared.Word, v uint32) error {
	if w.Reached(v) {
		return nil
	}
	return w.WaitPatiently(a.patient, v, lookEvery, a.check)
}

// post says that this member has written its slot of a round.
func (a *arena) post(round uint32) {
	p := &a.posts[a.rank]
	*p.calls[round&1] = callLine{number: a.number, call: a.call, place: a.place}
	p.posted.Set(round + 1)
}

// read waits for a member's slot of the round and returns it.
func (a *arena) read(r int) ([]byte, error) {
	if err := a.come(r, a.round); err != nil {
		return nil, err
	}
	return a.slots[a.round&1][r], nil
}

// come waits for a member's post of a round, and checks that it's in the same call.
func (a *arena) come(r int, round uint32) error {
	p := &a.posts[r]
	if err := a.wait(p.posted, round+1); err != nil {
		return err
	}
	c := p.calls[round&1]
	if c.call == a.call && c.number == a.number && c.place == a.place {
		return nil
	}
	if err := checkCall(a.ranks[r], a.number, a.call, c.number, c.call); err != nil {
		return err
	}
	return &mismatchError{a.ranks[r], placeName(a.place), placeName(c.place)}
}

func placeName(place uint64) string {
	if place == 0 {
		return "memory that Alloc didn't make"
	}
	return fmt.Sprintf("memory of Alloc %d at byte %d", place>>placeShift, place&(1<<placeShift-1))
}

// next ends the round.
func (a *arena) next() {
	a.round++
	a.posts[a.rank].done.Set(a.round)
}

// allCame notes that all have posted the round, and so were done with the one before.
func (a *arena) allCame() { a.safe = a.round }

// allReduce combines all x on all members.
func (a *arena) allReduce(x []byte, k kernel) error {
	a.bytes.Add(uint64(len(x)))
	switch {
	case len(x) <= smallBytes && len(x)*(a.size-1) <= smallWork:
		return a.allReduceSmall(x, k)
	case a.place != 0:
		return a.allReduceInPlace(len(x), k)
	}
	return a.allReduceLarge(x, k)
}

func (a *arena) allReduceSmall(x []byte, k kernel) error {
	slot, err := a.write()
	if err != nil {
		return err
	}
	copy(slot, x)
	a.post(a.round)
	sum := a.small[:len(x)]
	if a.rank == 0 {
		sum = x
	}
	for r := range a.size {
		if r == a.rank {
			if r != 0 {
				k.into(sum, x)
			}
			continue
		}
		s, err := a.read(r)
		if err != nil {
			return err
		}
		if r == 0 {
			copy(sum, s)
		} else {
			k.into(sum, s[:len(x)])
		}
	}
	a.allCame()
	a.next()
	k.finish(sum, a.size)
	if a.rank != 0 {
		copy(x, sum)
	}
	return nil
}

// bounds is which bytes of a segment of n a rank combines. Boundaries are between cache lines.
func (a *arena) bounds(n, rank int) (from, to int) {
	per := (n/a.size + 63) &^ 63
	from, to = min(n, rank*per), min(n, (rank+1)*per)
	if rank == a.size-1 {
		to = n
	}
	return from, to
}

// allReduceLarge works segment by segment: each member combines its part of one, while the slots of the next are written.
func (a *arena) allReduceLarge(x []byte, k kernel) error {
	segments := (len(x) + a.segment - 1) / a.segment
	first := a.round
	of := func(i int) []byte { return x[i*a.segment : min(len(x), (i+1)*a.segment)] }
	give := func(i int) error {
		if err := a.reusable(first + uint32(i)); err != nil {
			return err
		}
		b := of(i)
		slot := a.slots[(first+uint32(i))&1][a.rank]
		from, to := a.bounds(len(b), a.rank)
		copy(slot[:from], b[:from])
		copy(slot[to:len(b)], b[to:])
		a.post(first + uint32(i))
		return nil
	}
	if err := give(0); err != nil {
		return err
	}
	for i := range segments {
		if i+1 < segments {
			if err := give(i + 1); err != nil {
				return err
			}
		}
		b := of(i)
		for r := range a.size {
			if err := a.come(r, a.round); err != nil {
				return err
			}
		}
		slots, result := a.slots[a.round&1], a.results[a.round&1]
		from, to := a.bounds(len(b), a.rank)
		for at := from; at < to; at += blockBytes {
			end := min(to, at+blockBytes)
			for r, slot := range slots {
				if r != a.rank {
					k.into(b[at:end], slot[at:end])
				}
			}
			k.finish(b[at:end], a.size)
			copy(result[at:end], b[at:end])
		}
		a.next()
		for r := range a.size {
			if r == a.rank {
				continue
			}
			if err := a.wait(a.posts[r].done, a.round); err != nil {
				return err
			}
			f, t := a.bounds(len(b), r)
			copy(b[f:t], result[f:t])
		}
		a.safe = a.round
	}
	return nil
}
