package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// withoutVectors runs f in plain Go.
func withoutVectors(f func()) {
	was := vectors
	defer func() { vectors = was }()
	vectors = false
	f()
}

// packer is a kernel and how many of its numbers are in a byte.
type packer[T Float] struct {
	name   string
	per    int
	pack   func(q []byte, lost, v []T, most T, r Rounding, at uint32)
	unpack func(out []T, q []byte, scale T, add bool)
}

func packers[T Float]() []packer[T] {
	return []packer[T]{
		{"int8", 1, func(q []byte, lost, v []T, most T, r Rounding, at uint32) {
			PackInt8(q, lost, v, most/127, 127/most, r, at)
		}, UnpackInt8[T]},
		{"int4", 2, func(q []byte, lost, v []T, most T, r Rounding, at uint32) {
			PackInt4(q, lost, v, most/7, 7/most, r, at)
		}, UnpackInt4[T]},
		{"signs", 8, func(q []byte, lost, v []T, most T, _ Rounding, _ uint32) { PackSigns(q, lost, v, most/2) }, UnpackSigns[T]},
		{"ternary", 4, func(q []byte, lost, v []T, most T, _ Rounding, _ uint32) {
			PackTernary(q, lost, v, most, most/3)
		}, UnpackTernary[T]},
		{"chosen", 4, func(q []byte, lost, v []T, most T, r Rounding, at uint32) {
			PackChosen(q, v, 1/most, r, at)
			copy(lost, v)
		}, UnpackTernary[T]},
	}
}

func TestPackedBytesAreTheSameWithoutVectors(t *testing.T) {
	if !vectors {
		t.Skip("no assembly for this CPU")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		testPacked(t, r, packers[float32]())
		testPacked(t, r, packers[float64]())
	}
}

func testPacked[T Float](t *testing.T, r *rand.Rand, all []packer[T]) {
	t.Helper()
	n := 1 + r.IntN(100)
	v := random[T](r, n, false)
	if r.IntN(2) == 0 {
		v[r.IntN(n)] = T([]float64{0, math.Copysign(0, -1), 1e-40, -1e-40}[r.IntN(4)])
	}
	most := max(MaxAbs(v), 1e-3)
	rounding, place := Rounding{r.IntN(2) == 0, r.Uint32()}, r.Uint32()
	for _, p := range all {
		const guard = 3
		bytes := (n + p.per - 1) / p.per
		run := func() (q []byte, lost, out, sum []T) {
			q, lost, out, sum = make([]byte, bytes+guard), make([]T, n+guard), make([]T, n+guard), make([]T, n+guard)
			p.pack(q[:bytes:bytes], lost[:n:n], v, most, rounding, place)
			silent := make([]byte, bytes)
			p.pack(silent, nil, v, most, rounding, place)
			if !slices.Equal(silent, q[:bytes]) {
				t.Fatalf("%s of %T, %d long: other bytes if nobody asks what is lost", p.name, most, n)
			}
			inPlace := slices.Clone(v)
			p.pack(silent, inPlace, inPlace, most, rounding, place)
			if !slices.Equal(silent, q[:bytes]) || !slices.Equal(inPlace, lost[:n]) {
				t.Fatalf("%s of %T, %d long: it isn't the same in place", p.name, most, n)
			}
			p.unpack(out[:n:n], q[:bytes], most/7, false)
			for i := range sum {
				sum[i] = 1
			}
			p.unpack(sum[:n:n], q[:bytes], most/7, true)
			return q, lost, out, sum
		}
		q, lost, out, sum := run()
		withoutVectors(func() {
			q2, lost2, out2, sum2 := run()
			if !slices.Equal(q, q2) {
				t.Fatalf("%s of %T, %d long, %+v at %d:\n%x, want\n%x", p.name, most, n, rounding, place, q, q2)
			}
			for name, x := range map[string][2][]T{"lost": {lost, lost2}, "unpacked": {out, out2}, "added": {sum, sum2}} {
				for i := range x[0] {
					if math.Float64bits(float64(x[0][i])) != math.Float64bits(float64(x[1][i])) {
						t.Fatalf("%s of %T, %d long: %s, element %d is %v, want %v", p.name, most, n, name, i, x[0][i], x[1][i])
					}
				}
			}
		})
	}
	more := random[T](r, n, false)
	added, sum := slices.Clone(v), slices.Clone(v)
	Add(sum, more)
	if top := AddMaxAbs(added, more); top != MaxAbs(sum) || !slices.Equal(added, sum) {
		t.Fatalf("%v and %v are %v, of which the largest is %v, not %v, %v", v, more, added, top, sum, MaxAbs(sum))
	}
	least := T(math.Abs(float64(v[r.IntN(n)])))
	places := AppendLarge([]uint32{7}, v, least)
	above, count := SumAbove(v, least)
	absolute, total := SumAbs(v), Sum(v)
	withoutVectors(func() {
		if want := AppendLarge([]uint32{7}, v, least); !slices.Equal(places, want) {
			t.Fatalf("of %v at least %v are %v, want %v", v, least, places, want)
		}
		if s, c := SumAbove(v, least); s != above || c != count {
			t.Fatalf("of %v above %v are %d, sum %v, want %d, %v", v, least, count, above, c, s)
		}
		if SumAbs(v) != absolute || Sum(v) != total {
			t.Fatalf("sums of %d %T are %v and %v, want %v and %v", n, least, absolute, total, SumAbs(v), Sum(v))
		}
	})
}

// Rounding by chance is right on average.
func TestRoundingByChanceIsUnbiased(t *testing.T) {
	const n = 1 << 16
	v := make([]float32, n)
	for i := range v {
		v[i] = 0.3
	}
	q, out := make([]byte, n), make([]float32, n)
	PackInt8(q, nil, v, 1, 1, Rounding{true, 42}, 0)
	UnpackInt8(out, q, 1, false)
	if mean := Sum(out) / n; math.Abs(mean-0.3) > 0.01 { // five standard deviations
		t.Errorf("0.3 becomes %v on average", mean)
	}
}

func TestIntegers(t *testing.T) {
	testIntegers[int8](t)
	testIntegers[int16](t)
	testIntegers[int32](t)
	testIntegers[int64](t)
	testIntegers[uint8](t)
	testIntegers[uint16](t)
	testIntegers[uint32](t)
	testIntegers[uint64](t)
}

func testIntegers[T Integer](t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := r.IntN(100)
		x, y := make([]T, n), make([]T, n)
		for i := range x {
			x[i], y[i] = T(r.Uint64()), T(r.Uint64())
		}
		for name, f := range map[string]func(dst, x []T){"add": AddInts[T], "min": MinInts[T], "max": MaxInts[T]} {
			got := slices.Clone(x)
			f(got, y)
			withoutVectors(func() {
				want := slices.Clone(x)
				f(want, y)
				if !slices.Equal(got, want) {
					t.Fatalf("%s of %v and %v is %v, want %v", name, x, y, got, want)
				}
			})
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const n = 1 << 22
	r := rand.New(rand.NewPCG(1, 2))
	v, lost := random[float32](r, n, false), make([]float32, n)
	q, places := make([]byte, n), make([]uint32, 0, n)
	bench := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				f()
			}
		})
	}
	for _, p := range packers[float32]() {
		for _, chance := range []bool{false, true} {
			bench(fmt.Sprintf("%s/%v", p.name, chance), func() { p.pack(q, nil, v, 5, Rounding{chance, 1}, 0) })
		}
		bench(p.name+"/lost", func() { p.pack(q, lost, v, 5, Rounding{}, 0) })
		bench(p.name+"/unpack", func() { p.unpack(lost, q, 5, false) })
	}
	bench("large", func() { places = AppendLarge(places[:0], v, 2.576) })
	bench("sumAbs", func() { SumAbs(v) })
	bench("toFloat16", func() { ToFloat16(asHalves(q), v[:n/2]) })
	bench("fromFloat16", func() { FromFloat16(v[:n/2], asHalves(q)) })
	bench("toBFloat16", func() { ToBFloat16(asHalves(q), v[:n/2]) })
	bench("fromBFloat16", func() { FromBFloat16(v[:n/2], asHalves(q)) })
}

func asHalves(q []byte) []uint16 { return unsafe.Slice((*uint16)(at(q)), len(q)/2) }
