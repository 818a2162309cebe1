package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// lookMost is how long a head takes for an answer at most, at the 99th percentile, in ms.
const lookMost = 200

// benchLook measures what looking at a cluster costs that has run very much: tasks that have
// ended, more than there are records of, tasks that wait, and jobs.
func benchLook(ctx context.Context, b *bench) (err error) {
	tasks, waiting, jobs, asked := 1_000_000, 100_000, 10_000, 200
	if b.quick {
		tasks, waiting, jobs, asked = 100_000, 10_000, 1_000, 50
	}
	cluster, err := startHeads(ctx, embed.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.close(ctx)) }()
	session, err := gray.Connect(ctx, "unix:"+cluster.Sockets()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	l := &look{b: b, cluster: cluster}
	if err := l.makeJobs(ctx, jobs); err != nil {
		return err
	}
	sctx, cancel := session.Context(ctx)
	defer cancel()
	if err := l.runTasks(sctx, tasks); err != nil {
		return err
	}
	refs := make([]gray.Ref[int], waiting)
	for i := range refs {
		refs[i] = inc.Options(gray.Resource("nowhere", 1)).Remote(sctx, i)
	}
	return l.ask(ctx, tasks+waiting, asked)
}

type look struct {
	b       *bench
	cluster *headCluster
}

// makeJobs submits jobs that no node can run, and stops them.
func (l *look) makeJobs(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range n {
		g.Go(func() error {
			s, err := l.cluster.rest.Submit(ctx, api.JobSubmitRequest{Entrypoint: fmt.Sprintf("job %d", i), EntrypointNumCPUs: 1e6})
			if err != nil || i%2 == 0 {
				return err
			}
			_, err = l.cluster.rest.Stop(ctx, s.SubmissionID)
			return err
		})
	}
	return g.Wait()
}

// runTasks runs tasks, and says what memory that costs head and node once there are more than
// there are records of: it must not grow with their number.
func (l *look) runTasks(ctx context.Context, n int) error {
	const batch = 10_000
	memory := func(after int) error {
		for who, pid := range map[string]int{"head": l.cluster.HeadPIDs()[0], "node": l.cluster.PIDs()[0]} {
			m, err := statusField(pid, "VmRSS")
			if err != nil {
				return err
			}
			l.b.report(Metric{Metric: fmt.Sprintf("look_%s_memory_after_%d", who, after), Value: float64(m >> 20), Unit: "MiB"})
		}
		return nil
	}
	for done := 0; done < n; done += batch {
		refs := make([]gray.Ref[int], batch)
		for i := range refs {
			refs[i] = inc.Remote(ctx, i)
		}
		if _, err := gray.GetAll(ctx, refs); err != nil {
			return err
		}
		if done+batch == n/2 {
			if err := memory(n / 2); err != nil {
				return err
			}
		}
	}
	return memory(n)
}

// ask asks everything that a page shows.
func (l *look) ask(ctx context.Context, tasks, times int) error {
	c := l.cluster.rest
	known, err := c.Tasks(ctx, api.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	if known.Total < tasks {
		return fmt.Errorf("%d tasks are known of %d", known.Total, tasks)
	}
	by := func(key, value string) api.ListOptions {
		return api.ListOptions{Filters: []api.Filter{{Key: key, Op: "=", Value: value}}}
	}
	ended, err := c.Tasks(ctx, by("state", "FINISHED"))
	if err != nil {
		return err
	}
	waiting, err := c.Tasks(ctx, by("state", "PENDING_NODE_ASSIGNMENT"))
	if err != nil {
		return err
	}
	if len(ended.Result) == 0 || len(waiting.Result) == 0 {
		return fmt.Errorf("%d tasks have ended and %d wait", ended.NumFiltered, waiting.NumFiltered)
	}
	one, waits := ended.Result[0], waiting.Result[0]
	for _, q := range []struct {
		name string
		ask  func(ctx context.Context) error
	}{
		{"tasks", asking(c.Tasks, api.ListOptions{})},
		{"tasks_deep", asking(c.Tasks, api.ListOptions{Offset: 50_000})},
		{"tasks_failed", asking(c.Tasks, by("state", "FAILED"))},
		{"tasks_of_job", asking(c.Tasks, by("job_id", one.JobID))},
		{"tasks_by_run", asking(c.Tasks, api.ListOptions{Sort: "run_ms", Descending: true})},
		{"tasks_search", asking(c.Tasks, api.ListOptions{Search: "func@"})},
		{"task", func(ctx context.Context) error { _, err := c.Task(ctx, one.TaskID); return err }},
		{"why_task", func(ctx context.Context) error { _, err := c.Why(ctx, waits.TaskID); return err }},
		{"why_job", func(ctx context.Context) error { _, err := c.Why(ctx, one.JobID); return err }},
		{"hints", asking(c.Hints, api.ListOptions{})},
		{"tasks_waiting", asking(c.Tasks, by("state", "PENDING_NODE_ASSIGNMENT"))},
		{"tasks_summary", func(ctx context.Context) error { _, err := c.SummarizeTasks(ctx, api.ListOptions{}); return err }},
		{"jobs", asking(c.JobRows, api.ListOptions{})},
		{"jobs_sorted", asking(c.JobRows, api.ListOptions{Sort: "entrypoint", Offset: 500})},
		{"jobs_search", asking(c.JobRows, api.ListOptions{Search: "job 77"})},
		{"nodes", asking(c.Nodes, api.ListOptions{})},
		{"workers", asking(c.Workers, api.ListOptions{})},
		{"actors", asking(c.Actors, api.ListOptions{})},
		{"objects", asking(c.Objects, api.ListOptions{})},
		{"events", asking(c.Events, api.ListOptions{})},
		{"status", func(ctx context.Context) error { _, err := c.Status(ctx); return err }},
	} {
		var took []float64
		for range times {
			began := time.Now()
			if err := q.ask(ctx); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, time.Since(began).Seconds()*1000)
		}
		m := Metric{Metric: "look_" + q.name + "_p50", Value: percentile(took, 0.5), Unit: "ms", N: times}
		l.b.report(m)
		if m.Metric, m.Value = "look_"+q.name+"_p99", percentile(took, 0.99); m.Value > lookMost {
			m.Note = fmt.Sprintf("over %d ms", lookMost)
		}
		l.b.report(m)
	}
	return nil
}

func asking[T any](list func(context.Context, api.ListOptions) (*api.List[T], error), o api.ListOptions) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := list(ctx, o)
		return err
	}
}
