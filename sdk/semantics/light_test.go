package semantics

import (
	"context"
	"slices"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// light is a lightweight actor.
type light struct{ n int }

func (l *light) Add(_ context.Context, x int) (int, error)         { l.n += x; return l.n, nil }
func (l *light) Panic(_ context.Context, text string) (int, error) { return deep(text), nil }

var lights = gray.Actor(func(_ context.Context, n int) (*light, error) { return &light{n}, nil }, gray.Lightweight())

func TestA39LightweightActorPanics(t *testing.T) {
	ctx := on(t, &one)
	var all []gray.Handle[light]
	for i := range 100 {
		all = append(all, lights.Remote(ctx, i))
	}
	again := lights.Options(gray.MaxRestarts(1)).Remote(ctx, 50)
	for _, h := range []gray.Handle[light]{all[7], again} {
		contains(t, fails[*gray.TaskError](ctx, t, gray.Call(ctx, h, (*light).Panic, "ouch")).Stack, "semantics.deep")
	}
	fails[*gray.ActorDiedError](ctx, t, gray.Call(ctx, all[7], (*light).Add, 1))
	equal(t, "made anew", get(ctx, t, gray.Call(ctx, again, (*light).Add, 1)), 51)
	for i, h := range all {
		if i != 7 {
			equal(t, "another", get(ctx, t, gray.Call(ctx, h, (*light).Add, 1)), i+1)
		}
	}
}

func TestA40LightweightActorsCallsAreInOrder(t *testing.T) {
	ctx := on(t, &one)
	h := lights.Remote(ctx, 0)
	var calls []gray.Ref[int]
	for range 1000 {
		calls = append(calls, gray.Call(ctx, h, (*light).Add, 1))
	}
	sums, err := gray.GetAll(ctx, calls)
	if err != nil || !slices.IsSorted(sums) || sums[999] != 1000 {
		t.Errorf("%v, %v", sums, err)
	}
}
