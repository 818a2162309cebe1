package ps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/internal/shared"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/ps/clock"
)

// server is the actor. It's empty, or the first of its part, or the second, which has what the first has.
type server struct {
	place place
	life  context.Context // as long as the process

	mu      sync.Mutex
	role    role
	epoch   int64 // of what it has
	shard   parameters
	copy    *replica
	present map[int]*session
	joined  chan struct{} // closed and made anew when someone comes
	values  *shared.Region
}

// place is which server of a group one is.
type place struct {
	Group         Group
	Part, Replica int
}

// role is what a server is.
type role uint8

const (
	empty  role = iota // it has nothing: it's new, or was restarted
	first              // workers speak to it
	second             // it has what the first has
)

// standing is part of every answer: who isn't first says no more.
type standing struct{ Role role }

// parameters is a shard of either type.
type parameters interface {
	join(worker int, token uint64) (at int64, resumed bool, err error)
	leave(worker int, token uint64)
	keep(present func(clock.Member) bool)
	call(ctx context.Context, in pushed) (pulled, error)
	serve(m *memory, of Part, p *session, c *channel)
	rowsOf(in wantedRows) ([]byte, error)
	saved() State
	follow(c change) (bool, error)
	replicated(r *replica)
	status() Status
	close(err error)
}

// session is a worker's presence.
type session struct {
	attend
	ended   chan struct{} // closed by leave
	once    sync.Once
	clock   int64
	resumed bool

	loops   sync.WaitGroup
	mu      sync.Mutex
	memory  *memory
	channel *channel
	staged  staged
}

type staged struct {
	clock int64
	rows  []rowBytes
}

func newServer(ctx context.Context, p place) (*server, error) {
	return &server{place: p, life: context.WithoutCancel(ctx), present: map[int]*session{}, joined: make(chan struct{})}, nil
}

// newParameters makes a shard that is as d says.
func (s *server) newParameters(d State) (parameters, error) {
	if s.place.Group.Bits == 32 {
		return shardFrom[float32](s, d)
	}
	return shardFrom[float64](s, d)
}

func shardFrom[T model.Float](s *server, d State) (parameters, error) {
	values, err := numbersOf[T](d.Values)
	if err != nil {
		return nil, err
	}
	if s.place.Group.viewable() && len(values) > 0 {
		if s.values == nil {
			if s.values, err = shared.Create(len(d.Values)); err != nil {
				return nil, err
			}
		}
		own := shared.Slice[T](s.values, 0, len(s.values.Bytes)/(s.place.Group.Bits/8))
		if len(own) != len(values) {
			return nil, fmt.Errorf("%d values for %d parameters", len(values), len(own))
		}
		copy(own, values)
		values = own
	}
	sh, err := newShard(s.place.Group, s.place.Group.Parts[s.place.Part], values)
	if err != nil {
		return nil, err
	}
	return sh, sh.restore(d)
}

// viewable reports whether workers on the server's node may read its own values: nobody changes them while one does.
func (g Group) viewable() bool {
	return len(g.Parts) == 1 && g.Config.Mode == Mode{} && g.Config.Replicas == 0
}

// Begin makes the server the first one, with this state.
func (s *server) Begin(_ context.Context, d State) (gray.None, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shard != nil {
		s.shard.close(ErrReplaced)
	}
	d.Epoch = max(d.Epoch, s.epoch) + 1
	shard, err := s.newParameters(d)
	if err != nil {
		return gray.None{}, err
	}
	s.shard, s.epoch, s.role = shard, d.Epoch, first
	s.withReplica(d.Epoch)
	if s.copy != nil && !s.copy.fill() {
		return gray.None{}, errors.New("the second server can't be reached")
	}
	return gray.None{}, nil
}

// withReplica has updates go to the other server of this part, if there is one, from when it's there.
func (s *server) withReplica(epoch int64) {
	if s.place.Group.Config.Replicas == 0 {
		return
	}
	s.copy = &replica{life: s.life, name: s.place.Group.server(s.place.Part, 1-s.place.Replica), epoch: epoch}
	s.shard.replicated(s.copy)
}

// Load makes the server the second one, with what the first has.
func (s *server) Load(_ context.Context, d State) (standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == first && s.epoch >= d.Epoch || s.epoch > d.Epoch {
		return standing{s.role}, nil
	}
	s.become(empty)
	shard, err := s.newParameters(d)
	if err != nil {
		return standing{}, err
	}
	s.shard, s.epoch, s.role = shard, d.Epoch, second
	return standing{second}, nil
}

// become is another role; what waits here for the first is told so.
func (s *server) become(r role) {
	if s.role == first {
		s.shard.close(errDeposed)
	}
	s.role = r
}

// Follow makes the update that the first makes.
func (s *server) Follow(_ context.Context, c change) (standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == first && s.epoch > c.Epoch {
		return standing{first}, nil
	}
	if s.role != second || s.epoch != c.Epoch {
		return standing{empty}, nil
	}
	ok, err := s.shard.follow(c)
	if err != nil || !ok {
		s.role = empty // it's given everything anew
	}
	return standing{s.role}, err
}

// Hello answers once the server is there.
func (s *server) Hello(context.Context, gray.None) (standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return standing{s.role}, nil
}

// Hold returns when its caller, the first server, is gone: until then, the call says that this one lives.
func (s *server) Hold(ctx context.Context, _ gray.None) (standing, error) {
	<-ctx.Done()
	return standing{}, context.Cause(ctx)
}

// Lead makes a second server the first one: its worker has learned that the former is dead.
func (s *server) Lead(context.Context, gray.None) (standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == second {
		s.role = first
		s.epoch++
		s.withReplica(s.epoch)
		s.copy.await()
		epoch := s.epoch
		time.AfterFunc(s.place.Group.Config.Grace, func() { s.forget(epoch) })
	}
	return standing{s.role}, nil
}

// forget ends the part of workers that haven't come back since the server has taken over.
func (s *server) forget(epoch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role != first || s.epoch != epoch {
		return
	}
	s.shard.keep(func(m clock.Member) bool {
		p := s.present[m.Worker]
		return p != nil && p.Token == m.Token
	})
}

// leads returns the shard if this server is the first, else what it is.
func (s *server) leads() (parameters, standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == first && s.copy != nil && s.copy.deposed.Load() {
		s.become(empty)
	}
	if s.role != first {
		return nil, standing{s.role}
	}
	return s.shard, standing{first}
}

// Status tells how the server is.
func (s *server) Status(context.Context, gray.None) (statusAnswer, error) {
	p, st := s.leads()
	if p == nil {
		return statusAnswer{standing: st}, nil
	}
	a := p.status()
	a.PID, a.Node = os.Getpid(), gray.Current(s.life).Node
	a.Replica = s.copy != nil && s.copy.up.Load()
	return statusAnswer{st, a}, nil
}

type statusAnswer struct {
	standing
	Status Status
}

// Save tells all that the server knows.
func (s *server) Save(context.Context, gray.None) (stateAnswer, error) {
	p, st := s.leads()
	if p == nil {
		return stateAnswer{standing: st}, nil
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	d := p.saved()
	d.Epoch = epoch
	return stateAnswer{st, d}, nil
}

type stateAnswer struct {
	standing
	State State
}

func (s standing) first() bool { return s.Role == first }
