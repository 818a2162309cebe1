package codec_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/gray-runtime/gray/objectstore/codec"
)

// everything has a field for each way of decoding.
type everything struct {
	N     numbers
	G     grids
	T     *tree
	O     outer
	S     []string
	B     []byte
	M     map[string]int
	MA    map[string]any
	MI    map[int]small
	MK    map[any]inner
	A     any
	R     []ref
	Times []time.Time
	L     []list
	E     []struct{}
	P     **int
	Tn    codec.Tensor[float32]
}

func samples() []everything {
	i := 5
	p := &i
	return []everything{
		{},
		{
			T: &tree{1, &tree{}, nil}, O: outer{Deep: &Deep{"z"}, When: time.Unix(7, 8)}, S: []string{"a", ""},
			B: []byte{1}, M: map[string]int{"k": 1}, MA: map[string]any{"x": []any{1, "s", nil}},
			MI: map[int]small{3: {1, "n", 2}}, MK: map[any]inner{"q": {}}, A: map[string]any{"f": []float32{1, 2}},
			R: []ref{{"id"}, {}}, Times: []time.Time{{}, time.Unix(1<<40, 1)}, L: []list{{&list{}}},
			E: make([]struct{}, 3), P: &p, Tn: codec.Tensor[float32]{Shape: []int{2, 1}, Data: []float32{1, 2}},
			G: grids{Rows: [][]float64{make([]float64, 10)}, Vec: vec{1}, Marks: make([]complex128, 8)},
		},
	}
}

// FuzzDecode feeds any bytes to many types: errors are typed, views and copies
// agree, and what was read can be written and read again.
func FuzzDecode(f *testing.F) {
	c := must[everything](f)
	for _, v := range samples() {
		enc, err := c.Append(nil, &v, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(enc)
	}
	f.Add([]byte{0xc9, 0, 0, 0, 10, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xc7, 15, 2, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{0x82, 1, 2, 0xa1, 'x', 0xd4, 16, 'r'})
	f.Fuzz(func(t *testing.T, src []byte) {
		readAgain[everything](t, src)
		readAgain[any](t, src)
		readAgain[grids](t, src)
		readAgain[[]float64](t, src)
		readAgain[map[string][]int32](t, src)
		readAgain[codec.Tensor[int16]](t, src)
		readAgain[map[any]any](t, src)
		readAgain[[]struct{}](t, src)
		readAgain[*tree](t, src)
		readAgain[string](t, src)
		readAgain[int](t, src)
		readAgain[holder](t, src)
	})
}

func readAgain[T any](t *testing.T, src []byte) {
	c := must[T](t)
	var v, w T
	keep := bytes.Clone(src)
	err, verr := c.Decode(src, &v, nil), c.View(src, &w, nil)
	if (err == nil) != (verr == nil) {
		t.Fatalf("%T: Decode says %v, View %v", v, err, verr)
	}
	if !bytes.Equal(keep, src) {
		t.Fatal("the source was written to")
	}
	if err != nil {
		if _, ok := err.(*codec.DecodeError); !ok { //nolint:errorlint // the outermost has to be one
			t.Fatalf("%T: untyped error %v", v, err)
		}
		return
	}
	size, err := c.Size(&v, nil)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := c.Append(nil, &v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(enc) > size {
		t.Fatalf("%T: %d bytes, size said %d", v, len(enc), size)
	}
	var again T
	if err := c.Decode(enc, &again, nil); err != nil {
		t.Fatalf("%T: %x: %v", v, enc, err)
	}
	if !hasNaN(src) && !reflect.DeepEqual(v, again) {
		t.Fatalf("%T: %#v became %#v", v, v, again)
	}
	// A second writer agrees that this is msgpack.
	if _, err := msgpack.NewDecoder(bytes.NewReader(enc)).DecodeRaw(); err != nil {
		t.Fatalf("%T: %x isn't msgpack: %v", v, enc, err)
	}
}

// hasNaN is generous: bytes that could be part of a NaN, which equals nothing.
func hasNaN(b []byte) bool {
	return bytes.ContainsAny(b, "\x7f") || bytes.IndexByte(b, 0xff) >= 0
}

// plain is what both codecs write alike: no numeric slices, no time.
type plain struct {
	I  int
	U  uint32
	F  float64
	F3 float32
	S  string
	B  []byte
	L  []string
	M  map[string]int64
	P  *plain
	N  []plain
	T  bool
}

func randomPlain(r *rand.Rand, depth int) plain {
	text := func() string { return string(make([]rune, r.IntN(40))) }
	p := plain{I: int(r.Int64() >> r.IntN(64)), U: r.Uint32() >> r.IntN(32), F: r.NormFloat64(),
		F3: r.Float32(), S: text(), T: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		p.I = -p.I
	}
	if r.IntN(3) > 0 {
		p.B, p.L, p.M = make([]byte, r.IntN(300)), make([]string, r.IntN(20)), map[string]int64{}
		for range r.IntN(20) {
			p.M[text()] = r.Int64()
		}
	}
	if depth > 0 {
		for range r.IntN(3) {
			p.N = append(p.N, randomPlain(r, depth-1))
		}
		q := randomPlain(r, depth-1)
		p.P = &q
	}
	return p
}

func crossCheck(t *testing.T, seed uint64) {
	v := randomPlain(rand.New(rand.NewPCG(seed, 1)), 3)
	enc := same(t, v)
	var out plain
	if err := msgpack.Unmarshal(enc, &out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(v, out) {
		t.Fatalf("seed %d: the other reader sees %+v, not %+v", seed, out, v)
	}
	theirs, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out = plain{}
	if err := must[plain](t).Decode(theirs, &out, nil); err != nil || !reflect.DeepEqual(v, out) {
		t.Fatalf("seed %d: of the other writer's bytes we make %+v, not %+v, %v", seed, out, v, err)
	}
}

func TestCrossCheck(t *testing.T) {
	for seed := range uint64(200) {
		crossCheck(t, seed)
	}
	for _, v := range []any{time.Unix(1, 2), time.Unix(1<<35, 0), int8(-3), uint64(math.MaxUint64), []any{1, "x"},
		map[string]any{"k": nil}, float32(1.5)} {
		theirs, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := must[any](t).Append(nil, &v, nil)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := must[any](t).Decode(theirs, &a, nil); err != nil {
			t.Fatal(err)
		}
		if err := must[any](t).Decode(ours, &b, nil); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%T: theirs %v, ours %v, %v", v, a, b, err)
		}
		var c any
		if err := msgpack.Unmarshal(ours, &c); err != nil {
			t.Errorf("%T: %x: %v", v, ours, err)
		}
	}
}

// FuzzCrossCheck compares with another msgpack implementation on random values.
func FuzzCrossCheck(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(crossCheck)
}

// FuzzNumeric round-trips numeric data at every place and checks alignment.
func FuzzNumeric(f *testing.F) {
	f.Add("name", []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		type mixed struct {
			Name string
			I8   []int8
			U16  []uint16
			I32  []int32
			U64  [][]uint64
			Any  any
		}
		v := mixed{Name: name, U64: [][]uint64{}}
		for i, b := range data {
			v.I8, v.U16, v.I32 = append(v.I8, int8(b)), append(v.U16, uint16(b)<<8), append(v.I32, -int32(b))
			if i%16 == 0 {
				v.U64 = append(v.U64, []uint64{})
			}
			v.U64[i/16] = append(v.U64[i/16], uint64(b)<<56)
		}
		v.Any = v.U16
		if v.U16 == nil {
			v.Any = []uint16{}
		}
		same(t, v)
	})
}
