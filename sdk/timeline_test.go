package gray_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/traceevent"
	gray "github.com/gray-runtime/gray/sdk"
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
