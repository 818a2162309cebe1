package simd

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

// streaming runs f with conversions past the caches from the smallest arrays on.
func streaming(f func()) {
	was := streamBytes
	defer func() { streamBytes = was }()
	clear(streamBytes[:])
	f()
}

// What is written past the caches is the same, wherever lines begin, and nothing behind it is.
func TestStreamsConvertTheSame(t *testing.T) {
	wide := make([]float32, 400)
	for i := range wide {
		wide[i] = math.Float32frombits(uint32(i) * 0x9e3779b9)
	}
	for n := range 300 {
		for lo := range 40 {
			testStream(t, ToFloat16[uint16], wide[lo:lo+n], lo)
			testStream(t, ToBFloat16[uint16], wide[lo:lo+n], lo)
			halves := asHalves(unsafe.Slice((*byte)(at(wide)), 1600))
			testStream(t, FromFloat16[uint16], halves[lo:lo+n], lo)
			testStream(t, FromBFloat16[uint16], halves[lo:lo+n], lo)
		}
	}
	// Memory that isn't aligned to its elements can't be written so.
	bytes := make([]byte, 2*len(wide)+1)
	odd := unsafe.Slice((*uint16)(at(bytes[1:])), len(wide))
	streaming(func() { ToFloat16(odd, wide) })
}

func testStream[D uint16 | float32, S any](t *testing.T, convert func([]D, []S) int, src []S, shift int) {
	t.Helper()
	got, want := make([]D, shift+len(src)+20), make([]D, shift+len(src)+20)
	n := convert(want[shift:], src)
	streaming(func() {
		if m := convert(got[shift:], src); m != n {
			t.Fatalf("%d of %d are converted, not %d", m, len(src), n)
		}
	})
	if !slices.EqualFunc(got, want, func(x, y D) bool { return x == y || x != x && y != y }) {
		t.Fatalf("%d elements after %d: %v, want %v", len(src), shift, got, want)
	}
}
