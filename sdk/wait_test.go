package gray_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

func TestGetAll(t *testing.T) {
	ctx := limited(shared(t).ctx, t)
	if v, err := gray.GetAll(ctx, []gray.Ref[int]{}); len(v) != 0 || err != nil {
		t.Errorf("of none: %v, %v", v, err)
	}
	r := square.Remote(ctx, 3)
	if v, err := gray.GetAll(ctx, []gray.Ref[int]{r, square.Remote(ctx, 2), r}); !slices.Equal(v, []int{9, 4, 9}) || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	var task *gray.TaskError
	_, err := gray.GetAll(ctx, []gray.Ref[int]{r, failing.Remote(ctx, "first"), failing.Remote(ctx, "second")})
	if !errors.As(err, &task) || task.Message != "first" {
		t.Error(err)
	}
}

func TestCompleted(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	slow := waits.Remote(ctx, dir)
	refs := []gray.Ref[int]{slow, square.Remote(ctx, 3), failing.Remote(ctx, "no"), square.Remote(ctx, 3)}
	refs = append(refs, refs[1]) // twice
	var order []int
	errs := 0
	for v, err := range gray.Completed(ctx, refs) {
		if err != nil {
			errs++
			continue
		}
		if order = append(order, v); len(order) == 3 {
			if err := touch(filepath.Join(dir, "go")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(order, []int{9, 9, 9, 1}) || errs != 1 {
		t.Errorf("%v and %d errors", order, errs)
	}
	for range gray.Completed(ctx, []gray.Ref[int]{}) {
		t.Error("of none came one")
	}
	for range gray.Completed(ctx, refs) {
		break
	}
	pending := hangs.Remote(ctx, gray.None{})
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	var last error
	for _, err := range gray.Completed(short, []gray.Ref[bool]{pending}) {
		last = err
	}
	if !errors.Is(last, context.DeadlineExceeded) {
		t.Error(last)
	}
	if err := gray.Cancel(ctx, pending); err != nil {
		t.Error(err)
	}
}

func TestWait(t *testing.T) {
	ctx, dir := limited(shared(t).ctx, t), t.TempDir()
	slow := waits.Remote(ctx, dir)
	refs := []gray.Ref[int]{slow, square.Remote(ctx, 3), failing.Remote(ctx, "no")}
	ready, pending, err := gray.Wait(ctx, refs, 2)
	if err != nil || !slices.Equal(ready, refs[1:]) || !slices.Equal(pending, refs[:1]) {
		t.Errorf("%v, %v, %v", ready, pending, err)
	}
	ready, pending, err = gray.Wait(ctx, refs, 0)
	if err != nil || len(ready) != 2 || len(pending) != 1 {
		t.Errorf("without waiting: %v, %v, %v", ready, pending, err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	ready, pending, err = gray.Wait(short, refs, 3)
	if !errors.Is(err, context.DeadlineExceeded) || len(ready) != 2 || len(pending) != 1 {
		t.Errorf("%v, %v, %v", ready, pending, err)
	}
	if _, _, err := gray.Wait(ctx, refs, 4); err == nil {
		t.Error("waited for more than there are")
	}
	if err := touch(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	ready, pending, err = gray.Wait(ctx, refs, 3)
	if err != nil || len(ready) != 3 || len(pending) != 0 {
		t.Errorf("%v, %v, %v", ready, pending, err)
	}
}
