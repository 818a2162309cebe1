package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/collective"
)

// AllReduced is one line: how long an allreduce of so many bytes takes, by the state that the machine is in (near: its two
// cores exchange lines fast, and have little memory bandwidth together; far: the reverse), and how often the peers take as long.
type AllReduced struct {
	Metric    string             `json:"metric"`
	Processes int                `json:"processes"`
	State     string             `json:"state"`
	Bytes     int                `json:"bytes"`
	Median    map[string]float64 `json:"us"`
	Runs      map[string]int     `json:"runs"`
	Private   map[string]float64 `json:"private_times_better"`
	Store     map[string]float64 `json:"store_times_better"`
}

var reducedSizes = []int{4 << 10, 64 << 10, 1 << 20, 16 << 20, 100 << 20}

// reduction is what a member measures.
type reduction struct {
	Group      string
	Rank, Size int
	Bytes      []int
	Seconds    float64 // a size
	Store      bool    // the arrays are Alloc's, and are written anew before each call, outside the time
	Algorithm  collective.Algorithm
	TCP        bool
}

// reduced is the median time in microseconds, by size.
type reduced struct{ Microseconds []float64 }

var reducer = gray.Task(func(ctx context.Context, r reduction) (reduced, error) {
	o := collective.Options{Name: r.Group, Rank: r.Rank, Size: r.Size}
	if r.TCP {
		o.Transport = collective.TCP
	}
	g, err := collective.Join(ctx, o)
	if err != nil {
		return reduced{}, err
	}
	defer g.Close()
	if err := g.Use(r.Algorithm); err != nil {
		return reduced{}, err
	}
	var out reduced
	for _, bytes := range r.Bytes {
		us, err := r.measure(ctx, g, bytes)
		if err != nil {
			return reduced{}, err
		}
		out.Microseconds = append(out.Microseconds, us)
	}
	return out, nil
}, gray.NumCPUs(0), gray.MaxRetries(0))

// measure times as the peers' scripts do: the median of batches of calls.
func (r reduction) measure(ctx context.Context, g *collective.Group, bytes int) (float64, error) {
	x := make([]float32, bytes/4)
	if r.Store {
		var err error
		if x, err = collective.Alloc[float32](ctx, g, bytes/4); err != nil {
			return 0, err
		}
	}
	fill := func(v float32) {
		for i := range x {
			x[i] = v
		}
	}
	call := func() error { return collective.AllReduce(ctx, g, x, collective.Sum) }
	fill(float32(g.Rank() + 1))
	if err := call(); err != nil {
		return 0, err
	}
	if want := float32(g.Size() * (g.Size() + 1) / 2); x[0] != want || x[len(x)-1] != want {
		return 0, fmt.Errorf("a sum is %v or %v, not %v", x[0], x[len(x)-1], want)
	}
	fill(0)
	// batch is how long a call takes, on average of so many.
	batch := func(calls int) (time.Duration, error) {
		var sum time.Duration
		if !r.Store {
			if err := collective.Barrier(ctx, g); err != nil {
				return 0, err
			}
			begun := time.Now()
			for range calls {
				if err := call(); err != nil {
					return 0, err
				}
			}
			return time.Since(begun) / time.Duration(calls), nil
		}
		for range calls {
			fill(0)
			if err := collective.Barrier(ctx, g); err != nil {
				return 0, err
			}
			begun := time.Now()
			if err := call(); err != nil {
				return 0, err
			}
			sum += time.Since(begun)
			if err := collective.Barrier(ctx, g); err != nil {
				return 0, err
			}
		}
		return sum / time.Duration(calls), nil
	}
	first, err := batch(3)
	if err != nil {
		return 0, err
	}
	one := []float64{first.Seconds()}
	if err := collective.AllReduce(ctx, g, one, collective.Max); err != nil {
		return 0, err
	}
	calls := min(5000, max(1, int(r.Seconds/10/max(one[0], 1e-7))))
	batches := min(15, max(5, int(r.Seconds/(one[0]*float64(calls)))))
	var us []float64
	for range batches {
		t, err := batch(calls)
		if err != nil {
			return 0, err
		}
		us = append(us, float64(t.Nanoseconds())/1e3)
	}
	return median(us), nil
}

// reducers runs one turn of gray's own members.
func reducers(ctx context.Context, r reduction) ([]float64, error) {
	var refs []gray.Ref[reduced]
	for rank := range r.Size {
		r.Rank = rank
		refs = append(refs, reducer.Remote(ctx, r))
	}
	all, err := gray.GetAll(ctx, refs)
	if err != nil {
		return nil, err
	}
	return all[0].Microseconds, nil
}

// benchAllReduce takes turns with Open MPI and gloo, where they are, as the peers' allreduce_paired.py does: each turn is
// labelled with the machine's state before and after it, and dropped if that changed.
func benchAllReduce(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "gray-allreduce")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	turns, err := b.reducePeers(ctx, dir)
	if err != nil {
		return err
	}
	for _, processes := range []int{2, 4} {
		if err := b.reduceInTurn(ctx, dir, processes, turns); err != nil {
			return fmt.Errorf("%d processes: %w", processes, err)
		}
	}
	return nil
}

// reduceTurn measures one implementation: microseconds by size.
type reduceTurn struct {
	name  string
	every int // turns
	run   func(ctx context.Context, processes int) ([]float64, error)
}

const reduceSeconds = 0.25

// reducePeers prepares what takes turns.
func (b *bench) reducePeers(ctx context.Context, dir string) ([]reduceTurn, error) {
	turns := []reduceTurn{
		{"gray", 1, func(ctx context.Context, n int) ([]float64, error) {
			return reducers(ctx, reduction{Group: fmt.Sprint("private", n), Size: n, Bytes: reducedSizes, Seconds: reduceSeconds})
		}},
		{"gray-store", 1, func(ctx context.Context, n int) ([]float64, error) {
			return reducers(ctx, reduction{Group: fmt.Sprint("store", n), Size: n, Bytes: reducedSizes, Seconds: reduceSeconds, Store: true})
		}},
	}
	stream := filepath.Join(dir, "stream")
	if err := command(ctx, "gcc", "-O3", "-march=native", "-fopenmp", "-o", stream, filepath.Join(b.train.scripts, "stream.c")); err != nil {
		return nil, fmt.Errorf("build what tells the machine's state: %w", err)
	}
	if _, err := exec.LookPath("mpicc"); err == nil {
		mpi := filepath.Join(dir, "mpi")
		if err := command(ctx, "mpicc", "-O3", "-o", mpi, filepath.Join(b.train.scripts, "allreduce_mpi.c")); err != nil {
			return nil, fmt.Errorf("build MPI's side: %w", err)
		}
		turns = append(turns, reduceTurn{"mpi", 1, func(ctx context.Context, n int) ([]float64, error) {
			args := []string{"--allow-run-as-root", "--oversubscribe", "--mca", "pml", "ob1", "--mca", "btl", "vader,self",
				"-np", strconv.Itoa(n), mpi, fmt.Sprint(reduceSeconds)}
			for _, s := range reducedSizes {
				args = append(args, strconv.Itoa(s))
			}
			return peerTimes(ctx, "mpirun", args...)
		}})
	}
	if b.train.python != "" {
		turns = append(turns, reduceTurn{"gloo", 4, func(ctx context.Context, n int) ([]float64, error) {
			sizes := ""
			for _, s := range reducedSizes {
				sizes += "," + strconv.Itoa(s)
			}
			return peerTimes(ctx, b.train.python, filepath.Join(b.train.scripts, "allreduce_gloo.py"), "--procs", strconv.Itoa(n),
				"--budget", fmt.Sprint(reduceSeconds), "--sizes", sizes[1:])
		}})
	}
	return turns, nil
}

// reduceCell is what a median is of.
type reduceCell struct {
	state, name string
	bytes       int
}

func (b *bench) reduceInTurn(ctx context.Context, dir string, processes int, turns []reduceTurn) error {
	got := map[reduceCell][]float64{}
	before, err := machineState(ctx, dir)
	if err != nil {
		return err
	}
	for turn := range b.reps(8) {
		for _, t := range turns {
			if turn%t.every != 0 {
				continue
			}
			us, err := t.run(ctx, processes)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			after, err := machineState(ctx, dir)
			if err != nil {
				return err
			}
			if before == after && after != "unclear" {
				for i, v := range us {
					c := reduceCell{after, t.name, reducedSizes[i]}
					got[c] = append(got[c], v)
				}
			}
			before = after
		}
	}
	for _, state := range []string{"near", "far"} {
		for _, bytes := range reducedSizes {
			if line := reducedLine(processes, state, bytes, got); len(line.Median) > 0 {
				_ = b.out.Encode(line)
			}
		}
	}
	return nil
}

func reducedLine(processes int, state string, bytes int, got map[reduceCell][]float64) AllReduced {
	line := AllReduced{"allreduce", processes, state, bytes, map[string]float64{}, map[string]int{}, map[string]float64{}, map[string]float64{}}
	for c, us := range got {
		if c.state == state && c.bytes == bytes {
			line.Median[c.name], line.Runs[c.name] = median(us), len(us)
		}
	}
	for _, peer := range []string{"mpi", "gloo"} {
		for name, times := range map[string]map[string]float64{"gray": line.Private, "gray-store": line.Store} {
			if p, g := line.Median[peer], line.Median[name]; p > 0 && g > 0 {
				times[peer] = p / g
			}
		}
	}
	return line
}

// machineState is near, far, or unclear: see AllReduced.
func machineState(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "stream"), "48").Output()
	if err != nil {
		return "", fmt.Errorf("tell the machine's state: %w", err)
	}
	var said struct {
		Results []struct {
			Copy float64 `json:"copy_loop"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return "", fmt.Errorf("tell the machine's state: %w", err)
	}
	if len(said.Results) < 2 {
		return "near", nil // one CPU
	}
	switch q := said.Results[1].Copy / said.Results[0].Copy; {
	case q < 1.35:
		return "near", nil
	case q > 1.6:
		return "far", nil
	}
	return "unclear", nil
}

// peerTimes runs a peer's script and reads the times that it prints.
func peerTimes(ctx context.Context, name string, args ...string) ([]float64, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, withStderr(err))
	}
	var said struct {
		Results []struct {
			Bytes int     `json:"bytes"`
			US    float64 `json:"us"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	slices.SortFunc(said.Results, func(a, b struct {
		Bytes int     `json:"bytes"`
		US    float64 `json:"us"`
	}) int {
		return cmp.Compare(a.Bytes, b.Bytes)
	})
	var us []float64
	for _, r := range said.Results {
		us = append(us, r.US)
	}
	return us, nil
}

func command(ctx context.Context, name string, args ...string) error {
	_, err := exec.CommandContext(ctx, name, args...).Output()
	return withStderr(err)
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
