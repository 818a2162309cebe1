package node

import "slices"

// maxRecent is how many entries a recent keeps.
const maxRecent = 8192

// recent is a map of the latest maxRecent keys.
type recent[K comparable, V any] struct {
	m     map[K]V
	order []K
}

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.m[k]
	return v, ok
}

func (r *recent[K, V]) has(k K) bool {
	_, ok := r.m[k]
	return ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.m == nil {
		r.m = map[K]V{}
	}
	if !r.has(k) {
		r.order = append(r.order, k)
	}
	r.m[k] = v
	if len(r.order) > maxRecent {
		delete(r.m, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
}
