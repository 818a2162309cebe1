// Package pause waits for time to pass. It owns nothing, and starts no goroutine.
package pause

import (
	"context"
	"time"
)

// For returns after d, or false as soon as ctx has ended.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
