package process

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	graypb "github.com/gray-runtime/gray/proto"
)

// failureTexts bounds what the node is told of attempts that failed.
type failureTexts struct {
	mu    sync.Mutex
	since time.Duration // when the present second began, of the process's clock
	told  int           // in it
}

const (
	maxTold    = 100 // texts a second
	maxText    = 4 << 10
	maxLogTail = 1 << 10 // of that, in bytes
)

// tellFailure tells the node what an attempt of a task failed with, unless somebody wanted that.
func (p *Process) tellFailure(number uint64, attempt uint16, e *graypb.Error) {
	if e.GetKind() == graypb.Error_CANCELLED && !e.GetOfInput() {
		return
	}
	if !p.records.tell.take(clock()) {
		return
	}
	p.node.send(&graypb.ToNode{Body: &graypb.ToNode_TaskFailure{TaskFailure: &graypb.TaskFailure{
		Id: p.numbered(number).Bytes(), Attempt: uint32(attempt), Error: shortened(e),
	}}})
}

// take reports whether another text may be sent.
func (f *failureTexts) take(now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now-f.since >= time.Second {
		f.since, f.told = now, 0
	}
	if f.told >= maxTold {
		return false
	}
	f.told++
	return true
}

// shortened is an error with as much of its texts as a node keeps: the beginnings, of the log
// the end.
func shortened(e *graypb.Error) *graypb.Error {
	tail := e.GetLogTail()
	if len(tail) > maxLogTail {
		tail = tail[len(tail)-maxLogTail:]
	}
	tail = strings.ToValidUTF8(tail, "?") // no longer than before
	message := head(e.GetMessage(), maxText/2)
	return &graypb.Error{
		Kind: e.GetKind(), Message: message, LogTail: tail, Stack: head(e.GetStack(), maxText-len(message)-len(tail)),
		Function: head(e.GetFunction(), maxText/8), Node: e.GetNode(), Pid: e.GetPid(), ExitCode: e.GetExitCode(), Signal: e.GetSignal(),
		Attempt: e.GetAttempt(), Task: e.GetTask(), Actor: e.GetActor(), OfInput: e.GetOfInput(),
	}
}

// head is the beginning of a text, at most n bytes of valid UTF-8.
func head(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}
