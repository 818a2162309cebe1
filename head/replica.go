package head

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/proto"
)

// replica is the state machine as Raft drives it.
type replica struct {
	mu     sync.RWMutex
	state  *fsm.State
	events []fsm.Event

	signal  chan struct{} // there are events
	stored  chan struct{} // there may be new packages
	watch   watchers
	newest  uint32               // version of commands that this head knows
	founded func()               // called when the cluster's identity may have become known
	tell    func([]*proto.Event) // called with what people are to know of what happened; nil: nobody is told
	broken  func(error)          // called when a log entry can't be understood
	failed  error                // that happened: the state lacks it, and must not be kept
	applied *prometheus.HistogramVec
}

func newReplica(newest uint32, founded func(), broken func(error)) *replica {
	return &replica{
		state: fsm.New(), signal: make(chan struct{}, 1), stored: make(chan struct{}, 1), newest: newest, founded: founded, broken: broken,
		watch: watchers{m: map[any]*watched{}}, applied: applyHistogram.Observed(raftBuckets),
	}
}

var _ raft.FSM = (*replica)(nil)

// Apply carries out a committed command. It answers a *fsm.Result or an error.
func (r *replica) Apply(l *raft.Log) any {
	c, err := fsm.DecodeUpTo(l.Data, r.newest)
	if err != nil {
		err = fmt.Errorf("log entry %d: %w", l.Index, err)
		r.mu.Lock()
		r.failed = err
		r.mu.Unlock()
		r.broken(err)
		return err
	}
	r.mu.Lock()
	if r.failed != nil {
		defer r.mu.Unlock()
		return r.failed
	}
	began := time.Now()
	result, events := r.state.Apply(c)
	r.applied.WithLabelValues().Observe(time.Since(began).Seconds())
	r.events = append(r.events, events...)
	if r.tell != nil {
		r.tell(describe(r.state, c, result, events))
	}
	r.mu.Unlock()
	for _, e := range events {
		switch e.Kind {
		case fsm.ActorChanged:
			r.watch.notify(e.Actor)
		case fsm.GroupChanged:
			r.watch.notify(e.Group)
		case fsm.JobChanged, fsm.JobPlaced, fsm.JobOver:
			r.watch.notify(e.Job)
		}
	}
	if len(events) > 0 {
		wake(r.signal)
	}
	switch c.Body.(type) {
	case *fsm.Command_PutPackage:
		wake(r.stored)
	case *fsm.Command_Init:
		r.founded()
	}
	return result
}

// wake leaves a note in a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// version is that of commands that may be made.
func (r *replica) version() uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.Version()
}

// takeEvents returns what happened since the last call.
func (r *replica) takeEvents() []fsm.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.events
	r.events = nil
	return out
}

// read calls f with the state, which f must not keep (records it may).
func (r *replica) read(f func(*fsm.State)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f(r.state)
}

// Snapshot takes the state for Raft.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.failed != nil {
		return nil, r.failed
	}
	return persister{r.state.Snapshot()}, nil
}

// Restore replaces the state by a snapshot.
func (r *replica) Restore(in io.ReadCloser) error {
	defer in.Close()
	s, err := fsm.Restore(in)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.state, r.events = s, nil
	r.mu.Unlock()
	wake(r.stored)
	r.founded()
	return nil
}

type persister struct{ s *fsm.Snapshot }

func (p persister) Persist(sink raft.SnapshotSink) error {
	if _, err := p.s.WriteTo(sink); err != nil {
		sink.Cancel()
		return fmt.Errorf("write snapshot: %w", err)
	}
	return sink.Close()
}

func (persister) Release() {}
