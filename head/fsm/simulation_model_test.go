package fsm

import (
	"fmt"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// sights counts what simulations came upon.
type sights struct {
	repeated, confirmed, fenced, raised, lost, restored, replaced, upgraded int
}

func (s *sights) add(o sights) {
	s.repeated += o.repeated
	s.confirmed += o.confirmed
	s.fenced += o.fenced
	s.raised += o.raised
	s.lost += o.lost
	s.restored += o.restored
	s.replaced += o.replaced
	s.upgraded += o.upgraded
}

// A model says in the simplest way what the log means, for as much of it as
// clients rely on.
type model struct {
	t       *testing.T
	version uint32
	results map[replyKey]*Result
	done    map[string]uint64
	alive   map[uint32]bool
	keys    map[keyName]bool
	given   map[string]bool // numbers
	seen    sights
}

func newModel(t *testing.T) *model {
	return &model{
		t: t, results: map[replyKey]*Result{}, done: map[string]uint64{}, alive: map[uint32]bool{}, keys: map[keyName]bool{},
		given: map[string]bool{},
	}
}

// apply takes the next command of the log, with what a head answered.
func (m *model) apply(c *Command, r *Result) {
	k := replyKey{c.Client, c.Sequence}
	if m.version >= 2 {
		m.done[c.Client] = max(m.done[c.Client], c.Done)
	}
	first, again := m.results[k]
	switch {
	case c.Client != "" && c.Sequence < m.done[c.Client]:
		m.seen.confirmed++
		m.expect(answeredAlready(r), c, r)
	case c.Client != "" && again:
		m.seen.repeated++
		m.expect(protobuf.Equal(r, first), c, r)
	case m.version >= 2 && c.Node != 0 && !m.alive[c.Node]:
		m.seen.fenced++
		m.expect(r.GetError().GetKind() == proto.Error_NODE_DIED, c, r)
	default:
		m.results[k] = r
		m.effect(c, r)
	}
}

func (m *model) expect(ok bool, c *Command, r *Result) {
	if !ok {
		m.t.Fatalf("%v: answered %v", c, r)
	}
}

func (m *model) effect(c *Command, r *Result) {
	switch b := c.Body.(type) {
	case *Command_Init:
		m.version = max(1, b.Init.Version)
	case *Command_RaiseVersion:
		m.expect(r.Error == nil && r.Existed == (b.RaiseVersion.Version <= m.version), c, r)
		if !r.Existed {
			m.version = b.RaiseVersion.Version
			m.seen.raised++
		}
	case *Command_PutKey:
		name := keyName{b.PutKey.Namespace, b.PutKey.Key}
		m.expect(r.Error == nil && r.Existed == m.keys[name], c, r)
		m.keys[name] = true
	case *Command_DeleteKey:
		name := keyName{b.DeleteKey.Namespace, b.DeleteKey.Key}
		m.expect(r.Error == nil && r.Existed == m.keys[name], c, r)
		m.keys[name] = false
	case *Command_NodeDied:
		if r.Error == nil {
			m.alive[b.NodeDied.Node] = false
		}
	case *Command_RegisterNode:
		m.alive[r.Id] = r.Error == nil
		m.number("node", c, r)
	case *Command_SubmitJob, *Command_RegisterDriver:
		m.number("job", c, r)
	}
}

// number checks that no number is given twice.
func (m *model) number(of string, c *Command, r *Result) {
	if r.Error == nil && !r.Existed {
		number := fmt.Sprint(of, r.Id)
		m.expect(r.Id != 0 && !m.given[number], c, r)
		m.given[number] = true
	}
}
