package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		start := time.Now()
		if !pause.For(ctx, time.Minute) || time.Since(start) != time.Minute {
			t.Error("not a minute:", time.Since(start))
		}
		if pause.For(ctx, time.Minute) || time.Since(start) != 90*time.Second {
			t.Error("not ended with its context:", time.Since(start))
		}
	})
}
