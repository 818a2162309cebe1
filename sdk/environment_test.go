package gray_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

type seenIn struct {
	Value, Inner string
	PID          int
}

// atStart is what the variable was when the process began: other libraries look then, too.
var atStart = os.Getenv("GREETING")

var (
	greeting = gray.Task(func(_ context.Context, name string) (seenIn, error) {
		return seenIn{Value: os.Getenv(name) + "/" + atStart, PID: os.Getpid()}, nil
	})
	greets = gray.Task(func(ctx context.Context, name string) (seenIn, error) {
		inner, err := gray.Get(ctx, greeting.Remote(ctx, name))
		return seenIn{Value: os.Getenv(name) + "/" + atStart, Inner: inner.Value, PID: os.Getpid()}, err
	}, gray.EnvVars(map[string]string{"GREETING": "hello"}))
)

// TestEnvironment: a task, what it submits and an actor find their variables from the start
// of their process, which no other environment shares; on both nodes.
func TestEnvironment(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	plain := get(ctx, t, greeting.Remote(ctx, "GREETING"))
	if plain.Value != "/" {
		t.Errorf("without: %q", plain.Value)
	}
	for _, node := range []uint32{1, 2} {
		on := gray.OnNode(node, false)
		got := get(ctx, t, greets.Options(on).Remote(ctx, "GREETING"))
		if got.Value != "hello/hello" || got.Inner != "hello/hello" || got.PID == plain.PID {
			t.Errorf("on n%d: %+v, after %+v", node, got, plain)
		}
		again := get(ctx, t, greets.Options(on, gray.EnvVars(map[string]string{"OTHER": "too"})).Remote(ctx, "OTHER"))
		if again.Value != "too/hello" || again.PID == got.PID {
			t.Errorf("on n%d: %+v, after %+v", node, again, got)
		}
	}
	pids := map[int]bool{}
	for range 20 {
		pids[get(ctx, t, greeting.Options(gray.EnvVars(map[string]string{"GREETING": "x"})).Remote(ctx, "GREETING")).PID] = true
	}
	if len(pids) > 2 {
		t.Errorf("%d processes for one environment", len(pids))
	}
	h := envCounters.Remote(ctx, gray.None{})
	if s := get(ctx, t, gray.Call(ctx, h, (*envCounter).Greeting, "GREETING")); s != "actor/actor" {
		t.Errorf("an actor sees %q", s)
	}
	if s := panicOf(func() { gray.EnvVars(map[string]string{"GRAY_NODE": "x"}) }); !strings.Contains(s, "environment_test.go") {
		t.Error(s)
	}
}

type envCounter struct{}

func (*envCounter) Greeting(_ context.Context, name string) (string, error) {
	return os.Getenv(name) + "/" + atStart, nil
}

var envCounters = gray.Actor(func(context.Context, gray.None) (*envCounter, error) { return &envCounter{}, nil },
	gray.EnvVars(map[string]string{"GREETING": "actor"}))

// TestBrokenEnvironment: workers that don't start in one environment fail what needs it alone.
func TestBrokenEnvironment(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	broken := square.Options(gray.EnvVars(map[string]string{"GREETING_BROKEN": "1"}))
	refs := []gray.Ref[int]{broken.Remote(ctx, 2), square.Remote(ctx, 3)}
	e := fails[*gray.WorkerCrashedError](ctx, t, refs[0])
	contains(t, e.Error(), "3 workers", "broken on purpose")
	if n := get(ctx, t, refs[1]); n != 9 {
		t.Error(n)
	}
}

func init() {
	if os.Getenv("GREETING_BROKEN") != "" {
		println("broken on purpose")
		os.Exit(7)
	}
}
