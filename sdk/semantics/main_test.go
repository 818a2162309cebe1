package semantics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/pki"
	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

const (
	rowLimit    = 30 * time.Second // for a row, which should take nearly nothing of it
	startLimit  = 30 * time.Second
	storeBytes  = 128 << 20
	large       = 1 << 20       // bytes of what lies in a store
	unavailable = "unobtainium" // a resource that no node has
	pollPeriod  = 2 * time.Millisecond
	settled     = 20 // polls in a row
)

func TestMain(m *testing.M) {
	gray.TakeRole()
	if run, ok := programs[os.Getenv(programVariable)]; ok {
		gray.Main(run)
	}
	graytest.Main(closing{m})
}

type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	for _, s := range []*shared{&one, &pair} {
		if err := s.close(); err != nil {
			fmt.Fprintln(os.Stderr, "end a cluster:", err)
			code = 1
		}
	}
	return code
}

// shared is a cluster that rows leave as they found it, started by the first of them.
type shared struct {
	options embed.Options
	start   sync.Once
	err     error
	*embed.Cluster
	api     *api.Client
	session *gray.Session
	ctx     context.Context
	stop    context.CancelFunc
}

var (
	// one is a node with 2 CPUs, like the Ray of semantics_ray.py.
	one = shared{options: embed.Options{
		CPUs: 2, StoreBytes: storeBytes, Resources: map[string]float64{"slot": 1, "GPU": 2}, Labels: map[string]string{"zone": "east"},
	}}
	// pair is two such nodes, the driver on the first.
	pair = shared{options: embed.Options{Nodes: 2, CPUs: 2, StoreBytes: storeBytes}}
)

func (s *shared) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	e, err := embed.Start(ctx, s.options)
	if err != nil {
		return err
	}
	s.Cluster = e
	token, err := pki.ParseToken(e.Token())
	if err == nil {
		s.api, err = api.NewClient(e.Address(), token)
	}
	if err == nil {
		s.session, err = gray.Connect(ctx, "unix:"+e.Sockets()[0])
	}
	if err == nil {
		s.ctx, s.stop = s.session.Context(context.Background())
	}
	return err
}

func (s *shared) close() error {
	if s.Cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	var err error
	if s.session != nil {
		s.stop()
		err = s.session.Close()
	}
	if s.api != nil {
		s.api.Close()
	}
	return errors.Join(err, s.Cluster.Close(ctx))
}

// on returns the driver's context, bounded, in a cluster.
func on(t testing.TB, s *shared) context.Context {
	t.Helper()
	s.start.Do(func() { s.err = s.open() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, rowLimit)
	t.Cleanup(cancel)
	return ctx
}

// poll asks until the answer is yes, or ctx ends.
func poll(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func until(ctx context.Context, t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !poll(ctx, ok) {
		t.Fatal("never: " + what)
	}
}

// mark counts one more of something, seen by all processes; marks tells how many.
func mark(dir, name string) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return // its test is over
	}
	_, _ = f.Write([]byte{'x'})
	_ = f.Close()
}

func marks(dir, name string) int {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	return int(info.Size())
}

func marked(ctx context.Context, t testing.TB, dir, name string, n int) {
	t.Helper()
	until(ctx, t, fmt.Sprintf("%d of %q", n, name), func() bool { return marks(dir, name) >= n })
}

// passes waits until a folder has the mark "go".
func passes(ctx context.Context, dir string) error {
	if !poll(ctx, func() bool { return marks(dir, "go") > 0 }) {
		return context.Cause(ctx)
	}
	return nil
}

func get[T any](ctx context.Context, t testing.TB, r gray.Ref[T]) T {
	t.Helper()
	v, err := gray.Get(ctx, r)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return v
}

// fails returns the error of r, which must have one, as an E.
func fails[E error, T any](ctx context.Context, t testing.TB, r gray.Ref[T]) E {
	t.Helper()
	v, err := gray.Get(ctx, r)
	var as E
	if !errors.As(err, &as) {
		t.Fatalf("want a %T, got %.200s and %T: %v", as, fmt.Sprint(v), err, err)
	}
	return as
}

// is wants r to fail with an error that is target.
func is[T any](ctx context.Context, t testing.TB, r gray.Ref[T], target error) {
	t.Helper()
	if v, err := gray.Get(ctx, r); !errors.Is(err, target) {
		t.Fatalf("want %v, got %.200s and %v", target, fmt.Sprint(v), err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q lacks %q", text, p)
		}
	}
}

func cancel[T any](ctx context.Context, t testing.TB, r gray.Ref[T]) {
	t.Helper()
	if err := gray.Cancel(ctx, r); err != nil {
		t.Fatal(err)
	}
}

func put[T any](ctx context.Context, t testing.TB, v T, opts ...gray.PutOption) gray.Ref[T] {
	t.Helper()
	r, err := gray.Put(ctx, v, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func complete[T any](ctx context.Context, t testing.TB, r gray.Ref[T]) bool {
	t.Helper()
	ready, _, err := gray.Wait(ctx, []gray.Ref[T]{r}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(ready) == 1
}

// soon is a context that ends before anything that has to wait can have come.
func soon(ctx context.Context, t testing.TB) context.Context {
	t.Helper()
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	t.Cleanup(cancel)
	return short
}

// alive reports whether a process runs; a zombie doesn't.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func shoot(ctx context.Context, t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, "the process ends", func() bool { return !alive(pid) })
}

// stored lists the objects of at least a size in stores.
func (s *shared) stored(ctx context.Context, t testing.TB, size int64) (ids []string) {
	t.Helper()
	list, err := s.api.Objects(ctx, api.ListOptions{Detail: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Result {
		if o.ObjectSize >= size {
			ids = append(ids, o.ObjectID)
		}
	}
	return ids
}

// freed waits until no object of at least a size is left in a store.
func (s *shared) freed(ctx context.Context, t testing.TB, size int64) {
	t.Helper()
	runtime.GC()
	until(ctx, t, "its objects are freed", func() bool { return len(s.stored(ctx, t, size)) == 0 })
}

// free waits until all of a resource is free again on all living nodes: seen so a
// while, as the head hears of each change some 20 ms later.
func (s *shared) free(ctx context.Context, t testing.TB, resource string) {
	t.Helper()
	seen := 0
	until(ctx, t, "all "+resource+" are free", func() bool {
		seen++
		list, err := s.api.Nodes(ctx, api.ListOptions{})
		if err != nil {
			return false
		}
		for _, n := range list.Result {
			if n.State == "ALIVE" && n.ResourcesAvailable[resource] != n.ResourcesTotal[resource] {
				seen = 0
			}
		}
		return seen > settled
	})
}

// busy fills all CPUs of the cluster one until its folder has the mark "go".
func busy(ctx context.Context, t testing.TB) (dir string, r gray.Ref[int]) {
	t.Helper()
	dir = t.TempDir()
	r = gate.Options(gray.NumCPUs(2)).Remote(ctx, dir)
	marked(ctx, t, dir, "begun", 1)
	return dir, r
}

var adding sync.Mutex

// victim is a node that joined for one row, which kills it.
type victim struct {
	number uint32
	index  int
	killed bool
}

func (v *victim) kill() {
	if !v.killed {
		v.killed = true
		pair.KillNode(v.index)
	}
}

// join adds a node to pair.
func join(ctx context.Context, t testing.TB) *victim {
	t.Helper()
	adding.Lock()
	defer adding.Unlock()
	if _, err := pair.AddNode(ctx); err != nil {
		t.Fatal(err)
	}
	v := &victim{index: len(pair.PIDs()) - 1}
	until(ctx, t, "the node is listed", func() bool {
		list, err := pair.api.Nodes(ctx, api.ListOptions{})
		if err != nil {
			return false
		}
		for _, n := range list.Result {
			if n.PID == pair.PIDs()[v.index] && n.State == "ALIVE" {
				_, err := fmt.Sscanf(n.NodeID, "n%d", &v.number)
				return err == nil
			}
		}
		return false
	})
	t.Cleanup(v.kill)
	// When it has run something, the driver's node knows it, too.
	get(ctx, t, where.Options(gray.OnNode(v.number, false), gray.NumCPUs(0)).Remote(ctx, gray.None{}))
	return v
}
