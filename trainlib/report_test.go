package trainlib

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRunKeys: charts of training find its numbers by these names.
func TestRunKeys(t *testing.T) {
	f := flushed{steps: 10, samples: 40, sent: 1000, wall: 2, seconds: [phases]float64{1, 2, 3}}
	loss := 0.5
	e := EpochReport{Loss: 0.7, TestLoss: &loss, Metrics: map[string]float64{"accuracy": 0.9}, SamplesPerSecond: 80}
	ranks := []status{{Times: Times{Communicate: 1, Steps: 4}}, {Times: Times{Communicate: 4, Steps: 4}}}
	for what, c := range map[string]struct{ got, want map[string]float64 }{
		"steps": {f.values(0.6, 3, 4), map[string]float64{
			"loss": 0.6, "samples_per_s": 80, "bytes_per_s": 2000, "data_s": 0.1, "compute_s": 0.2, "communicate_s": 0.3, "staleness": 3,
		}},
		"an epoch": {e.numbers(report(ranks)), map[string]float64{"loss": 0.7, "test_loss": 0.5, "accuracy": 0.9, "samples_per_s": 80, "wait_s": 0.75}},
	} {
		if !maps.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
}

// TestWorkersReports: what a worker waits longer for others than the one that waits least, it waits for those slower.
func TestWorkersReports(t *testing.T) {
	w := report([]status{
		{Times: Times{Data: 1, Compute: 6, Communicate: 1, Steps: 2, Sent: 80}},
		{Times: Times{Data: 1, Compute: 3, Communicate: 4, Steps: 2, Sent: 60}},
	})
	if a, b := w[0], w[1]; a.Wait != 0 || b.Wait != 1.5 || a.Communicate != 0.5 || b.Communicate != 0.5 || a.Utilisation != 0.75 || b.Utilisation != 0.375 ||
		a.Sent != 40 || b.Sent != 30 {
		t.Errorf("%+v", w)
	}
	text := (&Report{Name: "x", Workers: w, OneWorker: 1000, Efficiency: 0.8, SamplesPerSecond: 1600}).String()
	for _, part := range []string{"1,600 samples/s", "efficiency against one worker 80%, which would take 1,000 samples/s", "75%", "40 B"} {
		if !strings.Contains(text, part) {
			t.Errorf("the report lacks %q:\n%s", part, text)
		}
	}
}

// TestMetricsAreDocumented holds docs/metrics.md against the metrics that trainlib's packages declare.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`gray\.New(Counter|Gauge|Histogram)\("([a-z_]+)",\s*"([^"]+)"((?:,\s*(?:\[\]float64\{[^}]*\}|"[a-z]+"))*)\)`)
	label := regexp.MustCompile(`"([a-z]+)"`)
	var rows []string
	for _, file := range []string{"watch.go", "served.go", "compress/reducer.go", "ps/shard.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			labels := ""
			for _, l := range label.FindAllStringSubmatch(m[4], -1) {
				labels += " `" + l[1] + "`"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s |%s | %s |", m[2], strings.ToLower(m[1]), labels, m[3]))
		}
		if n := strings.Count(string(source), "gray.New"); n != len(declared.FindAllString(string(source), -1)) {
			t.Errorf("%s declares %d metrics, of which some aren't understood", file, n)
		}
	}
	for _, row := range rows {
		if !strings.Contains(string(doc), row+"\n") {
			t.Errorf("docs/metrics.md lacks\n%s", row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(trainlib_|ps_).*$").FindAllString(string(doc), -1) {
		if !slices.Contains(rows, m) {
			t.Errorf("docs/metrics.md has a metric that isn't declared so\n%s", m)
		}
	}
}
