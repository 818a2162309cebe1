package gray_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

var (
	testRows  = gray.NewCounter("sdktest_rows_total", "Rows.", "kind")
	testDepth = gray.NewGauge("sdktest_depth", "Depth.")
	testTook  = gray.NewHistogram("sdktest_took_seconds", "Time.", []float64{1, 2})
)

var measured = gray.Task(func(ctx context.Context, i int) (uint32, error) {
	testRows.Add(float64(i), "even")
	testRows.Inc("odd\n<b>")
	testDepth.Set(float64(i))
	testTook.Observe(1.5)
	return gray.Current(ctx).Node, nil
})

type reported struct {
	Run  gray.Run
	Step int64
}

var reports = gray.Task(func(ctx context.Context, in reported) (uint32, error) {
	in.Run.Report(ctx, in.Step, map[string]float64{"loss": 10 - float64(in.Step), "staleness": float64(in.Step)})
	return gray.Current(ctx).Node, nil
})

func init() {
	programs["measures"] = func() {
		gray.Main(func(ctx context.Context) error {
			nodes := map[uint32]bool{}
			var refs []gray.Ref[uint32]
			for i := range 40 {
				refs = append(refs, measured.Options(gray.OnNode(uint32(1+i%2), false)).Remote(ctx, i))
			}
			run := gray.NewRun(ctx, gray.RunInfo{Name: "mnist", Kind: gray.Training, Steps: 20})
			for i := range int64(20) {
				refs = append(refs, reports.Options(gray.OnNode(uint32(1+i%2), false)).Remote(ctx, reported{run, i + 1}))
			}
			run.Report(ctx, 0, map[string]float64{"accuracy": 0.5})
			for _, r := range refs {
				n, err := gray.Get(ctx, r)
				if err != nil {
					return err
				}
				nodes[n] = true
			}
			testRows.Inc("driver")
			fmt.Println("nodes", len(nodes))
			return nil
		})
	}
}

// TestMetricsOfAJobAreWholeAfterItsEnd: nothing that its processes on two nodes counted is
// lost with them.
func TestMetricsOfAJobAreWholeAfterItsEnd(t *testing.T) {
	c := ownCluster(t, embed.Options{Nodes: 2, CPUs: 2})
	cmd, out, errs := program(t, "measures", "unix:"+c.Sockets()[0])
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	contains(t, out.String(), "nodes 2")
	want := map[string]float64{
		`sdktest_rows_total kind="even"`: 780, `sdktest_rows_total kind="odd\n<b>"`: 40, `sdktest_rows_total kind="driver"`: 1,
		`sdktest_took_seconds_bucket le="1"`: 0, `sdktest_took_seconds_bucket le="2"`: 40, `sdktest_took_seconds_bucket le="+Inf"`: 40,
		"sdktest_took_seconds_sum ": 60, "sdktest_took_seconds_count ": 40,
	}
	var got map[string]float64
	if !poll(context.Background(), pollLimit, func() bool { got = testMetrics(t, c); return maps.Equal(got, want) }) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	checkRun(t, c)
}

var (
	testSeries = regexp.MustCompile(`(?m)^(sdktest_[^ ]*?)\{([^}]*)\} (\S+)$`)
	placeLabel = regexp.MustCompile(`(job_id|node)="[^"]*",?`)
)

// testMetrics are the tests' own metrics, over all jobs and nodes, but the gauge.
func testMetrics(t *testing.T, c *cluster) map[string]float64 {
	t.Helper()
	text, err := c.api.Metrics(limited(context.Background(), t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range testSeries.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[2], `node="n`) || !strings.Contains(m[2], `job_id="j`) {
			t.Fatalf("%s lacks a label", m[0])
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if m[1] != "sdktest_depth" { // the test's own process has one
			got[m[1]+" "+strings.Trim(placeLabel.ReplaceAllString(m[2], ""), ",")] += v
		}
	}
	return got
}

// checkRun looks at what the program's run left.
func checkRun(t *testing.T, c *cluster) {
	t.Helper()
	ctx := limited(context.Background(), t)
	list, err := c.api.Runs(ctx, api.ListOptions{Filters: []api.Filter{{Key: "kind", Op: "=", Value: "training"}}})
	if err != nil || len(list.Result) != 1 {
		t.Fatalf("%d runs, %v", len(list.Result), err)
	}
	r := list.Result[0]
	if r.Name != "mnist" || r.State != "ENDED" || r.Step != 20 || r.TotalSteps != 20 || r.Last["loss"] != -10 || r.Last["accuracy"] != 0.5 || r.EndTimeMs < r.StartTimeMs {
		t.Errorf("the run: %+v", r)
	}
	d, err := c.api.Run(ctx, r.RunID)
	if err != nil {
		t.Fatal(err)
	}
	var steps []int64
	for _, p := range d.Series["loss"] {
		steps = append(steps, p.Step)
	}
	var counted uint64
	for _, b := range d.Histograms["staleness"] {
		counted += b.Count
	}
	if len(steps) != 20 || !slices.IsSorted(steps) || counted != 20 {
		t.Errorf("the loss has steps %v; the staleness was counted %d times", steps, counted)
	}
}
