package process

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/internal/ids"
	graypb "github.com/gray-runtime/gray/proto"
)

// register tells the head of an actor, and goes on with it when that is done.
func (p *Process) register(t *Task, c Creation) {
	a, id := t.actor, t.light.id
	name := actorName{c.Spec.GetNamespace(), c.Spec.GetName()}
	done := make(chan struct{})
	p.hosts.mu.Lock()
	if p.hosts.naming == nil {
		p.hosts.naming = map[actorName]chan struct{}{}
	}
	before := p.hosts.naming[name] // the first to ask for a name gets it
	p.hosts.naming[name] = done
	p.hosts.mu.Unlock()
	c.Spec.Id, c.Spec.Host, c.Spec.Job, c.Spec.CreatorNode = id.Bytes(), a.id.Bytes(), uint32(p.job), uint32(p.self.Node)
	p.spawn(func() {
		err := a.awaitCreation(p.ctx)
		if err == nil && before != nil {
			select {
			case <-before:
			case <-p.done:
			}
		}
		if err == nil {
			err = p.HeadCall(p.ctx, "CreateActor", &graypb.CreateActorRequest{Spec: c.Spec}, &graypb.Ack{})
		}
		p.hosts.mu.Lock()
		if p.hosts.naming[name] == done {
			delete(p.hosts.naming, name)
		}
		p.hosts.mu.Unlock()
		close(done)
		if err != nil {
			a.mu.Lock()
			t.known = false
			delete(a.guests.again, id.Number)
			a.mu.Unlock()
			p.failTask(t, asError(fmt.Errorf("create actor %s: %w", c.Spec.GetClass(), err)))
			return
		}
		a.mu.Lock()
		if a.guests.known == nil {
			a.guests.known = map[uint64]bool{}
		}
		a.guests.known[id.Number] = true
		a.mu.Unlock()
		if c.Submission.independent() {
			t.waiting.Store(0) // it waited for this alone
		}
		p.submit(t, c.Submission)
	})
}

// awaitNaming waits until the head has answered for the name's latest bearer here.
func (p *Process) awaitNaming(ctx context.Context, name actorName) error {
	p.hosts.mu.Lock()
	done := p.hosts.naming[name]
	p.hosts.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.done:
		return p.doneErr()
	}
}

// unregister tells the head of the end of an actor that it knows.
func (p *Process) unregister(id ids.ObjectID, reason string) {
	// Without a head to hear it, the actor ends there with its job at the latest.
	_ = p.HeadCall(p.ctx, "KillActor", &graypb.KillActorRequest{Id: id.Bytes(), Reason: reason}, &graypb.Ack{})
}

// named makes o, which stands for an actor that the head knows, a lightweight actor's if it
// is one.
func (p *Process) named(o *Object, spec *graypb.ActorSpec) error {
	if len(spec.GetHost()) == 0 {
		return nil
	}
	host, err := ids.ActorIDFrom(spec.GetHost())
	if err != nil {
		return err
	}
	return p.actors.client(host).stand(o, func() (*Object, error) {
		hosts, err := p.borrowIDs([][]byte{spec.GetHost()})
		if err != nil {
			return nil, err
		}
		return hosts[0], nil
	})
}

// forgetKnown tells the head of an actor's end, if it knows it. Called with mu held.
func (a *actorClient) forgetKnown(number uint64, reason string) {
	if a.guests.known[number] {
		delete(a.guests.known, number)
		id := ids.ObjectID{Cluster: a.p.cluster, Owner: a.p.self, Number: number}
		a.p.spawn(func() { a.p.unregister(id, reason) })
	}
}
