package process

import (
	"sync"
	"time"
)

// executors run the calls of a host's actors. Idle ones wait for work; when all are
// busy with calls that don't end, there come to be more.
type executors struct {
	h *host

	line, tail *lightActor // actors with a call to run
	lined      int
	waiting    int // calls in mailboxes

	work    *sync.Cond // on the host's mu
	count   int
	idle    int
	taken   uint64 // calls begun
	watched bool   // the monitor is at work
	wake    chan struct{}

	sweeping bool // calls wait for actors that aren't made
}

// maxIdle is how many executors are kept while there is nothing to do.
const maxIdle = 2

func (x *executors) init(h *host) {
	x.h = h
	x.work = sync.NewCond(&h.mu)
	x.wake = make(chan struct{}, 1)
	h.w.p.spawn(h.monitor)
}

// ready reports whether the first call in the mailbox may run.
func (a *lightActor) ready() bool {
	switch {
	case a.first == nil || a.leaving:
		return false
	case a.state == lightMaking:
		return a.running == 0 && a.first.started != nil
	}
	return a.state == lightAlive && a.running < a.limit
}

// schedule puts an actor in line if one of its calls may run.
func (h *host) schedule(a *lightActor) {
	if a.inLine || !a.ready() {
		return
	}
	a.inLine = true
	if h.tail == nil {
		h.line = a
	} else {
		h.tail.line = a
	}
	h.tail = a
	h.lined++
	switch {
	case h.idle > 0:
		h.work.Signal()
	case h.count == 0:
		h.grow(1)
	}
	h.wakeMonitor()
}

// next takes the call whose turn it is.
func (h *host) next() *Invocation {
	for h.line != nil {
		a := h.line
		h.line, a.line = a.line, nil
		if h.line == nil {
			h.tail = nil
		}
		h.lined--
		a.inLine = false
		if !a.ready() { // cancelled, say
			continue
		}
		in := h.pull(a)
		in.instance = a.instance
		a.running++
		h.taken++
		h.schedule(a)
		return in
	}
	return nil
}

func (h *host) grow(n int) {
	for range n {
		h.count++
		h.w.p.spawn(h.execute)
	}
}

// execute runs calls until there are enough executors without this one.
func (h *host) execute() {
	var in *Invocation
	h.mu.Lock()
	defer func() {
		if in != nil { // the function ended its goroutine (runtime.Goexit)
			h.mu.Lock()
			h.finished(in)
			h.grow(1)
		}
		h.count--
		h.mu.Unlock()
	}()
	for !h.closed {
		if in = h.next(); in == nil {
			if h.flush() {
				continue // mu was released
			}
			if h.idle >= maxIdle {
				return
			}
			h.idle++
			h.work.Wait()
			h.idle--
			continue
		}
		few := h.waiting < exactCalls
		h.mu.Unlock()
		w := h.w
		in.began = clock()
		w.mu.Lock()
		w.running[in] = struct{}{}
		w.mu.Unlock()
		ok := w.run(in)
		w.p.moves.Add(1) // what the call held may be garbage
		w.mu.Lock()
		delete(w.running, in)
		if few || time.Since(w.flushed) > replyDelay {
			w.flushLocked()
		}
		w.mu.Unlock()
		if !ok {
			return
		}
		h.mu.Lock()
		h.finished(in)
		in = nil
	}
}

// finished notes the end of a call.
func (h *host) finished(in *Invocation) {
	a := in.light
	a.running--
	switch {
	case a.leaving:
		if a.running == 0 {
			h.end(a, h.death(a.id, "it ended itself (gray.Exit)"))
		}
	case in.started != nil && a.state == lightMaking && in.peer != nil && in.panicked == "" && a.instance == nil:
		a.state = lightReserved // its inputs are lost, and will be had again
	case in.panicked != "" && in.started == nil:
		h.again(a, in)
	}
	h.schedule(a)
	h.settled(a)
}

// flush writes out replies; false if there were none. mu is released meanwhile.
func (h *host) flush() bool {
	w := h.w
	w.mu.Lock()
	if len(w.dirty) == 0 {
		w.mu.Unlock()
		return false
	}
	h.mu.Unlock()
	w.flushLocked()
	w.mu.Unlock()
	h.mu.Lock()
	return true
}

func (h *host) wakeMonitor() {
	if h.watched {
		return
	}
	h.watched = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// monitor looks after replies, and makes executors, while calls take long.
func (h *host) monitor() {
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-h.wake:
		case <-h.w.p.done:
			return
		}
		for taken, more := uint64(0), true; more; {
			tick.Reset(monitorPeriod)
			select {
			case <-tick.C:
			case <-h.w.p.done:
				return
			}
			h.mu.Lock()
			if !h.flush() && h.lined == 0 && (h.idle == h.count || h.taken == taken) {
				h.watched, more = false, false // a new call wakes it
			}
			if h.lined > 0 && h.taken == taken { // all are blocked: twice as many won't be
				h.grow(min(max(h.count, 1), h.lined))
			}
			taken = h.taken
			h.mu.Unlock()
		}
	}
}

func (h *host) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.work.Broadcast()
}
