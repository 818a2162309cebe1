package codec_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gray-runtime/gray/objectstore/codec"
)

type (
	vec   []float64
	level int8
	blob  []byte
	tree  struct {
		Value       int
		Left, Right *tree
	}
	list  struct{ Next *list }
	inner struct {
		X, Y   int
		Shadow string
	}
	Deep  struct{ Z string }
	outer struct {
		inner
		*Deep
		Shadow  int
		Renamed string `gray:"n"`
		Skipped int    `gray:"-"`
		hidden  int    //nolint:unused // the codec skips it
		When    time.Time
		Took    time.Duration
	}
	stamped struct {
		time.Time
		Label string
	}
	numbers struct {
		A int8
		B int16
		C int32
		D int64
		E uint8
		F uint16
		G uint32
		H uint64
		I uint
		J uintptr
		K float32
		L float64
		M complex64
		N complex128
		O bool
		P level
	}
	grids struct {
		Rows  [][]float64
		Fixed [9]float32
		Short [3]int
		Key   [4]byte
		Vec   vec
		Marks []complex128
		Flags []bool
		Took  []time.Duration
	}
)

// same encodes v, checks the size and the capacity rule, and reads it back both
// ways.
func same[T any](t *testing.T, v T) []byte {
	t.Helper()
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Size(&v, nil)
	if err != nil {
		t.Fatal(err)
	}
	prefix := 64
	dst := make([]byte, prefix, prefix+n)
	enc, err := c.Append(dst, &v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if &enc[0] != &dst[0] {
		t.Fatalf("%T: %d bytes didn't fit the size %d", v, len(enc)-prefix, n)
	}
	enc = enc[prefix:]
	for _, read := range []func([]byte, *T, any) error{c.Decode, c.View} {
		var out T
		if err := read(enc, &out, nil); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(v, out) {
			t.Fatalf("%T: wrote %#v, read %#v", v, v, out)
		}
	}
	rt, err := codec.Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	out := reflect.New(rt.Type()).Elem()
	if err := rt.Decode(enc, out, nil); err != nil || !reflect.DeepEqual(v, out.Interface()) {
		t.Fatalf("%T by reflection: %#v, %v", v, out, err)
	}
	if n, err := rt.Size(reflect.ValueOf(&v).Elem(), nil); err != nil || n < len(enc) {
		t.Fatalf("%T: size by reflection %d, %v", v, n, err)
	}
	return enc
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, -1, 31, 127, 128, 255, 256, -32, -33, -128, -129, 65535, 65536,
		-32768, -32769, math.MaxInt32, math.MinInt32 - 1, math.MaxInt64, math.MinInt64} {
		same(t, n)
		same(t, float64(n))
		same(t, uint64(n))
	}
	for _, n := range []int{0, 1, 7, 8, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		same(t, strings.Repeat("x", n))
		same(t, bytes.Repeat([]byte{7}, n))
		same(t, make([]string, n))
		same(t, make([]struct{}, n))
		same(t, make([]float64, n))
		same(t, make([]int16, n))
		same(t, make([]bool, n))
	}
	same(t, true)
	same(t, struct{}{})
	same(t, numbers{-1, -2, -3, -4, 5, 6, 7, math.MaxUint64, 9, 10, 1.5, 2.5, 3 + 4i, 5 + 6i, true, -7})
	same(t, grids{})
	same(t, grids{
		Rows:  [][]float64{nil, {}, {1, 2}, make([]float64, 8), make([]float64, 100)},
		Fixed: [9]float32{1, 2, 3}, Short: [3]int{1, 2, 3}, Key: [4]byte{1}, Vec: make(vec, 20),
		Marks: make([]complex128, 9), Flags: []bool{true, false}, Took: make([]time.Duration, 10),
	})
	same(t, outer{inner: inner{1, 2, ""}, Shadow: 3, Renamed: "r", When: time.Unix(5, 6).UTC(), Took: time.Second})
	same(t, outer{Deep: &Deep{"z"}})
	same(t, stamped{time.Unix(1, 0).UTC(), "label"})
	same(t, &tree{1, &tree{2, nil, nil}, &tree{3, nil, &tree{Value: 4}}})
	same(t, []*int{nil, new(int)})
	same(t, []any{nil, true, 1, uint64(math.MaxUint64), "s", []byte{1}, 1.5, float32(2), []any{}, map[string]any{"k": 1}})
	same(t, blob{1, 2})
	same(t, blob(nil))
	same(t, []byte{})
	same(t, [0]int{})
	same(t, big.NewInt(1<<40))
	same(t, []netip.Addr{netip.MustParseAddr("10.0.0.1"), {}})
}

func TestTimes(t *testing.T) {
	for _, v := range []time.Time{{}, time.Unix(0, 0), time.Unix(1<<32, 0), time.Unix(1<<33, 5), time.Unix(1<<34, 5),
		time.Unix(-1, 999_999_999), time.Unix(math.MaxUint32, 0)} {
		same(t, v.UTC())
		same[any](t, v.UTC())
	}
}

func TestMaps(t *testing.T) {
	same(t, map[string]int{"a": 1, "b": -2})
	same(t, map[string]int(nil))
	same(t, map[string]int{})
	same(t, map[level]string{1: "x"})
	same(t, map[int]float64{-1: 2.5})
	same(t, map[uint]bool{1: true})
	same(t, map[string][]byte{"a": {1}, "n": nil})
	same(t, map[string][]float64{"a": make([]float64, 50), "b": {1}})
	same(t, map[string]inner{"a": {1, 2, "s"}})
	same(t, map[inner]*inner{{X: 1}: {Y: 2}, {X: 2}: nil})
	same(t, map[[2]int]map[bool]string{{1, 2}: {true: "t"}})
	same(t, map[any]int{"a": 1, 2: 2, true: 3})
	same(t, map[float64]string{1.5: "x"})
	same(t, map[netip.Addr]time.Duration{netip.MustParseAddr("::1"): time.Hour})
}

func TestAny(t *testing.T) {
	for _, c := range []struct{ in, out any }{
		{int8(5), 5}, {uint32(7), 7}, {int64(math.MinInt64), math.MinInt64}, {time.Second, int(time.Second)},
		{[]int{1}, []int{1}}, {[]uint{}, []uint{}}, {vec{1, 2}, []float64{1, 2}},
		{[]float32{1}, []float32{1}}, {[]complex64{1i}, []complex64{1i}}, {[]int8{1}, []int8{1}},
		{[]string{"a"}, []any{"a"}}, {&inner{1, 2, "s"}, map[string]any{"X": 1, "Y": 2, "Shadow": "s"}},
		{map[int]string{1: "a"}, map[any]any{1: "a"}}, {struct{ P *int }{}, map[string]any{"P": nil}},
		{[1]*int{}, []any{nil}}, {(*int)(nil), nil}, {blob{1}, []byte{1}}, {map[string]any(nil), nil},
	} {
		k := must[any](t)
		enc, err := k.Append(nil, &c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := k.Size(&c.in, nil); err != nil || n < len(enc) {
			t.Errorf("%#v: size %d of %d, %v", c.in, n, len(enc), err)
		}
		var out any
		if err := k.Decode(enc, &out, nil); err != nil || !reflect.DeepEqual(out, c.out) {
			t.Errorf("%#v reads back as %#v, %v", c.in, out, err)
		}
	}
}

func TestEvolution(t *testing.T) {
	type v1 struct {
		A int
		B string
	}
	type v2 struct {
		C []float64
		B string
		D map[string]any
	}
	enc := same(t, v2{make([]float64, 9), "b", map[string]any{"x": []any{1, "y"}}})
	old := v1{A: 9}
	if err := must[v1](t).Decode(enc, &old, nil); err != nil || old != (v1{B: "b"}) {
		t.Fatalf("%+v, %v", old, err)
	}
	enc = same(t, v1{1, "b"})
	var now v2
	if err := must[v2](t).Decode(enc, &now, nil); err != nil || !reflect.DeepEqual(now, v2{B: "b"}) {
		t.Fatalf("%+v, %v", now, err)
	}
}

func TestEmbeddedConflicts(t *testing.T) {
	type A struct{ X, Y int }
	type B struct {
		X int
		Y int `gray:"Y"`
	}
	type both struct {
		A
		B
	}
	var out map[string]int
	in := both{A{1, 2}, B{3, 4}}
	enc, err := must[both](t).Append(nil, &in, nil)
	if err == nil {
		err = must[map[string]int](t).Decode(enc, &out, nil)
	}
	if err != nil || !reflect.DeepEqual(out, map[string]int{"Y": 4}) {
		t.Fatal(out, err)
	}
}

func TestAlignmentAndView(t *testing.T) {
	c := must[grids](t)
	v := grids{Rows: [][]float64{make([]float64, 9), make([]float64, 10)}, Vec: make(vec, 33)}
	raw := make([]byte, 4096)
	skew := -int(uintptr(unsafe.Pointer(&raw[0]))) & 63
	enc, err := c.Append(raw[skew:skew], &v, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out grids
	if err := c.View(enc, &out, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]float64{out.Rows[0], out.Rows[1], out.Vec} {
		if p := uintptr(unsafe.Pointer(&s[0])); p%64 != 0 {
			t.Errorf("data at %x", p)
		} else if first := uintptr(unsafe.Pointer(&enc[0])); p < first || p >= first+uintptr(len(enc)) {
			t.Error("the view is a copy")
		}
	}
	for off := 1; off < 8; off++ { // misaligned: copies, equal all the same
		moved := append(make([]byte, off, 4096), enc...)[off:]
		var out grids
		if err := c.View(moved, &out, nil); err != nil || !reflect.DeepEqual(out.Rows, v.Rows) {
			t.Fatal(out, err)
		}
	}
	if err := c.Decode(enc, &out, nil); err != nil {
		t.Fatal(err)
	}
	clear(enc)
	if !reflect.DeepEqual(out.Fixed, v.Fixed) || !reflect.DeepEqual(out.Vec, v.Vec) {
		t.Error("Decode kept memory of the source")
	}
}

func TestDecodeOwnsItsMemory(t *testing.T) {
	type all struct {
		S string
		B []byte
		F []float64
		M map[string]string
		A any
	}
	in := all{"s", []byte{1}, make([]float64, 20), map[string]string{"k": "v"}, []any{"x", []byte{2}, []int{3}}}
	c := must[all](t)
	enc, _ := c.Append(nil, &in, nil)
	var out all
	if err := c.Decode(enc, &out, nil); err != nil {
		t.Fatal(err)
	}
	for i := range enc {
		enc[i] = 0xff
	}
	if !reflect.DeepEqual(in, out) {
		t.Fatalf("%+v", out)
	}
}

func TestLenientReads(t *testing.T) {
	wide := []byte{0xd3, 0, 0, 0, 0, 0, 0, 0, 5}
	var i8 int8
	var f32 float32
	var u uint16
	if must[int8](t).Decode(wide, &i8, nil) != nil || i8 != 5 ||
		must[float32](t).Decode(wide, &f32, nil) != nil || f32 != 5 ||
		must[uint16](t).Decode(wide, &u, nil) != nil || u != 5 {
		t.Error(i8, f32, u)
	}
	s := small{1, "x", 2}
	if err := must[small](t).Decode([]byte{0xc0}, &s, nil); err != nil || s != (small{}) {
		t.Error(s, err)
	}
	var ints []int // an extension of int64 reads as int
	enc := same(t, make([]int64, 9))
	if err := must[[]int](t).Decode(enc, &ints, nil); err != nil || len(ints) != 9 {
		t.Error(ints, err)
	}
}

func TestCycleAndDepth(t *testing.T) {
	l := &list{}
	l.Next = l
	m := map[string]any{}
	m["self"] = m
	var a any = m
	if _, err := must[*list](t).Append(nil, &l, nil); !errors.Is(err, codec.ErrDepth) {
		t.Error(err)
	}
	if _, err := must[any](t).Size(&a, nil); !errors.Is(err, codec.ErrDepth) || len(err.Error()) > 500 {
		t.Error(err)
	}
	var out any
	deep := bytes.Repeat([]byte{0x91}, 1<<20)
	if err := must[any](t).Decode(append(deep, 0xc0), &out, nil); !errors.Is(err, codec.ErrDepth) {
		t.Error(err)
	}
	var s small // skipped without recursion
	enc := append([]byte{0x81, 0xa1, 'q'}, deep...)
	if err := must[small](t).Decode(append(enc, 0xc0), &s, nil); err != nil {
		t.Error(err)
	}
}
