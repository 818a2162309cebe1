package codec_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gray-runtime/gray/objectstore/codec"
)

func counted[T codec.Number](shape ...int) codec.Tensor[T] {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := codec.Tensor[T]{Shape: shape, Data: make([]T, n)}
	for i := range n {
		if i > 0 {
			v.Data[i] = v.Data[i-1] + 1
		}
	}
	return v
}

// model is a value with several arrays.
type model struct {
	Name    string
	Weights codec.Tensor[float32]
	Bias    []float64
	Mask    []byte
	More    []codec.Tensor[int16]
	Any     any
}

func TestTensors(t *testing.T) {
	same(t, codec.Tensor[float64]{})
	same(t, codec.Tensor[float64]{Shape: []int{}, Data: []float64{7}})
	same(t, codec.Tensor[int]{Shape: []int{3, 0, 2}, Data: []int{}})
	same(t, counted[complex128](3))
	same(t, counted[uint8](2, 3, 4, 5))
	same(t, counted[time.Duration](2, 2))
	same(t, &model{
		Name: "m", Weights: counted[float32](31, 17), Bias: make([]float64, 100), Mask: make([]byte, 9),
		More: []codec.Tensor[int16]{counted[int16](2, 2), {}}, Any: []any{counted[int](1, 1), counted[uint](2), 1},
	})
	for _, v := range []any{
		counted[int8](2, 2), counted[int16](2, 2), counted[int32](2, 2), counted[int64](2, 2), counted[uint8](2, 2), counted[uint16](2, 2),
		counted[uint32](2, 2), counted[uint64](2, 2), counted[float32](2, 2), counted[float64](2, 2), counted[complex64](2, 2),
		counted[complex128](2, 2), counted[int](2, 2), counted[uint](2, 2),
	} {
		same(t, v)
	}
	type embeds struct {
		codec.Tensor[float64]
		Unit string
	}
	same(t, embeds{counted[float64](2, 4), "m"})
}

func TestTensorsReadArrays(t *testing.T) {
	for n := range 20 {
		in := make([]int64, n)
		enc, err := must[[]int64](t).Append(nil, &in, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out codec.Tensor[int64]
		if err := must[codec.Tensor[int64]](t).Decode(enc, &out, nil); err != nil || !reflect.DeepEqual(out.Shape, []int{n}) || len(out.Data) != n {
			t.Error(n, out, err)
		}
	}
	in := counted[int](4)
	enc, err := must[codec.Tensor[int]](t).Append(nil, &in, nil)
	var as codec.Tensor[int64] // 13 and 4 are the same bytes
	if err != nil || must[codec.Tensor[int64]](t).Decode(enc, &as, nil) != nil || as.Data[3] != 3 {
		t.Error(err, as)
	}
}

// TestViewsLieInTheSource: every array of a nested value is the source's own memory.
func TestViewsLieInTheSource(t *testing.T) {
	in := model{
		Name: strings.Repeat("n", 50), Weights: counted[float32](40, 5), Bias: make([]float64, 100), Mask: make([]byte, 500),
		More: []codec.Tensor[int16]{counted[int16](9, 9), counted[int16](3)},
	}
	c := must[model](t)
	n, err := c.Size(&in, nil)
	if err != nil {
		t.Fatal(err)
	}
	room := make([]byte, n+63)
	room = room[-uintptr(unsafe.Pointer(&room[0]))&63:]
	enc, err := c.Append(room[:0:n], &in, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out model
	if err := c.View(enc, &out, nil); err != nil || !reflect.DeepEqual(in, out) {
		t.Fatal(out, err)
	}
	within := func(what string, p unsafe.Pointer, align uintptr) {
		at := uintptr(p) - uintptr(unsafe.Pointer(&enc[0]))
		if at >= uintptr(len(enc)) || at%align != 0 {
			t.Errorf("%s lies at %d of %d", what, at, len(enc))
		}
	}
	within("Name", unsafe.Pointer(unsafe.StringData(out.Name)), 1)
	within("Weights", unsafe.Pointer(&out.Weights.Data[0]), 64)
	within("Bias", unsafe.Pointer(&out.Bias[0]), 64)
	within("Mask", unsafe.Pointer(&out.Mask[0]), 1)
	within("More[0]", unsafe.Pointer(&out.More[0].Data[0]), 64)
	within("More[1]", unsafe.Pointer(&out.More[1].Data[0]), 64)
	if allocs := testing.AllocsPerRun(100, func() { _ = c.View(enc, &out, nil) }); allocs > 8 {
		t.Errorf("a view takes %v allocations", allocs)
	}
}

func TestWrongShapesAreNotWritten(t *testing.T) {
	for _, v := range []codec.Tensor[float64]{
		{Shape: []int{2, 2}, Data: make([]float64, 3)},
		{Shape: []int{-1, -4}, Data: make([]float64, 4)},
		{Data: make([]float64, 4)},
		{Shape: []int{4}},
		{Shape: []int{math.MaxInt, 0}},
		{Shape: []int{1 << 32, 1 << 32}},
		{Shape: make([]int, 33)},
	} {
		_, err := must[codec.Tensor[float64]](t).Append(nil, &v, nil)
		var ee *codec.EncodeError
		if !errors.As(err, &ee) || !strings.Contains(err.Error(), "a tensor of shape") {
			t.Errorf("%v: %v", v.Shape, err)
		}
	}
}

func TestHostileTensors(t *testing.T) {
	le := func(dims ...uint64) (b []byte) {
		for _, d := range dims {
			for i := range 8 {
				b = append(b, byte(d>>(8*i)))
			}
		}
		return b
	}
	ext := func(payload ...byte) []byte { return append([]byte{0xc7, byte(len(payload)), 2}, payload...) }
	for name, src := range map[string][]byte{
		"no header":      ext(5, 0),
		"unknown dtype":  ext(99, 0, 0, 1),
		"pad of 64":      ext(append([]byte{5, 64, 0}, make([]byte, 70)...)...),
		"pad beyond":     ext(5, 9, 0, 1),
		"shape beyond":   ext(5, 0, 3, 0, 0),
		"33 dimensions":  {0xc8, 1, 20, 2, 5, 0, 33},
		"odd data":       ext(append([]byte{10, 0, 1}, append(le(1), 1, 2, 3)...)...),
		"too few":        ext(append([]byte{5, 0, 1}, append(le(3), 1, 2)...)...),
		"too many":       ext(append([]byte{5, 0, 1}, append(le(1), 1, 2)...)...),
		"scalar of none": ext(5, 0, 0),
		"wraps to none":  ext(append([]byte{5, 0, 2}, le(1<<32, 1<<32)...)...),
		"wraps to two":   ext(append([]byte{5, 0, 2}, append(le(1<<63+1, 2), 1, 2)...)...),
		"negative":       ext(append([]byte{5, 0, 2}, append(le(math.MaxUint64, math.MaxUint64), 1)...)...),
		"empty but huge": ext(append([]byte{5, 0, 3}, le(0, 1<<62, 1<<62)...)...),
		"cut":            ext(append([]byte{5, 0, 1}, append(le(3), 1, 2, 3)...)...)[:10],
	} {
		if name == "33 dimensions" {
			src = append(src, make([]byte, 273)...)
		}
		for _, read := range []func() error{decodeAs[codec.Tensor[uint8]](src...), decodeAs[any](src...)} {
			err := read()
			var de *codec.DecodeError
			if !errors.As(err, &de) || !errors.Is(err, codec.ErrMalformed) && !errors.Is(err, codec.ErrTruncated) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := decodeAs[codec.Tensor[float64]](ext(append([]byte{5, 0, 1}, append(le(1), 1)...)...)...)(); !errors.Is(err, codec.ErrMismatch) {
		t.Error(err)
	}
}
