package daemon

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
)

// grace is how long a daemon, and then its jobs' processes, may take to end.
const grace = 5 * time.Second

// Stopped is what became of a daemon that was told to stop.
type Stopped struct {
	Info
	Killed bool `json:"killed"` // it didn't end when asked
}

// Stop ends all daemons of this user on this host, nodes before heads: it asks
// first, and kills what has not gone after 5 seconds; with force it kills at
// once. It returns when processes, those of jobs included, and folders are
// gone. progress is called with one line at a time.
func Stop(ctx context.Context, force bool, progress func(string)) ([]Stopped, error) {
	all, err := scan()
	if err != nil {
		return nil, err
	}
	var done []Stopped
	for _, role := range []string{RoleNode, RoleHead} {
		var batch []Info
		for _, info := range all {
			if info.Role == role {
				batch = append(batch, info)
			}
		}
		stopped, err := stopBatch(ctx, batch, force, progress)
		done = append(done, stopped...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func stopBatch(ctx context.Context, batch []Info, force bool, progress func(string)) ([]Stopped, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	limit := grace
	sig := syscall.SIGTERM
	if force {
		sig = syscall.SIGKILL
	}
	for _, info := range batch {
		info.signal(sig)
	}
	left := awaitDead(ctx, batch, limit)
	killed := map[string]bool{}
	for _, info := range left {
		progress(fmt.Sprintf("%s (pid %d) has not ended after %v: killing it", info.Role, info.PID, limit))
		killed[info.Dir] = true
		info.signal(syscall.SIGKILL)
	}
	if left = awaitDead(ctx, left, limit); len(left) > 0 {
		return nil, fmt.Errorf("%s (pid %d) can't be ended", left[0].Role, left[0].PID)
	}
	var stopped []Stopped
	for _, info := range batch {
		endChildren(ctx, info.Socket, force)
		os.RemoveAll(info.Dir)
		stopped = append(stopped, Stopped{Info: info, Killed: force || killed[info.Dir]})
	}
	return stopped, nil
}

// awaitDead waits until the daemons have let go of their locks and returns
// those that haven't in time. The wait is by polling: a process that isn't a
// child can't be waited for.
func awaitDead(ctx context.Context, batch []Info, limit time.Duration) (left []Info) {
	deadline := time.Now().Add(limit)
	for rest := time.Millisecond; ; rest = min(2*rest, 20*time.Millisecond) {
		left = nil
		for _, info := range batch {
			if !isDead(info.Dir) {
				left = append(left, info)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) || !pause.For(ctx, rest) {
			return left
		}
	}
}

// endChildren waits for the processes of jobs to follow their node, and kills
// those that don't.
func endChildren(ctx context.Context, socket string, force bool) {
	deadline := time.Now().Add(grace)
	if force {
		deadline = time.Now()
	}
	for rest := 5 * time.Millisecond; ; rest = min(2*rest, 50*time.Millisecond) {
		pids := children(socket)
		if len(pids) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !pause.For(ctx, rest) {
			return
		}
	}
}
