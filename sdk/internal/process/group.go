package process

import (
	"context"
	"fmt"
	"sync"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// membership is the placement group that a lease or an actor is in. The zero value
// is none.
type membership struct {
	group   ids.GroupID
	capture bool // children without a strategy of their own are in it, too
}

func membershipOf(s *proto.Strategy) membership {
	id, err := ids.GroupIDFrom(s.GetGroup())
	if err != nil {
		return membership{}
	}
	return membership{id, s.GetCapture()}
}

func (m membership) append(b []byte) []byte {
	if m.group.IsZero() {
		return b
	}
	b = ids.ObjectID(m.group).Append(b)
	if m.capture {
		return append(b, 1)
	}
	return append(b, 0)
}

func (r *reader) membership() membership {
	if len(r.b) == 0 {
		return membership{}
	}
	m := membership{group: ids.GroupID(r.id())}
	switch capture := r.u8(); {
	case capture > 1 || len(r.b) > 0 || m.group.IsZero():
		r.fail(fmt.Errorf("no placement group"))
	default:
		m.capture = capture == 1
	}
	return m
}

// childStrategy is that of what a member submits without a strategy: any bundle of
// the same group.
func (m membership) childStrategy() *proto.Strategy {
	return &proto.Strategy{Group: m.group.Bytes(), AnyBundle: true, Capture: true}
}

// membership returns that of the task or actor's call that ctx belongs to.
func (p *Process) membership(ctx context.Context) membership {
	if p.worker == nil {
		return membership{}
	}
	in, ok := ctx.Value(taskKey).(*Invocation)
	switch {
	case !ok:
		return membership{}
	case in.peer != nil && in.call.flags&flagActor == 0:
		return in.peer.in
	}
	return in.w.in
}

// GroupOf returns the placement group that ctx's task or actor is in.
func (p *Process) GroupOf(ctx context.Context) (ids.GroupID, bool) {
	m := p.membership(ctx)
	return m.group, !m.group.IsZero()
}

// StrategyIn returns a strategy as it is for what is submitted in ctx: without one,
// that of the group which captures it, if any.
func (p *Process) StrategyIn(ctx context.Context, s *proto.Strategy) *proto.Strategy {
	if m := p.membership(ctx); s == nil && m.capture {
		return m.childStrategy()
	}
	return s
}

// captured returns options as they are for a task submitted in ctx.
func (p *Process) captured(ctx context.Context, o *TaskOptions) *TaskOptions {
	if p.worker == nil || o.Strategy != nil {
		return o
	}
	m := p.membership(ctx)
	if !m.capture {
		return o
	}
	if c := o.captured.Load(); c != nil && membershipOf(c.Strategy) == m {
		return c
	}
	c := &TaskOptions{
		Name: o.Name, Function: o.Function, Resources: o.Resources, Strategy: m.childStrategy(), MaxRetries: o.MaxRetries,
		Timeout: o.Timeout, Streaming: o.Streaming, EnvVars: o.EnvVars,
	}
	o.captured.Store(c)
	return c
}

// groupLinger is how long a lease in a placement group is kept without work: its
// bundle has no room for anything else meanwhile.
const groupLinger = 50 * time.Millisecond

// returnSoon gives back a lease in a placement group that has just become idle, if
// it still is after groupLinger. Called with mu held.
func (c *class) returnSoon() {
	if len(c.strategy.GetGroup()) == 0 || c.returning {
		return
	}
	c.returning = true
	time.AfterFunc(groupLinger, func() {
		c.p.leases.giveBackIdle([]*class{c}, groupLinger, false)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.returning = false
		for _, l := range c.leases {
			if l.conn != nil && l.inflight.len() == 0 {
				c.returnSoon() // it became idle later than the first
				return
			}
		}
	})
}

// CreateGroup makes a placement group. It returns once the group is created, or
// known to have to wait. Spec lacks the id.
func (p *Process) CreateGroup(ctx context.Context, spec *proto.GroupSpec) (*proto.GroupInfo, error) {
	spec.Id = p.numbered(p.next.Add(1)).Bytes()
	c := &groupCall{spec: spec, id: spec.Id}
	info, err := p.creations.do(ctx, p, c)
	if err != nil {
		if ctx.Err() != nil { // nobody will know of it
			p.spawn(func() {
				<-c.done
				_, _ = p.removals.do(p.ctx, p, &groupCall{id: spec.Id})
			})
		}
		return nil, err
	}
	if info.State == proto.GroupInfo_CREATED {
		p.ready.put(string(spec.Id))
	}
	return info, nil
}

// readyGroups are placement groups that were created when CreateGroup returned, and
// that nobody has waited for yet: who does needn't ask the head.
type readyGroups struct {
	mu sync.Mutex
	m  map[string]struct{}
}

const maxReady = 4096

func (r *readyGroups) put(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil || len(r.m) >= maxReady {
		r.m = map[string]struct{}{}
	}
	r.m[id] = struct{}{}
}

// take reports whether a group was there, once.
func (r *readyGroups) take(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.m[id]
	delete(r.m, id)
	return ok
}

// FindGroup returns what the head knows of a placement group: by id, or by name if id is zero.
func (p *Process) FindGroup(ctx context.Context, id ids.GroupID, namespace, name string) (*proto.GroupInfo, error) {
	r := &proto.FindGroupRequest{Namespace: namespace, Name: name}
	if !id.IsZero() {
		r = &proto.FindGroupRequest{Id: id.Bytes()}
	}
	info := &proto.GroupInfo{}
	return info, p.HeadCall(ctx, "FindGroup", r, info)
}

// groupPatience is how long the head is asked for a group at a time, so that it
// doesn't go on for long after the caller gave up.
const groupPatience = 5 * time.Second

// AwaitGroup waits until a placement group is created, or fails with how it ended.
func (p *Process) AwaitGroup(ctx context.Context, id ids.GroupID) error {
	if p.ready.take(string(id.Bytes())) {
		return nil
	}
	leave := p.enterWait()
	defer leave()
	for {
		info := &proto.GroupInfo{}
		err := p.HeadCall(ctx, "WaitGroup", &proto.WaitGroupRequest{Id: id.Bytes(), LimitMs: groupPatience.Milliseconds()}, info)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %s", context.Cause(ctx), p.whyGroupWaits(ctx, id))
		}
		if err != nil {
			return err
		}
		switch info.State {
		case proto.GroupInfo_CREATED:
			return nil
		case proto.GroupInfo_REMOVED:
			return &RemoteError{info.Cause}
		case proto.GroupInfo_PENDING, proto.GroupInfo_RESCHEDULING:
		}
	}
}

// whyGroupWaits asks for a last word after ctx has ended.
func (p *Process) whyGroupWaits(ctx context.Context, id ids.GroupID) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	info, err := p.FindGroup(ctx, id, "", "")
	if err != nil {
		return err.Error()
	}
	return info.PendingReason
}

// RemoveGroup ends a placement group, and what runs in it.
func (p *Process) RemoveGroup(ctx context.Context, id ids.GroupID) error {
	p.ready.take(string(id.Bytes()))
	_, err := p.removals.do(ctx, p, &groupCall{id: id.Bytes()})
	return err
}

const (
	groupFlights = 4         // calls about groups to the head at once
	groupBatch   = 256       // groups in one call
	groupBytes   = 256 << 10 // of their descriptions, or one
)

// groupCalls are calls of one kind about groups. Those that come while as many as may
// are under way go together.
type groupCalls struct {
	mu      sync.Mutex
	waiting []*groupCall
	flying  int
}

// groupCall creates or, without spec, removes a group.
type groupCall struct {
	spec *proto.GroupSpec
	id   []byte
	done chan struct{}
	info *proto.GroupInfo
	err  error
}

func (g *groupCalls) do(ctx context.Context, p *Process, c *groupCall) (*proto.GroupInfo, error) {
	c.done = make(chan struct{})
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	if g.flying < groupFlights {
		g.flying++
		p.spawn(func() { g.fly(p) })
	}
	g.mu.Unlock()
	select {
	case <-c.done:
		return c.info, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fly makes calls until none wait.
func (g *groupCalls) fly(p *Process) {
	for {
		g.mu.Lock()
		n, size := 0, 0
		for n < min(len(g.waiting), groupBatch) && (n == 0 || size < groupBytes) {
			size += protobuf.Size(g.waiting[n].spec)
			n++
		}
		batch := g.waiting[:n:n]
		if g.waiting = g.waiting[n:]; n == 0 {
			g.flying--
			g.waiting = nil
		}
		g.mu.Unlock()
		if n == 0 {
			return
		}
		callGroups(p, batch)
		for _, c := range batch {
			close(c.done)
		}
	}
}

// callGroups makes one call to the head, of one kind.
func callGroups(p *Process, batch []*groupCall) {
	creation, removal := &proto.CreateGroupsRequest{}, &proto.RemoveGroupsRequest{}
	for _, c := range batch {
		if c.spec != nil {
			creation.Specs = append(creation.Specs, c.spec)
		} else {
			removal.Ids = append(removal.Ids, c.id)
		}
	}
	reply := &proto.GroupsReply{}
	var err error
	if len(creation.Specs) > 0 {
		err = p.HeadCall(p.ctx, "CreateGroups", creation, reply)
	} else {
		err = p.HeadCall(p.ctx, "RemoveGroups", removal, reply)
	}
	if err == nil && len(reply.Groups) != len(batch) {
		err = fmt.Errorf("the head answers for %d placement groups, not %d", len(reply.Groups), len(batch))
	}
	for i, c := range batch {
		switch {
		case err != nil:
			c.err = err
		case reply.Groups[i].Error != nil:
			c.err = &RemoteError{reply.Groups[i].Error}
		default:
			c.info = reply.Groups[i].GetInfo()
		}
	}
}
