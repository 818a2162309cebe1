package sched

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Resources says how much there is, or is wanted, of each resource by name:
// "CPU", "GPU", "memory" in bytes, and any other that a node was given. The zero
// value is none of any. It never changes once made.
type Resources struct {
	items []item // by name; none of them 0
}

type item struct {
	name string
	q    Quantity
}

// FromMap makes Resources of amounts by name, as users write them.
func FromMap(m map[string]float64) (Resources, error) {
	items := make([]item, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		q, err := Q(m[name])
		if err != nil {
			return Resources{}, fmt.Errorf("%s: %w", name, err)
		}
		if name == "" {
			return Resources{}, ErrName
		}
		if q != 0 {
			items = append(items, item{name, q})
		}
	}
	return Resources{items}, nil
}

// FromUnits makes Resources of quantities in units of 1/10,000 by name, as they
// travel between processes. They may be negative: so is what's available on a
// node that had to take more than it has.
func FromUnits(m map[string]int64) Resources {
	items := make([]item, 0, len(m))
	for name, n := range m {
		if n != 0 {
			items = append(items, item{name, Quantity(n)})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	return Resources{items}
}

// ToMap gives amounts by name.
func (r Resources) ToMap() map[string]float64 {
	m := make(map[string]float64, len(r.items))
	for _, it := range r.items {
		m[it.name] = it.q.Float()
	}
	return m
}

// ToUnits gives quantities in units of 1/10,000 by name.
func (r Resources) ToUnits() map[string]int64 {
	m := make(map[string]int64, len(r.items))
	for _, it := range r.items {
		m[it.name] = int64(it.q)
	}
	return m
}

// All gives names and quantities, by name, without those that are 0.
func (r Resources) All() iter.Seq2[string, Quantity] {
	return func(yield func(string, Quantity) bool) {
		for _, it := range r.items {
			if !yield(it.name, it.q) {
				return
			}
		}
	}
}

// Get gives how much there is of a resource.
func (r Resources) Get(name string) Quantity {
	for i := range r.items {
		if r.items[i].name == name {
			return r.items[i].q
		}
	}
	return 0
}

// Add gives the sum of both.
func (r Resources) Add(o Resources) Resources { return r.merge(o, 1) }

// Sub gives what is left of r without o; it may be negative.
func (r Resources) Sub(o Resources) Resources { return r.merge(o, -1) }

func (r Resources) merge(o Resources, sign Quantity) Resources {
	a, b := r.items, o.items
	items := make([]item, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var next item
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].name < b[0].name:
			next, a = a[0], a[1:]
		case len(a) == 0 || b[0].name < a[0].name:
			next, b = item{b[0].name, Quantity(0).plus(sign * b[0].q)}, b[1:]
		default:
			next, a, b = item{a[0].name, a[0].q.plus(sign * b[0].q)}, a[1:], b[1:]
		}
		if next.q != 0 {
			items = append(items, next)
		}
	}
	return Resources{items}
}

// Fits reports whether in has all that r wants. Wanting 0 or less of something
// asks for nothing.
func (r Resources) Fits(in Resources) bool {
	for _, it := range r.items {
		if it.q > 0 && in.Get(it.name) < it.q {
			return false
		}
	}
	return true
}

// IsZero reports whether r is none of any.
func (r Resources) IsZero() bool { return len(r.items) == 0 }

// Equal reports whether both are the same.
func (r Resources) Equal(o Resources) bool { return slices.Equal(r.items, o.items) }

// String gives r as in "CPU:1 GPU:0.5", by name.
func (r Resources) String() string {
	var b []byte
	for i, it := range r.items {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(b, it.name...), ':')
		b = it.q.append(b)
	}
	return string(b)
}

// MarshalJSON gives r as in {"CPU":1,"GPU":0.5}, by name.
func (r Resources) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, it := range r.items {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(it.name)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", strconv.Quote(it.name), err)
		}
		b = append(append(b, name...), ':')
		b = it.q.append(b)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, under the rules of FromMap.
func (r *Resources) UnmarshalJSON(b []byte) error {
	var m map[string]float64
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("resources: %w", err)
	}
	read, err := FromMap(m)
	if err != nil {
		return fmt.Errorf("resources: %w", err)
	}
	*r = read
	return nil
}
