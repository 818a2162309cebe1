package optim_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// specs are all kinds with all that they may have. That most are torch's is tested in trainlib/nn.
func specs() map[string]optim.Spec {
	all := map[string]optim.Spec{
		"sgd": optim.SGD(0.05), "momentum": optim.Momentum(0.02, 0.9), "adagrad": optim.Adagrad(0.01), "rmsprop": optim.RMSprop(0.001),
		"adam": optim.Adam(0.001), "adamw": optim.AdamW(0.001, 0.01), "lamb": optim.LAMB(0.01, 0.01),
	}
	nesterov := optim.Momentum(0.02, 0.9)
	nesterov.Nesterov = true
	dampened := optim.Momentum(0.02, 0.9)
	dampened.Dampening = 0.3
	amsgrad := optim.AdamW(0.001, 0.01)
	amsgrad.AMSGrad = true
	centered := optim.RMSprop(0.001)
	centered.Momentum, centered.Centered = 0.9, true
	scheduled := optim.Adam(0.01)
	scheduled.Schedule = optim.Schedule{Shape: optim.Cosine, WarmUp: 3, Total: 20}
	scheduled.WeightDecay, scheduled.ClipNorm = 0.1, 0.5
	all["nesterov"], all["dampened"], all["amsgrad"], all["centered"], all["scheduled"] = nesterov, dampened, amsgrad, centered, scheduled
	return all
}

func random(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func norm(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v * v
	}
	return math.Sqrt(s)
}

func newOptimizer(t *testing.T, s optim.Spec, sizes ...int) *optim.Optimizer[float64] {
	t.Helper()
	o, err := optim.New[float64](s, sizes)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestRanges: optimisers of parts of the parameters, which end at tensors' ends, do what one of all does, to the bit.
func TestRanges(t *testing.T) {
	for name, spec := range specs() {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		sizes := []int{7, 1, 33, 12}
		whole := newOptimizer(t, spec, sizes...)
		first, second := newOptimizer(t, spec, sizes[:2]...), newOptimizer(t, spec, sizes[2:]...)
		w := random(r, 53)
		parts := slices.Clone(w)
		for range 10 {
			g := random(r, 53)
			h, n := slices.Clone(g), norm(g)
			whole.StepOf(w, g, n)
			first.StepOf(parts[:8], h[:8], n)
			second.StepOf(parts[8:], h[8:], n)
		}
		if !slices.Equal(w, parts) {
			t.Errorf("%s, seed %d: parts end elsewhere", name, seed)
		}
	}
}

// TestRestored: an optimiser made of another's slots and steps goes on as that would.
func TestRestored(t *testing.T) {
	for name, spec := range specs() {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		o := newOptimizer(t, spec, 5, 8)
		w := random(r, 13)
		for range 5 {
			o.Step(w, random(r, 13))
		}
		data, err := json.Marshal(spec) // a Spec travels
		if err != nil {
			t.Fatal(err)
		}
		var read optim.Spec
		if err := json.Unmarshal(data, &read); err != nil || read != spec {
			t.Fatalf("%s: %v", name, err)
		}
		again, w2 := newOptimizer(t, read, 5, 8), slices.Clone(w)
		for i, s := range o.Slots() {
			if again.Slots()[i].Name != s.Name {
				t.Fatalf("%s: slot %s", name, s.Name)
			}
			copy(again.Slots()[i].Values, s.Values)
		}
		again.SetSteps(o.Steps())
		for range 5 {
			g := random(r, 13)
			again.Step(w2, slices.Clone(g))
			o.Step(w, g)
		}
		if !slices.Equal(w, w2) {
			t.Errorf("%s, seed %d: the restored one ends elsewhere", name, seed)
		}
	}
}

// TestLAMB against the paper's algorithm 2, written plainly.
func TestLAMB(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []int{4, 9, 3}
	spec := optim.LAMB(0.02, 0.1)
	o := newOptimizer(t, spec, sizes...)
	w := random(r, 16)
	clear(w[13:]) // a tensor of zeros has a trust ratio of 1
	want, m, v := slices.Clone(w), make([]float64, 16), make([]float64, 16)
	for step := 1; step <= 6; step++ {
		g := random(r, 16)
		at := 0
		for _, n := range sizes {
			update := make([]float64, n)
			for i := range n {
				k := at + i
				m[k] = 0.9*m[k] + 0.1*g[k]
				v[k] = 0.999*v[k] + 0.001*g[k]*g[k]
				mhat, vhat := m[k]/(1-math.Pow(0.9, float64(step))), v[k]/(1-math.Pow(0.999, float64(step)))
				update[i] = mhat/(math.Sqrt(vhat)+1e-6) + 0.1*want[k]
			}
			ratio := 1.0
			if of := norm(want[at : at+n]); of > 0 {
				ratio = of / norm(update)
			}
			for i := range n {
				want[at+i] -= 0.02 * ratio * update[i]
			}
			at += n
		}
		o.Step(w, g)
	}
	for i := range w {
		if math.Abs(w[i]-want[i]) > 1e-12 {
			t.Errorf("parameter %d is %v, not %v", i, w[i], want[i])
		}
	}
}

func TestClipNorm(t *testing.T) {
	spec := optim.SGD(1)
	spec.ClipNorm = 1
	for length, want := range map[float64]float64{0: 0, 0.5: 0.5, 1: 1, 10: 1} {
		w := []float64{0, 0}
		newOptimizer(t, spec, 2).Step(w, []float64{0.6 * length, 0.8 * length})
		if got := norm(w); math.Abs(got-want) > 1e-5 {
			t.Errorf("a gradient of norm %v moved by %v, not %v", length, got, want)
		}
	}
}

// TestSchedules against the closed forms of torch's StepLR and CosineAnnealingLR.
func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		schedule optim.Schedule
		rates    map[int64]float64
	}{
		{optim.Schedule{}, map[int64]float64{0: 1, 1000: 1}},
		{optim.Schedule{Shape: optim.Constant, WarmUp: 4}, map[int64]float64{0: 0.25, 1: 0.5, 3: 1, 4: 1, 99: 1}},
		{optim.Schedule{Shape: optim.Step, Every: 10, Factor: 0.5}, map[int64]float64{0: 1, 9: 1, 10: 0.5, 19: 0.5, 20: 0.25}},
		{optim.Schedule{Shape: optim.Cosine, Total: 8, Floor: 0.1}, map[int64]float64{0: 1, 4: 0.55, 8: 0.1, 99: 0.1}},
		{optim.Schedule{Shape: optim.Cosine, Total: 12, WarmUp: 4}, map[int64]float64{1: 0.5, 4: 1, 8: 0.5, 12: 0}},
	} {
		for step, want := range c.rates {
			if got := c.schedule.At(step); math.Abs(got-want) > 1e-15 {
				t.Errorf("%+v at step %d: %v, not %v", c.schedule, step, got, want)
			}
		}
	}
	spec := optim.SGD(0.5)
	spec.Schedule = optim.Schedule{Shape: optim.Step, Every: 1, Factor: 0.5}
	o, w := newOptimizer(t, spec, 1), []float64{0}
	for range 3 {
		o.Step(w, []float64{1})
	}
	if w[0] != -0.875 || o.Rate() != 0.0625 {
		t.Errorf("at %v after three steps, with a rate of %v", w[0], o.Rate())
	}
}

func TestSpecsThatCannotBe(t *testing.T) {
	change := func(s optim.Spec, f func(*optim.Spec)) optim.Spec { f(&s); return s }
	for want, s := range map[string]optim.Spec{
		`no optimiser "?"`:    {Kind: "?"},
		"a rate of -1":        optim.SGD(-1),
		"a rate of NaN":       optim.SGD(math.NaN()),
		"a beta1 of 1":        change(optim.Adam(1), func(s *optim.Spec) { s.Beta1 = 1 }),
		"Nesterov's needs":    change(optim.SGD(1), func(s *optim.Spec) { s.Nesterov = true }),
		`no schedule "?"`:     change(optim.SGD(1), func(s *optim.Spec) { s.Schedule.Shape = "?" }),
		"a cosine over 0":     change(optim.SGD(1), func(s *optim.Spec) { s.Schedule.Shape = optim.Cosine }),
		"times 0 each 0 step": change(optim.SGD(1), func(s *optim.Spec) { s.Schedule.Shape = optim.Step }),
		"warm-up of -1":       change(optim.SGD(1), func(s *optim.Spec) { s.Schedule.WarmUp = -1 }),
	} {
		if _, err := optim.New[float32](s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	if _, err := optim.New[float32](optim.SGD(1), []int{3, -1}); err == nil {
		t.Error("a tensor with fewer than no numbers")
	}
}

// TestStepsDoNotAllocate, and float32 follows float64.
func TestStepsDoNotAllocate(t *testing.T) {
	for name, spec := range specs() {
		r := rand.New(rand.NewPCG(1, 2))
		o, err := optim.New[float32](spec, []int{20, 20})
		if err != nil {
			t.Fatal(err)
		}
		exact := newOptimizer(t, spec, 20, 20)
		w, g := make([]float32, 40), make([]float32, 40)
		w64, g64 := random(r, 40), make([]float64, 40)
		for i := range w {
			w[i] = float32(w64[i])
		}
		if n := testing.AllocsPerRun(10, func() {
			for i := range g {
				g64[i] = r.NormFloat64()
				g[i] = float32(g64[i])
			}
			o.Step(w, g)
			exact.Step(w64, g64)
		}); n != 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
		for i := range w {
			if math.Abs(float64(w[i])-w64[i]) > 1e-4 {
				t.Errorf("%s: parameter %d is %v, not %v", name, i, w[i], w64[i])
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	params := []model.Param[float32]{{Name: "a", Grad: []float32{1}}, {Name: "b", Grad: []float32{1, 2}}, {Name: "c"}}
	if name := optim.NotFinite(params); name != "" {
		t.Error(name)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(-1)} {
		params[0].Grad[0] = float32(bad)
		if name := optim.NotFinite(params); name != "a" {
			t.Error(name)
		}
		params[1].Grad[1] = float32(bad)
		if name := optim.NotFinite(params); name != "b" {
			t.Error(name)
		}
		params[1].Grad[1] = 0
	}
}

// TestStepsAsTorch compares with what testdata/make_steps.py recorded.
func TestStepsAsTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/steps.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		W     []float64
		Grads [][]float64
		Cases []struct {
			Spec  optim.Spec
			After [][]float64
		}
	}
	if err := json.Unmarshal(data, &recorded); err != nil || len(recorded.Cases) == 0 {
		t.Fatalf("%d cases: %v", len(recorded.Cases), err)
	}
	for _, c := range recorded.Cases {
		o, w := newOptimizer(t, c.Spec, 5, 7), slices.Clone(recorded.W)
		for step, want := range c.After {
			o.Step(w, slices.Clone(recorded.Grads[step]))
			for i := range w {
				if math.Abs(w[i]-want[i]) > 1e-13 {
					t.Fatalf("%+v: after step %d parameter %d is %v, not %v", c.Spec, step, i, w[i], want[i])
				}
			}
		}
	}
}
