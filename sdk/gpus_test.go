package gray_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/sdk/graytest"
)

// seen is what a process sees of its node's GPUs.
type seen struct {
	IDs      []int
	Variable string
	Set      bool
}

func look(ctx context.Context) seen {
	s := seen{IDs: gray.GPUIDs(ctx)}
	s.Variable, s.Set = os.LookupEnv("CUDA_VISIBLE_DEVICES")
	return s
}

var (
	looks = gray.Task(func(ctx context.Context, dir string) (seen, error) {
		if dir == "" {
			return look(ctx), nil
		}
		f, err := os.CreateTemp(dir, "at")
		if err != nil {
			return seen{}, err
		}
		f.Close()
		return look(ctx), await(ctx, filepath.Join(dir, "go"))
	}, gray.NumCPUs(0))
	lookers = gray.Actor(func(ctx context.Context, _ gray.None) (*looker, error) { return &looker{look(ctx)}, nil })
)

type looker struct{ born seen }

func (l *looker) Look(ctx context.Context, _ gray.None) ([]seen, error) {
	return []seen{l.born, look(ctx)}, nil
}

func (s seen) check(t *testing.T) {
	t.Helper()
	var names []string
	for _, id := range s.IDs {
		names = append(names, fmt.Sprint(id))
	}
	if !s.Set || s.Variable != strings.Join(names, ",") {
		t.Errorf("devices %v, but CUDA_VISIBLE_DEVICES is %q", s.IDs, s.Variable)
	}
}

// TestGPUs: tasks and actors see the devices that are theirs, and no others.
func TestGPUs(t *testing.T) {
	c := graytest.Cluster(t, graytest.CPUs(1), graytest.Resource("GPU", 3), graytest.StoreBytes(64<<20))
	ctx := limited(c.Context(), t)
	together := func(shares ...float64) (devices []int) {
		dir := t.TempDir()
		var refs []gray.Ref[seen]
		for _, n := range shares { // one after another: a lease that comes and goes meanwhile leaves a hole
			refs = append(refs, looks.Options(gray.NumGPUs(n)).Remote(ctx, dir))
			began(t, dir, len(refs))
		}
		if err := touch(filepath.Join(dir, "go")); err != nil {
			t.Fatal(err)
		}
		for i, r := range refs {
			s := get(ctx, t, r)
			s.check(t)
			if want := max(1, int(shares[i])); len(s.IDs) != want {
				t.Errorf("%g GPUs are devices %v", shares[i], s.IDs)
			}
			devices = append(devices, s.IDs...)
		}
		slices.Sort(devices)
		return devices
	}
	if d := together(1, 2); !slices.Equal(d, []int{0, 1, 2}) {
		t.Errorf("1 and 2 GPUs: %v", d)
	}
	users := make([]int, 3) // of each device
	for _, d := range together(0.5, 0.5, 0.5, 0.25, 0.25, 1) {
		users[d]++
	}
	if slices.Sort(users); !slices.Equal(users, []int{1, 2, 3}) {
		t.Errorf("parts of GPUs: so many share a device: %v", users)
	}
	h := lookers.Options(gray.NumGPUs(1)).Remote(ctx, gray.None{})
	actor := get(ctx, t, gray.Call(ctx, h, (*looker).Look, gray.None{}))
	for _, s := range actor {
		if s.check(t); len(s.IDs) != 1 || !slices.Equal(s.IDs, actor[0].IDs) {
			t.Errorf("the actor has %v", actor)
		}
	}
	if d := together(1, 1); slices.Contains(d, actor[0].IDs[0]) {
		t.Errorf("tasks have %v, the actor %v", d, actor[0].IDs)
	}
	if s := get(ctx, t, looks.Remote(ctx, "")); len(s.IDs) != 0 || s.Variable != "" || !s.Set {
		t.Errorf("a task without GPUs sees %+v", s)
	}
	if ids := gray.GPUIDs(ctx); len(ids) != 0 {
		t.Errorf("the driver has %v", ids)
	}
}
