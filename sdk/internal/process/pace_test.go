package process

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
)

// TestPace: over the limit a submission waits for room, or goes on slowly when nothing ends.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		p := &Process{}
		c := &p.pace
		c.limit = 80 * taskBytes
		var tasks []*Task
		submit := func() {
			c.await(ctx, p)
			k := &Task{}
			c.submitted(k)
			tasks = append(tasks, k)
		}
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		if d := took(func() {
			for range 80 {
				submit()
			}
		}); d != 0 {
			t.Fatalf("below the limit it took %v", d)
		}
		go func() {
			for i := range 11 {
				pause.For(ctx, paceStall/2)
				c.done(tasks[i])
			}
		}()
		if d := took(submit); d != 11*paceStall/2 {
			t.Errorf("room for a submission came after %v", d)
		}
		for range 10 {
			submit() // into the room that there is
		}
		if d := took(submit); d != paceStall {
			t.Errorf("nothing ends, and a submission went on after %v", d)
		}
		if d := took(func() {
			for range 3 * (paceGrant + 1) {
				submit()
			}
		}); d != 3*paceTrickle {
			t.Errorf("%d more took %v", 3*paceGrant, d)
		}
		for _, k := range tasks[11:] {
			c.done(k)
		}
		if left := c.undone.Load(); left != 0 || took(submit) != 0 {
			t.Errorf("%d bytes are left", left)
		}
		for c.granted.Store(0); c.undone.Load() < c.limit; {
			submit()
		}
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, paceStall/10)
		defer stop()
		if d := took(func() { c.await(ctx, p) }); d != paceStall/10 {
			t.Errorf("a context's end was seen after %v", d)
		}
	})
}
