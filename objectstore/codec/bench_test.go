package codec_test

import (
	"strconv"
	"testing"

	"github.com/gray-runtime/gray/objectstore/codec"
)

type small struct {
	ID    int
	Name  string
	Score float64
}

func must[T any](tb testing.TB) *codec.Codec[T] {
	tb.Helper()
	c, err := codec.For[T]()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// roundTrip measures Append and Decode together.
func roundTrip[T any](b *testing.B, v T) {
	c := must[T](b)
	n, err := c.Size(&v, nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, n)
	b.ReportAllocs()
	for b.Loop() {
		in, out := v, *new(T)
		enc, err := c.Append(buf, &in, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Decode(enc, &out, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInt(b *testing.B)      { roundTrip(b, 123456) }
func BenchmarkString(b *testing.B)   { roundTrip(b, "hello, world") }
func BenchmarkStruct(b *testing.B)   { roundTrip(b, small{42, "answer", 0.5}) }
func BenchmarkEmpty(b *testing.B)    { roundTrip(b, struct{}{}) }
func BenchmarkStrings(b *testing.B)  { roundTrip(b, []string{"a", "bc", "def"}) }
func BenchmarkPointer(b *testing.B)  { roundTrip(b, &small{42, "answer", 0.5}) }
func BenchmarkSmallMap(b *testing.B) { roundTrip(b, map[string]int{"a": 1, "b": 2}) }
func BenchmarkAny(b *testing.B) {
	roundTrip[any](b, map[string]any{"a": 1, "b": []any{"x", 2.5}, "c": []float64{1, 2, 3}})
}

func BenchmarkStructs(b *testing.B) {
	v := make([]small, 1000)
	for i := range v {
		v[i] = small{i, "name", float64(i)}
	}
	roundTrip(b, v)
}

func bigMap() map[string]int {
	m := make(map[string]int, 100_000)
	for i := range 100_000 {
		m["key-"+strconv.Itoa(i)] = i
	}
	return m
}

func BenchmarkMapDecode(b *testing.B) {
	c, m := must[map[string]int](b), bigMap()
	enc, _ := c.Append(nil, &m, nil)
	b.ReportAllocs()
	for b.Loop() {
		var out map[string]int
		if err := c.Decode(enc, &out, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMapByHand is what Go's own map costs for the same entries.
func BenchmarkMapByHand(b *testing.B) {
	m := bigMap()
	keys := make([][]byte, 0, len(m))
	for k := range m {
		keys = append(keys, []byte(k))
	}
	b.ReportAllocs()
	for b.Loop() {
		out := make(map[string]int, len(keys))
		for i, k := range keys {
			out[string(k)] = i
		}
	}
}

func BenchmarkFloatsAppend(b *testing.B) {
	c, v := must[[]float64](b), make([]float64, 1<<20)
	n, _ := c.Size(&v, nil)
	buf := make([]byte, 0, n)
	b.SetBytes(8 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Append(buf, &v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMemcpy(b *testing.B) {
	src, dst := make([]byte, 8<<20), make([]byte, 8<<20)
	b.SetBytes(8 << 20)
	for b.Loop() {
		copy(dst, src)
	}
}

func BenchmarkFloatsDecode(b *testing.B) { benchFloats(b, (*codec.Codec[[]float64]).Decode) }
func BenchmarkFloatsView(b *testing.B)   { benchFloats(b, (*codec.Codec[[]float64]).View) }

func benchFloats(b *testing.B, read func(*codec.Codec[[]float64], []byte, *[]float64, any) error) {
	c, v := must[[]float64](b), make([]float64, 1<<20)
	enc, _ := c.Append(nil, &v, nil)
	b.SetBytes(8 << 20)
	b.ReportAllocs()
	for b.Loop() {
		var out []float64
		if err := read(c, enc, &out, nil); err != nil {
			b.Fatal(err)
		}
	}
}
