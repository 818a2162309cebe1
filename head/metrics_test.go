package head

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/proto"
)

// scrape asks a head's plain HTTP port, as Prometheus would.
func scrape(t testing.TB, h *Head, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.HTTPAddress()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.Token().String())
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, b)
	}
	return string(b)
}

func lint(t testing.TB, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func has(t testing.TB, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, l+"\n") {
			t.Errorf("it lacks %s", l)
		}
	}
}

func TestMetricsOfAHead(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 2)
	n.connect(nil)
	submit(t, h, "one", n)
	scrape(t, h, "/api/v0/jobs")
	text := scrape(t, h, "/metrics")
	lint(t, text)
	id := fmt.Sprintf("head=%q", h.dir.info.Head)
	has(t, text, `gray_head_leader{`+id+`} 1`, `gray_jobs{`+id+`,status="running"} 1`, `gray_nodes{`+id+`,state="alive"} 1`, `gray_actors{`+id+`,state="alive"} 0`,
		`gray_http_request_duration_seconds_count{code="200",`+id+`,route="/api/v0/jobs"} 1`)
	routes := h.routes()
	for _, path := range endless {
		if routes["GET "+path] == nil {
			t.Errorf("%s is no route", path)
		}
	}
	if scrape(t, h, "/metrics/heads/"+h.dir.info.Head) == "" {
		t.Error("it has no metrics by its name")
	}
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, m := range set.All() {
		names = append(names, m.Name)
		if row := m.Row("head"); !strings.Contains(string(doc), row+"\n") {
			t.Errorf("docs/metrics.md lacks\n%s", row)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (gray_\S+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("%s isn't in the table", m[1])
		}
	}
}

// TestMetricsOfTheClusterSayWhatIsMissing: a node that doesn't answer is told of, and the
// rest is there.
func TestMetricsOfTheClusterSayWhatIsMissing(t *testing.T) {
	h := startHead(t, t.TempDir())
	newNode(t, h, 2) // which has no service
	text := scrape(t, h, "/metrics/cluster")
	lint(t, text)
	has(t, text, `gray_node_scraped{node="n1"} 0`)
	if !strings.Contains(text, "# not here: node n1: ") || !strings.Contains(text, "gray_raft_term{") {
		t.Errorf("it says\n%s", text[:min(len(text), 500)])
	}
	var targets []target
	if err := json.Unmarshal([]byte(scrape(t, h, "/api/prometheus/targets")), &targets); err != nil {
		t.Fatal(err)
	}
	if len(targets) != 2 || targets[0].Targets[0] != h.HTTPAddress() || targets[1].Labels["__metrics_path__"] != "/metrics/nodes/n1" ||
		targets[0].Labels["__metrics_path__"] != "/metrics/heads/"+h.dir.info.Head || targets[1].Labels["__scheme__"] != "http" {
		t.Errorf("targets: %v", targets)
	}
}

func TestClusterMetricsAreOneExposition(t *testing.T) {
	c := &clusterMetrics{all: metrics.New()}
	for _, node := range []string{"n1", "n2"} {
		c.scraped(node, c.add([]byte("# TYPE rows_total counter\nrows_total{node=\""+node+"\"} 2\n")))
	}
	c.scraped("n3", c.add([]byte("rows_total{node=\"n3\"} 2\n# TYPE rows_total gauge\nnonsense")))
	text, err := c.text()
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(text), `rows_total{node="n1"} 2`, `rows_total{node="n2"} 2`, `gray_node_scraped{node="n2"} 1`, `gray_node_scraped{node="n3"} 0`)
	lines := 0
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "# not here: node n3") {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("what isn't there is said in %d lines of\n%s", lines, text)
	}
}

func TestHistoryKeepsTheLastMinutes(t *testing.T) {
	var tr trend
	begin := time.UnixMilli(1_000_000)
	info := &proto.NodeInfo{Id: 1, Total: cpus(4), Available: cpus(1), ObjectStoreUsed: 7, ObjectStoreCapacity: 9}
	for i := range trendLength + 5 {
		load := &proto.NodeLoad{MemoryUsed: 5, MemoryTotal: 6, TasksRunning: 2, TasksWaiting: 3, TasksEnded: uint64(10 * i), Transferred: uint64(4 * i)}
		if i == trendLength+4 {
			load.TasksEnded = 0 // counted from the beginning
		}
		tr.add(begin.Add(time.Duration(i)*trendEvery), []*proto.NodeInfo{info}, map[uint32]*proto.NodeLoad{1: load})
	}
	last := map[string]float64{}
	for key, s := range tr.series {
		if len(s) != trendLength {
			t.Errorf("%s has %d moments", key, len(s))
		}
		last[key] = s[len(s)-2]
	}
	want := map[string]float64{
		"time_ms": 1_000_000 + 2000*(trendLength+3), "cpus_used": 3, "cpus_total": 4, "memory_used": 5, "memory_total": 6, "store_used": 7, "store_total": 9,
		"tasks_running": 2, "tasks_waiting": 3, "tasks_finished_per_s": 5, "transfer_bytes_per_s": 2,
	}
	for key, v := range want {
		if last[key] != v || len(last) != len(want) {
			t.Errorf("%s is %v, want %v", key, last[key], v)
		}
	}
	if s := tr.series["tasks_finished_per_s"]; s[len(s)-1] != 0 {
		t.Errorf("a node that counts anew ended %v tasks a second", s[len(s)-1])
	}
}

func TestRunIsPutTogetherFromAllNodes(t *testing.T) {
	m := &mergedRun{series: map[string]*mergedSeries{}, row: api.RunRow{StartTimeMs: 50}}
	m.add(&proto.RunInfo{Name: "mnist", Kind: "training", BegunUnixMs: 40, TotalSteps: 9, Step: 3, Series: []*proto.RunSeries{
		{Key: "loss", Steps: []int64{1, 3}, TimesUnixMs: []int64{10, 30}, Values: []float64{5, math.NaN()}, Bounds: []float64{1}, Counts: []uint64{1, 2}}}})
	m.add(&proto.RunInfo{BegunUnixMs: 60, Step: 2, Dropped: 4, Series: []*proto.RunSeries{
		{Key: "loss", Steps: []int64{2, 9}, TimesUnixMs: []int64{20}, Values: []float64{4, 1}, Bounds: []float64{1}, Counts: []uint64{1, 1}}}})
	m.finish()
	b, err := json.Marshal(map[string]any{"run": m.row, "points": m.series["loss"].points, "counts": m.series["loss"].counts})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"counts":[2,3],"points":[[1,10,5],[2,20,4],[3,30,null]],"run":{"run_id":"","name":"mnist","kind":"training","job_id":"","state":"",` +
		`"start_time_ms":40,"end_time_ms":0,"step":3,"total_steps":9,"last":{"loss":null}}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var p api.RunPoint
	if err := json.Unmarshal([]byte("[3,30,null]"), &p); err != nil || p.Step != 3 || p.TimeMs != 30 || !math.IsNaN(float64(p.Value)) {
		t.Errorf("a point is read as %v, %v", p, err)
	}
	many := make([]api.RunPoint, 4999)
	for i := range many {
		many[i].Step = int64(i)
	}
	if got := thin(many, 1000); len(got) > 1001 || got[0].Step != 0 || got[len(got)-1].Step != 4998 {
		t.Errorf("%d of %d points are left, to %d", len(got), len(many), got[len(got)-1].Step)
	}
}

// TestMetricsOfSeveralHeads: each answers for itself, and for the others.
func TestMetricsOfSeveralHeads(t *testing.T) {
	heads := startHeads(t, 3)
	leader := leaderOf(t, heads)
	for _, h := range heads {
		leads := 0
		if h == leader {
			leads = 1
		}
		line := fmt.Sprintf("gray_head_leader{head=%q} %d", h.dir.info.Head, leads)
		has(t, scrape(t, h, "/metrics"), line)
		all := scrape(t, h, "/metrics/cluster")
		for _, other := range heads {
			has(t, scrape(t, other, "/metrics/heads/"+h.dir.info.Head), line)
			if n := strings.Count(all, fmt.Sprintf("gray_head_leader{head=%q} ", other.dir.info.Head)); n != 1 {
				t.Errorf("the cluster's metrics have head %s %d times", other.dir.info.Head, n)
			}
			if other != leader && !strings.Contains(all, fmt.Sprintf(`gray_raft_peer_lag{head=%q,peer=%q} `, leader.dir.info.Head, other.dir.info.Head)) {
				t.Errorf("the leader doesn't say how far %s is", other.dir.info.Head)
			}
		}
	}
}
