package gray_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

// inFolder is what a task sees of the folder that it's in.
type inFolder struct {
	Dir, Content, Inner, Sum string
	PID                      int
}

func readFile(ctx context.Context, name string) (inFolder, error) {
	dir, err := os.Getwd()
	if err != nil {
		return inFolder{}, err
	}
	b, err := os.ReadFile(name)
	return inFolder{Dir: dir, Content: string(b), PID: os.Getpid(), Sum: gray.Current(ctx).Environment}, err
}

var (
	readsIn = gray.Task(readFile)
	nestsIn = gray.Task(func(ctx context.Context, dir string) (inFolder, error) {
		out, err := readFile(ctx, "file")
		if err != nil {
			return out, err
		}
		inner, err := gray.Get(ctx, readsIn.Options(gray.WorkingDir(dir)).Remote(ctx, "sub/file"))
		out.Inner = inner.Content
		return out, err
	})
	readers = gray.Actor(func(context.Context, gray.None) (*folderReader, error) { return &folderReader{}, nil })
)

type folderReader struct{}

func (*folderReader) Look(ctx context.Context, name string) (inFolder, error) {
	return readFile(ctx, name)
}

func folder(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	err := os.Mkdir(filepath.Join(dir, "sub"), 0o700)
	for _, name := range []string{"file", "sub/file"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(content+" "+name), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestWorkingDir: a task, what it submits with the same or no folder, and an actor are in a copy of the
// folder, on both nodes; the same contents share a process, others don't.
func TestWorkingDir(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	dir := folder(t, "first")
	in, same := gray.WorkingDir(dir), gray.WorkingDir(folder(t, "first"))
	first := get(ctx, t, nestsIn.Options(in, gray.OnNode(2, false)).Remote(ctx, dir)) // before it's removed
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err) // it was read: nobody looks at it again
	}
	for _, node := range []uint32{1, 2} {
		on := gray.OnNode(node, false)
		got := get(ctx, t, nestsIn.Options(in, on).Remote(ctx, dir))
		if got.Content != "first file" || got.Inner != "first sub/file" || got.Dir == dir || got.Sum == "" {
			t.Errorf("on n%d: %+v", node, got)
		}
		again := get(ctx, t, readsIn.Options(same, on).Remote(ctx, "file"))
		if again.Dir != got.Dir || again.Sum != got.Sum {
			t.Errorf("on n%d, the same contents: %+v, after %+v", node, again, got)
		}
		other := get(ctx, t, readsIn.Options(gray.WorkingDir(folder(t, "other")), on).Remote(ctx, "file"))
		if other.Content != "other file" || other.PID == got.PID {
			t.Errorf("on n%d, others: %+v", node, other)
		}
		h := readers.Options(in, on).Remote(ctx, gray.None{})
		if got := get(ctx, t, gray.Call(ctx, h, (*folderReader).Look, "file")); got.Content != "first file" {
			t.Errorf("an actor on n%d: %+v", node, got)
		}
	}
	if first.Content != "first file" {
		t.Errorf("%+v", first)
	}
}

// TestNoWorkingDir: what is wrong with a folder fails what was to run in it, and says what.
func TestNoWorkingDir(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	dir := folder(t, "x")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{dir: `"out" is a link that leads out`, filepath.Join(dir, "missing"): "no such file"} {
		_, err := gray.Get(ctx, readsIn.Options(gray.WorkingDir(in)).Remote(ctx, "file"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), in) {
			t.Errorf("%s: %v", in, err)
		}
		h := readers.Options(gray.WorkingDir(in)).Remote(ctx, gray.None{})
		if _, err := gray.Get(ctx, gray.Call(ctx, h, (*folderReader).Look, "file")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an actor in %s: %v", in, err)
		}
	}
	if s := panicOf(func() { gray.WorkingDir("") }); !strings.Contains(s, "environment_test.go") {
		t.Error(s)
	}
}

func init() {
	if os.Getenv("GREETING_BROKEN") != "" {
		println("broken on purpose")
		os.Exit(7)
	}
}
