package node

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// exposed is what a node with something of everything says.
func exposed(t *testing.T) string {
	t.Helper()
	n := lonely(t)
	n.instruments.pulled(1<<20, time.Second, nil)
	n.tally.Push(3, ids.ProcessID{Node: 1, Number: 2}, &proto.UserMetrics{Families: []*proto.UserFamily{
		{Name: "rows_total", Help: "Rows.", Series: []*proto.UserSeries{{Value: 2}}},
	}})
	text, err := n.ownMetrics()
	if err != nil {
		t.Fatal(err)
	}
	e := metrics.New()
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.Collector(func(out chan<- prometheus.Metric) { sendTasks(out, []jobCounts{countsOf(3, "main.f", 2)}) }))
	if err := e.Gather(r); err != nil {
		t.Fatal(err)
	}
	e.Label("node", "n1")
	if err := e.Read(strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func countsOf(job uint32, function string, finished uint64) jobCounts {
	c := jobCounts{job: job, function: function}
	c.Ended[recorder.Finished] = finished
	for range finished {
		c.Run[recorder.BucketOf(3*time.Millisecond)]++
		c.Wait[recorder.BucketOf(time.Hour)]++
		c.RunSum += 3 * time.Millisecond
		c.WaitSum += time.Hour
	}
	return c
}

func TestMetricsAreAsPrometheusWantsThem(t *testing.T) {
	text := exposed(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if promtool, err := exec.LookPath("promtool"); err == nil { // Prometheus' own word
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, `node="n1"`) {
			t.Errorf("%s doesn't say of which node it is", line)
		}
	}
	for _, want := range []string{
		`gray_node_resources{node="n1",resource="CPU"} 2`, `rows_total{job_id="j3",node="n1"} 2`, `gray_transfer_size_bytes_sum{node="n1"} 1.048576e+06`,
		`gray_tasks_ended_total{function="main.f",job_id="j3",node="n1",outcome="finished"} 2`,
		`gray_task_run_seconds_bucket{function="main.f",job_id="j3",node="n1",le="0.002048"} 0`,
		`gray_task_run_seconds_bucket{function="main.f",job_id="j3",node="n1",le="0.004096"} 2`,
		`gray_task_run_seconds_sum{function="main.f",job_id="j3",node="n1"} 0.006`,
		`gray_task_wait_seconds_bucket{function="main.f",job_id="j3",node="n1",le="1073.741824"} 0`,
		`gray_task_wait_seconds_count{function="main.f",job_id="j3",node="n1"} 2`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("it lacks %s", want)
		}
	}
}

// TestMetricsAreDocumented holds docs/metrics.md and what a node says against the table.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range set.All() {
		names = append(names, m.Name)
		if row := m.Row("node"); !strings.Contains(string(doc), row+"\n") {
			t.Errorf("docs/metrics.md lacks\n%s", row)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (gray_\S+)`).FindAllStringSubmatch(exposed(t), -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("%s isn't in the table", m[1])
		}
	}
}

func TestFunctionsAreFewInMetrics(t *testing.T) {
	var all []jobCounts
	for f := range uint64(7) {
		all = append(all, countsOf(5, fmt.Sprint("f", f), f+1))
	}
	all = append(all, countsOf(5, "", 1))
	var names []string
	for _, c := range fewer(5, all, 3) {
		names = append(names, fmt.Sprintf("j%d %s %d", c.job, c.function, c.Ended[recorder.Finished]))
	}
	if want := []string{"j5 f6 7", "j5 f5 6", "j5 f4 5", "j5 other 11"}; !slices.Equal(names, want) {
		t.Errorf("got %v\nwant %v", names, want)
	}
}

// TestOldJobsAreNotInMetrics: however many jobs there were, their series are about as many.
func TestOldJobsAreNotInMetrics(t *testing.T) {
	n := lonely(t)
	const jobs = 3 * shownCounts
	for job := range uint32(jobs) {
		n.archive.count(job+1, []recorder.Counts{countsOf(job+1, "", 1).Counts, {Function: 5, Ended: [recorder.Outcomes]uint64{3}}})
	}
	r := recorder.Record{Function: 1}
	recordsOf(t, n, jobs+1, 8).records.Add(&r)
	shown := n.shownTasks()
	if len(shown) != shownCounts+1 || shown[0].job != jobs+1 || shown[0].function != "main.one" || shown[1].job != jobs || shown[1].Total() != 3 {
		t.Errorf("%d counts, first %+v", len(shown), shown[0])
	}
}

// TestMetricsOfTheNodeItself: on an address of its own it answers who has the token.
func TestMetricsOfTheNodeItself(t *testing.T) {
	n := lonely(t)
	n.cfg.Token, n.cfg.MetricsAddress = pki.Token("secret"), "127.0.0.1:0"
	if err := n.serveMetrics(); err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	for token, want := range map[string]int{"": 401, "wrong": 401, "secret": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.MetricsAddress()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with the token %q: %s", token, resp.Status)
		}
	}
}
