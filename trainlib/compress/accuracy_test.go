package compress

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
)

// TestAccuracyOnDigits: three workers train with compressed sums, on four fifths of the digits, and are asked about the
// others. Compressed or not, they're right as often, to half a point. The table is what -v prints.
func TestAccuracyOnDigits(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for some seconds")
	}
	g := readGolden(t, "digits")
	g.hidden = 32
	const folds = 2
	table := &strings.Builder{}
	fmt.Fprintf(table, "%-14s %-9s %9s %9s %8s\n", "compression", "way", "accuracy", "of none", "bytes")
	var none float64
	dgc := DGC(0.01, 0.9)
	dgc.WarmUp = 200
	for i, s := range []Spec{
		None(), Float16(), BFloat16(), Int8(), Int4(), OneBit(), Ternary(), TernGrad(), TopK(0.1), TopK(0.01), RandomK(0.1), dgc,
		PowerSGD(2, g.shapes()), {Kind: KindInt4, Feedback: true, Stochastic: true, Block: 128, Way: Ring}, {Kind: KindInt8, Feedback: true, Block: 256, Way: Tree},
	} {
		accuracy, stats, way := 0.0, Stats{}, Way("")
		for fold := range folds {
			a, s, w := g.distributed(t, s, 3, fold)
			accuracy, stats, way = accuracy+a/folds, s, w
		}
		if i == 0 {
			none = accuracy
		}
		fmt.Fprintf(table, "%-14s %-9s %8.2f%% %+8.2f  %7.2f%%\n", s, way, accuracy, accuracy-none, 100*float64(stats.Sent)/float64(stats.Full))
		if none < 95 || accuracy < none-0.5 {
			t.Errorf("%s: %.2f%% are right, %.2f%% without compression", s, accuracy, none)
		}
	}
	t.Logf("bytes are of what a ring without compression sends\n%s", table)
}

// distributed trains on so many workers, and returns how many percent of the test set are right.
func (g *golden) distributed(t *testing.T, s Spec, workers, fold int) (accuracy float64, stats Stats, way Way) {
	const batch, epochs = 48, 40
	var train, tested []int
	for i := range g.y {
		if i%5 == fold {
			tested = append(tested, i)
		} else {
			train = append(train, i)
		}
	}
	err := members(workers, func(group *collective.Group) error {
		random := rand.New(rand.NewPCG(29, 30)) // the same for all
		w := g.initial(random)
		r, err := NewReducer[float32](group, s, len(w))
		if err != nil {
			return err
		}
		d, sent := make([]float64, len(w)), make([]float32, len(w))
		rate := 0.2
		if s.Kind == KindDGC {
			rate *= 0.5 // its velocities sum up gradients, but begin anew at what is sent
		}
		for epoch := range epochs {
			order := slices.Clone(train)
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for len(order) >= batch {
				mine := batch / workers
				g.gradient(w, order[group.Rank()*mine:(group.Rank()+1)*mine], d)
				order = order[batch:]
				for i, v := range d {
					sent[i] = float32(v / float64(workers))
				}
				if err := r.AllReduce(context.Background(), sent); err != nil {
					return err
				}
				for i, v := range sent {
					w[i] -= rate * float64(epochs-epoch) / epochs * float64(v)
				}
			}
		}
		if group.Rank() == 0 {
			accuracy, stats, way = g.right(w, tested), r.Stats(), r.way
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return accuracy, stats, way
}

func (g *golden) initial(r *rand.Rand) []float64 {
	var w []float64
	for _, shape := range g.shapes() {
		if len(shape) == 1 {
			w = append(w, make([]float64, shape[0])...)
			continue
		}
		for range shape[0] * shape[1] {
			w = append(w, r.NormFloat64()*1.4/math.Sqrt(float64(shape[0])))
		}
	}
	return w
}

// right is how many percent of the samples are told right.
func (g *golden) right(w []float64, samples []int) float64 {
	h, z := make([]float64, g.hidden), make([]float64, g.classes)
	right := 0
	for _, i := range samples {
		g.outputs(w, i, h, z)
		if z[int(g.y[i])] == slices.Max(z) {
			right++
		}
	}
	return 100 * float64(right) / float64(len(samples))
}
