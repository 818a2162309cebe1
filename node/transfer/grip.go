package transfer

import (
	"errors"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
)

// gripTime is how long an object stays pinned after it was read from the disk or a
// chunk of it was sent. The next is asked for soon, and shouldn't find it on the disk
// again.
const gripTime = 500 * time.Millisecond

// errReading says that an object is to be asked for again.
var errReading = errors.New("is still being read from disk")

// A reading is an object that comes from the disk, for all who have asked for it.
type reading struct {
	done chan struct{}
	err  error // after done
}

// acquire pins an object. One that lies on disk goes on being read when who asked is
// told, before it would take this node for hung, to ask again: errReading.
func (s *Server) acquire(id ids.ObjectID) ([]byte, error) {
	if data, ok := s.cfg.Store.Get(id); ok {
		return data, nil
	}
	timer := time.NewTimer(s.patience())
	defer timer.Stop()
	for {
		r := s.read(id)
		select {
		case <-r.done:
		case <-timer.C:
			return nil, errReading
		case <-s.ctx.Done():
			return nil, ErrClosed
		}
		if r.err != nil {
			return nil, r.err
		}
		if data, ok := s.cfg.Store.Get(id); ok {
			return data, nil
		}
	} // again only if it was deleted meanwhile
}

// read finds or begins the reading of an object.
func (s *Server) read(id ids.ObjectID) *reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reads[id]
	if r == nil {
		r = &reading{done: make(chan struct{})}
		s.reads[id] = r
		s.wg.Go(func() { s.run(id, r) })
	}
	return r
}

func (s *Server) run(id ids.ObjectID, r *reading) {
	_, r.err = s.cfg.Store.Acquire(s.ctx, id)
	s.mu.Lock()
	delete(s.reads, id)
	s.mu.Unlock()
	close(r.done)
	if r.err == nil {
		pause.For(s.ctx, gripTime)
		s.cfg.Store.Release(id)
	}
}

// A grip is a connection's pin of the object that was last asked for on it.
type grip struct {
	server *Server

	mu   sync.Mutex
	held bool
	id   ids.ObjectID
	data []byte
	uses int // calls of take
}

// take pins an object until loosen or release.
func (g *grip) take(id ids.ObjectID) ([]byte, error) {
	g.mu.Lock()
	g.uses++
	data, held := g.data, g.held && g.id == id
	g.mu.Unlock()
	if held {
		return data, nil
	}
	g.release()
	data, err := g.server.acquire(id)
	if err == nil {
		g.mu.Lock()
		g.held, g.id, g.data = true, id, data
		g.mu.Unlock()
	}
	return data, err
}

// loosen ends the pin unless the object is taken again before d is over.
func (g *grip) loosen(d time.Duration) {
	g.mu.Lock()
	held, uses := g.held, g.uses
	g.mu.Unlock()
	switch {
	case d == 0:
		g.release()
	case held:
		time.AfterFunc(d, func() { g.end(func() bool { return g.uses == uses }) })
	}
}

// release ends the pin.
func (g *grip) release() { g.end(func() bool { return true }) }

// end ends the pin if due, which is called with mu held.
func (g *grip) end(due func() bool) {
	g.mu.Lock()
	held, id := g.held && due(), g.id
	if held {
		g.held, g.data = false, nil
	}
	g.mu.Unlock()
	if held {
		g.server.cfg.Store.Release(id)
	}
}
