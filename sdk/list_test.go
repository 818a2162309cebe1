package gray_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

var unplaced = gray.Task(func(context.Context, int) (int, error) { return 0, nil }, gray.NumCPUs(1000), gray.Name("list.unplaced"))

// TestLivingTasksAreListed: of very many that wait, the newest, and how many there are.
func TestLivingTasksAreListed(t *testing.T) {
	c := shared(t)
	ctx := limited(c.ctx, t)
	const n = 300
	refs := make([]gray.Ref[int], n)
	for i := range refs {
		refs[i] = unplaced.Remote(ctx, i)
	}
	defer func() {
		for _, r := range refs {
			if err := gray.Cancel(ctx, r); err != nil {
				t.Error(err)
			}
		}
	}()
	named := []api.Filter{{Key: "name", Op: "=", Value: "list.unplaced"}}
	var list *api.List[api.TaskRow]
	eventually(t, "all wait", func() bool {
		var err error
		list, err = c.api.Tasks(ctx, api.ListOptions{Limit: 10, Offset: 5, Filters: append(named, api.Filter{Key: "state", Op: "!=", Value: "FAILED"})})
		return err == nil && list.NumFiltered == n
	})
	if len(list.Result) != 10 || list.Total < n {
		t.Fatalf("%+v", list)
	}
	for i, row := range list.Result {
		if want := refs[n-1-5-i].String(); row.TaskID != want || row.State != "PENDING_NODE_ASSIGNMENT" {
			t.Errorf("row %d is %+v, want %s", i, row, want)
		}
	}
	sums, err := c.api.SummarizeTasks(ctx, api.ListOptions{})
	if err != nil || sums.Result.ByNode.Cluster.Summary["list.unplaced"].Waiting != n {
		t.Errorf("%+v, %v", sums, err)
	}
	one, err := c.api.Task(ctx, list.Result[0].TaskID)
	if err != nil || one.Task.State != "PENDING_NODE_ASSIGNMENT" || one.Why == nil || !one.Why.Infeasible || fmt.Sprint(one.Outputs[0].State) != "PENDING" {
		t.Errorf("%+v, %v", one, err)
	}
	if none, err := c.api.Tasks(ctx, api.ListOptions{Filters: append(named, api.Filter{Key: "state", Op: "=", Value: "RUNNING"})}); err != nil || none.NumFiltered != 0 {
		t.Errorf("running: %+v, %v", none, err)
	}
}
