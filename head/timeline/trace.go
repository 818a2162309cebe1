package timeline

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// WriteTrace writes the timeline in the trace-event format: a process is a node, a thread
// a row. Its clock counts µs, with three decimals, from the beginning. Arrange comes first.
func (t *Timeline) WriteTrace(w io.Writer) error {
	e := &events{w: bufio.NewWriterSize(w, 64<<10), base: t.base, quoted: map[string]string{}}
	fmt.Fprintf(e.w, `{"displayTimeUnit":"ms","otherData":{"job":"%s","begin_unix_ns":"%d","dropped":"%d"},"traceEvents":[`, t.job, t.base, t.dropped)
	t.metadata(e)
	for id, p := range t.processes {
		if p.drives() { // what calls come from
			e.begin("X", "driver", "driver", p.lanes[0], p.first)
			e.duration(p.last - p.first)
			e.text(`,"args":{"process":"`, id.String(), `"}`)
			e.end()
		}
	}
	for i, a := range t.attempts {
		if e.err != nil {
			break
		}
		t.trace(e, a, i+1)
	}
	for _, s := range t.spans {
		t.traceSpan(e, s)
	}
	e.w.WriteString("\n]}\n")
	if err := cmp.Or(e.err, e.w.Flush()); err != nil {
		return fmt.Errorf("write a trace: %w", err)
	}
	return nil
}

// drives reports whether a process has a row of its own as a driver, which runs no tasks.
func (p *process) drives() bool { return p.kind == "driver" && p.first != 0 && p.lanes[0].until == 0 }

// label is how people call a process's row.
func (p *process) label(id ids.ProcessID) string {
	s := id.String()
	switch {
	case p.class != "":
		s += " actor " + p.class
	case p.kind != "":
		s += " " + p.kind
	}
	if p.pid != 0 {
		s += fmt.Sprintf(" pid %d", p.pid)
	}
	return s
}

// metadata names processes and threads.
func (t *Timeline) metadata(e *events) {
	var last ids.NodeID
	name := func(what string, r *row, arg, value string) {
		e.open(what, "M")
		e.text(`,"pid":`, strconv.Itoa(int(r.node)), `,"tid":`, strconv.Itoa(r.index+1), `,"args":{"`, arg, `":`, value, `}`)
		e.end()
	}
	for _, r := range t.rows {
		if r.node != last {
			last = r.node
			name("process_name", r, "name", e.quote(r.node.String()))
			name("process_sort_index", r, "sort_index", strconv.Itoa(int(r.node)))
		}
		label := r.label
		if r.lane > 0 {
			label = fmt.Sprintf("%s (%d)", label, r.lane+1)
		}
		name("thread_name", r, "name", e.quote(label))
		name("thread_sort_index", r, "sort_index", strconv.Itoa(r.index))
	}
}

// trace writes an attempt: its submission, what it waited for, its run, and the arrow to
// that.
func (t *Timeline) trace(e *events, a *attempt, number int) {
	home := t.processes[a.owner].lanes[0]
	id := t.taskID(a)
	unique := id + "." + strconv.Itoa(int(a.Attempt))
	if !a.running {
		e.begin("i", "submit "+a.name, "submit", home, a.Submitted)
		e.text(`,"s":"t","args":{"task":"`, id, `"}`)
		e.end()

		e.begin("b", a.name, "task", home, a.Submitted)
		e.id(unique)
		if !a.ran() {
			e.about(a, id)
		}
		e.end()
		for _, w := range a.waits() {
			e.begin("b", w.cause, "task", home, a.Submitted+int64(w.from))
			e.id(unique)
			e.end()
			e.begin("e", w.cause, "task", home, a.Submitted+int64(w.to))
			e.id(unique)
			e.end()
		}
		e.begin("e", a.name, "task", home, a.Submitted+int64(a.Done))
		e.id(unique)
		e.end()
	}
	if !a.ran() {
		return
	}
	if a.row == nil { // too much runs there at once
		lane := t.processes[a.Worker].lanes[0]
		e.begin("b", a.name, "run", lane, a.begin())
		e.id(unique)
		e.about(a, id)
		e.end()
		e.begin("e", a.name, "run", lane, a.end())
		e.id(unique)
		e.end()
		return
	}
	e.begin("X", a.name, "run", a.row, a.begin())
	e.duration(a.end() - a.begin())
	e.about(a, id)
	e.end()
	from, at := t.caller(a)
	if from == nil || a.running {
		return
	}
	e.begin("s", "call", "call", from, at)
	e.id(strconv.Itoa(number))
	e.end()
	e.begin("f", "call", "call", a.row, a.begin())
	e.id(strconv.Itoa(number))
	e.text(`,"bp":"e"`)
	e.end()
}

func (t *Timeline) taskID(a *attempt) string {
	return ids.ObjectID{Cluster: t.cluster, Owner: a.owner, Number: a.Number}.String()
}

// caller is the row, and the moment, of the slice that submitted a task; nil if that isn't
// there.
func (t *Timeline) caller(a *attempt) (*row, int64) {
	for _, p := range t.bySlice[task{a.ParentOwner, a.Parent}] {
		if p.Worker == a.owner && p.row != nil && (a.Submitted >= p.begin() || a.Attempt == 0) {
			return p.row, min(max(a.Submitted, p.begin()), p.end())
		}
	}
	if p := t.processes[a.owner]; p.drives() {
		return p.lanes[0], a.Submitted
	}
	return nil, 0
}

var outcomes = [recorder.Outcomes]string{
	recorder.Finished: "FINISHED", recorder.Failed: "FAILED", recorder.Crashed: "CRASHED", recorder.Cancelled: "CANCELLED",
}

func (a *attempt) state() string {
	switch {
	case a.running:
		return "RUNNING"
	case a.Outcome < recorder.Outcomes:
		return outcomes[a.Outcome]
	}
	return "?"
}

// about adds what is known of an attempt to its event.
func (e *events) about(a *attempt, id string) {
	e.text(`,"args":{"task":"`, id, `","function":`, e.quote(a.name), `,"attempt":`, strconv.Itoa(int(a.Attempt)), `,"state":"`, a.state(),
		`","owner":"`, a.owner.String(), `","input_bytes":`, strconv.FormatInt(a.InBytes, 10), `,"output_bytes":`, strconv.FormatInt(a.OutBytes, 10))
	if !a.running {
		if a.Outcome != recorder.Finished {
			e.text(`,"error":"`, a.Error.String(), `"`)
		}
		e.text(`,"wait_us":`)
		e.micros(int64(max(a.Wait(), 0)))
	}
	e.text(`}`)
}

// wait is why, and how long, an attempt didn't run.
type wait struct {
	cause    string
	from, to time.Duration
}

// waits are an attempt's, in order; none of no length.
func (a *attempt) waits() []wait {
	var all []wait
	add := func(cause string, from, to time.Duration) {
		if to < 0 {
			to = a.Done // it never came so far
		}
		if to > from {
			all = append(all, wait{cause, from, to})
		}
	}
	add("wait: inputs", 0, a.Ready)
	if a.Ready >= 0 {
		add("wait: place", a.Ready, a.Pushed)
	}
	if a.Pushed >= 0 {
		add("wait: line", a.Pushed, a.Began)
	}
	if a.Ended >= 0 {
		add("wait: result", a.Ended, a.Done)
	}
	return all
}

func (t *Timeline) traceSpan(e *events, s *span) {
	kind := spanKinds[s.Kind]
	switch {
	case s.row == nil: // too many at once
		return
	case s.Kind == proto.Span_EVICTION:
		e.begin("i", kind, kind, s.row, s.BeginUnixNs)
		e.text(`,"s":"t"`)
	default:
		e.begin("X", kind, kind, s.row, s.BeginUnixNs)
		e.duration(int64(s.DurationNs))
	}
	e.text(`,"args":{"bytes":`, strconv.FormatInt(s.Bytes, 10), `,"object":"`, s.object.String(), `","objects":`, strconv.Itoa(int(s.Objects)))
	if s.From != 0 {
		e.text(`,"from":"`, ids.NodeID(s.From).String(), `","to":"`, s.node.String(), `"`)
	}
	e.text(`}`)
	e.end()
}

var spanKinds = map[proto.Span_Kind]string{
	proto.Span_TRANSFER: "transfer", proto.Span_SPILL: "spill", proto.Span_RESTORE: "restore", proto.Span_EVICTION: "eviction",
}

// events writes trace events, up to the first error.
type events struct {
	w      *bufio.Writer
	base   int64  // moment 0
	event  []byte // that is being made
	some   bool
	quoted map[string]string
	err    error
}

// text adds text that needs no quotes to the event.
func (e *events) text(parts ...string) {
	for _, p := range parts {
		e.event = append(e.event, p...)
	}
}

// quote is text as JSON has it.
func (e *events) quote(s string) string {
	q, known := e.quoted[s]
	if !known {
		b, _ := json.Marshal(s) // a string can be encoded
		q = string(b)
		e.quoted[s] = q
	}
	return q
}

func (e *events) open(name, phase string) {
	e.event = e.event[:0]
	if e.some {
		e.text(",")
	}
	e.some = true
	e.text("\n{\"name\":", e.quote(name), `,"ph":"`, phase, `"`)
}

func (e *events) begin(phase, name, category string, r *row, at int64) {
	e.open(name, phase)
	e.text(`,"cat":"`, category, `","pid":`, strconv.Itoa(int(r.node)), `,"tid":`, strconv.Itoa(r.index+1), `,"ts":`)
	e.micros(at - e.base)
}

func (e *events) duration(ns int64) {
	e.text(`,"dur":`)
	e.micros(ns)
}

func (e *events) id(id string) { e.text(`,"id":"`, id, `"`) }

// micros writes ns, which aren't negative, as µs.
func (e *events) micros(ns int64) {
	e.event = strconv.AppendInt(e.event, ns/1000, 10)
	ns %= 1000
	e.event = append(e.event, '.', byte('0'+ns/100), byte('0'+ns/10%10), byte('0'+ns%10))
}

func (e *events) end() {
	if _, err := e.w.Write(append(e.event, '}')); e.err == nil {
		e.err = err
	}
}
