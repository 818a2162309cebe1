package gray_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// register is an actor that keeps the last value that each caller has set.
type register struct{ Last [2]uint64 }

type setting struct {
	Caller int
	Value  uint64
}

// Set keeps a value and returns the caller's one before, or this one if it's set again.
func (r *register) Set(_ context.Context, s setting) (uint64, error) {
	before := r.Last[s.Caller]
	r.Last[s.Caller] = s.Value
	return before, nil
}

func (r *register) Values(context.Context, gray.None) ([2]uint64, error) { return r.Last, nil }

func (r *register) Save(context.Context) ([]byte, error) {
	return binary.Append(nil, binary.LittleEndian, r.Last)
}

func (r *register) Restore(_ context.Context, b []byte) error {
	_, err := binary.Decode(b, binary.LittleEndian, &r.Last)
	return err
}

type setsOf struct {
	Caller, N int
	To        []gray.Handle[register]
}

var (
	registers = gray.Actor(func(context.Context, gray.None) (*register, error) { return &register{}, nil },
		gray.MaxRestarts(-1), gray.MaxTaskRetries(-1))
	// sets has each register count up, all calls in flight together, and returns how many
	// found another value than the one before theirs.
	sets = gray.Task(func(ctx context.Context, s setsOf) (int, error) {
		var refs []gray.Ref[uint64]
		var want []uint64
		for v := range uint64(s.N) {
			for _, h := range s.To {
				refs, want = append(refs, gray.Call(ctx, h, (*register).Set, setting{s.Caller, v + 1})), append(want, v)
			}
		}
		found, err := gray.GetAll(ctx, refs)
		wrong := 0
		for i := range found {
			if found[i] != want[i] && found[i] != want[i]+1 { // made again, its answer alone was lost
				wrong++
			}
		}
		return wrong, err
	}, gray.NumCPUs(0), gray.MaxRetries(0))
)

// TestActorsWhileProcessesDie: calls of actors whose processes are killed at random have their
// effects in order, each on top of the one before, and no effect that was answered is lost.
func TestActorsWhileProcessesDie(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(c.ctx, t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var all []gray.Handle[register]
	for range 3 {
		all = append(all, registers.Remote(ctx, gray.None{}))
	}
	const n = 150
	callers := []gray.Ref[int]{sets.Remote(ctx, setsOf{0, n, all}), sets.Remote(ctx, setsOf{1, n, all})}
	for range 6 {
		killActor(t, c, r)
	}
	for _, wrong := range callers {
		if w := get(ctx, t, wrong); w != 0 {
			t.Errorf("%d calls didn't find the effect of the one before", w)
		}
	}
	for _, h := range all {
		if got := get(ctx, t, gray.Call(ctx, h, (*register).Values, gray.None{})); got != [2]uint64{n, n} {
			t.Errorf("in the end it has %v", got)
		}
	}
	ids := []string{all[0].String(), all[1].String(), all[2].String()}
	all, callers = nil, nil
	_, _ = all, callers
	for _, id := range ids {
		c.unheld(t, id)
	}
}

func killActor(t *testing.T, c *cluster, r *rand.Rand) {
	t.Helper()
	eventually(t, "an actor is there to be killed", func() bool {
		list, err := c.api.Actors(limited(context.Background(), t), api.ListOptions{Detail: true})
		if err != nil {
			t.Fatal(err)
		}
		list.Result = slices.DeleteFunc(list.Result, func(a api.ActorRow) bool { return a.State != "ALIVE" || !alive(a.PID) })
		if len(list.Result) == 0 {
			return false
		}
		return syscall.Kill(list.Result[r.IntN(len(list.Result))].PID, syscall.SIGKILL) == nil
	})
}
