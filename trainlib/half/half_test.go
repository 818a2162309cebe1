package half

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
)

// All numbers of 16 bits, and back.
func TestAllNumbers(t *testing.T) {
	halves, wide := make([]Float16, 1<<16), make([]float32, 1<<16)
	for i := range halves {
		halves[i] = Float16(i)
	}
	Decode(wide, halves)
	back := make([]Float16, 1<<16)
	Encode(back, wide)
	for i, h := range halves {
		if math.Float32bits(wide[i]) != math.Float32bits(h.Float32()) {
			t.Fatalf("%#04x is %v (%#x) at once, %v (%#x) alone", i, wide[i], math.Float32bits(wide[i]), h.Float32(), math.Float32bits(h.Float32()))
		}
		nan := i&0x7c00 == 0x7c00 && i&0x3ff != 0
		if back[i] != h && !nan || nan && back[i] != h|0x200 || FromFloat32(wide[i]) != back[i] {
			t.Fatalf("%#04x becomes %v, and that %#04x, alone %#04x", i, wide[i], back[i], FromFloat32(wide[i]))
		}
	}
	brains := make([]BFloat16, 1<<16)
	for i := range brains {
		brains[i] = BFloat16(i)
	}
	BDecode(wide, brains)
	encoded := make([]BFloat16, 1<<16)
	BEncode(encoded, wide)
	for i, h := range brains {
		if math.Float32bits(wide[i]) != uint32(i)<<16 || h.Float32() != wide[i] && wide[i] == wide[i] {
			t.Fatalf("%#04x is %v at once, %v alone", i, wide[i], h.Float32())
		}
		if encoded[i] != BFromFloat32(wide[i]) || encoded[i] != h && wide[i] == wide[i] {
			t.Fatalf("%#04x becomes %#04x at once, %#04x alone", i, encoded[i], BFromFloat32(wide[i]))
		}
	}
}

// Rounding at once is that of one number alone, for any bits.
func TestAnyNumbers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		n := r.IntN(50)
		src := make([]float32, n)
		for i := range src {
			src[i] = math.Float32frombits(r.Uint32())
			if r.IntN(2) == 0 { // where float16 has numbers
				src[i] = float32(math.Ldexp(r.Float64()*2-1, r.IntN(45)-28))
			}
		}
		halves, brains := make([]Float16, n), make([]BFloat16, n)
		Encode(halves, src)
		BEncode(brains, src)
		for i, f := range src {
			if halves[i] != FromFloat32(f) || brains[i] != BFromFloat32(f) {
				t.Fatalf("%v (%#x) becomes %#04x and %#04x at once, %#04x and %#04x alone", f, math.Float32bits(f), halves[i], brains[i], FromFloat32(f), BFromFloat32(f))
			}
		}
	}
}

// The nearest number, the even one of two that are as near.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		f     float32
		half  Float16
		brain BFloat16
	}{
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{65504, 0x7bff, 0x4780},
		{65519.996, 0x7bff, 0x4780},
		{65520, 0x7c00, 0x4780},
		{1 + 1./2048, 0x3c00, 0x3f80},
		{1 + 3./2048, 0x3c02, 0x3f80},
		{1 + 1./256, 0x3c04, 0x3f80},
		{1 + 3./256, 0x3c0c, 0x3f82},
		{0x1p-24, 0x0001, 0x3380},
		{0x1p-25, 0x0000, 0x3300},
		{0x1.8p-25, 0x0001, 0x3340},
		{float32(math.Inf(-1)), 0xfc00, 0xff80},
	} {
		if h, b := FromFloat32(c.f), BFromFloat32(c.f); h != c.half || b != c.brain {
			t.Errorf("%v becomes %#04x and %#04x, want %#04x and %#04x", c.f, h, b, c.half, c.brain)
		}
	}
}

func TestCombine(t *testing.T) {
	n := 2*piece + 21
	dst, x, want := make([]Float16, n), make([]Float16, n), make([]Float16, n)
	brains, others, wantBrains := make([]BFloat16, n), make([]BFloat16, n), make([]BFloat16, n)
	for i := range n {
		a, b := float32(i)/7, float32(i%100)/3
		dst[i], x[i], brains[i], others[i] = FromFloat32(a), FromFloat32(b), BFromFloat32(a), BFromFloat32(b)
		want[i] = FromFloat32(dst[i].Float32() + x[i].Float32())
		wantBrains[i] = BFromFloat32(brains[i].Float32() + others[i].Float32())
	}
	Combine(dst, x, simd.Add)
	BCombine(brains, others, simd.Add)
	for i := range n {
		if dst[i] != want[i] || brains[i] != wantBrains[i] {
			t.Fatalf("element %d is %v and %v, want %v and %v", i, dst[i].Float32(), brains[i].Float32(), want[i].Float32(), wantBrains[i].Float32())
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	dst, x := make([]Float16, 1<<20), make([]Float16, 1<<20)
	b.SetBytes(2 << 20)
	for b.Loop() {
		Combine(dst, x, simd.Add)
	}
}
