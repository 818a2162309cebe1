package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/recorder"
	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// Tasks whose records are looked at.
var (
	recFine  = gray.Task(func(_ context.Context, b []byte) ([]byte, error) { return b[:len(b)/2], spin(2 * time.Millisecond) })
	recFails = gray.Task(func(context.Context, string) (int, error) { return 0, errors.New("no\n<b>luck</b>") })
	recExits = gray.Task(func(ctx context.Context, _ gray.None) (int, error) {
		if err := spin(5 * time.Millisecond); err != nil || gray.Current(ctx).Attempt > 0 {
			return 1, err
		}
		os.Exit(3)
		return 0, nil
	}, gray.MaxRetries(1))
	recBusy = gray.Task(func(ctx context.Context, _ gray.None) (int, error) {
		if gray.Current(ctx).Attempt < 2 {
			return 0, errBusy
		}
		return 1, nil
	}, gray.RetryIf(func(err error) bool { return errors.Is(err, errBusy) }), gray.MaxRetries(3))
	recSlow = gray.Task(func(ctx context.Context, _ gray.None) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}, gray.Timeout(20*time.Millisecond))
	recWaits = gray.Task(func(ctx context.Context, dir string) (int, error) {
		if err := touch(filepath.Join(dir, "begun")); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	recItems = gray.Stream(func(_ context.Context, n int, yield func([]byte) bool) error {
		for range n {
			yield(make([]byte, 100))
		}
		return nil
	})
	// recParent submits a task and calls, and returns what was recorded of them.
	recParent = gray.Task(func(ctx context.Context, h gray.Handle[counter]) ([]recorder.Record, error) {
		ring := process.FromContext(ctx).Records()
		from := ring.Written()
		if _, err := gray.Get(ctx, recFine.Remote(ctx, make([]byte, 10))); err != nil {
			return nil, err
		}
		_, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 1))
		return recordsFrom(ring, from), err
	}, gray.NumCPUs(0))
	recCell   = gray.Actor(newRecCell, gray.Lightweight())
	recKeeper = gray.Actor(func(context.Context, string) (*recKept, error) { return &recKept{}, spin(time.Millisecond) })
)

// recKept is an actor that tells what its process has recorded.
type recKept struct{}

func (*recKept) Records(ctx context.Context, _ gray.None) ([]recorder.Record, error) {
	return recordsFrom(process.FromContext(ctx).Records(), 0), nil
}

type recLight struct{}

func newRecCell(_ context.Context, fail string) (*recLight, error) {
	if fail != "" {
		return nil, errors.New(fail)
	}
	return &recLight{}, nil
}

func (*recLight) Do(context.Context, gray.None) (int, error)   { return 1, nil }
func (*recLight) Fail(context.Context, gray.None) (int, error) { return 0, errors.New("no") }

// spin runs for a while.
func spin(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	return nil
}

func recordsFrom(ring *recorder.Ring, from uint64) (list []recorder.Record) {
	ring.Read(from, func(_ uint64, r *recorder.Record) bool { list = append(list, *r); return true })
	return list
}

// brief is what is the same of a record in every run.
func brief(r recorder.Record) string {
	began := "began"
	if r.Began < 0 {
		began = "never"
	}
	outcome := []string{"finished", "failed", "crashed", "cancelled"}[r.Outcome]
	if r.Outcome != recorder.Finished {
		outcome += " " + r.Error.String()
	}
	return fmt.Sprintf("%s %s #%d %s", []string{"task", "call", "light", "stream"}[r.Kind], outcome, r.Attempt, began)
}

// TestRecords: every attempt of every kind is recorded once, as it was.
func TestRecords(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 2})
	ctx := limited(c.ctx, t)
	ring := process.FromContext(ctx).Records()
	h := counters.Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	light := recCell.Remote(ctx, "")
	get(ctx, t, gray.Call(ctx, light, (*recLight).Do, gray.None{}))
	ignore := func(_ any, _ error) {}
	for _, s := range []struct {
		name string
		run  func(*testing.T)
		want []string
	}{
		{"finished", func(t *testing.T) { get(ctx, t, recFine.Remote(ctx, make([]byte, 1000))) }, []string{"task finished #0 began"}},
		{"failed", func(t *testing.T) { fails[*gray.TaskError](ctx, t, recFails.Remote(ctx, "")) }, []string{"task failed TASK #0 began"}},
		{"input failed", func(t *testing.T) {
			fails[*gray.TaskError](ctx, t, square.RemoteRef(ctx, recFails.Remote(ctx, "")))
		}, []string{"task failed TASK #0 began", "task failed TASK #0 never"}},
		{"crashed", func(t *testing.T) { get(ctx, t, recExits.Remote(ctx, gray.None{})) },
			[]string{"task crashed WORKER_CRASHED #0 began", "task finished #1 began"}},
		{"retried", func(t *testing.T) { get(ctx, t, recBusy.Remote(ctx, gray.None{})) },
			[]string{"task failed TASK #0 began", "task failed TASK #1 began", "task finished #2 began"}},
		{"over its time", func(t *testing.T) { ignore(gray.Get(ctx, recSlow.Remote(ctx, gray.None{}))) }, []string{"task cancelled DEADLINE #0 began"}},
		{"cancelled while it ran", func(t *testing.T) {
			dir := t.TempDir()
			ref := recWaits.Remote(ctx, dir)
			eventually(t, "begun", func() bool { return exists(filepath.Join(dir, "begun")) })
			if err := gray.Cancel(ctx, ref); err != nil {
				t.Fatal(err)
			}
		}, []string{"task cancelled CANCELLED #0 began"}},
		{"cancelled before it had its input", func(t *testing.T) {
			dir := t.TempDir()
			input := recWaits.Remote(ctx, dir)
			ref := square.RemoteRef(ctx, input)
			if err := errors.Join(gray.Cancel(ctx, ref), gray.Cancel(ctx, input)); err != nil {
				t.Fatal(err)
			}
		}, []string{"task cancelled CANCELLED #0 never", "task cancelled CANCELLED #0 *"}},
		{"stream", func(t *testing.T) {
			for range recItems.Remote(ctx, 7) {
			}
		}, []string{"stream finished #0 began"}},
		{"call", func(t *testing.T) {
			get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
			ignore(gray.Get(ctx, gray.Call(ctx, h, (*counter).Fail, "no")))
		}, []string{"call finished #0 began", "call failed TASK #0 began"}},
		{"call of one that dies", func(t *testing.T) {
			mortal := counters.Remote(ctx, countSpec{})
			fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, mortal, (*counter).Exit, 2))
			fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, mortal, (*counter).Add, 2))
		}, []string{"call crashed ACTOR_DIED #0 never", "call failed ACTOR_DIED #0 never"}},
		{"lightweight", func(t *testing.T) {
			get(ctx, t, gray.Call(ctx, light, (*recLight).Do, gray.None{}))
			ignore(gray.Get(ctx, gray.Call(ctx, light, (*recLight).Fail, gray.None{})))
		}, []string{"light finished #0 began", "light failed TASK #0 began"}},
		{"lightweight constructor", func(t *testing.T) {
			ignore(gray.Get(ctx, gray.Call(ctx, recCell.Remote(ctx, "no"), (*recLight).Do, gray.None{})))
		}, []string{"light failed TASK #0 began", "light failed TASK #0 never"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			from, counted := ring.Written(), endedOf(ring)
			before := time.Now()
			s.run(t)
			var got []string
			var list []recorder.Record
			eventually(t, s.name, func() bool { list = recordsFrom(ring, from); return len(list) >= len(s.want) })
			for i, r := range list {
				got = append(got, brief(r))
				if i < len(s.want) && s.want[i][len(s.want[i])-1] == '*' {
					got[i] = s.want[i]
				}
				checkMoments(t, r, before)
			}
			slices.Sort(got) // answers of one batch come in any order
			slices.Sort(s.want)
			if !slices.Equal(got, s.want) {
				t.Errorf("recorded %q, want %q", got, s.want)
			}
			if n := endedOf(ring) - counted; n != uint64(len(s.want)) {
				t.Errorf("%d attempts counted, want %d", n, len(s.want))
			}
		})
	}
}

func endedOf(ring *recorder.Ring) (n uint64) {
	for _, c := range ring.Counts() {
		for _, e := range c.Ended {
			n += e
		}
	}
	return n
}

// checkMoments looks whether a record's moments follow each other, since before.
func checkMoments(t *testing.T, r recorder.Record, before time.Time) {
	t.Helper()
	if r.Submitted < before.Add(-time.Second).UnixNano() || r.Submitted > time.Now().Add(time.Second).UnixNano() {
		t.Errorf("submitted at %v: %+v", time.Unix(0, r.Submitted), r)
	}
	last := time.Duration(0)
	for i, m := range []time.Duration{r.Ready, r.Pushed, r.Began, r.Ended, r.Done} {
		if m < 0 {
			continue
		}
		if m < last || m > time.Minute {
			t.Errorf("moment %d is %v after the one before, %v: %+v", i, m, last, r)
		}
		last = m
	}
	if r.Done < 0 || (r.Began >= 0) != (r.Ended >= 0) || r.Began >= 0 && (r.Ready < 0 || r.Pushed < 0 || r.Worker.IsZero()) {
		t.Errorf("%+v", r)
	}
}

// TestRecordOfTask looks at what a record says besides its outcome.
func TestRecordOfTask(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 2})
	ctx := limited(c.ctx, t)
	ring := process.FromContext(ctx).Records()
	h := counters.Remote(ctx, countSpec{})
	get(ctx, t, gray.Call(ctx, h, (*counter).Add, 1))
	from := ring.Written()
	get(ctx, t, recFine.Remote(ctx, make([]byte, 1000)))
	fine := recordsFrom(ring, from)[0]
	if run := fine.Run(); run < 2*time.Millisecond || fine.InBytes < 1000 || fine.InBytes > 1010 || fine.OutBytes < 500 || fine.OutBytes > 510 {
		t.Errorf("%v long, %d bytes in, %d out", run, fine.InBytes, fine.OutBytes)
	}
	if fine.Parent != 0 || fine.Actor != 0 || fine.Kind != recorder.Task {
		t.Errorf("%+v", fine)
	}
	from = ring.Written()
	children := get(ctx, t, recParent.Remote(ctx, h))
	parent := recordsFrom(ring, from)[0]
	owner := process.FromContext(ctx).ID()
	if len(children) != 2 {
		t.Fatalf("%d children: %+v", len(children), children)
	}
	for _, r := range children {
		if r.Parent != parent.Number || r.ParentOwner != owner {
			t.Errorf("a child of %v %d: %+v", r.ParentOwner, r.Parent, r)
		}
	}
	if call := children[1]; call.Kind != recorder.ActorCall || call.ActorOwner != owner || call.Actor == 0 || call.Function == children[0].Function {
		t.Errorf("%+v", call)
	}
	made := get(ctx, t, gray.Call(ctx, recKeeper.Remote(ctx, "input"), (*recKept).Records, gray.None{}))
	if len(made) != 1 {
		t.Fatalf("an actor's process has recorded %+v", made)
	}
	if r := made[0]; r.Actor == 0 || r.ActorOwner != owner || r.Run() < time.Millisecond || r.InBytes < 5 || r.Attempt != 0 || r.Number == 0 || r.Outcome != recorder.Finished {
		t.Errorf("a constructor: %+v", r)
	}
	from = ring.Written()
	for range recItems.Remote(ctx, 7) {
	}
	if r := recordsFrom(ring, from)[0]; r.OutBytes < 700 || r.OutBytes > 800 {
		t.Errorf("a stream of 7 items of 100 bytes: %d bytes", r.OutBytes)
	}
}
