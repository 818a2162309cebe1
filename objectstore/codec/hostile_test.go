package codec_test

import (
	"errors"
	"reflect"
	"runtime"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/objectstore/codec"
)

func decodeAs[T any](src ...byte) func() error {
	return func() error {
		c, err := codec.For[T]()
		if err != nil {
			return err
		}
		return c.Decode(src, new(T), nil)
	}
}

func TestHostileBytes(t *testing.T) {
	for name, c := range map[string]struct {
		read func() error
		want error
	}{
		"empty":             {decodeAs[int](), codec.ErrTruncated},
		"empty struct":      {decodeAs[small](), codec.ErrTruncated},
		"trailing":          {decodeAs[int](1, 2), codec.ErrTrailing},
		"trailing struct":   {decodeAs[small](0x80, 0), codec.ErrTrailing},
		"cut int":           {decodeAs[int](0xd3, 1), codec.ErrTruncated},
		"cut string":        {decodeAs[string](0xdb, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"cut bin":           {decodeAs[[]byte](0xc6, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge array":        {decodeAs[[]any](0xdd, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge array in any": {decodeAs[any](0xdd, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge empties":      {decodeAs[[]struct{}](0xdd, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge map":          {decodeAs[map[string]int](0xdf, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge map in any":   {decodeAs[any](0xdf, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"huge ext":          {decodeAs[[]float64](0xc9, 0xff, 0xff, 0xff, 0xff, 1), codec.ErrTruncated},
		"huge skipped":      {decodeAs[small](0x81, 0xa1, 'q', 0xdd, 0xff, 0xff, 0xff, 0xff), codec.ErrTruncated},
		"ext without head":  {decodeAs[[]float64](0xd4, 1, 10), codec.ErrMalformed},
		"unknown dtype":     {decodeAs[[]float64](0xd5, 1, 99, 0), codec.ErrMalformed},
		"pad beyond":        {decodeAs[[]float64](0xd5, 1, 10, 9), codec.ErrMalformed},
		"odd data":          {decodeAs[[]float64](0xd6, 1, 10, 0, 1, 2), codec.ErrMalformed},
		"other dtype":       {decodeAs[[]float64](0xd5, 1, 9, 0), codec.ErrMismatch},
		"other ext":         {decodeAs[[]float64](0xd5, 5, 9, 0), codec.ErrMismatch},
		"int8 overflow":     {decodeAs[int8](0xcc, 200), codec.ErrRange},
		"uint8 overflow":    {decodeAs[uint8](0xcd, 1, 0), codec.ErrRange},
		"negative uint":     {decodeAs[uint](0xff), codec.ErrRange},
		"int64 overflow":    {decodeAs[int](0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0), codec.ErrRange},
		"array length":      {decodeAs[[3]int](0x91, 1), codec.ErrRange},
		"byte array length": {decodeAs[[3]byte](0xc4, 1, 1), codec.ErrRange},
		"kind":              {decodeAs[int](0xa0), codec.ErrMismatch},
		"string for map":    {decodeAs[map[string]int](0xa0), codec.ErrMismatch},
		"bool":              {decodeAs[bool](1), codec.ErrMismatch},
		"unused code":       {decodeAs[any](0xc1), codec.ErrMalformed},
		"unused skipped":    {decodeAs[small](0x81, 0xa1, 'q', 0xc1), codec.ErrMalformed},
		"unhashable key":    {decodeAs[any](0x81, 0x90, 1), codec.ErrMismatch},
		"unhashable typed":  {decodeAs[map[any]int](0x81, 0x90, 1), codec.ErrMismatch},
		"unhashable inside": {decodeAs[map[[1]any]int](0x81, 0x91, 0x90, 1), codec.ErrMismatch},
		"short time":        {decodeAs[any](0xd4, 0xff, 0), codec.ErrMalformed},
		"time with 2^30 ns": {decodeAs[any](0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), codec.ErrMalformed},
		"complex of three":  {decodeAs[complex128](0x93, 1, 2, 3), codec.ErrRange},
	} {
		err := c.read()
		var de *codec.DecodeError
		if !errors.Is(err, c.want) || !errors.As(err, &de) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestErrorPathAndOffset(t *testing.T) {
	type job struct{ Items []map[string]small }
	err := decodeAs[job](0x81, 0xa5, 'I', 't', 'e', 'm', 's', 0x91, 0x81, 0xa1, 'k', 0x81, 0xa2, 'I', 'D', 0xa1, 'x')()
	var de *codec.DecodeError
	if !errors.As(err, &de) || de.Path != `job.Items[0]["k"].ID` || de.Offset != 15 {
		t.Error(err)
	}
	err = decodeAs[struct{ F []float64 }](0x81, 0xa1, 'F', 0xd5, 1, 9, 0)()
	if err == nil || err.Error() != "decode struct { F []float64 }.F at byte 3: wrong kind of value: "+
		"a numeric array of float32 can't be read as float64" {
		t.Error(err)
	}
}

// TestNoBombs feeds counts that the input could just about hold, with big Go
// elements, and watches what is allocated before the error.
func TestNoBombs(t *testing.T) {
	type big struct{ A [512]int64 }
	src := make([]byte, 5, 1<<20)
	copy(src, []byte{0xdd, 0, 0x0f, 0xff, 0xf0})
	src = src[:cap(src)]
	src[5] = 0xc1 // the first element is already wrong
	// Nested ones must not be able to claim the same bytes again and again.
	nested := make([]byte, 0, 1<<20)
	for range 9000 {
		nested = append(nested, 0xdd, 0, 0x0e, 0, 0)
	}
	nested = nested[:cap(nested)]
	nested[5*9000] = 0xc1
	type forest []forest
	for name, read := range map[string]func() error{
		"slice": decodeAs[[]big](src...), "any": decodeAs[any](src...), "ptr": decodeAs[[]*big](src...),
		"nested any": decodeAs[any](nested...), "nested": decodeAs[forest](nested...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := read(); err == nil {
			t.Error(name, "passes")
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 40<<20 {
			t.Errorf("%s: %d bytes allocated for %d", name, got, len(src))
		}
	}
}

func TestDecodeOverwrites(t *testing.T) {
	v := holder{One: ref{"x"}, List: []ref{{"y"}}, Any: 1}
	if err := must[holder](t).Decode([]byte{0x80}, &v, nil); err != nil || !reflect.DeepEqual(v, holder{}) {
		t.Error(v, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	type node struct {
		Kids []*node
		Map  map[string]small
		Data []float64
	}
	in := node{Kids: []*node{{Data: make([]float64, 9)}}, Map: map[string]small{"a": {1, "x", 2}}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				c, err := codec.For[node]()
				if err != nil {
					t.Error(err)
					return
				}
				var out node
				enc, err := c.Append(nil, &in, nil)
				if err == nil {
					err = c.Decode(enc, &out, nil)
				}
				if err != nil || !reflect.DeepEqual(in, out) {
					t.Error(out, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSmallValuesDontAllocate(t *testing.T) {
	if testing.CoverMode() != "" || raceEnabled {
		t.Skip("instrumented code allocates")
	}
	type numeric struct {
		A int
		B float64
		C bool
	}
	c, ci := must[numeric](t), must[int](t)
	buf := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(1000, func() {
		in, out, i := numeric{1, 2, true}, numeric{}, 5
		enc, _ := c.Append(buf, &in, nil)
		_ = c.Decode(enc, &out, nil)
		enc, _ = ci.Append(buf, &i, nil)
		_ = ci.Decode(enc, &i, nil)
		if out != in || i != 5 {
			t.Error(out, i)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
