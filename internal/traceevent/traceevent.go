// Package traceevent reads trace-event files and says what is wrong with them, for tests of
// what writes them: https://ui.perfetto.dev and chrome://tracing pass over much in silence.
package traceevent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Event is one of a trace. Times are in µs.
type Event struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"`
	Cat   string         `json:"cat"`
	PID   *int           `json:"pid"`
	TID   *int           `json:"tid"`
	TS    *float64       `json:"ts"`
	Dur   *float64       `json:"dur"`
	ID    any            `json:"id"`
	Scope string         `json:"s"`
	Bind  string         `json:"bp"`
	Args  map[string]any `json:"args"`
}

// Trace is a file.
type Trace struct {
	Events []Event        `json:"traceEvents"`
	Other  map[string]any `json:"otherData"`
}

// Read reads a trace and checks it.
func Read(r io.Reader) (*Trace, error) {
	t := new(Trace)
	dec := json.NewDecoder(r)
	dec.UseNumber()
	if err := dec.Decode(t); err != nil {
		return nil, fmt.Errorf("read a trace: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read a trace: something follows it")
	}
	return t, t.check()
}

// Of returns the events of a phase and category; of all categories if it's empty.
func (t *Trace) Of(phase, cat string) []*Event {
	var all []*Event
	for i := range t.Events {
		if e := &t.Events[i]; e.Phase == phase && (cat == "" || e.Cat == cat) {
			all = append(all, e)
		}
	}
	return all
}

type thread struct{ pid, tid int }

type checker struct {
	slices map[thread][]*Event // phase X
	open   map[string][]*Event // phase b without its e, by what they're told apart by
	flows  map[string][2]*Event
	named  map[thread]bool
}

func (t *Trace) check() error {
	c := &checker{slices: map[thread][]*Event{}, open: map[string][]*Event{}, flows: map[string][2]*Event{}, named: map[thread]bool{}}
	for i := range t.Events {
		if err := c.take(&t.Events[i]); err != nil {
			return fmt.Errorf("event %d, %q of phase %q: %w", i, t.Events[i].Name, t.Events[i].Phase, err)
		}
	}
	for id, open := range c.open {
		if len(open) > 0 {
			return fmt.Errorf("%q of id %s never ends", open[0].Name, id)
		}
	}
	for at, all := range c.slices {
		if err := nested(all); err != nil {
			return fmt.Errorf("thread %d of process %d: %w", at.tid, at.pid, err)
		}
		if !c.named[at] {
			return fmt.Errorf("thread %d of process %d has no name", at.tid, at.pid)
		}
	}
	for id, f := range c.flows {
		if f[0] == nil || f[1] == nil {
			return fmt.Errorf("flow %s has one end", id)
		}
		for _, e := range f {
			if !c.inSlice(e) {
				return fmt.Errorf("flow %s: its end at %v is in no slice", id, *e.TS)
			}
		}
	}
	return nil
}

func (c *checker) take(e *Event) error {
	if err := e.fields(); err != nil {
		return err
	}
	return c.phase(e)
}

// fields checks that an event has what its phase asks for.
func (e *Event) fields() error {
	if e.PID == nil || e.TID == nil {
		return errors.New("it has no pid or tid")
	}
	if e.Phase != "M" && (e.TS == nil || *e.TS < 0 || e.Cat == "" || e.Name == "") {
		return errors.New("it has no name, category or time from 0 on")
	}
	if (e.ID == nil) != (e.Phase != "b" && e.Phase != "e" && e.Phase != "s" && e.Phase != "f") {
		return errors.New("ids are of b, e, s and f alone")
	}
	if (e.Dur == nil) != (e.Phase != "X") {
		return errors.New("durations are of X alone")
	}
	return nil
}

func (c *checker) phase(e *Event) error {
	at, id := thread{*e.PID, *e.TID}, fmt.Sprintf("%s %v", e.Cat, e.ID)
	switch e.Phase {
	case "M":
		if e.Name == "thread_name" {
			c.named[at] = true
		}
	case "X":
		if *e.Dur < 0 {
			return fmt.Errorf("it takes %v µs", *e.Dur)
		}
		c.slices[at] = append(c.slices[at], e)
	case "i":
		if e.Scope != "t" {
			return fmt.Errorf("its scope is %q", e.Scope)
		}
	case "b":
		c.open[id] = append(c.open[id], e)
	case "e":
		open := c.open[id]
		if len(open) == 0 || open[len(open)-1].Name != e.Name || *open[len(open)-1].TS > *e.TS {
			return errors.New("it ends what isn't open")
		}
		c.open[id] = open[:len(open)-1]
	case "s", "f":
		f, side := c.flows[id], 0
		if e.Phase == "f" {
			side = 1
		}
		if f[side] != nil || e.Phase == "f" && e.Bind != "e" {
			return errors.New("a flow that ends twice, or doesn't bind to what is around it")
		}
		f[side] = e
		c.flows[id] = f
	default:
		return errors.New("an unknown phase")
	}
	return nil
}

// tolerance is what a float64 of µs may be wrong by.
const tolerance = 1e-3 / 2

// nested checks that slices of a thread lie in each other or apart.
func nested(all []*Event) error {
	slices.SortStableFunc(all, func(a, b *Event) int { return cmp.Or(cmp.Compare(*a.TS, *b.TS), cmp.Compare(*b.Dur, *a.Dur)) })
	var around []*Event
	for _, e := range all {
		for len(around) > 0 && *around[len(around)-1].TS+*around[len(around)-1].Dur <= *e.TS+tolerance {
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 && *e.TS+*e.Dur > *around[n-1].TS+*around[n-1].Dur+tolerance {
			return fmt.Errorf("%q at %v overlaps %q at %v", e.Name, *e.TS, around[n-1].Name, *around[n-1].TS)
		}
		around = append(around, e)
	}
	return nil
}

func (c *checker) inSlice(e *Event) bool {
	return slices.ContainsFunc(c.slices[thread{*e.PID, *e.TID}], func(s *Event) bool {
		return *s.TS <= *e.TS+tolerance && *e.TS <= *s.TS+*s.Dur+tolerance
	})
}
