package ps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/ps/clock"
)

// State is all that a server knows: enough to go on from. It's plain data.
type State struct {
	Epoch   int64 // how often a second server has taken over
	Version int64
	Round   int64
	Floor   int64
	Members []clock.Member
	Values  []byte
	Steps   int64
	Slots   [][]byte // of the optimiser; empty: none yet
	Tables  []TableState
}

// TableState is the rows of a table that a server has.
type TableState struct {
	Name   string
	Keys   []int64
	Values []byte
	Steps  []int64
	Slots  []byte // row after row, what the optimiser has of each
}

// Save returns what each server knows. Servers answer one after another: for a state of one moment, have no
// push under way.
func (g Group) Save(ctx context.Context) ([]State, error) {
	all := make([]State, len(g.Parts))
	for i := range all {
		s, err := ask(ctx, g, i, (*server).Save)
		if err != nil {
			return nil, err
		}
		all[i] = s.State
	}
	return all, nil
}

// Restore has the servers go on from what Save returned. Workers join anew. Servers without seconds that have died are
// started anew, by Start, before that.
func (g Group) Restore(ctx context.Context, all []State) error {
	if len(all) != len(g.Parts) {
		return fmt.Errorf("restore parameter server %q: %d states for %d servers", g.Config.Name, len(all), len(g.Parts))
	}
	for i, s := range all {
		_, h, err := g.lead(ctx, i, nobody)
		if errors.Is(err, ErrLost) { // all have died, and were started again
			h, err = gray.GetActor[server](ctx, g.server(i, 0))
		}
		if err == nil {
			s.Members = nil
			_, err = gray.Get(ctx, gray.Call(ctx, h, (*server).Begin, s))
		}
		if err != nil {
			return fmt.Errorf("restore server %d of %q: %w", i, g.Config.Name, err)
		}
	}
	return nil
}

// Status asks each server how it is.
func (g Group) Status(ctx context.Context) ([]Status, error) {
	all := make([]Status, len(g.Parts))
	for i := range all {
		s, err := ask(ctx, g, i, (*server).Status)
		if err != nil {
			return nil, err
		}
		all[i] = s.Status
	}
	return all, nil
}

// save writes down everything. The shard is locked.
func (s *shard[T]) save() State {
	d := State{Version: s.version, Round: s.round, Floor: s.clock.Floor(), Members: s.members(), Values: bytesOf(slices.Clone(s.values))}
	for i, p := range s.pieces {
		d.Steps = p.opt.Steps()
		for k, slot := range p.opt.Slots() {
			if i == 0 {
				d.Slots = append(d.Slots, nil)
			}
			d.Slots[k] = append(d.Slots[k], bytesOf(slot.Values)...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		t := TableState{Name: name}
		for _, key := range slices.Sorted(maps.Keys(s.tables[name].rows)) {
			r := s.tables[name].rows[key]
			t.Keys, t.Steps = append(t.Keys, key), append(t.Steps, r.opt.Steps())
			t.Values = append(t.Values, bytesOf(r.values)...)
			for _, slot := range r.opt.Slots() {
				t.Slots = append(t.Slots, bytesOf(slot.Values)...)
			}
		}
		d.Tables = append(d.Tables, t)
	}
	return d
}

// restore sets a new shard to what another knew.
func (s *shard[T]) restore(d State) error {
	s.version, s.round = d.Version, d.Round
	s.clock.Restore(d.Floor, d.Members)
	if d.Version > 0 || len(d.Members) >= s.awaited {
		s.awaited = 0
	}
	at := 0
	for _, p := range s.pieces {
		if len(d.Slots) == 0 {
			break
		}
		p.opt.SetSteps(d.Steps)
		n := len(bytesOf(s.values[p.lo:p.hi]))
		for k, slot := range p.opt.Slots() {
			if k >= len(d.Slots) || len(d.Slots[k]) < at+n {
				return fmt.Errorf("the optimiser's %s has too few bytes", slot.Name)
			}
			copy(bytesOf(slot.Values), d.Slots[k][at:at+n])
		}
		at += n
	}
	if len(d.Slots) == 0 {
		for _, p := range s.pieces {
			p.opt.SetSteps(d.Steps)
		}
	}
	for _, t := range d.Tables {
		into := s.tables[t.Name]
		if into == nil {
			return fmt.Errorf("there is no table %q", t.Name)
		}
		if err := into.restore(t); err != nil {
			return err
		}
	}
	return nil
}

func (t *table[T]) restore(d TableState) error {
	short := fmt.Errorf("table %q of %d rows has too few bytes", d.Name, len(d.Keys))
	values, slots := d.Values, d.Slots
	if len(d.Steps) != len(d.Keys) {
		return short
	}
	for i, key := range d.Keys {
		r := t.row(key)
		if !pour(r.values, &values) {
			return short
		}
		r.opt.SetSteps(d.Steps[i])
		for _, slot := range r.opt.Slots() {
			if !pour(slot.Values, &slots) {
				return short
			}
		}
	}
	return nil
}

// pour fills x from bytes, which get shorter, and reports whether there were enough.
func pour[T model.Float](x []T, from *[]byte) bool {
	n := copy(bytesOf(x), *from)
	*from = (*from)[n:]
	return n == len(bytesOf(x))
}
