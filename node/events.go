package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/newest"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxEvents    = 4096
	maxEventText = 4 << 10
	// eventEvery is how often the same is said, at most, of the same.
	eventEvery = time.Minute
	storeWatch = time.Second
)

// events are what has happened on this node lately, for people.
type events struct {
	mu   sync.Mutex
	ring newest.Ring[*proto.Event]
	said map[string]time.Time // what is said now and then only
}

func (h *events) add(e *proto.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(e)
}

func (h *events) put(e *proto.Event) {
	e.Number, e.TimeUnixMs = h.ring.Total()+1, time.Now().UnixMilli()
	e.Message = strings.ToValidUTF8(e.Message[:min(len(e.Message), maxEventText)], "\uFFFD")
	h.ring.Add(e, maxEvents)
}

// addSometimes is add, but not of what was said in the last minute of that worker.
func (h *events) addSometimes(e *proto.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key, now := e.Kind+e.Worker, time.Now()
	if now.Sub(h.said[key]) < eventEvery {
		return
	}
	for k, at := range h.said {
		if now.Sub(at) >= eventEvery {
			delete(h.said, k)
		}
	}
	if h.said == nil {
		h.said = map[string]time.Time{}
	}
	h.said[key] = now
	h.put(e)
}

// ListEvents tells what has happened here, the oldest first.
func (s *service) ListEvents(context.Context, *proto.ListRequest) (*proto.EventList, error) {
	h := &s.n.events
	h.mu.Lock()
	defer h.mu.Unlock()
	all, dropped := h.ring.All()
	return &proto.EventList{Events: all, Dropped: dropped}, nil
}

// processEvent is an event of a process of a job.
func processEvent(p *process, severity proto.Event_Severity, kind, message string) *proto.Event {
	e := &proto.Event{Severity: severity, Kind: kind, Worker: p.name(), Job: uint32(p.job.id), Pid: int32(p.pid), Message: message}
	if p.child != nil {
		e.Pid = int32(p.child.pid)
	}
	if p.actor != nil {
		e.Actor = p.actor.id.String()
	}
	return e
}

// tellEndLocked says that a worker has ended which nobody wanted to.
func (n *Node) tellEndLocked(p *process, was workerState, cause *proto.Error) {
	if !p.worker || p.job == nil || p.job.ended || n.closing {
		return
	}
	switch {
	case p.outOfMemory:
		n.events.add(processEvent(p, proto.Event_ERROR, "WORKER_OUT_OF_MEMORY", cause.Message))
	case p.killed != "" || p.startErr == nil && was == idle:
	case was == starting:
		n.events.add(processEvent(p, proto.Event_ERROR, "WORKER_NOT_STARTED", cause.Message))
	case cause.Signal != "" || cause.ExitCode != 0:
		n.events.add(processEvent(p, proto.Event_ERROR, "WORKER_CRASHED", cause.Message))
	}
}

// watchStore says when the store begins to spill, has somebody wait for room, or can't write to disk.
func (n *Node) watchStore() {
	moved, trouble := n.spill.Moved(), ""
	for n.pause(storeWatch) {
		u := n.store.Usage()
		if now := n.spill.Moved(); now != moved {
			moved = now
			n.events.addSometimes(&proto.Event{Kind: "STORE_SPILLING", Message: fmt.Sprintf(
				"objects go to disk and back: %s of %s are in use", mib(u.Used), mib(u.Capacity))})
		}
		if u.Waiting > 0 {
			n.events.addSometimes(&proto.Event{Severity: proto.Event_WARNING, Kind: "STORE_FULL", Message: fmt.Sprintf(
				"%d wait for room: %s of %s are in use; %s", u.Waiting, mib(u.Used), mib(u.Capacity), n.holding())})
		}
		err := n.spill.Trouble()
		if err == nil {
			trouble = ""
		} else if text := err.Error(); text != trouble {
			trouble = text
			kind := "STORE_DISK_FAILED"
			if errors.Is(err, syscall.ENOSPC) {
				kind = "STORE_DISK_FULL"
			}
			n.events.add(&proto.Event{Severity: proto.Event_ERROR, Kind: kind, Message: text})
		}
	}
}

// tellSilent says that a process doesn't answer.
func (n *Node) tellSilent(p *process) {
	n.events.addSometimes(processEvent(p, proto.Event_WARNING, "WORKER_SILENT", fmt.Sprintf("it gives no answer within %s", listTimeout)))
}
