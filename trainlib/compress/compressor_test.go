package compress

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// specs are all compressions of n numbers.
func specs(n int) []Spec {
	shapes := shapesOf(n)
	whole, nearest, half, bhalf := OneBit(), Int4(), Float16(), BFloat16()
	whole.Block = 0
	nearest.Stochastic = false
	half.Feedback, bhalf.Feedback = true, true
	dgc := DGC(0.05, 0.9)
	dgc.WarmUp, dgc.Clip = 3, 100
	all := []Spec{
		None(), Float16(), BFloat16(), half, bhalf, Int8(), Int4(), nearest, OneBit(), whole, Ternary(), TernGrad(),
		TopK(0.01), TopK(0.1), TopK(1), RandomK(0.1), RandomK(1), dgc, PowerSGD(2, shapes), PowerSGD(1, shapes),
	}
	for _, s := range []Spec{Int8(), Int4(), OneBit(), Ternary(), TopK(0.1), RandomK(0.1), PowerSGD(2, shapes)} {
		s.Feedback = false
		all = append(all, s)
	}
	return all
}

// shapesOf is a matrix, a vector, and something with three indices, of n numbers.
func shapesOf(n int) [][]int {
	rows := int(math.Sqrt(float64(n) / 2))
	rest := n - rows*rows
	return [][]int{{rows, rows}, {rest % 6}, {rest / 6, 2, 3}}
}

func name(s Spec) string {
	return fmt.Sprintf("%s feedback=%v stochastic=%v block=%d way=%s", s, s.Feedback, s.Stochastic, s.Block, s.Way)
}

func normal[T model.Float](r *rand.Rand, n int) []T {
	x := make([]T, n)
	scale := math.Exp(2 * r.NormFloat64())
	for i := range x {
		x[i] = T(r.NormFloat64() * scale)
	}
	return x
}

func norm[T model.Float](x []T) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s)
}

// distance is the norm of the difference.
func distance[T model.Float](x, y []T) float64 {
	d := make([]float64, len(x))
	for i := range x {
		d[i] = float64(x[i]) - float64(y[i])
	}
	return norm(d)
}

func precision[T model.Float]() float64 {
	if sizeOf[T]() == 4 {
		return 1e-6
	}
	return 1e-14
}

var lengths = []int{0, 1, 2, 7, 8, 9, 255, 256, 257, 1000, 4096, 20011}

func TestMessagesAndKeptErrorsAreAllThatWasGiven(t *testing.T) {
	t.Run("float32", conserves[float32])
	t.Run("float64", conserves[float64])
}

// conserves checks what holds step by step: message + kept = gradient + kept before, and that kept errors don't grow.
func conserves[T model.Float](t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range lengths {
		for _, s := range specs(n) {
			c, err := New[T](s, n)
			if err != nil {
				t.Fatal(err)
			}
			var message []byte
			want, got := make([]float64, n), make([]float64, n)
			out := make([]T, n)
			g := normal[T](r, n)
			for range 20 {
				before := slices.Clone(g)
				message = c.Encode(message[:0], g)
				if !slices.Equal(before, g) {
					t.Fatalf("%s changed the gradient", name(s))
				}
				if got, err := Len(message); err != nil || got != n {
					t.Fatalf("%s: %d numbers: %v", name(s), got, err)
				}
				if want := s.messageBytes(n, sizeOf[T]()); want != 0 && want != len(message) {
					t.Fatalf("%s: %d bytes, want %d", name(s), len(message), want)
				}
				if err := Decode(out, message); err != nil {
					t.Fatalf("%s of %d: %v", name(s), n, err)
				}
				twice := slices.Clone(out)
				if err := AddTo(twice, message); err != nil {
					t.Fatal(err)
				}
				near := 10 * precision[T]() * norm(out)
				for i := range g {
					want[i] += float64(g[i])
					got[i] += float64(out[i])
					if math.Abs(float64(twice[i]-2*out[i])) > near {
						t.Fatalf("%s: %g added to %[2]g is %g", name(s), out[i], twice[i])
					}
				}
			}
			if !s.Feedback || s.Kind == KindDGC {
				continue
			}
			for i := range got {
				got[i] += float64(c.kept[i])
			}
			if d := distance(got, want); d > 20*precision[T]()*(norm(want)+c.Lost()) {
				t.Errorf("%s of %d: messages and what is kept are %g away from the gradients, whose norm is %g", name(s), n, d, norm(want))
			}
			if s.Ratio == 0 && s.Rank == 0 && c.Lost() > 5*norm(g) {
				t.Errorf("%s of %d: after 20 steps %g is kept of gradients of %g", name(s), n, c.Lost(), norm(g))
			}
		}
	}
}

// TestContracts: what is lost is a smaller vector than what was given, by a factor that is known.
func TestContracts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		n := 1 + r.IntN(3000)
		heavy := normal[float64](r, n)
		for i := range heavy {
			heavy[i] *= math.Abs(heavy[i]) // some much larger than others
		}
		for _, s := range specs(n) {
			if !s.Feedback || s.Kind == KindDGC {
				continue
			}
			c, err := New[float64](s, n)
			if err != nil {
				t.Fatal(err)
			}
			c.Encode(nil, heavy)
			block := s.Block
			if block == 0 {
				block = n
			}
			least := 0.0 // δ: lost² ≤ (1-δ) given²
			switch s.Kind {
			case KindFloat16, KindBFloat16:
				least = 0.99
			case KindInt8:
				least = 1 - 256.0/127/127
			case KindInt4:
				if least = 0; !s.Stochastic {
					least = 1 - 128.0/14/14
				}
			case KindOneBit, KindTernary:
				least = 1 / float64(block) // 1-norm² / d / 2-norm², at worst
				if s.Kind == KindTernary {
					least = 0.09 / float64(block)
				}
			case KindTopK:
				least = float64(s.count(n, 0)) / float64(n)
			}
			given := norm(heavy)
			if lost := c.Lost(); lost*lost > (1-least)*given*given*(1+1e-12) && s.Kind != KindInt4 {
				t.Errorf("%s of %d: %g is lost of %g, δ is %g", name(s), n, lost, given, least)
			} else if s.Kind == KindInt4 && !s.Stochastic && lost*lost > (1-least)*given*given {
				t.Errorf("%s of %d: %g is lost of %g, δ is %g", name(s), n, lost, given, least)
			}
		}
	}
}

// TestUnbiased: over many messages, the mean is what was given; and of what contracts by chance only, what is lost is
// less on average.
func TestUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, rounds = 999, 2000
	g := normal[float64](r, n)
	step := map[Kind]float64{KindInt8: simd.MaxAbs(g) / 127, KindInt4: simd.MaxAbs(g) / 7, KindTernary: simd.MaxAbs(g), KindRandomK: 1e-12}
	int4, int8, random := Int4(), Int8(), RandomK(0.1)
	int4.Feedback, int8.Feedback, random.Feedback = false, false, false
	for _, s := range []Spec{int8, int4, TernGrad(), random} {
		c, err := New[float64](s, n)
		if err != nil {
			t.Fatal(err)
		}
		sum, square := make([]float64, n), make([]float64, n)
		out := make([]float64, n)
		for range rounds {
			if err := Decode(out, c.Encode(nil, g)); err != nil {
				t.Fatal(err)
			}
			for i, v := range out {
				sum[i] += v
				square[i] += (v - g[i]) * (v - g[i])
			}
		}
		worst := 0.0
		for i := range sum {
			deviation := math.Sqrt(square[i]/rounds/rounds) + 4*step[s.Kind]/rounds // what is rare may not have been seen
			worst = max(worst, math.Abs(sum[i]/rounds-g[i])/deviation)
		}
		t.Logf("%s: the mean is %.1f standard deviations away at most", name(s), worst)
		if worst > 5.5 { // of 999 numbers: with a probability of 4e-5
			t.Errorf("%s: the mean of %d messages is %.1f standard deviations away", name(s), rounds, worst)
		}
	}
	for _, s := range []Spec{Int4(), RandomK(0.1)} {
		lost := 0.0
		for seed := range uint64(200) {
			s.Seed = seed
			c, err := New[float64](s, n)
			if err != nil {
				t.Fatal(err)
			}
			c.Encode(nil, g)
			lost += c.Lost() * c.Lost() / 200
		}
		given := norm(g) * norm(g)
		if bound := map[Kind]float64{KindInt4: 128.0 / 14 / 14, KindRandomK: 0.92}[s.Kind]; lost > bound*given {
			t.Errorf("%s: %g is lost of %g on average", name(s), lost, given)
		}
	}
}

func TestWhatIsntFiniteIsSentAndNotKept(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const n = 3000
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, s := range specs(n) {
			c, err := New[float32](s, n)
			if err != nil {
				t.Fatal(err)
			}
			c.Encode(nil, normal[float32](r, n))
			g := normal[float32](r, n)
			at := r.IntN(n)
			g[at] = float32(bad)
			message := c.Encode(nil, g)
			out := make([]float32, n)
			if err := Decode(out, message); err != nil {
				t.Fatal(err)
			}
			if s.Kind != KindRandomK && finite(out[at]) {
				t.Errorf("%s: %g became %g", name(s), bad, out[at])
			}
			for range 200 { // random k has to find it
				c.Encode(nil, make([]float32, n))
			}
			if s.Feedback && !finite(float32(c.Lost())) {
				t.Errorf("%s keeps what isn't finite", name(s))
			}
		}
	}
}

func TestSignsOfZeroArePositive(t *testing.T) {
	s := OneBit()
	s.Block = 0
	c, err := New[float64](s, 4)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 4)
	if err := Decode(out, c.Encode(nil, []float64{math.Copysign(0, -1), 0, -4, 4})); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out, []float64{2, 2, -2, 2}) {
		t.Errorf("%v", out)
	}
}

// TestRestored: a compressor with another's Slots and Steps goes on as that does.
func TestRestored(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const n = 2000
	for _, s := range specs(n) {
		a, err := New[float32](s, n)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			a.Encode(nil, normal[float32](r, n))
		}
		b, err := New[float32](s, n)
		if err != nil {
			t.Fatal(err)
		}
		b.SetSteps(a.Steps())
		for i, slot := range b.Slots() {
			copy(slot.Values, a.Slots()[i].Values)
		}
		g := normal[float32](r, n)
		if !slices.Equal(a.Encode(nil, g), b.Encode(nil, g)) {
			t.Errorf("%s goes on otherwise", name(s))
		}
		a.Reset()
		b.Reset()
		if a.Lost() != 0 || !slices.Equal(a.Encode(nil, g), b.Encode(nil, g)) {
			t.Errorf("%s keeps something", name(s))
		}
	}
}

// TestStepsDontAllocate: of the kinds that are for speed.
func TestStepsDontAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const n = 30000
	for _, s := range specs(n) {
		c, err := New[float32](s, n)
		if err != nil {
			t.Fatal(err)
		}
		g, out := normal[float32](r, n), make([]float32, n)
		var message []byte
		step := func() {
			message = c.Encode(message[:0], g)
			if s.Kind != KindPowerSGD { // whose decoder makes a list of tensors
				if err := Decode(out, message); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 5 {
			step()
		}
		if a := testing.AllocsPerRun(5, step); a > 0 {
			t.Errorf("%s: %v allocations a step", name(s), a)
		}
	}
}

func TestSpecsThatArent(t *testing.T) {
	bad := map[string]Spec{
		"no such kind":     {Kind: "zip"},
		"block":            {Kind: KindInt8, Block: 12},
		"negative block":   {Kind: KindInt8, Block: -8},
		"ratio 0":          TopK(0),
		"ratio above 1":    RandomK(1.1),
		"ratio NaN":        TopK(math.NaN()),
		"momentum":         DGC(0.1, 1),
		"rank":             PowerSGD(0, [][]int{{100}}),
		"shapes":           PowerSGD(1, [][]int{{99}}),
		"negative shape":   PowerSGD(1, [][]int{{-10, -10}}),
		"ternary feedback": {Kind: KindTernary, Stochastic: true, Feedback: true},
	}
	for what, s := range bad {
		if _, err := New[float32](s, 100); err == nil {
			t.Errorf("%s: %+v is one", what, s)
		}
	}
	if _, err := New[float32](TopK(0.1), -1); err == nil {
		t.Error("-1 numbers")
	}
}
