package codec

import (
	"reflect"
	"slices"
)

// field is one field of a struct as it's written.
type field struct {
	name   string
	key    []byte // the encoded name
	node   *node
	via    []step // embedded pointers on the way to it
	offset uintptr
	tagged bool
	index  []int // where it stands, as in reflect: for order and depth
	typ    reflect.Type
}

// step leads from the address of a struct to an embedded pointer in it.
type step struct {
	offset uintptr
	elem   reflect.Type
}

// level is an embedded struct still to be looked into.
type level struct {
	typ    reflect.Type
	via    []step
	offset uintptr // from the last pointer of via, or from the root
	index  []int
}

// fieldsOf lists the fields of t, embedded structs flattened by the rules of
// encoding/json. exported says whether there was any exported field, also if a
// tag left it out.
func fieldsOf(t reflect.Type) (fields []field, exported bool) {
	var all []field
	seen := map[reflect.Type]bool{}
	next := []level{{typ: t}}
	for len(next) > 0 {
		now := next
		next = nil
		// A type embedded twice on one level is looked into twice, so that its
		// fields cancel out; a third time adds nothing, and one of an outer
		// level is hidden.
		times := map[reflect.Type]int{}
		for _, l := range now {
			times[l.typ]++
			if !seen[l.typ] && times[l.typ] <= 2 {
				next = append(next, l.scan(&all, &exported)...)
			}
		}
		for t := range times {
			seen[t] = true
		}
	}
	return dominant(all), exported
}

// scan adds the fields of one struct and returns the structs it embeds.
func (l *level) scan(all *[]field, exported *bool) (embedded []level) {
	for i := range l.typ.NumField() {
		f := l.typ.Field(i)
		elem, pointer := f.Type, false
		if f.Anonymous && elem.Kind() == reflect.Pointer {
			elem, pointer = elem.Elem(), true
		}
		flat := f.Anonymous && elem.Kind() == reflect.Struct && !hooked(elem)
		if !f.IsExported() && !flat {
			continue
		}
		tag := f.Tag.Get("gray")
		if f.IsExported() {
			*exported = true
		}
		if tag == "-" {
			continue
		}
		at := append(slices.Clone(l.index), i)
		if flat && tag == "" {
			inner := level{typ: elem, via: l.via, offset: l.offset + f.Offset, index: at}
			if pointer {
				inner.via = append(slices.Clone(l.via), step{inner.offset, elem})
				inner.offset = 0
			}
			embedded = append(embedded, inner)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name := f.Name
		if tag != "" {
			name = tag
		}
		*all = append(*all, field{name: name, via: l.via, offset: l.offset + f.Offset,
			tagged: tag != "", index: at, typ: f.Type})
	}
	return embedded
}

// dominant leaves, of fields with one name, the shallowest; of several as
// shallow, the only tagged one; else none. The rest keep the order of the source.
func dominant(all []field) []field {
	best := map[string][]field{}
	for _, f := range all {
		b := best[f.name]
		switch {
		case len(b) == 0 || better(f, b[0]):
			best[f.name] = []field{f}
		case !better(b[0], f):
			best[f.name] = append(b, f)
		}
	}
	var out []field
	for _, b := range best {
		if len(b) == 1 {
			out = append(out, b[0])
		}
	}
	slices.SortFunc(out, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return out
}

func better(a, b field) bool {
	if len(a.index) != len(b.index) {
		return len(a.index) < len(b.index)
	}
	return a.tagged && !b.tagged
}
