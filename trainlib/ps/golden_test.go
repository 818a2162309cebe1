package ps

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// number is written as a string, in the form that reads back to the same float64.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

// golden is the breast cancer task, whose training by torch is known.
type golden struct {
	rows [][]float64 // target, features
	init struct {
		Batch  int
		Params [][]number
		Order  [][]int
	}
	runs struct {
		Runs map[string]struct {
			Losses        []number
			FinalFullLoss number `json:"final_full_loss"`
		}
		Variants map[string][]number `json:"variants_lr0.05"`
	}
}

func readGolden(t testing.TB) *golden {
	t.Helper()
	g := &golden{}
	unpack(t, "../nn/testdata/golden/breast_cancer.init.json.gz", func(z *gzip.Reader) error { return json.NewDecoder(z).Decode(&g.init) })
	unpack(t, "../nn/testdata/golden/breast_cancer.runs.json.gz", func(z *gzip.Reader) error { return json.NewDecoder(z).Decode(&g.runs) })
	unpack(t, "../datasets/breast_cancer.csv.gz", func(z *gzip.Reader) error {
		for lines := bufio.NewScanner(z); lines.Scan(); {
			var row []float64
			for text := range strings.SplitSeq(lines.Text(), ",") {
				v, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return err
				}
				row = append(row, v)
			}
			g.rows = append(g.rows, row)
		}
		return nil
	})
	return g
}

func unpack(t testing.TB, path string, read func(*gzip.Reader) error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = read(z)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (g *golden) network(t testing.TB) *nn.Network[float64] {
	t.Helper()
	n, err := nn.New[float64](nn.Config{Input: []int{30}, Layers: []nn.Layer{nn.Dense(10, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range n.Params() {
		for k := range p.Value {
			p.Value[k] = float64(g.init.Params[i][k])
		}
	}
	return n
}

// batches are the rows of all steps.
func (g *golden) batches() [][]int {
	var all [][]int
	for _, order := range g.init.Order {
		all = slices.AppendSeq(all, slices.Chunk(order, g.init.Batch))
	}
	return all
}

func (g *golden) batch(ids []int) model.Batch[float64] {
	b := model.Batch[float64]{XShape: []int{30}}
	for _, i := range ids {
		b.IDs, b.X, b.Y = append(b.IDs, int64(i)), append(b.X, g.rows[i][1:]...), append(b.Y, g.rows[i][0])
	}
	return b
}

// learner is a worker with its model.
type learner struct {
	*Worker[float64]
	*nn.Network[float64]
}

// learners join as workers 0 to n-1.
func learners(ctx context.Context, t testing.TB, g *golden, of Group, n int, opts ...JoinOption[float64]) []learner {
	all := make([]learner, n)
	for i := range all {
		all[i] = learner{joined(ctx, t, of, i, opts...), g.network(t)}
		if err := all[i].Worker.Bind(all[i].Network); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func near(t testing.TB, step int, got float64, want number) {
	t.Helper()
	if math.Abs(got-float64(want)) > 1e-9*math.Abs(float64(want)) {
		t.Fatalf("step %d: a loss of %v, want %v", step, got, want)
	}
}

// TestDelays is a server in asynchronous mode whose workers take turns: with n of them, gradients come of values that
// are n-1 updates old.
func TestDelays(t *testing.T) {
	ctx, golden := cluster(t), readGolden(t)
	for name, delay := range map[string]int{"sgd": 0, "sgd_delay1": 1, "sgd_delay3": 3} {
		t.Run(name, func(t *testing.T) {
			g := startOf(ctx, t, Config{Optimizer: optim.SGD(0.05), Mode: Asynchronous(), Servers: 2}, golden.network(t).Params())
			all, want := learners(ctx, t, golden, g, delay+1), golden.runs.Variants[name]
			if delay == 0 {
				want = golden.runs.Runs[name].Losses
			}
			if len(want) != 180 {
				t.Fatalf("%d losses", len(want))
			}
			for i, ids := range golden.batches() {
				l := all[i%len(all)]
				loss, err := l.Gradient(ctx, golden.batch(ids), nil)
				if err != nil {
					t.Fatal(err)
				}
				near(t, i, loss, want[i])
				step, err := l.PushPull(ctx, len(ids))
				if err != nil {
					t.Fatal(err)
				}
				if step.Staleness != int64(min(i, delay)) {
					t.Fatalf("step %d: staleness %d", i, step.Staleness)
				}
			}
		})
	}
}

// TestSynchronousIsOneWorker: workers that each take an uneven part of a batch learn as one that takes it all. With more than one
// server, by calls as in memory, stale by 0 or synchronous, their values are the same to the bit.
func TestSynchronousIsOneWorker(t *testing.T) {
	ctx, golden := cluster(t), readGolden(t)
	adamw := optim.AdamW(0.001, 0.01)
	for name, spec := range map[string]optim.Spec{"adam": optim.Adam(0.001), "adamw": adamw, "momentum": optim.Momentum(0.02, 0.9), "adagrad": optim.Adagrad(0.01)} {
		if testing.Short() && name != "adam" {
			continue
		}
		for workers := 1; workers <= 4; workers++ {
			var former []float64
			for _, way := range []struct {
				mode Mode
				c    Config
				opts []JoinOption[float64]
			}{
				{Synchronous(), Config{}, nil},
				{Stale(0), Config{Servers: 3}, nil},
				{Stale(0), Config{Servers: 2, Replicas: 1}, []JoinOption[float64]{By(plain64)}},
			} {
				way.c.Name, way.c.Mode, way.c.Optimizer = t.Name(), way.mode, spec
				g, err := Start(ctx, way.c, golden.network(t).Params())
				if err != nil {
					t.Fatal(err)
				}
				values := golden.together(ctx, t, g, workers, golden.runs.Runs[name].Losses, way.opts)
				if former != nil && !slices.Equal(former, values) {
					t.Errorf("%s, %d workers, %+v: other values than before", name, workers, way.c)
				}
				former = values
				if err := g.Close(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// together trains synchronously, compares each step's loss, and returns the values at the end.
func (g *golden) together(ctx context.Context, t *testing.T, of Group, workers int, want []number, opts []JoinOption[float64]) []float64 {
	var all []learner
	for i := range workers {
		w, err := Join(ctx, of, i, opts...)
		if err != nil {
			t.Fatal(err)
		}
		l := learner{w, g.network(t)}
		if err := w.Bind(l.Network); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	losses := make([]float64, workers)
	for i, ids := range g.batches() {
		var step sync.WaitGroup
		for k, l := range all {
			step.Go(func() {
				// Shares of 1, 2, 3… parts.
				whole := workers * (workers + 1) / 2
				part := ids[len(ids)*(k*(k+1)/2)/whole : len(ids)*((k+1)*(k+2)/2)/whole]
				loss, err := l.Gradient(ctx, g.batch(part), nil)
				if err == nil {
					_, err = l.PushPull(ctx, len(part))
				}
				if err != nil {
					t.Error(err)
				}
				losses[k] = loss * float64(len(part)) / float64(len(ids))
			})
		}
		step.Wait()
		loss := 0.0
		for _, l := range losses {
			loss += l
		}
		near(t, i, loss, want[i])
	}
	values := slices.Clone(all[0].value)
	for _, l := range all {
		if !slices.Equal(values, l.value) {
			t.Errorf("worker %d has other values than worker 0", l.number)
		}
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	return values
}

// TestAsynchronousConverges: workers of their own pace need at most 1.2 times as many steps as one worker to come to
// the loss that is known of the end.
func TestAsynchronousConverges(t *testing.T) {
	ctx, golden := cluster(t), readGolden(t)
	for name, spec := range map[string]optim.Spec{"sgd": optim.SGD(0.05), "adam": optim.Adam(0.001)} {
		for _, mode := range []Mode{Asynchronous(), Stale(3)} {
			const workers = 3
			g, err := Start(ctx, Config{Name: t.Name(), Optimizer: spec, Mode: mode}, golden.network(t).Params())
			if err != nil {
				t.Fatal(err)
			}
			batches := golden.batches()
			more := len(batches) * 12 / 10
			next := make(chan []int, more)
			for i := range more {
				next <- batches[i%len(batches)]
			}
			close(next)
			var running sync.WaitGroup
			for _, l := range learners(ctx, t, golden, g, workers) {
				running.Go(func() {
					// Who has no more work leaves, or others would wait for it.
					defer func() {
						if err := l.Close(ctx); err != nil {
							t.Error(err)
						}
					}()
					for ids := range next {
						_, err := l.Gradient(ctx, golden.batch(ids), nil)
						if err == nil {
							_, err = l.PushPull(ctx, len(ids))
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			l := learners(ctx, t, golden, g, 1)[0]
			all := make([]int, len(golden.rows))
			for i := range all {
				all[i] = i
			}
			_, loss, err := l.Predict(ctx, golden.batch(all))
			if err != nil {
				t.Fatal(err)
			}
			status, err := g.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			want := float64(golden.runs.Runs[name].FinalFullLoss)
			t.Logf("%s, bound %d: a loss of %v, one worker's is %v; staleness %v", name, mode.Bound, loss, want, status[0].Staleness.Counts[:8])
			if loss > want*1.0000001 {
				t.Errorf("%s, bound %d: a loss of %v after %d steps, want %v", name, mode.Bound, loss, more, want)
			}
			if err := l.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := g.Close(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}
