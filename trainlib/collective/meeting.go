package collective

import (
	"cmp"
	"slices"
)

// meeting decides which of those who wait are a group. It's pure.
type meeting struct {
	Generation int // the latest that was formed
	Size       int // of it
	waiting    []request
	gone       map[int]bool // ranks of the latest generation that somebody has seen to be gone
}

// come adds one who waits, and returns the key of the one that it replaces, if any: there is one a rank.
func (m *meeting) come(q request) (replaced string) {
	if q.Generation > m.Generation { // more is known of the group than here
		m.Generation, m.Size, m.gone = q.Generation, q.Size, nil
	}
	if q.Generation < m.Generation || q.Generation == 0 {
		q.Generation, q.Was = 0, -1 // the group went on without it
	} else {
		if m.gone == nil {
			m.gone = map[int]bool{}
		}
		for _, r := range q.Gone {
			m.gone[r] = true
		}
	}
	m.leave(q.Key)
	if i := slices.IndexFunc(m.waiting, func(w request) bool { return q.Rank >= 0 && w.Rank == q.Rank }); i >= 0 {
		replaced = m.waiting[i].Key
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	m.waiting = append(m.waiting, q)
	return replaced
}

// leave takes one out who waits no more.
func (m *meeting) leave(key string) {
	m.waiting = slices.DeleteFunc(m.waiting, func(w request) bool { return w.Key == key })
}

// form returns the next generation, by rank, or nothing if it isn't there yet. settled: nobody has come for a while.
func (m *meeting) form(settled bool) []request {
	if len(m.waiting) == 0 {
		return nil
	}
	least, most := m.waiting[0].Min, m.waiting[0].Max
	if len(m.waiting) < least {
		return nil
	}
	back := 0 // of the latest generation
	for _, w := range m.waiting {
		if w.Was >= 0 {
			back++
		}
	}
	switch {
	case len(m.waiting) >= most:
	case back > 0 && back+len(m.gone) >= m.Size: // all who can come are here
	case settled && (m.Generation == 0 || back > 0 || len(m.gone) >= m.Size):
	default:
		return nil
	}
	group := slices.Clone(m.waiting)
	slices.SortStableFunc(group, func(a, b request) int { return before(&a, &b) })
	rest := group[min(most, len(group)):]
	group = group[:min(most, len(group))]
	if group[0].Rank < 0 {
		group = byNode(group)
	}
	m.waiting = slices.Clone(rest)
	m.Generation++
	m.Size, m.gone = len(group), nil
	for i := range m.waiting {
		m.waiting[i].Generation, m.waiting[i].Was = 0, -1
	}
	return group
}

// before orders by given rank, then by former rank, newcomers last.
func before(a, b *request) int {
	newcomer := func(q *request) int {
		if q.Was < 0 {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(newcomer(a), newcomer(b)), cmp.Compare(a.Was, b.Was))
}

// byNode brings those of a node together, nodes in the order of their first.
func byNode(group []request) []request {
	first := map[string]int{}
	place := func(q *request) int {
		host := q.Member.Address.Host + string(rune(q.Member.Node))
		if _, ok := first[host]; !ok {
			first[host] = len(first)
		}
		return first[host]
	}
	for i := range group {
		place(&group[i])
	}
	slices.SortStableFunc(group, func(a, b request) int { return cmp.Compare(place(&a), place(&b)) })
	return group
}
