// A job that has something of everything to show, and goes on until a file appears. It keeps
// so little that another one of it can run besides.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// hostile is what a name, an error or a line of a log may hold.
const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>` + "\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eright to left\u202c 'quoted' &amp;"

const invalid = "invalid \xff\xfe\xc0 end"

func waitFor(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func square(_ context.Context, n int) (int, error) {
	squared.Inc()
	x := float64(n)
	for range 200 << (n % 8) { // latencies that differ
		x = math.Sqrt(x*x + 1)
	}
	return n * n, nil
}
func table(_ context.Context, n int) ([]byte, error)  { return make([]byte, n), nil }
func length(_ context.Context, b []byte) (int, error) { return len(b), nil }
func add(_ context.Context, n int) (int, error)       { return n + 1, nil }
func fail(context.Context, int) (int, error)          { return 0, errors.New(hostile + invalid) }
func unicorn(_ context.Context, n int) (int, error)   { return n, nil }
func hold(ctx context.Context, dir string) (int, error) {
	fmt.Println("holding", hostile)
	return 1, waitFor(ctx, filepath.Join(dir, "go"))
}

// flaky fails the first time.
func flaky(_ context.Context, dir string) (int, error) {
	f, err := os.OpenFile(filepath.Join(dir, "tried"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 1, nil // it was tried
	}
	return 0, errors.Join(f.Close(), errors.New("not yet"))
}

// both makes a task of its own.
func both(ctx context.Context, n int) (int, error) { return gray.Get(ctx, adds.Remote(ctx, n)) }

var (
	squares  = gray.Task(square)
	tables   = gray.Task(table)
	lengths  = gray.Task(length)
	adds     = gray.Task(add)
	flakies  = gray.Task(flaky, gray.MaxRetries(2), gray.RetryIf(func(error) bool { return true }))
	boths    = gray.Task(both)
	fails    = gray.Task(fail)
	unicorns = gray.Task(unicorn, gray.Resource("unicorn", 1))
	holds    = gray.Task(hold, gray.NumCPUs(0.25), gray.Spread())
)

var squared = gray.NewCounter("show_squared_total", "Numbers that were squared.")

type Keeper struct{ n int }

func NewKeeper(_ context.Context, n int) (*Keeper, error)   { return &Keeper{n}, nil }
func (k *Keeper) Add(_ context.Context, n int) (int, error) { k.n += n; return k.n, nil }
func (*Keeper) Leave(context.Context, gray.None) (int, error) {
	fmt.Println("leaving")
	os.Exit(3)
	return 0, nil
}
func NewStillborn(context.Context, int) (*Keeper, error) {
	return nil, errors.New("not born: " + hostile)
}

var (
	keeper    = gray.Actor(NewKeeper, gray.NumCPUs(0))
	stillborn = gray.Actor(NewStillborn, gray.NumCPUs(0))
)

func main() {
	dir := flag.String("dir", ".", "where this says that it's ready, and the file go appears")
	n := flag.Int("squares", 200, "how many numbers it squares")
	flag.Parse()
	gray.Main(func(ctx context.Context) error { return show(ctx, *dir, *n) })
}

func show(ctx context.Context, dir string, n int) error {
	fmt.Println("plain line")
	fmt.Println(hostile)
	fmt.Println(invalid)
	fmt.Println(strings.Repeat("long ", 200_000))
	fmt.Println("after the long line")
	group, err := gray.CreateGroup(ctx, []gray.Bundle{{gray.NumCPUs(0.25)}, {gray.NumCPUs(0.25)}}, gray.StrictSpread, gray.Name("pair"))
	if err != nil {
		return err
	}
	if err := group.Ready(ctx); err != nil {
		return err
	}
	var refs []gray.Ref[int]
	for i := range n {
		refs = append(refs, squares.Remote(ctx, i))
	}
	if _, err := gray.GetAll(ctx, refs); err != nil {
		return err
	}
	large, err := gray.Put(ctx, make([]byte, 2_000_000))
	if err != nil {
		return err
	}
	made := tables.Remote(ctx, 1_000_000)
	if _, err := gray.Get(ctx, made); err != nil {
		return err
	}
	for node := range uint32(2) { // one of them has to fetch it
		if _, err := gray.Get(ctx, lengths.Options(gray.OnNode(node+1, false)).RemoteRef(ctx, made)); err != nil {
			return err
		}
	}
	for _, ref := range []gray.Ref[int]{flakies.Remote(ctx, dir), boths.Remote(ctx, 1)} {
		if _, err := gray.Get(ctx, ref); err != nil {
			return err
		}
	}
	report(ctx)
	if _, err := gray.Get(ctx, fails.Remote(ctx, 1)); err == nil {
		return errors.New("it didn't fail")
	}
	k := keeper.Options(gray.Name("keeper")).Remote(ctx, 7)
	odd := keeper.Options(gray.Name(hostile)).Remote(ctx, 8)
	for _, h := range []gray.Handle[Keeper]{k, odd} {
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Keeper).Add, 1)); err != nil {
			return err
		}
	}
	phoenix := keeper.Options(gray.Name("phoenix"), gray.MaxRestarts(1)).Remote(ctx, 9)
	if _, err := gray.Get(ctx, gray.Call(ctx, phoenix, (*Keeper).Leave, gray.None{})); err == nil {
		return errors.New("it stayed")
	}
	if _, err := gray.Get(ctx, gray.Call(ctx, phoenix, (*Keeper).Add, 1)); err != nil {
		return err
	}
	dead := stillborn.Options(gray.Name("stillborn")).Remote(ctx, 1)
	if _, err := gray.Get(ctx, gray.Call(ctx, dead, (*Keeper).Add, 1)); err == nil {
		return errors.New("it was born")
	}
	held := []gray.Ref[int]{holds.Remote(ctx, dir), holds.Remote(ctx, dir)}
	after := adds.RemoteRef(ctx, held[0])
	never := unicorns.Remote(ctx, 1)
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		return err
	}
	if err := waitFor(ctx, filepath.Join(dir, "go")); err != nil {
		return err
	}
	for _, ref := range []gray.Ref[[]byte]{large, made} { // kept until here
		if _, err := gray.Get(ctx, ref); err != nil {
			return err
		}
	}
	for _, h := range []gray.Handle[Keeper]{k, odd, phoenix} {
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*Keeper).Add, 1)); err != nil {
			return err
		}
	}
	_, err = gray.Get(ctx, after)
	_ = gray.Cancel(ctx, never)
	return err
}

// report tells of a training and of agents, as libraries of these do.
func report(ctx context.Context) {
	const steps = 200
	training := gray.NewRun(ctx, gray.RunInfo{Name: "digits", Kind: gray.Training, Steps: 2 * steps})
	agents := gray.NewRun(ctx, gray.RunInfo{Name: "walkers", Kind: gray.Rollouts})
	for i := range int64(steps) {
		x, noise := float64(i), math.Sin(float64(i)*12.9898)/2
		training.Report(ctx, i+1, map[string]float64{
			"loss": 2.3*math.Exp(-x/60) + 0.06 + 0.05*noise, "accuracy": 0.98 - 0.88*math.Exp(-x/50) + 0.01*noise, "learning_rate": 0.1 * (1 - x/(2*steps)),
			"samples_per_s": 52_000 + 4000*noise, "bytes_per_s": 3.1e8 + 2e7*noise, "staleness": float64((i * 7 % 13) % 5),
			"data_s": 0.011 + 0.002*noise, "compute_s": 0.062 + 0.006*noise, "communicate_s": 0.018 - 0.004*noise, "wait_s": 0.006 + 0.003*noise*noise,
		})
		agents.Report(ctx, i+1, map[string]float64{
			"return": 195 - 180*math.Exp(-x/45) + 9*noise, "episodes": 16 * (x + 1), "episode_length": 198 - 170*math.Exp(-x/45) + 6*noise,
			"loss": 0.7*math.Exp(-x/80) + 0.05 + 0.03*noise, "samples_per_s": 31_000 + 2000*noise, "staleness": float64(i % 4),
		})
	}
	agents.End(ctx)
}
