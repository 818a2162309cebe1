package objectstore

import (
	"context"
	"math/rand/v2"
	"testing"
)

func BenchmarkCreateSealDelete(b *testing.B) {
	s := open(b, 64<<20)
	ctx := context.Background()
	n := 0
	for b.Loop() {
		id := object(n)
		n++
		if _, err := s.Create(ctx, id, 1000, process(2)); err != nil {
			b.Fatal(err)
		}
		if err := s.Seal(id, process(2)); err != nil {
			b.Fatal(err)
		}
		s.Delete(id)
	}
}

// BenchmarkCreateAmongMany replaces objects of all sizes at random, beside a
// hundred thousand others.
func BenchmarkCreateAmongMany(b *testing.B) {
	s := open(b, 1<<30)
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 6))
	live := make([]int, 100_000)
	next := 0
	make1 := func() int {
		next++
		id := object(next)
		if _, err := s.Create(ctx, id, random.Int64N(8000), process(2)); err != nil {
			b.Fatal(err)
		}
		if err := s.Seal(id, process(2)); err != nil {
			b.Fatal(err)
		}
		return next
	}
	for i := range live {
		live[i] = make1()
	}
	for b.Loop() {
		i := random.IntN(len(live))
		s.Delete(object(live[i]))
		live[i] = make1()
	}
	b.ReportMetric(float64(s.arena.count), "free-pieces")
}

func BenchmarkAcquireRelease(b *testing.B) {
	s := open(b, 64<<20)
	for n := range 10_000 {
		put(b, s, object(n), 1000)
	}
	n := 0
	for b.Loop() {
		id := object(n % 10_000)
		n++
		if _, ok := s.Acquire(id, process(2)); !ok {
			b.Fatal(id)
		}
		s.Release(id, process(2))
	}
}

const large = 100_000_000

// BenchmarkPut100MB puts through a mapping, as a worker does, into pages that
// have been in use; compare BenchmarkMemcpy100MB.
func BenchmarkPut100MB(b *testing.B) {
	s := open(b, 4*large)
	m, err := Map(s.File())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	src := make([]byte, large)
	fill(src, 1)
	n := 0
	put := func() {
		n++
		e, err := s.Create(context.Background(), object(n), large, process(1))
		if err != nil {
			b.Fatal(err)
		}
		dst, err := m.Write(e)
		if err != nil {
			b.Fatal(err)
		}
		copy(dst, src)
		if err := s.Seal(object(n), process(1)); err != nil {
			b.Fatal(err)
		}
		s.Delete(object(n))
	}
	put()
	b.SetBytes(large)
	for b.Loop() {
		put()
	}
}

func BenchmarkMemcpy100MB(b *testing.B) {
	src, dst := make([]byte, large), make([]byte, large)
	fill(src, 1)
	fill(dst, 2)
	b.SetBytes(large)
	for b.Loop() {
		copy(dst, src)
	}
}

// BenchmarkView is what a reader pays, whatever the object's size.
func BenchmarkView(b *testing.B) {
	s := open(b, 4*large)
	m, err := Map(s.File())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	put(b, s, object(1), large)
	for b.Loop() {
		e, _ := s.Acquire(object(1), process(2))
		if v, err := m.Read(e); err != nil || v[large-1] != 0 {
			b.Fatal(err)
		}
		s.Release(object(1), process(2))
	}
}
