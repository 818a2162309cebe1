package semantics

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

// devices are the GPUs of a task or actor, as it sees them.
type devices struct {
	IDs     []int
	Visible string
}

func devicesOf(ctx context.Context) devices {
	return devices{gray.GPUIDs(ctx), os.Getenv("CUDA_VISIBLE_DEVICES")}
}

func (c *counter) Devices(ctx context.Context, _ gray.None) (devices, error) {
	return devicesOf(ctx), nil
}

var devicesHere = gray.Task(func(ctx context.Context, _ gray.None) (devices, error) { return devicesOf(ctx), nil })

func TestP11PartsOfAGPU(t *testing.T) {
	ctx := on(t, &one)
	var held []int
	for range 4 { // of 0.5 on 2 devices
		h := counting(ctx, t, setup{}, gray.NumGPUs(0.5))
		d := get(ctx, t, gray.Call(ctx, h, (*counter).Devices, gray.None{}))
		if len(d.IDs) != 1 || d.Visible != fmt.Sprint(d.IDs[0]) {
			t.Fatalf("%+v", d)
		}
		held = append(held, d.IDs[0])
	}
	if !slices.Equal(held, []int{0, 0, 1, 1}) {
		t.Errorf("devices %v: a device is filled before the next", held)
	}
}

func TestP12WholeGPUs(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.NumGPUs(1))
	first := get(ctx, t, gray.Call(ctx, h, (*counter).Devices, gray.None{}))
	second := get(ctx, t, devicesHere.Options(gray.NumGPUs(1)).Remote(ctx, gray.None{}))
	if len(first.IDs) != 1 || len(second.IDs) != 1 || first.IDs[0] == second.IDs[0] {
		t.Errorf("%+v and %+v at a time", first, second)
	}
	kill(ctx, t, h)
	both := get(ctx, t, devicesHere.Options(gray.NumGPUs(2)).Remote(ctx, gray.None{}))
	if !slices.Equal(both.IDs, []int{0, 1}) || both.Visible != "0,1" {
		t.Errorf("%+v", both)
	}
}

func TestP13MoreThanOneGPUMustBeWhole(t *testing.T) {
	defer func() {
		text, _ := recover().(string)
		contains(t, text, "1.5", "GPU")
	}()
	square.Options(gray.NumGPUs(1.5))
	t.Error("no panic")
}

func TestP14WithoutAGPU(t *testing.T) {
	ctx := on(t, &one)
	get(ctx, t, devicesHere.Options(gray.NumGPUs(1)).Remote(ctx, gray.None{})) // whose process may be used again
	d := get(ctx, t, devicesHere.Remote(ctx, gray.None{}))
	if len(d.IDs) != 0 || d.Visible != os.Getenv("CUDA_VISIBLE_DEVICES") {
		t.Errorf("%+v", d)
	}
}
