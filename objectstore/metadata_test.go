package objectstore

import (
	"context"
	"runtime"
	"testing"
)

// metadata is what the store remembers of each of a million sealed objects of
// 1 KB, in bytes of heap.
func metadata(t testing.TB) float64 {
	t.Helper()
	const n = 1_000_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	s := open(t, n*roundUp(1000))
	for i := range n {
		if _, err := s.Create(context.Background(), object(i), 1000, process(2)); err != nil {
			t.Fatal(err)
		}
		if err := s.Seal(object(i), process(2)); err != nil {
			t.Fatal(err)
		}
	}
	per := float64(heap()-before) / n
	runtime.KeepAlive(s)
	return per
}

func TestMetadataIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("a million objects")
	}
	const most = 200
	if per := metadata(t); per > most {
		t.Errorf("%.1f bytes for a sealed object, more than %d", per, most)
	}
}

// BenchmarkMetadata reports bytes an object; the goal is 120.
func BenchmarkMetadata(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(metadata(b), "bytes/object")
	}
}
