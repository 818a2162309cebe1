package gray_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/recorder"
	gray "github.com/gray-runtime/gray/sdk"
)

var (
	listed    = gray.Task(func(_ context.Context, n int) (int, error) { return n, nil }, gray.Name("list.ended"))
	listedBad = gray.Task(func(context.Context, int) (int, error) { return 0, errors.New("list <b>boom</b>") }, gray.Name("list.failed"))
)

// TestEndedTasksAreListed: counts are exact though records have been replaced, and of one that
// failed there is what it failed with.
func TestEndedTasksAreListed(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	const n = recorder.DriverRecords + 10_000
	for done := 0; done < n; {
		refs := make([]gray.Ref[int], min(10_000, n-done))
		for i := range refs {
			refs[i] = listed.Remote(ctx, i)
		}
		if _, err := gray.GetAll(ctx, refs); err != nil {
			t.Fatal(err)
		}
		done += len(refs)
	}
	bad := listedBad.Remote(ctx, 1)
	fails[*gray.TaskError](ctx, t, bad)
	var sums *api.Summary[api.TaskSummary]
	eventually(t, "all are counted", func() bool {
		var err error
		sums, err = c.api.SummarizeTasks(ctx, api.ListOptions{})
		return err == nil && sums.Result.ByNode.Cluster.Summary["list.failed"].Failed == 1
	})
	if f := sums.Result.ByNode.Cluster.Summary["list.ended"]; f.Finished != n || f.Run.Count != n || f.Type != "NORMAL_TASK" {
		t.Errorf("%+v", f)
	}
	list, err := c.api.Tasks(ctx, api.ListOptions{Filters: []api.Filter{{Key: "name", Op: "=", Value: "list.ended"}}, Offset: 20_000, Limit: 10})
	if err != nil || len(list.Result) != 10 || list.Total < n || len(list.Warnings) == 0 || list.NumFiltered >= n {
		t.Errorf("%+v, %v", list, err)
	}
	var one *api.TaskDetail
	eventually(t, "its text is there", func() bool {
		one, err = c.api.Task(ctx, bad.String())
		return err == nil && one.Task.ErrorMessage != nil
	})
	if *one.Task.ErrorMessage != "list <b>boom</b>" || *one.Task.ErrorType != "TASK_EXECUTION_EXCEPTION" || one.Log == nil || one.Task.WorkerPID == nil {
		t.Errorf("%+v", one)
	}
}
