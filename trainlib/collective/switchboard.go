package collective

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gray-runtime/gray/trainlib/internal/link"
)

// switchboard is the control of members in processes of their own: a connection to each, on which somebody listens.
type switchboard struct {
	group   *Group
	conns   []*link.Conn
	readers sync.WaitGroup

	mu      sync.Mutex
	dead    map[int]bool
	answers map[int]uint32 // to the question under way, the calls that ranks have come to
	heard   chan struct{}  // an answer has come
}

// What is said.
const (
	sayAsk   = iota + 1 // which call are you in?
	sayHere             // this one
	sayTell             // the group is broken
	sayLeave            // I'm in no calls after this one
	sayNext             // the same, and I'm about to be in the next group
)

const (
	// answerTime is how long one who is there takes to say so.
	answerTime = 500 * time.Millisecond
	// sayTime bounds how long a message waits for room.
	sayTime = time.Second

	messageBytes = 12 // kind, cause, ranks' count in 2, call in 4, text's bytes in 4
	maxText      = 1 << 12
)

// Causes, as they travel.
var causes = []error{errors.New("the group is broken"), ErrDead, ErrLeft, ErrMissing, ErrMismatch, errReformed}

// errGone ends listening to one who has left.
var errGone = errors.New("gone")

// errReformed is why a group is over whose members make another.
var errReformed = errors.New("is being reformed")

func newSwitchboard(g *Group, conns []*link.Conn) *switchboard {
	s := &switchboard{group: g, conns: conns, dead: map[int]bool{}, heard: make(chan struct{}, 1)}
	for r, c := range conns {
		if c != nil {
			s.readers.Go(func() { s.listen(r, c) })
		}
	}
	return s
}

// listen hears one member until it's gone.
func (s *switchboard) listen(rank int, c *link.Conn) {
	for {
		err := s.hear(rank, c)
		if err == nil {
			continue
		}
		s.mu.Lock()
		s.dead[rank] = true
		s.mu.Unlock()
		s.note()
		if errors.Is(err, errGone) {
			return
		}
		if s.group.failure.set(&RankError{Group: s.group.name, Ranks: []int{rank}, Err: ErrDead}) {
			s.tell(s.group.failure.reason())
		}
		return
	}
}

func (s *switchboard) hear(rank int, c *link.Conn) error {
	ctx := context.Background()
	var head [messageBytes]byte
	if err := c.Recv(ctx, head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[4:])
	switch head[0] {
	case sayAsk:
		return s.say(rank, sayHere, nil, s.group.calls.Load())
	case sayHere:
		s.mu.Lock()
		if s.answers != nil {
			s.answers[rank] = n
		}
		s.mu.Unlock()
		s.note()
		return nil
	case sayLeave:
		s.group.left(rank, n, ErrLeft)
		return errGone
	case sayNext:
		s.group.left(rank, n, errReformed)
		return nil
	case sayTell:
	default:
		return fmt.Errorf("rank %d says %d", rank, head[0])
	}
	count, text := int(binary.LittleEndian.Uint16(head[2:])), int(binary.LittleEndian.Uint32(head[8:]))
	if int(head[1]) >= len(causes) || text > maxText || count > maxSize {
		return fmt.Errorf("rank %d tells %v", rank, head)
	}
	body := make([]byte, 2*count+text)
	if err := c.Recv(ctx, body); err != nil {
		return err
	}
	e := &RankError{Group: s.group.name, Err: told{string(body[2*count:]), causes[head[1]]}}
	for i := range count {
		e.Ranks = append(e.Ranks, int(binary.LittleEndian.Uint16(body[2*i:])))
	}
	s.group.failure.set(e)
	return nil
}

// told is an error that another member had.
type told struct {
	text  string
	cause error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.cause }

// note wakes who waits for answers.
func (s *switchboard) note() {
	select {
	case s.heard <- struct{}{}:
	default:
	}
}

func (s *switchboard) say(rank, what int, e *RankError, n uint32) error {
	b := make([]byte, messageBytes)
	b[0] = byte(what)
	binary.LittleEndian.PutUint32(b[4:], n)
	if e != nil {
		cause := max(0, slices.IndexFunc(causes, func(c error) bool { return errors.Is(e.Err, c) }))
		text := e.Err.Error()
		text = text[:min(len(text), maxText)]
		b[1] = byte(cause)
		binary.LittleEndian.PutUint16(b[2:], uint16(len(e.Ranks)))
		binary.LittleEndian.PutUint32(b[8:], uint32(len(text)))
		for _, r := range e.Ranks {
			b = binary.LittleEndian.AppendUint16(b, uint16(r))
		}
		b = append(b, text...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), sayTime)
	defer cancel()
	return s.conns[rank].Send(ctx, b)
}

// tell tells all, as far as they hear it: who doesn't is gone, or sees itself that something is wrong.
func (s *switchboard) tell(e *RankError) {
	for r, c := range s.conns {
		if c != nil {
			_ = s.say(r, sayTell, e, 0)
		}
	}
}

// leave breaks the group for this member, and for the others from the next call on.
func (s *switchboard) leave(n uint32, next bool) {
	what, why := sayLeave, ErrLeft
	if next {
		what, why = sayNext, errReformed
	}
	for r, c := range s.conns {
		if c != nil {
			_ = s.say(r, what, nil, n) // who doesn't hear it is gone
		}
	}
	s.group.failure.set(&RankError{Group: s.group.name, Ranks: []int{s.group.rank}, Err: why})
}

func (s *switchboard) absent(n uint32) []int {
	s.mu.Lock()
	s.answers = map[int]uint32{}
	s.mu.Unlock()
	expected := 0
	for r, c := range s.conns {
		if c != nil && s.say(r, sayAsk, nil, 0) == nil {
			expected++
		}
	}
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	for waits := true; waits; {
		s.mu.Lock()
		have := len(s.answers)
		s.mu.Unlock()
		if have >= expected {
			break
		}
		select {
		case <-s.heard:
		case <-timer.C:
			waits = false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ranks []int
	for r, c := range s.conns {
		if c == nil {
			continue
		}
		if at, ok := s.answers[r]; !ok || int32(at-n) < 0 {
			ranks = append(ranks, r)
		}
	}
	s.answers = nil
	return ranks
}

// gone names who is known to be dead, or to have left.
func (s *switchboard) gone() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ranks []int
	for r := range s.dead {
		ranks = append(ranks, r)
	}
	slices.Sort(ranks)
	return ranks
}

func (s *switchboard) close() error {
	var errs []error
	for _, c := range s.conns {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	s.readers.Wait()
	return errors.Join(errs...)
}
