package gray

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/tty"
	"github.com/gray-runtime/gray/proto"
)

const (
	// foldFor is how long a line is held back that another worker has just written.
	foldFor = 5 * time.Second
	// maxFolded is how many different lines are remembered meanwhile.
	maxFolded = 1000
	// envFold, set to off, has every line shown.
	envFold = "GRAY_LOG_FOLD"
)

// terminal shows what the job's workers write. A line that several workers write within
// 5 s is shown once, and how often it came after that.
type terminal struct {
	out, err io.Writer
	fold     bool

	mu     sync.Mutex
	recent map[foldKey]*folded
	order  []*folded // by the time of the first
	timer  *time.Timer
}

type foldKey struct {
	stderr bool
	line   string
}

// folded is a line that was written lately.
type folded struct {
	key     foldKey
	name    string // who wrote it, without the process
	at      time.Time
	writers map[writer]struct{}
	more    int // times that weren't shown
}

// writer is a process that writes lines.
type writer struct {
	node uint32
	pid  int32
}

func newTerminal() *terminal {
	return &terminal{out: os.Stdout, err: os.Stderr, fold: os.Getenv(envFold) != "off"}
}

func (t *terminal) print(l *proto.LogLines) {
	name := l.GetName()
	if name == "" {
		name = "worker"
	}
	from := fmt.Sprintf("%s pid=%d, n%d", name, l.GetPid(), l.GetNode())
	if l.GetPid() == 0 { // the node itself speaks
		from = fmt.Sprintf("%s, n%d", name, l.GetNode())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.expire(now)
	var b strings.Builder
	for _, line := range l.GetLines() {
		if !t.fold || l.GetPid() == 0 || t.shown(foldKey{l.GetStderr(), line}, name, writer{l.GetNode(), l.GetPid()}, now) {
			fmt.Fprintf(&b, "(%s) %s\n", from, line)
		}
	}
	t.write(l.GetStderr(), b.String())
}

// shown takes note of a line and reports whether it's to be shown now. A worker that
// repeats itself isn't folded: it may be counting on that.
func (t *terminal) shown(key foldKey, name string, w writer, now time.Time) bool {
	f := t.recent[key]
	if f == nil {
		f = &folded{key: key, name: name, at: now, writers: map[writer]struct{}{w: {}}}
		if t.recent == nil {
			t.recent = map[foldKey]*folded{}
		}
		if len(t.order) == maxFolded {
			t.tell(t.order[0])
		}
		t.recent[key], t.order = f, append(t.order, f)
		t.wake(now)
		return true
	}
	f.writers[w] = struct{}{}
	if len(f.writers) == 1 {
		return true
	}
	f.more++
	return false
}

// expire tells of lines that have been held back for long enough.
func (t *terminal) expire(now time.Time) {
	for len(t.order) > 0 && now.Sub(t.order[0].at) >= foldFor {
		t.tell(t.order[0])
	}
}

// tell forgets the oldest line, and says how often it came.
func (t *terminal) tell(f *folded) {
	t.order = t.order[1:]
	delete(t.recent, f.key)
	if f.more > 0 {
		t.write(f.key.stderr, fmt.Sprintf("(%s) %s [repeated %d× across %d workers]\n", f.name, f.key.line, f.more, len(f.writers)))
	}
}

// wake has the oldest line told of in time.
func (t *terminal) wake(now time.Time) {
	wait := foldFor - now.Sub(t.order[0].at)
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.tick)
	}
}

func (t *terminal) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	now := time.Now()
	t.expire(now)
	if len(t.order) > 0 {
		t.wake(now)
	}
}

// close tells of all that was held back.
func (t *terminal) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.order) > 0 {
		t.tell(t.order[0])
	}
	if t.timer != nil {
		t.timer.Stop()
	}
}

// sayError tells the person at the driver's terminal; what other processes said may be in it.
func sayError(err error) { newTerminal().write(true, fmt.Sprintf("gray: %v\n", err)) }

// write shows whole lines. On a terminal they can't do anything but be seen.
func (t *terminal) write(stderr bool, text string) {
	if text == "" {
		return
	}
	w := t.out
	if stderr {
		w = t.err
	}
	if tty.Is(w) {
		var b strings.Builder
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
			b.WriteString(tty.Line(line) + "\n")
		}
		text = b.String()
	}
	_, _ = io.WriteString(w, text)
}
