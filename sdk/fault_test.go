package gray_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

type madeBy struct {
	R   gray.Ref[int]
	PID int
}

var (
	// makes gives a reference that its own process owns; of a pending task if a folder is given.
	makes = gray.Task(func(ctx context.Context, dir string) (madeBy, error) {
		m := madeBy{PID: os.Getpid()}
		if m.R = square.Remote(ctx, 3); dir != "" {
			m.R = waits.Remote(ctx, dir)
			return m, nil
		}
		_, _, err := gray.Wait(ctx, []gray.Ref[int]{m.R}, 1)
		return m, err
	})
	// mixes adds up its inputs, and is as large as asked.
	mixes = gray.Task(func(ctx context.Context, m mixing) (mixed, error) {
		out := mixed{Sum: m.Own, Pad: make([]byte, m.Pad)}
		for _, r := range m.From {
			in, err := gray.Get(ctx, r)
			if err != nil {
				return out, err
			}
			out.Sum += in.Sum
		}
		return out, nil
	})
	passesOn = gray.Task(func(_ context.Context, m mixed) (mixed, error) { m.Sum++; return m, nil })
)

type mixing struct {
	Own, Pad int
	From     []gray.Ref[mixed]
}

type mixed struct {
	Sum int
	Pad []byte
}

// TestOwnerDies: a value that its owner has shared outlives the owner; one that is
// still to come doesn't.
func TestOwnerDies(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	done := get(ctx, t, makes.Remote(ctx, ""))
	pending := get(ctx, t, makes.Remote(ctx, dir))
	eventually(t, "the inner task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	get(ctx, t, done.R) // now its home has it
	for _, pid := range []int{done.PID, pending.PID} {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, "the owners die", func() bool { return !alive(done.PID) && !alive(pending.PID) })
	if n := get(ctx, t, onlyLazy.Remote(ctx, lazily{dir, gray.Lazy[int]{Ref: done.R}})); n != 9 {
		t.Error(n)
	}
	fails[*gray.OwnerDiedError](ctx, t, pending.R)
}

// TestRandomGraph holds a random graph of tasks, while workers are killed, against
// what it comes to.
func TestRandomGraph(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	mix, pass := mixes.Options(gray.MaxRetries(-1)), passesOn.Options(gray.MaxRetries(-1))
	var refs []gray.Ref[mixed]
	var want []int
	for i := range 400 {
		if i%80 == 79 {
			killWorker(t, c, r)
		}
		if i > 0 && r.IntN(4) == 0 {
			k := r.IntN(i)
			refs, want = append(refs, pass.RemoteRef(ctx, refs[k])), append(want, want[k]+1)
			continue
		}
		m := mixing{Own: r.IntN(10)}
		if r.IntN(8) == 0 {
			m.Pad = 200 << 10
		}
		sum := m.Own
		for range min(i, r.IntN(3)) {
			k := i - 1 - r.IntN(min(i, 30))
			m.From = append(m.From, refs[k])
			sum += want[k]
		}
		refs, want = append(refs, mix.Remote(ctx, m)), append(want, sum)
	}
	for i, ref := range refs {
		if got := get(ctx, t, ref); got.Sum != want[i] {
			t.Errorf("task %d gives %d, want %d", i, got.Sum, want[i])
		}
	}
	refs = nil
	_ = refs
	c.freed(t, 200<<10)
}

func killWorker(t *testing.T, c *cluster, r *rand.Rand) {
	t.Helper()
	list, err := c.api.Workers(limited(context.Background(), t), api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, w := range list.Result {
		if w.WorkerType == "WORKER" && w.PID > 0 && w.State != "STARTING" {
			pids = append(pids, w.PID)
		}
	}
	if len(pids) > 0 {
		_ = syscall.Kill(pids[r.IntN(len(pids))], syscall.SIGKILL)
	}
}

// TestSmallStore: a store that is too small for one value says so; one that is full
// of garbage isn't full.
func TestSmallStore(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 1, StoreBytes: smallStore})
	ctx := limited(c.ctx, t)
	var full *gray.StoreFullError
	if _, err := gray.Put(ctx, make([]byte, smallStore+1)); !errors.As(err, &full) {
		t.Errorf("put: %v", err)
	}
	fails[*gray.StoreFullError](ctx, t, bytes.Remote(ctx, smallStore+1))
	fails[*gray.StoreFullError](ctx, t, size.Remote(ctx, make([]byte, smallStore+1)))
	for i := range 16 {
		node := gray.OnNode(uint32(1+i%2), false)
		r, err := gray.Put(ctx, make([]byte, smallStore/4))
		if err != nil {
			t.Fatalf("the %d-th: %v", i, err)
		}
		if n := get(ctx, t, size.Options(node).RemoteRef(ctx, r)); n != smallStore/4 {
			t.Error(n)
		}
		if b := get(ctx, t, bytes.Options(node).Remote(ctx, smallStore/4)); len(b) != smallStore/4 {
			t.Error(len(b))
		}
	}
	c.freed(t, 1<<20) // on both nodes
}

const smallStore = 32 << 20
