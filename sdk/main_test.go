package gray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/internal/pki"
	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

func TestMain(m *testing.M) {
	name := os.Getenv(programVariable)
	if os.Getenv(lateVariable) != "" {
		name = lateDefaults
	} else {
		gray.TakeRole() // before the programs below, which have workers, too
	}
	if run, ok := programs[name]; ok {
		run()
		os.Exit(0)
	}
	graytest.Main(checked{m})
}

// checked is the tests, then what they must not leave behind.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, "close the shared cluster:", err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// cluster is one with what these tests look into besides the SDK.
type cluster struct {
	*embed.Cluster
	session *gray.Session
	ctx     context.Context
	stop    context.CancelFunc
	api     *api.Client
}

func startCluster(o embed.Options) (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if o.StoreBytes == 0 {
		o.StoreBytes = 256 << 20
	}
	e, err := embed.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: e}
	token, err := pki.ParseToken(e.Token())
	if err == nil {
		c.api, err = api.NewClient(e.Address(), token)
	}
	if err == nil {
		c.session, err = gray.Connect(ctx, "unix:"+e.Sockets()[0])
	}
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	c.ctx, c.stop = c.session.Context(context.Background())
	return c, nil
}

func (c *cluster) close() error {
	c.stop()
	c.api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(c.session.Close(), c.Cluster.Close(ctx))
}

// ownCluster is for tests that break it, or that need another shape.
func ownCluster(t *testing.T, o embed.Options) *cluster {
	t.Helper()
	c, err := startCluster(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

var common struct {
	sync.Once
	c   *cluster
	err error
}

// shared is the cluster of all tests that leave it as it is: one node of 2 CPUs.
func shared(t testing.TB) *cluster {
	t.Helper()
	common.Do(startCommon)
	if common.err != nil {
		t.Fatal(common.err)
	}
	return common.c
}

func startCommon() { common.c, common.err = startCluster(embed.Options{CPUs: 2}) }

func closeShared() error {
	if common.c == nil {
		return nil
	}
	return common.c.close()
}

// limited bounds a test's waiting; nothing should take nearly as long.
func limited(parent context.Context, t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(parent, 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !poll(context.Background(), pollLimit, ok) {
		t.Fatal("not in time: " + what)
	}
}

// poll asks until the answer is yes; it's false when ctx or the time ends before.
func poll(ctx context.Context, limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

const pollLimit = 20 * time.Second

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// touch makes an empty file: how processes of these tests tell each other things.
func touch(path string) error { return os.WriteFile(path, nil, 0o600) }

// await waits, in a task, for a file that the test makes.
func await(ctx context.Context, path string) error {
	if !poll(ctx, 25*time.Second, func() bool { return exists(path) }) {
		return errors.Join(ctx.Err(), fmt.Errorf("no %s", filepath.Base(path)))
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

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q lacks %q", text, p)
		}
	}
}

// stored lists the objects of at least a size that nodes have.
func (c *cluster) stored(t testing.TB, size int64) []string {
	t.Helper()
	list, err := c.api.Objects(limited(context.Background(), t), api.ListOptions{Detail: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range list.Result {
		if o.ObjectSize >= size {
			out = append(out, fmt.Sprintf("%s %s on %s, %d bytes, held by %v, pins %d", o.ObjectID, o.State, o.NodeID, o.ObjectSize, o.Holders, o.Pins))
		}
	}
	return out
}

// freed waits until no object of at least a size is left. It's a second or two, more
// where a collection takes long: a process collects for 2 % of the time at most.
func (c *cluster) freed(t testing.TB, size int64) {
	t.Helper()
	var left []string
	if !poll(context.Background(), pollLimit, func() bool { left = c.stored(t, size); return len(left) == 0 }) {
		t.Fatalf("objects are left:\n%s", strings.Join(left, "\n"))
	}
}

// gcDriver collects the driver's garbage and lets it tell its node.
func gcDriver(ctx context.Context, t testing.TB) {
	t.Helper()
	runtime.GC()
	get(ctx, t, square.Remote(ctx, 1))
	runtime.GC()
	get(ctx, t, square.Remote(ctx, 1))
}
