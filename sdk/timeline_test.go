package gray_test

import (
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/traceevent"
	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// spell is what a task says of its own time.
type spell struct {
	Task string
	Took time.Duration
}

var (
	timed = gray.Task(func(ctx context.Context, d time.Duration) (spell, error) {
		began := time.Now()
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return spell{gray.Current(ctx).Task, time.Since(began)}, nil
	})
	timedWithin = gray.Task(func(ctx context.Context, d time.Duration) ([]spell, error) {
		began := time.Now()
		inner, err := gray.Get(ctx, timed.Remote(ctx, d))
		return []spell{{gray.Current(ctx).Task, time.Since(began)}, inner}, err
	})
	largeValue = gray.Task(func(context.Context, int) ([]byte, error) { return make([]byte, 1<<20), nil })
	lengthOf   = gray.Task(func(_ context.Context, b []byte) (int, error) { return len(b), nil })
)

// TestTraceOfAJob: the trace of a job on two nodes is one by the format, and its runs are
// those that the tasks themselves have measured.
func TestTraceOfAJob(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 4})
	ctx := limited(c.ctx, t)
	began := time.Now()
	var own []spell
	var nested []gray.Ref[[]spell]
	for range 8 {
		nested = append(nested, timedWithin.Remote(ctx, 5*time.Millisecond))
	}
	for _, ref := range nested {
		spells, err := gray.Get(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, spells...)
	}
	large := largeValue.Options(gray.OnNode(1, false)).Remote(ctx, 0)
	if n, err := gray.Get(ctx, lengthOf.Options(gray.OnNode(2, false)).RemoteRef(ctx, large)); err != nil || n != 1<<20 {
		t.Fatal(n, err)
	}
	all := time.Since(began)

	var b strings.Builder
	got, err := c.api.Trace(ctx, gray.Current(ctx).Job, 0, &b)
	if err != nil || got.Dropped != 0 || got.Warning != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	trace, err := traceevent.Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]float64{} // µs by task
	for _, e := range trace.Of("X", "run") {
		if e.Args["state"] == "FINISHED" {
			id, _ := e.Args["task"].(string)
			runs[id] += *e.Dur
		}
	}
	if len(runs) != len(own)+2 {
		t.Errorf("%d tasks have run, want %d", len(runs), len(own)+2)
	}
	sum, err := c.api.SummarizeTasks(ctx, api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counted, traced := 0.0, 0.0
	for _, f := range sum.Result.ByNode.Cluster.Summary {
		counted += f.Run.SumMs * 1000
	}
	for _, run := range runs {
		traced += run
	}
	if math.Abs(counted-traced) > float64(len(runs)) { // a trace's moments are µs
		t.Errorf("runs are %v µs in the trace, and counted as %v", traced, counted)
	}
	micros := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	for _, s := range own {
		if run := runs[s.Task]; run < micros(s.Took)-1 || run > micros(all) {
			t.Errorf("task %s ran for %v µs, and says %v", s.Task, run, s.Took)
		}
	}
	if n := len(trace.Of("f", "call")); n != len(own)+2 {
		t.Errorf("%d arrows to %d runs", n, len(own)+2)
	}
	waits := map[string]int{}
	for _, e := range trace.Of("b", "task") {
		waits[e.Name]++
	}
	for _, cause := range []string{"wait: inputs", "wait: place", "wait: line", "wait: result"} {
		if waits[cause] == 0 {
			t.Errorf("nothing has waited for %s: %v", cause, waits)
		}
	}
	if pulled := trace.Of("X", "transfer"); len(pulled) != 1 || pulled[0].Args["from"] != "n1" || pulled[0].Args["to"] != "n2" {
		t.Errorf("%d transfers", len(pulled))
	}
	workers := 0
	for _, e := range trace.Of("M", "") {
		if name, _ := e.Args["name"].(string); strings.Contains(name, " worker pid ") {
			workers++
		}
	}
	if workers < 2 {
		t.Errorf("%d workers have rows", workers)
	}
}

var (
	// traceWaits waits to be ended with its node.
	traceWaits = gray.Task(func(ctx context.Context, file string) (int, error) {
		if err := touch(file); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}, gray.MaxRetries(0))
	traceUnborn = gray.Actor(func(context.Context, gray.None) (*recKept, error) {
		os.Exit(3)
		return nil, nil
	})
)

// TestTraceOfWhatDied: attempts that ended with their process or their node are in the trace.
func TestTraceOfWhatDied(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	me := process.FromContext(ctx).ID().Node
	here, there := gray.OnNode(uint32(me), false), gray.OnNode(uint32(3-me), false)
	get(ctx, t, recExits.Options(here).Remote(ctx, gray.None{}))
	unborn := traceUnborn.Options(here).Remote(ctx, gray.None{})
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, unborn, (*recKept).Records, gray.None{}))
	file := filepath.Join(t.TempDir(), "begun")
	waits := traceWaits.Options(there).Remote(ctx, file)
	eventually(t, "it runs", func() bool { return exists(file) })
	c.killNode(t, uint32(3-me))
	if _, err := gray.Get(ctx, waits); err == nil {
		t.Fatal("it has ended well")
	}
	var b strings.Builder
	if _, err := c.api.Trace(ctx, gray.Current(ctx).Job, 0, &b); err != nil {
		t.Fatal(err)
	}
	trace, err := traceevent.Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	crashed := map[string][]string{} // errors by event
	for _, e := range slices.Concat(trace.Of("X", "run"), trace.Of("b", "task")) {
		if kind, _ := e.Args["error"].(string); e.Args["state"] == "CRASHED" {
			crashed[e.Phase] = append(crashed[e.Phase], kind)
		}
	}
	want := map[string][]string{
		"X": {"WORKER_CRASHED", "WORKER_CRASHED"}, // the task's first attempt, and the constructor
		"b": {"NODE_DIED"},                        // nobody knows whether it had begun
	}
	if !maps.EqualFunc(crashed, want, slices.Equal) {
		t.Errorf("crashed %v, want %v", crashed, want)
	}
}
