package runs

import (
	"slices"

	"github.com/gray-runtime/gray/proto"
)

// point is a value at a step.
type point struct {
	step, time int64
	value      float64
}

// series is the points of one key, in the order in which they came.
type series struct {
	points []point // every stride-th of those that came
	last   point   // of the highest step
	came   int
	stride int // 0: 1

	bounds []float64 // of the buckets but the last; nil: values aren't counted
	counts []uint64
}

func (s *series) add(p point) {
	s.stride = max(s.stride, 1)
	if s.came%s.stride == 0 && len(s.points) == maxPoints {
		s.halve()
	}
	if s.came%s.stride == 0 {
		s.points = append(s.points, p)
	}
	if s.came == 0 || p.step >= s.last.step {
		s.last = p
	}
	s.came++
	if s.bounds != nil && p.value == p.value {
		i, _ := slices.BinarySearch(s.bounds, p.value)
		s.counts[i]++
	}
}

// halve drops every second point.
func (s *series) halve() {
	for i := range (len(s.points) + 1) / 2 {
		s.points[i] = s.points[2*i]
	}
	s.points = s.points[:(len(s.points)+1)/2]
	s.stride *= 2
}

func (s *series) describe(key string, whole bool) *proto.RunSeries {
	out := &proto.RunSeries{Key: key}
	take := func(p point) {
		out.Steps, out.TimesUnixMs, out.Values = append(out.Steps, p.step), append(out.TimesUnixMs, p.time), append(out.Values, p.value)
	}
	if !whole {
		take(s.last)
		return out
	}
	for _, p := range s.points {
		take(p)
	}
	if !slices.Contains(s.points, s.last) {
		take(s.last)
	}
	out.Bounds, out.Counts = s.bounds, slices.Clone(s.counts)
	return out
}
