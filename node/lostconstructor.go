package node

import (
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// The constructor of an actor with a process of its own is recorded by that process, as a
// task of its own. If the process has ended under it the node does that for it.

// constructing reports whether it runs an actor's constructor, or is about to.
func (p *process) constructing() bool {
	return p.state == hosting && p.actor != nil && !p.actor.ready
}

// recordLostConstructor records the constructor that a process was in when it ended.
func (n *Node) recordLostConstructor(p *process, cause *proto.Error) {
	n.mu.Lock()
	r := n.lostConstructorLocked(p, cause)
	n.mu.Unlock()
	if r != nil && n.archive.addLast(p, r) && r.Outcome == recorder.Crashed {
		n.archive.fail(failureKey{p.id, r.Number, uint32(r.Attempt)}, failure{uint32(p.job.id), lastWords(cause)})
	}
}

func (n *Node) lostConstructorLocked(p *process, cause *proto.Error) *recorder.Record {
	number := n.progress.lastStarted(p.slot)
	if p.records == nil || !p.constructing() || number == 0 || n.progress.owner(p.slot) != p.id {
		return nil
	}
	at, _ := n.progress.began(p.slot)
	took := max(time.Duration(time.Now().UnixNano()-int64(at)), 0)
	r := &recorder.Record{
		Number: number, Function: n.progress.function(p.slot), Worker: p.id, Actor: p.actor.id.Number, ActorOwner: p.actor.id.Owner,
		Submitted: int64(at), Ended: took, Done: took, Attempt: uint16(max(p.actor.incarnation, 1) - 1), Kind: recorder.ActorCall,
		Outcome: recorder.Crashed, Error: cause.GetKind(),
	}
	if p.actor.jobOver || p.actor.stopped != "" {
		r.Outcome, r.Error = recorder.Cancelled, proto.Error_CANCELLED
	}
	return r
}

// addLast adds a record for a process that has ended, unless that has done so itself.
func (a *recordArchive) addLast(p *process, r *recorder.Record) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	known := p.retired
	if !known {
		p.records.Read(0, func(_ uint64, its *recorder.Record) bool {
			known = its.Number == r.Number && its.Attempt == r.Attempt
			return !known
		})
	}
	if known {
		return false
	}
	p.records.Add(r)
	return true
}

// maxLastWords is how much is kept of a log's end, in bytes.
const maxLastWords = 1 << 10

// lastWords is an error as it's kept for an attempt.
func lastWords(e *proto.Error) *proto.Error {
	tail := e.GetLogTail()
	tail = strings.ToValidUTF8(tail[max(0, len(tail)-maxLastWords):], "?")
	return &proto.Error{
		Kind: e.GetKind(), Message: e.GetMessage(), LogTail: tail,
		Function: e.GetFunction(), Node: e.GetNode(), Pid: e.GetPid(), ExitCode: e.GetExitCode(), Signal: e.GetSignal(),
	}
}
