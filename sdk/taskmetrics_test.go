package gray_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// countedTask ends as it's told.
var countedTask = gray.Task(func(_ context.Context, how string) (int, error) {
	switch how {
	case "fails":
		return 0, errors.New("as told")
	case "crashes":
		os.Exit(3)
	}
	return len(how), nil
})

type countedActor struct{ n int }

func (a *countedActor) Add(_ context.Context, n int) (int, error) {
	a.n += n
	return a.n, nil
}

var countedActors = gray.Actor(func(context.Context, int) (*countedActor, error) { return &countedActor{}, nil })

func init() {
	programs["counted"] = func() {
		gray.Main(func(ctx context.Context) error {
			var refs []gray.Ref[int]
			for i := range 300 {
				how := "finishes"
				if i%10 == 0 {
					how = "fails"
				} else if i%100 == 1 {
					how = "crashes"
				}
				refs = append(refs, countedTask.Options(gray.OnNode(uint32(1+i%2), false), gray.MaxRetries(0)).Remote(ctx, how))
			}
			for _, light := range []bool{false, true} {
				var options []gray.Option
				if light {
					options = append(options, gray.Lightweight())
				}
				h := countedActors.Options(options...).Remote(ctx, 0)
				for range 2000 {
					refs = append(refs, gray.Call(ctx, h, (*countedActor).Add, 1))
				}
			}
			for _, r := range refs {
				if _, err := gray.Get(ctx, r); err != nil && ctx.Err() != nil {
					return err
				}
			}
			return nil
		})
	}
}

// TestMetricsOfTasksAreTheirSummary: what Prometheus is told of a job's tasks is what `gray
// summary tasks` says, and the overview's rates add up to it.
func TestMetricsOfTasksAreTheirSummary(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	ctx := limited(context.Background(), t)
	eventually(t, "the leader has heard what both nodes do", func() bool {
		memory, nodes := sumOf(t, clusterMetrics(ctx, t, c), "gray_node_memory_limit_bytes")
		told := history(ctx, t, c)["memory_total"]
		return nodes == 2 && len(told) > 0 && told[len(told)-1] > 0.75*memory
	})
	cmd, _, errs := program(t, "counted", "unix:"+c.Sockets()[0])
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	jobs, err := c.api.Jobs(ctx)
	if err != nil || len(jobs) == 0 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	job := *jobs[len(jobs)-1].JobID
	s, err := c.api.SummarizeTasks(ctx, api.ListOptions{Filters: []api.Filter{{Key: "job_id", Op: "=", Value: job}}})
	if err != nil {
		t.Fatal(err)
	}
	text := clusterMetrics(ctx, t, c)
	var all uint64
	found := false
	for name, f := range s.Result.ByNode.Cluster.Summary {
		all += sameAsSummary(t, text, job, name, &f)
		found = found || f.Type == "NORMAL_TASK" && f.Finished+f.Failed+f.Crashed == 300 && f.Failed > 0 && f.Failed <= 30 && f.Crashed >= 3
	}
	if !found {
		t.Errorf("none has 300 attempts that ended as they were told: %+v", s.Result.ByNode.Cluster.Summary)
	}
	if ended, _ := sumOf(t, text, "gray_tasks_ended_total", `job_id="`+job+`"`); all < 4300 || ended != float64(all) {
		t.Errorf("%v attempts have ended, %d by function, of 4300", ended, all)
	}
	var rates float64
	if !poll(ctx, pollLimit, func() bool {
		rates = 0
		h := history(ctx, t, c)
		for i := 1; i < len(h["time_ms"]); i++ {
			rates += h["tasks_finished_per_s"][i] * (h["time_ms"][i] - h["time_ms"][i-1]) / 1000
		}
		return rates >= 0.99*float64(all) && rates <= 1.01*float64(all)
	}) {
		t.Errorf("the overview's rates add up to %v tasks, of %d", rates, all)
	}
}

// sameAsSummary compares what metrics say of a job's function with its summary, and returns
// how many of its attempts have ended.
func sameAsSummary(t *testing.T, text, job, name string, f *api.FunctionSummary) (ended uint64) {
	t.Helper()
	same := func(summary float64, metric string, labels ...string) {
		t.Helper()
		x, _ := sumOf(t, text, metric, append(labels, `job_id="`+job+`"`, `function="`+name+`"`)...)
		if math.Abs(x-summary) > 1e-6*max(1, summary) {
			t.Errorf("%s of %s %v is %v, in the summary %v", metric, name, labels, x, summary)
		}
	}
	for outcome, n := range map[string]uint64{"finished": f.Finished, "failed": f.Failed, "crashed": f.Crashed, "cancelled": f.Cancelled} {
		same(float64(n), "gray_tasks_ended_total", `outcome="`+outcome+`"`)
		ended += n
	}
	for metric, l := range map[string]*api.Latency{"gray_task_run_seconds": &f.Run, "gray_task_wait_seconds": &f.Wait} {
		same(float64(l.Count), metric+"_count")
		same(l.SumMs/1000, metric+"_sum")
		upTo := 0.0
		for _, b := range l.Buckets {
			upTo += float64(b.Count)
			same(upTo, metric+"_bucket", `le="`+strconv.FormatFloat(b.LeMs/1000, 'g', 12, 64)+`"`)
		}
	}
	return ended
}

func clusterMetrics(ctx context.Context, t *testing.T, c *cluster) string {
	t.Helper()
	text, err := c.api.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func history(ctx context.Context, t *testing.T, c *cluster) map[string][]float64 {
	t.Helper()
	h, err := c.api.History(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return h.Series
}

// sumOf adds up a metric's series that have these labels, and counts them.
func sumOf(t *testing.T, text, metric string, labels ...string) (sum float64, series int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), metric+"{")
		if !ok || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(line, l) }) {
			continue
		}
		x, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, series = sum+x, series+1
	}
	return sum, series
}
