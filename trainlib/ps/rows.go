package ps

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// table is the rows of a Table that are with a server. Each has an optimiser of its own, which counts the row's
// steps only.
type table[T model.Float] struct {
	Table
	seed uint64
	spec optim.Spec
	rows map[int64]*row[T]
}

type row[T model.Float] struct {
	values []T
	opt    *optim.Optimizer[T]
}

// rowGradients are mean gradients of some rows of a table, one after another.
type rowGradients[T model.Float] struct {
	table string
	keys  []int64
	grads []T
}

// rowSum is a row's gradient in an update.
type rowSum[T model.Float] struct {
	table *table[T]
	key   int64
	sum   []T
}

// rowChange is a rowSum that travels.
type rowChange struct {
	Table string
	Key   int64
	Sum   []byte
}

func newTable[T model.Float](t Table, spec optim.Spec) *table[T] {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Name)) // never fails
	return &table[T]{Table: t, seed: t.Seed ^ h.Sum64(), spec: spec, rows: map[int64]*row[T]{}}
}

// row returns the row with this key, made if need be.
func (t *table[T]) row(key int64) *row[T] {
	if r := t.rows[key]; r != nil {
		return r
	}
	opt, err := optim.New[T](t.spec, []int{t.Dim})
	if err != nil {
		panic(err) // Start has made one
	}
	r := &row[T]{values: make([]T, t.Dim), opt: opt}
	chance := rand.New(rand.NewPCG(t.seed, uint64(key)))
	for i := range r.values {
		r.values[i] = T((2*chance.Float64() - 1) * t.Scale)
	}
	t.rows[key] = r
	return r
}

func (t *table[T]) step(key int64, grad []T, norm float64) {
	r := t.row(key)
	r.opt.StepOf(r.values, grad, norm)
}

// serverOf is which of n servers a row is with.
func serverOf(key int64, n int) int {
	x := uint64(key) * 0x9e3779b97f4a7c15 // spreads neighbours
	return int((x ^ x>>32) % uint64(n))
}

func (s *shard[T]) checkRows(all []rowGradients[T]) error {
	for _, g := range all {
		t := s.tables[g.table]
		if t == nil {
			return fmt.Errorf("there is no table %q", g.table)
		}
		if len(g.grads) != t.Dim*len(g.keys) {
			return fmt.Errorf("table %q: %d numbers for %d rows of %d", g.table, len(g.grads), len(g.keys), t.Dim)
		}
	}
	return nil
}

// joinRows sums up the gradients of each row, in an order that depends on keys and workers only.
func (s *shard[T]) joinRows(round []*request[T], weights []T) []rowSum[T] {
	sums := map[string]map[int64][]T{}
	for i, r := range round {
		for _, g := range r.rows {
			dim := s.tables[g.table].Dim
			if sums[g.table] == nil {
				sums[g.table] = map[int64][]T{}
			}
			for k, key := range g.keys {
				sum := sums[g.table][key]
				if sum == nil {
					sum = make([]T, dim)
					sums[g.table][key] = sum
				}
				simd.Axpy(sum, weights[i], g.grads[k*dim:(k+1)*dim])
			}
		}
	}
	var all []rowSum[T]
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		for _, key := range slices.Sorted(maps.Keys(sums[name])) {
			all = append(all, rowSum[T]{s.tables[name], key, sums[name][key]})
		}
	}
	return all
}

func squares[T model.Float](rows []rowSum[T]) float64 {
	sum := 0.0
	for _, r := range rows {
		sum += simd.SquaredNorm(r.sum)
	}
	return sum
}

func travelling[T model.Float](rows []rowSum[T]) []rowChange {
	all := make([]rowChange, len(rows))
	for i, r := range rows {
		all[i] = rowChange{r.table.Name, r.key, bytesOf(r.sum)}
	}
	return all
}

// readRows returns rows one after another. They're made here if they aren't yet: what they are depends on
// their keys only, so that a second server makes the same.
func (s *shard[T]) readRows(name string, keys []int64) ([]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, fmt.Errorf("there is no table %q", name)
	}
	all := make([]T, 0, len(keys)*t.Dim)
	for _, key := range keys {
		all = append(all, t.row(key).values...)
	}
	return all, nil
}
