package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// orphanTasks run on the node that is killed.
const orphanTasks = 4

// victim is a node, and a folder in which tasks say that they have begun there.
type victim struct {
	Node uint32
	Dir  string
}

// orphan waits for its node's end. Elsewhere it answers when it began, in ns since 1970.
var orphan = gray.Task(func(ctx context.Context, v victim) (int64, error) {
	if gray.Current(ctx).Node != v.Node {
		return time.Now().UnixNano(), nil
	}
	f, err := os.CreateTemp(v.Dir, "begun")
	if err != nil {
		return 0, err
	}
	f.Close()
	<-ctx.Done()
	return 0, ctx.Err()
}, gray.NumCPUs(0.5)) // beside the lease that lingers there

// benchNodeKill kills a node with SIGKILL, again and again, and measures when the last of
// its tasks has begun elsewhere.
func benchNodeKill(ctx context.Context, b *bench) (err error) {
	kills := 10
	if b.quick {
		kills = 3
	}
	cluster, err := embed.Start(ctx, embed.Options{CPUs: orphanTasks})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close(ctx)) }()
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	sctx, cancel := session.Context(ctx)
	defer cancel()
	var took []float64
	for i := range kills {
		ms, err := killOnce(sctx, cluster, i+1)
		if err != nil {
			return fmt.Errorf("kill %d: %w", i+1, err)
		}
		took = append(took, ms)
	}
	b.spread("node_kill_until_tasks_run_elsewhere", "ms", took,
		fmt.Sprintf("from kill -9 to the beginning of the last of its %d tasks; kill by kill: %.0f", orphanTasks, took))
	return nil
}

// killOnce adds the i-th further node, fills it and kills it.
func killOnce(ctx context.Context, cluster *embed.Cluster, i int) (ms float64, err error) {
	dir, err := os.MkdirTemp("", "graybench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if _, err := cluster.AddNode(ctx); err != nil {
		return 0, err
	}
	there := gray.OnNode(uint32(i)+1, false) // numbers follow each other
	if _, err := gray.Get(ctx, noop.Options(there).Remote(ctx, gray.None{})); err != nil {
		return 0, err
	}
	var refs []gray.Ref[int64]
	for begun := 0; begun < orphanTasks; {
		r := orphan.Options(gray.OnNode(uint32(i)+1, true)).Remote(ctx, victim{uint32(i) + 1, dir})
		there, err := beginsThere(ctx, r, dir, begun)
		if err != nil {
			return 0, err
		}
		if there {
			refs = append(refs, r)
			begun++
		}
	}
	killed := time.Now()
	cluster.KillNode(i)
	begins, err := gray.GetAll(ctx, refs)
	for _, at := range begins {
		ms = max(ms, float64(at-killed.UnixNano())/1e6)
	}
	return ms, err
}

// beginsThere waits until a task has begun on the node that is to be killed, after others;
// false: it ran elsewhere, since that node hadn't a worker ready.
func beginsThere(ctx context.Context, r gray.Ref[int64], dir string, others int) (bool, error) {
	for {
		files, err := filepath.Glob(filepath.Join(dir, "begun*"))
		if err != nil || len(files) > others {
			return true, err
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		done, _, _ := gray.Wait(short, []gray.Ref[int64]{r}, 1)
		cancel()
		if len(done) > 0 || ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}
